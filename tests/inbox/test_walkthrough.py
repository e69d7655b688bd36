"""What docs/inbox.md shows first, run as it stands: a shell and curl are enough for a test of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from apicalls import call
from servers import Serve

DOCS = Path(__file__).parents[2] / "docs"
HEADING = "## A first test with curl\n"


def commands() -> str:
    """The indented lines below the heading."""
    section = (DOCS / "inbox.md").read_text().partition(HEADING)[2].partition("\n## ")[0]
    return "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))


def test_a_namespace_is_made_filled_awaited_and_deleted(serve: Serve) -> None:
    server = serve({"inbox": {"address": "127.0.0.1:0"}}, worker="echo.php")
    script = commands().replace("http://127.0.0.1:8025", server.inbox)
    script = script.replace("smtp://127.0.0.1:1025", f"smtp://{server.host}:{server.port}").replace(
        "curl ", "curl -sS "
    )
    done = subprocess.run(["sh", "-e", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    answers, left = [], done.stdout.strip()
    while left:
        answer, end = json.JSONDecoder().raw_decode(left)
        answers.append(answer)
        left = left[end:].strip()
    made, awaited, deleted = answers
    assert (made["name"], awaited["matched"], deleted) == ("run-1", 10, {"deleted": ["run-1"]})
    assert [mail["subject"] for mail in awaited["mails"]] == [f"mail {number}" for number in range(1, 11)]
    assert call(server, "GET", "/api/ns/run-1")[0] == 404
