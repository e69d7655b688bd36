"""`fastsmtp sendmail` in the place of /usr/sbin/sendmail: called by PHP, cron, git, s-nail and Symfony, and by hand."""

from __future__ import annotations

import getpass
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import TESTS, WORKERS, Serve, Server

from fastsmtp import __version__

PATIENCE_S = 60
FASTSMTP = Path(sys.executable).with_name("fastsmtp")
HOST = socket.gethostname()
ME = f"{getpass.getuser()}@{HOST}"
TO = b"To: bob@example.com\nSubject: x\n\n"

Call = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def program(tmp_path: Path) -> str:
    """The command under the name `sendmail`."""
    link = tmp_path / "sendmail"
    link.symlink_to(FASTSMTP)
    return str(link)


def call(*command: str, octets: bytes = b"", **variables: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, **variables}
    return subprocess.run(command, input=octets, capture_output=True, env=environment, timeout=PATIENCE_S, check=False)


def address(server: Server) -> str:
    return f"{server.host}:{server.port}"


def record(server: Server) -> dict[str, Any]:
    """The only mail."""
    [found] = server.records()
    return found


def envelope(server: Server) -> tuple[str, list[str]]:
    found = record(server)["envelope"]
    return found["from"], found["to"]


def outcome(done: subprocess.CompletedProcess[bytes]) -> tuple[int, bytes, str]:
    return done.returncode, done.stdout, done.stderr.decode()


# --- as programs call it


def test_php_mail(serve: Serve, program: str) -> None:
    server = serve()
    path = f"sendmail_path={program} -t -i"
    done = call("php", "-d", path, str(WORKERS / "mail.php"), FASTSMTP_SENDMAIL_ADDR=address(server))
    assert outcome(done) == (0, b"", "")
    assert envelope(server) == (
        "bounce@example.com",
        ["ada@example.com", "bob@example.com", "carol@example.com", "hidden@example.com"],
    )
    message = record(server)["message"]
    assert (message["subject"], message["text"], message["from"], message["bcc"], message["defects"]) == (
        "Grüße",
        "Hello\r\n.\r\nWorld\r\n\r\n",  # PHP adds the last one
        [{"name": "Shop", "address": "shop@example.com"}],
        [],
        [],
    )


def test_php_is_told_that_a_mail_was_not_sent() -> None:
    """PHP takes EX_TEMPFAIL, by which others say that no server answers, for success."""
    done = call("php", "-d", f"sendmail_path={FASTSMTP} sendmail -S 127.0.0.1:1 -t -i", str(WORKERS / "mail.php"))
    assert outcome(done) == (1, b"", "sendmail: cannot connect to 127.0.0.1:1: Connection refused\n")


def test_cron(serve: Serve, program: str) -> None:
    server = serve()
    arguments = ["-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root"]
    output = b"From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@host> job\n\nerror: x\n.\n"
    done = call(program, *arguments, octets=output, FASTSMTP_SENDMAIL_ADDR=address(server))
    assert outcome(done) == (0, b"", "")
    assert envelope(server) == (ME, [f"root@{HOST}"])
    assert record(server)["message"]["text"] == "error: x\r\n.\r\n"


def test_git_send_email(serve: Serve, program: str, tmp_path: Path) -> None:
    server = serve()
    patch = tmp_path / "0001-change.patch"
    patch.write_text("From: Ada <ada@example.com>\nSubject: [PATCH] Change\n\nA change.\n---\n")
    settings = [f"sendemail.smtpServer={program}", "user.name=Ada", "user.email=ada@example.com"]
    command = ["git", *(word for setting in settings for word in ("-c", setting))]
    command += ["send-email", "--quiet", "--confirm=never"]
    command += ["--suppress-cc=all", "--from=ada@example.com", "--to=bob@example.com", str(patch)]
    done = call(*command, FASTSMTP_SENDMAIL_ADDR=address(server), HOME=str(tmp_path), GIT_CONFIG_NOSYSTEM="1")
    assert (done.returncode, done.stderr) == (0, b"")
    # git says -f only where it is configured to; the envelope is then that of the user.
    assert (envelope(server)[1], record(server)["message"]["subject"]) == (["bob@example.com"], "[PATCH] Change")


def test_s_nail(serve: Serve, program: str) -> None:
    server = serve()
    command = ["s-nail", "-:/", "-S", "v15-compat", "-S", f"mta={program}", "-S", "sendwait", "-s", "Hello"]
    done = call(
        *command, "-r", "me@example.com", "bob@example.com", octets=b"Text\n", FASTSMTP_SENDMAIL_ADDR=address(server)
    )
    assert outcome(done) == (0, b"", "")
    assert (envelope(server), record(server)["message"]["text"]) == (
        ("me@example.com", ["bob@example.com"]),
        "Text\r\n",
    )


@pytest.mark.parametrize("flags", ["-bs", "-t -i"])
def test_symfony(serve: Serve, program: str, flags: str) -> None:
    server = serve()
    script = str(TESTS / "clients" / "symfony_sendmail.php")
    done = call("php", script, f"{program} {flags}", FASTSMTP_SENDMAIL_ADDR=address(server))
    assert outcome(done) == (0, b"", "")
    assert (envelope(server), record(server)["message"]["subject"]) == (
        ("zoe@example.com", ["bob@example.com"]),
        "Symfony",
    )


# --- by hand


def test_a_whole_session_on_standard_input_and_output(serve: Serve, program: str) -> None:
    server = serve()
    said = b"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.c>\r\nDATA\r\n\r\nx\r\n.\r\nQUIT\r\n"
    done = call(program, "-bs", "-S", address(server), octets=said)
    assert [line[:3] for line in done.stdout.splitlines()] == [b"220", b"250", b"250", b"250", b"354", b"250", b"221"]
    assert (done.returncode, done.stderr, envelope(server)) == (0, b"", ("", ["a@b.c"]))


def test_a_session_ends_when_its_input_does(serve: Serve, program: str) -> None:
    server = serve()
    done = call(program, "-bs", "-S", address(server), octets=b"NOOP\r\n")
    assert (done.returncode, [line[:3] for line in done.stdout.splitlines()]) == (0, [b"220", b"250"])


def test_what_a_message_lacks_is_added(serve: Serve, program: str) -> None:
    server = serve()
    assert outcome(call(program, "-S", address(server), "-F", "Me", "bob@example.com", octets=b"just text\n")) == (
        0,
        b"",
        "",
    )
    message = record(server)["message"]
    assert (message["from"], message["text"], message["defects"]) == (
        [{"name": "Me", "address": ME}],
        "just text\r\n",
        [],
    )
    assert message["id"].endswith(f"@{HOST}")
    assert message["date"] is not None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-f", "<>", "carol@example.com"], ("", ["carol@example.com"])),
        (["-r", "root", "carol@example.com"], (f"root@{HOST}", ["carol@example.com"])),
        (["-f", "me@b.c", "--maildomain=example.org", "dave,eve@b.c"], ("me@b.c", ["dave@example.org", "eve@b.c"])),
        (["-f", "me@b.c", "-t", "carol@example.com"], ("me@b.c", ["carol@example.com", "bob@example.com"])),
        (["-f", "me@b.c"], ("me@b.c", ["bob@example.com"])),
        (["--read-envelope-from", "-t"], ("author@example.com", ["bob@example.com"])),
    ],
    ids=["null", "local", "domain", "both", "Mailpit", "read"],
)
def test_the_envelope(serve: Serve, program: str, arguments: list[str], expected: tuple[str, list[str]]) -> None:
    server = serve()
    octets = b"From: author@example.com\n" + TO
    assert outcome(call(program, "-S", address(server), *arguments, octets=octets)) == (0, b"", "")
    assert envelope(server) == expected


@pytest.mark.parametrize(("flags", "text"), [([], "one\r\n"), (["-i"], "one\r\n.\r\ntwo\r\n")], ids=["ends", "ignored"])
def test_a_dot_on_a_line_of_its_own(serve: Serve, program: str, flags: list[str], text: str) -> None:
    server = serve()
    assert outcome(call(program, "-S", address(server), "-t", *flags, octets=TO + b"one\n.\ntwo\n")) == (0, b"", "")
    assert record(server)["message"]["text"] == text


def test_flags_of_msmtp(serve: Serve, program: str) -> None:
    server = serve({"smtp": {"tls": {"cert": "auto"}}})
    arguments = [
        f"--host={server.host}",
        f"--port={server.port}",
        "--tls",
        "--tls-certcheck=off",
        "--auth",
        "--user=me",
    ]
    arguments += ["--domain=client.test", "-N", "never", "-R", "hdrs", "-V", "id-1", "--from=me@b.c", "-t"]
    assert outcome(call(program, *arguments, octets=TO, FASTSMTP_PASSWORD="secret")) == (0, b"", "")
    found = record(server)
    assert (found["envelope"]["helo"], found["session"]["tls"]["version"]) == ("client.test", "TLSv1.3")
    assert (found["authentication"]["username"], found["authentication"]["password"]) == ("me", "secret")
    parameters = found["envelope"]["mail_params"]
    assert (parameters["RET"], parameters["ENVID"], found["envelope"]["rcpt_params"]) == (
        "HDRS",
        "id-1",
        [{"NOTIFY": "NEVER"}],
    )


def test_the_verb_is_the_same(serve: Serve) -> None:
    server = serve()
    done = call(str(FASTSMTP), "sendmail", "-v", "-S", address(server), "-oi", "-t", octets=TO)
    assert (done.returncode, done.stdout, envelope(server)) == (0, b"", (ME, ["bob@example.com"]))
    assert re.fullmatch(rf"< 220 .*> EHLO {re.escape(HOST)}\n.*> QUIT\n< 221 [^\n]*\n", done.stderr.decode(), re.DOTALL)


@pytest.mark.parametrize("flag", ["-X{}", "--logfile={}"])
def test_the_dialogue_is_added_to_a_file(serve: Serve, program: str, tmp_path: Path, flag: str) -> None:
    server, log = serve(), tmp_path / "traffic"
    log.write_text("from before\n")
    assert outcome(call(program, flag.format(log), "-S", address(server), "-t", octets=TO)) == (0, b"", "")
    dialogue = rf"from before\n< 220 .*> EHLO {re.escape(HOST)}\n.*> RCPT TO:<bob@example.com>.*> QUIT\n< 221 [^\n]*\n"
    assert re.fullmatch(dialogue, log.read_text(), re.DOTALL)


def test_the_mail_goes_though_there_can_be_no_log(serve: Serve, program: str, tmp_path: Path) -> None:
    server = serve()
    done = call(program, "-X", str(tmp_path / "none" / "log"), "-S", address(server), "-t", octets=TO)
    assert outcome(done) == (0, b"", f"sendmail: -X {tmp_path}/none/log: No such file or directory\n")
    assert envelope(server) == (ME, ["bob@example.com"])


@pytest.mark.parametrize(
    ("arguments", "octets", "code", "complaint"),
    [
        (["-Z"], b"", 64, "option -Z not recognized; see `fastsmtp sendmail --help`"),
        (["-bd"], b"", 64, "there is no -bd here, but -bm, -bs, -bp and -bi; `fastsmtp serve` listens"),
        (["-S", "nowhere"], b"", 64, "nowhere: the port is missing"),
        (
            ["-t"],
            b"Subject: x\n\n",
            65,
            "no recipient: the message names none in To, Cc and Bcc, and neither do the arguments",
        ),
        (["a b"], TO, 65, "'a b' is no address"),
        (["-f", "a@b.c\nRCPT TO:<x@y>"], TO, 65, "'a@b.c\\nRCPT TO:<x@y>' is no address"),
        (["-S", "127.0.0.1:1", "-t"], TO, 69, "cannot connect to 127.0.0.1:1: Connection refused"),
        (["-S", "127.0.0.1:1", "-bs"], TO, 69, "cannot connect to 127.0.0.1:1: Connection refused"),
    ],
    ids=["flag", "mode", "server", "no recipient", "recipient", "sender", "no server", "no server for a session"],
)
def test_what_cannot_be_sent(program: str, arguments: list[str], octets: bytes, code: int, complaint: str) -> None:
    assert outcome(call(program, *arguments, octets=octets)) == (code, b"", f"sendmail: {complaint}\n")


def test_what_is_refused(serve: Serve, program: str) -> None:
    server = serve({"smtp": {"max_recipients": 1}})
    done = call(program, "-S", address(server), "a@b.c", "d@e.f", octets=TO)
    refusal = "sendmail: RCPT TO:<d@e.f> was refused: 452 4.5.3 Too many recipients\n"
    assert (outcome(done), envelope(server)[1]) == ((69, b"", refusal), ["a@b.c"])


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["-bp"], b"Mail queue is empty\n"),
        (["-q"], b"Mail queue is empty\n"),
        (["-bi"], b""),
        (["--version"], f"fastsmtp {__version__}\n".encode()),
    ],
    ids=["mailq", "queue run", "newaliases", "version"],
)
def test_what_needs_no_server(program: str, arguments: list[str], shown: bytes) -> None:
    assert outcome(call(program, *arguments)) == (0, shown, "")


def test_help_names_the_flags_and_the_exit_codes(program: str) -> None:
    done = call(program, "--help")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"Usage: sendmail [FLAG]... [RECIPIENTS]...\n")
    assert done.stdout.endswith(b"  69  no server answers, or it refused\n")
