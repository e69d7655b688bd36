"""Several destinations as one: who is asked when, and what becomes of their verdicts."""

from __future__ import annotations

from itertools import permutations

import pytest
from captures import capture_email
from destinations import Shelf
from pools import Log

from fastsmtp.capture.email import Email
from fastsmtp.capture.handling import Handling
from fastsmtp.delivery.destination import ACCEPTED, Together
from fastsmtp.smtp.events import Verdict

LOG = Log()
ACCEPT, CLOSE = Verdict.ACCEPT, Verdict.ACCEPT_AND_CLOSE
FAILED, NONE, STORE = Verdict.WORKER_FAILED, Verdict.NO_WORKER, Verdict.STORAGE_FAILED


def an_email() -> Email:
    email = capture_email(b"Subject: x\r\n\r\ny")
    assert email is not None
    return email


def test_accepted_verdicts() -> None:
    assert {verdict: verdict in ACCEPTED for verdict in Verdict} == {
        ACCEPT: True, CLOSE: True, FAILED: False, NONE: False, STORE: False, Verdict.MALFORMED: False,
        Verdict.STORAGE_FULL: False, Verdict.TOO_LARGE: False, Verdict.REFUSED: False, Verdict.DROPPED: True,
    }  # fmt: skip


@pytest.mark.parametrize("verdict", list(Verdict))
def test_one_destination_decides_alone(verdict: Verdict) -> None:
    first, verdicts = Shelf(), list[Verdict]()
    Together(LOG.logger, first).deliver(an_email(), verdicts.append)
    assert verdicts == []
    first.decide(verdict)
    assert verdicts == [verdict]


def test_the_others_are_asked_when_the_first_has_decided() -> None:
    first, second, third, verdicts = Shelf(), Shelf(), Shelf(), list[Verdict]()
    email = an_email()
    Together(LOG.logger, first, second, third).deliver(email, verdicts.append)
    assert (first.emails, second.emails, third.emails) == ([email], [], [])
    first.decide(FAILED)
    assert [(other.uuid, other.verdict) for other in (*second.emails, *third.emails)] == 2 * [(email.uuid, FAILED)]
    second.decide(ACCEPT)
    assert verdicts == []
    third.decide(ACCEPT)
    assert verdicts == [FAILED]


def test_the_others_know_what_the_worker_of_the_first_did() -> None:
    first, second, email = Shelf(), Shelf(), an_email()
    first.handling = Handling(7, "CLOSE", "", 0, 3)
    Together(LOG.logger, first, second).deliver(email, lambda verdict: None)
    first.decide(CLOSE)
    [given] = second.emails
    assert (email.handling, given.handling, given.copy("other").handling) == (None, first.handling, first.handling)


VERDICTS: dict[str, tuple[Verdict, list[Verdict], Verdict]] = {
    "all accept": (ACCEPT, [ACCEPT, ACCEPT], ACCEPT),
    "the first closes": (CLOSE, [ACCEPT, ACCEPT], CLOSE),
    "another one closes": (ACCEPT, [ACCEPT, CLOSE], CLOSE),
    "another one fails": (ACCEPT, [ACCEPT, STORE], STORE),
    "another one fails, and the first closes": (CLOSE, [ACCEPT, STORE], STORE),
    "the first fails": (NONE, [ACCEPT, ACCEPT], NONE),
    "the first and another one fail": (NONE, [STORE, ACCEPT], NONE),
    "the first fails, and another one closes": (NONE, [CLOSE, ACCEPT], NONE),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_one_verdict_of_several(name: str) -> None:
    decided, others, expected = VERDICTS[name]
    for order in permutations(range(len(others))):
        first, shelves, verdicts = Shelf(), [Shelf() for _ in others], list[Verdict]()
        Together(LOG.logger, first, *shelves).deliver(an_email(), verdicts.append)
        first.decide(decided)
        for index in order:
            assert verdicts == []
            shelves[index].decide(others[index])
        assert verdicts == [expected]


def test_emails_do_not_wait_for_each_other() -> None:
    first, second, verdicts = Shelf(), Shelf(), list[tuple[str, Verdict]]()
    emails = [an_email(), an_email()]
    together = Together(LOG.logger, first, second)
    for name, email in zip("ab", emails, strict=True):
        together.deliver(email, lambda verdict, name=name: verdicts.append((name, verdict)))  # type: ignore[misc]
    first.decide(ACCEPT, emails[1])
    second.decide(STORE, emails[1])
    assert verdicts == [("b", STORE)]
    first.decide(ACCEPT)
    second.decide(ACCEPT)
    assert verdicts == [("b", STORE), ("a", ACCEPT)]


def test_a_destination_that_raises_has_not_taken_the_email_and_is_in_the_log(log: Log) -> None:
    class Broken:
        def deliver(self, email: Email, decided: object) -> None:
            raise ValueError("broken")

    first, last, verdicts = Shelf(), Shelf(), list[Verdict]()
    email = an_email()
    Together(log.logger, first, Broken(), last).deliver(email, verdicts.append)
    first.decide(ACCEPT)
    assert verdicts == []
    last.decide(ACCEPT)
    assert verdicts == [STORE]
    assert log.records == [
        {
            "level": "error",
            "event": "email could not be delivered",
            "uuid": email.uuid,
            "destination": "Broken",
            "exc_info": True,
        }
    ]
