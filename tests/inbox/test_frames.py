"""Frames between SMTP processes and the inbox: what one side writes is what the other reads."""

from __future__ import annotations

import pytest

from fastsmtp.errors import FrameError
from fastsmtp.goridge.frame import CODEC_JSON, Frame, FrameDecoder
from fastsmtp.inbox.frames import (
    Counts,
    Head,
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
    assert read_frame(frame) == MailFrame(2**32 - 1, head, b'{"uuid":"u"}', raw)


def test_counts() -> None:
    counts = Counts({"default": {"aborted": 2}}, ["uuid-of-a-mail"])
    assert read_frame(sent(counts_frame(counts))) == counts


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
        read_frame(Frame(CODEC_JSON, 0, options, payload))


@pytest.mark.parametrize("payload", [b"", b"{}", b'[["1", ""]]'])
def test_what_no_inbox_sends(payload: bytes) -> None:
    with pytest.raises(FrameError, match="no verdicts: "):
        read_verdicts(Frame(CODEC_JSON, 0, (), payload))
