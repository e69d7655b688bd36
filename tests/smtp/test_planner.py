"""Plans, as a session sees them: it asks, waits, and goes on as the answer says. Octets in, octets out."""

from __future__ import annotations

import pytest
from planners import OnePlan
from support import EHLO, Player

from fastsmtp.smtp.events import Asked, Replied, Verdict
from fastsmtp.smtp.planner import Fault
from fastsmtp.smtp.replies import (
    BYE,
    HELP,
    MAIL_OK,
    MESSAGE_ACCEPTED,
    NOOP_OK,
    RCPT_OK,
    START_MAIL_INPUT,
    UNKNOWN_COMMAND,
    greeting,
)
from fastsmtp.smtp.session import Session
from fastsmtp.smtp.sessionsettings import SessionSettings
from fastsmtp.smtp.violations import LOWER_CASE_VERB

LATER = b"451 4.7.1 Later\r\n"
DIALOGUE = b"ehlo c\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n"


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


def replied(under_test: Session) -> list[tuple[str, str]]:
    """Replies, each with the rule of the plan whose it is."""
    return [(event.line, event.fault) for event in under_test.take_events() if isinstance(event, Replied)]


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


@pytest.mark.parametrize("octets", [0, 5])
@pytest.mark.parametrize("answer", [None, Fault("r", LATER), Fault("r", close=True, silent=True)])
def test_a_plan_is_asked_about_a_mail_that_ends_where_it_wants_to_be(octets: int, answer: Fault | None) -> None:
    """Behind the last octet of a chunk none comes that it could be asked before."""
    under_test = session(OnePlan("body", marks=(octets,)))
    begin = DIALOGUE[: DIALOGUE.index(b"DATA")]
    feed(under_test, begin + b"BDAT %d LAST\r\n" % octets + b"01234"[:octets] + b"NOOP\r\n")
    under_test.take_output()
    assert asked(under_test) == [("body", "", octets)]
    under_test.answer(answer)
    if answer is None:
        assert (under_test.waiting_for_decision, under_test.take_output()) == (True, b"")
        under_test.decide(Verdict.ACCEPT)
    under_test.go_on()
    replies = {None: MESSAGE_ACCEPTED + NOOP_OK, LATER: LATER + NOOP_OK}
    silent = answer is not None and answer.silent
    assert under_test.take_output() == (b"" if silent else replies[answer and answer.reply])
    assert (under_test.closing, under_test.waits) == (silent, False)


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


def test_a_refused_chunk_is_marked_in_the_transcript_behind_its_octets() -> None:
    under_test = Session(SessionSettings("mx.test", trace=True), planner=OnePlan("data"))
    feed(under_test, b"EHLO c\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nBDAT 5 LAST\r\n")
    asked(under_test)
    under_test.answer(Fault("r", LATER))
    under_test.go_on()
    feed(under_test, b"01234")
    assert replied(under_test) == [("451 4.7.1 Later", "r")]
    assert under_test.take_output().endswith(LATER)


def test_a_mail_that_is_refused_in_the_middle_is_marked_behind_its_chunk() -> None:
    under_test = Session(SessionSettings("mx.test", trace=True), planner=OnePlan("body", marks=(2,)))
    feed(under_test, b"EHLO c\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nBDAT 5\r\n01234")
    asked(under_test)
    under_test.answer(Fault("r", LATER))
    under_test.go_on()
    assert replied(under_test) == [("451 4.7.1 Later", "r")]
    feed(under_test, b"NOOP\r\nBDAT 1 LAST\r\nx")
    assert replied(under_test) == [("250 2.0.0 OK", ""), ("503 5.5.1 Send MAIL first", "")]


@pytest.mark.parametrize("reply", [b"", b"250 2.0.0 Mine\r\n"])
def test_a_worker_may_end_the_session_behind_a_mail_that_a_plan_has_delayed(reply: bytes) -> None:
    under_test = session(None)
    feed(under_test, DIALOGUE + b"x\r\n.\r\n")
    under_test.take_output()
    under_test.decide(Verdict.ACCEPT_AND_CLOSE, Fault("r", reply))
    assert (under_test.take_output(), under_test.closing) == ((reply or MESSAGE_ACCEPTED) + BYE, True)


def test_a_client_that_does_not_wait_for_its_greeting_is_read_in_order() -> None:
    """Its first octets may be those of a PROXY header, and are looked at before they are commands."""
    under_test = session(OnePlan("connect"))
    under_test.greet()
    feed(under_test, b"PROX\r\nNOOP\r\nHELP\r\n")
    under_test.take_events()
    under_test.answer(None)
    under_test.go_on()
    assert under_test.take_output() == greeting("mx.test") + UNKNOWN_COMMAND + NOOP_OK + HELP
    assert not under_test.has_more_to_say
