"""Limits that a load is held to."""

from __future__ import annotations

import pytest

from fastsmtp.bench.limits import LimitVerdict, LoadLimits, judge, passed
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
        (LoadLimits(), measured(), [], True),
        (LoadLimits(), measured(failures=1), [], False),
        (LoadLimits(p99_ms=50.0), measured(), [LimitVerdict("--max-p99", 50.0, 50.0, True)], True),
        (LoadLimits(p99_ms=49.9), measured(), [LimitVerdict("--max-p99", 49.9, 50.0, False)], False),
        (LoadLimits(p99_ms=50.0), measured(0), [LimitVerdict("--max-p99", 50.0, 0.0, False)], False),
        (LoadLimits(p99_ms=50.0), measured(failures=1), [LimitVerdict("--max-p99", 50.0, 50.0, True)], False),
        (LoadLimits(rate=100.0), measured(), [LimitVerdict("--min-rate", 100.0, 100.0, True)], True),
        (LoadLimits(rate=100.1), measured(), [LimitVerdict("--min-rate", 100.1, 100.0, False)], False),
        (LoadLimits(failures=0), measured(), [LimitVerdict("--max-failed", 0, 0, True)], True),
        (LoadLimits(failures=2), measured(failures=2), [LimitVerdict("--max-failed", 2, 2, True)], True),
        (LoadLimits(failures=2), measured(failures=3), [LimitVerdict("--max-failed", 2, 3, False)], False),
        (
            LoadLimits(60.0, 200.0, 1),
            measured(),
            [
                LimitVerdict("--max-p99", 60.0, 50.0, True),
                LimitVerdict("--min-rate", 200.0, 100.0, False),
                LimitVerdict("--max-failed", 1, 0, True),
            ],
            False,
        ),
    ],
)
def test_verdicts(limits: LoadLimits, measures: Measures, verdicts: list[LimitVerdict], good: bool) -> None:
    assert (judge(limits, measures), passed(limits, measures)) == (verdicts, good)
