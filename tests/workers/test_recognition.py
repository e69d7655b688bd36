"""Which launched process is on the other side of a connection: each row of the table, on real sockets.

The other side is this process itself: it is "launched" where its own pid is awaited.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from fastsmtp.goridge.frame import Frame
from fastsmtp.goridge.relay import Relay
from fastsmtp.workers.handshake import Answered
from fastsmtp.workers.recognition import Awaited, Recognition, make_token

OURS = os.getpid()
ABSENT = 2**22 + 1  # above what Linux gives a process
TOKEN = "the token of a worker"


class Silent:
    """An owner of relays that does nothing."""

    def on_connected(self, relay: Relay) -> None: ...
    def on_frames(self, relay: Relay, frames: list[Frame]) -> None: ...
    def on_broken(self, relay: Relay, reason: str) -> None: ...
    def on_closed(self, relay: Relay) -> None: ...


@contextlib.asynccontextmanager
async def connected(kind: str) -> AsyncIterator[Relay]:
    """A relay whose other side is a socket of this process."""
    if kind == "unix":
        ours, theirs = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            theirs = socket.create_connection(listener.getsockname())
            ours, _ = listener.accept()
    ours.setblocking(False)
    with theirs:
        transport, relay = await asyncio.get_running_loop().create_connection(lambda: Relay(Silent()), sock=ours)
        try:
            yield relay
        finally:
            transport.abort()
            await asyncio.sleep(0)


def check(kind: str, look: Callable[[Relay], object]) -> object:
    """What `look` finds about a relay of this kind."""

    async def main() -> object:
        async with connected(kind) as relay:
            return look(relay)

    return asyncio.run(main())


def make(*pids: int, trusting: bool = False) -> Recognition:
    """The first pid has the token."""
    awaited = {pid: Awaited(make_token(), lambda pid, relay: None) for pid in pids}
    if pids:
        awaited[pids[0]] = Awaited(TOKEN, lambda pid, relay: None)
    return Recognition(awaited, trusting=trusting)


def test_tokens_are_secrets() -> None:
    tokens = {make_token() for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {32}


@pytest.mark.parametrize(
    ("kind", "pid", "trusting", "hopeless", "proven"),
    [
        ("unix", OURS, False, False, True),
        ("unix", ABSENT, False, True, False),
        ("unix", ABSENT, True, False, False),
        ("tcp", OURS, False, False, True),
        ("tcp", ABSENT, False, False, False),
    ],
    ids=["unix-ours", "unix-absent", "unix-absent-trusting", "tcp-ours", "tcp-absent"],  # a pid is another in each run
)
def test_before_any_answer(kind: str, pid: int, trusting: bool, hopeless: bool, proven: bool) -> None:
    recognition = make(pid, trusting=trusting)
    assert check(kind, lambda relay: (recognition.hopeless(relay), recognition.proven(relay))) == (hopeless, proven)


ANSWERS = {
    # On a unix socket the kernel has the last word.
    "unix, launched": ("unix", (OURS, ABSENT), False, Answered(ABSENT, "wrong"), OURS),
    "unix, a stranger with a token": ("unix", (ABSENT,), False, Answered(ABSENT, TOKEN), None),
    # On TCP the token is a proof, or a pid that holds the other end.
    "tcp, token": ("tcp", (ABSENT,), False, Answered(1, TOKEN), ABSENT),
    "tcp, pid that holds the socket": ("tcp", (ABSENT, OURS), False, Answered(OURS, ""), OURS),
    "tcp, pid of another": ("tcp", (OURS,), False, Answered(1, ""), None),
    "tcp, half a character": ("tcp", (ABSENT,), False, Answered(1, "\ud800"), None),
    # Trusted: any answer.
    "trusted, token": ("unix", (ABSENT, ABSENT + 1), True, Answered(1, TOKEN), ABSENT),
    "trusted, pid": ("unix", (ABSENT, ABSENT + 1), True, Answered(ABSENT + 1, ""), ABSENT + 1),
    "trusted, the only one": ("tcp", (ABSENT,), True, Answered(7, ""), ABSENT),
    "trusted, one of several": ("tcp", (ABSENT, ABSENT + 1), True, Answered(1, "wrong"), None),
    "trusted, none is awaited": ("tcp", (), True, Answered(OURS, TOKEN), None),
}


@pytest.mark.parametrize(("kind", "pids", "trusting", "answered", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_answers(kind: str, pids: tuple[int, ...], trusting: bool, answered: Answered, expected: int | None) -> None:
    recognition = make(*pids, trusting=trusting)
    assert check(kind, lambda relay: recognition.recognise(relay, answered)) == expected
