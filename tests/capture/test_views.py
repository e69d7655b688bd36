"""Which bodies are text and which are HTML (RFC 8621 section 4.1.4): trees of parts, and their two views."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fastsmtp.capture.body import Body
from fastsmtp.capture.views import view
from fastsmtp.mime.entity import Entity, read_entity

# A tree: the subtype of a multipart and its members; a leaf is its name, whose first letter tells its kind.
Tree = tuple[str, Sequence["Tree | str"]]


def bodies_of(tree: Tree | str, number: str = "", parent: Entity | None = None) -> list[Body]:
    if isinstance(tree, str):
        kind = "html" if tree.startswith("h") else "plain"
        entity, _ = read_entity(f"Content-Type: text/{kind}\r\n\r\n".encode(), number, parent)
        body = Body(entity, [], 0)
        octets = bytearray(tree.encode())
        body.feed(octets, 0, len(octets) if "blank" not in tree else 0)
        body.close()
        return [body]
    multipart, _ = read_entity(f"Content-Type: multipart/{tree[0]}; boundary=b\r\n\r\n".encode(), number, parent)
    bodies: list[Body] = []
    for place, member in enumerate(tree[1], 1):
        multipart.parts = place
        bodies += bodies_of(member, f"{number}.{place}".lstrip("."), multipart)
    return bodies


def names(bodies: list[Body]) -> list[str]:
    return [body.decode([]) for body in bodies]


VIEWS: dict[str, tuple[Tree | str, list[str], list[str], bool]] = {
    "text": ("t", ["t"], [], True),
    "html": ("h", [], ["h"], False),
    "texts": (("mixed", ["t1", "t2"]), ["t1", "t2"], [], True),
    "htmls": (("mixed", ["h1", "h2"]), [], ["h1", "h2"], False),
    "alternative": (("alternative", ["t", "h"]), ["t"], ["h"], True),
    "alternative, other way round": (("alternative", ["h", "t"]), ["t"], ["h"], True),
    "html with a footer in text": (("mixed", ["h", "t"]), ["t"], ["h", "t"], False),
    "text with a footer in html": (("mixed", ["t", "h"]), ["t"], ["t", "h"], True),
    "blank text before html": (("mixed", ["t-blank", "h"]), [""], ["", "h"], False),
    "alternative with a footer": (
        ("mixed", [("alternative", ["t", "h"]), "t-footer"]),
        ["t", "t-footer"],
        ["h", "t-footer"],
        True,
    ),
    "alternative with a footer in html": (
        ("mixed", [("alternative", ["t", "h"]), "h-footer"]),
        ["t"],
        ["h", "h-footer"],
        True,
    ),
    "alternative of html alone, with a footer": (
        ("mixed", [("alternative", ["h"]), "t-footer"]),
        ["t-footer"],
        ["h", "t-footer"],
        False,
    ),
    "alternative of text alone, with html": (
        ("mixed", [("alternative", ["t"]), "h"]),
        ["t"],
        ["t", "h"],
        True,
    ),
    "alternative with related": (("alternative", ["t", ("related", ["h"])]), ["t"], ["h"], True),
    "alternative with mixed html": (("alternative", ["t", ("mixed", ["h1", "h2"])]), ["t"], ["h1", "h2"], True),
    "alternative with html and its footer": (
        ("alternative", ["t", ("mixed", ["h", "t-footer"])]),
        ["t"],
        ["h", "t-footer"],
        True,
    ),
    "alternative with mixed text": (("alternative", [("mixed", ["t1", "t2"]), "h"]), ["t1", "t2"], ["h"], True),
    "alternative with text and html behind": (
        ("alternative", [("mixed", ["t", "h1"]), "h2"]),
        ["t"],
        ["h1", "h2"],
        True,
    ),
    "two alternatives": (
        ("mixed", [("alternative", ["t1", "h1"]), ("alternative", ["t2", "h2"])]),
        ["t1", "t2"],
        ["h1", "h2"],
        True,
    ),
    "alternatives inside of one": (
        ("alternative", ["t1", ("alternative", ["t2", "h"])]),
        ["t1", "t2"],
        ["h"],
        True,
    ),
    "the tree of RFC 8621": (
        (
            "mixed",
            [
                "t-A",
                (
                    "mixed",
                    [
                        ("alternative", [("mixed", ["t-B", "t-D"]), ("related", ["h-E"])]),
                    ],
                ),
                "t-K",
            ],
        ),
        ["t-A", "t-B", "t-D", "t-K"],
        ["t-A", "h-E", "t-K"],
        True,
    ),
}


@pytest.mark.parametrize("name", VIEWS)
def test_view(name: str) -> None:
    tree, text, html, is_text = VIEWS[name]
    seen = view(bodies_of(tree))
    assert (names(seen.text), names(seen.html), seen.is_text) == (text, html, is_text)


def test_no_bodies() -> None:
    assert view([]) == ([], [], True)


def test_deep_trees() -> None:
    tree: Tree | str = ("alternative", ["t", "h"])
    for _ in range(99):
        tree = ("mixed", [tree, "h-footer"])
    seen = view(bodies_of(tree))
    assert (len(seen.text), len(seen.html)) == (1, 100)
