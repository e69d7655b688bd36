"""`_parse` against slow, plain oracles: whatever the octets and wherever the chunks are cut."""

from __future__ import annotations

import itertools
import re

import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from reference import DataDecoder as ReferenceDecoder

from fastsmtp._parse import DataDecoder, find_delimiter, find_header_end, take_line, usual_argument

HEADROOM = 3
# The octets that mean something to mail data, and one that does not.
OCTETS = b".\r\n\0a-"


def decode(decoder: DataDecoder | ReferenceDecoder, chunks: list[bytes]) -> tuple[bytes, bytes | None]:
    """Mail data and what follows its end; None when it has not ended."""
    decoded = bytearray()
    for index, chunk in enumerate(chunks):
        buf = bytearray(HEADROOM) + chunk
        out_start, out_end, next_start, done = decoder.feed(buf, HEADROOM, len(buf))
        decoded += buf[out_start:out_end]
        if done:
            return bytes(decoded), bytes(buf[next_start:]) + b"".join(chunks[index + 1 :])
        assert next_start == len(buf)
    return bytes(decoded), None


def cut(octets: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(octets) + 1) for cut in cuts), len(octets)]
    return [octets[a:b] for a, b in itertools.pairwise(edges)]


DATA = [
    (b".\r\n", b"", b""),
    (b".\r\nQUIT\r\n", b"", b"QUIT\r\n"),
    (b"a\r\n.\r\n", b"a\r\n", b""),
    (b"a\r\n..\r\n.\r\n", b"a\r\n.\r\n", b""),
    (b"..a\r\n.b\r\n.\r\n", b".a\r\nb\r\n", b""),
    (b".\ra\r\n.\r\n", b"\ra\r\n", b""),
    (b".\r\r\n.\r\n", b"\r\r\n", b""),
    (b".\r.\r\n.\r\n", b"\r.\r\n", b""),
    (b"..\r\n.\r\n", b".\r\n", b""),
    (b"a\n.\r\n.\r\n", b"a\n.\r\n", b""),
    (b"a\r.\r\n.\r\n", b"a\r.\r\n", b""),
    (b"a\r\n.\n.\r\n.\r\n", b"a\r\n\n.\r\n", b""),
    (b"a\r\n.\0\r\n.\r\n", b"a\r\n\0\r\n", b""),
    (b"a\n\r\n.\r\n", b"a\n\r\n", b""),
    (b"a\r\r\n.\r\n", b"a\r\r\n", b""),
    (b"a.\r\n.b.\r\n.\r\n", b"a.\r\nb.\r\n", b""),
]


@pytest.mark.parametrize(("octets", "body", "rest"), DATA, ids=[repr(row[0]) for row in DATA])
def test_mail_data_is_decoded_the_same_at_every_cut(octets: bytes, body: bytes, rest: bytes) -> None:
    for first, second in itertools.combinations_with_replacement(range(len(octets) + 1), 2):
        chunks = cut(octets, [first, second])
        assert decode(DataDecoder(), chunks) == (body, rest), chunks
    assert decode(DataDecoder(), [octets[i : i + 1] for i in range(len(octets))]) == (body, rest)


@given(st.lists(st.sampled_from(OCTETS), max_size=40).map(bytes), st.lists(st.integers(0, 40), max_size=6))
def test_mail_data_agrees_with_the_reference(octets: bytes, cuts: list[int]) -> None:
    assert decode(DataDecoder(), cut(octets, cuts)) == decode(ReferenceDecoder(), [octets])


def test_octets_before_the_chunk_stay_but_for_one() -> None:
    decoder = DataDecoder()
    buf = bytearray(b"xyz.\r")
    assert decoder.feed(buf, 3, 5) == (3, 3, 5, False)
    buf = bytearray(b"xyzA")
    assert decoder.feed(buf, 3, 4) == (2, 4, 4, False)
    assert buf == b"xy\rA"


@pytest.mark.parametrize(("start", "end"), [(0, 2), (-1, 2), (2, 1), (1, 4)])
def test_chunk_outside_of_the_buffer_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match=r"chunk outside of the buffer|no headroom before the chunk"):
        DataDecoder().feed(bytearray(3), start, end)


DELIMITERS = {b"b": "opening", b"b--": "closing", b"": "of nothing"}


def strip_break(octets: bytes) -> bytes:
    for line_break in (b"\r\n", b"\n", b"\r"):
        if octets.endswith(line_break):
            return octets[: -len(line_break)]
    return octets


def delimiter_of(line: bytes) -> str | None:
    return DELIMITERS.get(line[2:].rstrip(b" \t\r\n")) if line.startswith(b"--") else None


def oracle_delimiter(octets: bytes, at_line_start: bool) -> tuple[int, int, str | None]:
    position = 0
    lines = re.findall(rb"[^\n]*\n|[^\n]+", octets)
    for index, line in enumerate(lines):
        opens_line = index > 0 or at_line_start
        before = len(strip_break(octets[:position]))
        if opens_line and line == b"-":
            return before, -1, None
        if opens_line and line.startswith(b"--"):
            if not line.endswith(b"\n"):
                return before, position, None
            if delimiter_of(line) is not None:
                return before, position + len(line), delimiter_of(line)
        position += len(line)
    return len(strip_break(octets)), -1, None


@given(
    st.lists(st.sampled_from([b"-", b"--b", b"--", b"\r", b"\n", b"a", b" "]), max_size=12).map(b"".join),
    st.booleans(),
    st.integers(0, 3),
)
def test_delimiters_are_found_where_the_oracle_finds_them(octets: bytes, at_line_start: bool, headroom: int) -> None:
    body_end, line, delimiter = oracle_delimiter(octets, at_line_start)
    buf = bytearray(b"\n" * headroom) + octets
    found = find_delimiter(buf, headroom, len(buf), at_line_start, DELIMITERS)
    assert found == (body_end + headroom, line + headroom if line >= 0 else -1, delimiter)


def oracle_header_end(octets: bytes, stop_at_dashes: bool) -> tuple[int, int, str | None]:
    position = 0
    for line in re.findall(rb"[^\n]*\n|[^\n]+", octets):
        if not line.endswith(b"\n"):
            break
        is_field = re.match(rb"[^ \t\r\n:]*[ \t]*:(?!//)", line) is not None
        ends = not line.strip(b"\r\n") or (stop_at_dashes and line.startswith(b"--") and not is_field)
        if ends or delimiter_of(line) is not None:
            return position, position + len(line), delimiter_of(line)
        position += len(line)
    return -1, position, None


HEADER_LINES = [
    b"\r\n",
    b"\n",
    b"\r",
    b"a: b\r\n",
    b" c\n",
    b"--b\n",
    b"--x:\n",
    b"--x://\n",
    b"--x :\n",
    b"--x\n",
    b"--",
]


@given(st.lists(st.sampled_from(HEADER_LINES), max_size=9).map(b"".join), st.booleans())
def test_a_header_ends_where_the_oracle_says(octets: bytes, stop_at_dashes: bool) -> None:
    found = find_header_end(bytearray(octets), 0, len(octets), DELIMITERS, stop_at_dashes)
    assert found == oracle_header_end(octets, stop_at_dashes)


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 1), (0, 7)])
def test_lines_outside_of_the_buffer(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="chunk outside of the buffer"):
        find_delimiter(bytearray(6), start, end, True, DELIMITERS)
    with pytest.raises(ValueError, match="chunk outside of the buffer"):
        find_header_end(bytearray(6), start, end, DELIMITERS, True)


@given(st.lists(st.sampled_from([b"NOOP", b"\r\n", b"\r", b"\n", b"\0", b"\xc3\xbc", b" x"])).map(b"".join), st.data())
def test_take_line_agrees_with_the_oracle(octets: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(octets)))
    end = data.draw(st.integers(start, len(octets)))
    assert take_line(bytearray(octets), start, end) == reference.take_line(bytearray(octets), start, end)


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 1), (0, 7)])
def test_take_line_outside_of_the_buffer(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="chunk outside of the buffer"):
        take_line(bytearray(b"NOOP\r\n"), start, end)


LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]"
USUAL = re.compile(rf"(?i:FROM):<((?!\.){LOCAL}+@[A-Za-z0-9][A-Za-z0-9.-]*)?>(?: (.*))?", re.DOTALL)
WORDS = [
    "FROM:<",
    "from:<",
    "FRoM",
    "TO:<",
    ":",
    "<",
    ">",
    "> ",
    ".",
    "..",
    "-",
    "@",
    "a",
    "Zz9",
    "~{}",
    "é",
    "😀",
    '"',
]


def check_argument(argument: str) -> None:
    found = USUAL.fullmatch(argument)
    expected = None
    if found is not None and not re.search(r"\.[.@-]|-\.|[.-]\Z", found[1] or ""):
        expected = (found[1] or "", found[2] or "")
    assert usual_argument(argument, "FROM") == expected


@given(st.lists(st.sampled_from(WORDS), max_size=12).map("".join))
def test_any_argument(argument: str) -> None:
    check_argument(argument)
    check_argument(f"FROM:<{argument}>")
    check_argument(f"fROM:<{argument}> {argument}")


def test_every_octet_of_a_path() -> None:
    for character in map(chr, range(0x180)):
        for path in (f"{character}@b", f"a{character}@b", f"a@{character}", f"a@b{character}", f"a@b{character}c"):
            check_argument(f"FROM:<{path}>")
            check_argument(f"FROM:<{path}> SIZE=1")
    for argument in ("", "FROM", "FROM:", "FROM:<", "FROM:<>", "FROM:<> ", "FROM:<>x", "FROM:<a@b", "FROM:<a@b>x"):
        check_argument(argument)
