"""Where a mail belongs: the namespaces that its sender, its listener or its recipients name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from fastsmtp.capture.email import Email
from fastsmtp.inbox.names import DEFAULT, to_name
from fastsmtp.smtp.envelope import Envelope

Fields: TypeAlias = Sequence[tuple[str, str]]
Entry: TypeAlias = "Callable[[Resolver, Envelope, str, Fields], list[str]]"

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
        return self._first(email.envelope, email.origin.server, email.message.fields)

    def of_envelope(self, envelope: Envelope, server: str) -> list[str]:
        """Return what is known before the header has come: the names, at least one."""
        return self._first(envelope, server, ())

    def _first(self, envelope: Envelope, server: str, fields: Fields) -> list[str]:
        for entry in self._entries:
            names = entry(self, envelope, server, fields)
            if names:
                return names
        return [DEFAULT]

    def of_listener(self, envelope: Envelope, server: str, fields: Fields) -> list[str]:
        """A port that a namespace has for itself."""
        name = self.listeners.get(server)
        return [name] if name else []


def _entry(text: str) -> Entry:
    if text.startswith(HEADER):
        wanted = text[len(HEADER) :].lower()
        return lambda _resolver, _envelope, _server, fields: _of_header(wanted, fields)
    return _BY_ENTRY[text]


def _of_username(_resolver: Resolver, envelope: Envelope, _server: str, _fields: Fields) -> list[str]:
    credentials = envelope.credentials
    return _named(credentials.username) if credentials is not None and credentials.username else []


def _of_helo(_resolver: Resolver, envelope: Envelope, _server: str, _fields: Fields) -> list[str]:
    helo = (envelope.helo or "").lower()
    return _named(helo[: -len(_DOMAIN)]) if helo.endswith(_DOMAIN) else []


def _of_recipients(_resolver: Resolver, envelope: Envelope, _server: str, _fields: Fields) -> list[str]:
    names: dict[str, None] = {}
    for path in envelope.forward_paths:
        lowered = path.lower()
        found = _PLUS.search(lowered)
        if found is not None:
            names.update(dict.fromkeys(_named(found[1])))
        elif lowered.endswith(_DOMAIN):
            names.update(dict.fromkeys(_named(lowered.rpartition("@")[2][: -len(_DOMAIN)])))
    return list(names)[:_MAX_NAMESPACES]


def _of_header(wanted: str, fields: Fields) -> list[str]:
    for name, value in fields:
        if name.lower() == wanted:
            return _named(value.strip())
    return []


def _named(text: str) -> list[str]:
    name = to_name(text)
    return [name] if name else []


_BY_ENTRY: Final[dict[str, Entry]] = {
    "listener": Resolver.of_listener,
    "username": _of_username,
    "helo": _of_helo,
    "plus": _of_recipients,
}
