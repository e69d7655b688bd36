"""Plans, as a session sees them: it asks, waits, and goes on as the answer says. Octets in, octets out."""

from __future__ import annotations

import pytest
from support import EHLO, Player

from fastsmtp.smtp.events import Asked
from fastsmtp.smtp.planner import Fault, Plans
from fastsmtp.smtp.policy import Facts
from fastsmtp.smtp.replies import MAIL_OK, RCPT_OK, START_MAIL_INPUT
from fastsmtp.smtp.session import Session
from fastsmtp.smtp.sessionsettings import SessionSettings
from fastsmtp.smtp.violations import LOWER_CASE_VERB

LATER = b"451 4.7.1 Later\r\n"
DIALOGUE = b"ehlo c\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"


class OnePlan:
    """Wants to be asked at some stages, and at `body` after so many octets."""

    def __init__(self, *stages: str, marks: tuple[int, ...] = ()) -> None:
        self.plans = Plans()
        self.plans.stages = frozenset(stages)
        self._marks = marks

    def concerns(self, facts: Facts) -> bool:
        return True

    def marks(self, facts: Facts) -> tuple[int, ...]:
        return self._marks


def session(plan: OnePlan | None) -> Session:
    return Session(SessionSettings("mx.test"), planner=plan)


def feed(under_test: Session, octets: bytes) -> None:
    buffer = bytearray(4096) + octets
    under_test.receive(buffer, 4096, len(buffer))


def asked(under_test: Session) -> list[tuple[str, str, int]]:
    events = under_test.take_events()
    return [
        (event.facts.stage, event.facts.subject, event.facts.octets) for event in events if isinstance(event, Asked)
    ]


@pytest.mark.parametrize("stage", ["ehlo", "mail", "rcpt", "data"])
def test_what_comes_behind_a_question_waits_for_its_answer(stage: str) -> None:
    under_test = session(OnePlan(stage))
    feed(under_test, DIALOGUE)
    before = under_test.take_output()
    assert [one[0] for one in asked(under_test)] == [stage]
    assert (under_test.waits, under_test.waiting_for_answer, under_test.state) == (True, True, "waiting")
    under_test.answer(None)
    under_test.go_on()
    plain = session(None)
    feed(plain, DIALOGUE)
    assert before + under_test.take_output() == plain.take_output()
    assert under_test.violations[LOWER_CASE_VERB].count == 1
    assert (under_test.state, asked(under_test)) == ("receiving", [])


def test_a_refusal_leaves_no_effect_and_a_good_code_does() -> None:
    under_test = session(OnePlan("rcpt"))
    feed(under_test, b"EHLO c\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\n")
    under_test.take_output()
    under_test.answer(Fault("r", LATER))
    assert under_test.transaction is not None
    assert (under_test.take_output(), under_test.transaction.forward_paths) == (LATER, [])
    feed(under_test, b"RCPT TO:<c@d.test>\r\n")
    under_test.answer(Fault("r", b"250 2.1.5 Fine\r\n"))
    assert (under_test.take_output(), under_test.transaction.forward_paths) == (b"250 2.1.5 Fine\r\n", ["c@d.test"])


def test_a_plan_is_asked_about_a_mail_exactly_where_it_wants_to_be() -> None:
    under_test = session(OnePlan("body", marks=(0, 5, 100)))
    feed(under_test, DIALOGUE + b"0123456789\r\n.\r\n")
    assert under_test.take_output().endswith(MAIL_OK + RCPT_OK + START_MAIL_INPUT)
    seen = asked(under_test)
    under_test.answer(None)
    under_test.go_on()
    seen += asked(under_test)
    under_test.answer(Fault("r", LATER))
    under_test.go_on()
    assert seen == [("body", "", 0), ("body", "", 5)]
    assert (under_test.take_output(), under_test.waiting_for_decision) == (LATER, False)


@pytest.mark.parametrize("end", ["the client", "the server"])
def test_an_end_that_comes_while_a_plan_is_asked_waits_for_it(end: str) -> None:
    under_test = session(OnePlan("ehlo"))
    feed(under_test, b"EHLO c\r\n")
    if end == "the client":
        under_test.receive_eof()
    else:
        under_test.shutdown()
    assert (under_test.closing, under_test.take_output()) == (False, b"")
    under_test.answer(None)
    under_test.go_on()
    assert (under_test.closing, under_test.take_output().startswith(b"250-mx.test\r\n")) == (True, True)


def test_a_greeting_is_asked_about_twice_and_replaced() -> None:
    under_test = session(OnePlan("connect", "banner"))
    under_test.greet()
    seen = asked(under_test)
    under_test.answer(None)
    seen += asked(under_test)
    under_test.answer(Fault("r", b"220 Other\r\n"))
    assert (seen, under_test.take_output()) == ([("connect", "", 0), ("banner", "", 0)], b"220 Other\r\n")


def test_without_a_plan_nothing_is_asked() -> None:
    plan = OnePlan()
    plan.plans.stages = None
    under_test = Player(Session(SessionSettings("mx.test"), planner=plan))
    under_test.send(EHLO[0])
    assert under_test.finish_step() == EHLO[1].replace(b"SIZE 2000", b"SIZE 10485760")
    assert under_test.finish().others == []
