"""UTF-8 octets as JSON strings, against orjson and Python's decoder."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.capture._json import quote

# The borders of every length of sequence, and what lies just outside of them (RFC 3629 section 4).
SEQUENCES = {
    "controls": (bytes(range(0x20)), True),
    "quote, backslash, DEL": (b'"\\\x7f', True),
    "first of two": (b"\xc2\x80", True),
    "last of two": (b"\xdf\xbf", True),
    "first of three": (b"\xe0\xa0\x80", True),
    "before the surrogates": (b"\xed\x9f\xbf", True),
    "behind the surrogates": (b"\xee\x80\x80", True),
    "last of three": (b"\xef\xbf\xbf", True),
    "first of four": (b"\xf0\x90\x80\x80", True),
    "last of four": (b"\xf4\x8f\xbf\xbf", True),
    "continuation alone": (b"\x80", False),
    "two for one": (b"\xc1\xbf", False),
    "three for two": (b"\xe0\x9f\xbf", False),
    "four for three": (b"\xf0\x8f\xbf\xbf", False),
    "first surrogate": (b"\xed\xa0\x80", False),
    "beyond Unicode": (b"\xf4\x90\x80\x80", False),
    "no lead": (b"\xf5\x80\x80\x80", False),
    "two cut": (b"\xc3", False),
    "three cut": (b"\xe2\x82", False),
    "four cut": (b"\xf0\x9f\x98", False),
}


@pytest.mark.parametrize("before", [0, 1, 15, 16, 17, 40])
@pytest.mark.parametrize("behind", [0, 1, 16, 40])
@pytest.mark.parametrize(("octets", "valid"), SEQUENCES.values(), ids=SEQUENCES)
def test_sequences(octets: bytes, valid: bool, before: int, behind: int) -> None:
    whole = bytearray(b"a" * before + octets + b"z" * behind)
    assert quote(whole) == (orjson.dumps(whole.decode()) if valid else None)


def test_nothing() -> None:
    assert quote(bytearray()) == b'""'


@pytest.mark.parametrize("octet", [0x00, 0x1F, 0x20, 0x21, 0x22, 0x23, 0x5B, 0x5C, 0x5D, 0x7F])
def test_an_octet_at_every_place(octet: int) -> None:
    for length in range(1, 40):
        for place in range(length):
            octets = bytearray(b"a" * length)
            octets[place] = octet
            assert quote(octets) == orjson.dumps(octets.decode())


PIECES = st.one_of(
    st.sampled_from([b"\r\n", b'"', b"\\", b"\0", b"x" * 17, *(octets for octets, _ in SEQUENCES.values())]),
    st.binary(max_size=3),
    st.text(max_size=8).map(lambda text: text.encode("utf-8", "surrogatepass")),
)


@given(st.lists(PIECES, max_size=8).map(b"".join))
def test_agrees_with_orjson(octets: bytes) -> None:
    try:
        expected = orjson.dumps(octets.decode())
    except UnicodeDecodeError:
        expected = None
    assert quote(bytearray(octets)) == expected
