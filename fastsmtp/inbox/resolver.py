"""Where a mail belongs: the namespaces that its sender, its listener or its recipients name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from fastsmtp.capture.email import Email
from fastsmtp.inbox.names import DEFAULT, to_name

_DOMAIN: Final = ".ns.test"
_PLUS = re.compile(r"\+ns\.([^@]+)@")
_MAX_NAMESPACES: Final = 100  # of one mail

ENTRIES: Final = ("listener", "username", "helo", "plus")
HEADER: Final = "header:"


class Resolver:
    """Finds the namespaces of a mail by the entries of `inbox.namespace`: the first that names one decides."""

    def __init__(self, entries: Sequence[str]) -> None:
        self._entries = [_entry(entry) for entry in entries]
        self.listeners: dict[str, str] = {}  # namespaces by the name of their own listener

    def __call__(self, email: Email) -> list[str]:
        """Return the names, at least one."""
        for entry in self._entries:
            names = entry(self, email)
            if names:
                return names
        return [DEFAULT]

    def of_listener(self, email: Email) -> list[str]:
        """A port that a namespace has for itself."""
        name = self.listeners.get(email.origin.server)
        return [name] if name else []


def _entry(text: str) -> Callable[[Resolver, Email], list[str]]:
    if text.startswith(HEADER):
        wanted = text[len(HEADER) :].lower()
        return lambda _resolver, email: _of_header(wanted, email)
    return _BY_ENTRY[text]


def _of_username(_resolver: Resolver, email: Email) -> list[str]:
    credentials = email.envelope.credentials
    return _named(credentials.username) if credentials is not None and credentials.username else []


def _of_helo(_resolver: Resolver, email: Email) -> list[str]:
    helo = (email.envelope.helo or "").lower()
    return _named(helo[: -len(_DOMAIN)]) if helo.endswith(_DOMAIN) else []


def _of_recipients(_resolver: Resolver, email: Email) -> list[str]:
    names: dict[str, None] = {}
    for path in email.envelope.forward_paths:
        lowered = path.lower()
        found = _PLUS.search(lowered)
        if found is not None:
            names.update(dict.fromkeys(_named(found[1])))
        elif lowered.endswith(_DOMAIN):
            names.update(dict.fromkeys(_named(lowered.rpartition("@")[2][: -len(_DOMAIN)])))
    return list(names)[:_MAX_NAMESPACES]


def _of_header(wanted: str, email: Email) -> list[str]:
    for name, value in email.message.fields:
        if name.lower() == wanted:
            return _named(value.strip())
    return []


def _named(text: str) -> list[str]:
    name = to_name(text)
    return [name] if name else []


_BY_ENTRY: Final[dict[str, Callable[[Resolver, Email], list[str]]]] = {
    "listener": Resolver.of_listener,
    "username": _of_username,
    "helo": _of_helo,
    "plus": _of_recipients,
}
