"""Mails kept as files: their names, their content, and what is left when one cannot be written."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from fastsmtp.printer.archive import Archive, prepare

STEM = "20260304T050607123Z-0195"


def mail(raw: str, encoding: str, **message: Any) -> dict[str, Any]:
    return {
        "uuid": "0195",
        "received_at": "2026-03-04T05:06:07.123Z",
        "message": {"subject": "Grüße", **message, "raw": raw, "raw_encoding": encoding},
    }


@pytest.mark.parametrize(
    ("raw", "encoding", "octets"),
    [("Subject: ü\r\n\r\nx", "text", b"Subject: \xc3\xbc\r\n\r\nx"), ("AP+A", "base64", b"\x00\xff\x80")],
    ids=["text", "base64"],
)
def test_keeps_message_and_json(tmp_path: Path, raw: str, encoding: str, octets: bytes) -> None:
    path = Archive(str(tmp_path)).keep(mail(raw, encoding, html=None))
    assert path == str(tmp_path / f"{STEM}.eml")
    assert {item.name: stat.S_IMODE(item.stat().st_mode) for item in tmp_path.iterdir()} == {
        f"{STEM}.eml": 0o600,
        f"{STEM}.json": 0o600,
    }
    assert (tmp_path / f"{STEM}.eml").read_bytes() == octets
    text = (tmp_path / f"{STEM}.json").read_text()
    assert "Grüße" in text
    assert text.endswith("}\n")
    assert json.loads(text) == {
        "uuid": "0195",
        "received_at": "2026-03-04T05:06:07.123Z",
        "message": {"subject": "Grüße", "html": None},
    }


def test_replaces_nothing_half(tmp_path: Path) -> None:
    """An unfinished file of the same name stops it: two processes write no mail together."""
    (tmp_path / f"{STEM}.eml.part").write_bytes(b"of another")
    with pytest.raises(FileExistsError):
        Archive(str(tmp_path)).keep(mail("x", "text"))
    assert {item.name: item.read_bytes() for item in tmp_path.iterdir()} == {f"{STEM}.eml.part": b"of another"}


def test_leaves_no_unfinished_file(tmp_path: Path) -> None:
    (tmp_path / f"{STEM}.json").mkdir()  # over which no file can be renamed
    with pytest.raises(IsADirectoryError):
        Archive(str(tmp_path)).keep(mail("x", "text"))
    assert sorted(item.name for item in tmp_path.iterdir()) == [f"{STEM}.eml", f"{STEM}.json"]


def test_prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert prepare("mails") == os.path.join(os.getcwd(), "mails")
    assert stat.S_IMODE((tmp_path / "mails").stat().st_mode) == 0o700
    (tmp_path / "mails").chmod(0o755)
    assert prepare("mails") == os.path.join(os.getcwd(), "mails")  # what is there stays as it is
    assert stat.S_IMODE((tmp_path / "mails").stat().st_mode) == 0o755
