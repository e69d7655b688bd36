"""The fuzzer of the wire: servers of both modes under random dialogues, and the judgement."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from wire.dialogue import Hung, talk
from wire.ledger import Ledger, fetch, read_inbox, read_records

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = 5  # at a time, for each server
MEMORY_MB = 400  # that a server may have at its end
QUIET_S = 30.0  # for what is left of connections, mails and workers
END_S = 60.0

COMMON = (
    "smtp.addr=127.0.0.1:0",
    f"server.command=php {ROOT / 'tests' / 'php' / 'misbehaves.php'}",
    "smtp.read_timeout=5s",
    "smtp.write_timeout=5s",
    "smtp.max_message_size=600000",
    "smtp.max_inflight_bytes=4000000",
    "smtp.include_transcript=true",
    "smtp.pool={num_workers: 3, max_jobs: 150, allocate_timeout: 20s, supervisor: {exec_ttl: 1s}}",
    "logs={level: debug, mode: production, output: server.log}",
    "metrics.address=127.0.0.1:0",
)


class Mode(NamedTuple):
    """A way to configure a server."""

    name: str
    settings: tuple[str, ...]
    implicit_tls: bool


MODES = (
    Mode(
        "smtp",
        (
            "server.relay=unix",
            "smtp.tls={cert: auto}",
            "smtp.include_raw=true",
            'inbox={address: "127.0.0.1:0", namespace: ["header:X-Nowhere"]}',
        ),
        False,
    ),
    Mode(
        "jobs",
        (
            "server.relay=pipes",
            "smtp.payload=jobs",
            "smtp.tls={cert: auto, mode: implicit}",
            "smtp.attachment_storage={mode: tempfile, temp_dir: attachments, cleanup_after: 1h}",
            "inbox.address=",
        ),
        True,
    ),
)


class Server:
    """A running server in a directory of its own."""

    def __init__(self, mode: Mode, directory: Path) -> None:
        self.mode = mode
        self.directory = directory
        directory.mkdir()
        ready = directory / "ready"
        command = [sys.executable, "-m", "fastsmtp", "serve", "-s", "--ready-file", str(ready)]
        for setting in (*COMMON, *mode.settings, f"server.env={{RECORDS: {directory}/records}}"):
            command += ["-o", setting]
        with open(directory / "stderr", "wb") as stderr:
            self._process = subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL, stderr=stderr)
        while not ready.exists():
            if self._process.poll() is not None:
                sys.exit((directory / "stderr").read_text() + (directory / "server.log").read_text())
            time.sleep(0.05)
        found = json.loads(ready.read_text())
        self.port = int(found["listeners"]["default"][0].rpartition(":")[2])
        self.inbox: str = found.get("inbox", "")
        self.descriptors_at_first = self.descriptors()

    def descriptors(self) -> int:
        """Open files."""
        return len(os.listdir(f"/proc/{self._process.pid}/fd"))

    def memory_mb(self) -> float:
        """Resident."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1000

    def ended(self) -> bool:
        """Whether it is gone already."""
        return self._process.poll() is not None

    def calm_down(self) -> None:
        """Wait until nothing is left of the clients, QUIET_S at most."""
        deadline = time.monotonic() + QUIET_S
        while time.monotonic() < deadline and list(self.leftovers()):
            time.sleep(0.2)

    def leftovers(self) -> Iterator[str]:
        """What is there, and should not be when all clients are gone."""
        more = self.descriptors() - self.descriptors_at_first
        if more > 2:  # a connection that a scrape or a log has, say
            yield f"{more} descriptors more than at first"
        files = [path for path in (self.directory / "attachments").rglob("*") if path.is_file()]
        if files:
            yield f"{len(files)} tempfiles are left"

    def stop(self) -> int:
        """Let it end; its exit code."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def said(self) -> Iterator[str]:
        """What the log has that it must not have, however clients and workers behave."""
        log = (self.directory / "server.log").read_bytes().decode("utf-8", "surrogateescape")
        for record in log.split("\n")[:-1]:
            if not record.isprintable():
                yield f"unprintable log record: {ascii(record)[:300]}"
            if "stacktrace" in json.loads(record):
                yield f"traceback: {record[:3000]}"
        if stderr := (self.directory / "stderr").read_text():
            yield f"on stderr: {stderr[:1000]}"


class Trial:
    """One server under its clients."""

    def __init__(self, server: Server, seed: int, ends: float) -> None:
        self.server = server
        self.ledger = Ledger()
        self._seed = seed
        self._ends = ends
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(CLIENTS)]

    def start(self) -> None:
        """Let the clients begin."""
        for thread in self._threads:
            thread.start()

    def _run(self, number: int) -> None:
        chooser = random.Random(f"{self._seed}/{self.server.mode.name}/{number}")
        turn = 0
        while time.monotonic() < self._ends:
            turn += 1
            name = f"{self.server.mode.name[0]}{number}-{turn}"
            try:
                talk(self.ledger, self.server.port, chooser, name, implicit_tls=self.server.mode.implicit_tls)
            except Hung as error:
                self.ledger.wonder(f"hung: {error}")
            except OSError as error:
                self.ledger.wonder(f"{type(error).__name__}: {error}")
                time.sleep(0.2)

    def judge(self) -> list[str]:
        """Wait for the clients, end the server, and say all that is wrong."""
        for thread in self._threads:
            thread.join()
        server, ledger = self.server, self.ledger
        if server.ended():
            return ["the server has ended", *server.said()]
        server.calm_down()
        faults = list(server.leftovers())
        memory_mb, kept = server.memory_mb(), None
        if memory_mb > MEMORY_MB:
            faults.append(f"{memory_mb:.0f} MB of memory")
        if server.inbox:
            kept = read_inbox(server.inbox)
            account: Any = fetch(f"{server.inbox}/api/ledger")
            if not account["balanced"]:
                faults.append(f"the ledger of the inbox: {account}")
        code = server.stop()
        if code:
            faults.append(f"exit code {code}")
        if not ledger.accepted:
            faults.append("no mail was accepted")
        records = read_records(server.directory)
        faults += [*ledger.faults(records, kept), *server.said()]
        replies = ", ".join(f"{reply} {count}" for reply, count in ledger.replies.most_common())
        print(
            f"{server.mode.name}: {ledger.clients} clients, {len(records)} mails with workers, "
            f"{len(ledger.broken)} broken off; {replies}; {memory_mb:.0f} MB",
            flush=True,
        )
        return [f"{server.mode.name}: {fault}" for fault in faults]


def run(seconds: float, seed: int, wanted: Sequence[str]) -> int:
    """Fuzz for so long; 1 where something is wrong, and then the logs stay."""
    modes = [mode for mode in MODES if not wanted or mode.name in wanted]
    print(f"seed {seed}", flush=True)
    directory = Path(tempfile.mkdtemp(prefix="fastsmtp-fuzz-"))
    servers = [Server(mode, directory / mode.name) for mode in modes]
    ends = time.monotonic() + seconds
    trials = [Trial(server, seed, ends) for server in servers]
    for trial in trials:
        trial.start()
    faults = [fault for trial in trials for fault in trial.judge()]
    print("\n".join(faults) if faults else "no mail was lost or came twice", flush=True)
    if faults:
        print(f"logs and records: {directory}", flush=True)
    else:
        shutil.rmtree(directory)
    return int(bool(faults))
