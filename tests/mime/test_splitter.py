"""The splitter: which parts come out of a message, with which octets, wherever the chunks are cut."""

from __future__ import annotations

import itertools
import random
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_mime import Reader

from fastsmtp.mime import defects, splitter
from fastsmtp.mime.entity import Entity, Role
from fastsmtp.mime.splitter import SLOW_OCTETS, Splitter

HEADROOM = 8


class Parts:
    """A `PartHandler` that keeps everything."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, str, bytes]] = []  # number, media type, body
        self._open: tuple[Entity, bytearray] | None = None

    def on_part_begin(self, entity: Entity) -> None:
        assert self._open is None
        self._open = (entity, bytearray())

    def on_part_bytes(self, buf: bytearray, start: int, end: int) -> None:
        assert self._open is not None
        assert start < end
        self._open[1].extend(buf[start:end])

    def on_part_end(self) -> None:
        assert self._open is not None
        entity, body = self._open
        self.parts.append((entity.number, entity.media_type.value, bytes(body)))
        self._open = None

    def on_part_drop(self) -> None:
        assert self._open is not None
        self._open = None


def split(octets: bytes, *cuts: int, headroom: int = HEADROOM) -> tuple[list[tuple[str, str, bytes]], list[str]]:
    parts = Parts()
    under_test = Splitter(parts)
    edges = [0, *sorted(cuts), len(octets)]
    for begin, end in itertools.pairwise(edges):
        buf = bytearray(b"-" * headroom) + octets[begin:end]
        start = headroom
        while start < len(buf):
            start = under_test.feed(buf, start, len(buf))
    under_test.close()
    assert under_test.message is not None
    return parts.parts, under_test.defects


def crlf(text: str) -> bytes:
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode()


def multipart(boundary: str, body: str, subtype: str = "mixed") -> bytes:
    return crlf(f'Content-Type: multipart/{subtype}; boundary="{boundary}"\n\n{body}')


CASES: dict[str, tuple[bytes, list[tuple[str, str, bytes]], list[str]]] = {
    "plain": (crlf("Subject: x\n\nhello\n"), [("", "text/plain", b"hello\r\n")], []),
    "empty": (b"", [("", "text/plain", b"")], []),
    "header only": (crlf("Subject: x\n"), [("", "text/plain", b"")], []),
    "empty body": (crlf("Subject: x\n\n"), [("", "text/plain", b"")], []),
    "no header": (crlf("\nhello\n"), [("", "text/plain", b"hello\r\n")], []),
    "body from the first line": (
        crlf("just some text\n\nmore\n"),
        [("", "text/plain", b"just some text\r\n\r\nmore\r\n")],
        [defects.INVALID_HEADER_LINE],
    ),
    "line feeds only": (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n--b--\n",
        [("1", "text/plain", b"one"), ("2", "text/plain", b"two")],
        [],
    ),
    "carriage returns doubled": (
        multipart("b", "--b\n\none\n--b\n\nREST--b--\n").replace(b"\r", b"\r\r").replace(b"REST", b"\r\r\r\n"),
        [("1", "text/plain", b"one"), ("2", "text/plain", b"\r")],
        [],
    ),
    "a carriage return before a delimiter": (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\r\n--b--\r\n",
        [("1", "text/plain", b"one\r")],
        [],
    ),
    "text in the header of a part": (
        multipart("b", "--b\nno field\nContent-Type: image/png\n\n\0\n--b\nno field\n\ntwo\n--b--\n"),
        [("1", "image/png", b"\0"), ("2", "text/plain", b"no field\r\n\r\ntwo")],
        [defects.INVALID_HEADER_LINE],
    ),
    "byte order mark in the header of a part": (
        multipart("b", "--b\n\ufeffContent-Type: image/png\n\n\0\n--b--\n"),
        [("1", "image/png", b"\0")],
        [],
    ),
    "two parts": (
        multipart("b", "--b\n\none\n--b\nContent-Type: image/png\n\n\x00\n--b--\n"),
        [("1", "text/plain", b"one"), ("2", "image/png", b"\0")],
        [],
    ),
    "preamble and epilogue": (
        multipart("b", "This is MIME.\n\n--b\n\none\n--b--\n\n--bye\nbye\n"),
        [("1", "text/plain", b"one")],
        [],
    ),
    "closed behind each part": (
        multipart("b", "--b\n\none\n--b--\nbetween\n--b\n\ntwo\n--b--\n\n--b--\nbye\n"),
        [("1", "text/plain", b"one"), ("2", "text/plain", b"two")],
        [defects.EARLY_CLOSING_DELIMITER],
    ),
    "closed before the first part": (
        multipart("b", "preamble\n--b--\nbetween\n--b\n\none\n--b--\n"),
        [("", "text/plain", b"preamble"), ("1", "text/plain", b"one")],
        [defects.EARLY_CLOSING_DELIMITER],
    ),
    "inner one closed behind each part": (
        multipart(
            "o", "--o\n" + multipart("i", "--i\n\n1\n--i--\n--i\n\n2\n--i--\nx\n").decode() + "--o\n\n3\n--o--\n"
        ),
        [("1.1", "text/plain", b"1"), ("1.2", "text/plain", b"2"), ("2", "text/plain", b"3")],
        [defects.EARLY_CLOSING_DELIMITER],
    ),
    "inner one closed, outer one not": (
        multipart("o", "--o\n" + multipart("i", "--i\n\n1\n--i--\nx\n").decode()),
        [("1.1", "text/plain", b"1")],
        [defects.MISSING_CLOSING_DELIMITER],
    ),
    "delimiter for the closing one": (
        multipart("b", "--b\n\none\n--b\n\ntwo\n--b\n"),
        [("1", "text/plain", b"one"), ("2", "text/plain", b"two")],
        [defects.MISSING_CLOSING_DELIMITER],
    ),
    "blank of a fold in the boundary": (
        crlf('Content-Type: multipart/mixed; boundary="b=\n =c"\n\n--b==c\n\none\n--b==c--\nbye\n'),
        [("1", "text/plain", b"one")],
        [],
    ),
    "tab of a fold in the boundary": (
        crlf('Content-Type: multipart/mixed; boundary="b\n\tc"\n\n--b c\n\none\n--b c--\nbye\n'),
        [("1", "text/plain", b"one")],
        [],
    ),
    "blanks in the boundary": (
        multipart("b  c", "--b  c\n\none\n--b  c--\nbye\n"),
        [("1", "text/plain", b"one")],
        [],
    ),
    "blank in the boundary, and an outer one without": (
        multipart("bc", "--bc\n" + multipart("b c", "--b c\n\n1\n--b c--\n").decode() + "--bc\n\n2\n--bc--\n"),
        [("1.1", "text/plain", b"1"), ("2", "text/plain", b"2")],
        [],
    ),
    "two boundaries": (
        crlf(
            "Content-Type: multipart/mixed; boundary=a\nContent-Type: multipart/alternative; boundary=b\n\n"
            "--b\n\none\n--b\n\ntwo\n--b--\nbye\n"
        ),
        [("1", "text/plain", b"one"), ("2", "text/plain", b"two")],
        [defects.DUPLICATE_CONTENT_TYPE],
    ),
    "two boundaries, no empty line": (
        crlf(
            "Content-Type: multipart/mixed; boundary=a\nContent-Type: multipart/mixed; boundary=b\n--b\n\none\n--b--\n"
        ),
        [("1", "text/plain", b"one")],
        [defects.DUPLICATE_CONTENT_TYPE],
    ),
    "line break before the delimiter belongs to it": (
        multipart("b", "--b\n\none\n\n--b\n\n\n--b\n\n--b--\n"),
        [("1", "text/plain", b"one\r\n"), ("2", "text/plain", b""), ("3", "text/plain", b"")],
        [],
    ),
    "part without empty line": (
        multipart("b", "--b\nContent-Type: image/png\n--b\n--b--\n"),
        [("1", "image/png", b""), ("2", "text/plain", b"")],
        [],
    ),
    "no empty line before the first part": (
        crlf("Content-Type: multipart/mixed; boundary=b\n--b\nContent-Type: image/png\n\n1\n--b\n\n2\n--b--\n"),
        [("1", "image/png", b"1"), ("2", "text/plain", b"2")],
        [],
    ),
    "nor between": (
        multipart("a", "--a\nContent-Type: multipart/mixed; boundary=b\nX: y\n--b\n\n1\n--b--\n--a\n\n2\n--a--\n"),
        [("1.1", "text/plain", b"1"), ("2", "text/plain", b"2")],
        [],
    ),
    "text in place of the empty line": (
        crlf("Content-Type: multipart/mixed; boundary=b\nHello\n--b\n\n1\n--b--\n"),
        [("1", "text/plain", b"1")],
        [defects.INVALID_HEADER_LINE],
    ),
    "delimiters before the type is known": (
        crlf("--b\n--b\nContent-Type: multipart/mixed; boundary=b\n--c\n--b\n\n1\n--b--\n"),
        [("1", "text/plain", b"1")],
        [defects.INVALID_HEADER_LINE],
    ),
    "closed in the header": (
        crlf("Content-Type: multipart/mixed; boundary=b\n--b--\nSubject: x\n\nbye\n"),
        [],
        [],
    ),
    "dashes without end": (
        crlf("A: 1\n" + "--\n" * 40 + "B: 2\n\nx\n"),
        [("", "text/plain", crlf("--\n" * 40 + "B: 2\n\nx\n"))],
        [defects.INVALID_HEADER_LINE],
    ),
    "look-alikes are body": (
        multipart("b", "--b\n\n--bx\n--\n-- b\n--b-\n--b--x\n --b\n\n--b--\n"),
        [("1", "text/plain", b"--bx\r\n--\r\n-- b\r\n--b-\r\n--b--x\r\n --b\r\n")],
        [],
    ),
    "blanks behind the delimiter": (
        multipart("b", "--b \t\n\none\n--b-- \n"),
        [("1", "text/plain", b"one")],
        [],
    ),
    "nested": (
        multipart("o", "--o\n" + multipart("i", "--i\n\none\n--i\n\ntwo\n--i--\n").decode() + "--o\n\nthree\n--o--\n"),
        [("1.1", "text/plain", b"one"), ("1.2", "text/plain", b"two"), ("2", "text/plain", b"three")],
        [],
    ),
    "inner boundary begins with the outer": (
        multipart("b", "--b\n" + multipart("b-1", "--b-1\n\none\n--b-1--\n").decode() + "--b--\n"),
        [("1.1", "text/plain", b"one")],
        [],
    ),
    "inner multipart is not closed": (
        multipart("o", "--o\n" + multipart("i", "--i\n\none\n").decode() + "--o\n\ntwo\n--o--\n"),
        [("1.1", "text/plain", b"one"), ("2", "text/plain", b"two")],
        [defects.MISSING_CLOSING_DELIMITER],
    ),
    "nothing is closed": (
        multipart("o", "--o\n" + multipart("i", "--i\n\none\n").decode()),
        [("1.1", "text/plain", b"one\r\n")],
        [defects.MISSING_CLOSING_DELIMITER],
    ),
    "ends in a delimiter without line end": (
        multipart("b", "--b\n\none\n--b--"),
        [("1", "text/plain", b"one")],
        [],
    ),
    "ends in an opening delimiter": (
        multipart("b", "--b\n\none\n--b"),
        [("1", "text/plain", b"one")],
        [defects.MISSING_CLOSING_DELIMITER],
    ),
    "no delimiter at all": (
        multipart("b", "only a preamble\n"),
        [("", "text/plain", b"only a preamble\r\n")],
        [defects.MISSING_CLOSING_DELIMITER],
    ),
    "inner multipart without parts": (
        multipart("o", "--o\n" + multipart("i", "lost?\n").decode() + "--o--\n"),
        [("1", "text/plain", b"lost?")],
        [defects.MISSING_CLOSING_DELIMITER],
    ),
    "no boundary": (
        crlf("Content-Type: multipart/mixed\n\nsome text\n"),
        [("", "multipart/mixed", b"some text\r\n")],
        [defects.MISSING_BOUNDARY],
    ),
    "digest": (
        multipart("b", "--b\n\nSubject: inner\n\nx\n--b--\n", "digest"),
        [("1", "message/rfc822", b"Subject: inner\r\n\r\nx")],
        [],
    ),
    "rfc822 is not taken apart": (
        multipart("b", "--b\nContent-Type: message/rfc822\n\nSubject: i\n\nx\n--b--\n"),
        [("1", "message/rfc822", b"Subject: i\r\n\r\nx")],
        [],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_parts_are_the_same_at_every_cut(name: str) -> None:
    octets, parts, found = CASES[name]
    assert split(octets) == (parts, found)
    for at in range(len(octets)):
        assert split(octets, at) == (parts, found), octets[:at]
    assert split(octets, *range(len(octets))) == (parts, found)
    assert split(octets, *range(len(octets)), headroom=0) == (parts, found)


def test_header_above_the_limit_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitter, "MAX_HEADER_BYTES", 100)
    octets = crlf("Subject: x\nX-Long: " + "a" * 200 + "\n\nbody\n")
    parts, found = split(octets, *range(len(octets)))
    assert found == [defects.UNTERMINATED_HEADER]
    assert [(number, kind) for number, kind, _ in parts] == [("", "text/plain")]
    assert parts[0][2].endswith(b"\r\n\r\nbody\r\n")


def test_depth_above_the_limit_is_one_attachment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitter, "MAX_DEPTH", 1)
    inner = multipart("i", "--i\n\none\n--i--\n").decode()
    parts, found = split(multipart("o", "--o\n" + inner + "--o\n\ntwo\n--o--\n"))
    assert parts == [("1", "multipart/mixed", b"--i\r\n\r\none\r\n--i--"), ("2", "text/plain", b"two")]
    assert found == [defects.DEPTH_LIMIT]


def test_parts_above_the_limit_stay_in_the_last_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitter, "MAX_PARTS", 2)
    parts, found = split(multipart("b", "--b\n\none\n--b\n\ntwo\n--b\n\nthree\n--b--\n"))
    assert parts == [("1", "text/plain", b"one"), ("2", "text/plain", b"two\r\n--b\r\n\r\nthree\r\n--b--\r\n")]
    assert found == [defects.PART_LIMIT, defects.MISSING_CLOSING_DELIMITER]


MULTIPART_BOMBS = {
    "nested": (
        "".join(f"--b{i}\nContent-Type: multipart/mixed; boundary=b{i + 1}\n\n" for i in range(50)),
        [("1.1.1", "multipart/mixed")],
    ),
    "in a row": (
        "".join(f"--b0\nContent-Type: multipart/mixed; boundary=i{i}\n\n--i{i}\n\nx\n--i{i}--\n" for i in range(50)),
        [("1.1", "text/plain"), ("2", "multipart/mixed")],
    ),
}


@pytest.mark.parametrize("name", MULTIPART_BOMBS)
def test_multiparts_above_the_limit_bring_no_delimiters_back(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitter, "MAX_PARTS", 3)
    body, kinds = MULTIPART_BOMBS[name]
    octets = multipart("b0", body)
    parts, found = split(octets)
    assert [(number, kind) for number, kind, _ in parts] == kinds
    assert octets.endswith(parts[-1][2])
    assert found == [defects.PART_LIMIT, defects.MISSING_CLOSING_DELIMITER]
    assert split(octets, *range(len(octets))) == (parts, found)


def test_a_delimiter_padded_without_end_is_body() -> None:
    octets = multipart("b", "--b\n\none\n--b" + " " * 3000 + "\n--b--\n")
    assert split(octets, *range(len(octets)))[0] == [("1", "text/plain", b"one\r\n--b" + b" " * 3000)]


ROLES = {
    "text": ("mixed", ["text/plain"], [Role.TEXT]),
    "html first in related": ("related", ["text/html", "text/html"], [Role.HTML, Role.ATTACHMENT]),
    "root named by start": (
        'related; start="<r@x>"',
        ["image/png", "text/plain", "text/html\nContent-ID: <r@x> (root)", "text/html"],
        [Role.ATTACHMENT, Role.ATTACHMENT, Role.HTML, Role.ATTACHMENT],
    ),
    "root named by start, with a name": (
        "related; start=r",
        ["image/png", "text/html; name=a.html\nContent-ID: <r>"],
        [Role.ATTACHMENT, Role.HTML],
    ),
    "start that names no part": ('related; start="<r@x>"', ["text/html", "text/html"], [Role.HTML, Role.ATTACHMENT]),
    "second text in mixed": ("mixed", ["text/plain", "text/plain"], [Role.TEXT, Role.TEXT]),
    "named first": ("mixed", ["text/plain; name=a", "text/plain"], [Role.TEXT, Role.TEXT]),
    "named second": ("mixed", ["text/plain", "text/plain; name=a"], [Role.TEXT, Role.ATTACHMENT]),
    "other text": ("mixed", ["text/calendar"], [Role.ATTACHMENT]),
    "image": ("mixed", ["image/png"], [Role.ATTACHMENT]),
    "alternative": ("alternative", ["text/plain", "text/html"], [Role.TEXT, Role.HTML]),
}


@pytest.mark.parametrize("name", ROLES)
def test_body_or_attachment_after_rfc_8621(name: str) -> None:
    subtype, types, roles = ROLES[name]
    seen: list[Role] = []

    class Roles(Parts):
        def on_part_begin(self, entity: Entity) -> None:
            super().on_part_begin(entity)
            seen.append(entity.role)

    body = "".join(f"--b\nContent-Type: {media_type}\n\nx\n" for media_type in types)
    octets = multipart("b", body + "--b--\n", subtype)
    under_test = Splitter(Roles())
    under_test.feed(bytearray(octets), 0, len(octets))
    under_test.close()
    assert seen == roles


PARTS = "--b\n\nx\n" * 900


@pytest.mark.parametrize(
    "body",
    [
        PARTS,
        "--b\nX: " + "y" * 20_000 + "\n\nx\n" + PARTS,
        "--b\nContent-Type: multipart/mixed; boundary=c\n\n" + PARTS,
    ],
    ids=["parts", "a long header", "nested"],
)
def test_what_takes_long_is_done_step_by_step(body: str) -> None:
    octets = multipart("b", body)
    under_test = Splitter(Parts())
    buf = bytearray(octets)
    steps = [0]
    while steps[-1] < len(buf):
        steps.append(under_test.feed(buf, steps[-1], len(buf)))
    # Each stops in the middle of parts that take about as long as 16 KiB of headers, one header more at most.
    assert len(steps) > 4
    assert max(end - start for start, end in itertools.pairwise(steps)) < 40_000


UUENCODED = "Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n" + "!\n" * 100_000


@pytest.mark.parametrize("header", ["", "Content-Type: multipart/mixed; boundary=b\n\n--b\n"], ids=["alone", "a part"])
def test_a_slow_decoder_gets_little_at_a_time(header: str) -> None:
    buf = bytearray((header + UUENCODED).encode())
    parts = Parts()
    under_test = Splitter(parts)
    steps = [0]
    while steps[-1] < len(buf):
        steps.append(under_test.feed(buf, steps[-1], len(buf)))
    under_test.close()
    assert max(end - start for start, end in itertools.pairwise(steps)) <= SLOW_OCTETS + 1000  # and the header
    assert [octets for _number, _type, octets in parts.parts] == [b"begin 644 a\n" + b"!\n" * 100_000]


def random_message(seed: int) -> tuple[bytes, list[bytes]]:
    """A message with a random tree of parts by the standard library, and its leaves in order, as sent."""
    source = random.Random(seed)

    def leaf() -> EmailMessage:
        part = EmailMessage(policy=SMTP)
        length = source.choice([0, 1, 2, 57, 58, 200])
        part.set_content(source.randbytes(length), maintype="application", subtype="octet-stream")
        return part

    def tree(depth: int) -> EmailMessage:
        if depth == 0 or source.random() < 0.3:
            return leaf()
        part = EmailMessage(policy=SMTP)
        part.make_mixed()
        for _ in range(source.randint(1, 4)):
            part.attach(tree(depth - 1))
        return part

    message = tree(source.randint(0, 4))
    leaves = [str(part.get_payload()).encode() for part in message.walk() if not part.is_multipart()]
    return message.as_bytes(), [leaf.replace(b"\r\n", b"\n").rstrip(b"\n") for leaf in leaves]


@given(st.integers(0, 10**6), st.lists(st.integers(0, 2000), max_size=8))
def test_every_leaf_of_a_random_tree_comes_back(seed: int, cuts: list[int]) -> None:
    octets, leaves = random_message(seed)
    parts, found = split(octets, *[cut for cut in cuts if cut < len(octets)])
    assert [body.replace(b"\r\n", b"\n").rstrip(b"\n") for _, _, body in parts] == leaves
    assert found == []


@given(
    st.lists(
        st.sampled_from([b"--b", b"--b--", b"--c", b"\r\n", b"\n", b"\r", b"a: b", b" ", b"-", b"\0", b"\xff"])
        | st.just(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n")
        | st.just(b"Content-Type: multipart/mixed; boundary=c\r\n\r\n"),
        max_size=30,
    ).map(b"".join),
    st.lists(st.integers(0, 300), max_size=6),
)
def test_damage_is_the_same_at_every_cut(octets: bytes, cuts: list[int]) -> None:
    assert split(octets, *[cut for cut in cuts if cut < len(octets)]) == split(octets)
    assert split(octets)[0] == Reader(octets).parts


@given(st.integers(0, 10**6))
def test_a_random_tree_is_read_as_the_oracle_reads_it(seed: int) -> None:
    octets, _ = random_message(seed)
    assert split(octets)[0] == Reader(octets).parts
