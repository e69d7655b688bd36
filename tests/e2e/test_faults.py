"""Fault plans on the wire: from the API over the inbox process to a session, and back as a report."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import ExitStack, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from apicalls import call, call_with
from cryptography import x509
from servers import Serve, Server
from waits import wait_until
from wire import Wire

from fastsmtp.faults.actions import ACTIONS
from fastsmtp.faults.conditions import CONDITIONS
from fastsmtp.faults.conditions import STAGES as ALL_STAGES
from fastsmtp.faults.presets import PRESETS
from fastsmtp.smtp.replies import AUTHENTICATED, MESSAGE_ACCEPTED, RCPT_OK

TEXT = b"Subject: x\r\n\r\nhello\r\n."
INBOX = {"inbox": {"address": "127.0.0.1:0"}}
GREYLIST = {
    "seed": 7,
    "rules": [
        {
            "id": "greylist",
            "when": {"at": "rcpt", "rcpt": "*@slow.example"},
            "do": {"reply": "451 4.7.1 Greylisted, try again"},
            "per": ["from", "rcpt"],
            "times": 1,
        }
    ],
}


def talk(wire: Wire, *lines: bytes) -> list[bytes]:
    """Send commands, each when the one before it was answered; return the answers."""
    replies = []
    for line in lines:
        wire.send(line + b"\r\n")
        replies.append(wire.reply())
    return replies


def install(server: Server, plan: dict[str, Any], name: str = "default") -> None:
    status, answer = call(server, "PUT", f"/api/ns/{name}/faults", plan)
    assert (status, answer["rules"]) == (200, plan["rules"])


@pytest.mark.parametrize("processes", [1, 2])
def test_greylisting_from_the_api_to_the_report(serve: Serve, processes: int) -> None:
    server = serve({**INBOX, "smtp": {"processes": processes}}, worker="echo.php")
    install(server, GREYLIST)
    rcpt = b"RCPT TO:<b@slow.example>"
    said = []
    for _connection in range(4):
        with Wire(server) as wire:
            said += talk(wire, b"EHLO client.test", b"MAIL FROM:<a@example.com>", rcpt, b"RCPT TO:<c@fast.example>")[2:]
    assert said == [b"451 4.7.1 Greylisted, try again\r\n", *[RCPT_OK] * 7]
    _status, report = call(server, "GET", "/api/ns/default/faults")
    (rule,) = report.pop("report")
    (hit,) = rule.pop("hits")
    assert report == {"namespace": "default", **GREYLIST, "unmatched": 7}
    assert rule == {
        "id": "greylist",
        "matched": 4,
        "acted": 1,
        "passed": 0,
        "exhausted": 1,
        "first_at": hit["time"],
        "last_at": hit["time"],
        "keys": 1,
    }
    assert (hit["command"], hit["reply"]) == ("RCPT TO:<b@slow.example>", "451 4.7.1 Greylisted, try again")
    status, ended = call(server, "DELETE", "/api/ns/default/faults?expect=all")
    assert (status, [rule["acted"] for rule in ended["report"]]) == (200, [1])
    assert call(server, "GET", "/api/ns/default/faults")[0] == 404


def fault_lines(server: Server, after: str = "") -> list[str]:
    """What an expectation that fails says of faults, without times."""
    spec = {"within": 0, "expect": [{"where": {"to": "missing@example.com"}}], **({"after": after} if after else {})}
    status, problem = call(server, "POST", "/api/ns/default/expect", spec)
    assert status == 408
    line = problem["detail"].splitlines()[-1]
    return [re.sub(r" at [+-][0-9.]+ s", "", fault) for fault in re.findall(r'fault ".*', line)]


def test_the_report_of_an_expectation_says_what_was_not_tried_again(serve: Serve) -> None:
    server = serve(INBOX, worker="echo.php")
    install(server, GREYLIST)
    before = call(server, "GET", "/api/ns/default/cursor")[1]["cursor"]
    assert fault_lines(server) == []
    for said in ("not tried again", "tried again"):
        with Wire(server) as wire:
            talk(wire, b"EHLO client.test", b"MAIL FROM:<a@example.com>", b"RCPT TO:<b@slow.example>")
        assert fault_lines(server, before) == [f'fault "greylist": RCPT b@slow.example 451, {said}']
    with Wire(server) as wire:
        talk(wire, *STAGES["data"], TEXT)
    after = call(server, "GET", "/api/ns/default/cursor")[1]["cursor"]
    assert (fault_lines(server, after), len(fault_lines(server, before))) == ([], 1)
    assert call(server, "DELETE", "/api/ns/default/faults")[0] == 200
    assert fault_lines(server, before) == []


def own(server: Server, name: str, plan: dict[str, Any], **settings: Any) -> str:
    """Make a namespace with a plan and a port for itself, and return the name of its listener."""
    status, space = call(server, "PUT", f"/api/ns/{name}", {"listen": True, "faults": plan, **settings})
    assert status == 201
    server.listeners[name] = [f"{space['smtp']['host']}:{space['smtp']['port']}"]
    return name


def rules(at: str, do: Any, **more: Any) -> dict[str, Any]:
    return {"seed": 1, "rules": [{"id": "r", "when": {"at": at, **more.pop("when", {})}, "do": do, **more}]}


def acted(server: Server, name: str) -> int:
    _status, report = call(server, "GET", f"/api/ns/{name}/faults")
    return sum(rule["acted"] for rule in report["report"])


def mails(server: Server, name: str, outcome: str = "accepted") -> list[dict[str, Any]]:
    _status, found = call(server, "GET", f"/api/ns/{name}/mails?outcome={outcome}")
    return [{key: mail[key] for key in ("subject", "outcome", "faults")} for mail in found["mails"]]


def faults_of(server: Server, name: str) -> dict[str, Any]:
    """What the ledger says that plans did, what did not happen left out."""
    _status, ledger = call(server, "GET", f"/api/ns/{name}/ledger")
    return {key: count for key, count in ledger["faults"].items() if count}


def counted(server: Server, name: str) -> tuple[int, int, int, bool]:
    """How many mails sessions accepted, the store dropped and stored, and whether that is all of them."""
    _status, ledger = call(server, "GET", f"/api/ns/{name}/ledger")
    store = ledger["store"]
    return ledger["sessions"]["accepted"], store["dropped"], store["stored"], ledger["balanced"]


# What is sent, and the first reply to it, at every stage at which a plan can reply.
STAGES: dict[str, list[bytes]] = {
    "connect": [],
    "banner": [],
    "ehlo": [b"EHLO client.test"],
    "auth": [b"EHLO client.test", b"AUTH PLAIN AHUAcA=="],
    "mail": [b"EHLO client.test", b"MAIL FROM:<a@example.com>"],
    "rcpt": [b"EHLO client.test", b"MAIL FROM:<a@example.com>", b"RCPT TO:<b@example.com>"],
    "data": [b"EHLO client.test", b"MAIL FROM:<a@example.com>", b"RCPT TO:<b@example.com>", b"DATA"],
    "body": [b"EHLO client.test", b"MAIL FROM:<a@example.com>", b"RCPT TO:<b@example.com>", b"DATA", TEXT],
    "data-end": [b"EHLO client.test", b"MAIL FROM:<a@example.com>", b"RCPT TO:<b@example.com>", b"DATA", TEXT],
    "rset": [b"EHLO client.test", b"RSET"],
    "quit": [b"EHLO client.test", b"QUIT"],
}


def last_reply(server: Server, name: str, stage: str) -> bytes:
    """Go as far as a stage, and return the reply there."""
    with Wire(server, name) as wire:
        return [wire.greeting, *talk(wire, *STAGES[stage])][-1]


def test_every_stage_refuses_with_exactly_the_text(serve: Serve) -> None:
    server = serve(INBOX, worker="echo.php")
    said = {}
    for stage in STAGES:
        name = own(server, stage, rules(stage, {"reply": ["450-4.7.1 Later", "450 4.7.1 or never"]}, times=1))
        said[stage] = last_reply(server, name, stage), last_reply(server, name, stage)[:1], acted(server, name)
    expected = b"450-4.7.1 Later\r\n450 4.7.1 or never\r\n"
    assert said == {stage: (expected, b"3" if stage == "data" else b"2", 1) for stage in STAGES}


def test_every_do_has_its_effect_on_the_wire(serve: Serve) -> None:
    server = serve(INBOX, worker="echo.php")

    def said(name: str, at: str, do: Any, **more: Any) -> bytes:
        own(server, name, rules(at, do, **more))
        with Wire(server, name) as wire:
            wire.socket.settimeout(20)
            talk(wire, *STAGES[at][:-1])
            if STAGES[at]:
                wire.send(STAGES[at][-1] + b"\r\n")
            return wire.rest() if "close" in str(do) else wire.reply()

    assert said("text", "rcpt", {"reply": "250 2.1.5 Fine"}) == b"250 2.1.5 Fine\r\n"
    assert said("garbage", "rcpt", {"garbage": "!?\r\n"}) == b"!?\r\n"
    assert said("truncate", "rcpt", {"truncate": 5, "close": "fin"}) == RCPT_OK[:5]
    assert said("split", "rcpt", {"split": [3, 1]}) == RCPT_OK
    assert said("dribble", "rcpt", {"rate": "200B/s"}) == RCPT_OK
    assert said("delay", "rcpt", {"delay": "50ms..90ms"}) == RCPT_OK
    assert said("stall", "rcpt", {"stall": True, "for": "50ms"}) == RCPT_OK
    assert said("fin", "rcpt", {"close": True}) == b""
    assert said("rst", "rcpt", {"close": "rst"}) == b"reset"
    assert said("bye", "mail", {"reply": "421 4.3.2 Bye", "close": True}) == b"421 4.3.2 Bye\r\n"
    assert said("pass", "rcpt", ["pass"]) == RCPT_OK
    ehlo = said("ehlo", "ehlo", {"ehlo": {"remove": ["SIZE", "PIPELINING"], "add": ["X-FOO 1"]}})
    assert (b"SIZE" in ehlo, b"PIPELINING" in ehlo, ehlo[-13:]) == (False, False, b"250 X-FOO 1\r\n")
    assert said("drop", "data-end", {"drop": True}) == MESSAGE_ACCEPTED
    assert said("doubled", "data-end", {"duplicate": 3}) == MESSAGE_ACCEPTED
    assert said("lost", "data-end", {"store": True, "close": "rst"}) == b"reset"
    assert said("kept", "data-end", {"store": True, "reply": "451 4.3.0 No"}) == b"451 4.3.0 No\r\n"
    assert said("cut", "data-end", {"close": "fin"}) == b""
    assert said("broken", "body", {"close": "rst", "after": "8"}) == b"reset"
    assert said("slow", "body", {"read_rate": "200B/s"}) == MESSAGE_ACCEPTED

    kept = {"subject": "x", "outcome": "accepted", "faults": [{"rule": "r", "action": "duplicate 3"}]}
    assert mails(server, "doubled") == [kept] * 3
    assert mails(server, "lost") == [{**kept, "faults": [{"rule": "r", "action": "close rst"}]}]
    assert mails(server, "kept", "any") == [
        {**kept, "outcome": "refused", "faults": [{"rule": "r", "action": "reply 451"}]}
    ]
    assert [mails(server, name, "any") for name in ("drop", "cut", "broken")] == [[], [], []]
    one = {"rules": {"r": 1}}
    expected = {
        "drop": {"dropped": 1, **one},
        "doubled": {"doubled": 1, **one},
        "kept": {"refused": 1, **one},
        "lost": {"closed": 1, **one},
        "slow": {"delayed": 1, **one},
        "delay": {"delayed": 1, **one},
    }
    wait_until(lambda: {name: faults_of(server, name) for name in expected} == expected)
    wait_until(lambda: counted(server, "drop") == (1, 1, 0, True))
    wait_until(lambda: counted(server, "doubled") == (3, 0, 3, True))


STALL = {"stall": True, "for": "10m"}


def stalled(server: Server, name: str, stage: str = "rcpt") -> Wire:
    """A client that waits for a reply, as the plan wants it to."""
    own(server, name, rules(stage, STALL))
    wire = Wire(server, name)
    talk(wire, *STAGES[stage][:-1])
    wire.send(STAGES[stage][-1] + b"\r\n")
    wait_until(lambda: acted(server, name) == 1)
    return wire


@pytest.mark.parametrize("end", ["faults", "namespace", "another plan"])
def test_a_stall_ends_with_its_plan(serve: Serve, end: str) -> None:
    server = serve(INBOX, worker="echo.php")
    with stalled(server, "w") as wire:
        if end == "another plan":
            call(server, "PUT", "/api/ns/w/faults", rules("mail", "pass"))
        else:
            call(server, "DELETE", f"/api/ns/w{'/faults' if end == 'faults' else ''}")
        assert wire.reply() == RCPT_OK


@pytest.mark.parametrize("stage", ["rcpt", "data-end"])
def test_a_stall_ends_with_the_server(serve: Serve, stage: str) -> None:
    server = serve(INBOX, worker="echo.php")
    with stalled(server, "w", stage) as wire:
        assert server.stop() == 0
        assert wire.rest().startswith(RCPT_OK if stage == "rcpt" else MESSAGE_ACCEPTED)


def test_a_client_that_leaves_a_stall_is_gone(serve: Serve) -> None:
    server = serve(INBOX, worker="echo.php")
    stalled(server, "w", "data-end").reset()

    def ended() -> bool:
        _status, ledger = call(server, "GET", "/api/ns/w/ledger")
        return bool(ledger["sessions"]["in_flight"] == 0)

    wait_until(ended)
    assert mails(server, "w", "any") == []


def test_chunks_and_logins_are_refused_as_a_whole(serve: Serve) -> None:
    server = serve(INBOX, worker="echo.php")
    own(server, "chunk", rules("data", {"reply": "452 4.3.1 Full"}, times=1))
    with Wire(server, "chunk") as wire:
        talk(wire, *STAGES["rcpt"])
        wire.send(b"BDAT 14 LAST\r\nSubject: x\r\n\r\n")
        assert wire.reply() == b"452 4.3.1 Full\r\n"
        talk(wire, *STAGES["rcpt"][1:])
        wire.send(b"BDAT 14 LAST\r\nSubject: x\r\n\r\n")
        assert wire.reply() == MESSAGE_ACCEPTED
    own(
        server,
        "login",
        rules("auth", {"reply": "535 5.7.8 No"}, times=1, when={"username": "u*", "mechanism": "login"}),
    )
    with Wire(server, "login") as wire:
        login = [b"AUTH LOGIN", b"dXNlcg==", b"cHc="]
        assert talk(wire, b"EHLO client.test", *login)[-1] == b"535 5.7.8 No\r\n"
        assert talk(wire, *login)[-1] == AUTHENTICATED
    own(server, "pipelined", rules("rcpt", {"reply": "550 5.1.1 No"}, when={"rcpt": "b@*"}))
    with Wire(server, "pipelined") as wire:
        wire.send(b"EHLO c\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<b@x.test>\r\nRCPT TO:<c@x.test>\r\nDATA\r\n")
        assert [wire.reply()[:3] for _ in range(5)] == [b"250", b"250", b"550", b"250", b"354"]
        assert talk(wire, TEXT) == [MESSAGE_ACCEPTED]
    assert mails(server, "pipelined") == [
        {"subject": "x", "outcome": "accepted", "faults": [{"rule": "r", "action": "reply 550"}]}
    ]


def test_connections_are_counted_over_all_processes(serve: Serve) -> None:
    server = serve({**INBOX, "smtp": {"processes": 2}}, worker="echo.php")
    own(server, "full", rules("connect", {"reply": "421 4.3.2 Too many", "close": True}, when={"connections": ">5"}))
    with ExitStack() as open_:
        greetings = [open_.enter_context(Wire(server, "full")).greeting[:3] for _ in range(8)]
    assert greetings == [b"220"] * 5 + [b"421"] * 3


def test_magic_addresses_ask_for_faults_by_themselves(serve: Serve) -> None:
    server = serve(INBOX, worker="echo.php")
    assert call(server, "PUT", "/api/ns/default", {"magic": True})[0] == 200
    with Wire(server) as wire:
        talk(wire, *STAGES["mail"])
        asked = [b"code-451", b"code-550-5.1.1", b"bounce+1", b"delay-10ms", b"drop"]
        said = talk(wire, *(b"RCPT TO:<%s@example.com>" % name for name in asked))
        assert [reply[:9] for reply in said] == [b"451 4.0.0", b"550 5.1.1", b"550 5.1.1", RCPT_OK[:9], RCPT_OK[:9]]
        assert talk(wire, b"DATA", TEXT)[-1] == MESSAGE_ACCEPTED
    assert mails(server, "default", "any") == []
    expected = {"refused": 3, "dropped": 1, "delayed": 1, "rules": {"magic": 5}}
    wait_until(lambda: faults_of(server, "default") == expected)


@pytest.mark.parametrize("kind", ["expired", "wrong-name", "self-signed"])
@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_a_faulty_certificate(serve: Serve, mode: str, kind: str) -> None:
    server = serve({**INBOX, "smtp": {"tls": {"cert": "auto", "mode": mode}}}, worker="echo.php")
    install(server, rules("tls", {"tls": {"cert": kind}}, times=1))
    seen = []
    for _connection in range(2):
        with Wire(server, greeted=mode != "implicit") as wire:
            if mode == "starttls":
                talk(wire, b"EHLO client.test", b"STARTTLS")
            der = wire.start_tls().getpeercert(binary_form=True)
            assert der is not None
            certificate = x509.load_der_x509_certificate(der)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            over = certificate.not_valid_after_utc < datetime.now(timezone.utc)
            seen.append((over, "localhost" in names.get_values_for_type(x509.DNSName), der))
    assert [one[:2] for one in seen] == [(kind == "expired", kind != "wrong-name"), (False, True)]
    assert seen[0][2] != seen[1][2]


# JSON pointers to what is wrong in plans that cannot be used; nothing of them is installed.
IMPOSSIBLE: dict[str, tuple[Any, str]] = {
    "stage": ({"rules": [{"when": {"at": "nowhere"}, "do": "pass"}]}, "/rules/0/when/at"),
    "second rule": ({"rules": [{"preset": "down"}, {"preset": "up"}]}, "/rules/1/preset"),
    "recipient before MAIL": (rules("ehlo", "pass", when={"rcpt": "x"}), "/rules/0/when/rcpt"),
    "reply in a handshake": (rules("tls", {"reply": "421 No"}), "/rules/0/do/reply"),
    "no TLS": (rules("tls", {"tls": {"cert": "expired"}}), "/rules/0/when/at"),
    "no rules": ({"rules": []}, "/rules"),
}


def test_an_impossible_plan_is_refused_whole(serve: Serve) -> None:
    server = serve(INBOX, worker="echo.php")
    said = {}
    for name, (plan, _pointer) in IMPOSSIBLE.items():
        status, problem = call(server, "PUT", "/api/ns/default/faults", plan)
        said[name] = status, problem["pointer"]
    assert said == {name: (422, pointer) for name, (_plan, pointer) in IMPOSSIBLE.items()}
    assert call(server, "PUT", "/api/ns/default", {"faults": IMPOSSIBLE["stage"][0]})[1]["pointer"] == (
        "/faults/rules/0/when/at"
    )
    assert call(server, "GET", "/api/ns/default/faults")[0] == 404


def test_a_rule_that_never_acted_is_an_error_where_all_are_expected(serve: Serve) -> None:
    server = serve(INBOX, worker="echo.php")
    install(server, {"seed": 1, "rules": [{"id": "down", "when": {"at": "connect", "ip": "10.0.0.0/8"}, "do": "pass"}]})
    status, problem = call(server, "DELETE", "/api/ns/default/faults?expect=all")
    assert (status, problem["detail"], problem["report"]["report"][0]["acted"]) == (409, "a rule never acted: down", 0)
    assert call(server, "DELETE", "/api/ns/default/faults")[0] == 404


# docs/faults.md

SLOWED = 3  # commands of the first example that its last rule delays, as its seed has it


def documented() -> list[str]:
    text = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()
    return re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def dialogue(server: Server) -> None:
    """Send a mail over TLS, however the server behaves."""
    with Wire(server) as wire, suppress(OSError):
        wire.ask(b"EHLO client.test\r\n")
        wire.ask(b"STARTTLS\r\n")
        wire.start_tls()
        for line in (b"EHLO client.test", *STAGES["data"][1:], TEXT, b"QUIT"):
            if not wire.ask(line + b"\r\n"):
                break


def test_every_plan_of_the_documentation_does_something(serve: Serve, tmp_path: Path) -> None:
    server = serve({**INBOX, "smtp": {"tls": {"cert": "auto"}}}, worker="echo.php")
    plans = documented()
    command = [sys.executable, "-m", "fastsmtp", "faults"]
    environment = {**os.environ, "FASTSMTP_URL": server.inbox}
    (tmp_path / "plan.yaml").write_text(plans[0])
    said = subprocess.run(
        [*command, "put", "plan.yaml"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert said.stdout == "default has a plan of 4 rules, seed 7\n"
    done = {}
    for plan in plans[1:]:
        assert call_with(server, "PUT", "/api/ns/default/faults", plan.encode())[0] == 200
        for _mail in range(2):
            dialogue(server)
        done[plan] = call(server, "DELETE", "/api/ns/default/faults?expect=all")[0]
    assert done == dict.fromkeys(plans[1:], 200)


def test_the_first_example_does_what_it_says(serve: Serve) -> None:
    server = serve(INBOX, worker="echo.php")
    assert call_with(server, "PUT", "/api/ns/default/faults", documented()[0].encode())[0] == 200
    rcpt = b"RCPT TO:<b@slow.example>"
    with Wire(server) as wire:
        start = [b"EHLO client.test", b"MAIL FROM:<a@example.com>"]
        assert talk(wire, *start, rcpt, rcpt, b"DATA", TEXT)[2:4] == [b"451 4.7.1 Greylisted, try again\r\n", RCPT_OK]
        assert talk(wire, start[1], rcpt, b"DATA", TEXT)[-1] == MESSAGE_ACCEPTED
        assert [reply[:3] for reply in talk(wire, start[1], rcpt, *[b"DATA"] * 3)] == [
            b"250", b"250", b"451", b"451", b"354",
        ]  # fmt: skip
        wire.send(TEXT.replace(b"Subject: x", b"Subject: Invoice 7") + b"\r\n")
        assert wire.rest() == b"reset"
    kept = mails(server, "default")
    assert sorted(mail["subject"] for mail in kept) == ["Invoice 7", "x", "x"]
    (invoice,) = [mail for mail in kept if mail["subject"] == "Invoice 7"]
    named = [fault for fault in invoice["faults"] if fault["rule"] != "slow"]
    assert named == [{"rule": "flaky", "action": "reply 451"}] * 2 + [{"rule": "lost-250", "action": "close rst"}]
    _status, ended = call(server, "DELETE", "/api/ns/default/faults?expect=all")
    assert {rule["id"]: rule["acted"] for rule in ended["report"]} == {
        "greylist": 1, "flaky": 2, "lost-250": 1, "slow": SLOWED,
    }  # fmt: skip


def test_what_is_done_to_mail_is_told_by_the_mail(serve: Serve) -> None:
    server = serve(INBOX, worker="echo.php")
    install(server, rules("mail", {"delay": "1ms"}))
    with Wire(server) as wire:
        for _mail in range(2):
            talk(wire, *STAGES["data"], TEXT)
    expected = {"subject": "x", "outcome": "accepted", "faults": [{"rule": "r", "action": "delay"}]}
    assert mails(server, "default") == [expected] * 2


def test_every_action_and_condition_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "faults.md").read_text()
    words = set(re.findall(r"`([a-z_.<>N-]+)", text))
    names = {*ACTIONS, *CONDITIONS, *PRESETS, *ALL_STAGES} - {"header.<Name>"}
    assert names - words == set()
    shown = " ".join(documented())
    assert {name for name in ACTIONS if f"{name}:" not in shown} == set()


def test_a_plan_in_the_configuration(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(
        "seed: 1\nrules: [{when: {at: rcpt}, do: {reply: 450 4.2.0 Later}, times: 1}]\n"
    )
    server = serve({**INBOX, "smtp": {"faults": "plan.yaml"}}, worker="echo.php")
    with Wire(server) as wire:
        assert talk(wire, *STAGES["rcpt"], STAGES["rcpt"][-1])[-2:] == [b"450 4.2.0 Later\r\n", RCPT_OK]
    assert acted(server, "default") == 1
