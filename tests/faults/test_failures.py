"""What plans let fail, and which clients came again."""

from __future__ import annotations

import pytest

from fastsmtp.faults.actions import Action
from fastsmtp.faults.failures import MAX_FAILURES, FailedAttempts
from fastsmtp.faults.question import Question

LATER = Action(reply=["451-4.7.1 Later", "451 4.7.1 or never"])


def question(
    at: str, rcpt: str = "", rcpts: tuple[str, ...] = (), sender: str = "a@x", ip: str = "127.0.0.1"
) -> Question:
    return Question(at=at, connection="c", ip=ip, sender=sender, rcpt=rcpt, rcpts=list(rcpts), username="u")


def failed(*asked: tuple[Question, Action | None]) -> list[tuple[str, str, str, bool | None]]:
    failures = FailedAttempts()
    for one, action in asked:
        failures.note(one)
        if action is not None:
            failures.add(one, "r", action, 1.0, 3)
    return [(failure.at, failure.of, failure.action, failure.tried_again) for failure in failures.since(0)]


@pytest.mark.parametrize(
    ("one", "of"),
    [
        (question("connect"), "127.0.0.1"),
        (question("auth", sender=""), "u"),
        (question("mail"), "a@x"),
        (question("rcpt", "b@x"), "b@x"),
        (question("data", rcpts=("b@x", "c@x", "d@x", "e@x")), "b@x, c@x, d@x"),
        (question("data-end", rcpts=("b@x",)), "b@x"),
    ],
    ids=lambda one: one.at if isinstance(one, Question) else "",
)
def test_an_attempt_is_known_again(one: Question, of: str) -> None:
    assert failed((one, LATER)) == [(one.at, of, "451", False)]
    assert failed((one, LATER), (one, None)) == [(one.at, of, "451", True)]
    assert failed((one, LATER), (one, LATER)) == [(one.at, of, "451", False)]


def test_another_recipient_is_another_attempt() -> None:
    assert failed((question("rcpt", "b@x"), LATER), (question("rcpt", "c@x"), None)) == [("rcpt", "b@x", "451", False)]
    assert failed((question("rcpt", "b@x"), LATER), (question("rcpt", "B@X", sender="A@x"), None))[0][3] is True


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (Action(delay=(1.0, 1.0)), []),
        (Action(reply=["250 Fine"]), []),
        (Action(duplicate=2), []),
        (Action(close="rst"), [("data-end", "b@x", "close rst", True)]),
        (Action(store=True, close="rst"), [("data-end", "b@x", "close rst", True)]),
        (Action(drop=True), [("data-end", "b@x", "drop", None)]),
    ],
    ids=lambda action: action.words if isinstance(action, Action) else "",
)
def test_what_counts_as_a_failure(action: Action, expected: list[tuple[str, str, str, bool | None]]) -> None:
    mail = question("data-end", rcpts=("b@x",))
    assert failed((mail, action), (mail, None)) == expected


def test_the_last_ones_are_kept_and_those_since_a_mail_returned() -> None:
    failures = FailedAttempts()
    for number in range(MAX_FAILURES + 5):
        failures.add(question("rcpt", f"{number}@{'x' * 1000}"), "r", LATER, 1.0, number)
    kept = failures.since(0)
    assert (len(kept), kept[0].seq, len(kept[0].of)) == (MAX_FAILURES, 5, 200)
    assert [failure.seq for failure in failures.since(MAX_FAILURES + 3)] == [MAX_FAILURES + 3, MAX_FAILURES + 4]
