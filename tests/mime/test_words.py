"""Encoded words (RFC 2047)."""

from __future__ import annotations

import base64
from email.header import Header, decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.mime.budget import Budget
from fastsmtp.mime.defects import INVALID_ENCODED_WORD, MEANINGS, UNKNOWN_CHARSET, WRONG_CHARSET
from fastsmtp.mime.words import decode_words, word_steps

GOOD = {
    "plain": ("Hello = ? you", "Hello = ? you"),
    "empty": ("", ""),
    "q": ("=?ISO-8859-1?q?a_b=5fc=20d=3f_=e9?=", "a b_c d? é"),
    "b": ("=?utf-8?B?w5xiZXI=?=", "Über"),
    "empty words": ("=?utf-8?Q??= =?utf-8?B??=", ""),
    "adjacent": ("=?utf-8?B?RsO8w59lIA==?= =?utf-8?Q?=C3=BCber?= \t =?utf-8?B?IEdyw7bDn2U=?=", "Füße über Größe"),
    "text between": ("=?utf-8?Q?=C3=9C?= and  =?utf-8?B?w5Y=?= then", "Ü and  Ö then"),
    "blanks at the ends": (" =?utf-8?Q?=C3=9C?= ", " Ü "),
    "in parentheses": ("(=?utf-8?Q?=C3=9C?=)", "(Ü)"),
    "language": ("=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
    "mixed charsets": ("=?koi8-r?B?9g==?= =?shift_jis?B?k/o=?= =?iso-8859-1?Q?=F1?= =?utf-8?B?4oKs?=", "Ж日ñ€"),
    "character over two words": ("=?utf-8?Q?Preis_5_=E2=82?= =?UTF-8?q?=AC?=", "Preis 5 €"),
    "character over two b words": ("=?utf-8?B?4oI=?= =?utf-8?B?rA==?=", "€"),
    "utf-7 words stay apart": ("=?utf-7?Q?+Jjo?= =?utf-7?Q?+APw-?=", "☺ü"),
    "character over b and q words": ("=?utf-8?B?4oI=?= =?utf-8?Q?=AC_x?=", "€ x"),
    "escape sequence over two words": (
        "=?iso-2022-jp?Q?=1B=24BBg=1B=28B_-_=1B=24?= =?iso-2022-jp?Q?B=46=7C=4B=5C=1B=28B?=",
        "大 - 日本",
    ),
    "inside of an escape sequence": ("=?ISO-2022-JP?B?GyRCRnw=?= =?iso-2022-jp?B?S1wbKEI=?=", "日本"),
    "character over two words inside of it": (
        "=?iso-2022-jp?Q?=1B$BF?= =?iso-2022-jp?Q?|K?= =?iso-2022-jp?Q?=5C=1B=28B?=",
        "日本",
    ),
    "not shifted back, then a new escape sequence": (
        "=?iso-2022-jp?Q?=1B$BF|?= =?iso-2022-jp?Q?=1B$BK=5C?=",
        "日本",
    ),
    "not shifted back, then ascii": ("=?iso-2022-jp?Q?=1B$BF|?= =?iso-2022-jp?Q?abc?=", "日abc"),
    "whole words of iso-2022-jp": ("=?iso-2022-jp?Q?=1B$BF|=1B=28B?= =?iso-2022-jp?Q?K=5C?=", "日K\\"),
    "inside of a shift": ("=?iso-2022-kr?Q?=1B$)C=0E0!?= =?iso-2022-kr?Q?0!=0F?=", "가가"),
    "shift without its designation": ("=?iso-2022-kr?Q?=1B$)C=0E0!=0F?= =?iso-2022-kr?Q?_=0E0!=0F?=", "가 가"),
    "inside of a sign of hz": ("=?hz-gb-2312?Q?~?= =?hz-gb-2312?Q?{VPVP~?= =?hz-gb-2312?Q?}?=", "中中"),
    "behind a tilde of hz": ("=?hz-gb-2312?Q?a~~?= =?hz-gb-2312?Q?{b?=", "a~{b"),
    "inside of hz": ("=?hz-gb-2312?Q?~{VP?= =?hz-gb-2312?Q?VP~}?=", "中中"),
    "inside of base64 of utf-7": ("=?utf-7?Q?+AOQ?= =?utf-7?Q?A9g-?=", "äö"),
    "ascii behind base64 of utf-7": ("=?utf-7?Q?+AOQ?= =?utf-7?Q?abc?=", "äabc"),
    "utf-16 with one mark": ("=?utf-16?B?//5hAGIA?= =?utf-16?B?YwBkAA==?=", "abcd"),
    "utf-16 with a mark in each word": ("=?utf-16?B?//5hAA==?= =?utf-16?B?/v8AYg==?=", "ab"),
    "utf-16 cut in a character": ("=?utf-16?B?/v8AYQA=?= =?utf-16?B?Yg==?=", "ab"),
    "numero sign": ("=?iso-2022-jp?B?GyRCJygnJS1iGyhCNDE=?=", "ЖД№41"),
    "ascii in unknown charset": ("=?x-nothing?Q?plain_words?= tail", "plain words tail"),
    # Not an encoded word: text, which is not a defect.
    "no base64": ("=?utf-8?B?!!!not base64!!!?= tail", "=?utf-8?B?!!!not base64!!!?= tail"),
    "unknown encoding": ("=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
    "no charset": ("=??Q?abc?=", "=??Q?abc?="),
    "never closed": ("=?utf-8?Q?abc", "=?utf-8?Q?abc"),
    "closed by the next": ("=?utf-8?Q?abc =?utf-8?Q?d=C3=A9f?=", "=?utf-8?Q?abc déf"),
    "what begins like a word in q": ("=?utf-8?Q?=C3=A9=?a?= x", "=?utf-8?Q?=C3=A9=?a?= x"),
    "wrong escapes stay": ("=?utf-8?Q?100=_=zz=4?=", "100= =zz=4"),
    "bare CR after an equals sign": ("=?utf-8?Q?a=\rb?=", "a=\rb"),
}


@pytest.mark.parametrize(("value", "text"), GOOD.values(), ids=GOOD)
def test_well_formed(value: str, text: str) -> None:
    defects: list[str] = []
    assert (decode_words(value, defects), defects) == (text, [])


BAD = {
    "blanks in q": ("=?utf-8?Q?a b=C3=A9?=", "a bé", [INVALID_ENCODED_WORD]),
    "question mark in q": ("=?utf-8?Q?Really??=", "Really?", [INVALID_ENCODED_WORD]),
    "8-bit in q": ("=?iso-8859-1?Q?é_=41?=", "é A", [INVALID_ENCODED_WORD]),
    "blanks in b": ("=?utf-8?B?w5xi ZXI=?=", "Über", [INVALID_ENCODED_WORD]),
    "no padding": ("=?utf-8?B?w5Y?=", "Ö", [INVALID_ENCODED_WORD]),
    "a digit too many": ("=?utf-8?B?w5Yab?=", "Ö\x1a", [INVALID_ENCODED_WORD]),
    "both without padding": ("=?utf-8?B?w5Y?= =?utf-8?B?w5Y?=", "ÖÖ", [INVALID_ENCODED_WORD]),
    "cut after encoding": ("=?utf-8?B?w5xiZX?= =?utf-8?B?I=?=", "Über", [INVALID_ENCODED_WORD]),
    "glued to text": ("Re:=?utf-8?Q?=C3=9C?=ber", "Re:Über", [INVALID_ENCODED_WORD]),
    "glued to each other": ("=?utf-8?Q?=C3=9C?==?utf-8?Q?ber?=", "Über", [INVALID_ENCODED_WORD]),
    "in quotes": ('"=?utf-8?Q?=C3=9C?="', '"Ü"', [INVALID_ENCODED_WORD]),
    "unknown charset": ("=?x-nothing?Q?=C3=9C?=", "Ü", [UNKNOWN_CHARSET]),
    "unknown charset, not utf-8": ("=?x-nothing?Q?=DC?=", "Ü", [UNKNOWN_CHARSET]),
    "lying charset": ("=?utf-8?Q?=DC?=", "Ü", [WRONG_CHARSET]),
}


@pytest.mark.parametrize(("value", "text", "noted"), BAD.values(), ids=BAD)
def test_tolerated(value: str, text: str, noted: list[str]) -> None:
    defects: list[str] = []
    assert (decode_words(value, defects), defects) == (text, noted)


@pytest.mark.parametrize(
    "unit", ["=?", "=?u?b?", "=?u?q?x?=", "=?u?q?x?= ", "=?u?b?!?=", "?=", "=?u?q? ", "=?u?q?=?= "]
)
def test_hostile(unit: str) -> None:
    """A hundred thousand of each: it ends."""
    assert len(decode_words(unit * 100_000, [])) <= len(unit) * 100_000


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])), st.sampled_from(["utf-8", "utf-16"]))
def test_any_text_comes_back(text: str, charset: str) -> None:
    encoded = base64.b64encode(text.encode(charset)).decode()
    assert decode_words(f"=?{charset}?b?{encoded}?=", []) == text.removeprefix("\ufeff")


WORDS = st.text(st.characters(min_codepoint=0xA1, max_codepoint=0x4FF), min_size=1, max_size=40)


@given(WORDS, st.sampled_from(["utf-8", "iso-8859-1", "koi8-r"]))
def test_agrees_with_stdlib(text: str, charset: str) -> None:
    text = text.encode(charset, "ignore").decode(charset) or "x"
    value = Header(text, charset, maxlinelen=60).encode().replace("\n", "")
    defects: list[str] = []
    assert decode_words(value, defects) == str(make_header(decode_header(value)))
    assert defects == []


PIECES = st.sampled_from(
    ["=?", "?=", "?", "=", "utf-8", "x-no", "*en", "?q?", "?B?", "=E4", "=C3", "w5Y=", "_", " ", "\t", "é", "\0"]
)


@given(st.lists(st.one_of(PIECES, st.text(max_size=3))).map("".join))
def test_any_value(value: str) -> None:
    defects: list[str] = []
    text = decode_words(value, defects)
    assert set(defects) <= set(MEANINGS)
    if "=?" not in value:
        assert text == value


@pytest.mark.parametrize("charset", ["utf-8", "iso-2022-jp", "utf-7", "x-unknown"])
def test_steps_make_the_same_text(charset: str) -> None:
    value = f"=?{charset}?b?GyRCRg==?= " * 300 + f"=?{charset}?q?=7C=1B=28B?= a"
    pieces: list[str] = []
    found: list[str] = []
    steps = sum(1 for _ in word_steps(value, found, Budget(), pieces))
    noted: list[str] = []
    assert ("".join(pieces), found) == (decode_words(value, noted), noted)
    assert steps > 0
