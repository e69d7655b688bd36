"""From parameters as they were sent to what they say (RFC 2231; RFC 2047 is tolerated)."""

from __future__ import annotations

import pytest

from fastsmtp.mime.budget import MAX_FIELD_WORDS, MAX_WORDS, Budget
from fastsmtp.mime.defects import DUPLICATE_PARAMETER, INVALID_ENCODED_WORD, INVALID_PARAMETER, UNKNOWN_CHARSET
from fastsmtp.mime.parametervalues import Parameter, assemble

Sent = list[tuple[str, str]]
VALUES: dict[str, tuple[Sent, dict[str, str], list[str]]] = {
    "none": ([], {}, []),
    "names in lower case": ([("CharSet", "UTF-8")], {"charset": "UTF-8"}, []),
    "the first counts": ([("a", "1"), ("A", "2")], {"a": "1"}, [DUPLICATE_PARAMETER]),
    "a padded boundary": ([("boundary", "b \t")], {"boundary": "b"}, []),
    "encoded words": ([("name", "=?utf-8?q?=C3=A9?=")], {"name": "é"}, [INVALID_ENCODED_WORD]),
    "no encoded word": ([("name", "=?")], {"name": "=?"}, []),
    "continued": ([("n*1", "b"), ("n*0", "a")], {"n": "ab"}, []),
    "a gap": ([("n*0", "a"), ("n*2", "c")], {"n": "ac"}, [INVALID_PARAMETER]),
    "with a charset": ([("n*", "iso-8859-1''%A3")], {"n": "£"}, []),
    "an unknown charset": ([("n*", "x-no''%C3%A9")], {"n": "é"}, [UNKNOWN_CHARSET]),
    "a charset over segments": ([("n*0*", "utf-8''%C3"), ("n*1*", "%A9"), ("n*2", "%41")], {"n": "é%41"}, []),
    "extended wins": ([("n", "a"), ("n*", "''b")], {"n": "b"}, []),
    "whole wins": ([("n*0", "a"), ("n*", "''b")], {"n": "b"}, []),
    "twice": ([("n*0", "a"), ("n*0", "b")], {"n": "a"}, [DUPLICATE_PARAMETER]),
    "no number": ([("n*x", "a"), ("n*0**", "a"), ("*", "a")], {}, [INVALID_PARAMETER]),
}


@pytest.mark.parametrize(("sent", "said", "noted"), VALUES.values(), ids=VALUES)
def test_values(sent: Sent, said: dict[str, str], noted: list[str]) -> None:
    defects: list[str] = []
    assert assemble([Parameter(*parameter) for parameter in sent], defects, Budget()) == said
    assert defects == noted


def test_words_are_of_the_budget_of_the_mail() -> None:
    budget = Budget()
    assemble([Parameter("a", "=?utf-8?q?=C3=A9?= " * 3), Parameter("b", "=?utf-8?q?=C3=A9?= " * 2)], [], budget)
    assert budget.words == MAX_WORDS - 5


def test_words_of_one_parameter_have_a_limit() -> None:
    budget = Budget()
    said = assemble([Parameter("a", "=?utf-8?q?e?= " * (MAX_FIELD_WORDS + 1))], [], budget)
    assert said["a"].rstrip().startswith("e" * MAX_FIELD_WORDS)
    assert said["a"].count("=?utf-8?q?e?=") == 1
    assert budget.words == MAX_WORDS - MAX_FIELD_WORDS
