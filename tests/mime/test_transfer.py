"""Transfer encodings: every case whole, octet by octet and at random splits, and against the slow oracles."""

from __future__ import annotations

import base64
import binascii
import itertools
import quopri
from collections.abc import Callable, Iterable
from typing import Protocol

import pytest
import reference_transfer as reference
from hypothesis import example, given
from hypothesis import strategies as st

from fastsmtp.mime._base64 import Base64Decoder, Base64Encoder, Base64Text
from fastsmtp.mime._quoted_printable import IdentityDecoder, QuotedPrintableDecoder
from fastsmtp.mime.transfer import TransferDecoder, UUDecoder, is_base64, transfer_decoder

INVALID = "invalid-base64"
UNPADDED = "missing-base64-padding"

Split = Callable[[int], Iterable[tuple[int, int]]]


class Feeds(Protocol):
    def feed(self, buf: bytearray | bytes, start: int, end: int) -> bytes | None: ...


def pieces(size: int) -> Split:
    """Slices of `size` octets."""
    return lambda length: [(at, min(at + size, length)) for at in range(0, length, size)]


def cuts(places: list[int]) -> Split:
    """Slices between `places`, empty ones included."""

    def split(length: int) -> list[tuple[int, int]]:
        at = [0, *sorted(place % (length + 1) for place in places), length]
        return list(itertools.pairwise(at))

    return split


def feed(decoder: Feeds, body: bytes, split: Split) -> bytes:
    """Feed `body` in slices of one shared buffer that is overwritten after each, as the server does."""
    decoded = []
    for start, end in split(len(body)):
        buf = bytearray(b"#=") + body[start:end] + b"=#"
        decoded.append(decoder.feed(buf, 2, 2 + end - start) or b"")
        buf[:] = b"\xff" * len(buf)
    return b"".join(decoded)


def decode(make: Callable[[list[str]], TransferDecoder], body: bytes, split: Split) -> tuple[bytes, list[str]]:
    defects: list[str] = []
    decoder = make(defects)
    decoded = feed(decoder, body, split) + decoder.close()
    return decoded, sorted(defects)


def join(body: bytes, split: Split, *, quoted: bool = False, size_hint: int = 0) -> tuple[bytes, int, list[str]]:
    text = Base64Text(quoted=quoted, size_hint=size_hint)
    feed(text, body, split)
    content, size, defects = text.finish()
    return content, size, sorted(defects)


SPLITS = [pytest.param(pieces(size), id=name) for name, size in (("whole", 1 << 30), ("octets", 1), ("sevens", 7))]

LINE = b"QUJD" * 19

BASE64 = {
    "empty": (b"", b"", []),
    "one-line": (b"QUJD", b"ABC", []),
    "padded-once": (b"QUI=", b"AB", []),
    "padded-twice": (b"QQ==\r\n", b"A", []),
    "lines": (b"QU\r\nJD\r\n\r\nQU\nJD", b"ABCABC", []),
    "long-lines": ((LINE + b"\r\n") * 3 + b"QQ==", b"ABC" * 57 + b"A", []),
    "shorter-line": (LINE + b"\r\n" + LINE[:72] + b"\r\n" + LINE, b"ABC" * 56, []),
    "bare-cr": (b"QUJD\rQUJD\r", b"ABCABC", []),
    "blanks": (b"  QUJD \t\r\n\tQU JD\r\n ", b"ABCABC", []),
    "padding-apart": (b"QQ= \r\n =", b"A", []),
    "garbage": (b"Q!U@J\x00D\xff***", b"ABC", [INVALID]),
    "garbage-in-long-line": (LINE + b"!" + LINE + b"\r\n", b"ABC" * 38, [INVALID]),
    "url-safe": (b"-_QUJD", b"ABC", [INVALID]),
    "unpadded-1": (b"QQ", b"A", [UNPADDED]),
    "unpadded-2": (b"QUI", b"AB", [UNPADDED]),
    "half-padded": (b"QQ=", b"A", [UNPADDED]),
    "six-bits": (b"QUJDQ", b"ABC", [INVALID]),
    "surplus-bits": (b"QR==", b"A", [INVALID]),
    "surplus-bits-unpadded": (b"QUJ", b"AB", [INVALID, UNPADDED]),
    "padding-at-start": (b"=QUJD", b"ABC", [INVALID]),
    "padding-inside-quad": (b"QU=JD", b"ABC", [INVALID]),
    "padding-too-long": (b"QQ====\r\n=", b"A", [INVALID]),
    "concatenated": (b"QQ==\r\nQUJD\r\nQUI=\r\n", b"AABCAB", [INVALID]),
    "concatenated-in-line": (b"QQ==QQ==", b"AA", [INVALID]),
    "concatenated-long": (b"QQ==\r\n" + LINE[:70] + b"\r\n" + LINE[70:] + b"\r\n", b"A" + b"ABC" * 19, [INVALID]),
    "concatenated-then-unpadded": (b"QQ==\r\nQUJD\r\nQQ", b"AABCA", [INVALID, UNPADDED]),
    "footer": (b"QQ==\r\n-- \r\nlist footer\r\n", b"A", [INVALID]),
    "footer-of-words": (b"QQ==\r\n\r\nSent from here\r\nQUJD", b"A", [INVALID]),
    "footer-of-one-word": (b"QUI=\r\nThanks\r\n", b"AB", [INVALID]),
    "footer-with-padding": (b"QQ==\r\nfoo=bar\r\n", b"A", [INVALID]),
}


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("body", "octets", "defects"), BASE64.values(), ids=BASE64)
def test_base64(body: bytes, octets: bytes, defects: list[str], split: Split) -> None:
    assert decode(Base64Decoder, body, split) == (octets, defects)
    assert join(body, split) == (base64.b64encode(octets), len(octets), defects)
    assert reference.decode_base64(body) == (octets, defects)


BASE64_TOKENS = st.one_of(
    st.sampled_from([b"=", b"==", b"\r\n", b"\n", b"\r", b" ", b"\t", b"!", b"-", b"\0", b"A", b"QR", b"list footer"]),
    st.binary(max_size=6),
    st.binary(max_size=150).map(base64.b64encode),
    st.binary(max_size=150).map(base64.encodebytes),
    st.integers(0, 90).map(lambda size: b"x" * size),
)
PLACES = st.lists(st.integers(0, 10_000), max_size=12)


@given(st.lists(BASE64_TOKENS, max_size=12).map(b"".join), PLACES)
@example(b"QQ==" + b"x" * 59, [10])
@example(b"QQ==" + b"QUI=" * 15 + b"QUJD", [10])
def test_base64_agrees_with_the_oracle(body: bytes, places: list[int]) -> None:
    octets, defects = reference.decode_base64(body)
    assert decode(Base64Decoder, body, cuts(places)) == (octets, defects)
    assert join(body, cuts(places)) == (base64.b64encode(octets), len(octets), defects)


@given(st.binary(max_size=2000), st.integers(1, 100), st.sampled_from([b"\r\n", b"\n"]), PLACES)
def test_base64_of_any_width_comes_back(octets: bytes, width: int, line_end: bytes, places: list[int]) -> None:
    text = base64.b64encode(octets)
    body = b"".join(text[at : at + width] + line_end for at in range(0, len(text), width))
    assert decode(Base64Decoder, body, cuts(places)) == (octets, [])
    assert join(body, cuts(places)) == (text, len(octets), [])


@pytest.mark.parametrize("size", [1, 1000, 65536, 262144, 1 << 30])
@pytest.mark.parametrize("junk", [b"", b"*", b"QQ==\r\n"], ids=["clean", "garbage", "concatenated"])
def test_base64_larger_than_a_block(size: int, junk: bytes) -> None:
    octets = bytes(range(256)) * (40 if size == 1 else 1200)
    body = junk + base64.encodebytes(octets).replace(b"\n", b"\r\n")
    octets = b"A" * junk.startswith(b"Q") + octets
    defects = [INVALID] if junk else []
    assert decode(Base64Decoder, body, pieces(size)) == (octets, defects)
    assert join(body, pieces(size)) == (base64.b64encode(octets), len(octets), defects)


def test_base64_is_decoded_in_blocks() -> None:
    body = bytearray(b"QUJD" * 12288)
    decoder = Base64Decoder([])
    assert decoder.feed(body, 0, len(body) - 1) == b""
    assert decoder.feed(body, len(body) - 1, len(body)) == b"ABC" * 12288
    assert decoder.close() == b""


@pytest.mark.parametrize("size_hint", [-1, 0, 4, 100_000])
def test_text_in_quotes(size_hint: int) -> None:
    body = base64.encodebytes(b"octets" * 1000)
    expected = b'"' + base64.b64encode(b"octets" * 1000) + b'"'
    assert join(body, pieces(50), quoted=True, size_hint=size_hint) == (expected, 6000, [])
    assert join(b"QQ==\r\nQUI=", pieces(1), quoted=True, size_hint=size_hint) == (b'"QUFC"', 3, [INVALID])
    assert join(b"", pieces(1), quoted=True, size_hint=size_hint) == (b'""', 0, [])


@given(st.binary(max_size=1000), PLACES, st.booleans())
def test_encoder(octets: bytes, places: list[int], quoted: bool) -> None:
    encoder = Base64Encoder(quoted=quoted)
    feed(encoder, octets, cuts(places))
    quote = b'"' if quoted else b""
    assert encoder.finish() == (quote + base64.b64encode(octets) + quote, len(octets))


def test_encoder_with_more_than_a_block() -> None:
    octets = bytes(range(256)) * 1200
    encoder = Base64Encoder(size_hint=1000)
    encoder.feed(octets, 0, 1)
    encoder.feed(octets, 1, len(octets))
    assert encoder.finish() == (base64.b64encode(octets), len(octets))


@pytest.mark.parametrize("make", [Base64Text, Base64Encoder])
def test_finished_is_finished(make: type[Base64Text | Base64Encoder]) -> None:
    text = make()
    text.finish()
    with pytest.raises(ValueError, match="handed out already"):
        text.finish()
    with pytest.raises(ValueError, match="handed out already"):
        text.feed(b"QUJD", 0, 4)


BAD_QP = ["invalid-quoted-printable"]
BLANKS = b" \t" * 499  # as many as are dropped

QUOTED_PRINTABLE = {
    "empty": (b"", b"", []),
    "plain": (b"plain\r\ntext", b"plain\r\ntext", []),
    "escapes": (b"=41=3D=0D=0a=fF", b"A=\r\n\xff", []),
    "mixed-case": (b"=e4=Fc=fC", b"\xe4\xfc\xfc", []),
    "soft-break": (b"a=\r\nb=\nc", b"abc", []),
    "soft-break-blanks": (b"a= \t\r\nb=\t\nc", b"abc", []),
    "soft-break-at-end": (b"a=", b"a", []),
    "soft-break-blanks-at-end": (b"a= \t", b"a", []),
    "soft-break-cr-at-end": (b"a=\r", b"a", []),
    "blanks-before-soft-break": (b"a =\r\n =\r\nb", b"a  b", []),
    "trailing-blanks": (b"a \r\nb\t \n \r\nc =20\r\n", b"a\r\nb\n\r\nc  \r\n", []),
    "trailing-blanks-at-end": (b"a \t", b"a", []),
    "trailing-blanks-cr-at-end": (b"a \r", b"a\r", []),
    "trailing-blanks-after-escape": (b"=41 \r\n=4 \r\n", b"A\r\n=4\r\n", BAD_QP),
    "blanks-inside": (b"a  b \t c", b"a  b \t c", []),
    "most-blanks": (b"a" + BLANKS + b"\r\nb" + BLANKS, b"a\r\nb", []),
    "too-many-blanks": (b"a" + BLANKS + b" \r\nb" + BLANKS + b" ", b"a" + BLANKS + b" \r\nb" + BLANKS + b" ", []),
    "most-blanks-in-soft-break": (b"a=" + BLANKS + b"\r\nb", b"ab", []),
    "too-many-blanks-in-soft-break": (b"a=" + BLANKS + b" \r\nb", b"a=" + BLANKS + b" \r\nb", BAD_QP),
    "bare-cr": (b"a\rb \r c\r\r\n", b"a\rb \r c\r\r\n", []),
    "bare-cr-after-escape": (b"a=\rb=\r\r\r\n= \rc=\r\rd", b"a=\rb=\r\r\r\n= \rc=\r\rd", BAD_QP),
    "soft-break-cr-doubled": (b"a=\r\r\nb= \t\r\r\nc=\r\r", b"abc", []),
    "8-bit": (b"\xc3\xbc\x00\xff", b"\xc3\xbc\x00\xff", []),
    "no-digits": (b"=XY =4Z ==41 =\x00", b"=XY =4Z =A =\x00", BAD_QP),
    "equals-and-blank": (b"a = b =  c", b"a = b =  c", BAD_QP),
    "equals-twice": (b"a==\r\nb", b"a=b", BAD_QP),
    "cut-escape": (b"a=4", b"a=4", BAD_QP),
    "cut-escape-before-line-end": (b"a=4\r\nb=\r\n", b"a=4\r\nb", BAD_QP),
    "long": (
        b"=C3=BCber lang und breit " * 50 + b"\r\n",
        "über lang und breit ".encode() * 49 + "über lang und breit\r\n".encode(),
        [],
    ),
}


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("body", "octets", "defects"), QUOTED_PRINTABLE.values(), ids=QUOTED_PRINTABLE)
def test_quoted_printable(body: bytes, octets: bytes, defects: list[str], split: Split) -> None:
    assert decode(QuotedPrintableDecoder, body, split) == (octets, defects)
    assert reference.decode_quoted_printable(body) == (octets, defects)


@pytest.mark.parametrize(("body", "octets", "defects"), QUOTED_PRINTABLE.values(), ids=QUOTED_PRINTABLE)
def test_quoted_printable_cut_at_each_place(body: bytes, octets: bytes, defects: list[str]) -> None:
    for place in range(len(body)):
        assert decode(QuotedPrintableDecoder, body, cuts([place])) == (octets, defects)


QP_TOKENS = st.one_of(
    st.sampled_from([b"=", b"==", b"\r\n", b"\n", b"\r", b" ", b"\t", b"4", b"4a", b"=3D", b"=\r\n", b"= \r\n", b"=4"]),
    st.binary(max_size=40),
    st.binary(max_size=90).map(quopri.encodestring),
    st.integers(990, 1005).map(lambda size: b" " * size),
    st.text("abc =", max_size=60).map(str.encode),
)


@given(st.lists(QP_TOKENS, max_size=15).map(b"".join), PLACES)
def test_quoted_printable_agrees_with_the_oracle(body: bytes, places: list[int]) -> None:
    assert decode(QuotedPrintableDecoder, body, cuts(places)) == reference.decode_quoted_printable(body)


@given(st.binary(max_size=500), PLACES)
def test_quoted_printable_comes_back(octets: bytes, places: list[int]) -> None:
    body = quopri.encodestring(octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    assert decode(QuotedPrintableDecoder, body, cuts(places)) == (quopri.decodestring(body), [])


@given(st.binary(max_size=100), PLACES)
def test_identity(octets: bytes, places: list[int]) -> None:
    assert decode(IdentityDecoder, octets, cuts(places)) == (octets, [])


MAKERS: list[Callable[[], Feeds]] = [
    Base64Text,
    Base64Encoder,
    lambda: Base64Decoder([]),
    lambda: QuotedPrintableDecoder([]),
    lambda: IdentityDecoder([]),
]


@pytest.mark.parametrize("make", MAKERS, ids=["text", "encoder", "base64", "quoted-printable", "identity"])
def test_slices_outside_of_the_buffer(make: Callable[[], Feeds]) -> None:
    decoder = make()
    for start, end in ((-1, 2), (0, 5), (3, 2), (5, 5), (-5, -2)):
        with pytest.raises(ValueError, match="is not inside a buffer of 4"):
            decoder.feed(b"QUJD", start, end)
    with pytest.raises(TypeError, match="bytearray or bytes expected, not memoryview"):
        decoder.feed(memoryview(b"QUJD"), 0, 4)  # type: ignore[arg-type]


ENCODINGS: dict[str, tuple[type, list[str]]] = {
    "": (IdentityDecoder, []),
    "7bit": (IdentityDecoder, []),
    "8 bit": (IdentityDecoder, ["invalid-transfer-encoding"]),
    "8-bit; charset=utf-8": (IdentityDecoder, ["invalid-transfer-encoding"]),
    "BINARY": (IdentityDecoder, []),
    "7bit (none)": (IdentityDecoder, []),
    "base64": (Base64Decoder, []),
    "Base64;": (Base64Decoder, ["invalid-transfer-encoding"]),
    '"base64"': (Base64Decoder, ["invalid-transfer-encoding"]),
    "(a comment) base64 (comment)": (Base64Decoder, []),
    "quoted-printable": (QuotedPrintableDecoder, []),
    "quoted-printable d": (QuotedPrintableDecoder, ["invalid-transfer-encoding"]),
    "Base64 MIME-Version: 1.0": (Base64Decoder, ["invalid-transfer-encoding"]),
    "7bit or 8bit": (IdentityDecoder, ["invalid-transfer-encoding"]),
    "<base64>": (Base64Decoder, ["invalid-transfer-encoding"]),
    "base 64": (Base64Decoder, ["invalid-transfer-encoding"]),
    "none of these": (IdentityDecoder, ["unknown-transfer-encoding"]),
    " Quoted_Printable": (QuotedPrintableDecoder, ["invalid-transfer-encoding"]),
    "quoted printable": (QuotedPrintableDecoder, ["invalid-transfer-encoding"]),
    "x-uuencode": (UUDecoder, []),
    "uuencode": (UUDecoder, ["invalid-transfer-encoding"]),
    "X-UUE": (UUDecoder, []),
    "x-strange": (IdentityDecoder, ["unknown-transfer-encoding"]),
    "base64 x": (Base64Decoder, ["invalid-transfer-encoding"]),
    "base64 (x) (y)\t": (Base64Decoder, []),
    "Quoted-Printable": (QuotedPrintableDecoder, []),
    "x-strange y": (IdentityDecoder, ["unknown-transfer-encoding"]),
    "((": (IdentityDecoder, ["unknown-transfer-encoding"]),
}


@pytest.mark.parametrize(("encoding", "expected"), ENCODINGS.items(), ids=map(repr, ENCODINGS))
def test_transfer_decoder(encoding: str, expected: tuple[type, list[str]]) -> None:
    defects: list[str] = []
    decoder = transfer_decoder(encoding, defects)
    assert (type(decoder), defects) == expected
    assert decoder.defects is defects
    assert is_base64(encoding) == (expected[0] is Base64Decoder)


def test_defects_are_noted_once() -> None:
    defects = [INVALID]
    decoder = transfer_decoder("base64", defects)
    assert decoder.feed(b"!QUJD", 0, 5) + decoder.close() == b"ABC"
    assert defects == [INVALID]


def uuencode(octets: bytes, line_end: bytes) -> bytes:
    lines = [binascii.b2a_uu(octets[at : at + 45]).rstrip(b"\n") for at in range(0, len(octets), 45)]
    return line_end.join([b"begin 644 name.bin", *lines, b"`", b"end", b""])


BAD_UU = ["invalid-uuencode"]
UU_LINE = b"#0V%T"

UUENCODE = {
    "empty": (b"", b"", BAD_UU),
    "whole": (b"begin 600 cat.txt\r\n" + UU_LINE + b"\r\n`\r\nend\r\n", b"Cat", []),
    "text-around": (b"Hello,\n\nbegin 644 x\n" + UU_LINE + b"\n \nend\nbye\n" + UU_LINE, b"Cat", []),
    "no-begin": (UU_LINE + b"\n`\nend", b"Cat", BAD_UU),
    "no-end": (b"begin 644 x\n" + UU_LINE, b"Cat", BAD_UU),
    "lost-blanks": (b"begin 644 x\n$0V%T\n`\nend", b"Cat\0", []),
    "checksum": (b"begin 644 x\n" + UU_LINE + b"A\n`\nend", b"Cat", []),
    "surplus-bits": (b"begin 644 x\n!0___\n`\nend", b"C", []),
    "bad-characters": (b"begin 644 x\n#\x10v%T\n`\nend", b"\xc1at", BAD_UU),
    "long-line": (b"begin 644 x\n" + UU_LINE + b"z" * 1000 + b"\nend", b"Cat", BAD_UU),
}


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(("body", "octets", "defects"), UUENCODE.values(), ids=UUENCODE)
def test_uuencode(body: bytes, octets: bytes, defects: list[str], split: Split) -> None:
    assert decode(UUDecoder, body, split) == (octets, defects)


@given(st.binary(min_size=1, max_size=200), st.sampled_from([b"\r\n", b"\n"]), PLACES)
def test_uuencode_comes_back(octets: bytes, line_end: bytes, places: list[int]) -> None:
    assert decode(UUDecoder, uuencode(octets, line_end), cuts(places)) == (octets, [])


@given(st.lists(st.one_of(st.binary(max_size=150), st.sampled_from([b"begin 644 x\n", b"\n", b"end"]))), PLACES)
def test_uuencode_never_raises_and_does_not_depend_on_splits(tokens: list[bytes], places: list[int]) -> None:
    body = b"".join(tokens)
    assert decode(UUDecoder, body, cuts(places)) == decode(UUDecoder, body, pieces(1))
