"""Transport and session brought together, on a fake transport, clock and worker."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from destinations import Shelf
from houses import ACCEPTED, BEGIN, BEGUN, GREETING, MAIL, Clock, House, Line, Pool

from fastsmtp.capture.attachments import MemoryStorage, Sink
from fastsmtp.delivery.destination import Together
from fastsmtp.delivery.workers import Workers
from fastsmtp.server.listening import ReadBuffer
from fastsmtp.smtp.events import HEADROOM, Verdict
from fastsmtp.smtp.policy import Facts
from fastsmtp.system.sharedcount import SharedCount, shared_file
from fastsmtp.system.timeslices import TimeSlices

ACCEPTING = {Verdict.ACCEPT, Verdict.ACCEPT_AND_CLOSE}
HELP = (
    b"214-2.0.0 This server captures all mail and any login\r\n"
    b"214-2.0.0 HELO EHLO STARTTLS AUTH MAIL RCPT DATA BDAT\r\n214 2.0.0 RSET NOOP VRFY EXPN HELP QUIT\r\n"
)
GOING_DOWN = b"421 4.3.2 Server is shutting down\r\n"


class FullDisk(MemoryStorage):
    def open(self, *_arguments: Any) -> Sink:
        raise OSError(28, "No space left on device")


@pytest.fixture
def make() -> Iterator[Callable[..., House]]:
    loop = Clock()
    yield lambda **changes: House(loop, **changes)
    loop.close()


def test_one_write_per_read(make: Callable[..., House]) -> None:
    line = make().connect()
    assert line.transport.take() == GREETING
    assert line.send(BEGIN) == BEGUN
    assert line.transport.writes == 2


def test_a_waiting_session_is_not_read(make: Callable[..., House]) -> None:
    house = make()
    line = house.connect().begin()
    assert line.send(MAIL + b"NOOP\r\n") == b""
    assert line.transport.reading  # most clients wait, too: stopping costs system calls
    assert line.send(b"NOOP\r\n") == b""
    assert not line.transport.reading
    house.workers.end()
    assert line.transport.take() == ACCEPTED + b"250 2.0.0 OK\r\n" * 2
    assert line.transport.reading


def test_a_verdict_that_starts_the_next_mail_keeps_the_session_unread(make: Callable[..., House]) -> None:
    house = make()
    line = house.connect().begin()
    line.send(MAIL + (BEGIN[8:] + MAIL) * 2)
    line.send(b"NOOP\r\n")
    for left in (2, 1, 0):
        house.workers.end()
        assert line.transport.reading == (left == 0)
    assert line.transport.take().count(ACCEPTED) == 3


def test_a_verdict_from_within_does_not_recurse(make: Callable[..., House]) -> None:
    """A thousand pipelined mails that cannot be stored: each is refused while its events are carried out."""
    house = make(storage=FullDisk())
    line = house.connect()
    line.transport.take()
    attachment = b"Content-Type: application/x\r\n\r\nx\r\n.\r\n"
    replies = line.send_all(b"HELO x\r\n" + (BEGIN[8:] + attachment) * 1000)
    assert replies.count(b"451 4.3.0 Storage failed, try again later\r\n") == 1000
    assert line.transport.reading
    assert house.listening.backpressure.held == 0


def test_who_sends_commands_and_reads_no_replies_is_not_read(make: Callable[..., House]) -> None:
    """No more than some replies are made for it, however many commands have come with one read."""
    house = make()
    line, other = house.connect(), house.connect()
    line.transport.take()
    commands = b"HELP\r\n" * 2700
    first = line.send(commands)
    assert len(first) < 8400
    assert not line.transport.reading
    line.protocol.pause_writing()
    house.loop.turn()
    assert line.transport.take() == b""
    assert other.send(b"NOOP\r\n")[-5:] == b" OK\r\n"
    line.protocol.resume_writing()
    replies = first
    while not line.transport.reading:
        house.loop.turn()
        replies += line.transport.take()
    assert replies == b"".join([HELP] * 2700)


def test_commands_whose_client_is_gone_are_read_all_the_same(make: Callable[..., House]) -> None:
    """As those are that came with a read before: the mail behind them was sent."""
    house = make()
    line = house.connect()
    line.send(b"HELP\r\n" * 2000 + BEGIN)
    line.protocol.connection_lost(None)
    assert house.closed == 1
    for _ in range(100):
        house.loop.turn()
    assert "mail broken off" in house.events()
    assert house.listening.backpressure.held == 0


# Work for some slices of time, whatever the machine, in one read.
MANY_PARTS = b"Content-Type: multipart/digest; boundary=b\r\n\r\n" + b"--b\r\n\r\nSubject: x\r\n" * 9000


def in_slices(make: Callable[..., House], **changes: Any) -> tuple[House, Line]:
    house = make(**changes)
    house.listening.slices = TimeSlices(house.loop)
    return house, house.connect().begin()


def catch_up(line: Line) -> int:
    """In how many turns of the loop all that was read is done."""
    turns = 0
    while not line.transport.reading:
        line.house.loop.turn()
        turns += 1
    return turns


def test_others_are_served_while_a_mail_takes_long(make: Callable[..., House]) -> None:
    house, line = in_slices(make)
    other = house.connect()
    other.transport.take()
    line.send(MANY_PARTS)
    assert not line.transport.reading
    assert line.after(1000) == ""
    assert other.send(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"
    assert catch_up(line) > 2
    line.send(b"\r\n.\r\n")
    assert len(json.loads(house.workers.end())["attachments"]) == 9000


def test_what_comes_behind_a_mail_that_takes_long_stays_behind_it(make: Callable[..., House]) -> None:
    house, line = in_slices(make)
    mail = MANY_PARTS[:100_000]
    assert line.send(mail + b"\r\n.\r\n" + BEGIN[8:] + b"Subject: second\r\n\r\n.\r\nNOOP\r\n") == b""
    assert catch_up(line) > 1
    first = house.workers.end()
    assert line.transport.take() == ACCEPTED + BEGUN.partition(b"\r\n")[2]
    second = house.workers.end()
    assert line.transport.take() == ACCEPTED + b"250 2.0.0 OK\r\n"
    sizes = [json.loads(payload)["message"]["size"] for payload in (first, second)]
    assert sizes == [len(mail) + 2, 19]


def test_a_whole_mail_that_takes_long_is_delivered_though_its_client_is_gone(make: Callable[..., House]) -> None:
    house, line = in_slices(make)
    line.send(MANY_PARTS + b"\r\n.\r\n")
    line.protocol.eof_received()
    line.protocol.connection_lost(None)
    assert house.closed == 0
    while not house.closed:
        house.loop.turn()
    house.workers.end()
    assert house.events().count("email") == 1
    assert house.listening.backpressure.held == 0
    assert not house.listening.connections


def test_a_mail_that_takes_long_is_dropped_when_its_client_is_gone_before_its_end(make: Callable[..., House]) -> None:
    house, line = in_slices(make)
    line.send(MANY_PARTS)
    assert house.listening.backpressure.held > 100_000  # what is not looked at yet counts
    line.protocol.connection_lost(None)
    assert not house.closed
    house.loop.turn()  # nothing more of it is looked at
    assert house.closed == 1
    assert house.events()[-2:] == ["mail broken off", "connection closed"]
    assert house.listening.backpressure.held == 0


def test_a_mail_that_takes_long_is_delivered_and_the_next_dropped_when_the_client_is_gone_in_it(
    make: Callable[..., House],
) -> None:
    house, line = in_slices(make)
    line.send(MANY_PARTS + b"\r\n.\r\n" + BEGIN[8:] + b"Subject: second\r\n\r\n")
    line.protocol.connection_lost(None)
    while not house.closed:
        house.loop.turn()
        if house.workers.jobs:
            house.workers.end()
    assert [event for event in house.events() if event in ("email", "mail broken off")] == ["email", "mail broken off"]
    assert house.listening.backpressure.held == 0


def test_close_verdict(make: Callable[..., House]) -> None:
    house = make()
    line = house.connect().begin()
    line.send(MAIL + BEGIN + MAIL)
    house.workers.end(Verdict.ACCEPT_AND_CLOSE)
    assert line.transport.take() == ACCEPTED + b"221 2.0.0 Bye\r\n"
    assert line.transport.closed == "closed"
    assert house.workers.jobs == []


@pytest.mark.parametrize("behind", [b"", BEGIN[8:] + MAIL])
def test_a_mail_whose_client_is_gone_stays_with_its_worker(make: Callable[..., House], behind: bytes) -> None:
    house = make()
    line = house.connect().begin()
    line.send(MAIL + behind)
    line.transport.closed = "gone"
    line.protocol.connection_lost(ConnectionResetError())
    assert (house.closed, house.listening.connections) == (1, set())
    while house.workers.jobs:
        house.workers.end()
    assert house.events().count("email") == (2 if behind else 1)
    assert line.transport.take() == b""
    assert house.listening.backpressure.held == 0


def test_a_mail_without_its_end_is_dropped(make: Callable[..., House]) -> None:
    house = make()
    line = house.connect().begin()
    line.send(MAIL[:-3])
    line.protocol.connection_lost(None)
    assert house.workers.jobs == []
    assert house.events() == ["connection", "mail broken off", "connection closed"]
    line.protocol.connection_lost(None)  # once is enough
    assert house.closed == 1


OF_THE_MAIL = {"from": "a@b.c", "to": "d@e.f", "recipients": 1}
WHOLE = {**OF_THE_MAIL, "subject": "x", "size": 17, "attachments": 0}


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_log_says_which_mail_it_is_about(make: Callable[..., House], verdict: Verdict) -> None:
    house = make()
    line = house.connect().begin()
    line.send(MAIL)
    house.workers.end(verdict)
    expected = {"peer": line.protocol.remote_addr, "uuid": line.protocol.email_uuid, **WHOLE}
    if verdict in ACCEPTING:
        expected |= {"level": "info", "event": "email"}
    elif verdict is Verdict.DROPPED:
        expected |= {"level": "info", "event": "email dropped by a plan"}
    else:
        expected |= {"level": "warning", "event": "email not accepted", "verdict": verdict.value}
    assert house.lines[1] == expected


def test_the_log_says_which_mail_was_broken_off(make: Callable[..., House]) -> None:
    house = make()
    line = house.connect().begin()
    line.send(MAIL[:-3])
    line.protocol.connection_lost(None)
    of_the_client = {"peer": line.protocol.remote_addr, "connection": line.protocol.uuid}
    assert house.lines[1] == {
        "level": "warning",
        "event": "mail broken off",
        "reason": "eof",
        **of_the_client,
        **OF_THE_MAIL,
    }


def test_the_log_says_which_mail_was_refused_before_its_end(make: Callable[..., House]) -> None:
    house = make(storage=FullDisk())
    line = house.connect().begin()
    line.send(b"Content-Type: image/png\r\n\r\n.\r\n")
    [record] = [item for item in house.lines if item["event"] == "email not accepted"]
    assert record == {
        "level": "warning",
        "event": "email not accepted",
        "peer": line.protocol.remote_addr,
        "uuid": line.protocol.email_uuid,
        "verdict": "storage-failed",
        **OF_THE_MAIL,
    }


@pytest.mark.parametrize(
    ("quiet", "mails", "levels"),
    [
        (False, 2, ["info", "info", "info", "info"]),
        (True, 2, ["debug", "info", "info", "debug"]),
        (True, 0, ["debug", "info"]),
    ],
    ids=["log", "printer", "printer-no-mail"],
)
def test_one_line_for_a_mail_where_it_is_shown(
    make: Callable[..., House], quiet: bool, mails: int, levels: list[str]
) -> None:
    """A client that connects and sends nothing is worth one, too."""
    house = make(quiet=quiet)
    line = house.connect()
    for number in range(mails):
        line.send(BEGIN[8 * bool(number) :])
        line.send(MAIL)
        house.workers.end()
    line.protocol.connection_lost(None)
    assert house.events() == ["connection", *["email"] * mails, "connection closed"]
    assert [item["level"] for item in house.lines] == levels


@pytest.mark.parametrize(("sent", "stays"), [(MAIL, True), (b"half a li", False)], ids=["complete", "incomplete"])
def test_half_closed(make: Callable[..., House], sent: bytes, stays: bool) -> None:
    house = make()
    line = house.connect().begin()
    line.send(sent)
    assert line.protocol.eof_received() == stays
    if stays:
        house.workers.end()
        assert line.transport.take() == ACCEPTED
    assert line.transport.closed == "closed"


def test_a_fault_of_ours_costs_one_mail(make: Callable[..., House]) -> None:
    house = make()
    line, other = house.connect().begin(), house.connect().begin()
    house.workers.exec = None  # type: ignore[assignment,method-assign]
    assert line.send(MAIL) == b"451 4.3.0 Storage failed, try again later\r\n"
    del house.workers.exec
    assert house.events()[-2:] == ["email could not be delivered", "email not accepted"]
    assert other.send(MAIL) == b""
    house.workers.end()
    assert other.transport.take() == ACCEPTED


# Time


def test_silence_is_measured_from_the_last_reply(make: Callable[..., House]) -> None:
    line = make().connect()
    assert line.after(60) == ""
    line.send(b"NOOP\r\n")
    assert line.after(60) == ""
    line.send(b"NOO")  # no reply, no new time
    assert line.after(1) == "aborted"


def test_time_that_the_process_stood_still_is_no_silence(make: Callable[..., House]) -> None:
    silent = make().connect()
    assert [silent.after(65, 10), silent.after(5), silent.after(1)] == ["", "", "aborted"]
    deaf = make().connect()
    deaf.transport.unwritten = 20_000
    deaf.protocol.pause_writing()
    assert [deaf.after(65, 60), deaf.after(5), deaf.after(1)] == ["", "", "aborted"]


def test_mail_data_is_no_silence(make: Callable[..., House]) -> None:
    line = make().connect().begin()
    for _ in range(5):
        assert line.after(60) == ""
        line.send(b"x")
    assert line.after(61) == "aborted"


def test_waiting_for_a_worker_is_no_silence(make: Callable[..., House]) -> None:
    house = make()
    line = house.connect().begin()
    line.send(MAIL)
    assert line.after(1000) == ""
    house.workers.end()
    assert line.after(60) == ""
    assert line.after(1) == "aborted"


def test_who_does_not_read_is_cut_and_who_reads_slowly_is_not(make: Callable[..., House]) -> None:
    line = make().connect()
    line.transport.unwritten = 20_000
    line.protocol.pause_writing()
    assert not line.transport.reading
    for unwritten in (15_000, 14_000):
        line.transport.unwritten = unwritten
        assert line.after(11) == ""
    assert line.after(10) == ""
    assert line.after(1) == "aborted"


def test_who_reads_again_is_read_again(make: Callable[..., House]) -> None:
    line = make().connect()
    line.transport.unwritten = 20_000
    line.protocol.pause_writing()
    line.transport.unwritten = 0
    line.after(9)
    line.protocol.resume_writing()
    assert line.transport.reading
    assert line.after(60) == ""
    assert line.after(1) == "aborted"


def test_a_last_reply_that_nobody_reads_does_not_keep_the_connection(make: Callable[..., House]) -> None:
    line = make().connect()
    line.transport.unwritten = 100
    line.send(b"QUIT\r\n")
    assert line.after(10) == "closed"
    assert line.after(1) == "aborted"


# Memory


def test_who_is_paused_goes_on_when_the_oldest_ends(make: Callable[..., House]) -> None:
    house = make(inflight=100)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        oldest, other = house.connect().begin(), house.connect(socket=ours).begin()
        oldest.send(b"Subject: x\r\n\r\n" + b"x" * 200)
        other.send(b"Subject: x\r\n\r\n" + b"x" * 200)
        assert (oldest.transport.reading, other.transport.reading) == (True, False)
        theirs.send(b"x")
        assert other.after(1000) == ""  # it is not its silence
        oldest.protocol.connection_lost(None)
        assert other.transport.reading
        assert other.after(60) == ""
        assert other.after(1) == "aborted"


def test_who_is_paused_and_has_sent_nothing_is_ended_by_its_timeout(make: Callable[..., House]) -> None:
    """What it holds is held against those who send: its own silence goes on."""
    house = make(inflight=100)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        oldest, other = house.connect().begin(), house.connect(socket=ours).begin()
        oldest.send(b"x" * 200)
        other.send(b"x" * 200)
        assert not other.transport.reading
        assert other.after(60) == ""
        assert other.after(1) == "aborted"


@pytest.mark.parametrize("begin", [BEGIN, BEGIN[:-6] + b"BDAT 1000000\r\n"])
def test_a_mail_that_is_given_up_is_swallowed_and_refused(make: Callable[..., House], begin: bytes) -> None:
    house = make()
    line = house.connect()
    line.send(begin)
    line.send(b"Subject: x\r\n\r\n" + b"x" * 100_000)
    line.protocol.shed()
    line.protocol.shed()
    assert house.listening.backpressure.held == 0
    line.send(b"x" * 100_000)
    assert house.listening.backpressure.held == 0
    rest = b"\r\n.\r\n" if begin is BEGIN else b"x" * (1_000_000 - 200_014)
    assert line.send_all(rest) == b"452 4.3.1 Too much mail in memory, try again later\r\n"
    assert [event["reason"] for event in house.lines if event["event"] == "mail broken off"] == ["memory"]
    line.send(BEGIN[8:] + MAIL)
    house.workers.end()
    assert line.transport.take() == ACCEPTED
    line.protocol.shed()  # there is nothing to give up
    assert line.send(b"NOOP\r\n") == b"250 2.0.0 OK\r\n"


def test_what_commands_leave_in_memory_is_counted_until_the_connection_ends(make: Callable[..., House]) -> None:
    house = make(inflight=10_000_000)
    backpressure = house.listening.backpressure
    line = house.connect()
    line.send(b"EHLO x\r\nMAIL FROM:<a@b.c>\r\n")
    assert backpressure.held == 0  # not worth it
    line.send_all(b"".join(b"RCPT TO:<a@b.c> X%d=%s\r\n" % (number, b"x" * 1000) for number in range(100)))
    envelope = backpressure.held
    assert envelope in range(100_000, 200_000)
    line.send(b"NOOP " + b"x" * 10_000)
    assert backpressure.held == envelope + 10_005
    line.send(b"\r\nDATA\r\n")
    line.send(b"Subject: x\r\n\r\n" + b"x" * 10_000)
    assert backpressure.held > envelope + 20_000
    line.send(b"\r\n.\r\n")
    assert backpressure.held > envelope + 10_000
    house.workers.end()
    assert backpressure.held == 0
    line.send(b"NOOP " + b"x" * 10_000)
    assert backpressure.held == 10_006
    line.protocol.connection_lost(None)
    assert backpressure.held == 0


def test_a_mail_that_is_complete_is_counted_when_its_client_is_gone(make: Callable[..., House]) -> None:
    house = make(inflight=10_000_000)
    line = house.connect().begin()
    line.send(b"Subject: x\r\n\r\n" + b"x" * 10_000 + b"\r\n.\r\n")
    line.protocol.connection_lost(None)
    assert house.listening.backpressure.held > 10_000
    house.workers.end()
    assert house.listening.backpressure.held == 0


def test_what_came_behind_a_mail_is_counted(make: Callable[..., House]) -> None:
    house = make(inflight=10_000_000)
    line = house.connect().begin()
    line.send(MAIL + b"NOOP\r\n" * 10_000)
    assert house.listening.backpressure.held > 60_000
    house.workers.end()
    while not line.transport.reading:
        house.loop.turn()
    assert house.listening.backpressure.held == 0


def test_reads_are_small_while_memory_is_short(make: Callable[..., House]) -> None:
    house = make(inflight=100_000, share=10_000)
    idle, line = house.connect(), house.connect().begin()
    sizes = [len(idle.protocol.get_buffer(-1)), len(line.protocol.get_buffer(-1))]
    line.send(b"x" * 100_001)
    sizes += [len(line.protocol.get_buffer(-1)), len(idle.protocol.get_buffer(-1))]
    assert sizes == [16 * 1024, 256 * 1024, 16 * 1024, 1024]  # it has the turn, and who has not


def test_a_transcript_is_counted_and_shortened_while_memory_is_short(make: Callable[..., House]) -> None:
    house = make(inflight=100_000, include_transcript=True, session={"trace": True})
    backpressure = house.listening.backpressure
    line = house.connect()
    for _ in range(40):
        line.send(b"NOOP " + b"x" * 2000 + b"\r\n")
    assert backpressure.held in range(80_000, 100_000)
    for _ in range(20):
        line.send(b"NOOP " + b"x" * 2000 + b"\r\n")
    assert backpressure.held < 50_000


def test_a_small_mail_above_the_limit_does_not_leave_its_connection_paused(make: Callable[..., House]) -> None:
    house = make(inflight=100)
    oldest, small = house.connect().begin(), house.connect().begin()
    oldest.send(b"Subject: x\r\n\r\n" + b"x" * 200)
    small.send(MAIL)
    house.workers.end()
    assert small.transport.take() == ACCEPTED
    assert small.transport.reading
    assert oldest.transport.reading


def test_memory_freed_before_the_end_frees_the_others(make: Callable[..., House]) -> None:
    """The oldest holds less and less, as with tempfiles."""
    house = make(inflight=100)
    paused = house.connect().begin()
    backpressure = house.listening.backpressure
    oldest, youngest = house.connect().protocol.memory, paused.protocol.memory
    backpressure.hold(oldest, 150)
    backpressure.hold(youngest, 10)
    readings = [paused.transport.reading]
    backpressure.hold(oldest, 50)
    assert [*readings, paused.transport.reading] == [False, True]
    assert backpressure.held == 60


# The end


def test_shutdown(make: Callable[..., House]) -> None:
    house = make()
    idle, busy = house.connect(), house.connect().begin()
    idle.transport.take()
    busy.send(MAIL)
    for line in (idle, busy):
        line.protocol.shutdown()
        line.protocol.shutdown()
    assert (idle.transport.take(), idle.transport.closed) == (GOING_DOWN, "closed")
    assert (busy.transport.take(), busy.transport.closed) == (b"", "")
    house.workers.end()
    assert (busy.transport.take(), busy.transport.closed) == (ACCEPTED + GOING_DOWN, "closed")
    for line in (idle, busy):
        line.protocol.connection_lost(None)
    assert house.closed == 2


def test_too_many_connections(make: Callable[..., House]) -> None:
    house = make(max_connections=1)
    first, second = house.connect(), house.connect()
    assert second.transport.take() == b"421 4.3.2 Too many connections\r\n"
    assert second.transport.closed == "closed"
    second.protocol.connection_lost(None)
    assert house.listening.connections == {first.protocol}
    assert house.closed == 0


def test_too_many_connections_of_all_processes(make: Callable[..., House]) -> None:
    descriptor = shared_file(2)
    ours, others = SharedCount(descriptor, 0), SharedCount(descriptor, 1)
    others.set(1)
    house = make(max_connections=2, shared=ours)
    first, second = house.connect(), house.connect()
    assert second.transport.take() == b"421 4.3.2 Too many connections\r\n"
    assert ours.total() == 2
    second.protocol.connection_lost(None)
    assert ours.total() == 2
    first.protocol.connection_lost(None)
    assert ours.total() == 1
    os.close(descriptor)


def test_the_buffer_has_headroom() -> None:
    buffer = ReadBuffer()
    buffer.view[0:1] = b"x"
    assert buffer.octets[HEADROOM : HEADROOM + 1] == b"x"


def test_the_reply_waits_for_every_destination(make: Callable[..., House]) -> None:
    pool, shelf = Pool(), Shelf()
    house = make(destination=Together(structlog.get_logger(), Workers(pool), shelf))
    line = house.connect().begin()
    assert line.send(MAIL) == b""
    pool.end(Verdict.ACCEPT_AND_CLOSE)
    assert line.transport.take() == b""
    [email] = shelf.emails
    assert (email.verdict, email.envelope.forward_paths) == (Verdict.ACCEPT_AND_CLOSE, ("d@e.f",))
    shelf.decide(Verdict.STORAGE_FAILED)
    assert line.transport.take() == b"451 4.3.0 Storage failed, try again later\r\n"
    assert not line.transport.closed


class Broken:
    """A destination and a policy with a fault."""

    def deliver(self, email: object, decided: object) -> None:
        raise ValueError("broken")

    def refuse(self, facts: Facts) -> None:
        if facts.stage == self.stage:
            raise ValueError("broken")

    def __init__(self, stage: str = "") -> None:
        self.stage = stage


def test_a_destination_that_raises_is_a_451(make: Callable[..., House]) -> None:
    house = make(destination=Broken())
    line = house.connect().begin()
    assert line.send(MAIL) == b"451 4.3.0 Storage failed, try again later\r\n"
    assert [item["event"] for item in house.lines if item["level"] == "error"] == ["email could not be delivered"]
    assert house.listening.backpressure.held == 0


@pytest.mark.parametrize("stage", ["connect", "rcpt", "body", "data-end"])
def test_a_policy_that_raises_costs_its_connection(make: Callable[..., House], stage: str) -> None:
    house = make(session={"policies": [Broken(stage)]})
    line = house.connect()
    if not line.transport.closed:
        line.send(BEGIN)
    if not line.transport.closed:
        line.send(MAIL)
    assert line.transport.closed == "aborted"
    assert [item["event"] for item in house.lines if item["level"] == "error"] == ["connection given up"]
