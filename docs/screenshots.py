#!/usr/bin/env python3
"""Make the pictures of the page: start a server, send it mails, and look at it in Debian's Chromium.

usage: docs/screenshots.py [DIRECTORY [VIEW ...]]

Into `docs/` go the three that the documents show; with a directory, all of them go there, or those of these views: each
at three widths, light and dark. Needs what `make test` installs.
"""

from __future__ import annotations

import json
import shutil
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from struct import pack
from typing import Any

from playwright.sync_api import Browser, sync_playwright

HERE = Path(__file__).resolve().parent
WIDTHS = {1440: 900, 1024: 768, 390: 844}
SHOWN = {  # those of the documents
    "page.png": ("html", 1440, "light"),
    "page-dark.png": ("notes", 1440, "dark"),
    "page-phone.png": ("html", 390, "light"),
}
HTML = """<!doctype html><body style="margin:0;background:#f4efe6;font-family:Georgia,'Liberation Serif',serif">
<div style="max-width:560px;margin:32px auto;background:#fff;border-radius:10px;overflow:hidden">
<div style="background:#274060;color:#fff;padding:26px 36px;font-size:22px">Lumen Books</div>
<div style="padding:30px 36px;font-size:16px;line-height:1.6;color:#333">
<h1 style="font-size:26px;margin:0 0 12px">Your order is on its way</h1>
<img src="cid:cover" width="110" style="float:right;margin:0 0 16px 20px;border-radius:6px" alt="">
<p>Hello Mara, order <b>#20461</b> left our house this morning. It should be with you on Monday.</p>
<p>The Left Hand of Darkness, 1 copy<br>A Wizard of Earthsea, 2 copies</p>
<p><a href="https://lumen.example/track/20461" style="display:inline-block;background:#274060;color:#fff;
padding:10px 22px;border-radius:6px;text-decoration:none">Follow the parcel</a></p>
<img src="https://metrics.lumen.example/open.gif?u=42" width="1" height="1" alt=""></div></div>"""
PLAIN = (
    ("Mara Lindqvist <mara@example.com>", "team@lumen.example", "Re: shelf space for spring",
     "Could we move the poetry wall to the window? I measured it twice:\nit fits, with 4 cm to spare.\n"),
    ("Lumen Books <news@lumen.example>", "mara@example.com", "Seven novels for long evenings",
     "Winter is for long books. Here are seven that we could not put down.\n"),
    ("cron@build.example", "ops@lumen.example", "Backup finished in 4 min 12 s", "All 3 volumes are written.\n"),
    ("Lumen Books <no-reply@lumen.example>", "mara@example.com", "Your login code",
     "Your login code is 482 913. It is valid for ten minutes.\n"),
    ("Zoë Brontë <zoe@example.org>", "Team <team@lumen.example>", "Zwei Fragen zur Übersetzung",
     "Guten Tag, im dritten Kapitel steht »Überfluss« ...\n"),
)  # fmt: skip
CRM = (
    b"From: crm@legacy.example\nTo: sales@lumen.example\nSubject: Leads of this week\nMIME-Version: 1.0\n"
    b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Transfer-Encoding: base64\n\n!!TGVhZHM=\n--x\n\r\n.\r\n"
)


PLAN = b"""\
seed: 7
rules:
- {preset: greylist, id: greylist, when: {at: rcpt, rcpt: "*@slow.example"}}
- {id: lost-250, when: {at: data-end, subject: "Invoice*"}, do: {store: true, close: rst}, times: 1}
- {id: slow, when: {at: any}, do: {delay: 3ms..9ms}, probability: 0.2}
- {id: flaky, when: {at: data, nth: 50}, do: [{reply: "451 4.3.0 Later"}, pass]}
"""


def picture() -> bytes:
    """A PNG of soft colours."""
    side = 110
    lines = b"".join(
        b"\0" + bytes(value for x in range(side) for value in (60 + x, 90 + y // 2, 150 - x // 2)) for y in range(side)
    )

    def chunk(kind: bytes, octets: bytes) -> bytes:
        return pack(">I", len(octets)) + kind + octets + pack(">I", zlib.crc32(kind + octets))

    head = pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def message(sender: str, to: str, subject: str, text: str) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, to, subject
    made["Date"] = "Fri, 27 Nov 2026 09:12:00 +0000"
    made.set_content(text)
    return made


def send_all(host: str, port: int) -> None:
    """Send what is to be seen: the last is the newest."""
    with smtplib.SMTP(host, port, local_hostname="shop.lumen.example") as client:
        for _ in range(3):
            for plain in PLAIN:
                client.send_message(message(*plain))
        invoice = message("Billing <billing@lumen.example>", "mara@example.com", "Invoice 2026-1187", "See below.\n")
        for kind, name in (("pdf", "Rechnung 2026-1187.pdf"), ("zip", "terms.zip")):
            invoice.add_attachment(bytes(31_000), maintype="application", subtype=kind, filename=name)
        client.send_message(invoice)
    _send_crm(host, port)
    with smtplib.SMTP(host, port, local_hostname="shop.lumen.example") as client:
        spoofed = '"Bank \u202emoc.knab" <a@evil.example>'
        client.send_message(message(spoofed, "mara@example.com", "Your acc\u200bount", "Click.\n"))
        names = "Lumen Books <orders@lumen.example>", "Mara Lindqvist <mara@example.com>"
        order = message(*names, "Your order is on its way", "Hello Mara, order #20461 left our house this morning.\n")
        order.add_alternative(HTML, subtype="html")
        parts: Any = order.get_payload()
        parts[1].add_related(picture(), "image", "png", cid="<cover>", filename="cover.png")
        client.send_message(order, "bounces@lumen.example", ["mara@example.com", "archive@lumen.example"])
    for namespace, count in (("checkout/w1", 12), ("checkout/w2", 9), ("nightly", 31)):
        with smtplib.SMTP(host, port) as client:
            client.login(namespace, "any")
            for number in range(count):
                subject = f"Order {1000 + number}"
                client.send_message(message("shop@lumen.example", "b@example.com", subject, "Thanks.\n"))


def send_with_faults(host: str, port: int, inbox: str) -> None:
    """Send mails to a namespace with a plan; the client tries again, as clients do."""
    request = urllib.request.Request(f"{inbox}/api/ns/billing/faults", PLAN, method="PUT")
    urllib.request.urlopen(request).close()
    for to, subject in (
        ("mara@slow.example", "Welcome"), ("zoe@slow.example", "Welcome"), ("ops@lumen.example", "Invoice 2026-1187"),
        ("ops@lumen.example", "Invoice 2026-1187"), ("mara@slow.example", "Your receipt"),
    ):  # fmt: skip
        for _attempt in range(2):
            try:
                with smtplib.SMTP(host, port, local_hostname="billing.lumen.example") as client:
                    client.login("billing", "any")
                    client.send_message(message("Billing <billing@lumen.example>", to, subject, "Thank you.\n"))
                break
            except (smtplib.SMTPException, OSError):
                continue


def _send_crm(host: str, port: int) -> None:
    """What an old program sends: much of it is not as the RFCs have it."""
    with socket.create_connection((host, port)) as client, client.makefile("rb") as replies:
        replies.readline()
        for line in (b"helo legacy crm", b"mail from: <crm@legacy.example>", b"rcpt to:<sales@lumen.example>", b"data"):
            client.sendall(line + b"\r\n")
            replies.readline()
        client.sendall(CRM)
        replies.readline()


@contextmanager
def server() -> Iterator[tuple[str, int, str]]:
    """A server with a few mails; host and port for SMTP, and the URL of the page."""
    with tempfile.TemporaryDirectory() as directory:
        ready = Path(directory, "ready.json")
        options = ("smtp.addr=127.0.0.1:0", "smtp.include_transcript=true", "inbox.address=127.0.0.1:0")
        command = [shutil.which("fastsmtp", path=str(Path(sys.executable).parent)) or "fastsmtp", "serve", "--silent"]
        command += ["--ready-file", str(ready), *(word for option in options for word in ("-o", option))]
        with subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                while not ready.exists():
                    time.sleep(0.05)
                told = json.loads(ready.read_text())
                host, _, port = told["listeners"]["default"][0].rpartition(":")
                yield host, int(port), told["inbox"]
            finally:
                process.terminate()


def uuids(inbox: str) -> dict[str, str]:
    with urllib.request.urlopen(f"{inbox}/api/ns/default/mails?limit=50") as answer:
        return {mail["subject"]: mail["uuid"] for mail in reversed(json.load(answer)["mails"])}


def views(inbox: str) -> dict[str, str]:
    """What is looked at, by name."""
    found, base = uuids(inbox), f"{inbox}/ui/ns/default"
    order, crm = found["Your order is on its way"], found["Leads of this week"]
    tabs = {tab: f"{base}/m/{order}/{tab}" for tab in ("html", "headers", "parts", "smtp", "links", "assert", "worker")}
    spaces = {"faults": f"{inbox}/ui/ns/billing/faults", "empty": f"{inbox}/ui/ns/none"}
    return {"list": base, **tabs, "notes": f"{base}/m/{crm}/notes", **spaces}


def shoot(browser: Browser, url: str, width: int, scheme: Any, path: Path) -> None:
    context = browser.new_context(viewport={"width": width, "height": WIDTHS[width]}, color_scheme=scheme)
    page = context.new_page()
    page.goto(url)
    page.locator(".stream.open, .empty-title").first.wait_for(state="attached")
    page.wait_for_timeout(600)  # for pictures
    page.screenshot(path=path)
    context.close()


def main() -> None:
    everywhere = Path(sys.argv[1]) if sys.argv[1:] else None
    with server() as (host, port, inbox), sync_playwright() as playwright:
        send_all(host, port)
        send_with_faults(host, port, inbox)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        found = views(inbox)
        if everywhere is None:
            for name, (view, width, scheme) in SHOWN.items():
                shoot(browser, found[view], width, scheme, HERE / name)
        else:
            everywhere.mkdir(parents=True, exist_ok=True)
            for view in sys.argv[2:] or found:
                url = found[view]
                for width in WIDTHS:
                    for scheme in ("light", "dark"):
                        shoot(browser, url, width, scheme, everywhere / f"{view}-{width}-{scheme}.png")
        browser.close()


main()
