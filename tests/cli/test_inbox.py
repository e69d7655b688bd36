"""`fastsmtp inbox`, `ns`, `faults` and `ledger`, with an inbox that has no SMTP process."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from inboxclient import Client, Serve

from fastsmtp.cli.main import main
from fastsmtp.config.settings import InboxAuthSettings
from fastsmtp.faults.question import Question

MAIL = b"From: a@example.com\r\nTo: b@example.com\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\n\r\nhello\r\n"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


async def run(call: Client, *arguments: str, given: bytes | None = None) -> Result:
    """Run the command with the URL of this inbox."""
    runner = CliRunner(env={"FASTSMTP_URL": call.url, "COLUMNS": "120"})
    return await asyncio.to_thread(runner.invoke, main, arguments, input=given)


PLAN = b"seed: 3\nrules:\n- {preset: greylist}\n- {id: later, when: {at: mail}, do: pass}\n"


def test_fault_plans(serving: Serve) -> None:
    async def work(call: Client) -> None:
        result = await run(call, "faults", "put", "-", given=PLAN)
        assert (result.exit_code, result.output) == (0, "default has a plan of 2 rules, seed 3\n")
        call.inbox.plans.decide(["default"], Question(at="rcpt", connection="c", command="RCPT", sender="a", rcpt="b"))
        result = await run(call, "faults", "show")
        lines = result.output.splitlines()
        assert (result.exit_code, [*lines[:2], *lines[3:]]) == (
            0,
            [
                "plan of default, seed 3",
                "ok greylist-1: 1 matched, 1 acted, 0 passed, 1 of 1 key exhausted",
                "x  later: 0 matched, 0 acted, 0 passed",
                "no rule acted on 0 other commands",
            ],
        )
        assert lines[2].endswith("Z RCPT: reply 451 -> 451 4.7.1 Greylisted, try again")
        result = await run(call, "faults", "rm", "--expect-all")
        assert (result.exit_code, result.output.splitlines()[-1]) == (1, "fastsmtp: a rule never acted: later")
        result = await run(call, "faults", "rm")
        assert (result.exit_code, result.output) == (1, "fastsmtp: there is no plan in default\n")
        result = await run(call, "faults", "put", "-", "--json", given=b'{"rules": [{"preset": "bounce"}], "seed": 1}')
        assert json.loads(result.output)["seed"] == 1
        result = await run(call, "faults", "put", "-", given=b"rules: [{preset: up}]")
        assert (result.exit_code, result.output.startswith("fastsmtp: /rules/0/preset: one of greylist")) == (2, True)

    serving(work)


def test_list_and_show(serving: Serve) -> None:
    async def work(call: Client) -> None:
        result = await run(call, "inbox", "ls")
        assert (result.exit_code, result.output) == (0, "no mail in default\n")
        uuid = await call.file_octets(MAIL)
        await call.file(subject="two", to="x@example.com")
        result = await run(call, "inbox", "ls")
        heads, *rows = result.output.splitlines()
        assert heads.split() == ["#", "TIME", "FROM", "TO", "SUBJECT", "SIZE", "UUID"]
        assert [row.split()[0] for row in rows] == ["2", "1"]
        assert rows[1].split() == [
            "1",
            "08:00:00.000",
            "s@example.com",
            "r@example.com",
            "Gr\u00fc\u00dfe",
            "67",
            "B",
            uuid,
        ]
        result = await run(call, "inbox", "ls", "rcpt=x@example.com", "--json")
        assert [mail["subject"] for mail in json.loads(result.output)["mails"]] == ["two"]
        result = await run(call, "inbox", "ls", "rcpt=y@example.com")
        assert result.output == "no mail in default meets the condition\n"
        result = await run(call, "inbox", "show", uuid)
        assert result.output.splitlines()[1:] == [
            "from     s@example.com",
            "to       r@example.com",
            "subject  Gr\u00fc\u00dfe",
            "size     67 B, 0 attachments",
            "",
            "hello",
        ]
        result = await run(call, "inbox", "show", uuid, "--view", "raw")
        assert result.stdout_bytes == MAIL
        result = await run(call, "inbox", "show", "--view", "text")
        assert result.output == "hello"
        result = await run(call, "inbox", "show", "nosuch")
        assert (result.exit_code, result.output) == (1, "fastsmtp: there is no mail nosuch in default\n")

    serving(work)


def test_wait_and_expect(serving: Serve, tmp_path: Path) -> None:
    async def work(call: Client) -> None:
        await call.file(subject="Welcome", to="x@example.com")
        result = await run(call, "inbox", "wait", "to=x@example.com", "subject=Wel*")
        assert (result.exit_code, len(result.output.splitlines())) == (0, 2)
        result = await run(call, "inbox", "wait", "to=y@example.com", "--timeout", "20ms")
        assert result.exit_code == 1
        assert re.sub(r"[\d.]+ s in default \(.*\)", "T", result.output).splitlines()[:2] == [
            "wait failed after T",
            "x at least 1 to y@example.com: got 0",
        ]
        result = await run(
            call, "inbox", "expect", "to=x@example.com", "--exactly", "1", "--within", "1s", "--forbid-rest"
        )
        assert result.exit_code == 0
        assert re.fullmatch(r"held after [\d.]+ s, 1 mail\n", result.output)
        picture = tmp_path / "picture.json"
        picture.write_text(json.dumps({"within": "10ms", "expect": [{"where": {"to": "x@example.com"}, "none": True}]}))
        result = await run(call, "inbox", "expect", "-f", str(picture))
        assert (result.exit_code, "x none to x@example.com: got 1" in result.output) == (1, True), result.output
        result = await run(call, "inbox", "expect", "-f", "-", "--json", given=b'[{"count": 1}]')
        assert json.loads(result.output)["held"] is True
        for arguments, reason in (
            (("-f", str(tmp_path / "none")), f"cannot read {tmp_path}/none: No such file or directory"),
            (("-f", "-"), "- is no JSON: Expecting value: line 1 column 1 (char 0)"),
            (("nonsense",), "a condition is like to=x@example.com or subject=\"Welcome*\", not 'nonsense'"),
            (("color=red",), "/expect/0/where/color: "),
        ):
            result = await run(call, "inbox", "expect", *arguments, given=b"")
            assert (result.exit_code, result.output.startswith(f"fastsmtp: {reason}")) == (2, True), result.output

    serving(work)


def test_rm(serving: Serve) -> None:
    async def work(call: Client) -> None:
        first = await call.file_octets(MAIL)
        for number in range(4):
            await call.file(subject=f"mail {number}")
        assert (await run(call, "inbox", "rm")).exit_code == 2
        assert (await run(call, "inbox", "rm", "--all", first)).exit_code == 2
        assert (await run(call, "inbox", "rm", first)).output == "deleted 1 mail\n"
        assert (await run(call, "inbox", "rm", "subject=mail 1", "subject=mail 2")).output == "deleted 2 mails\n"
        assert (await run(call, "inbox", "rm", "--all", "--json")).output == '{"deleted": 2}\n'

    serving(work)


@pytest.mark.parametrize("name", ["mails.zip", "mails.mbox", "mails.jsonl"])
def test_export_and_import(serving: Serve, tmp_path: Path, name: str) -> None:
    async def work(call: Client) -> None:
        await call.file_octets(MAIL)
        file = str(tmp_path / name)
        result = await run(call, "inbox", "export", file)
        assert (result.exit_code, result.output.startswith("wrote ")) == (0, True)
        result = await run(call, "inbox", "import", "-n", "copy", file)
        assert (result.exit_code, result.output) == (0, "imported 1 mail into copy\n")
        result = await run(call, "inbox", "show", "-n", "copy", "--view", "raw")
        assert result.stdout_bytes == MAIL
        result = await run(call, "inbox", "import", "--format", "eml", "-", given=MAIL)
        assert result.output == "imported 1 mail into default\n"
        result = await run(call, "inbox", "export", str(tmp_path / "mails.pst"))
        assert (result.exit_code, result.output) == (
            2,
            "fastsmtp: which format? --format, or a name that ends in .zip, .mbox, .jsonl, .eml\n",
        )
        result = await run(call, "inbox", "import", "--format", "mbox", "-", given=b"nonsense")
        assert (result.exit_code, result.output.startswith("fastsmtp: it is no mailbox file")) == (2, True)

    serving(work)


def test_namespaces(serving: Serve) -> None:
    async def work(call: Client) -> None:
        result = await run(call, "ns", "put", "run-1", "--ttl", "1h", "--max-mails", "5", "--keep", "summary")
        assert re.fullmatch(rf"run-1 is there, cursor \w+\.0, {call.url}/api/ns/run-1\n", result.output)
        space = (await call("GET", "/api/ns/run-1"))[1]["settings"]
        assert (space["ttl"], space["quota"], space["keep"]) == (3600.0, {"mails": 5, "bytes": 0}, "summary")
        await call("PUT", "/api/ns/run-1/w1")
        result = await run(call, "ns", "ls", "run-")
        assert [line.split()[0] for line in result.output.splitlines()] == ["NAME", "run-1", "run-1/w1"]
        assert (await run(call, "ns", "rm")).exit_code == 2
        assert (await run(call, "ns", "rm", "run-1/w1")).output == "deleted 1 namespace\n"
        assert (await run(call, "ns", "rm", "--prefix", "run-")).output == "deleted 1 namespace\n"
        result = await run(call, "ns", "rm", "run-1")
        assert (result.exit_code, result.output) == (1, "fastsmtp: there is no namespace run-1\n")
        result = await run(call, "ns", "put", "No Name")
        assert result.exit_code == 1

    serving(work)


def test_ledger(serving: Serve) -> None:
    async def work(call: Client) -> None:
        for _number in range(3):
            await call("POST", "/api/ns/default/send", {"from": "a@b", "to": "c@d"})
        result = await run(call, "ledger")
        assert (result.exit_code, result.output.splitlines()) == (
            0,
            [
                "begun    3 = 3 accepted + 0 refused + 0 aborted + 0 moved + 0 in flight",
                "accepted 3 = 3 stored + 0 counted only + 0 dropped",
                "stored   3 = 3 present + 0 deleted + 0 evicted + 0 expired",
                "balanced",
            ],
        )
        await call.file(outcome="no-worker")
        result = await run(call, "ledger")
        assert result.output.splitlines()[3:] == ["no-worker       1", "balanced"]
        result = await run(call, "ledger", "-n", "default", "--json")
        assert json.loads(result.output)["balanced"] is True

    serving(work)


def test_no_inbox_there() -> None:
    result = CliRunner(env={"FASTSMTP_URL": "http://127.0.0.1:1"}).invoke(main, ["inbox", "ls"])
    assert (result.exit_code, result.output) == (
        3,
        "fastsmtp: no inbox answers at http://127.0.0.1:1: Connection refused\n",
    )
    result = CliRunner().invoke(main, ["inbox", "ls", "--url", "ftp://x"])
    assert (result.exit_code, result.output) == (2, "fastsmtp: no URL of an inbox: ftp://x\n")


def test_login(serving: Serve) -> None:
    async def work(call: Client) -> None:
        host = call.url.removeprefix("http://")
        assert (await run(call, "ns", "ls")).exit_code == 1
        assert (await run(call, "ns", "ls", "--url", f"http://ann:s%40x@{host}")).exit_code == 0

    serving(work, auth=InboxAuthSettings(username="ann", password="s@x"))
