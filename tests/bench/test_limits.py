"""Limits that a load is held to."""

from __future__ import annotations

import pytest

from fastsmtp.bench.limits import Limits, Verdict, judge, passed
from fastsmtp.bench.measures import Measures
from fastsmtp.client.mail import Content, Failure, Mail


def measured(answered: int = 100, failures: int = 0) -> Measures:
    """So many mails in one second, each answered after 50 ms, and failures."""
    measures = Measures()
    measures.start(0.0)
    for _ in range(answered):
        mail = Mail("m", b"", Content(b"", b"", False))
        mail.began = mail.sent = 0.95
        measures.on_answered(mail, 1.0)
    for _ in range(failures):
        measures.on_failure(None, Failure("RCPT", "550", "550 no"), 1.0)
    measures.turn(1.0, end=True)
    return measures


@pytest.mark.parametrize(
    ("limits", "measures", "verdicts", "good"),
    [
        (Limits(), measured(), [], True),
        (Limits(), measured(failures=1), [], False),
        (Limits(p99_ms=50.0), measured(), [Verdict("--max-p99", 50.0, 50.0, True)], True),
        (Limits(p99_ms=49.9), measured(), [Verdict("--max-p99", 49.9, 50.0, False)], False),
        (Limits(p99_ms=50.0), measured(0), [Verdict("--max-p99", 50.0, 0.0, False)], False),
        (Limits(p99_ms=50.0), measured(failures=1), [Verdict("--max-p99", 50.0, 50.0, True)], False),
        (Limits(rate=100.0), measured(), [Verdict("--min-rate", 100.0, 100.0, True)], True),
        (Limits(rate=100.1), measured(), [Verdict("--min-rate", 100.1, 100.0, False)], False),
        (Limits(failures=0), measured(), [Verdict("--max-failed", 0, 0, True)], True),
        (Limits(failures=2), measured(failures=2), [Verdict("--max-failed", 2, 2, True)], True),
        (Limits(failures=2), measured(failures=3), [Verdict("--max-failed", 2, 3, False)], False),
        (
            Limits(60.0, 200.0, 1),
            measured(),
            [
                Verdict("--max-p99", 60.0, 50.0, True),
                Verdict("--min-rate", 200.0, 100.0, False),
                Verdict("--max-failed", 1, 0, True),
            ],
            False,
        ),
    ],
)
def test_verdicts(limits: Limits, measures: Measures, verdicts: list[Verdict], good: bool) -> None:
    assert (judge(limits, measures), passed(limits, measures)) == (verdicts, good)
