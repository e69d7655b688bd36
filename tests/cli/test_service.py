"""One run of a server that is none: signals, the banner, the files that stand while it serves, exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

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


def run(server: Server, monkeypatch: pytest.MonkeyPatch, wishes: Wishes = Wishes(silent=True)) -> int:  # noqa: B008
    monkeypatch.setattr(server_module, "Server", lambda config, save: server)
    return serve(load(None, ["smtp.processes=1"]), wishes)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it(monkeypatch: pytest.MonkeyPatch, output: Output, number: int) -> None:
    server = Server(send(number))
    assert run(server, monkeypatch) == 0
    assert (server.did, output.did) == (["start", "stop"], ["close"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(monkeypatch: pytest.MonkeyPatch, output: Output, number: int) -> None:
    server = Server(send(signal.SIGTERM), send(number), stops=False)
    assert run(server, monkeypatch) == 128 + number
    assert (server.did, output.did) == (["start", "stop", "abort"], ["close"])


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


def test_a_file_that_another_server_has_put_there_stays(
    monkeypatch: pytest.MonkeyPatch, output: Output, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    server = Server(lambda _: pid.write_text("1\n") and None, send(signal.SIGTERM))
    assert run(server, monkeypatch, Wishes(pid_file=str(pid), silent=True)) == 0
    assert pid.read_text() == "1\n"


def test_a_file_that_cannot_be_written_is_told(monkeypatch: pytest.MonkeyPatch, output: Output) -> None:
    server = Server()
    with pytest.raises(StartError, match=r"^cannot write the pid file /nowhere/pid: No such file or directory$"):
        run(server, monkeypatch, Wishes(pid_file="/nowhere/pid"))
    assert (server.did, output.did) == ([], ["close"])


@pytest.mark.parametrize("silent", [True, False])
def test_the_banner(
    monkeypatch: pytest.MonkeyPatch, output: Output, capsys: pytest.CaptureFixture[str], silent: bool
) -> None:
    assert run(Server(send(signal.SIGTERM)), monkeypatch, Wishes(silent=silent)) == 0
    shown = capsys.readouterr()
    assert (shown.out, "127.0.0.1:1025" in shown.err) == ("", not silent)


def test_a_directory_for_mails_that_cannot_be_made_is_told() -> None:
    with pytest.raises(StartError, match=r"^cannot keep mails in /dev/null/mails: Not a directory$"):
        serve(load(None, []), Wishes(save="/dev/null/mails"))
