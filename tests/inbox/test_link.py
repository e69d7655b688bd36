"""Mails from an SMTP process to the inbox, over a real socket."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from arrivals import payload
from pools import Log, Run, on_both_loops
from waits import until

from fastsmtp.capture.spool import SPOOL_BYTES, process_of
from fastsmtp.errors import FrameError
from fastsmtp.goridge.frame import CODEC_JSON, FrameDecoder, encode_frame
from fastsmtp.inbox.frames import (
    Counted,
    Counts,
    Head,
    ListeningReport,
    MailFrame,
    Orders,
    counts_frame,
    mail_frame,
    orders_frame,
    read_frame,
    read_verdicts,
    verdicts_frame,
)
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.incoming import IncomingFiles
from fastsmtp.inbox.link import Link
from fastsmtp.inbox.linkserver import LinkServer
from fastsmtp.inbox.store import Store

UUID = "01890a5d-ac96-774b-bcce-b302099a8057"
HEAD = Head(["default"], 1_800_000_000_000, "accepted")


def listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    return listener


def octets(uuid: str) -> bytes:
    return orjson.dumps(payload(uuid))


def encode(uuid: str) -> Callable[[], list[bytes]]:
    return lambda: [octets(uuid)]


# --- frames


def test_frames() -> None:
    (mail,) = FrameDecoder().feed(b"".join(mail_frame(7, HEAD, [b'{"uuid":', b'"u"}'], b"Subject: x\r\n\r\n")))
    assert read_frame(mail.options, mail.payload) == MailFrame(7, HEAD, b'{"uuid":"u"}', b"Subject: x\r\n\r\n")
    (bare,) = FrameDecoder().feed(b"".join(mail_frame(0, HEAD, [b"{}"], b"")))
    assert read_frame(bare.options, bare.payload) == MailFrame(0, HEAD, b"{}", b"")
    (counts,) = FrameDecoder().feed(counts_frame(Counts({"a": {"begun": 1}}, ["u"])))
    assert read_frame(counts.options, counts.payload) == Counts({"a": {"begun": 1}}, ["u"])
    (verdicts,) = FrameDecoder().feed(verdicts_frame([(1, ""), (2, "disk full")]))
    assert read_verdicts(verdicts) == [(1, ""), (2, "disk full")]


@pytest.mark.parametrize(
    ("options", "octets"),
    [
        ((), b"[]"),
        ((), b"{"),
        ((9, 3, 1), b"{}"),
        ((2, 9, 1), b"{}"),
        ((2, 2, 1), b"{}"),
        ((2, 2), b"{}"),
        ((2, 2, 1, 1), b"{}"),
    ],
)
def test_what_is_no_frame_of_a_mail(options: tuple[int, ...], octets: bytes) -> None:
    (frame,) = FrameDecoder().feed(encode_frame(CODEC_JSON, octets, options))
    with pytest.raises(FrameError):
        read_frame(frame.options, frame.payload)


def test_what_are_no_verdicts() -> None:
    (frame,) = FrameDecoder().feed(encode_frame(CODEC_JSON, b'{"1": ""}'))
    with pytest.raises(FrameError, match=r"^no verdicts: "):
        read_verdicts(frame)


# --- the link


@on_both_loops
def test_a_mail_is_answered_when_it_is_committed(run_loop: Run, log: Log, tmp_path: Path) -> None:
    async def go() -> None:
        store = Store("")
        inbox, ledger = Inbox(store, log.logger), store.ledger
        server = LinkServer(inbox, log.logger)
        await server.start(listening(tmp_path / "s"))
        link = Link(str(tmp_path / "s"), log.logger)
        await link.start()
        answers: list[tuple[str, str]] = []
        link.count("default", "begun", 3)
        for uuid in ("a", "b", "c"):
            link.send(uuid, HEAD, encode(uuid), b"raw", lambda wrong, uuid=uuid: answers.append((uuid, wrong)))  # type: ignore[misc]
        assert answers == []
        await until(lambda: len(answers) == 3)
        link.count("default", "accepted", 2)
        assert answers == [("a", ""), ("b", ""), ("c", "")]
        await until(lambda: ledger.of("default") == {"begun": 3, "accepted": 2})
        space = inbox.namespace("default")
        assert space is not None
        assert [row.uuid for row in (await inbox.find(space)).rows] == ["c", "b", "a"]
        assert (await inbox.ledger(space))["balanced"]
        link.close()  # before it told that the third is accepted, which it is
        await until(lambda: ledger.of("default") == {"begun": 3, "accepted": 3})
        await server.close()
        await inbox.close()

    run_loop(go())


def test_a_large_mail_goes_by_its_file(run_loop: Run, log: Log, tmp_path: Path) -> None:
    """The inbox says where files go; when the process is gone, so are they. A process names its own only."""

    async def go() -> None:
        (tmp_path / "store").mkdir()
        inbox = Inbox(Store(str(tmp_path / "store")), log.logger)
        incoming = IncomingFiles(str(tmp_path / "store" / "incoming"))
        incoming.open()
        server = LinkServer(inbox, log.logger, incoming=incoming)
        await server.start(listening(tmp_path / "s"))
        link, other = Link(str(tmp_path / "s"), log.logger), Link(str(tmp_path / "s"), log.logger)
        await link.start()
        await other.start()
        await link.first_ports()
        assert link.spool.begins_at == SPOOL_BYTES
        file, left = link.spool.open(UUID), link.spool.open(UUID[:-1] + "0")
        file.feed(b"x" * 100)
        file.close()
        answers: list[str] = []
        head = msgspec.structs.replace(HEAD, spool=file.name)
        link.send("a", head, encode("a"), b"", answers.append)
        await until(lambda: answers == [""])
        file.delete()
        space = inbox.namespace("default")
        assert space is not None
        (row,) = (await inbox.find(space)).rows
        assert await inbox.run(lambda store: store.mails.raw(row)) == b"x" * 100
        assert os.listdir(incoming.path) == [left.name]

        other.send("b", head, encode("b"), b"", answers.append)
        await until(lambda: any(r["event"] == "an SMTP process sent what is not a mail" for r in log.records))
        other.close()
        server.leave(process_of(left.name))
        await until(lambda: os.listdir(incoming.path) == [])
        left.delete()
        link.close()
        await server.close()
        await inbox.close()
        incoming.close()

    run_loop(go())


@on_both_loops
def test_what_was_not_acknowledged_is_sent_again(run_loop: Run, log: Log, tmp_path: Path) -> None:
    """The first inbox takes a mail and is killed before it answers; the next one files it once."""

    async def go() -> None:
        killed = listening(tmp_path / "s")
        killed.listen()
        link = Link(str(tmp_path / "s"), log.logger)
        await link.start()
        answers: list[str] = []
        link.send("a", HEAD, encode("a"), b"raw", answers.append)
        killed.close()
        (tmp_path / "s").unlink()
        await until(lambda: not link.connected)
        link.send("b", HEAD, encode("b"), b"raw", answers.append)
        inbox = Inbox(Store(""), log.logger)
        server = LinkServer(inbox, log.logger)
        await server.start(listening(tmp_path / "s"))
        await until(lambda: answers == ["", ""])
        space = inbox.namespace("default")
        assert space is not None
        assert [row.uuid for row in (await inbox.find(space)).rows] == ["b", "a"]
        link.close()
        await server.close()
        await inbox.close()

    run_loop(go())


@on_both_loops
def test_an_inbox_that_does_not_answer_refuses(run_loop: Run, log: Log, tmp_path: Path) -> None:
    """And takes the mail back when it answers again."""

    async def go() -> None:
        inbox = Inbox(Store(""), log.logger)
        server = LinkServer(inbox, log.logger)
        listener = listening(tmp_path / "s")
        listener.listen()
        link = Link(str(tmp_path / "s"), log.logger, patience_s=0.01)
        await link.start()
        answers: list[str] = []
        link.send("a", HEAD, encode("a"), b"raw", answers.append)
        counted = Head(["default"], 0, "accepted", counted=Counted("b", 10))
        link.send("b", counted, lambda: (), b"", answers.append)
        await until(lambda: answers == 2 * ["the inbox does not answer"])
        await server.start(listener)  # it has waited in the socket
        space = await inbox.put("default")
        await until(lambda: space.counters.by_outcome == {"accepted": 0, "storage-failed": 2})
        assert (space.counters.accepted, space.counters.counted_only, space.counters.refused) == (0, 0, 1)
        link.close()
        await server.close()
        await inbox.close()

    run_loop(go())


@on_both_loops
def test_an_inbox_that_reads_nothing_is_written_no_more_than_the_window(
    run_loop: Run, log: Log, tmp_path: Path
) -> None:
    """However many mails are refused meanwhile; when it reads again, the next ones are filed."""

    async def go() -> None:
        store = Store("")
        inbox = Inbox(store, log.logger)
        server = LinkServer(inbox, log.logger)
        listener = listening(tmp_path / "s")
        listener.listen()
        link = Link(str(tmp_path / "s"), log.logger, patience_s=0.01, window=1_000_000)
        await link.start()
        answers: list[str] = []
        for number in range(2):
            for place in range(10):
                link.send(f"{number}-{place}", HEAD, encode("x"), bytes(300_000), answers.append)
                link.count("default", "begun")
            await until(lambda: len(answers) == 10 * (number + 1))  # noqa: B023
            assert 600_000 < link.in_flight <= 1_000_000
        assert set(answers) == {"the inbox does not answer"}
        await server.start(listener)
        await until(lambda: not link.in_flight)
        link.send("a", HEAD, encode("a"), bytes(300_000), answers.append)
        await until(lambda: len(answers) == 21)
        assert answers[-1] == ""
        await until(lambda: store.ledger.of("default") == {"begun": 20})
        link.close()
        await server.close()
        await inbox.close()

    run_loop(go())


@on_both_loops
def test_mails_wait_for_room_in_their_order_and_one_larger_than_the_window_is_alone(
    run_loop: Run, log: Log, tmp_path: Path
) -> None:
    async def go() -> None:
        inbox = Inbox(Store(""), log.logger)
        server = LinkServer(inbox, log.logger)
        await server.start(listening(tmp_path / "s"))
        link = Link(str(tmp_path / "s"), log.logger, window=1000)
        await link.start()
        answers: list[tuple[str, str]] = []
        for uuid, size in (("a", 10), ("b", 5000), ("c", 10), ("d", 5000)):
            link.send(uuid, HEAD, encode(uuid), bytes(size), lambda wrong, uuid=uuid: answers.append((uuid, wrong)))  # type: ignore[misc]
        assert link.in_flight < 1000
        await until(lambda: len(answers) == 4)
        assert answers == [("a", ""), ("b", ""), ("c", ""), ("d", "")]
        assert link.in_flight == 0
        link.close()
        await server.close()
        await inbox.close()

    run_loop(go())


class Text:
    """A stretch of JSON that is made while it is written."""

    def __init__(self, octets: int, *, broken: bool = False) -> None:
        self.size = octets
        self._broken = broken

    def blocks(self) -> Iterator[bytes]:
        for start in range(0, self.size, 10_000):
            yield b"x" * min(10_000, self.size - start)
            if self._broken:
                raise ZeroDivisionError


def large(uuid: str, *, broken: bool = False) -> Callable[[], list[Any]]:
    """A payload whose text of 5 MB is never in memory."""
    text = Text(5_000_000, broken=broken)
    head, tail = orjson.dumps(payload(uuid, text="?TEXT?", size=5_000_000)).split(b"?TEXT?", 1)
    return lambda: [head, text, tail.replace(b"?TEXT?", b"")]


@on_both_loops
def test_a_large_mail_is_made_while_it_is_written_and_nothing_comes_in_between(
    run_loop: Run, log: Log, tmp_path: Path
) -> None:
    async def go() -> None:
        store = Store("")
        inbox = Inbox(store, log.logger)
        server = LinkServer(inbox, log.logger)
        await server.start(listening(tmp_path / "s"))
        kept: list[int] = []
        link = Link(str(tmp_path / "s"), log.logger, on_json=kept.append)
        await link.start()
        answers: list[tuple[str, str]] = []
        for uuid, made in (("a", large("a")), ("b", encode("b")), ("c", large("c")), ("d", encode("d"))):
            link.count("default", "begun")
            link.send(uuid, HEAD, made, b"raw", lambda wrong, uuid=uuid: answers.append((uuid, wrong)))  # type: ignore[misc]
            link.tell_listening(ListeningReport(0, {}, ["127.0.0.1:2525"]))
        await until(lambda: len(answers) == 4)
        assert sorted(answers) == [("a", ""), ("b", ""), ("c", ""), ("d", "")]
        await until(lambda: store.ledger.of("default") == {"begun": 4})
        await until(lambda: inbox.ports.common == "127.0.0.1:2525")
        assert (max(kept) < 10_000, kept[-1]) == (True, 0)
        space = inbox.namespace("default")
        assert space is not None
        rows = {row.uuid: row for row in (await inbox.find(space)).rows}
        document = await inbox.run(lambda store: store.mails.document(rows["c"]))
        assert orjson.loads(document)["message"]["body"] == "x" * 5_000_000
        link.close()
        await server.close()
        await inbox.close()

    run_loop(go())


@on_both_loops
def test_a_large_mail_that_is_refused_while_it_is_read_is_withdrawn(run_loop: Run, log: Log, tmp_path: Path) -> None:
    async def go() -> None:
        inbox = Inbox(Store(""), log.logger)
        space = await inbox.put("default")
        server = LinkServer(inbox, log.logger)
        await server.start(listening(tmp_path / "s"))
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        document = orjson.dumps(payload("a", text="\0" * 2_000_000))
        writer.writelines([*mail_frame(1, HEAD, [document], b"raw"), counts_frame(Counts({}, ["a"]))])
        await until(lambda: space.counters.refused == 1)
        assert space.counters.by_outcome == {"accepted": 0, "storage-failed": 1}
        greeting = orders_frame(0, Orders())
        assert await reader.readexactly(len(greeting)) == greeting
        writer.close()
        await until(lambda: not len(server))
        await server.close()
        await inbox.close()

    run_loop(go())


def broken() -> list[bytes]:
    raise ZeroDivisionError


@on_both_loops
@pytest.mark.parametrize("made", [broken, large("a", broken=True)], ids=["at once", "while it is written"])
def test_a_mail_whose_json_cannot_be_made_is_refused_and_others_are_filed(
    run_loop: Run, log: Log, tmp_path: Path, made: Callable[[], list[Any]]
) -> None:
    async def go() -> None:
        inbox = Inbox(Store(""), log.logger)
        server = LinkServer(inbox, log.logger)
        await server.start(listening(tmp_path / "s"))
        link = Link(str(tmp_path / "s"), log.logger)
        await link.start()
        answers: list[tuple[str, str]] = []
        for uuid, encoded in (("a", made), ("b", encode("b"))):
            link.send(uuid, HEAD, encoded, b"raw", lambda wrong, uuid=uuid: answers.append((uuid, wrong)))  # type: ignore[misc]
        await until(lambda: len(answers) == 2)
        assert sorted(answers) == [("a", "the mail cannot be encoded; the log says why"), ("b", "")]
        link.close()
        await server.close()
        await inbox.close()

    run_loop(go())


@on_both_loops
def test_a_link_that_is_closed_refuses_what_it_has(run_loop: Run, log: Log, tmp_path: Path) -> None:
    async def go() -> None:
        listener = listening(tmp_path / "s")
        listener.listen()
        link = Link(str(tmp_path / "s"), log.logger)
        await link.start()
        answers: list[str] = []
        link.send("a", HEAD, encode("a"), b"raw", answers.append)
        link.close()
        assert answers == []
        await until(lambda: answers == ["the server stops"])
        listener.close()

    run_loop(go())


@on_both_loops
@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", encode_frame(CODEC_JSON, b"[]")])
def test_a_stranger_is_sent_away(run_loop: Run, log: Log, tmp_path: Path, sent: bytes) -> None:
    async def go() -> None:
        inbox = Inbox(Store(""), log.logger)
        server = LinkServer(inbox, log.logger)
        await server.start(listening(tmp_path / "s"))
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(sent)
        assert await reader.read() == orders_frame(0, Orders())  # what it greets SMTP processes with
        writer.close()
        await until(lambda: not len(server))
        await server.close()
        await inbox.close()

    run_loop(go())
