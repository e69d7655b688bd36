"""A large email becomes the same JSON as any other: octet by octet, in steps and in blocks."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

import pytest
from captures import capture_email
from damage import DAMAGE, crlf, multipart
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.capture.email import LIGHT, Email
from fastsmtp.delivery.deferred import Stretch, at_once, blocks_of
from fastsmtp.delivery.jobs import encode_job, job_steps
from fastsmtp.delivery.large import payload_steps
from fastsmtp.delivery.payload import encode_payload

MB = 1_000_000


def email_of(octets: bytes) -> Email:
    email = capture_email(octets, include_raw=True)
    assert email is not None
    return email


def written(stretches: Sequence[Stretch]) -> bytes:
    """All octets; each stretch has the size it says, and can be made again."""
    for stretch in stretches:
        if not isinstance(stretch, (bytes, bytearray)):
            made = b"".join(stretch.blocks())
            assert len(made) == stretch.size
            assert made == b"".join(stretch.blocks())
    return b"".join(blocks_of(stretches))


def both_ways(octets: bytes) -> None:
    context, body = at_once(payload_steps(email_of(octets)))
    expected, _ = encode_payload(email_of(octets))
    assert body == []
    assert comparable(written(context)) == comparable(b"".join(expected))
    context, body = at_once(job_steps(email_of(octets), "p"))
    head, expected = encode_job(email_of(octets), "p")
    assert comparable(written(context)) == comparable(b"".join(head))
    assert comparable(written(body)) == comparable(b"".join(expected))


def comparable(octets: bytes) -> str:
    """The JSON, keys in their order, without what every email has of its own."""
    document = json.loads(octets)
    for key in ("uuid", "received_at", "id", "headers"):
        document.pop(key, None)
    return json.dumps(document)


LARGE = {
    "plain": b"Subject: x\r\n\r\n" + b"text\r\n" * (MB // 6),
    "nul": b"Subject: x\r\n\r\n" + b"\0" * MB,
    "utf-8": b"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + "aé€😀".encode() * (MB // 10),
    "utf-8, cut": b"Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    + "a€".encode() * (MB // 4)
    + b"\xe2",
    "mark": b"Content-Type: text/plain; charset=utf-8\r\n\r\n\xef\xbb\xbf" + b"x" * MB,
    "windows-1252": b"Content-Type: text/plain; charset=us-ascii\r\n\r\n" + b"caf\xe9 \x80\x81" * (MB // 7),
    "utf-7": b"Content-Type: text/plain; charset=utf-7\r\n\r\n" + b"+AOkA6Q- +2AA-x\xff" * (MB // 16),
    "utf-16": b"Content-Type: text/html; charset=utf-16\r\n\r\n" + "aé😀".encode("utf-16-le") * (MB // 8),
    "shift_jis": b"Content-Type: text/plain; charset=shift_jis\r\n\r\n" + b"\x93\xfa\x87\x40a" * (MB // 5),
    "iso-2022-jp": b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n" + b"\x1b$BF|-!\x1b(Bx" * (MB // 11),
    "many texts": multipart(
        "".join(f"--b\n\n{'y' * (n % 7)}{'' if n % 3 else chr(10)}\n" for n in range(3000)) + "--b--\n"
    ),
    "texts of both kinds": multipart(
        "".join(f"--b\nContent-Type: text/{'html' if n % 2 else 'plain; charset=utf-16'}\n\n{n}\n" for n in range(3000))
    ),
    "texts with markup among HTML": multipart(
        ("--b\n\n" + '<a & "b">\n' * 9000 + "--b\nContent-Type: text/html\n\n<p>\n--b\n\n") * 3 + "--b--\n"
    ),
    "a footer in another charset": multipart(
        "--b\nContent-Type: text/html\n\n"
        + "<p>x</p>\n" * 9000
        + "--b\nContent-Type: text/plain; charset=iso-2022-jp\n\n"
        + "\x1b$BF|\x1b(B<&>\n" * 9000
        + "--b--\n"
    ),
    "many attachments": multipart("--b\nContent-Type: a/b; name=c\n\nx\n" * 3000),
    "large attachments": multipart(("--b\nContent-Type: a/b\n\n" + "x" * 100_000 + "\n") * 5),
    "long subject": crlf("Subject: " + '"\\\0é' * 50_000 + "\n\nx"),
    "long words": crlf("Subject: " + "=?utf-8?q?=C3=A4?= " * 9000 + "\n\nx"),
    "long date and id": crlf("Date: " + "x" * 90_000 + "\nMessage-ID: <" + "y" * 90_000 + "@z>\n\nx"),
    "addresses": crlf("To: " + "A B <a@b>, " * 9000 + "c@d\nCc: " + "a (b) <c@d>, " * 4000 + "x@y\nFrom: a@b\n\nx"),
    "many fields": crlf("".join(f"X-{n}: {n}\n" for n in range(9000)) + "\nx"),
    "raw is not UTF-8": b"Subject: x\r\n\r\n" + b"caf\xe9\r\n" * (MB // 6),
    "nothing": b"",
}


@pytest.mark.parametrize("name", LARGE)
def test_both_ways_lead_to_the_same(name: str) -> None:
    both_ways(LARGE[name])


@pytest.mark.parametrize("name", [name for name, (octets, _, _) in DAMAGE.items() if len(octets) < MB])
def test_both_ways_lead_to_the_same_for_what_is_broken(name: str) -> None:
    both_ways(DAMAGE[name][0])


@given(
    st.lists(st.sampled_from([b"\n", b"x", b"\xe9", "é".encode(), b"", b'"', b"\0", b"\xff\xfe"])).map(b"".join),
    st.lists(st.sampled_from([b"", b"a\n", b"b", b"\xe9", b"\r\n"]), max_size=4),
    st.sampled_from(["utf-8", "us-ascii", "utf-16", "iso-2022-jp", "windows-1251", "x"]),
)
def test_any_bodies(first: bytes, others: list[bytes], charset: str) -> None:
    parts = b"".join(
        b"--b\r\nContent-Type: text/plain; charset=" + charset.encode() + b"\r\n\r\n" + body + b"\r\n"
        for body in (first, *others)
    )
    both_ways(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n")


@pytest.mark.parametrize("name", ["plain", "nul", "utf-7", "raw is not UTF-8"])
def test_what_is_large_is_never_made_as_a_whole(name: str) -> None:
    for stretch in at_once(payload_steps(email_of(LARGE[name])))[0]:
        blocks = [stretch] if isinstance(stretch, (bytes, bytearray)) else stretch.blocks()
        assert max(map(len, blocks)) < 400_000


WEIGHTS = {
    "a short mail": (crlf("Subject: x\n\ny"), False),
    "a long text": (crlf("Subject: x\n\n" + "y" * 400_000), True),
    "a text of 200 KB": (crlf("Subject: x\n\n" + "y" * 200_000), False),
    "an attachment of 1 MB": (multipart("--b\nContent-Type: a/b\n\n" + "x" * MB + "\n--b--\n"), False),
    "many attachments": (LARGE["many attachments"], True),
    "a long header": (crlf("".join(f"X-{n}: {n}\n" for n in range(500)) + "\nx"), False),
    "many recipients": (crlf("To: " + "a@b, " * 2000 + "c@d\n\nx"), True),
    "many words": (crlf("Subject: " + "=?utf-8?q?a?= " * 1000 + "\n\nx"), True),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_what_is_heavy(name: str) -> None:
    octets, is_heavy = WEIGHTS[name]
    email = capture_email(octets)
    assert email is not None
    assert (email.weight > LIGHT) is is_heavy


def test_the_steps_are_many() -> None:
    steps = payload_steps(email_of(LARGE["utf-7"]))
    assert len(list(itertools.islice(steps, 100))) > 30
