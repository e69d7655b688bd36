"""The calling side of Goridge RPC: blocking, one call at a time, arguments and results in JSON.

See `rpc.py` for the frames. Nothing here needs an event loop: it serves the command line and tests.
"""

from __future__ import annotations

import socket
from typing import Any, final

from fastsmtp.goridge.calls import answered_sequence, decode_answer, encode_call
from fastsmtp.goridge.frame import MAX_ANSWER_BYTES, Frame, FrameDecoder
from fastsmtp.system.addresses import TCPAddress, parse_address

CONNECT_TIMEOUT_S = 5.0
_ANYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # listened to, but no place to connect to
_READ_BYTES = 65536


@final
class RPCClient:
    """A connection to a server's `rpc.listen`."""

    def __init__(self, listen: str, timeout_s: float | None = None) -> None:
        """Connect to `tcp://host:port` or `unix://path`; `timeout_s` bounds the wait for each answer.

        Raises OSError when no server listens there.
        """
        address = parse_address(listen)
        if isinstance(address, TCPAddress):
            host = _ANYWHERE.get(address.host, address.host)
            self._socket = socket.create_connection((host, address.port), CONNECT_TIMEOUT_S)
        else:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(CONNECT_TIMEOUT_S)
            try:
                self._socket.connect(address.path)
            except OSError:
                self._socket.close()
                raise
        self._socket.settimeout(timeout_s)
        self._decoder = FrameDecoder(MAX_ANSWER_BYTES)
        self._sequence = 0

    def call(self, method: str, argument: object = None) -> Any:
        """Return the result of `method`.

        Raises CallError with the server's text or for a result that is not JSON, ConnectionError when the server went
        away, TimeoutError, and FrameError when it does not speak Goridge.
        """
        self._sequence += 1
        self._socket.sendall(encode_call(self._sequence, method, argument))
        frame = self._receive()
        answered_sequence(frame)
        return decode_answer(frame)

    def wait_for_end(self) -> None:
        """Return when the server has closed the connection. Raises TimeoutError."""
        try:
            while self._socket.recv(_READ_BYTES):
                continue
        except ConnectionError:
            return

    def close(self) -> None:
        """Close the connection. May be called twice."""
        self._socket.close()

    def __enter__(self) -> RPCClient:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _receive(self) -> Frame:
        frames: list[Frame] = []
        while not frames:
            chunk = self._socket.recv(_READ_BYTES)
            if not chunk:
                raise ConnectionResetError("the server closed the connection")
            frames = self._decoder.feed(chunk)
        return frames[0]
