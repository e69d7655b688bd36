"""What does not change in an email, what is joined when, and whose files they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from captures import capture_email
from damage import multipart

from fastsmtp.capture.attachments import TempfileStorage
from fastsmtp.capture.email import Email
from fastsmtp.mime.defects import UNDECODABLE_CHARSET
from fastsmtp.smtp.events import Verdict

TWO_FILES = multipart(
    "--b\nContent-Type: image/png\n\n" + "x" * 2000 + "\n--b\nContent-Type: image/png\n\n" + "y" * 2000 + "\n--b--\n"
)


def email_of(octets: bytes, storage: TempfileStorage | None = None) -> Email:
    email = capture_email(octets, storage=storage)
    assert email is not None
    return email


TEXTS: dict[str, tuple[list[str], str]] = {
    "without line ends": (["a", "b", "c"], "a\r\nb\r\nc"),
    "with line ends": (["a\r\n\r\n", "b\r\n", "c"], "a\r\n\r\nb\r\nc"),
    "empty between": (["a", "", "b"], "a\r\nb"),
    "empty first": (["", "", "b"], "b"),
    "empty last": (["a", ""], "a\r\n"),
    "bare line feed": (["a\n\n", "b"], "a\n\nb"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_joined_line_by_line(name: str) -> None:
    texts, joined = TEXTS[name]
    parts = "".join("--b\r\n\r\n" + text + "\r\n" for text in texts)
    octets = f"Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n".encode()
    email = email_of(octets)
    assert (email.text, email.html) == (joined, None)


def test_joining_many_texts_copies_each_once() -> None:
    # Ten thousand parts of 1000 octets: added up one by one they would be 50 GB of copies, which no test survives.
    parts = ("--b\r\n\r\n" + "x" * 998 + "\r\n") * 9999
    email = email_of(f"Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n".encode())
    assert email.text == "\r\n".join(["x" * 998] * 9999)


@pytest.mark.parametrize("first", ["text", "html", "defects"])
def test_what_is_asked_for_first_makes_no_difference(first: str) -> None:
    octets = multipart(
        "--b\nContent-Type: text/html; charset=utf-16\n\nabc\n"
        "--b\nContent-Type: text/plain; charset=utf-16\n\nxyz\n--b--\n"
    )
    email = email_of(octets)
    getattr(email, first)
    expected = email_of(octets)
    assert (email.text, email.html, email.defects) == (expected.text, expected.html, expected.defects)
    assert email.defects == [UNDECODABLE_CHARSET]


def test_defects_are_the_callers_copy() -> None:
    email = email_of(b"Subject: x\r\n\r\ntext")
    email.defects.append("mine")
    assert email.defects == []


def test_a_decided_email_differs_in_its_verdict_alone() -> None:
    email = email_of(TWO_FILES)
    decided = email.decided(Verdict.WORKER_FAILED)
    assert (email.verdict, decided.verdict) == (None, Verdict.WORKER_FAILED)
    for name in (
        "uuid", "origin", "received_at", "envelope", "violations", "transcript", "message", "text", "html", "size",
        "raw", "defects", "attachments",
    ):  # fmt: skip
        assert getattr(decided, name) == getattr(email, name), name


# Files


def test_released_files_stay(tempfiles: TempfileStorage, directory: Path) -> None:
    email = email_of(TWO_FILES, tempfiles)
    email.attachments.release()
    email.attachments.discard()  # nothing is ours any more
    assert sorted(path.read_bytes() for path in directory.iterdir()) == [b"x" * 2000, b"y" * 2000]


def test_discarded_files_are_deleted(tempfiles: TempfileStorage, directory: Path) -> None:
    email = email_of(TWO_FILES, tempfiles)
    email.attachments.discard()
    email.attachments.discard()
    email.attachments.release()
    assert list(directory.iterdir()) == []
    assert len(email.attachments) == 2


def test_files_to_discard_may_be_gone(tempfiles: TempfileStorage, directory: Path) -> None:
    email = email_of(TWO_FILES, tempfiles)
    for number, path in enumerate(directory.iterdir()):
        path.rename(directory.parent / f"moved-{number}")
    email.attachments.discard()
    assert sorted(path.name for path in directory.parent.glob("moved-*")) == ["moved-0", "moved-1"]
