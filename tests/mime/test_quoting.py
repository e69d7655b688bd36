"""The ends of quoted strings and comments, plain identifiers, and escapes in hexadecimal."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.mime._quoting import decode_hex, find_comment_end, find_quote_end, is_plain_identifier


@pytest.mark.parametrize(
    ("octets", "mark", "decoded"),
    [
        (b"a%20b%e2%82%AC", b"%", b"a b\xe2\x82\xac"),
        (b"%", b"%", b"%"),
        (b"%%41%4%zz%", b"%", b"%A%4%zz%"),
        (b"=3D3D", b"=", b"=3D"),
        (b"", b"=", b""),
    ],
)
def test_decode_hex(octets: bytes, mark: bytes, decoded: bytes) -> None:
    assert decode_hex(octets, mark) == decoded


@pytest.mark.parametrize(
    ("value", "end"),
    [('abc"d', 3), (r'a\"b"', 4), (r'a\\"', 3), ("abc", -1), ('a\\"', -1), ("a\\", -1), ('"', 0)],
)
def test_find_quote_end(value: str, end: int) -> None:
    assert find_quote_end(value, 0) == end


@pytest.mark.parametrize(
    ("value", "end"),
    [("abc)d", 3), ("a(b)c)", 5), (r"a\)b)", 4), ("a(b)", -1), ("(" * 100_000 + ")" * 100_001, 200_000)],
    ids=["plain", "nested", "quoted pair", "unclosed", "deep"],
)
def test_find_comment_end(value: str, end: int) -> None:
    assert find_comment_end(value, 0) == end


SIGNS = st.lists(st.sampled_from(['"', "\\", "(", ")", "a", "é", "☃", "😀"])).map("".join)


@given(SIGNS, st.integers(0, 5))
def test_ends_are_found_wherever_characters_are_wide(value: str, position: int) -> None:
    bare = re.sub(r"\\.", "xx", value[position:], flags=re.DOTALL)  # without its quoted pairs
    end = bare.find('"')
    assert find_quote_end(value, position) == (end if end < 0 else end + position)
    depth, end = 1, -1
    for index, character in enumerate(bare):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            end = index + position
            break
    assert find_comment_end(value, position) == end


@given(st.lists(st.sampled_from([b"%", b"=", b"4", b"a", b"G", b"41", b"%e2"])).map(b"".join))
def test_escapes_are_those_of_a_pattern(octets: bytes) -> None:
    expected = re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes.fromhex(match[1].decode()), octets)
    assert decode_hex(octets, b"%") == expected


@given(st.lists(st.sampled_from([*'<>() ";\\~!a\x1f\x7fé☃😀'])).map("".join))
def test_plain_identifiers_are_those_of_a_pattern(text: str) -> None:
    pattern = r"""<[^\0-\x20\x7f-\U0010ffff()";<>\\]+>"""
    for value in (text, f"<{text}>"):
        assert is_plain_identifier(value) == bool(re.fullmatch(pattern, value))
