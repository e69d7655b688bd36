"""A soak: real servers with real PHP workers under a mixed load for ten minutes. Does anything grow, or slow down?

    python benchmarks/soak.py [--seconds 600] [--interval 5] [--rate 0] [--plot soak.svg]
    python benchmarks/soak.py --short        # one minute: does all of it work?
    python benchmarks/soak.py --hostile      # with mails and workers as `ci/fuzz wire` has them

Two servers, one with attachments in memory and one with tempfiles, each with

- mails of 1 KB, 100 KB and 5 MB over connections that stay, as fast as they go or at --rate;
- mails over connections that last for three of them;
- clients that break the rules, break off, or hang up in the middle of everything;
- workers that are replaced after 500 mails, and write down the ID of each.

Every few seconds it looks at the rate, the memory, descriptors, tempfiles and CPU of the server's own processes. It
prints the curves, draws them with --plot (matplotlib, the extra `plot`), and ends with 1 unless, from the first quarter
after the warm-up to the last one,

- the rate has not fallen by more than a tenth,
- memory has not grown by more than 5 %,
- descriptors and tempfiles have not grown,

and no mail was lost or came twice, no file is left over, and no load has seen a failure.

On a shared machine the rate follows the neighbours. A --rate below what the machine can do leaves them out; without one
a lower rate counts only where the server's CPU per mail has grown by as much.

Finding (CPython 3.11; 2 shared cores; 600 s at --rate 300; from the first quarter after the warm-up to the last one):

                memory                  tempfile
    mails       190442                  190306          none lost, none twice
    workers     355 replaced            356 replaced
    broken      5963 clients            5970 clients
    mails/s     320.0 -> 320.0          320.0 -> 320.0
    memory MB   37.8 -> 38.6            36.7 -> 37.5
    open files  34 -> 34                34 -> 34        at the end as many as at the beginning
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from serving import ENVIRONMENT, Server, bench_command, serving, sparkline

from fastsmtp.bench.ledger import balance
from fastsmtp.bench.plot import MissingExtra, require
from fastsmtp.system.table import lines

WARM_UP = 0.2  # of the time
MAX_JOBS = 500
MIX = "1KB:950,100KB:45,5MB:5"
MAX_GROWTH = 1.05  # of memory
MIN_RATE = 0.9  # of the rate at first
ID_OCTETS = 18  # a line of the records
ROWS = 24  # of the table
BROKEN_PER_SECOND = 10
HOSTILE_PER_SECOND = 5
SETTLED_S = 2.0  # all processes of a server are counted by then
TRANSACTION = b"EHLO broken\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
BROKEN: tuple[bytes, ...] = (
    b"",
    b"EHLO broken\r\nMAIL FR",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xff" * 500,
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"x" * 100_000,
    b"NOOP\r\n" * 2000,
    TRANSACTION + b"Subject: half a mail\r\n\r\nthat breaks o",
    TRANSACTION + b"Content-Disposition: attachment\r\n\r\n" + b"x" * 500_000,
    b"EHLO broken\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 1000000 LAST\r\n" + b"x" * 1000,
    b"EHLO broken\r\nAUTH PLAIN !!!\r\nAUTH LOGIN\r\n",
)


class Sample(NamedTuple):
    """One look at a server; `at` in seconds since the start."""

    at: float
    mails: int
    cpu_s: float
    memory_mb: float
    descriptors: int
    tempfiles: int


class Curves(NamedTuple):
    """What is drawn and judged: one value per interval."""

    at: list[float]
    rate: list[float]
    cpu_us: list[float]  # per mail
    memory_mb: list[float]
    descriptors: list[float]
    tempfiles: list[float]


class Breaker(threading.Thread):
    """Clients that do not behave, one after the other."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self._address = (server.host, server.port)
        self._stop_asked = threading.Event()
        self.count = 0

    def run(self) -> None:
        chooser = random.Random(5321)
        while not self._stop_asked.wait(1 / BROKEN_PER_SECOND):
            with contextlib.suppress(OSError), socket.create_connection(self._address, 5) as client:
                if chooser.random() < 0.5:  # a reset instead of an end
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.settimeout(5)
                client.sendall(chooser.choice(BROKEN))
                if chooser.random() < 0.5:
                    client.recv(1000)
                self.count += 1

    def stop(self) -> None:
        """No more of them."""
        self._stop_asked.set()
        self.join()


class Hostile(Breaker):
    """Random dialogues: hostile mails, and fates of workers."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ci"))
        from wire.dialogue import talk
        from wire.ledger import Ledger

        self._talk = talk
        self.ledger = Ledger()
        self._port = server.port

    def run(self) -> None:
        chooser = random.Random(2119)
        while not self._stop_asked.wait(1 / HOSTILE_PER_SECOND):
            self.count += 1
            with contextlib.suppress(OSError):
                self._talk(self.ledger, self._port, chooser, f"h-{self.count}", implicit_tls=False)


class Subject:
    """One server under its loads."""

    def __init__(
        self, mode: str, server: Server, directory: Path, seconds: float, rate: float, *, hostile: bool = False
    ) -> None:
        self.mode = mode
        self.server = server
        self.samples: list[Sample] = []
        self.idle_descriptors = server.descriptors()
        self._directory = directory
        self._began = time.monotonic()
        self.breaker = Breaker(server)
        self.breaker.start()
        self.hostile = Hostile(server) if hostile else None
        if self.hostile is not None:
            self.hostile.start()
        at_rate = [f"--rate={rate}"] if rate else []
        self._loads = {
            "kept": self._start("kept", seconds, "--connections=10", f"--mix={MIX}", *at_rate),
            "short": self._start("short", seconds, "--connections=5", "--per-connection=3", "--rate=20"),
        }

    def _start(self, name: str, seconds: float, *arguments: str) -> subprocess.Popen[bytes]:
        ledger = f"--ledger={self._directory / name}.ledger"
        command = bench_command(self.server.address, f"--duration={seconds:g}s", ledger, *arguments)
        # Files: ten minutes of figures are more than a pipe holds, and they are read only at the end.
        with open(self._directory / f"{name}.json", "wb") as out, open(self._directory / f"{name}.err", "wb") as err:
            return subprocess.Popen(command, stdout=out, stderr=err, env=ENVIRONMENT)

    @property
    def records(self) -> list[Path]:
        """What the workers wrote, a file each."""
        return sorted(self._directory.glob("records-*"))

    @property
    def running(self) -> bool:
        """Whether a load goes on."""
        return any(load.poll() is None for load in self._loads.values())

    def look(self) -> None:
        """Take a sample."""
        server = self.server
        self.samples.append(
            Sample(
                time.monotonic() - self._began,
                sum(path.stat().st_size for path in self.records) // ID_OCTETS,
                server.cpu_s()[0],
                server.memory_mb(),
                server.descriptors(),
                self._tempfiles(),
            )
        )

    def _tempfiles(self) -> int:
        return sum(path.is_file() for path in (self._directory / "attachments").rglob("*"))

    def finish(self) -> Iterator[str]:
        """End it, and say what is wrong."""
        self.breaker.stop()
        if self.hostile is not None:
            self.hostile.stop()
            yield from self.hostile.ledger.oddities[:3]
        for name, load in self._loads.items():
            if load.wait() and self.hostile is None:  # where workers crash, mails of others may wait too long
                printed = (self._directory / f"{name}.json").read_text()
                why = json.loads(printed)["failures"] if printed else (self._directory / f"{name}.err").read_text()
                yield f"the load of {name} connections has failed: {why}"
            found_balance = balance(str(self._directory / f"{name}.ledger"), map(str, self.records))
            if not found_balance.even:
                yield f"lost: {found_balance.lost[:5]}, more than once: {found_balance.repeated[:5]}"
        deadline = time.monotonic() + 10
        while (left := self._left()) and time.monotonic() < deadline:
            time.sleep(0.1)  # the last connections are being closed
        yield from left

    def _left(self) -> list[str]:
        tempfiles, descriptors = self._tempfiles(), self.server.descriptors()
        left = [f"{tempfiles} tempfiles are left"] if tempfiles else []
        if descriptors > self.idle_descriptors:
            left.append(f"{descriptors} descriptors at the end, {self.idle_descriptors} at the beginning")
        return left

    def curves(self) -> Curves:
        """One value per interval; what is counted becomes a rate."""
        pairs = [(one, two) for one, two in pairwise(self.samples) if two.mails > one.mails]
        return Curves(
            [two.at for _, two in pairs],
            [(two.mails - one.mails) / (two.at - one.at) for one, two in pairs],
            [1e6 * (two.cpu_s - one.cpu_s) / (two.mails - one.mails) for one, two in pairs],
            [two.memory_mb for _, two in pairs],
            [float(two.descriptors) for _, two in pairs],
            [float(two.tempfiles) for _, two in pairs],
        )


def quarters(values: Sequence[float]) -> tuple[float, float]:
    """Medians of the first quarter after the warm-up, and of the last."""
    warm = values[int(len(values) * WARM_UP) :]
    quarter = max(1, len(warm) // 4)
    return statistics.median(warm[:quarter]), statistics.median(warm[-quarter:])


def judge(curves: Curves, *, paced: bool) -> Iterator[str]:
    """What has become worse. Unless it is `paced`, a lower rate alone may be the neighbours' doing."""
    first, last = quarters(curves.rate)
    cheaper, dearer = quarters(curves.cpu_us)
    if last < MIN_RATE * first and (paced or MIN_RATE * dearer > cheaper):
        yield f"the rate has fallen from {first:.0f} to {last:.0f} mails/s"
    first, last = quarters(curves.memory_mb)
    if last > MAX_GROWTH * first:
        yield f"memory has grown from {first:.1f} to {last:.1f} MB"
    for name, values in (("descriptors", curves.descriptors), ("tempfiles", curves.tempfiles)):
        first, last = quarters(values)
        if last > 1.5 * first + 10:  # as many as mails that are under way, which varies
            yield f"{name} have grown from {first:g} to {last:g}"


def table(subject: Subject, curves: Curves) -> str:
    """The curves as text."""
    heads = ["seconds", "mails/s", "us CPU/mail", "MB", "descriptors", "tempfiles"]
    step = max(1, -(-len(curves.at) // ROWS))
    rows = [
        [f"{at:.0f}", f"{rate:.0f}", f"{cpu:.0f}", f"{memory:.1f}", f"{files:.0f}", f"{temporary:.0f}"]
        for at, rate, cpu, memory, files, temporary in list(zip(*curves, strict=True))[::step]
    ]
    last = subject.samples[-1]
    respawns = max(0, len(subject.records) - 4)
    title = f"{subject.mode}: {last.mails} mails, {subject.breaker.count} broken clients, {respawns} workers replaced"
    drawn = [
        f"  {name:<12} {sparkline(values)}  {quarters(values)[0]:.1f} -> {quarters(values)[1]:.1f}"
        for name, values in zip(heads[1:], curves[1:], strict=True)
    ]
    return "\n".join([title, "", *lines(heads, rows, frozenset(heads)), "", *drawn, ""])


def draw(path: str, all_curves: dict[str, Curves]) -> None:
    """The curves as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 12), layout="constrained")
    labels = ["mails per second", "us of CPU per mail", "MB of memory", "descriptors", "tempfiles"]
    for axes, label, column in zip(figure.subplots(len(labels), 1, sharex=True), labels, range(1, 6), strict=True):
        for mode, curves in all_curves.items():
            axes.plot(curves.at, curves[column], label=mode)
        axes.set(ylabel=label)
        axes.set_ylim(0, 1.1 * max(value for curves in all_curves.values() for value in curves[column]) or 1.0)
        axes.grid(alpha=0.3)
        axes.legend()
    axes.set(xlabel="seconds")
    figure.savefig(path)


def soak(
    directory: Path, seconds: float, interval: float, rate: float, *, hostile: bool
) -> tuple[dict[str, Curves], list[str]]:
    """Run it; the curves by mode, and all that is wrong."""
    faults: list[str] = []
    with contextlib.ExitStack() as stack:
        subjects = []
        for mode in ("memory", "tempfile"):
            place = directory / mode
            place.mkdir()
            settings = [
                f"server.env={{RECORDS: {place}/records}}",
                f"smtp.attachment_storage={{mode: {mode}, temp_dir: {place}/attachments}}",
                f"smtp.pool={{num_workers: 4, max_jobs: {MAX_JOBS}}}",
                f"smtp.pool.supervisor.exec_ttl={2 if hostile else 60}s",
            ]
            server = stack.enter_context(serving(place, *settings, worker=str(Path(__file__).with_name("soak.php"))))
            time.sleep(SETTLED_S)
            subjects.append(Subject(mode, server, place, seconds, rate, hostile=hostile))
        due = time.monotonic()
        while all(subject.running for subject in subjects):
            for subject in subjects:
                subject.look()
            due += interval
            time.sleep(max(0.0, due - time.monotonic()))
        curves = {}
        for subject in subjects:
            faults += [f"{subject.mode}: {fault}" for fault in subject.finish()]
            curves[subject.mode] = subject.curves()
            faults += [f"{subject.mode}: {fault}" for fault in judge(curves[subject.mode], paced=rate > 0)]
            print(table(subject, curves[subject.mode]), flush=True)
    return curves, faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between two looks")
    parser.add_argument(
        "--rate", type=float, default=0.0, help="mails a second, for each server; 0 = as fast as they go"
    )
    parser.add_argument("--plot", default="", help="draw the curves into this file, .svg or .png")
    parser.add_argument("--short", action="store_true", help="one minute, a look each second")
    parser.add_argument("--hostile", action="store_true", help="hostile mails, and workers that misbehave")
    chosen = parser.parse_args()
    if chosen.plot:
        try:
            require()
        except MissingExtra as error:
            sys.exit(str(error))
    seconds, interval = (60.0, 1.0) if chosen.short else (chosen.seconds, chosen.interval)
    with tempfile.TemporaryDirectory() as directory:
        curves, faults = soak(Path(directory), seconds, interval, chosen.rate, hostile=chosen.hostile)
    if chosen.plot:
        draw(chosen.plot, curves)
    print("\n".join(faults) if faults else "nothing grows, nothing slows down, nothing is lost")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
