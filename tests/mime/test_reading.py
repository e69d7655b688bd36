"""Texts in pieces: cut anywhere they are what they are as a whole, and what Python's codecs make of them."""

from __future__ import annotations

import codecs
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.mime import reading
from fastsmtp.mime._unicode import weigh_utf8
from fastsmtp.mime.charset import decode_charset, readings
from fastsmtp.mime.labels import CODEC_OF_KEY
from fastsmtp.mime.reading import Reading, open_decoder, read, read_pieces


def in_pieces(octets: bytes, chosen: Reading, cuts: list[int]) -> str:
    decoder = open_decoder(chosen)
    edges = [0, *sorted(cut % (len(octets) + 1) for cut in cuts), len(octets)]
    pieces = [octets[start:end] for start, end in itertools.pairwise(edges)]
    return "".join(decoder.decode(piece, index == len(pieces) - 1) for index, piece in enumerate(pieces))


def without_surrogates(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


CUTS = st.lists(st.integers(0, 40), max_size=6)
# What means something to each, whole and cut off.
UNITS = {
    "utf-7": [b"+", b"-", b"A", b"2AA", b"3AA", b"2AD", b"x", b" ", b"\xff", b"AGE", b"/", b"+-"],
    "utf-16-be": [b"\xd8", b"\xdc", b"\0", b"a", b"\xff", b"\xd8\0", b"\xdc\0"],
    "utf-16-le": [b"\xd8", b"\xdc", b"\0", b"a", b"\xff", b"\0\xd8", b"\0\xdc"],
    "utf-32-be": [b"\0\0\0a", b"\0\0\xd8\0", b"\xff", b"\0", b"\0\x11\0\0", b"\0\x10\xff\xff"],
    "utf-32-le": [b"a\0\0\0", b"\0\xd8\0\0", b"\xff", b"\0", b"\0\0\x11\0", b"\xff\xff\x10\0"],
}


@pytest.mark.parametrize("codec", UNITS)
@given(data=st.data(), cuts=CUTS)
def test_what_has_no_meaning_is_replaced_as_python_does_it(codec: str, data: st.DataObject, cuts: list[int]) -> None:
    octets = b"".join(data.draw(st.lists(st.sampled_from(UNITS[codec]), max_size=9)))
    assert in_pieces(octets, Reading(codec, True), cuts) == without_surrogates(octets.decode(codec, "replace"))


@given(st.lists(st.sampled_from(UNITS["utf-7"]), max_size=9).map(b"".join))
def test_strict_utf_7_is_python_s_without_surrogates(octets: bytes) -> None:
    expected: str | None
    try:
        expected = octets.decode("utf-7")
        expected.encode()
    except UnicodeError:
        expected = None
    try:
        text = read(octets, Reading("utf-7"))
    except UnicodeDecodeError:
        text = None
    assert text == (None if expected is None else expected.removeprefix("\ufeff"))


@given(
    st.lists(
        st.sampled_from(
            [
                b"\x1b$B",
                b"\x1b$@",
                b"\x1b(B",
                b"\x1b(I",
                b"\x1b",
                b"\x1b$",
                b"F|",
                b"-!",
                b"a",
                b"\x1b$(D",
                b"\x0e",
                b"\x0f",
                b"\n",
            ]
        )
    ).map(b"".join),
    CUTS,
)
def test_iso_2022_jp_with_vendor_characters_is_the_same_at_every_cut(octets: bytes, cuts: list[int]) -> None:
    def decode(cuts: list[int]) -> str | None:
        try:
            return in_pieces(octets, Reading(reading.JIS), cuts)
        except UnicodeDecodeError:
            return None

    assert decode(cuts) == decode([])


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"\x1b$BF|\x1b(B!", "日!"),
        (b"\x1b$@-!\x1b(J\x1b(I1", "①ｱ"),
        (b"\x1b&@\x1b$BF|", "日"),
    ],
)
def test_iso_2022_jp_with_vendor_characters(octets: bytes, text: str) -> None:
    assert read(octets, Reading(reading.JIS)) == text


@pytest.mark.parametrize("octets", [b"\x1b$BF|-\x1b(Bx", b"\x1b$BF|-\x1b(I\x1b(Bx", b"\x1b$BF|\x24\x7e\x1b(Bx"])
def test_half_of_a_character_of_iso_2022_jp_has_no_meaning(octets: bytes) -> None:
    assert read(octets, Reading(reading.JIS, True)) == "日\ufffdx"
    with pytest.raises(UnicodeDecodeError):
        read(octets, Reading(reading.JIS))


SHIFTED: dict[str, tuple[str, bytes, str]] = {
    "whole": ("hz", b"a~~b~{VPND~}c~\nd", "a~b中文cd"),
    "shifted twice": ("hz", b"~{VP~{ND~}~}a", "中文a"),
    "half before a shift back": ("hz", b"~{VPV~}a", "中\ufffda"),
    "a tilde for the second half": ("hz", b"~{V~VP~}", "筑中"),
    "a tilde at the end": ("hz", b"~{VPV~", "中筑"),
    "line without a shift back": ("hz", b"~{VP\nab", "中\nab"),
    "half before the line end": ("hz", b"~{VPN\nab", "中\ufffd\nab"),
    "an octet for half of a character": ("hz", b"~{V\xd0ND~}", "\ufffd文"),
    "octets between characters": ("hz", b"\xe9~{VP\xff ND~}", "\ufffd中\ufffd 文"),
    "rows without a character": ("hz", b"~{VP*!}!ND~}", "中\ufffd\ufffd文"),
    "a sign of nothing": ("hz", b"~x~{~~VP~}~", "\ufffdx\ufffd\ufffd中\ufffd"),
    "korean": ("iso2022_kr", b"\x1b$)Ca\x0eGQ19\x0fb", "a한국b"),
    "korean, line without a shift back": ("iso2022_kr", b"\x1b$)C\x0eGQ\nab", "한\nab"),
    "korean, half before the line end": ("iso2022_kr", b"\x1b$)C\x0eGQ1\nab", "한\ufffd\nab"),
    "korean, half before a shift": ("iso2022_kr", b"\x1b$)C\x0eGQ1\x0fab", "한\ufffdab"),
    "korean, an octet for half of a character": ("iso2022_kr", b"\x1b$)C\x0eG\xd119\x0f", "\ufffd국"),
    "korean, octets between characters": ("iso2022_kr", b"\xe9\x1b$)C\x0eGQ\xff 19\x0f", "\ufffd한\ufffd 국"),
    "korean, rows without a character": ("iso2022_kr", b"\x1b$)C\x0eGQ~!19\x0f", "한\ufffd국"),
    "korean, another escape sequence": ("iso2022_kr", b"\x1b$)C\x1b(B\x0eGQ\x1b$", "\x1b(B한\x1b\ufffd"),
    "japanese, an octet for half of a character": (reading.JIS, b"\x1b$BF\xfcK\\\x1b(B", "\ufffd本"),
    "japanese, octets between characters": (
        reading.JIS,
        b"\xe9\x1b$BF|\xff K\\\x1b(B\xe9\xe1",
        "\ufffd日\ufffd 本\ufffd\ufffd",
    ),
    "japanese, an escape sequence of nothing": (reading.JIS, b"\x1b$BF|\x1b$Xb\x1b", "日\ufffd$Xb\ufffd"),
    "japanese, octets among katakana": (reading.JIS, b"\x1b(I1\xb2\x1b(B", "ｱ\ufffd"),
}


@pytest.mark.parametrize(("codec", "octets", "text"), SHIFTED.values(), ids=SHIFTED)
def test_what_has_no_meaning_within_shifts_is_replaced(codec: str, octets: bytes, text: str) -> None:
    for size in (len(octets), 1, 2, 3, 7):
        assert "".join(read_pieces(octets, Reading(codec, True), size)) == text, size


PIECES = st.lists(
    st.one_of(
        st.binary(max_size=3),
        st.sampled_from(["é€😀", "日本", "Ж", "\ufeff", "가"]).map(str.encode),
        st.sampled_from([b"\x1b$BF|\x1b(B", b"~{VP~}", b"\x0e0!\x0f", b"+AGE-", b"\0a", b"\xff\xfe", b"\xfe\xff"]),
    ),
    max_size=8,
).map(b"".join)


@given(PIECES, st.one_of(st.none(), st.just("no-such"), st.sampled_from(sorted(CODEC_OF_KEY))), st.integers(1, 5))
def test_a_long_text_is_the_same_in_pieces(octets: bytes, label: str | None, size: int) -> None:
    for chosen in filter(None, readings(octets, label)):
        try:
            text = "".join(read_pieces(octets, chosen, size))
        except UnicodeDecodeError:
            continue
        assert (text, list(chosen.defects)) == (decode_charset(octets, label, noted := []), noted)
        return
    raise AssertionError("no reading takes the octets")


@given(PIECES)
def test_weighing_counts_what_python_decodes(octets: bytes) -> None:
    """But for surrogates, and for a character that the end cuts off."""
    octets = octets.replace(b"\xed", b"\xee")
    text = octets.decode("utf-8", "ignore")
    lost = octets.decode("utf-8", "replace").count("\ufffd") - text.count("\ufffd")
    characters = len(text) - len(text.encode("ascii", "ignore"))
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(octets)
    assert weigh_utf8(octets) == (characters + (len(decoder.getstate()[0]) > 1), lost)


@given(st.text(max_size=10), CUTS)
def test_pairs_of_surrogates_are_characters(text: str, cuts: list[int]) -> None:
    octets = text.encode("utf-8", "surrogatepass")
    units = text.encode("utf-16-le", "surrogatepass")
    cesu = b"".join(
        units[at : at + 2].decode("utf-16-le", "surrogatepass").encode("utf-8", "surrogatepass")
        for at in range(0, len(units), 2)
    )
    expected = octets.decode("utf-8", "replace")
    assert in_pieces(cesu, Reading(reading.CESU_8, True), cuts) == expected
    assert in_pieces(octets, Reading(reading.CESU_8, True), cuts) == expected


VENDOR_UNITS = [
    b"a", b"<", b"\x80", b"\x81", b"\x8e", b"\x8f", b"\xa1", b"\xa3\xe1", b"\xad\xa1", b"\xfc\xe2", b"\xff", b"0",
    b"\x87\x40", b"\xed\x40", b"\x88\x62", b"\x30\x81\x30", b"\x8f\xb0\xa1", b"\x7f",
]  # fmt: skip


@pytest.mark.parametrize("codec", sorted(reading.EXTENDED))
@given(octets=st.lists(st.sampled_from(VENDOR_UNITS), max_size=9).map(b"".join), cuts=CUTS)
def test_charsets_of_vendors(codec: str, octets: bytes, cuts: list[int]) -> None:
    """The same at every cut, and what Python's codec knows is what it is there."""
    text = in_pieces(octets, Reading(reading.extended(codec), True), [])
    assert in_pieces(octets, Reading(reading.extended(codec), True), cuts) == text
    try:
        strict = read(octets, Reading(reading.extended(codec)))
    except UnicodeDecodeError:
        assert "\ufffd" in text
    else:
        assert strict == text
    try:
        known = octets.decode(codec)
    except UnicodeDecodeError:
        return
    assert text == known
