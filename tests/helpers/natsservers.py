"""Three real NATS servers with JetStream, on loopback addresses that no other process of the tests has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from servers import TESTS
from waits import wait_until

Settings = Callable[..., dict[str, Any]]  # the configuration of a node
_BUILT: Final = TESTS.parent / "build" / "nats" / "nats-server"  # by ci/install-nats
_CLIENTS, _ROUTES, _MONITOR = 4222, 6222, 8222
_CONFIG: Final = """\
server_name: n%(number)d
listen: "%(host)s:4222"
http: "%(host)s:8222"
max_payload: 1MB
jetstream { store_dir: "%(directory)s/n%(number)d", sync_interval: %(sync)s, max_file_store: 64GB }
cluster { name: test, listen: "%(host)s:6222", routes: [%(routes)s] }
accounts { %(accounts)s }
"""
_ACCOUNTS: Final = 40
_ACCOUNT: Final = "T%(number)d { jetstream: enabled, users: [{ user: t%(number)d, password: secret }] }"


def nats_server() -> str:
    """The program."""
    found = str(_BUILT) if _BUILT.exists() else shutil.which("nats-server")
    assert found, "there is no nats-server: ci/install-nats puts one into build/nats/"
    return found


class NATSCluster:
    """Three servers, of which each can be killed and started again."""

    def __init__(
        self,
        directory: Path,
        *,
        sync: str = "always",
        kin: int = 0,
        hosts: Sequence[str] = (),
        wrapper: Callable[[int], list[str]] = lambda _number: [],
    ) -> None:
        """`kin` tells several clusters of one process apart, 0 or 1; `wrapper` stands before a server's command."""
        self.directory = directory
        self._sync = sync
        self._wrapper = wrapper
        pid = os.getpid()
        first = (pid & 31) * 8 + 4 * kin
        network = f"127.{64 + (pid >> 13) % 64}.{(pid >> 5) % 256}"
        self.hosts = list(hosts) or [f"{network}.{first + number}" for number in (1, 2, 3)]
        self._processes: list[subprocess.Popen[bytes] | None] = [None, None, None]

    def urls(self, account: int) -> list[str]:
        """Where clients connect to one of the accounts, of which each has streams of its own."""
        assert account <= _ACCOUNTS
        return [f"nats://t{account}:secret@{host}:{_CLIENTS}" for host in self.hosts]

    @property
    def monitors(self) -> list[str]:
        """Where the servers tell how they are."""
        return [f"http://{host}:{_MONITOR}" for host in self.hosts]

    @property
    def pids(self) -> list[int]:
        """Of those that run."""
        return [process.pid for process in self._processes if process is not None]

    def start(self) -> None:
        """Start those that do not run, and wait until JetStream has a leader."""
        for number in range(3):
            if self._processes[number] is None:
                self._launch(number)
        wait_until(self.is_ready)

    def _launch(self, number: int) -> None:
        routes = ", ".join(f'"nats://{host}:{_ROUTES}"' for host in self.hosts)
        accounts = "\n".join(_ACCOUNT % {"number": number} for number in range(1, _ACCOUNTS + 1))
        values: dict[str, object] = {"number": number + 1, "host": self.hosts[number], "directory": self.directory}
        values |= {"routes": routes, "accounts": accounts, "sync": self._sync}
        config = self.directory / f"n{number + 1}.conf"
        config.write_text(_CONFIG % values)
        with (self.directory / f"n{number + 1}.log").open("ab") as log:
            command = [*self._wrapper(number), nats_server(), "-c", str(config)]
            self._processes[number] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def is_ready(self) -> bool:
        """Whether every server that runs knows the leader, and is current."""
        try:
            told = [self.ask(number, "healthz") for number, process in enumerate(self._processes) if process]
            return all(answer.get("status") == "ok" for answer in told)
        except OSError:
            return False

    def ask(self, number: int, path: str) -> dict[str, Any]:
        """What the monitoring of a server tells. Raises OSError."""
        with urllib.request.urlopen(f"{self.monitors[number]}/{path}", timeout=5) as answer:
            told: dict[str, Any] = json.load(answer)
            return told

    def leader_of(self, account: int, stream: str) -> int:
        """Which server leads a stream of an account, -1 while none does."""
        for number, process in enumerate(self._processes):
            if process is None:
                continue
            try:
                accounts = self.ask(number, f"jsz?acc=T{account}&streams=true").get("account_details") or []
            except OSError:
                continue
            for account in accounts:
                for detail in account.get("stream_detail") or []:
                    if detail["name"] == stream and detail.get("cluster", {}).get("leader"):
                        return int(detail["cluster"]["leader"][1:]) - 1
        return -1

    def kill(self, number: int) -> None:
        """SIGKILL."""
        process, self._processes[number] = self._processes[number], None
        assert process is not None
        process.kill()
        process.wait()

    def stop(self) -> None:
        """End all."""
        for number, process in enumerate(self._processes):
            if process is not None:
                self.kill(number)
