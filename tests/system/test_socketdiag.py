"""The other end of a TCP connection, as the kernel knows it."""

from __future__ import annotations

import os
import socket

import pytest

from fastsmtp.system.socketdiag import TCPSocket, other_side


def connect(host: str, *, over: str = "") -> tuple[socket.socket, socket.socket]:
    """Our end and theirs of a connection to `over`, where we listen at `host`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family, dualstack_ipv6=bool(over)) as listener:
        theirs = socket.create_connection((over or host, listener.getsockname()[1]))
        ours, _ = listener.accept()
    return ours, theirs


@pytest.mark.parametrize(("host", "over"), [("127.0.0.1", ""), ("::1", ""), ("::", "127.0.0.1")])
def test_whose_it_is_and_what_was_not_read(host: str, over: str) -> None:
    ours, theirs = connect(host, over=over)
    with ours, theirs:
        inode = os.fstat(theirs.fileno()).st_ino
        assert other_side(ours) == TCPSocket(0, os.getuid(), inode)
        ours.sendall(b"x" * 1000)
        assert other_side(ours) == TCPSocket(1000, os.getuid(), inode)
        theirs.recv(400)
        assert other_side(ours) == TCPSocket(600, os.getuid(), inode)


def test_a_socket_that_is_gone() -> None:
    ours, theirs = connect("127.0.0.1")
    theirs.close()
    with ours:
        found = other_side(ours)
        assert found is None or found.inode == 0
    with pytest.raises(OSError, match="Bad file descriptor"):
        ours.getpeername()
    assert other_side(ours) is None
