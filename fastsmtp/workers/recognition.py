"""Which of the launched processes has connected to the workers' socket.

| relay   | what is a proof                                                                                      |
|---------|------------------------------------------------------------------------------------------------------|
| unix    | the kernel's word (SO_PEERCRED): the process was launched, or comes from one that was. It is the last |
|         | word: an answer that says otherwise counts for nothing                                               |
| tcp     | the token of the worker's environment in its answer; or the answered pid, where the kernel says that |
|         | this process was launched, or comes from one that was, and holds the other end of the connection     |
| trusted | any answer: its token, its pid, or that only one process is awaited still. For containers, whose     |
|         | pids mean nothing here                                                                               |
"""

from __future__ import annotations

import os
import secrets
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from fastsmtp.goridge.relay import Relay
from fastsmtp.system.lineage import holds_socket, lineage
from fastsmtp.system.process import Identity
from fastsmtp.system.socketdiag import other_side
from fastsmtp.workers.handshake import Answered

TOKEN_VARIABLE: Final = "FASTSMTP_RELAY_TOKEN"

_PEERCRED: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid


class Awaited(NamedTuple):
    """A process that was launched and has not connected yet."""

    token: str
    on_arrival: Callable[[int, Relay], None]  # gets the answered pid


def make_token() -> str:
    """A secret for the environment of one worker."""
    return secrets.token_hex(16)


class Recognition:
    """Knows the processes that are awaited, by pid."""

    def __init__(self, awaited: Mapping[int, Awaited], *, trusting: bool) -> None:
        """`awaited` is read each time; the owner changes it. `trusting`: the last row of the table."""
        self._awaited = awaited
        self._trusting = trusting
        self.identity = Identity()  # of the workers

    def hopeless(self, relay: Relay) -> bool:
        """Whether it is certain, before any answer, that the process on the other side is a stranger."""
        peer = _peer_pid(relay)
        return peer is not None and not self._trusting and self._first(lineage(peer)) is None

    def proven(self, relay: Relay) -> bool:
        """Whether it is certain, before any answer, that the process on the other side was launched."""
        peer = _peer_pid(relay)
        if peer is not None:
            return self._first(lineage(peer)) is not None
        ours = _socket(relay)
        other = None if ours.family == socket.AF_UNIX else other_side(ours)
        return other is not None and any(holds_socket(pid, other.inode) for pid in self._awaited)

    def recognise(self, relay: Relay, answered: Answered) -> int | None:
        """Return the pid under which the process on the other side was launched; None for a stranger."""
        peer = _peer_pid(relay)
        if peer is not None:
            found = self._first(lineage(peer))
        else:
            found = self._by_token(answered)
            if found is None:
                found = self._by_socket(relay, answered)
        if found is not None or not self._trusting:
            return found
        return self._by_trust(answered)

    def _by_trust(self, answered: Answered) -> int | None:
        found = self._by_token(answered)
        if found is None:
            found = self._first((answered.pid, *lineage(answered.pid)))
        if found is None and len(self._awaited) == 1:
            found = next(iter(self._awaited))
        return found

    def _first(self, pids: Iterable[int]) -> int | None:
        return next((pid for pid in pids if pid in self._awaited), None)

    def _by_token(self, answered: Answered) -> int | None:
        token = answered.token.encode(errors="replace")  # JSON may have half a character
        for pid, awaited in self._awaited.items():
            if secrets.compare_digest(awaited.token.encode(), token):
                return pid
        return None

    def _by_socket(self, relay: Relay, answered: Answered) -> int | None:
        found = self._first(lineage(answered.pid))
        ours = _socket(relay)
        if ours.family == socket.AF_UNIX:  # where the kernel tells nothing; others cannot connect to the socket
            return found
        other = None if found is None else other_side(ours)
        if other is None:
            return None
        holds = holds_socket(answered.pid, other.inode)
        if holds is None:  # as root without CAP_SYS_PTRACE; then it is at least a process of the workers' user
            holds = other.uid == (os.geteuid() if self.identity.uid is None else self.identity.uid)
        return found if holds else None


def _socket(relay: Relay) -> socket.socket:
    assert relay.transport is not None
    found: socket.socket = relay.transport.get_extra_info("socket")
    return found


def _peer_pid(relay: Relay) -> int | None:
    """Return the pid on the other side of a unix socket as the kernel knows it; None where it does not tell.

    It is 0 for a process in a container that shares no pids with us.
    """
    peer = _socket(relay)
    if peer.family != socket.AF_UNIX or not hasattr(socket, "SO_PEERCRED"):
        return None
    pid, _, _ = _PEERCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size))
    return int(pid)
