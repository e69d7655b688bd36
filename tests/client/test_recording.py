"""Recordings as files: what is read of them, and how other files are refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from fastsmtp.client.auth import Account
from fastsmtp.client.mail import OwnEnvelope
from fastsmtp.client.recording import Recorded, RecordingError, read_recording, sessions_of

OCTETS = b"From: a@example.com\r\nTo: b@example.com, c@example.com\r\n\r\nHello\r\n"
RAW = base64.b64encode(OCTETS).decode()
WHOLE = {
    "raw": RAW,
    "received_at": "2026-11-27T18:46:01.500Z",
    "connection": "c1",
    "envelope": {
        "from": "x@example.com",
        "to": ["y@example.com"],
        "helo": "shop",
        "mail_params": {"ENVID": "1"},
        "rcpt_params": [{"NOTIFY": "NEVER"}],
    },
    "authentication": {"mechanism": "PLAIN", "username": "u", "password": "p"},
}
OWN = OwnEnvelope("x@example.com", ["y@example.com"], {"ENVID": "1"}, [{"NOTIFY": "NEVER"}])


def write(path: Path, *lines: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_line_tells_all(tmp_path: Path) -> None:
    later = {**WHOLE, "received_at": "2026-11-27T18:46:03Z", "connection": "c2", "authentication": {}}
    found = read_recording(write(tmp_path / "x.jsonl", later, WHOLE))
    first = Recorded(OCTETS, OWN, 0.0, "c1", "shop", "PLAIN", Account("u", "p"))
    assert found == [first, first._replace(at_s=1.5, connection="c2", mechanism="", account=None)]
    assert sessions_of(found) == [[found[0]], [found[1]]]
    assert sessions_of([first, found[1], first]) == [[first, first], [found[1]]]


def test_messages_are_recordings_without_timing(tmp_path: Path) -> None:
    expected = Recorded(OCTETS, OwnEnvelope("a@example.com", ["b@example.com", "c@example.com"]))
    for name in ("2.eml", "1.eml"):
        (tmp_path / name).write_bytes(OCTETS)
    assert read_recording(tmp_path / "1.eml") == [expected]
    assert read_recording(tmp_path) == [expected] * 2
    assert read_recording(write(tmp_path / "x.jsonl", {"raw": RAW})) == [expected]
    assert sessions_of([expected, expected]) == [[expected], [expected]]


def test_a_directory_has_a_file_for_each_mail(tmp_path: Path) -> None:
    (tmp_path / "000001.eml").write_bytes(OCTETS)
    write(tmp_path / "recording.jsonl", {**{key: WHOLE[key] for key in ("envelope",)}, "file": "000001.eml"})
    assert [(one.octets, one.envelope) for one in read_recording(tmp_path)] == [(OCTETS, OWN)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "Expecting property name"),
        ("[]", "it is no object"),
        ("{}", "there is no 'raw'"),
        ('{"raw": "?"}', "Only base64 data is allowed|Non-base64|Invalid"),
        ('{"file": "../x"}', "'../x' does not lie beside it"),
        (json.dumps({**WHOLE, "envelope": {"from": 1, "to": []}}), "a text as `from`"),
        (json.dumps({**WHOLE, "envelope": {"from": "a", "to": "b"}}), "a list of texts as `to`"),
        (json.dumps({**WHOLE, "envelope": {"from": "a", "to": ["b\r\nQUIT"]}}), "cannot be part of a command"),
        (
            json.dumps({**WHOLE, "envelope": {"from": "a", "to": ["b"], "mail_params": {"X": "\n"}}}),
            "part of a command",
        ),
        (
            json.dumps({**WHOLE, "envelope": {"from": "a", "to": ["b"], "mail_params": {"X": 1}}}),
            "parameters are texts",
        ),
        (json.dumps({**WHOLE, "received_at": "yesterday"}), "yesterday"),
        ("[" * 100_000, "recursion|is no mail"),
    ],
)
def test_what_is_no_recording_is_told_with_its_line(tmp_path: Path, line: str, why: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(f"\n{line}\n")
    with pytest.raises(RecordingError, match=why) as caught:
        read_recording(path)
    assert str(caught.value).startswith(f"{path}, line 2 is no mail of a recording: ")


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"cannot read .*/none: No such file or directory"):
        read_recording(tmp_path / "none")
    with pytest.raises(RecordingError, match="there is no mail in "):
        read_recording(tmp_path)
