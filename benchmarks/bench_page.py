#!/usr/bin/env python3
"""How fast the page is: its first list of 100 000 mails, and frames of the browser while mails arrive.

usage: benchmarks/bench_page.py [--quick] [MAILS]

Needs what `make test` installs. Prints JSON: milliseconds from the start of the navigation to the first row in the
document, median and worst of 9 loads with an empty cache; and the longest frame and task while one types and a burst
of mails is filed. With `--quick` there are 2000 mails, 3 loads and a smaller burst: that it runs, not how fast it is.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

LOADS = 9
BURST = 20_000
PIECE = 10_000  # mails of one import
MEASURE = """() => {
  window.frames_ms = []; window.tasks_ms = [];
  let before = performance.now();
  const step = now => { window.frames_ms.push(now - before); before = now; requestAnimationFrame(step); };
  requestAnimationFrame(step);
  new PerformanceObserver(list => list.getEntries().forEach(one => window.tasks_ms.push(one.duration)))
    .observe({entryTypes: ['longtask']});
}"""
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


def typing(page: Page, url: str, burst: int) -> dict[str, Any]:
    """Type while mails arrive."""
    page.goto(f"{url}/ui/ns/big")
    page.locator(".stream.open").wait_for()
    page.evaluate(MEASURE)
    rates: list[float] = []
    filing = threading.Thread(target=lambda: rates.append(fill(url, burst)))
    filing.start()
    while filing.is_alive():
        page.get_by_label("Find a namespace").press_sequentially("abc", delay=30)
        page.get_by_label("Find a namespace").fill("")
    filing.join()
    frames = sorted(page.evaluate("window.frames_ms"))
    tasks = page.evaluate("window.tasks_ms")
    return {
        "mails_per_s": round(rates[0]),
        "frames": len(frames),
        "frame_p99_ms": round(frames[int(len(frames) * 0.99) - 1], 1),
        "frame_max_ms": round(frames[-1], 1),
        "tasks_over_50_ms": [round(one) for one in tasks],
    }


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
        shown = {"mails": count, "first_row_ms": round(statistics.median(taken)), "worst_ms": round(taken[-1])}
        print(json.dumps({**shown, "typing": typing(browser.new_page(), url, 1_000 if quick else BURST)}, indent=2))
        browser.close()


main()
