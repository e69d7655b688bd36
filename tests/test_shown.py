"""What the documentation shows as output is what the program prints; commands of a first test are run as they stand."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import TESTS, Server

pytestmark = pytest.mark.one_python

ROOT = TESTS.parent
README = (ROOT / "README.md").read_text()
PATIENCE_S = 60
FASTSMTP = [sys.executable, "-m", "fastsmtp"]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def indented(text: str, before: str) -> str:
    """The indented block that follows these words, without its indentation."""
    found = re.search(rf"{re.escape(before)}\n\n((?: {{4}}.*\n|\n)+)", text)
    assert found is not None, before
    return re.sub(r"^ {4}", "", found[1].rstrip("\n"), flags=re.M)


def run(command: list[str], directory: Path) -> str:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return done.stdout + done.stderr


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Server]:
    """A server without a configuration, but on a free port."""
    ready = tmp_path / "ready.json"
    server = Server([*FASTSMTP, "serve", "-o", "smtp.addr=127.0.0.1:0", "--ready-file", str(ready)], tmp_path, ready)
    yield server
    assert server.stop() == 0


# What is another one each time, and on each machine.
OWN = {
    r"\d\d:\d\d:\d\dZ": "TIME",
    r"127\.0\.0\.1:\d+": "PEER",
    r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}": "DATE",
    r"EHLO \S+": "EHLO NAME",
    r"[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}": "UUID",
    r"━{3,}": "━",
    r"\d+\.\d kB": "SIZE",
}


def without_own(text: str) -> list[str]:
    for pattern, name in OWN.items():
        text = re.sub(pattern, name, text)
    return text.rstrip("\n").split("\n")


def sizes(text: str) -> list[float]:
    return [float(size) for size in re.findall(r"(\d+\.\d) kB", text)]


def test_the_first_mail_of_the_readme_is_shown_as_it_says(served: Server) -> None:
    """Sizes may be a tenth off: that of a mail has the name of the machine in it, and that of the README changes."""
    [command] = re.findall(r"^    \.venv/bin/fastsmtp (send --to .*)$", README, re.M)
    said = run([*FASTSMTP, *shlex.split(command), f"{served.host}:{served.port}"], ROOT)
    assert re.sub(r"[\d.]+", "0", said) == "sent 0 kB to 0:0: 0 0 Message accepted\n"
    served.wait_for(lambda: any("attached" in line for line in served.printed))
    printed = "\n".join(served.printed)
    shown = indented(README, "The terminal of `make serve` shows")
    assert without_own(shown) == without_own(printed)
    assert sizes(shown) == pytest.approx(sizes(printed), rel=0.1)


def test_the_log_record_of_a_mail_has_the_fields_that_the_docs_show(served: Server) -> None:
    run([*FASTSMTP, "send", "--subject", "Hello", f"{served.host}:{served.port}"], ROOT)
    served.wait_for(lambda: any("  email  " in line for line in served.lines))
    records = [
        re.findall(r"^ *\S+Z  INFO   smtp  email  .*$", text, re.M)[0]
        for text in ("\n".join(served.lines), page("operations.md"), page("testing.md"))
    ]
    fields = [re.findall(r"  (\w+)=", record) for record in records]
    assert fields == [fields[0]] * 3


def test_the_faults_of_a_configuration_are_told_as_shown(tmp_path: Path) -> None:
    (tmp_path / ".rr.yaml").write_text("smtp:\n  adr: 127.0.0.1:1025\n  max_recipients: 0\n")
    asked, shown = indented(page("configuration.md"), "All faults are reported in one go, each with its line:").split(
        "\n", 1
    )
    assert (asked, run([*FASTSMTP, "check"], tmp_path)) == ("$ fastsmtp check", shown + "\n")


def test_keys_without_effect_are_told_as_shown(tmp_path: Path) -> None:
    (tmp_path / ".rr.yaml").write_text("logs: {channels: {http: {level: error}}}\nhttp: {}\njobs: {}\nkv: {}\n")
    shown = indented(page("configuration.md"), "`check` lists the keys that have none, with the reason:")
    told = run([*FASTSMTP, "check"], tmp_path)
    assert told.endswith(f"\n\n{shown}\n")
