"""What an HTML body says as text, and where its links lead."""

from __future__ import annotations

import pytest

from fastsmtp.printer.html import Rendered, render

TARGET = "https://shop.test/confirm?a=1&b=2"
LINK = '<a href="https://shop.test/confirm?a=1&amp;b=2">'

TEXTS: dict[str, tuple[str, list[str]]] = {
    "nothing": ("", []),
    "text": ("just text", ["just text"]),
    "blanks": (" \n one\n\ttwo  <b> three</b> <i> four </i>five\n", ["one two three four five"]),
    "blocks": ("<p>one</p>\n<div>two<div>three</div></div>four<br>five", ["one", "two", "three", "four", "five"]),
    "line breaks": ("one<br><br/><br>two<br>", ["one", "", "two"]),
    "entities": ("&lt;b&gt; &amp;amp; Gr&uuml;&szlig;e &#128075; &unknown;", ["<b> &amp; Grüße 👋 &unknown;"]),
    "no tags": ("1 < 2 > 0 <3 a<", ["1 < 2 > 0 <3 a<"]),
    "head": ("<html><head><title>T</title><style>p{}</style></head><body>x</body></html>", ["x"]),
    "unclosed head": ("<head><title>T</title><p>x", ["x"]),
    "script": ("a<script>if (1 < 2) { '</p>' }</SCRIPT >b", ["ab"]),
    "comment": ("a<!-- <p> -->b<!---->c<!doctype html>d<?xml ?>e</ >f", ["abcdef"]),
    "conditional comments": ("<!--[if mso]><p>Outlook</p><![endif]--><![if !mso]>others<![endif]>", ["others"]),
    "quoted values": ("a<img title='>' data-x=\"'>\">b<p don't>c", ["ab", "c"]),
    "upper case": ("<P>a</P><TABLE><TR><TD>b</TD></TR></TABLE>", ["a", "b"]),
    "cells": (
        "<table><tr><th>Item<th>Price</tr><tr><td>Tea</td> <td>3 EUR</td></tr></table>after",
        ["Item  Price", "Tea  3 EUR", "after"],
    ),
    "empty cells": ("<tr><td>&nbsp;</td><td>a</td><td>&nbsp;</td><td></td><td>b</td><td></td></tr>", ["a  b"]),
    "tables for layout": ("<td><table><tr><td>a</td></tr></table></td><td>b</td>", ["a", "b"]),
    "lists": ("<ul><li>one</li><li><p>two</p></li><li></ul><ol><li>three</ol>", ["- one", "- two", "- three"]),
    "preformatted": ("<pre>a\n  b\r\n\n\nc</pre> d", ["a", "  b", "", "c", "d"]),
    "images": ("<img src=x><img src=y alt=\"Our logo\"> <img alt=''>", ["[Our logo]"]),
    "hidden": ("<div style='color:red; display : none'>a<div>b</div>c</div>d<img style='display:none'>e", ["de"]),
    "hidden to the end": ("a<span style=display:none>b<p>c", ["a"]),
    "shown": ("<div style='display:block'>a</div>", ["a"]),
    "filling": ("News" + "&nbsp;&zwnj;" * 40 + "<p>x</p>", ["News", "x"]),
    "soft hyphens": ("Donau&shy;dampf&ZeroWidthSpace;schiff", ["Donaudampfschiff"]),
    "joined": ("\U0001f468\u200d\U0001f469", ["\U0001f468\u200d\U0001f469"]),
    "unclosed": ("a<p title='x>b", ["a"]),
    "unclosed comment": ("a<!-- b", ["a"]),
    "unclosed style": ("a<style>b</p>", ["a"]),
    "closed twice": ("</div></pre></a>a</p></td>b", ["a", "b"]),
}


@pytest.mark.parametrize("name", TEXTS)
def test_text(name: str) -> None:
    source, expected = TEXTS[name]
    assert render(source, 1000) == Rendered(expected, [], more=False)


LINKS: dict[str, tuple[str, list[str], list[str]]] = {
    "a link": (f"Please {LINK}click here</a>.", ["Please click here [1]."], [TARGET]),
    "blanks around": (f"Please{LINK} click here </a>now", ["Please click here [1] now"], [TARGET]),
    "twice": (f"{LINK}a</a> {LINK}b</a> <a href=x>c</a>", ["a [1] b [1] c [2]"], [TARGET, "x"]),
    "says its target": (
        "<a href=https://shop.test/>shop.test</a> <a href='HTTP://shop.test/x'>http://shop.test/x</a> "
        "<a href=mailto:me@shop.test>me@shop.test</a> <a href=tel:+1>+1</a>",
        ["shop.test http://shop.test/x me@shop.test +1"],
        [],
    ),
    "says another": (
        "<a href=https://evil.test>https://bank.test</a>",
        ["https://bank.test [1]"],
        ["https://evil.test"],
    ),
    "more than an address": ("<a href='mailto:a@b.c?subject=x'>a@b.c</a>", ["a@b.c [1]"], ["mailto:a@b.c?subject=x"]),
    "no targets": (
        "<a href=#top>top</a> <a href='javascript:x()'>do</a> <a name=x>here</a> <a href>there</a>",
        ["top do here there"],
        [],
    ),
    "a button": (f"{LINK}<table><tr><td>Confirm</td></tr></table></a>next", ["Confirm [1]", "next"], [TARGET]),
    "an image": (f"{LINK}<img src=x alt=Logo></a>, {LINK}<img src=x></a>", ["[Logo] [1], [1]"], [TARGET]),
    "in cells": (f"<tr><td>{LINK}a</a></td><td>b</td></tr>", ["a [1]  b"], [TARGET]),
    "not closed": (f"{LINK}a<p>b <a href=x>c", ["a", "b [1] c [2]"], [TARGET, "x"]),
    "hidden": (f"<p style=display:none>{LINK}a</a></p>b", ["b"], []),
    "upper case": ("<A HREF = 'x'>a</A>", ["a [1]"], ["x"]),
}


@pytest.mark.parametrize("name", LINKS)
def test_links(name: str) -> None:
    source, lines, links = LINKS[name]
    assert render(source, 1000) == Rendered(lines, links, more=False)


def test_it_ends_when_there_is_enough() -> None:
    rendered = render("<p>12345 <a href=x>678</a></p>" * 1000, 20)
    assert rendered == Rendered(["12345 678 [1]", "12345 678 [1]"], ["x"], more=True)


@pytest.mark.parametrize(
    "source",
    [
        "<a ", "<a b=\"'", "<!--", "<style>", "<", "</", "<a href=x>", "&", "<td>", "<li>", "=", "<p style=", " ",
        "\u00a0", "<pre>\n", "<img alt=", "<div style=display:none>",
    ],
)  # fmt: skip
def test_time_is_linear(source: str) -> None:
    """A time that grows with the square of these would be hours."""
    assert len(render(source * (250_000 // len(source)), 10**9).links) <= 1
