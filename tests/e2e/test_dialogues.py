"""What mail programs say that no test can start, or not each time: their dialogues, replayed, and the whole payload.

`S:` is a line of the server, `C:` one of the client; `TLS` is where the handshake comes.
"""

from __future__ import annotations

from base64 import b64decode
from itertools import groupby
from typing import Any

import pytest
from servers import TESTS, Serve
from wholemail import digest, whole_mail
from wire import Wire

pytestmark = pytest.mark.one_python

TNEF = b64decode("eJ8+IgEAAQaQCAAEAAAAAAABAAEAAQeQBgAIAAAA5AQAAAAAAADoAAE=")
CSV_NAME = "Übersicht für März.csv"
TO_BOB_AND_CAROL = ("zoe@example.com", ["bob@example.com", "carol@example.com"])
PAYLOADS: dict[str, dict[str, Any]] = {
    "outlook": {
        "envelope": TO_BOB_AND_CAROL,
        "login": ("LOGIN", "jürgen", "gehëim"),
        "tls": True,
        "violations": [("misplaced-space", "FROM: <zoe@example.com>", 3)],
        "from": [("Zoë Müller", "zoe@example.com")],
        "to": [("'Bob'", "bob@example.com")],
        "cc": [("", "carol@example.com")],
        "subject": "Grüße aus Köln",
        "text": "Schöne Grüße, \ndas hier ist eine Zeile, die so lang ist, dass sie umgebrochen wird.\n \n.Zoë\n\n",
        "html": "<html><body lang=DE><p class=MsoNormal>Schöne Grüße,<o:p></o:p></p></body></html>",
        "defects": [],
        "attachments": [
            (CSV_NAME, "text/csv", "attachment", digest(b"a;b\r\n1;2\r\n")),
            ("winmail.dat", "application/ms-tnef", "attachment", digest(TNEF)),
        ],
    },
    "thunderbird": {
        "envelope": TO_BOB_AND_CAROL,
        "login": ("PLAIN", "jürgen", "gehëim"),
        "tls": True,
        "violations": [],
        "from": [("Zoë Müller", "zoe@example.com")],
        "to": [("Bob", "bob@example.com"), ("", "carol@example.com")],
        "cc": [],
        "subject": "Grüße aus Köln",
        "text": "Schöne Grüße,\n*Zoë*\n",
        "html": "<html><body><p>Schöne Grüße,<br><b>Zoë</b></p></body></html>\n",
        "defects": [],
        "attachments": [
            (CSV_NAME, "text/csv", "attachment", digest(b"a;b\n1;2\n")),
            ("pixel.png", "image/png", "attachment", digest(b"\x89PNG\r\n\x1a\n")),
        ],
    },
}


def replay(wire: Wire, name: str) -> None:
    """Say what the client said, in the pieces in which it did, and compare every line of the server."""
    lines = (TESTS / "dialogues" / f"{name}.txt").read_text().splitlines()
    for kind, group in groupby((line for line in lines if not line.startswith("#")), key=lambda line: line[:3]):
        octets = "".join(f"{line[3:]}\r\n" for line in group).encode()
        if kind == "C: ":
            wire.send(octets)
        elif kind == "S: ":
            assert wire.reply() == octets
        else:
            wire.start_tls()


@pytest.mark.parametrize("name", PAYLOADS)
def test_dialogue(serve: Serve, name: str) -> None:
    server = serve({"smtp": {"hostname": "mail.test", "tls": {"cert": "auto"}}})
    with Wire(server, greeted=False) as wire:
        replay(wire, name)
        assert wire.reply() == b""
    assert whole_mail(server) == PAYLOADS[name]
