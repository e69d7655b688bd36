"""Bound sockets for the addresses of the configuration."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from typing import Any

from fastsmtp.errors import StartError
from fastsmtp.system.addresses import TCPAddress, UnixAddress, format_peer, parse_address

_BACKLOG = 4096  # the kernel cuts it to net.core.somaxconn


def bind(address: str) -> socket.socket:
    """A bound socket for `host:port` or `unix:path`. Raises StartError."""
    parsed = parse_address(address)
    try:
        return _bind_unix(parsed) if isinstance(parsed, UnixAddress) else _bind_tcp(parsed)
    except OSError as error:
        raise StartError(f"cannot listen on {address}: {error.strerror or error}") from None


def bind_shared(address: str) -> socket.socket:
    """A bound socket for `host:port` beside others that are bound there by processes of ours. Raises StartError."""
    parsed = parse_address(address)
    assert isinstance(parsed, TCPAddress)
    try:
        return _bind_tcp(parsed, shared=True)
    except OSError as error:
        raise StartError(f"cannot listen on {address}: {error.strerror or error}") from None


def listen_several(address: str, count: int) -> list[socket.socket]:
    """`count` sockets among which the kernel divides the clients of one address; one for all at a Unix path.

    They listen at once, and clients may wait there: until they do, another server could share the address. Raises
    StartError, where one has it already.
    """
    first = bind(address)
    listening = [first]
    try:
        if first.family != socket.AF_UNIX:
            # Not before it is ours: a second server of this user would get a share of the clients, and no error.
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            dual = first.family == socket.AF_INET6 and not first.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            for _ in range(count - 1):
                more = socket.socket(first.family, first.type, first.proto)
                listening.append(_bound(more, first.getsockname(), dual=dual, shared=True))
        for item in listening:
            item.listen(_BACKLOG)
    except OSError as error:
        for item in listening:
            item.close()
        raise StartError(f"cannot listen on {address}: {error.strerror or error}") from None
    return listening


def format_address(bound: socket.socket) -> str:
    """The address it is bound to, `host:port` or `unix:path`."""
    name = bound.getsockname()
    return f"unix:{name}" if bound.family == socket.AF_UNIX else format_peer(name)


def _bind_tcp(address: TCPAddress, *, shared: bool = False) -> socket.socket:
    info = socket.getaddrinfo(address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # A name means its IPv4 address where it has one. All interfaces: one IPv6 socket that takes IPv4 too.
    info.sort(key=lambda item: item[0] != (socket.AF_INET if address.host else socket.AF_INET6))
    for index, (family, kind, protocol, _name, sockaddr) in enumerate(info, 1):
        try:
            return _bound(socket.socket(family, kind, protocol), sockaddr, dual=not address.host, shared=shared)
        except OSError as error:
            if index == len(info) or error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise
    raise OSError("the name has no address")


def _bound(
    unbound: socket.socket, sockaddr: tuple[Any, ...] | str, *, dual: bool, shared: bool = False
) -> socket.socket:
    try:
        unbound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            unbound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if unbound.family == socket.AF_INET6:
            unbound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not dual))
        unbound.bind(sockaddr)
        unbound.setblocking(False)
    except BaseException:
        unbound.close()
        raise
    return unbound


def _bind_unix(address: UnixAddress) -> socket.socket:
    """Replaces the socket of a server that is gone, never one in use."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(address.path).st_mode):
            _remove_stale(address.path)
    return _bound(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), address.path, dual=False)


def _remove_stale(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)


def listen(bound: socket.socket, backlog: int, address: str) -> None:
    """Begin to listen, and be the only one. Raises StartError.

    Two sockets may be bound to one port until one of them listens. The loop would call this, too, but uvloop keeps the
    error of the second to itself.
    """
    try:
        bound.listen(backlog)
    except OSError as error:
        raise StartError(f"cannot listen on {address}: {error.strerror or error}") from None


def inherited(fd: int) -> socket.socket:
    """Return the socket that this process was given by its parent; its own children do not get it."""
    given = socket.socket(fileno=fd)
    given.set_inheritable(False)
    return given
