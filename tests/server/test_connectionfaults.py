"""What plans do to a connection, on a fake transport, clock and inbox: the client is given its time all the same."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from houses import ACCEPTED, BEGIN, BEGUN, MAIL, Clock, House
from planners import FakeLink, listener_plans
from waits import wait_until

from fastsmtp.faults.actions import Action
from fastsmtp.goridge._queues import is_reset
from fastsmtp.smtp.replies import NOOP_OK, RCPT_OK

LATER = "451 4.7.1 Later"
RCPT = BEGIN[: BEGIN.index(b"DATA")]


class Planned:
    """A line whose client has read the greeting, and the plan about its commands."""

    def __init__(self, loop: Clock, *stages: str, marks: tuple[int, ...] = (), **changes: Any) -> None:
        self.link = FakeLink(*stages, marks=marks)
        extra = {key: changes.pop(key) for key in ("socket",) if key in changes}
        self.house = House(loop, planner=listener_plans(self.link), **changes)
        self.line = self.house.connect(**extra)
        self.line.transport.take()

    def later(self, seconds: int) -> bytes:
        """What is written in this time; a client that takes too long is cut off."""
        for _ in range(seconds):
            self.line.after(1.0)
            for _turn in range(3):
                self.house.loop.turn()
        return self.line.transport.take()


Make = Callable[..., Planned]


@pytest.fixture
def make() -> Iterator[Make]:
    loop = Clock()
    yield lambda *stages, **changes: Planned(loop, *stages, **changes)
    loop.close()


def test_what_is_asked_says_which_mail_it_is_about(make: Make) -> None:
    planned = make("rcpt", "body", "data-end", marks=(0,))
    planned.line.send(BEGIN)
    planned.link.answer()
    planned.line.send(MAIL)
    planned.link.answer()
    uuid = planned.line.protocol.email_uuid
    assert [(one.at, one.mail, one.command) for one in planned.link.questions] == [
        ("rcpt", "", "RCPT TO:<d@e.f>"),
        ("body", uuid, ""),
        ("data-end", uuid, ""),
    ]
    planned.link.answer()
    planned.house.workers.end()
    assert planned.line.transport.take()[-len(ACCEPTED) :] == ACCEPTED


SLOW = [Action(delay=(100.0, 100.0)), Action(stall=100.0)]


@pytest.mark.parametrize("action", SLOW)
@pytest.mark.parametrize("at", ["rcpt", "body"])
def test_a_delay_may_be_longer_than_the_client_is_given(make: Make, at: str, action: Action) -> None:
    """It is given 60 seconds, which begin behind the delay."""
    planned = make(at, marks=(0,))
    line = planned.line
    first = line.send(BEGIN) + line.send(MAIL[:5])
    planned.link.answer(action)
    assert (planned.later(99), line.transport.closed) == (b"", "")
    second = planned.later(2)
    assert first + second == BEGUN
    assert (planned.later(58), line.transport.closed) == (b"", "")
    line.send(MAIL[5:])
    planned.house.workers.end()
    assert (line.transport.take(), planned.later(58), line.transport.closed) == (ACCEPTED, b"", "")


@pytest.mark.parametrize("action", SLOW)
def test_a_verdict_may_be_delayed_for_longer_than_the_client_is_given(make: Make, action: Action) -> None:
    planned = make("data-end")
    planned.line.send(BEGIN + MAIL)
    planned.link.answer(action)
    assert (planned.later(99)[len(BEGUN) :], planned.house.workers.jobs) == (b"", [])
    planned.later(2)
    planned.house.workers.end()
    assert (planned.line.transport.take(), planned.line.transport.closed) == (ACCEPTED, "")


def test_a_delay_behind_the_storing(make: Make) -> None:
    planned = make("data-end")
    planned.line.send(BEGIN + MAIL)
    planned.link.answer(Action(store=True, delay=(100.0, 100.0)))
    planned.line.transport.take()
    planned.house.workers.end()
    assert (planned.later(99), planned.later(2)) == (b"", ACCEPTED)


@pytest.mark.parametrize("end", ["plan", "server", "client"])
@pytest.mark.parametrize("at", ["rcpt", "data-end"])
def test_a_stall_ends_with_the_plan_the_server_and_the_client(make: Make, at: str, end: str) -> None:
    planned = make(at)
    line = planned.line
    line.send((BEGIN + MAIL) if at == "data-end" else RCPT)
    planned.link.answer(Action(stall=3600.0))
    line.transport.take()
    if end == "plan":
        planned.link.end()
    elif end == "server":
        line.protocol.shutdown()
    else:
        line.protocol.connection_lost(None)
    if end == "client":
        assert (planned.house.workers.jobs, planned.house.closed) == ([], 1)
    elif at == "data-end":
        planned.house.workers.end()
        assert line.transport.take()[: len(ACCEPTED)] == ACCEPTED
    else:
        assert line.transport.take() == RCPT_OK
    assert planned.house.listening.backpressure.held == 0


@pytest.mark.parametrize("at", ["mail", "data-end"])
def test_a_client_that_ends_in_a_stall_is_given_its_time_and_no_more(make: Make, at: str) -> None:
    """One that ends may still await its reply; one that has gone altogether looks the same."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        planned = make(at, socket=ours)
        planned.line.send((BEGIN + MAIL) if at == "data-end" else BEGIN)
        planned.link.answer(Action(stall=3600.0))
        planned.later(100)
        assert planned.line.transport.closed == ""
        theirs.shutdown(socket.SHUT_WR)
        planned.later(1)
        assert planned.line.transport.closed == "aborted"
    assert planned.house.events().count("read timeout") == 1


@pytest.mark.parametrize("at", ["mail", "data-end"])
def test_a_client_that_ends_before_a_stall_is_answered(make: Make, at: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        planned = make(at, socket=ours)
        planned.line.send((BEGIN + MAIL) if at == "data-end" else BEGIN[: BEGIN.index(b"RCPT")])
        theirs.shutdown(socket.SHUT_WR)
        planned.link.answer(Action(stall=30.0))
        planned.line.transport.take()
        assert planned.later(29) == b""
        planned.later(2)
        if at == "data-end":
            planned.house.workers.end()
            assert planned.line.transport.take() == ACCEPTED


def test_a_client_that_left_before_its_lost_reply_is_gone(make: Make) -> None:
    """Its mail is kept, and nothing waits for the reply that is not to be heard."""
    planned = make("data-end")
    planned.line.send(BEGIN + MAIL)
    planned.link.answer(Action(store=True, stall=3600.0))
    planned.house.workers.end()
    planned.line.protocol.connection_lost(None)
    assert (planned.house.closed, planned.house.listening.backpressure.held) == (1, 0)
    assert "email" in planned.house.events()


@pytest.mark.parametrize(("close", "how"), [("fin", "closed"), ("rst", "aborted")])
@pytest.mark.parametrize("reply", [[], [LATER]])
def test_a_connection_that_ends(make: Make, close: str, how: str, reply: list[str]) -> None:
    """A reset needs a socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        planned = make("rcpt", socket=ours)
        planned.line.send(RCPT)
        planned.line.transport.take()
        planned.link.answer(Action(reply=reply, close=close))
        said = planned.line.transport.take()
    assert (said, planned.line.transport.closed) == ("".join(f"{line}\r\n" for line in reply).encode(), how)


@pytest.mark.parametrize("end", ["", "plan", "server"])
def test_a_reply_that_is_dribbled(make: Make, end: str) -> None:
    """Nothing is read meanwhile; where it ends early, the rest comes at once."""
    planned = make("rcpt")
    line = planned.line
    line.send(RCPT)
    line.transport.take()
    planned.link.answer(Action(rate=10))
    said = planned.later(1)
    assert (line.transport.reading, RCPT_OK.startswith(said), said == RCPT_OK) == (False, True, False)
    if end == "plan":
        planned.link.end()
    elif end == "server":
        line.protocol.shutdown()
    else:
        said += planned.later(50)
    assert (said + line.transport.take(), line.transport.reading) == (RCPT_OK, True)
    assert line.send(b"NOOP\r\n") == NOOP_OK


@pytest.mark.parametrize("end", ["plan", "server", "mail"])
def test_mail_data_that_is_read_slowly(make: Make, end: str) -> None:
    """Little is read at a time, and then nothing for as long as it takes at that rate."""
    planned = make("body", marks=(0,))
    line = planned.line
    line.send(BEGIN + b"x")
    planned.link.answer(Action(read_rate=1000))
    assert len(line.protocol.get_buffer(-1)) == 250
    line.send(b"x" * 100)
    assert not line.transport.reading
    planned.later(1)
    assert line.transport.reading
    if end == "mail":
        line.send(b"\r\n.\r\n")
        planned.house.workers.end()
        planned.later(1)
    elif end == "plan":
        planned.link.end()
    else:
        line.protocol.shutdown()
    assert (line.transport.reading, len(line.protocol.get_buffer(-1)) > 10_000) == (True, True)


@pytest.mark.parametrize("end", ["half", "reset"])
def test_mail_data_of_a_client_that_is_gone_is_not_read_slowly(make: Make, end: str) -> None:
    """One that only sends nothing more, the end of its mail behind it, is."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    with ours, theirs:
        planned = make("body", marks=(0,), socket=ours)
        line = planned.line
        line.send(BEGIN + b"x")
        planned.link.answer(Action(read_rate=1000))
        line.send(b"x" * 100)
        if end == "half":
            theirs.shutdown(socket.SHUT_WR)
        else:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            theirs.close()
            wait_until(lambda: is_reset(ours.fileno()))
        planned.later(1)
        assert line.transport.reading
        assert len(line.protocol.get_buffer(-1)) == (250 if end == "half" else 256 * 1024)


@pytest.mark.parametrize("action", [None, Action(delay=(100.0, 100.0)), Action(close="fin"), Action(stall=3600.0)])
def test_a_handshake_that_is_asked_about_begins_with_what_came_before(make: Make, action: Action | None) -> None:
    planned = make("tls", implicit_tls=True, tls=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    line = planned.line
    early = line.transport.protocol
    assert isinstance(early, asyncio.BufferedProtocol)
    line.transport.reading = True  # uvloop forgets a pause that comes so early
    early.get_buffer(-1)[:6] = b"NOOP\r\n"
    early.buffer_updated(6)
    assert not line.transport.reading
    planned.house.loop.call_soon(planned.link.answer, action)
    planned.later(1 if action is None or action.close else 101)
    if action is not None and action.stall:
        line.protocol.shutdown()
    failed = [one for one in planned.house.lines if one["event"] == "TLS handshake failed"]
    if action is not None and action.stall:
        assert (line.transport.closed, failed) == ("aborted", [])
    elif action is not None and action.close:
        assert (line.transport.closed, [one["error"] for one in failed]) == ("closed", ["rule r of a plan"])
    else:
        assert ("http request" in str(failed).lower() or "wrong version" in str(failed).lower(), len(failed)) == (
            True,
            1,
        )


def test_what_a_plan_has_let_fail_leaves_no_mail(make: Make) -> None:
    planned = make("data-end")
    planned.line.send(BEGIN + MAIL)
    planned.line.transport.take()
    planned.link.answer(Action(reply=[LATER]))
    assert (planned.line.transport.take(), planned.house.workers.jobs) == (f"{LATER}\r\n".encode(), [])
    assert planned.house.listening.backpressure.held == 0
