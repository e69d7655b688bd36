#!/usr/bin/env python3
"""How fast the page is: its first list of 100 000 mails, and frames of the browser while mails arrive.

usage: benchmarks/bench_page.py [--quick] [MAILS]

Needs what `make test` installs. Prints JSON: of loads of the page, of which each is in a process of its own that
Chromium starts, milliseconds from the start of the navigation to the first row in the document, and to the end of the
work on the first picture that has it; CPU milliseconds of the inbox and, in loads of their own with a trace, of the
page's main thread until then. Each is the median, the best and the worst of 10 loads, `cold` with an empty cache,
`warm` with the files of the page in it; `blank` is the same of a page with one word, which is what Chromium and this
machine take for any page at that hour. And, by a trace of Chromium, what that thread did while one types and a burst of
mails is filed: its tasks, of which a frame waits for the longest, their CPU time, and how long it took from a key to
the picture that shows it. On a machine that does other things at the same time a task takes longer than its CPU time;
the load of the machine is shown.
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

LOADS = 10
BURST = 20_000
PIECE = 10_000  # mails of one import
TRACED = ["-*", "__metadata", "devtools.timeline", "disabled-by-default-devtools.timeline", "blink.user_timing"]
TOLD_S = 15
TOLD_PER_S = 10_000
TOLD_EVERY_S = 0.1
MARKS = """new MutationObserver((_changes, observer) => {
  if (!document.querySelector('.row')) return;
  observer.disconnect();
  performance.mark('row');
  const behind = new MessageChannel();  // its message comes when the frame is made
  behind.port1.onmessage = () => performance.mark('picture');
  requestAnimationFrame(() => behind.port2.postMessage(0));
}).observe(document, {childList: true, subtree: true});"""
MARKED = """() => new Promise(done => {
  const look = () => performance.getEntriesByName('picture').length
    ? done(Object.fromEntries(performance.getEntriesByType('mark').map(({name, startTime}) => [name, startTime])))
    : setTimeout(look, 10);
  look();
})"""
BLANK = b"<!doctype html><html lang=en><title>blank</title><body><p class=row>word"


@contextmanager
def inbox() -> Iterator[tuple[str, int]]:
    """A server; the URL of its page, and the process that answers there."""
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
                yield json.loads(ready.read_text())["inbox"], inbox_of(process.pid)
            finally:
                process.terminate()


def inbox_of(pid: int) -> int:
    """The process of the inbox among the children of a server."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return next(int(one) for one in children if b"fastsmtp.inbox.process" in Path(f"/proc/{one}/cmdline").read_bytes())


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


@contextmanager
def blank() -> Iterator[str]:
    """A server of a page with one word; its URL."""

    class Word(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Content-Length", str(len(BLANK)))
            self.end_headers()
            self.wfile.write(BLANK)

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Word) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def first_list(browser: Browser, url: str, inbox_pid: int, loads: int) -> dict[str, Any]:
    """Load the page and the blank one in turn."""
    taken: dict[str, dict[str, list[float]]] = {}
    with blank() as blank_url:
        for load in range(loads):
            for kind, address in (("", f"{url}/ui/ns/big"), ("blank ", blank_url)):
                for traced in (False, True):
                    context = browser.new_context()
                    page = context.new_page()
                    page.add_init_script(MARKS)
                    for cache in ("cold", "warm"):
                        found = taken.setdefault(kind + cache, {})
                        for name, value in _loaded(page, address, inbox_pid, traced=traced).items():
                            found.setdefault(name, []).append(value)
                    context.close()
            print(f"load {load + 1} of {loads}", file=sys.stderr)
    return {kind: {name: middle(values) for name, values in found.items()} for kind, found in taken.items()}


def _loaded(page: Page, url: str, inbox_pid: int, *, traced: bool) -> dict[str, float]:
    page.goto("about:blank")
    page.wait_for_timeout(300)  # until Chromium has done what comes behind a page that is left
    browser = page.context.browser
    assert browser is not None
    if traced:
        browser.start_tracing(page=page, categories=TRACED)
    before = cpu_ms(inbox_pid)
    page.goto(url, wait_until="commit")
    marks = page.evaluate(MARKED)
    used = cpu_ms(inbox_pid) - before
    if not traced:
        return {"row_ms": marks["row"], "picture_ms": marks["picture"], "inbox_cpu_ms": used}
    events = json.loads(browser.stop_tracing())["traceEvents"]
    end = next(one["ts"] for one in events if one["name"] == "picture")
    begun = [one["ts"] for one in events if one["name"] == "navigationStart" and url in json.dumps(one["args"])][-1]
    tasks = [one for one in main_thread_tasks(events) if begun <= one["ts"] <= end]
    return {"main_thread_cpu_ms": sum(one.get("tdur", 0) for one in tasks) / 1000}


def cpu_ms(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6


def middle(values: list[float]) -> dict[str, float]:
    """The median, the best and the worst."""
    found = {"median": statistics.median(values), "best": min(values), "worst": max(values)}
    return {name: round(value, 1) for name, value in found.items()}


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
                    cursor = f"{epoch}.{newest}"
                    content = {"count": step, "mails": mails[::-1], "cursor": cursor}
                    self.wfile.write(b"event: mail\nid: %b\n" % cursor.encode())
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
    with inbox() as (url, pid), sync_playwright() as playwright:
        urllib.request.urlopen(urllib.request.Request(f"{url}/api/ns/big", method="PUT")).close()
        fill(url, count)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        shown: dict[str, Any] = {
            "load": round(os.getloadavg()[0], 1),
            "mails": count,
            "first_list": first_list(browser, url, pid, 3 if quick else LOADS),
        }
        shown["told"] = told(browser.new_page(), url, 1 if quick else TOLD_S)
        print(json.dumps({**shown, "typing": typing(browser.new_page(), url, 1_000 if quick else BURST)}, indent=2))
        browser.close()


main()
