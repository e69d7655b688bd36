"""Mails are recorded, sent again as they came, and compared: `record`, `replay`, `bench --replay` and `diff`."""

from __future__ import annotations

import base64
import json
import smtplib
import subprocess
import sys
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
from apicalls import call
from servers import Serve, Server
from startserver import serve

__all__ = ["serve"]
pytestmark = pytest.mark.one_python

COMMAND = [sys.executable, "-m", "fastsmtp"]
# What is another each time that a mail is sent.
VOLATILE = ("uuid", "received_at", "connection", "remote_addr", "file")


def fastsmtp(*arguments: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [*COMMAND, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def server(serve: Serve) -> Server:
    return serve({"inbox": {"address": "127.0.0.1:0"}}, worker=None)


def port_of(server: Server, name: str) -> str:
    """The port of a namespace, which is made."""
    made = call(server, "PUT", f"/api/ns/{name}", {"listen": True})[1]["smtp"]
    return f"{made['host']}:{made['port']}"


def make(subject: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", subject
    message.set_content("Grüße\n.\n")
    return message


def send_variety(address: str) -> None:
    """Two connections at the same time, one with a login and parameters."""
    host, _colon, port = address.rpartition(":")
    with smtplib.SMTP(host, int(port), "one.test") as one, smtplib.SMTP(host, int(port), "two.test") as two:
        one.login("ann", "secret")
        one.sendmail("a@example.com", ["b@example.com", "c@example.com"], make("1").as_bytes(policy=SMTP),
                     ["ENVID=QQ", "RET=HDRS"], ["NOTIFY=SUCCESS,FAILURE"])  # fmt: skip
        two.send_message(make("2"))
        one.sendmail("", ["d@example.com"], make("3").as_bytes(policy=SMTP))


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def kept(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is the same when it is sent again; SIZE is that of the client."""
    shown = []
    for line in lines:
        envelope = {key: value for key, value in line["envelope"].items() if key != "mail_params"}
        parameters = line["envelope"].get("mail_params", {})
        envelope["mail_params"] = {
            key.upper(): parameters[key] for key in parameters if key.upper() in ("ENVID", "RET")
        }
        shown.append({key: value for key, value in line.items() if key not in VOLATILE} | {"envelope": envelope})
    return sorted(shown, key=lambda line: line["subject"])


def test_a_recording_is_sent_again_as_it_came(server: Server, tmp_path: Path) -> None:
    send_variety(port_of(server, "first"))
    original, copy = tmp_path / "first.jsonl", tmp_path / "copy.jsonl"
    arguments = ["record", str(original), "-n", "first", "--all", "--count", "3", "--url", server.inbox]
    assert fastsmtp(*arguments) == (0, f"recorded 3 mails in {original}\n", "")
    address = port_of(server, "second")
    told = fastsmtp("replay", str(original), "--to", address, "--speed", "max", "--helo", "", "--connections", "1")
    assert told == (0, f"3 of 3 mails accepted by {address}\n", "")
    arguments = ["record", str(copy), "-n", "second", "--all", "--for", "10ms", "--json", "--url", server.inbox]
    assert fastsmtp(*arguments) == (0, f'{{"file": "{copy}", "recorded": 3}}\n', "")
    first, second = lines_of(original), lines_of(copy)
    assert kept(second) == kept(first)
    assert [line.get("authentication", {}).get("username") for line in first] == ["ann", None, "ann"]
    assert [len({line["connection"] for line in lines}) for lines in (first, second)] == [2, 2]
    assert [line["subject"] for line in second] == ["1", "3", "2"]  # one connection after the other
    assert [fastsmtp("diff", str(original), str(other), "-s")[0] for other in (original, copy)] == [0, 1]


def test_recipients_are_mapped_and_refusals_told(server: Server, tmp_path: Path) -> None:
    recording = tmp_path / "x.jsonl"
    envelope = {"from": "a@example.com", "to": ["b@old.test", "c@old.test", "d@else.test"]}
    raw = base64.b64encode(b"Subject: x\r\n\r\n").decode()
    recording.write_text(json.dumps({"raw": raw, "envelope": envelope}))
    address = port_of(server, "mapped")
    rules = ["--rcpt-map", "c@old.test=", "--rcpt-map", "*@old.test=*@new.test"]
    assert fastsmtp("replay", str(recording), "--to", address, *rules)[0] == 0
    [mail] = call(server, "GET", "/api/ns/mapped/mails")[1]["mails"]
    assert mail["envelope"]["to"] == ["b@new.test", "d@else.test"]
    call(server, "PUT", "/api/ns/mapped", {"listen": True, "quota": {"mails": 1}, "on_quota": "refuse"})
    status, told, _ = fastsmtp("replay", str(recording), "--to", address, "--json")
    result = json.loads(told)
    assert (status, result["mails"], result["accepted"], len(result["faults"])) == (1, 1, 0, 1)
    assert result["faults"][0].startswith("end of data: 451: 451 ")
    assert fastsmtp("replay", str(recording), "--to", address, "--rcpt-map", "x")[0] == 2
    assert fastsmtp("replay", str(recording), "--to", address, "--speed", "0x")[0] == 2
    assert fastsmtp("replay", str(recording), "--to", "127.0.0.1:9")[0] == 3
    assert fastsmtp("replay", str(tmp_path / "none"), "--to", address)[0] == 2


def test_pauses_are_those_of_the_recording(server: Server, tmp_path: Path) -> None:
    """Never shorter; how much longer is the machine's."""
    raw = base64.b64encode(b"Subject: x\r\n\r\n").decode()
    times = ["00.000", "00.400", "00.800"]
    lines = [
        {"raw": raw, "received_at": f"2026-01-01T00:00:{at}Z", "connection": name, "envelope": envelope}
        for at, name in zip(times, ("one", "two", "one"), strict=True)
        for envelope in [{"from": "a@example.com", "to": ["b@example.com"], "helo": name}]
    ]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    address = port_of(server, "paused")
    assert fastsmtp("replay", str(tmp_path / "x.jsonl"), "--to", address, "--speed", "2x")[0] == 0
    mails = call(server, "GET", "/api/ns/paused/mails?order=asc")[1]["mails"]
    assert [mail["envelope"]["helo"] for mail in mails] == ["one", "two", "one"]
    milliseconds = [int(mail["received_at"][17:19]) * 1000 + int(mail["received_at"][20:23]) for mail in mails]
    assert (milliseconds[2] - milliseconds[0]) % 60_000 >= 350


def test_a_directory_has_messages(server: Server, tmp_path: Path) -> None:
    send_variety(port_of(server, "first"))
    directory = tmp_path / "kept"
    arguments = ["record", f"{directory}/", "-n", "first", "--all", "--count", "2", "--url", server.inbox]
    assert fastsmtp(*arguments) == (0, f"recorded 2 mails in {directory}/\n", "")
    assert sorted(path.name for path in directory.iterdir()) == ["000001.eml", "000002.eml", "recording.jsonl"]
    address = port_of(server, "second")
    assert fastsmtp("replay", str(directory), "--to", address, "--speed", "max")[0] == 0
    assert fastsmtp("replay", str(directory / "000001.eml"), "--to", address)[0] == 0
    assert call(server, "GET", "/api/ns/second")[1]["mails"] == 3


def test_mails_that_come_are_recorded(server: Server, tmp_path: Path) -> None:
    address = port_of(server, "live")
    send_variety(address)
    arguments = [*COMMAND, "record", "-", "-n", "live", "--count", "1", "--url", server.inbox]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as recorder:
        host, _colon, port = address.rpartition(":")
        sent = 0
        while recorder.poll() is None:  # it looks from its start on, which nothing tells
            with smtplib.SMTP(host, int(port)) as client:
                client.send_message(make("later"))
            sent += 1
            try:
                recorder.wait(0.2)
            except subprocess.TimeoutExpired:
                assert sent < 200
        assert recorder.stdout is not None
        assert [json.loads(line)["subject"] for line in recorder.stdout] == ["later"]


def test_bench_sends_a_recording(server: Server, tmp_path: Path) -> None:
    lines = [
        {
            "raw": base64.b64encode(make(str(number)).as_bytes()).decode(),
            "envelope": {"from": "a@example.com", "to": [f"{number}@example.com"] * number, "helo": "x"},
        }
        for number in (1, 2, 3)
    ]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    address = port_of(server, "load")
    arguments = ["bench", address, "-n", "30", "--connections", "3", "--replay", str(tmp_path / "x.jsonl"), "--json"]
    status, told, complaint = fastsmtp(*arguments)
    assert (status, complaint) == (0, ""), told
    mails = call(server, "GET", "/api/ns/load/mails?limit=100")[1]["mails"]
    assert sorted((mail["subject"], mail["envelope"]["to"]) for mail in mails) == sorted(
        (str(number), [f"{number}@example.com"] * number) for number in (1, 2, 3) for _ in range(10)
    )
    assert fastsmtp(*arguments, "--size", "1KB")[0] == 2


def test_diff(tmp_path: Path) -> None:
    a, b = tmp_path / "a.eml", tmp_path / "b.eml"
    a.write_bytes(b"Date: x\r\nSubject: Order 4711\r\n\r\nHello\r\n")
    b.write_bytes(b"Date: y\r\nSubject: Order 4712\r\n\r\nHello\r\n")
    text = "  Date: <time>\n- Subject: Order 4711\n+ Subject: Order 4712\n  \n  [part 1: text/plain]\n  Hello\n"
    assert fastsmtp("diff", str(a), str(b)) == (1, text, "")
    assert fastsmtp("diff", str(a), str(b), "-s") == (1, "", "")
    assert fastsmtp("diff", str(a), str(b), "--mask", r"\d{4}") == (0, "", "")
    assert fastsmtp("diff", str(a), str(tmp_path / "none"))[0] == 2
    assert fastsmtp("diff", str(a), str(b), "--mask", "(")[0] == 2
