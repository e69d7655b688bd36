"""JSON of clients that is read in steps."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from fastsmtp.delivery.deferred import at_once
from fastsmtp.inbox.api.bodies import MAX_DEPTH, MAX_VALUES, SMALL, body_steps, load_body

LONG = 40_000
DOCUMENTS: dict[str, Any] = {
    "scalars": [0, -1.5e3, 12.0, True, False, None, ""],
    "empty": {"a": [], "b": {}, "": ""},
    **{
        f"text of {name}": {"a": text * LONG, text * LONG: "b"}
        for name, text in {
            "ASCII": "x",
            "controls": "\0\x1b\n",
            "quotes": '"',
            "backslashes": "\\",
            "two octets": "é",
            "three octets": "a€",
            "four octets": "x\U0001f600",
            "JSON": '"],[{":}',
            "escapes": "\\u0041",
        }.items()
    },
    "mail": {"from": "a@x.example", "to": ["b@x.example"], "attachments": [{"content": "QUJD" * LONG}] * 3},
}
WRITERS: dict[str, Callable[[Any], bytes]] = {
    "orjson": orjson.dumps,
    "escaped": lambda value: json.dumps(value).encode(),
    "indented": lambda value: json.dumps(value, indent=3, ensure_ascii=False).encode() + b"\r\n\t ",
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_are_read_as_orjson_reads_them(name: str, writer: str) -> None:
    octets = WRITERS[writer](DOCUMENTS[name])
    assert at_once(body_steps(octets)) == orjson.loads(octets) == DOCUMENTS[name]


WRONG = [
    b"", b" ", b"[", b"]", b"{", b"}", b"[1", b"[1,", b"[1,]", b"[,1]", b"[1 2]", b"[1]]", b"[1] 2", b"{1:2}",
    b'{"a"}', b'{"a":}', b'{"a" 1}', b'{"a":1,}', b'{"a":1 "b":2}', b'{"a":1', b'{"a', b'"', b'"a', b'"\\"',
    b'"\\x"', b'"\\u12"', b'"\\ud800"', b'"\\udc00x"', b'"\n"', b'"\xff"', b'"\xc3"', b"tru", b"True", b"NaN",
    b"01", b"1.", b"-", b"'a'", b"[1}", b"\xef\xbb\xbf1", b"\0", b"1" * 401, b'"' + b"x" * LONG,
    b'"' + b"\\" * (2 * LONG + 1), b'"' + b"\x80" * LONG + b'"', b'"' + b"\\ud83d" * LONG + b'"',
    b'{"' + b"k" * LONG,
]  # fmt: skip


@pytest.mark.parametrize("octets", WRONG, ids=lambda octets: repr(octets[:12]))
def test_what_is_no_json(octets: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        at_once(body_steps(octets))


def test_documents_cut_and_changed_are_read_as_orjson_reads_them() -> None:
    chooser = random.Random(3)
    octets = json.dumps({"a": ["é\U0001f600", {"b": [1, None, "x\\"]}, []], "c": {"d": -1.5e3}}, indent=1).encode()
    for _ in range(3000):
        at = chooser.randrange(len(octets))
        changed = (
            octets[:at] + bytes(chooser.choices(b'{}[]",:\\u0e \n\x80', k=chooser.randrange(3))) + octets[at + 1 :]
        )
        try:
            expected = orjson.loads(changed)
        except ValueError:
            with pytest.raises(ValueError, match=r"."):
                at_once(body_steps(changed))
        else:
            assert at_once(body_steps(changed)) == expected


@pytest.mark.parametrize("value", [b"0", b"[]", b'""', b"{}", b'{"":0}'])
def test_values_are_counted(value: bytes) -> None:
    with pytest.raises(ValueError, match=f"more than {MAX_VALUES} values"):
        at_once(body_steps(b"[" + (value + b",") * MAX_VALUES + b"0]"))


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_depth_is_limited(opening: bytes, closing: bytes) -> None:
    deepest = opening * MAX_DEPTH + b"0" + closing * MAX_DEPTH
    assert at_once(body_steps(deepest)) == orjson.loads(deepest)
    with pytest.raises(ValueError, match=f"deeper than {MAX_DEPTH}"):
        at_once(body_steps(opening + deepest + closing))


ENDLESS = {
    "ASCII": (b'"' + b"x" * 4_000_000 + b'"', 100),
    "escapes": (b'"' + b"\\ud83d\\ude00" * 300_000 + b'"', 100),
    "values": (b"[" + b"[]," * (MAX_VALUES - 2) + b"0]", 150),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_work_is_done_in_steps(name: str) -> None:
    """However long a document is, each of its steps is short: there are as many as it has pieces, or values."""
    octets, least = ENDLESS[name]
    assert sum(1 for _ in body_steps(octets)) >= least


def test_small_documents_are_those_of_orjson() -> None:
    async def main() -> None:
        many = b"[" + b"0," * 30_000 + b"0]"
        assert len(many) <= SMALL
        assert await load_body(many) == [0] * 30_001
        assert await load_body(many + b" " * SMALL) == [0] * 30_001
        with pytest.raises(ValueError, match="unexpected content"):
            await load_body(b"1,")

    asyncio.run(main())
