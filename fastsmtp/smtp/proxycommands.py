"""How a proxy, or a relay, says who its client is: the PROXY header, XCLIENT and XFORWARD.

The commands are Postfix's (XCLIENT_README, XFORWARD_README). What is said by a client that is not a trusted proxy is
recorded, and has no effect.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Final

from fastsmtp.smtp import replies, violations
from fastsmtp.smtp.events import ClientNamed
from fastsmtp.smtp.gate import Gate
from fastsmtp.smtp.proxyheader import ProxyHeader

XCLIENT_ATTRIBUTES: Final = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT")
XFORWARD_ATTRIBUTES: Final = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")
MAX_VALUE: Final = 1024  # characters of a value that are kept; Postfix has 512 for the whole command

_hexchar: Final = re.compile(rb"\+([0-9A-Fa-f]{2})")
_is_port: Final = re.compile("[0-9]{1,5}").fullmatch


def take_header(gate: Gate, header: ProxyHeader) -> bool:
    """Take what a PROXY header says. False where it is refused: then the reply is queued, and the session is to end."""
    if not gate.peer.believed:
        detail = "PROXY UNKNOWN" if header.source is None else f"PROXY {header.source}"
        if not gate.forgive(violations.UNTRUSTED_PROXY, detail):
            return False
    gate.peer.take_header(header)
    _name_client(gate)
    return True


def take_xclient(gate: Gate, argument: str) -> bool:
    """Take what XCLIENT says. False where it is refused: then the reply is queued."""
    if not _take(gate, argument, XCLIENT_ATTRIBUTES, gate.peer.take_xclient):
        return False
    _name_client(gate)
    return True


def take_xforward(gate: Gate, argument: str) -> bool:
    """Take what XFORWARD says about the next mail. False where it is refused: then the reply is queued."""
    return _take(gate, argument, XFORWARD_ATTRIBUTES, gate.peer.take_xforward)


def _take(gate: Gate, argument: str, known: tuple[str, ...], take: Callable[[dict[str, str]], None]) -> bool:
    attributes = _read_attributes(gate, argument, known)
    if attributes is None:
        return False
    take(attributes)
    return True


def _name_client(gate: Gate) -> None:
    proxied = gate.peer.proxied
    if proxied is not None and proxied.client_addr:
        gate.out.events.append(ClientNamed(proxied.client_addr))


def _read_attributes(gate: Gate, argument: str, known: tuple[str, ...]) -> dict[str, str] | None:
    """The attributes of the argument, None where they are refused. Those of a client that is not believed are kept."""
    words = argument.split()
    if not words or any("=" not in word for word in words):
        gate.out.reply(replies.BAD_ARGUMENT)
        return None
    if not gate.peer.believed and not gate.forgive(violations.UNTRUSTED_PROXY, argument):
        return None
    attributes: dict[str, str] = {}
    for word in words:
        name, _, text = word.partition("=")
        value = _read_value(name.upper(), text)
        if name.upper() in known and value is not None:
            attributes[name.upper()] = value[:MAX_VALUE]
        elif not gate.forgive(violations.INVALID_PARAMETER, word):
            return None
    return attributes


def _read_value(name: str, text: str) -> str | None:
    """The value that this xtext (RFC 3461 section 4) says, None where the attribute cannot have it."""
    octets = _hexchar.sub(lambda found: bytes.fromhex(found[1].decode()), text.encode())
    try:
        value = octets.decode()
    except UnicodeDecodeError:
        value = octets.decode("latin-1")
    if value.startswith("[") or not value:
        return value  # [UNAVAILABLE], [TEMPUNAVAIL]
    if name in ("PORT", "DESTPORT"):
        return value if _is_port(value) and int(value) <= 65535 else None
    if name in ("ADDR", "DESTADDR"):
        host = value[5:] if value[:5].upper() == "IPV6:" else value
        try:
            return str(ipaddress.ip_address(host))
        except ValueError:
            return None
    return value
