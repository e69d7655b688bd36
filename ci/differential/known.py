"""Differences that were judged, and are ours to keep: what is different, and why ours is right."""

from __future__ import annotations

import re
from collections.abc import Callable

from differences import Difference

Judgement = Callable[[Difference], bool]

PYTHON = ("python", "compat32")
ADDRESSES = ("senders", "recipients")
FIELDS = ("subject", "names", *ADDRESSES)
TEXTS = ("texts", "text", "html")
CHARSET_DEFECTS = {"missing-charset", "wrong-charset", "unknown-charset", "undecodable-charset"}
IN_PARTS = ("parts", "names", "contents", "texts", "attached", "text", "html")
ODD_ENCODING = rb"transfer-encoding[ \t]*:(?![ \t]*(?:7bit|8bit|binary|base64|quoted-printable|x-uuencode)[ \t]*\r?\n)"


def _is_undecoded(it: Difference) -> bool:
    theirs = repr(it.theirs)
    return "\\udc" in theirs or ("\ufffd" in theirs and "\ufffd" not in repr(it.ours))


def _has(*defects: str) -> Judgement:
    return lambda it: not it.defects.isdisjoint(defects)


def _contains(pattern: bytes) -> Judgement:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda it: compiled.search(it.octets) is not None


KNOWN: list[tuple[str, Judgement]] = [
    (
        "raw octets in a header, or octets in a charset that the other does not know: we have the characters",
        lambda it: it.aspect in ("subject", "names", *ADDRESSES) and _is_undecoded(it),
    ),
    (
        "a line that is not a field does not end the header while fields follow (RFC 7103 7.2); for others it does",
        _has("invalid-header-line", "mbox-from-line", "junk-before-header"),
    ),
    (
        "a damaged address list, of which the others make different things, too",
        lambda it: it.aspect in ADDRESSES and "invalid-address" in it.defects and bool(it.agreeing or it.dissenting),
    ),
    (
        "a comment is the name where there is no other (RFC 822 did so); Python's new parser drops it",
        lambda it: it.aspect in ADDRESSES and it.peer == "python" and b"(" in it.octets and bool(it.agreeing),
    ),
    (
        "the quotes of a local part belong to the address (RFC 5321 4.1.2); postal-mime takes them off",
        lambda it: it.aspect in ADDRESSES and it.peer == "postal-mime" and b'"@' in it.octets,
    ),
    (
        "a route before the address is no part of it (RFC 5322 4.4); postal-mime and Python's old parser keep it",
        lambda it: it.aspect in ADDRESSES and _contains(rb"<?@[^<>]*:")(it),
    ),
    (
        "a lone CR ends no line (RFC 5322 2.3) and is content; for Python it does, and postal-mime drops it",
        _contains(rb"\r(?!\n)"),
    ),
    (
        "an encoded word against the rules is decoded all the same (RFC 2047 6.3 allows it), as one of the others does",
        lambda it: it.aspect in FIELDS and bool(it.agreeing) and "invalid-encoded-word" in it.defects,
    ),
    (
        "octets in an unknown or wrong charset are windows-1252 (WHATWG Encoding 4.2); postal-mime reads C1 controls",
        lambda it: it.aspect in TEXTS and re.search("[\x80-\x9f]", repr(it.theirs).replace("\\x", "")) is not None,
    ),
    (
        "a malformed Content-Type is text/plain (RFC 2045 5.2); the others keep what it says",
        lambda it: it.aspect in IN_PARTS and "invalid-content-type" in it.defects,
    ),
    (
        "text of calendars and the like is octets for us, as sent; postal-mime decodes it into UTF-8",
        lambda it: it.aspect == "attached" and it.peer == "postal-mime" and _contains(rb"text/calendar")(it),
    ),
    (
        "parameters without a semicolon between them, or with junk, are read where their meaning is not in doubt",
        lambda it: it.aspect in IN_PARTS and "invalid-parameter" in it.defects,
    ),
    (
        "a multipart without a boundary is kept as one text; for the others it is empty, or a multipart without parts",
        lambda it: it.aspect in IN_PARTS and "missing-boundary" in it.defects,
    ),
    (
        "octets that are not of their charset, or have none, are guessed: UTF-8, windows-1252; postal-mime has U+FFFD",
        lambda it: it.aspect in TEXTS and not it.defects.isdisjoint(CHARSET_DEFECTS),
    ),
    (
        "postal-mime makes text of HTML where a text is empty, and HTML of text; our text and HTML are what was sent",
        lambda it: it.aspect in ("text", "html") and it.peer == "postal-mime" and _contains(rb"text/html")(it),
    ),
    (
        "an encoded word with malformed base64 is left as it is (RFC 2047 6.3); the others leave out characters",
        lambda it: it.aspect in ("subject", *ADDRESSES) and _contains(rb"\?b\?[^?]*[^?a-z0-9+/= ]")(it),
    ),
    (
        "base64 with junk is decoded as far as it goes; Python leaves all of it, postal-mime goes on behind padding",
        lambda it: it.aspect in IN_PARTS and "invalid-base64" in it.defects,
    ),
    (
        "names of transfer encodings with or without hyphens are known; for the others they are not",
        lambda it: it.aspect in IN_PARTS and _contains(ODD_ENCODING)(it),
    ),
    (
        "blanks at the end of quoted-printable lines are no content (RFC 2045 6.7 (3)); for others they are",
        lambda it: (
            it.aspect in ("contents", "texts", "attached")
            and _contains(rb"quoted-?printable(?s:.*)[ \t]\r*(?:\n|\Z)")(it)
        ),
    ),
    (
        "a header that goes on into the first delimiter ends there; for Python the delimiter is text",
        lambda it: it.aspect in ("parts", "attached", "text", "html") and _contains(rb"\n[^\n:]+:[^\n]*\n--")(it),
    ),
    (
        "a delimiter that hides one around it, or is closed early, counts for the innermost multipart",
        lambda it: (
            it.aspect in IN_PARTS and not it.defects.isdisjoint({"duplicate-boundary", "early-closing-delimiter"})
        ),
    ),
    (
        "charsets that browsers lack (UTF-7, UTF-32) or that have names unknown to the other are decoded",
        lambda it: it.peer == "postal-mime" and _contains(rb"utf-?(?:7|16|32)|charset=['\"]?[^\r\n;]*['\"]")(it),
    ),
    (
        "ISO-2022-JP and its like with characters of vendors are decoded; Python's codecs lack them",
        lambda it: it.peer in PYTHON and it.aspect in FIELDS and _contains(rb"iso-?2022")(it),
    ),
    (
        "a local part without a domain, or commas in a name without quotes: one mailbox for us, two or none for others",
        lambda it: it.aspect in ADDRESSES and "invalid-address" in it.defects,
    ),
    (
        "an address before brackets is the name of the one in them; for Python they are two, or the second one is lost",
        lambda it: it.aspect in ADDRESSES and it.peer in PYTHON and _contains(rb"@[^,;<>]*<")(it),
    ),
    (
        "semicolons separate mailboxes, as Outlook writes them; Python ends the list there",
        lambda it: it.aspect in ADDRESSES and it.peer == "python" and b";" in it.octets,
    ),
    (
        "postal-mime tells one sender, and joins no words that were cut inside of a shift",
        lambda it: it.aspect == "senders" and it.peer == "postal-mime",
    ),
    (
        "a boundary with an apostrophe is one (RFC 2046 5.1.1); Python takes it for the mark of RFC 2231",
        lambda it: it.aspect in IN_PARTS and it.peer == "python" and _contains(rb"boundary=\"?[^\"\r\n]*'")(it),
    ),
    (
        "a delimiter that follows another one at once, or comes last, begins an empty part; for others it does not",
        lambda it: it.aspect in IN_PARTS and _contains(rb"--[^\r\n]*\r?\n(?:--|\s*\Z)|--[^\r\n]*\Z")(it),
    ),
    (
        "ISO-8859-1 is windows-1252 (WHATWG Encoding 4.2), by all of its names; for the others it has C1 controls",
        lambda it: it.aspect in (*TEXTS, *FIELDS) and re.search(r"\\x[89]", repr(it.theirs)) is not None,
    ),
    (
        "only quotes and backslashes are escaped in names of files: the rest are paths of Windows",
        lambda it: it.aspect in ("names", "attached") and b"\\" in it.octets,
    ),
    (
        "a field that is UTF-8 but for some octets keeps its characters, and what is left of words is guessed",
        lambda it: it.aspect in FIELDS and not it.defects.isdisjoint({"header-8bit", *CHARSET_DEFECTS}),
    ),
    (
        "Shift_JIS with the characters of IBM and of JIS X 0213 (WHATWG Encoding has a part of them)",
        lambda it: it.peer == "postal-mime" and it.aspect in TEXTS and _contains(rb"shift|sjis|euc-?jp|2022")(it),
    ),
    (
        "Python's old parser has its own rules for blanks between words and text",
        lambda it: it.aspect == "subject" and it.peer == "compat32" and bool(it.agreeing),
    ),
    (
        "a word with malformed escapes is decoded with them as they stand; Python leaves the word",
        lambda it: it.aspect == "subject" and it.peer in PYTHON and bool(it.agreeing),
    ),
    (
        "a multipart without a part is text (its preamble); postal-mime drops it",
        lambda it: it.aspect in ("text", "attached") and it.peer == "postal-mime" and b"multipart" in it.octets.lower(),
    ),
    (
        "of several Content-Type fields the first one with a boundary counts; for the others the first one",
        lambda it: it.aspect in IN_PARTS and "duplicate-content-type" in it.defects,
    ),
    (
        "fields of a part that are encoded words as a whole, or have them where RFC 2047 5 forbids it, are decoded",
        lambda it: it.aspect in ("subject", *IN_PARTS) and "invalid-encoded-word" in it.defects,
    ),
    (
        "blanks may stand before the colon of a field (RFC 5322 4.5); for Python the body begins there",
        lambda it: it.peer in PYTHON and _contains(rb"(?:\A|\n)[^ \t\r\n:]+[ \t]+:")(it),
    ),
    (
        "one parser alone reads a subject or an address list otherwise: blanks, `<<`, languages of words, brackets",
        lambda it: it.aspect in ("subject", *ADDRESSES) and bool(it.agreeing),
    ),
    (
        "an address in brackets may be an encoded word, and has no blanks; Python takes it for quoted, or cuts it",
        lambda it: it.aspect in ADDRESSES and it.peer in PYTHON and _contains(rb"<[^<>]*(?:=\?|\s)[^<>]*>")(it),
    ),
    (
        "several fields of one kind: all their addresses; for the others the first one counts",
        lambda it: it.aspect in ADDRESSES and _contains(rb"(?s)(?:\A|\n)(from|to)[ \t]*:.*\n\1[ \t]*:")(it),
    ),
    (
        "a text in multipart/related that is not its root is an attachment (RFC 8621 4.1.4)",
        lambda it: it.aspect in ("attached", "text", "html") and _contains(rb"multipart/related")(it),
    ),
    (
        "uuencoded parts are decoded (RFC 2045 6.4, x-token); postal-mime does not, Python only where there is `begin`",
        lambda it: it.aspect in ("attached", "contents", "texts", "text", "html") and _contains(rb"uue")(it),
    ),
]


def reason(difference: Difference) -> str | None:
    """Why a difference is known, None if it is not."""
    for text, judge in KNOWN:
        if judge(difference):
            return text
    return None
