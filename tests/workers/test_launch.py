"""What the configuration asks for, as a command with its environment; and the command before the first worker."""

from __future__ import annotations

import asyncio

import pytest
from pools import Log

from fastsmtp import __version__
from fastsmtp.config.settings import OnInitSettings, PoolSettings, ServerSettings
from fastsmtp.errors import StartError
from fastsmtp.workers.launch import Launch, run_on_init, split_command


@pytest.mark.parametrize(
    ("command", "words"),
    [("", ()), ("php 'a b.php' -x", ("php", "a b.php", "-x")), (["php", "a b.php"], ("php", "a b.php")), ([], ())],
    ids=["none", "text", "list", "empty-list"],
)
def test_split_command(command: str | list[str], words: tuple[str, ...]) -> None:
    assert split_command(command) == words


def test_unclosed_quote() -> None:
    with pytest.raises(StartError, match=r"^cannot split the command \"php 'a\" into words: No closing quotation$"):
        split_command("php 'a")


def test_of_the_server() -> None:
    server = ServerSettings(command="php worker.php", relay="pipes", relay_timeout_s=3.0, user="me", group="us",
                            env=[{"A": "1"}, {"B": "2", "A": "3"}], trust_relay=True)  # type: ignore[list-item]  # fmt: skip
    found = Launch.from_settings(server, PoolSettings(), command=("own",), rpc="tcp://127.0.0.1:6001")
    assert found == Launch(
        command=("php", "worker.php"),
        relay="pipes",
        env={"RR_RPC": "tcp://127.0.0.1:6001", "A": "3", "B": "2", "RR_VERSION": __version__, "RR_MODE": "smtp"},
        user="me",
        group="us",
        relay_timeout_s=3.0,
        trust_relay=True,
    )
    assert str(found) == "php worker.php"


def test_of_the_pool() -> None:
    found = Launch.from_settings(ServerSettings(command="a"), PoolSettings(command="b 'c d'"), mode="jobs")
    assert (found.command, found.env["RR_MODE"], found.inherit_output) == (("b", "c d"), "jobs", False)
    assert str(found) == "b 'c d'"


def test_our_own_worker() -> None:
    found = Launch.from_settings(ServerSettings(), PoolSettings(), command=("python", "-c", "x"))
    assert (found.command, found.inherit_output, str(found)) == (("python", "-c", "x"), True, "fastsmtp.printer.main")


def on_init(command: str | list[str], **settings: object) -> tuple[list[tuple[str, str]], str]:
    """What is logged while the command runs, and the error it ends in."""
    log, error = Log(), ""
    try:
        asyncio.run(run_on_init(OnInitSettings(command=command, **settings), log.logger))  # type: ignore[arg-type]
    except StartError as fault:
        error = str(fault)
    return [(record["level"], record["event"]) for record in log.records], error


def test_no_command() -> None:
    assert on_init("") == ([], "")


def test_runs_to_its_end() -> None:
    assert on_init(["sh", "-c", "echo $WORD; echo two >&2"], env={"WORD": "one"}) in (
        ([("info", "one"), ("info", "two")], ""),
        ([("info", "two"), ("info", "one")], ""),  # two pipes
    )


def test_fails() -> None:
    reason = "on_init \"sh -c 'echo why; exit 3'\" failed: exit status 3\n  why"
    command = ["sh", "-c", "echo why; exit 3"]
    assert on_init(command) == ([("info", "why"), ("error", "on_init failed")], "")
    assert on_init(command, exit_on_error=True) == ([("info", "why")], reason)


def test_takes_too_long() -> None:
    error = 'on_init "sleep 1000" did not end within 0.05 s'
    assert on_init("sleep 1000", exec_timeout_s=0.05, exit_on_error=True) == ([], error)


def test_cannot_be_started() -> None:
    error = 'cannot start "/no/such/command": No such file or directory'
    assert on_init("/no/such/command", exit_on_error=True) == ([], error)
