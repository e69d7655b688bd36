"""Standard input and output as they are, connected with an SMTP server: `sendmail -bs`."""

from __future__ import annotations

import contextlib
import os
import socket
import threading

from fastsmtp.client.client import SendError, connect

_STDIN, _STDOUT = 0, 1
_CHUNK_BYTES = 65536


def talk(address: str) -> None:
    """Pass on what comes from either side, until the server hangs up. Raises SendError."""
    try:
        connection = connect(address, None)
    except OSError as error:
        raise SendError(f"cannot connect to {address}: {error.strerror or error}") from None
    with connection:
        threading.Thread(target=_pass_on, args=(connection,), daemon=True).start()
        try:
            while octets := connection.recv(_CHUNK_BYTES):
                _write(octets)
        except OSError as error:
            raise SendError(f"the connection broke: {error.strerror or error}") from None


def _pass_on(connection: socket.socket) -> None:
    """Standard input, in a thread: the caller may go on before it has read what was answered."""
    with contextlib.suppress(OSError):  # told by the other direction
        while octets := os.read(_STDIN, _CHUNK_BYTES):
            connection.sendall(octets)
        connection.shutdown(socket.SHUT_WR)


def _write(octets: bytes) -> None:
    while octets:
        octets = octets[os.write(_STDOUT, octets) :]
