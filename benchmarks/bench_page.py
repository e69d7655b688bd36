#!/usr/bin/env python3
"""How fast the page is: its first list of 100 000 mails, and frames of the browser while mails arrive.

usage: benchmarks/bench_page.py [--quick] [MAILS]

Needs what `make test` installs. Prints JSON: milliseconds from the start of the navigation to the first row in the
document, median, best and worst of 9 loads with an empty cache, and the CPU time of the browser's main thread until
then; and, by a trace of Chromium, what that thread did while one types and a burst of mails is filed: its tasks, of
which a frame waits for the longest, their CPU time, and how long it took from a key to the picture that shows it. On a
machine that does other things at the same time a task takes longer than its CPU time; the load of the machine is shown.
`told` is the same while the page is told of 10 000 mails a second, as the inbox tells it: ten events a second with 1000
mails, of which each has the newest 50. They come from a stand-in, so that it is the page that is measured.
With `--quick` there are 2000 mails, 3 loads and a smaller burst: that it runs, not how fast it is.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

LOADS = 9
BURST = 20_000
PIECE = 10_000  # mails of one import
TRACED = ["-*", "__metadata", "devtools.timeline", "disabled-by-default-devtools.timeline"]
TOLD_S = 15
TOLD_PER_S = 10_000
TOLD_EVERY_S = 0.1
FIRST_ROW = """() => new Promise(done => {
  const look = () => document.querySelector('.row') ? done(performance.now()) : requestAnimationFrame(look);
  look();
})"""


@contextmanager
def inbox() -> Iterator[str]:
    """A server; the URL of its page."""
    with tempfile.TemporaryDirectory() as directory:
        ready = Path(directory, "ready.json")
        command = [shutil.which("fastsmtp", path=str(Path(sys.executable).parent)) or "fastsmtp", "serve", "--silent"]
        command += ["--ready-file", str(ready), "-o", "smtp.addr=127.0.0.1:0", "-o", "inbox.address=127.0.0.1:0"]
        with subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                while not ready.exists():
                    if process.poll() is not None:
                        sys.exit(f"fastsmtp serve ended with {process.returncode}")
                    time.sleep(0.05)
                yield json.loads(ready.read_text())["inbox"]
            finally:
                process.terminate()


def fill(url: str, count: int) -> float:
    """File mails; return how many a second."""
    mail = (
        b"From a Thu Jan  1 00:00:00 2026\nFrom: Ann <a@example.com>\nTo: b@example.com\nSubject: mail %d\n\nHello.\n\n"
    )
    began = time.monotonic()
    for start in range(0, count, PIECE):
        lines = b"".join(mail % number for number in range(start, min(start + PIECE, count)))
        kind = {"Content-Type": "application/mbox"}
        request = urllib.request.Request(f"{url}/api/ns/big/import?format=mbox", lines, kind)
        with urllib.request.urlopen(request) as answer:
            answer.read()
    return count / (time.monotonic() - began)


def first_row_ms(browser: Browser, url: str) -> float:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{url}/ui/ns/big", wait_until="commit")
    taken = page.evaluate(FIRST_ROW)
    context.close()
    return float(taken)


def first_row_cpu_ms(browser: Browser, url: str) -> float:
    """CPU time of the main thread from the start of the navigation to the first row."""
    page = browser.new_page()
    browser.start_tracing(page=page, categories=TRACED)
    page.goto(f"{url}/ui/ns/big", wait_until="commit")
    page.evaluate(FIRST_ROW)
    tasks = main_thread_tasks(json.loads(browser.stop_tracing())["traceEvents"])
    page.close()
    return sum(one.get("tdur", 0) for one in tasks) / 1000


def typing(page: Page, url: str, burst: int) -> dict[str, Any]:
    """Type while mails arrive."""
    page.goto(f"{url}/ui/ns/big")
    page.locator(".stream.open").wait_for()
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=TRACED)
    rates: list[float] = []
    filing = threading.Thread(target=lambda: rates.append(fill(url, burst)))
    filing.start()
    while filing.is_alive():
        page.get_by_label("Find a namespace").press_sequentially("abc", delay=30)
        page.get_by_label("Find a namespace").fill("")
    filing.join()
    return {"mails_per_s": round(rates[0]), **looked_at(json.loads(browser.stop_tracing())["traceEvents"])}


@contextmanager
def telling(url: str) -> Iterator[str]:
    """The same page, told of many more mails than this machine could file beside a browser; its URL."""
    with urllib.request.urlopen(f"{url}/api/ns/big/mails?limit=50") as answer:
        listed = json.load(answer)
    step = int(TOLD_PER_S * TOLD_EVERY_S)

    class StandIn(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/api/live/events"):
                self._tell()
                return
            with urllib.request.urlopen(url + self.path) as answer:
                octets = answer.read()
            self.send_response(200)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(octets)))
            self.end_headers()
            self.wfile.write(octets)

        def _tell(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            epoch, _, number = listed["cursor"].partition(".")
            newest = int(number)
            try:
                while True:
                    newest += step
                    mails = [
                        {**mail, "uuid": str(uuid.uuid4()), "seq": newest - place}
                        for place, mail in enumerate(listed["mails"])
                    ]
                    content = {"count": step, "mails": mails[::-1], "cursor": f"{epoch}.{newest}"}
                    self.wfile.write(b"event: mail\nid: %b\n" % content["cursor"].encode())
                    self.wfile.write(b"data: %b\n\n" % json.dumps(content).encode())
                    time.sleep(TOLD_EVERY_S)
            except OSError:  # the page is closed
                return

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), StandIn) as stand_in:
        stand_in.daemon_threads = True
        threading.Thread(target=stand_in.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{stand_in.server_port}"
        stand_in.shutdown()


def told(page: Page, url: str, seconds: float) -> dict[str, Any]:
    """Type while the page is told of mails."""
    with telling(url) as page_url:
        page.goto(f"{page_url}/ui/ns/big")
        page.locator(".stream.open").wait_for()
        browser = page.context.browser
        assert browser is not None
        browser.start_tracing(page=page, categories=TRACED)
        began, first = time.monotonic(), page.get_by_label("Number of mails").inner_text()
        while time.monotonic() - began < seconds:
            page.get_by_label("Find a namespace").press_sequentially("abc", delay=30)
            page.get_by_label("Find a namespace").fill("")
        last = page.get_by_label("Number of mails").inner_text()
        shown = [int(re.sub(r"\D", "", text.partition(",")[0])) for text in (first, last)]
        rate = (shown[1] - shown[0]) / (time.monotonic() - began)
        found = looked_at(json.loads(browser.stop_tracing())["traceEvents"])
        page.close()
    return {"load": round(os.getloadavg()[0], 1), "mails_per_s": round(rate), **found}


def looked_at(events: list[dict[str, Any]]) -> dict[str, Any]:
    """What a trace says of the page's main thread."""
    tasks = main_thread_tasks(events)
    timings = [one["args"]["data"] for one in events if one["name"] == "EventTiming" and one["ph"] == "b"]
    keys = [one["duration"] for one in timings if one["type"] == "keypress" and one.get("duration")]
    return {
        "tasks": len(tasks),
        "task_ms": percentiles([one["dur"] / 1000 for one in tasks]),
        "task_cpu_ms": percentiles([one.get("tdur", 0) / 1000 for one in tasks]),
        "tasks_over_50_ms": sum(one["dur"] > 50_000 for one in tasks),
        "keys": len(keys),
        "key_to_picture_ms": percentiles(keys),
    }


def main_thread_tasks(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    main = {(one["pid"], one["tid"]) for one in events if one["args"].get("name") == "CrRendererMain"}
    return [one for one in events if one["name"] == "RunTask" and (one["pid"], one["tid"]) in main and "dur" in one]


def percentiles(values: list[float]) -> dict[str, float]:
    """The median, the 99th percentile and the highest."""
    ordered = sorted(values)
    places = {"p50": len(ordered) // 2, "p99": int(len(ordered) * 0.99), "max": -1}
    return {name: round(ordered[place], 1) for name, place in places.items()}


def main() -> None:
    quick, given = "--quick" in sys.argv, [word for word in sys.argv[1:] if word != "--quick"]
    count = int(given[0]) if given else 2_000 if quick else 100_000
    with inbox() as url, sync_playwright() as playwright:
        urllib.request.urlopen(urllib.request.Request(f"{url}/api/ns/big", method="PUT")).close()
        fill(url, count)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        taken = sorted(first_row_ms(browser, url) for _ in range(3 if quick else LOADS))
        times = {"median": statistics.median(taken), "best": taken[0], "worst": taken[-1]}
        shown: dict[str, Any] = {
            "load": round(os.getloadavg()[0], 1),
            "mails": count,
            "first_row_ms": {name: round(time_ms) for name, time_ms in times.items()},
            "first_row_cpu_ms": round(first_row_cpu_ms(browser, url)),
        }
        shown["told"] = told(browser.new_page(), url, 1 if quick else TOLD_S)
        print(json.dumps({**shown, "typing": typing(browser.new_page(), url, 1_000 if quick else BURST)}, indent=2))
        browser.close()


main()
