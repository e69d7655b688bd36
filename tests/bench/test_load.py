"""A load on servers that do not behave: whatever they do is counted by its kind, and the load comes to its end."""

from __future__ import annotations

import asyncio
import os
import signal
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from itertools import repeat

import pytest
import uvloop

from fastsmtp.bench.alarm import Alarm
from fastsmtp.bench.ledger import LoadLedger
from fastsmtp.bench.load import CannotOpen, run
from fastsmtp.bench.measures import Measures
from fastsmtp.bench.plan import Plan
from fastsmtp.client.client import tls_context
from fastsmtp.client.dialogue import Script
from fastsmtp.client.mail import Content
from fastsmtp.system.addresses import TCPAddress, UnixAddress

TEMPLATE = Content(b"Subject: x\r\n\r\nx\r\n", b"Subject: x\r\n\r\nx\r\n", False)
LARGE = Content(b"x\r\n" * 1_000_000, b"x\r\n" * 1_000_000, False)
CLOSE, SILENCE = "", None
REPLIES: dict[str, str | None] = {
    "": "220 hi\r\n",
    "EHLO": "250-peer\r\n250 PIPELINING\r\n",
    "MAIL": "250 ok\r\n",
    "RCPT": "250 ok\r\n",
    "DATA": "354 go\r\n",
    ".": "250 kept\r\n",
    "RSET": "250 ok\r\n",
    "QUIT": "221 bye\r\n",
    "STAR": "220 go\r\n",
}

Replies = str | None | list[str | None]


class Peer(socketserver.ThreadingTCPServer):
    """Says what it is told to: to each verb the next of its replies, the last of them for ever.

    The verb "" is the connection, "." the end of data.
    """

    daemon_threads = True
    request_queue_size = 100

    def __init__(self, told: dict[str, Replies]) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.told = {verb: reply if isinstance(reply, list) else [reply] for verb, reply in {**REPLIES, **told}.items()}
        self.sessions = 0
        self.heard: list[str] = []
        self.lock = threading.Lock()

    def reply_to(self, verb: str) -> str | None:
        with self.lock:
            self.sessions += verb == ""
            self.heard.append(verb)
            replies = self.told[verb]
            return replies.pop(0) if len(replies) > 1 else replies[0]


class Session(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self) -> None:
        assert isinstance(self.server, Peer)
        verb = ""
        while True:
            reply = self.server.reply_to(verb)
            if reply == CLOSE:
                return
            if reply is SILENCE:
                self.rfile.read()  # until the client has enough of it
                return
            self.wfile.write(reply.encode())
            if verb in ("QUIT", "STAR"):
                return
            if verb == "DATA" and reply.startswith("354"):
                verb = "."
                while (line := self.rfile.readline()) != b".\r\n":
                    if not line:
                        return
            else:
                verb = self.rfile.readline().decode()[:4].strip()
                if not verb:
                    return


Serve = Callable[[dict[str, Replies]], Peer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers that say what they are told to."""
    started: list[tuple[Peer, threading.Thread]] = []

    def start(told: dict[str, Replies]) -> Peer:
        peer = Peer(told)
        thread = threading.Thread(target=peer.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        started.append((peer, thread))
        return peer

    yield start
    for peer, thread in started:
        peer.shutdown()
        thread.join()
        peer.server_close()


def plan(peer: Peer, **more: object) -> Plan:
    wishes = {"mails": 4, "connections": 1, "timeout_s": 20.0, **more}
    return Plan(
        TCPAddress("127.0.0.1", peer.server_address[1]), Script("me", "a@b", ["c@d"]), repeat(TEMPLATE), **wishes
    )  # type: ignore[arg-type]


def measured(wish: Plan) -> Measures:
    measures = Measures()
    run(wish, measures, LoadLedger(None), lambda: None)
    return measures


def counts(measures: Measures) -> tuple[int, int, dict[str, int]]:
    return measures.answered, measures.failed, dict(measures.failures)


@pytest.mark.parametrize("per_connection", [0, 1, 2, 3, 10])
@pytest.mark.parametrize("connections", [1, 3, 50])
def test_every_mail_is_sent_once(serve: Serve, connections: int, per_connection: int) -> None:
    peer = serve({})
    measures = measured(plan(peer, mails=20, connections=connections, per_connection=per_connection))
    assert counts(measures) == (20, 0, {})
    assert peer.heard.count(".") == 20
    assert peer.heard.count("QUIT") == peer.sessions == measures.connections
    if per_connection:
        assert peer.sessions >= 20 / per_connection
    else:
        assert peer.sessions == min(connections, 20)
    assert measures.mail.count == measures.verdict.count == 20
    assert measures.verdict.highest <= measures.mail.highest <= measures.seconds


@pytest.mark.parametrize(
    ("told", "answered", "failures"),
    [
        ({"MAIL": ["250 ok\r\n", "451 later\r\n", "250 ok\r\n"]}, 3, {"MAIL: 451": 1}),
        ({"RCPT": "550 who?\r\n", "DATA": "554 no\r\n"}, 0, {"RCPT: 550": 4}),
        ({".": ["250 ok\r\n", "452 full\r\n"]}, 1, {"end of data: 452": 3}),
        ({".": [CLOSE, "250 ok\r\n"]}, 3, {"end of data: disconnected": 1}),
        ({"MAIL": ["250 ok\r\n", CLOSE, "250 ok\r\n"]}, 4, {}),
        ({"DATA": ["354 go\r\n", CLOSE, "354 go\r\n"]}, 3, {"DATA: disconnected": 1}),
        ({"MAIL": ["250 ok\r\n", "421 too many\r\n", "250 ok\r\n"]}, 4, {"between mails: 421": 1}),
        ({".": "250 ok\r\n221 bye\r\n"}, 4, {}),
        ({".": ["250 ok\r\n", "what?\r\n", "250 ok\r\n"]}, 3, {"end of data: no SMTP reply": 1}),
        ({"QUIT": CLOSE}, 4, {}),
        ({"EHLO": "250 peer\r\n", "RCPT": ["250 ok\r\n", "450 later\r\n", "250 ok\r\n"]}, 3, {"RCPT: 450": 1}),
        ({"EHLO": "250 peer\r\n", "MAIL": ["250 ok\r\n", CLOSE, "250 ok\r\n"]}, 4, {}),
        ({"EHLO": "250 peer\r\n", "MAIL": ["250 ok\r\n", "421 no\r\n", "250 ok\r\n"]}, 4, {"between mails: 421": 1}),
    ],
)
def test_faults_are_counted_by_kind(
    serve: Serve, told: dict[str, Replies], answered: int, failures: dict[str, int]
) -> None:
    measures = measured(plan(serve(told)))
    assert counts(measures) == (answered, 4 - answered, failures)


def test_openings_that_fail_later_count_for_their_mail(serve: Serve) -> None:
    peer = serve({"": ["220 hi\r\n", "554 no\r\n", "220 hi\r\n"]})
    measures = measured(plan(peer, per_connection=1))
    assert counts(measures) == (3, 1, {"greeting: 554": 1})
    assert measures.examples == {"greeting: 554": "554 no"}
    assert peer.heard.count("QUIT") == peer.sessions == 4


@pytest.mark.parametrize("verb", ["MAIL", "."])
def test_silence(serve: Serve, verb: str) -> None:
    step = {"MAIL": "MAIL", ".": "end of data"}[verb]
    measures = measured(plan(serve({verb: SILENCE}), mails=1, timeout_s=0.5))
    assert counts(measures) == (0, 1, {f"{step}: timeout": 1})


def test_interrupted_twice_no_mail_goes_to_a_new_connection(serve: Serve) -> None:
    """The second mail's envelope has been sent ahead when the first is never answered: it must not be tried again."""
    peer = serve({".": SILENCE})

    def interrupt() -> None:
        if "." in peer.heard:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(plan(peer), Measures(), LoadLedger(None), interrupt)
    assert (peer.sessions, peer.heard) == (1, ["", "EHLO", "MAIL", "RCPT", "DATA", "."])


def test_no_goodbye_is_waited_for_so_long_only(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastsmtp.bench.load.GOODBYE_S", 0.1)
    began = time.monotonic()
    assert counts(measured(plan(serve({"QUIT": SILENCE})))) == (4, 0, {})
    assert time.monotonic() - began < 15


def test_a_server_that_is_gone_is_given_up(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastsmtp.bench.load.PATIENCE_S", 0.3)
    peer = serve({".": ["250 ok\r\n", CLOSE], "": ["220 hi\r\n", CLOSE]})
    measures = measured(plan(peer, mails=1000))
    assert (measures.answered, measures.failed) == (1, 999)
    assert measures.failures["end of data: disconnected"] == 1
    assert measures.failures["between mails: never sent"] > 900
    assert set(measures.failures) == {
        "end of data: disconnected", "greeting: disconnected", "between mails: never sent",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"": "554 go away\r\n"}, "greeting: 554 go away"),
        ({"": CLOSE}, "greeting: disconnected"),
        ({"EHLO": SILENCE}, "EHLO: timeout"),
    ],
)
def test_no_connection_at_all(serve: Serve, told: dict[str, Replies], complaint: str) -> None:
    with pytest.raises(CannotOpen) as caught:
        measured(plan(serve(told), timeout_s=0.5))
    assert (str(caught.value), caught.value.nobody_there) == (complaint, False)


@pytest.mark.parametrize("implicit", [True, False])
def test_a_handshake_that_breaks_off(serve: Serve, implicit: bool) -> None:
    wish = plan(serve({"": CLOSE} if implicit else {"EHLO": "250-peer\r\n250 STARTTLS\r\n"}))
    wish.script = wish.script._replace(starttls=not implicit)
    wish.tls, wish.implicit_tls = tls_context(insecure=True, ca_file=""), implicit
    with pytest.raises(CannotOpen) as caught:
        measured(wish)
    assert (caught.value.failure.step, caught.value.nobody_there) == ("TLS", False)


@pytest.mark.parametrize("address", [TCPAddress("127.0.0.1", 1), UnixAddress("/nonexistent/socket")])
def test_nobody_there(serve: Serve, address: TCPAddress | UnixAddress) -> None:
    wish = plan(serve({}))
    wish.address = address
    with pytest.raises(CannotOpen) as caught:
        measured(wish)
    assert caught.value.nobody_there


def test_a_name_with_several_addresses(serve: Serve) -> None:
    wish = plan(serve({}))
    assert isinstance(wish.address, TCPAddress)
    wish.address = TCPAddress("localhost", wish.address.port)  # ::1 is refused
    assert counts(measured(wish)) == (4, 0, {})


def test_large_mail_and_a_slow_reader(serve: Serve) -> None:
    wish = plan(serve({}), mails=2)
    wish.templates = repeat(LARGE)
    measures = measured(wish)
    assert counts(measures) == (2, 0, {})
    assert measures.octets > 6_000_000
    assert measures.verdict.highest <= measures.mail.highest  # test_connection.py has what lies between


# --- time


def test_mails_are_due_at_a_rate(serve: Serve) -> None:
    measures = measured(plan(serve({}), mails=20, rate=100.0, connections=3))
    assert counts(measures) == (20, 0, {})
    assert 0.19 <= measures.seconds < 10


def test_waiting_for_a_connection_counts(serve: Serve) -> None:
    """Ten mails are due at once, in effect: one connection sends them in turn, and the last has waited for all."""
    measures = measured(plan(serve({}), mails=10, rate=1e6))
    assert counts(measures) == (10, 0, {})
    assert measures.mail.highest == pytest.approx(measures.seconds, abs=1e-4)
    assert measures.mail.total > measures.verdict.total


@pytest.mark.parametrize("rate", [0.0, 50.0])
def test_duration(serve: Serve, rate: float) -> None:
    measures = measured(plan(serve({}), mails=0, duration_s=0.3, rate=rate, connections=2))
    assert measures.failed == 0
    assert measures.answered == 15 if rate else measures.answered >= 2
    assert sum(interval.answered for interval in measures.intervals) == measures.answered


def test_what_was_due_and_never_sent_has_failed(serve: Serve) -> None:
    measures = measured(plan(serve({}), mails=0, duration_s=0.2, rate=1e6))
    assert measures.mails == 200_000
    assert dict(measures.failures) == {"between mails: never sent": measures.failed}


def test_alarm_rings_once() -> None:
    loop = uvloop.new_event_loop()
    rung: list[float] = []
    done = loop.create_future()
    began = time.perf_counter()

    def ring() -> None:
        rung.append(time.perf_counter() - began)
        if len(rung) == 1:
            assert not alarm.set
            alarm.arm(0.0)
        else:
            done.set_result(None)

    alarm = Alarm(loop, ring)
    alarm.arm(50.0)
    alarm.arm(0.0123)
    assert alarm.set
    loop.run_until_complete(asyncio.wait_for(done, 20))
    alarm.close()
    loop.close()
    assert 0.0123 <= rung[0] <= rung[1]
