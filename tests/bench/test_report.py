"""What is printed of a load: tables, and an example of it in the docs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fastsmtp.bench.limits import LoadLimits, judge
from fastsmtp.bench.measures import Measures
from fastsmtp.bench.report import report
from fastsmtp.client.mail import Content, Failure, Mail

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


def measures_of(latencies: list[float], *, failures: int = 0) -> Measures:
    measures = Measures()
    measures.start(100.0)
    for latency in latencies:
        mail = Mail("m", b"", Content(b"x", b"x", False))
        mail.began, mail.sent = 101.0 - latency, 101.0 - latency / 2
        measures.on_answered(mail, 101.0)
    for _ in range(failures):
        measures.on_failure(None, Failure("RCPT", "550", "550 no"), 101.0)
    measures.connections = 1
    measures.opening.add(0.004)
    measures.cpu_s = 0.25
    measures.turn(101.0, end=True)
    return measures


def test_tables() -> None:
    measures = measures_of([0.010, 0.020], failures=3)
    shown = report(measures, judge(LoadLimits(p99_ms=15.0, failures=3), measures)).splitlines()
    assert [line for line in shown if "#" not in line] == [
        "answered 250  2",
        "failed        0",
        "time          1.000 s",
        "rate          2.0 mails/s, 2 B/s",
        "connections   1",
        "client        25 % of a core, 125000 us a mail",
        "",
        "milliseconds    min   mean    p50    p90    p95    p99  p99.9    max",
        "mail           10.0   15.0   10.1   20.0   20.0   20.0   20.0   20.0",
        "end of data   5.000  7.500  5.032   10.0   10.0   10.0   10.0   10.0",
        "opening       4.000  4.000  4.000  4.000  4.000  4.000  4.000  4.000",
        "",
        "failures   count  the first",
        "RCPT: 550      3  550 no",
        "",
        "milliseconds per mail",
        *[line for line in shown if re.search(r" to .*  0\.0 %$", line)],
        "",
        "limit         allowed  measured",
        "--max-p99          15        20  NOT KEPT",
        "--max-failed        3         3  kept",
    ]


@pytest.mark.parametrize("count", [0, 1])
def test_where_there_is_nothing_to_compare_there_are_no_bars(count: int) -> None:
    assert "#" not in report(measures_of(count * [0.010]))


def shape(text: str) -> list[str]:
    """The lines with their figures, widths and units taken out, and lines of one shape next to each other as one."""
    shapes: list[str] = []
    for line in text.splitlines():
        line = re.sub(r"#+", "#", re.sub(r"\b\d[\d.]*", "0", line))
        line = " ".join(re.sub(r"\b[kMG]?B/s", "B/s", line).split())
        if line not in shapes[-1:]:
            shapes.append(line)
    return shapes


def test_the_docs_show_what_is_printed() -> None:
    """Row for row; the figures are those of another run."""
    shown = re.search(r"^prints\n\n((?: {4}.*\n|\n)+)", DOCS.read_text(), re.M)
    assert shown is not None
    measures = measures_of([0.0006 * 1.2**step for step in range(20)])
    own = report(measures, judge(LoadLimits(p99_ms=100.0, rate=1.0), measures))
    heading, *rows = shape(shown[1].rstrip("\n"))
    assert heading == "0 mails to 0:0, 0 connections, 0 a second"
    assert rows == ["", *shape(own)]
