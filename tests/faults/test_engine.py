"""A plan that runs: which rule acts, how often, and what is reported."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.faults.engine import Decision, RunningPlan
from fastsmtp.faults.plan import MAX_COUNT, FaultPlan
from fastsmtp.faults.presets import PRESETS
from fastsmtp.faults.question import PlanError, Question

NOW = 1_800_000_000.0
LATER = {"reply": "451 4.3.0 Later"}


def running(*rules: dict[str, Any], seed: int = 7) -> RunningPlan:
    return RunningPlan(FaultPlan({"seed": seed, "rules": list(rules)}))


def rcpt(to: str, sender: str = "a@x", connection: str = "c1") -> Question:
    return Question(at="rcpt", connection=connection, command=f"RCPT TO:<{to}>", sender=sender, rcpt=to)


def codes(plan: RunningPlan, *questions: Question, times: int = 1, step_s: float = 0.0) -> list[str]:
    """What is replied to each, "" where everything is as ever."""
    found = []
    now = NOW
    for question in questions * times:
        decision = plan.decide(question, now)
        found.append("" if decision is None else decision.action.words.removeprefix("reply "))
        now += step_s
    return found


def test_greylisting_refuses_each_pair_once() -> None:
    plan = running({"preset": "greylist"})
    assert codes(plan, rcpt("b@x"), rcpt("c@x"), rcpt("b@x", "z@x"), times=2) == ["451"] * 3 + [""] * 3


def test_the_first_rule_that_is_not_exhausted_acts() -> None:
    plan = running(
        {"id": "one", "when": {"at": "rcpt", "rcpt": "b@*"}, "do": LATER, "times": 1},
        {"id": "two", "when": {"at": "rcpt"}, "do": {"reply": "550 No"}, "times": 2},
    )
    assert codes(plan, rcpt("b@x"), times=4) == ["451", "550", "550", ""]
    assert codes(plan, Question(at="mail", connection="c1")) == [""]
    assert plan.unmatched == 2


def test_a_list_goes_over_the_hits_and_is_exhausted() -> None:
    plan = running({"when": {"at": "rcpt"}, "do": [LATER, {"reply": "452 Still"}, "pass", {"reply": "550 No"}]})
    assert codes(plan, rcpt("b@x"), times=6) == ["451", "452", "", "550", "", ""]
    [report] = plan.report()["report"]
    assert [report[key] for key in ("matched", "acted", "passed", "exhausted", "keys")] == [6, 3, 1, 1, 1]


def test_nth_counts_by_key() -> None:
    plan = running({"when": {"at": "rcpt", "nth": 2}, "do": LATER, "per": "rcpt"})
    assert codes(plan, rcpt("b@x"), rcpt("c@x"), times=3) == ["", "", "451", "451", "", ""]


def test_skip_and_times() -> None:
    plan = running({"when": {"at": "rcpt"}, "do": LATER, "skip": 2, "times": 1})
    assert codes(plan, rcpt("b@x"), times=5) == ["", "", "451", "", ""]


def test_a_rate_is_that_of_the_last_second() -> None:
    plan = running({"when": {"at": "rcpt", "rate": ">2/s"}, "do": LATER})
    assert codes(plan, rcpt("b@x"), times=5, step_s=0.25) == ["", "", "451", "451", "451"]
    plan = running({"when": {"at": "rcpt", "rate": ">2/s"}, "do": LATER})
    assert codes(plan, rcpt("b@x"), times=5, step_s=0.5) == ["", "", "", "", ""]


def test_a_rule_may_end_some_time_after_its_first_hit() -> None:
    plan = running({"when": {"at": "rcpt"}, "do": LATER, "for": "10s"})
    assert codes(plan, rcpt("b@x"), times=5, step_s=4.0) == ["451", "451", "451", "", ""]


def test_delays_are_drawn_between_their_ends() -> None:
    plan = running({"when": {"at": "rcpt"}, "do": {"delay": "300ms..900ms"}})
    delays = [plan.decide(rcpt("b@x"), NOW) for _ in range(20)]
    assert all(isinstance(one, Decision) and 0.3 <= one.delay_s < 0.9 for one in delays)
    assert len({one.delay_s for one in delays if one is not None}) == 20


@given(st.integers(-MAX_COUNT, MAX_COUNT), st.floats(0, 1), st.lists(st.sampled_from(["b@x", "c@x", "d@x"])))
def test_the_same_seed_gives_the_same_faults(seed: int, probability: float, recipients: list[str]) -> None:
    """Of each key, however others come in between."""
    rule = {"when": {"at": "rcpt"}, "do": LATER, "per": "rcpt", "probability": probability}
    mixed, apart = running(rule, seed=seed), running(rule, seed=seed)
    together = list(zip(recipients, codes(mixed, *map(rcpt, recipients)), strict=True))
    for one in set(recipients):
        own = [code for recipient, code in together if recipient == one]
        assert codes(apart, *[rcpt(one)] * len(own)) == own


@pytest.mark.parametrize(("probability", "expected"), [(0, ""), (1, "451")])
def test_never_and_always(probability: int, expected: str) -> None:
    plan = running({"when": {"at": "rcpt"}, "do": LATER, "probability": probability})
    assert codes(plan, rcpt("b@x"), times=50) == [expected] * 50


def test_half_of_many() -> None:
    plan = running({"when": {"at": "rcpt"}, "do": LATER, "probability": 0.5})
    assert codes(plan, rcpt("b@x"), times=1000).count("451") == 485


def test_a_report() -> None:
    plan = running(
        {"id": "grey", "when": {"at": "rcpt"}, "do": LATER, "times": 1},
        {"id": "idle", "when": {"at": "quit"}, "do": {"close": "rst"}},
    )
    codes(plan, rcpt("b@x"), times=2)
    hit = {
        "seq": 0,
        "at": "rcpt",
        "time": "2027-01-15T08:00:00Z",
        "connection": "c1",
        "mail": None,
        "command": "RCPT TO:<b@x>",
        "action": "reply 451",
        "reply": "451 4.3.0 Later",
    }
    counts = {"matched": 2, "acted": 1, "passed": 0, "exhausted": 1, "keys": 1}
    times = {"first_at": hit["time"], "last_at": hit["time"]}
    nothing = {"matched": 0, "acted": 0, "passed": 0, "exhausted": 0, "keys": 0, "first_at": None, "last_at": None}
    assert plan.report() == {
        "seed": 7,
        "rules": [rule.spec for rule in plan.plan.rules],
        "report": [{"id": "grey", **counts, **times, "hits": [hit]}, {"id": "idle", **nothing, "hits": []}],
        "unmatched": 1,
    }
    assert plan.idle_rules == ["idle"]


def test_what_holds_may_be_found_before_in_a_thread() -> None:
    lists = [{"when": {"at": "rcpt", "rcpt": [f"{one}{n}@*" for n in range(600)]}, "do": LATER} for one in "abc"]
    apart, at_once = running(*lists), running(*lists)
    questions = [msgspec.structs.replace(rcpt(to), rcpts=["z@x"]) for to in ("a7@x", "c9@x", "d1@x")]
    assert [apart.is_much(question) for question in questions] == [True] * 3
    assert not running(*lists[:1]).is_much(questions[0])
    holding = [apart.find_holding(question) for question in questions]
    assert holding == [{0}, {2}, set()]
    for question, holds in zip(questions, holding, strict=True):
        assert apart.decide(question, NOW, 0, holds) == at_once.decide(question, NOW)
    assert apart.report() == at_once.report()


def test_many_keys_are_not_kept_for_ever() -> None:
    plan = running({"when": {"at": "rcpt"}, "do": LATER, "per": "rcpt", "times": 1})
    questions = [rcpt(f"{number}@x") for number in range(10_001)]
    assert set(codes(plan, *questions)) == {"451"}
    assert codes(plan, questions[-1], questions[0]) == ["", "451"]


def test_a_key_is_short_however_many_recipients_it_is_of() -> None:
    [rule] = FaultPlan({"rules": [{"when": {"at": "data"}, "do": LATER, "per": ["from", "rcpt"]}]}).rules
    mails = [Question(at="data", connection="c", sender="A@x", rcpts=[f"{n}@x" for n in range(n)]) for n in (2, 999)]
    assert rule.key(mails[0]) == "a@x\n0@x 1@x"
    assert [len(rule.key(mail)) for mail in mails] == [11, 32]
    assert rule.key(mails[1]) != rule.key(msgspec.structs.replace(mails[1], sender="b@x"))


@pytest.mark.parametrize("preset", PRESETS)
def test_presets(preset: str) -> None:
    [rule] = FaultPlan({"rules": [{"preset": preset}]}).rules
    assert (rule.ident, rule.spec) == (f"{preset}-1", {"preset": preset})


def test_a_preset_with_keys_of_its_own() -> None:
    plan = running({"preset": "bounce", "id": "gone", "when": {"at": "rcpt", "rcpt": "old@*"}})
    assert codes(plan, rcpt("new@x"), rcpt("old@x")) == ["", "550"]


@pytest.mark.parametrize(
    ("spec", "pointer"),
    [
        ([], ""),
        ({}, "/rules"),
        ({"rules": []}, "/rules"),
        ({"rules": [{}] * 1001}, "/rules"),
        ({"rules": [3]}, "/rules/0"),
        ({"rules": [{"id": n, "when": {"at": "any", "from": ["*x"] * 1000}, "do": LATER} for n in "abc"]}, "/rules"),
        ({"rule": []}, "/rule"),
        ({"seed": "x", "rules": [{"preset": "down"}]}, "/seed"),
        ({"seed": 2**64, "rules": [{"preset": "down"}]}, "/seed"),
        ({1: "x"}, "/1"),
        ({"rules": [{None: "x"}]}, "/rules/0/None"),
        ({"rules": [{"preset": "up"}]}, "/rules/0/preset"),
        ({"rules": [{"do": LATER}]}, "/rules/0/when"),
        ({"rules": [{"when": {"at": "rcpt"}}]}, "/rules/0/do"),
        ({"rules": [{"preset": "down", "often": 1}]}, "/rules/0/often"),
        ({"rules": [{"preset": "down", "id": ""}]}, "/rules/0/id"),
        ({"rules": [{"preset": "down", "id": "a"}, {"preset": "slow", "id": "a"}]}, "/rules/1/id"),
        ({"rules": [{"preset": "down"}, {"preset": "down", "times": -1}]}, "/rules/1/times"),
        ({"rules": [{"preset": "down", "skip": True}]}, "/rules/0/skip"),
        ({"rules": [{"preset": "down", "probability": 2}]}, "/rules/0/probability"),
        ({"rules": [{"preset": "down", "for": "soon"}]}, "/rules/0/for"),
        ({"rules": [{"preset": "down", "per": "day"}]}, "/rules/0/per"),
        ({"rules": [{"preset": "down", "per": ["ip", "subject"]}]}, "/rules/0/per/1"),
        ({"rules": [{"preset": "down", "when": {"at": "x"}}]}, "/rules/0/when/at"),
        ({"rules": [{"preset": "down", "do": [LATER, {"drop": True}]}]}, "/rules/0/do/1/drop"),
    ],
)
def test_what_is_no_plan(spec: object, pointer: str) -> None:
    with pytest.raises(PlanError) as raised:
        FaultPlan(spec)
    assert raised.value.pointer == pointer


def test_texts_without_wildcards_may_be_many() -> None:
    addresses = [[f"{rule}.{n}@x" for n in range(1000)] for rule in range(50)]
    plan = running(*({"when": {"at": "rcpt", "rcpt": some}, "do": LATER} for some in addresses))
    assert codes(plan, rcpt("49.999@x"), rcpt("50.0@x")) == ["451", ""]


def test_a_plan_without_a_seed_gets_one_that_it_shows() -> None:
    seeds = {FaultPlan({"rules": [{"preset": "down"}]}).spec["seed"] for _ in range(3)}
    assert len(seeds) > 1
