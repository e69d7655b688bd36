"""Frames between SMTP processes and the inbox: what one side writes is what the other reads."""

from __future__ import annotations

import pytest

from fastsmtp.capture.handling import Handling
from fastsmtp.errors import FrameError
from fastsmtp.goridge.frame import CODEC_JSON, Frame, FrameDecoder
from fastsmtp.inbox.frames import (
    Counts,
    Head,
    LinkDecoder,
    MailFrame,
    counts_frame,
    mail_frame,
    read_frame,
    read_verdicts,
    verdicts_frame,
)


def sent(octets: bytes) -> Frame:
    [frame] = FrameDecoder().feed(octets)
    return frame


@pytest.mark.parametrize("raw", [b"", b"Subject: x\r\n\r\n"])
def test_mail(raw: bytes) -> None:
    head = Head(["default", "run/1"], 1_793_000_000_123, "accepted", "" if raw else "/spool/1")
    segments = mail_frame(2**32 - 1, head, [b'{"uuid":', bytearray(b'"u"}')], raw)
    frame = sent(b"".join(segments))
    assert read_frame(frame.options, frame.payload) == MailFrame(2**32 - 1, head, b'{"uuid":"u"}', raw)


def test_what_a_worker_did() -> None:
    head = Head(["default"], 1, "accepted", worker=Handling(7, "ERROR", "no \u202e<b>", 1, 2))
    frame = sent(b"".join(mail_frame(1, head, [b"{}"], b"")))
    assert read_frame(frame.options, frame.payload) == MailFrame(1, head, b"{}", b"")


def test_counts() -> None:
    counts = Counts({"default": {"aborted": 2}}, ["uuid-of-a-mail"])
    frame = sent(counts_frame(counts))
    assert read_frame(frame.options, frame.payload) == counts


@pytest.mark.parametrize("piece", [1 << 30, 200_000, 65_536, 4_099])
def test_frames_of_any_size_are_read_however_they_are_cut(piece: int) -> None:
    """A large mail is a view of what was collected: it is never copied as a whole."""
    head, counts = Head(["default"], 1, "accepted"), Counts({"a": {"begun": 1}})
    written = [
        MailFrame(number, head, b'{"n":%d}' % number + b" " * spaces, bytes(octets))
        for number, (spaces, octets) in enumerate(
            [(10, 10), (900_000, 3), (3, 800_000), (400_000, 0), (600_000, 600_000)]
        )
    ]
    stream = b"".join(
        b"".join(mail_frame(mail.number, head, [mail.payload], mail.raw)) + counts_frame(counts) for mail in written
    )
    decoder = LinkDecoder()
    read = [said for at in range(0, len(stream), piece) for said in decoder.feed(stream[at : at + piece])]
    assert read == [said for mail in written for said in (mail, counts)]
    views = [isinstance(said.payload, memoryview) for said in read if isinstance(said, MailFrame)]
    assert views == [False, piece < 1 << 30, piece < 1 << 30, piece < 1 << 30, piece < 1 << 30]


def test_verdicts() -> None:
    verdicts = [(1, ""), (2, "the disk is full")]
    assert read_verdicts(sent(verdicts_frame(verdicts))) == verdicts


@pytest.mark.parametrize(
    ("options", "payload"),
    [
        ((), b"{"),
        ((), b"[]"),
        ((5, 6, 1), b"123456"),
        ((7, 2, 1), b"{}"),
        ((2, 2, 1), b"{}"),
        ((2, 2), b"{}"),
    ],
    ids=["no JSON", "no counts", "head beyond context", "context beyond payload", "no head", "too few options"],
)
def test_what_no_smtp_process_sends(options: tuple[int, ...], payload: bytes) -> None:
    with pytest.raises(FrameError):
        read_frame(options, payload)


@pytest.mark.parametrize("payload", [b"", b"{}", b'[["1", ""]]'])
def test_what_no_inbox_sends(payload: bytes) -> None:
    with pytest.raises(FrameError, match="no verdicts: "):
        read_verdicts(Frame(CODEC_JSON, 0, (), payload))
