"""One run of a fake server: signals, the banner, the files that stand while it serves, exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from inotify import watching
from structlog.testing import capture_logs

from fastsmtp import __version__
from fastsmtp.cli import service
from fastsmtp.cli.service import Wishes, serve
from fastsmtp.config.file import load
from fastsmtp.errors import StartError
from fastsmtp.server import server as server_module

Step = Callable[["Server"], None]


def send(number: int) -> Step:
    return lambda server: os.kill(os.getpid(), number)


def look(path: Path) -> Step:
    return lambda server: server.did.append(path.read_text())


class Server:
    """Writes down what it is made to do. `steps` are taken one by one once it serves."""

    def __init__(self, *steps: Step, starts: bool = True, stops: bool = True) -> None:
        self.addresses = {"default": ["127.0.0.1:1025"]}
        self.did: list[str] = []
        self.starts = starts  # or it hangs
        self.stops = stops  # or it hangs
        self.fault: StartError | None = None
        self._steps = steps

    async def start(self) -> None:
        if self.fault is not None:
            raise self.fault
        self.did.append("start")
        asyncio.ensure_future(self._play())  # noqa: RUF006
        if not self.starts:
            await asyncio.Event().wait()

    async def _play(self) -> None:
        await asyncio.sleep(0)  # it is started
        await asyncio.sleep(0)
        for step in self._steps:
            step(self)
            for _ in range(10):  # signals take their way through the loop
                await asyncio.sleep(0)

    async def stop(self) -> None:
        self.did.append("stop")
        if not self.stops:
            await asyncio.Event().wait()

    def abort(self) -> None:
        self.did.append("abort")

    def reset(self) -> None:
        self.did.append("reset")

    def reopen_logs(self) -> None:
        self.did.append("reopen")

    def tell_launches(self) -> None:
        self.did.append("tell")


class Output:
    """Stands in the place of the log's."""

    def __init__(self) -> None:
        self.did: list[str] = []

    def reopen(self) -> None:
        self.did.append("reopen")

    def close(self) -> None:
        self.did.append("close")


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Output:
    output = Output()
    monkeypatch.setattr(service, "configure", lambda settings: output)
    return output


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    """The records of the run."""
    with capture_logs() as records:
        yield records


def run(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    wishes: Wishes = Wishes(silent=True),  # noqa: B008
    *settings: str,
) -> int:
    monkeypatch.setattr(server_module, "Server", lambda config, save: server)
    return serve(load(None, ["smtp.processes=1", 'inbox.address=""', *settings]), wishes)


def record(event: str, level: str = "info", **fields: Any) -> dict[str, Any]:
    return {"log_level": level, "channel": "smtp", "event": event, **fields}


def listening(addresses: str = "127.0.0.1:1025") -> dict[str, Any]:
    return record("listening", addresses=addresses, pid=os.getpid(), version=__version__)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it(
    monkeypatch: pytest.MonkeyPatch, output: Output, logged: list[dict[str, Any]], number: int
) -> None:
    server = Server(send(number))
    assert run(server, monkeypatch) == 0
    assert (server.did, output.did) == (["start", "stop"], ["close"])
    assert logged == [listening(), record("stopping", reason=signal.Signals(number).name), record("stopped")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(
    monkeypatch: pytest.MonkeyPatch, output: Output, logged: list[dict[str, Any]], number: int
) -> None:
    server = Server(send(signal.SIGTERM), send(number), stops=False)
    assert run(server, monkeypatch) == 128 + number
    assert (server.did, output.did) == (["start", "stop", "abort"], ["close"])
    assert logged == [
        listening(),
        record("stopping", reason="SIGTERM"),
        record("ending at once", "warning", reason=signal.Signals(number).name),
        record("stopped"),
    ]


def test_a_signal_during_the_start_breaks_it_off(monkeypatch: pytest.MonkeyPatch, output: Output) -> None:
    server = Server(send(signal.SIGHUP), send(signal.SIGTERM), starts=False)  # SIGHUP has no meaning yet
    assert run(server, monkeypatch) == 0
    assert (server.did, output.did) == (["start", "abort"], ["close"])


def test_other_signals_reset_and_reopen(monkeypatch: pytest.MonkeyPatch, output: Output) -> None:
    server = Server(send(signal.SIGHUP), send(signal.SIGUSR1), send(signal.SIGTERM))
    assert run(server, monkeypatch) == 0
    assert (server.did, output.did) == (["start", "reset", "reopen", "stop"], ["reopen", "close"])


def test_a_start_that_fails_is_told(monkeypatch: pytest.MonkeyPatch, output: Output, tmp_path: Path) -> None:
    server = Server()
    server.fault = StartError("no worker command")
    with pytest.raises(StartError, match=r"^no worker command$"):
        run(server, monkeypatch, Wishes(pid_file=str(tmp_path / "pid"), ready_file=str(tmp_path / "ready")))
    assert (output.did, list(tmp_path.iterdir())) == (["close"], [])


def test_files_stand_while_it_serves(monkeypatch: pytest.MonkeyPatch, output: Output, tmp_path: Path) -> None:
    pid, ready = tmp_path / "pid", tmp_path / "ready"
    server = Server(look(pid), look(ready), send(signal.SIGTERM))
    assert run(server, monkeypatch, Wishes(pid_file=str(pid), ready_file=str(ready), silent=True)) == 0
    document = {"pid": os.getpid(), "listeners": {"default": ["127.0.0.1:1025"]}}
    assert server.did == ["start", f"{os.getpid()}\n", json.dumps(document) + "\n", "stop"]
    assert list(tmp_path.iterdir()) == []


def test_files_appear_whole(monkeypatch: pytest.MonkeyPatch, output: Output, tmp_path: Path) -> None:
    wishes = Wishes(pid_file=str(tmp_path / "pid"), ready_file=str(tmp_path / "ready"), silent=True)
    with watching(tmp_path) as told:
        assert run(Server(send(signal.SIGTERM)), monkeypatch, wishes) == 0
    assert [(name, what) for name, what in told if name in ("pid", "ready")] == [
        ("pid", "moved there"),
        ("ready", "moved there"),
        ("ready", "deleted"),
        ("pid", "deleted"),
    ]


@pytest.mark.parametrize("kind", ["stale", "own", "none"])
def test_a_pid_file_without_a_live_owner_is_replaced(
    monkeypatch: pytest.MonkeyPatch, output: Output, tmp_path: Path, kind: str
) -> None:
    pid = tmp_path / "pid"
    pid.write_text({"stale": "1\n", "own": f"{os.getpid()}\n", "none": "abc\n"}[kind])
    if kind == "stale":
        os.utime(pid, (0, 0))  # written before its process was started
    server = Server(look(pid), send(signal.SIGTERM))
    assert run(server, monkeypatch, Wishes(pid_file=str(pid), silent=True)) == 0
    assert server.did == ["start", f"{os.getpid()}\n", "stop"]


def test_a_pid_file_that_cannot_be_read_is_told(
    monkeypatch: pytest.MonkeyPatch, output: Output, tmp_path: Path
) -> None:
    with pytest.raises(StartError, match=f"^cannot read the pid file {tmp_path}: Is a directory$"):
        run(Server(), monkeypatch, Wishes(pid_file=str(tmp_path), silent=True))


def test_a_file_that_another_server_has_put_there_stays(
    monkeypatch: pytest.MonkeyPatch, output: Output, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    server = Server(lambda _: pid.write_text("1\n") and None, send(signal.SIGTERM))
    assert run(server, monkeypatch, Wishes(pid_file=str(pid), silent=True)) == 0
    assert pid.read_text() == "1\n"


@pytest.mark.parametrize("kind", ["pid", "ready"])
@pytest.mark.parametrize(
    ("place", "why"), [("/nowhere/x", "No such file or directory"), ("/dev/null/x", "Not a directory")]
)
def test_a_file_that_cannot_be_written_is_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, output: Output, kind: str, place: str, why: str
) -> None:
    server = Server()
    wishes = Wishes(pid_file=place) if kind == "pid" else Wishes(ready_file=place)
    with pytest.raises(StartError) as refused:
        run(server, monkeypatch, wishes)
    told = {f"cannot write the {kind} file {place}: {why}", f"cannot read the {kind} file {place}: {why}"}
    assert str(refused.value) in told
    assert (server.did, output.did) == ([], ["close"])


def test_a_ready_file_that_is_a_directory_is_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, output: Output, tmp_path: Path
) -> None:
    server = Server()
    with pytest.raises(StartError, match=f"^cannot write the ready file {tmp_path}: Is a directory$"):
        run(server, monkeypatch, Wishes(ready_file=str(tmp_path)))
    assert (server.did, list(tmp_path.iterdir())) == ([], [])


@pytest.mark.parametrize(
    ("settings", "silent", "banner", "record"),
    [
        ([], False, True, False),
        ([], True, False, True),
        (["logs.output=server.log"], False, True, True),
        (["logs.mode=production"], False, False, True),
        (["logs.mode=production", "logs.output=server.log"], False, False, True),
        (["logs.mode=production", "logs.encoding=console"], False, False, True),
        (["logs.encoding=json"], False, False, True),
        (["logs.encoding=json", "logs.output=server.log"], False, True, True),
    ],
    ids=["terminal", "silent", "file", "production", "production-file", "production-console", "json", "json-file"],
)
def test_where_it_listens_is_told_once_in_each_place(
    monkeypatch: pytest.MonkeyPatch,
    output: Output,
    capsys: pytest.CaptureFixture[str],
    logged: list[dict[str, Any]],
    settings: list[str],
    silent: bool,
    banner: bool,
    record: bool,
) -> None:
    """The banner is for people, and no line of it gets between those of a log in JSON."""
    assert run(Server(send(signal.SIGTERM)), monkeypatch, Wishes(silent=silent), *settings) == 0
    shown = capsys.readouterr()
    assert (shown.out, "  listening    127.0.0.1:1025\n" in shown.err, shown.err != "") == ("", banner, banner)
    assert (listening() in logged) is record


def test_the_warning_of_the_banner_is_in_the_log_where_there_is_no_banner(
    monkeypatch: pytest.MonkeyPatch, output: Output, logged: list[dict[str, Any]]
) -> None:
    server = Server(send(signal.SIGTERM))
    server.addresses = {"default": ["127.0.0.1:1025"], "other": ["0.0.0.0:25"]}
    assert run(server, monkeypatch) == 0
    warning = (
        "0.0.0.0:25 can be reached from other machines: "
        "every mail and every login is accepted, keep it off the internet"
    )
    assert logged[:2] == [listening("127.0.0.1:1025, 0.0.0.0:25"), record(warning, "warning")]


@pytest.mark.parametrize(
    ("settings", "told"),
    [([], False), (["logs.output=server.log"], True), (["logs.mode=production"], True)],
    ids=["terminal", "file", "production"],
)
def test_why_it_cannot_start_is_in_the_log_unless_stderr_says_it_next_to_it(
    monkeypatch: pytest.MonkeyPatch, output: Output, logged: list[dict[str, Any]], settings: list[str], told: bool
) -> None:
    server = Server()
    server.fault = StartError("no worker command")
    with pytest.raises(StartError):
        run(server, monkeypatch, Wishes(silent=True), *settings)
    assert logged == [record("cannot start", "error", reason="no worker command")] * told


def test_a_directory_for_mails_that_cannot_be_made_is_told() -> None:
    with pytest.raises(StartError, match=r"^cannot keep mails in /dev/null/mails: Not a directory$"):
        serve(load(None, []), Wishes(save="/dev/null/mails"))
