"""The mails of a load: as large as they are called, valid, and the same from the same seed."""

from __future__ import annotations

import email
import email.policy
import re
from collections import Counter
from itertools import islice

import pytest

from fastsmtp.bench.message import Kind, Style, drawn, generated, head, parse_mix
from fastsmtp.client.mail import Content

STYLE = Style("a@example.com", ["b@example.com", "c@example.com"], None, 1)


def sizes(text: str) -> int:
    return int(text.removesuffix("K")) * (1000 if text.endswith("K") else 1)


@pytest.mark.parametrize("attachments", [None, 0, 1, 3])
@pytest.mark.parametrize("octets", [300, 301, 500, 1000, 1999, 2000, 5000, 20_000, 100_000, 1_000_000])
def test_generated_mail_is_valid_and_as_large_as_asked_for(octets: int, attachments: int | None) -> None:
    kind = generated(octets, 1.0, STYLE._replace(attachments=attachments))
    for template in kind.templates:
        whole = head("0123abcd", 17) + template.octets
        assert len(whole) == octets
        assert (template.stuffed, template.eight_bit) == (template.octets, False)
        assert whole.endswith(b"\r\n")
        assert b"\n" not in whole.replace(b"\r\n", b"")
        assert max(map(len, whole.split(b"\r\n"))) <= 200
        parsed = email.message_from_bytes(whole, policy=email.policy.default)
        assert [defect for part in parsed.walk() for defect in part.defects] == []
        assert parsed["X-Bench-ID"] == "0123abcd-00000017"
        if octets >= 5000:
            assert parsed["To"] == "b@example.com, c@example.com"
            expected = attachments if attachments is not None else int(octets >= 20_000)
            assert len(list(parsed.iter_attachments()) if expected else []) == expected
            bodies = [part.get_content() for part in parsed.walk() if part.get_content_maintype() == "text"]
            assert "\ufffd" not in "".join(bodies)


def test_the_same_seed_makes_the_same_mails() -> None:
    first, again = (generated(3000, 1.0, STYLE) for _ in range(2))
    assert first == again
    assert len(set(first.templates)) == 16
    assert generated(3000, 1.0, STYLE._replace(seed=2)).templates[0] != first.templates[0]


def test_the_null_sender_is_somebody_in_the_header() -> None:
    [template, *_] = generated(1000, 1.0, STYLE._replace(sender="")).templates
    assert template.octets.startswith(b"From: mailer-daemon@example.com\r\n")


def test_kinds_are_drawn_by_weight() -> None:
    one, two = (Kind(weight, [Content(b"%g" % weight, b"", False)]) for weight in (9.0, 1.0))
    drawn_ones = [template.octets for template in islice(drawn([one, two], 1), 10_000)]
    assert drawn_ones == [template.octets for template in islice(drawn([one, two], 1), 10_000)]
    assert 800 < Counter(drawn_ones)[b"1"] < 1200


def test_variants_of_one_kind_take_turns() -> None:
    templates = [Content(name, b"", False) for name in (b"a", b"b")]
    assert list(islice(drawn([Kind(1.0, templates)], 1), 3)) == [*templates, templates[0]]


def test_parse_mix() -> None:
    assert parse_mix("1K:90, 100K:9,1000", sizes) == [(1000, 90.0), (100_000, 9.0), (1000, 1.0)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", '"" is not like 100KB:9, a size and its weight'),
        ("1K:", '"1K:" is not like 100KB:9, a size and its weight'),
        ("1K:90,x:1", '"x:1" is not like 100KB:9, a size and its weight'),
        ("1K:0", 'the weight in "1K:0" is not above 0'),
        ("1K:inf", 'the weight in "1K:inf" is not above 0'),
        ("299", '"299": a mail has at least 300 bytes'),
    ],
)
def test_a_mix_that_is_none(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(complaint)}$"):
        parse_mix(text, sizes)
