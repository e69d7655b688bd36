"""The inbox: what it adds to a mail, what it bears, and how it stands beside Mailpit, Inbucket and MailHog.

    python benchmarks/bench_inbox.py [--only cost,large] [--mails 1000000] [--mailpit PATH] [--share 20]

| case    | what is measured                                                                                        |
|---------|---------------------------------------------------------------------------------------------------------|
| cost    | 1 KB mails with 4 PHP workers: CPU a mail of all our processes, without an inbox, with it, and counting |
| large   | 10 MB mails in tempfile mode with a store on disk: MB/s, and peak memory above idle                     |
| million | a store with so many mails: calls of its API, and memory of its process                                 |
| waits   | 1000 clients that wait, each for a recipient, under a load: from the 250 to the answer                  |
| start   | from the start of the command to the ready file                                                         |
| beside  | 1 KB, 110 KB and 10 MB mails at ours with one worker and at the others that are in the PATH: rate, CPU     |

The others are built by `go install` of github.com/axllent/mailpit@latest, github.com/mailhog/MailHog@latest and
github.com/inbucket/inbucket/v3/cmd/inbucket@latest. All processes share the machine: compare ratios of one run. Where
servers are compared their loads alternate.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import smtplib
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from loadtest import memory_mb, percentile
from mailtraps import MAILTRAPS, mailtrap_serving
from serving import Server, bench, bench_command, serving

from fastsmtp.capture.identifier import uuid7
from fastsmtp.inbox.arrival import Incoming, make_arrival
from fastsmtp.inbox.store import Store
from fastsmtp.system.table import lines

SIZES = {"1 KB": ("--size=1KB", 20_000), "110 KB": ("--size=110KB", 1500), "10 MB": ("--size=10MB", 40)}
INBOX = ("inbox.address=127.0.0.1:0", "inbox.durability=normal")
WAITERS = 1000
GROUP = 500


class Chosen(argparse.Namespace):
    """What the command line asks for."""

    only: str
    mails: int
    mailpit: str
    inbucket: str
    mailhog: str
    share: int

    def number(self, mails: int) -> int:
        """How many mails of a load."""
        return max(20, mails // self.share)

    def others(self) -> dict[str, str]:
        """The programs of servers to compare with, by name."""
        found = {name: getattr(self, name.lower()) or shutil.which(name) or "" for name in MAILTRAPS}
        return {name: path for name, path in found.items() if path}


def table(heads: list[str], rows: list[list[str]]) -> str:
    return "\n".join(lines(heads, rows, frozenset(heads[1:])))


def url_of(directory: Path) -> str:
    return str(json.loads((directory / "ready").read_text())["inbox"])


def ask(url: str, method: str = "GET", document: Any = None) -> Any:
    request = urllib.request.Request(url, None if document is None else json.dumps(document).encode(), method=method)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


@contextlib.contextmanager
def with_inbox(*settings: str, workers: int = 4) -> Iterator[tuple[Server, str]]:
    """A server with an inbox on disk, and the URL of its API."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        path = f"inbox.path={directory}/store"
        given = "" if any(setting.startswith("inbox.path=") for setting in settings) else path
        usual = [*INBOX, f"smtp.pool.num_workers={workers}", f"smtp.attachment_storage.temp_dir={directory}/files"]
        with serving(directory, *usual, *filter(None, [given]), *settings) as server:
            yield server, url_of(directory)


# what it adds


def cost(chosen: Chosen) -> str:
    rows = []
    base = 0.0
    for name in ("without", "normal", "keep: count"):
        cpu, rate = _cost_of(name, chosen.number(20_000))
        base = base or cpu
        rows.append([name, f"{rate:.0f}", f"{cpu:.0f}", f"{cpu / base:.2f}"])
    return table(["inbox", "mails/s", "CPU us/mail", "ratio"], rows)


def _cost_of(name: str, mails: int) -> tuple[float, float]:
    with contextlib.ExitStack() as stack:
        if name == "without":
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            server = stack.enter_context(serving(directory, "smtp.pool.num_workers=4", 'inbox.address=""'))
        else:
            server, url = stack.enter_context(with_inbox())
            if name != "normal":
                ask(f"{url}/api/ns/default", "PUT", {"keep": "count"})
        return _loaded(server, "-n", str(mails), "--connections=100")


def _loaded(server: Server, *arguments: str) -> tuple[float, float]:
    """CPU of all its processes a mail in microseconds, and mails a second."""
    bench(server.address, "-n", "200")
    before = sum(server.cpu_s())
    found = bench(server.address, *arguments)
    return 1e6 * (sum(server.cpu_s()) - before) / found["answered"], found["rate"]


def large(chosen: Chosen) -> str:
    with with_inbox("smtp.attachment_storage.mode=tempfile") as (server, _url):
        bench(server.address, "-n", "20")
        idle = server.memory_mb()
        found = bench(server.address, "-n", str(chosen.number(200)), "--connections=10", "--size=10MB")
        peak = server.memory_mb("VmHWM")
    return table(
        ["10 MB, tempfile", "MB/s", "peak above idle MB"], [["", f"{10 * found['rate']:.0f}", f"{peak - idle:.0f}"]]
    )


# what it bears


def million(chosen: Chosen) -> str:
    mails = chosen.number(chosen.mails)
    with tempfile.TemporaryDirectory() as store:
        _fill(store, mails)
        with with_inbox(f"inbox.path={store}") as (server, url):
            base = f"{url}/api/ns/default"
            epoch = ask(f"{base}/cursor")["cursor"].partition(".")[0]
            calls = {
                "newest 50": f"{base}/mails",
                "exact recipient": f"{base}/mails?rcpt=u{mails // 2}@example.com",
                "far page": f"{base}/mails?before={epoch}.60",
                "unread count": base,
            }
            rows = [[name, f"{_median_ms(lambda: ask(path)):.1f}"] for name, path in calls.items()]  # noqa: B023
            rows.append(["memory of the inbox MB", f"{memory_mb(_inbox_pid(server), 'VmRSS'):.0f}"])
    return table([f"{mails} mails", "ms"], rows)


def _fill(directory: str, mails: int) -> None:
    """Commit mails, each to a recipient of its own."""
    store = Store(directory)
    store.put("default")
    for start in range(0, mails, GROUP):
        store.commit([_arrival(number) for number in range(start, min(mails, start + GROUP))])
    store.close()


def _arrival(number: int) -> Any:
    to = f"u{number}@example.com"
    raw = f"From: a@example.com\r\nTo: {to}\r\nSubject: mail {number}\r\n\r\n{'hello ' * 150}\r\n".encode()
    fields: dict[str, Any] = {"from": "a@example.com", "to": [to], "helo": "x", "mail_params": {}, "rcpt_params": [{}]}
    mailbox = {"name": "", "address": to}
    message = {
        "headers": {"Subject": f"mail {number}"}, "raw_headers": [], "id": None, "subject": f"mail {number}",
        "date": None, "from": [mailbox], "to": [mailbox], "cc": [], "bcc": [], "reply_to": [], "body": "hello",
        "text": "hello", "html": None, "size": len(raw), "defects": [],
    }  # fmt: skip
    payload = {
        "event": "EMAIL_RECEIVED", "uuid": uuid7(), "connection_uuid": "c", "sequence": 1, "remote_addr": "",
        "received_at": "", "server": "default", "envelope": fields, "message": message, "attachments": [],
        "authentication": {"attempted": False, "mechanism": None, "username": None, "password": None},
        "session": {"esmtp": True, "tls": None, "violations": []},
    }  # fmt: skip
    now_ms = time.time_ns() // 1_000_000
    return make_arrival(Incoming(orjson.dumps(payload), raw, ("default",), now_ms, "accepted"))


def _median_ms(call: Callable[[], Any]) -> float:
    took = []
    for _ in range(21):
        began = time.perf_counter()
        call()
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took)


def _inbox_pid(server: Server) -> int:
    tasks = Path(f"/proc/{server.pid}/task")
    pids = [int(pid) for task in tasks.glob("*/children") for pid in task.read_text().split()]
    return next(pid for pid in pids if b"fastsmtp.inbox.process" in Path(f"/proc/{pid}/cmdline").read_bytes())


def waits(chosen: Chosen) -> str:
    with with_inbox() as (server, url):
        load = [*bench_command(server.address, "-n", str(chosen.number(20_000)), "--connections=20", "--rate=2000")]
        took = asyncio.run(_wait_all(server, url, load))
    return table([f"{WAITERS} waits", "p50 ms", "p99 ms"], [["", *(f"{percentile(took, at):.1f}" for at in (50, 99))]])


async def _wait_all(server: Server, url: str, load: list[str]) -> list[float]:
    """From the 250 of each mail to the answer of the wait for it, in ms."""
    answered: dict[int, float] = {}

    async def wait(session: aiohttp.ClientSession, number: int) -> None:
        document = {"where": {"rcpt": f"w{number}@example.com"}, "timeout": "5m"}
        async with session.post(f"{url}/api/ns/default/wait", json=document) as answer:
            assert answer.status == 200, await answer.text()
            answered[number] = time.perf_counter()

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        waiting = [asyncio.ensure_future(wait(session, number)) for number in range(WAITERS)]
        await asyncio.sleep(3.0)  # all of them are on their way; those that come late find their mail there
        with subprocess.Popen(load, stdout=subprocess.DEVNULL) as busy:
            sent = await asyncio.to_thread(_send_all, server)
            await asyncio.gather(*waiting)
            busy.wait()
    return [1000 * (answered[number] - sent[number]) for number in range(WAITERS)]


def _send_all(server: Server) -> dict[int, float]:
    sent = {}
    with smtplib.SMTP(server.host, server.port) as client:
        for number in range(WAITERS):
            client.sendmail("a@example.com", [f"w{number}@example.com"], "Subject: x\r\n\r\nhello\r\n")
            sent[number] = time.perf_counter()
    return sent


def start(_chosen: Chosen) -> str:
    took = []
    for _ in range(5):
        began = time.perf_counter()
        with with_inbox():
            took.append(time.perf_counter() - began)
    return table(["start", "s"], [["to ready", f"{statistics.median(took):.2f}"]])


# beside others


def beside(chosen: Chosen) -> str:
    rows = []
    with contextlib.ExitStack() as stack:
        ours, _url = stack.enter_context(with_inbox(workers=1))
        others = {name: stack.enter_context(mailtrap_serving(name, path)) for name, path in chosen.others().items()}
        for size_name, (size, mails) in SIZES.items():
            load = ("-n", str(chosen.number(mails)), "--connections=20", size)
            cpu, rate = _loaded(ours, *load)
            rows.append([size_name, "fastsmtp", _figure(rate), _figure(cpu), "", ""])
            for name, server in others.items():
                their_cpu, their_rate = _loaded(server, *load)
                ratios = [_figure(rate / their_rate), _figure(cpu / their_cpu)]
                rows.append([size_name, name, _figure(their_rate), _figure(their_cpu), *ratios])
    return table(["mails", "server", "mails/s", "CPU us/mail", "our rate / its", "our CPU / its"], rows)


def _figure(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


CASES: dict[str, Callable[[Chosen], str]] = {
    "cost": cost,
    "large": large,
    "million": million,
    "waits": waits,
    "start": start,
    "beside": beside,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default=",".join(CASES), help="cases, with commas")
    parser.add_argument("--mails", type=int, default=1_000_000, help="mails of the large store")
    for name in MAILTRAPS:
        parser.add_argument(f"--{name.lower()}", default="", help=f"path of {name}, if it is not in the PATH")
    parser.add_argument("--share", type=int, default=1, help="20: a twentieth of the mails, whether it works")
    chosen = parser.parse_args(namespace=Chosen())
    for name in chosen.only.split(","):
        if name != "beside" or chosen.others():
            print(f"{name}\n{CASES[name](chosen)}\n", flush=True)


if __name__ == "__main__":
    main()
