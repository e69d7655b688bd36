"""Where to listen or connect: `host:port`, `[::1]:port`, `unix:path` and their kin."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import NamedTuple


class TCPAddress(NamedTuple):
    """Where to listen or connect: `host` is "" for all interfaces, an IPv6 address has no brackets."""

    host: str
    port: int


class UnixAddress(NamedTuple):
    """A Unix socket; `path` is as written."""

    path: str


def parse_address(text: str) -> TCPAddress | UnixAddress:
    """Take apart `host:port`, `:port`, `[::1]:port` (each also with `tcp://`), `unix:path` or `unix://path`.

    Raises ValueError saying what is wrong with it, or what may have been meant.
    """
    if meant := _meant(text):
        raise ValueError(f'did you mean "{meant}"?')
    if text.startswith("unix:"):
        path = text[5:].removeprefix("//")
        if not path or "\0" in path:
            raise ValueError("the path is missing")
        if len(os.fsencode(path)) > 107:  # sun_path of Linux, with its final NUL
            raise ValueError("a socket path has at most 107 bytes")
        return UnixAddress(path)
    host, colon, port = text.removeprefix("tcp://").rpartition(":")
    if not (colon and port) or text.endswith("]") or _is_ipv6(text):
        raise ValueError("the port is missing")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError("a port is a number from 0 to 65535")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not _is_ipv6(host):
            raise ValueError("there is no IPv6 address between the brackets")
    elif not re.fullmatch(r"[\w.-]*", host):
        raise ValueError("this is not a host name")
    return TCPAddress(host, int(port))


def _meant(text: str) -> str:
    """The address that a port, a path, a URL or an IPv6 address without brackets stands for; "" for anything else."""
    if text.startswith("unix:"):
        return ""
    if text != text.strip():
        return text.strip()
    if text.isascii() and text.isdigit():
        return f":{text}"
    scheme, separator, rest = text.partition("://")
    if separator:
        place = rest.partition("/")[0]
        return place if (scheme, place) != ("tcp", rest) else ""
    if "/" in text:
        return f"unix:{text}"
    host, _, port = text.rpartition(":")
    if host == "*":
        return f":{port}"
    if _is_ipv6(host) and port:  # ::1:1025 is an IPv6 address, too, but where is one without a port?
        return f"[{host}]:{port}"
    host = host.removeprefix("[").removesuffix("]")
    return f"{host}:{port}" if f"[{host}]:{port}" == text and _is_ipv4(host) else ""


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _is_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def format_peer(name: object) -> str:
    """What `getpeername` or `getsockname` returned as `host:port` or `[::1]:port`; "unix" for a Unix socket."""
    if not isinstance(name, tuple):
        return "unix"
    host, port = name[:2]
    if "." in host:  # a socket for both families names IPv4 addresses ::ffff:192.0.2.1
        host = host.removeprefix("::ffff:")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
