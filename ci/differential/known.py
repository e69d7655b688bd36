"""Differences that were judged, and are ours to keep: what is different, why ours is right, and how one is told.

Most rows have a cure: the message without what the reason names. The row accepts a difference only if the other parser
agrees with us about the cured message, so that nothing else can hide behind the row. Rows without a cure compare the
values. Each has a message that shows it, which `unproved` tries.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from cures import (
    commas,
    decoded_fields,
    joined_boundaries,
    labels_of_browsers,
    longer_boundaries,
    one_field,
    one_type,
    only_fields,
    regular_fields,
    whole_parts,
    without_names,
    without_partless,
)
from differences import Difference
from values import (
    Judgement,
    alone,
    each,
    has_no_more_valid,
    is_foreign,
    is_guessed,
    is_guessed_utf8,
    is_same_when_read,
    is_sane,
    is_undecoded,
    is_unread,
    is_windows_1252,
    keeps_addresses,
    runs,
)

Cure = Callable[[bytes], bytes]

PYTHON = ("python", "compat32")
ALL = (*PYTHON, "postal-mime")
ADDRESSES = ("senders", "recipients")
FIELDS = ("subject", "names", *ADDRESSES)
TEXTS = ("texts", "text", "html")
CHARSET_DEFECTS = ("missing-charset", "wrong-charset", "unknown-charset", "undecodable-charset")
IN_PARTS = ("parts", "names", "contents", "texts", "attached", "text", "html")
SEVERAL = "several of these at once"


class Row(NamedTuple):
    """One judgement: `concerns` says whether it may be this, `cure` takes away what the reason names."""

    reason: str
    example: bytes
    concerns: Judgement
    cure: Cure | None = None

    def accepts(self, it: Difference) -> bool:
        """Whether a difference is this one."""
        if not self.concerns(it):
            return False
        if self.cure is None:
            return True
        cured = self.cure(it.octets)
        return cured != it.octets and not it.left_of(cured)


def _of(aspects: tuple[str, ...], peers: tuple[str, ...] = ALL, *defects: str) -> Judgement:
    return lambda it: it.aspect in aspects and it.peer in peers and (not defects or not it.defects.isdisjoint(defects))


def _both(*judgements: Judgement) -> Judgement:
    return lambda it: all(judge(it) for judge in judgements)


def _without(pattern: bytes, replacement: bytes = b"") -> Cure:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda octets: compiled.sub(replacement, octets)


ODD_ENCODING = (
    rb"(transfer-encoding[ \t]*:)(?![ \t]*(?:7bit|8bit|binary|base64|quoted-printable|x-uuencode)[ \t]*\r?\n(?![ \t]))"
)
MIXED = _without(rb"multipart/alternative", b"multipart/mixed")
MULTIPART = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"

KNOWN = [
    Row(
        "a line that is not a field does not end the header while fields follow (RFC 7103 7.2); for others it does",
        b"=\r\nSubject: C\r\n\r\nx",
        _of((*FIELDS, *IN_PARTS), ALL, "invalid-header-line", "mbox-from-line", "junk-before-header"),
        only_fields,
    ),
    Row(
        "of several Content-Type fields the first one with a boundary counts, and an empty one does not; for the others"
        " the first or the last one",
        b"Content-Type:\r\nContent-Type: text/html\r\n\r\n<p>x",
        _of(IN_PARTS),
        one_type,
    ),
    Row(
        "raw octets in a header, or octets in a charset that the other does not know: we have the characters",
        b"Subject: \xc3\xaf\r\n\r\nx",
        _both(_of(FIELDS), each(is_unread)),
    ),
    Row(
        "a damaged address list, of which the others make different things, too; we lose no address of theirs",
        b"To: a b@c.example\r\n\r\nx",
        _both(_of(ADDRESSES, ALL, "invalid-address"), lambda it: bool(it.agreeing or it.dissenting), keeps_addresses),
    ),
    Row(
        "a comment is the name where there is no other (RFC 822 did so); Python's new parser drops it",
        b"To: a@b.example (Ann)\r\n\r\nx",
        _of(ADDRESSES, ("python",)),
        _without(rb"\([^()\r\n]*\)"),
    ),
    Row(
        "the quotes of a local part belong to the address (RFC 5321 4.1.2); the others take them off",
        b'To: "a b"@c.example\r\n\r\nx',
        _both(_of(ADDRESSES), each(lambda a, b: a.replace('"', "").split() == b.split() and '"@' in a)),
    ),
    Row(
        "a route before the address is no part of it (RFC 5322 4.4); postal-mime and Python's old parser keep it",
        b"To: <@x.example,@y.example:a@b.example>\r\n\r\nx",
        _of(ADDRESSES),
        _without(rb"(?<=<)[ \t]*@[^<>:]*:"),
    ),
    Row(
        "a lone CR ends no line (RFC 5322 2.3) and is content; for Python it does, and postal-mime drops it",
        b"Subject: a\rTo: c@d.example\r\n\r\nx",
        _of((*FIELDS, *IN_PARTS)),
        _without(rb"\r(?!\n)"),
    ),
    Row(
        "an encoded word against the rules is decoded all the same (RFC 2047 6.3 allows it), as one of the others does",
        b"Subject: a=?utf-8?q?=C3=A9?=b\r\n\r\nx",
        _both(_of(FIELDS, ALL, "invalid-encoded-word"), lambda it: bool(it.agreeing)),
    ),
    Row(
        "octets 80 to 9F of Latin-1, or of an unknown or wrong charset, are windows-1252 (WHATWG Encoding 4.2); for the"
        " others they are C1 controls",
        b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\na \x80\r\n",
        _both(_of((*TEXTS, *FIELDS)), each(runs(is_windows_1252))),
    ),
    Row(
        "Content-Type and Content-Disposition against the grammar, and multiparts without a boundary: what we read of"
        " them, written by the grammar, is what the other reads, too",
        b"Content-Type: text/html charset=utf-8\r\n\r\n<p>x",
        _of(
            IN_PARTS,
            ALL,
            "invalid-content-type",
            "invalid-parameter",
            "invalid-disposition",
            "missing-boundary",
            "invalid-encoded-word",
        ),
        lambda octets: regular_fields(decoded_fields(octets)),
    ),
    Row(
        "text of calendars and the like is octets for us, as sent; postal-mime decodes it into UTF-8",
        b"Content-Type: text/calendar; charset=iso-8859-1\r\n\r\n\xe9",
        _of(("attached",), ("postal-mime",)),
        _without(rb"text/(?!plain|html)", b"application/"),
    ),
    Row(
        "octets that are not of their charset, or have none, are guessed: UTF-8, windows-1252; postal-mime has U+FFFD",
        b"Content-Type: text/plain\r\n\r\ncaf\xe9",
        _both(_of(TEXTS, ("postal-mime",), *CHARSET_DEFECTS), each(is_undecoded)),
    ),
    Row(
        "postal-mime makes text of HTML where there is none, and joins texts to HTML otherwise; ours are what was sent",
        MULTIPART + b"--b\r\n\r\nx\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>y\r\n--b--\r\n",
        _both(
            _of(("text", "html"), ("postal-mime",)),
            lambda it: bool(re.search(rb"text/html", it.octets, re.IGNORECASE)),
            is_same_when_read,
        ),
    ),
    Row(
        "text is what was sent as text (RFC 8621 4.1.4); postal-mime makes text of HTML, too",
        MULTIPART + b"--b\r\nContent-Type: text/html\r\n\r\n<p>y\r\n--b\r\n\r\nx\r\n--b--\r\n",
        _of(("text",), ("postal-mime",)),
        _without(rb"text/html", b"application/x"),
    ),
    Row(
        "an encoded word with malformed base64 is left as it is (RFC 2047 6.3); the others leave out characters",
        b"Subject: =?utf-8?b?w6*k?=\r\n\r\nx",
        _of(("subject", *ADDRESSES)),
        _without(rb"=\?[^?\s]+\?b\?[^?]*[^?a-z0-9+/= ][^?]*\?=", b"word"),
    ),
    Row(
        "base64 with junk is decoded as far as it goes; Python leaves all of it, postal-mime goes on behind padding",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\nfooter\r\n",
        _of(IN_PARTS, ALL, "invalid-base64"),
        _without(rb"(transfer-encoding[ \t]*:)[^\n]*base64[^\n]*", rb"\1 7bit\r"),
    ),
    Row(
        "names of transfer encodings with or without hyphens are known, and what is unknown is left as it is",
        b"Content-Transfer-Encoding: quoted_printable\r\n\r\n=C3=A9\r\n",
        _of(IN_PARTS),
        _without(ODD_ENCODING + rb"[^\n]*(?:\n[ \t][^\n]*)*", rb"\1 7bit\r"),
    ),
    Row(
        "blanks at the end of quoted-printable lines are no content (RFC 2045 6.7 (3)); for others they are",
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\na \r\nb\r\n",
        _of(("contents", "texts", "attached", "text", "html")),
        _without(rb"[ \t]+(?=\r*(?:\n|\Z))"),
    ),
    Row(
        "a header that goes on into a delimiter ends there, and a delimiter that another one follows at once, or"
        " nothing, begins an empty part; for the others it does not",
        MULTIPART + b"--b\r\n\r\nx\r\n--b",
        _of(IN_PARTS),
        whole_parts,
    ),
    Row(
        "a delimiter that hides one around it, or is closed early, counts for the innermost multipart",
        MULTIPART + b"--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\ny\r\n",
        _of(IN_PARTS, ALL, "duplicate-boundary", "early-closing-delimiter"),
    ),
    Row(
        "charsets that browsers lack (UTF-7, UTF-32), or whose labels they do not know (apostrophes), are decoded",
        b"Content-Type: text/plain; charset='utf-8'\r\n\r\n\xc3\xa9",
        _of(TEXTS, ("postal-mime",)),
        labels_of_browsers,
    ),
    Row(
        "a local part without a domain, or commas in a name without quotes: one mailbox for us, two or none for others",
        b"To: t,n <a@b.example>\r\n\r\nx",
        _both(
            _of(ADDRESSES, ALL, "invalid-address"),
            each(lambda mine, theirs: "," in mine and mine.endswith(theirs)),
        ),
    ),
    Row(
        "an address before brackets is the name of the one in them; for Python they are two, or the second one is lost",
        b"To: c@d.example <a@b.example>\r\n\r\nx",
        _of(ADDRESSES, PYTHON),
        _without(rb"([^\s,;<>:\"()]+@[^,;<>:\"()]+)(?=[ \t]*<)", b"name"),
    ),
    Row(
        "comments are no part of a name that stands there; Python's old parser adds them to it",
        b"To: Ann (x) <a@b.example>, (y) c@d.example\r\n\r\nx",
        _of(ADDRESSES, ("compat32",)),
        _without(rb"\([^()\r\n]*\)"),
    ),
    Row(
        "a boundary with blanks, as of a fold in it, is one without them, too",
        b'Content-Type: multipart/mixed; boundary="a b"\r\n\r\n--ab\r\n\r\nx\r\n--ab--\r\n',
        _of(IN_PARTS),
        joined_boundaries,
    ),
    Row(
        "words that were cut inside of a shift are joined; the others decode each alone",
        b"Subject: =?ISO-2022-JP?B?GyRCRUQ=?= =?ISO-2022-JP?B?Q2YbKEI=?=\r\n\r\nx",
        _of(FIELDS),
        _without(rb"(?:=\?(?:iso-2022-[a-z]+|utf-7|utf-16|hz[^?]*)\?[bq]\?[^?]*\?=\s*){2,}", b"words "),
    ),
    Row(
        "control characters in fields stay, but for NUL, which goes; the others have it the other way round",
        b"To: a@b\x1b.example\r\n\r\nx",
        _of(FIELDS),
        _without(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]"),
    ),
    Row(
        "what closes the inner multipart closes it, though it could begin a part of an outer one",
        MULTIPART.replace(b"=b", b"=b--")
        + b"--b--\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\ny\r\n--b----\r\n",
        _of(IN_PARTS),
        longer_boundaries,
    ),
    Row(
        "semicolons separate mailboxes, as Outlook writes them; Python ends the list there",
        b"To: a@b.example; c@d.example\r\n\r\nx",
        _of(ADDRESSES, PYTHON),
        commas,
    ),
    Row(
        "a boundary with an apostrophe is one (RFC 2046 5.1.1); Python takes it for the mark of RFC 2231",
        b"Content-Type: multipart/mixed; boundary=a'b\r\n\r\n--a'b\r\n\r\nx\r\n--a'b--\r\n",
        _of(IN_PARTS, ("python",)),
        _without(rb"'", b"q"),
    ),
    Row(
        "only quotes and backslashes are escaped in names of files: the rest are paths of Windows",
        b'Content-Type: application/x; name="a\\b.txt"\r\n\r\nx',
        _both(
            _of(("names", "attached")), each(lambda mine, theirs: mine.replace("\\", "") == theirs.replace("\\", ""))
        ),
    ),
    Row(
        "a field that is UTF-8 but for some octets keeps its characters, and what is left of words is guessed",
        b"Subject: =?x-unknown?q?=E9?=\r\n\r\nx",
        _both(_of(FIELDS), each(is_foreign)),
    ),
    Row(
        "Shift_JIS and EUC-JP with the characters of IBM and of JIS X 0213, and windows-949 under the names of EUC-KR;"
        " the others lack some",
        b"Content-Type: text/plain; charset=euckr\r\n\r\n\xa2\xe6",
        _both(
            _of((*TEXTS, *FIELDS)),
            lambda it: bool(re.search(rb"shift|sjis|euc|2022|ks_c", it.octets, re.IGNORECASE)),
            each(lambda mine, theirs: is_foreign(mine, theirs) or is_undecoded(mine, theirs)),
        ),
    ),
    Row(
        "Python's old parser has its own rules for blanks between words and text",
        b"Subject: =?utf-8?q?a?=b\r\n\r\nx",
        _both(_of(("subject",), ("compat32",)), each(lambda a, b: a.replace(" ", "") == b.replace(" ", ""))),
    ),
    Row(
        "a multipart without a part is text (its preamble, if only blanks); the others drop it",
        MULTIPART + b"text\r\n",
        _both(_of(("text", "html", "attached", "parts")), lambda it: len(it.theirs) < len(it.ours)),
        without_partless,
    ),
    Row(
        "blanks may stand before the colon of a field (RFC 5322 4.5); for Python the body begins there",
        b"Subject : s\r\nTo: a@b.example\r\n\r\nx",
        _of((*FIELDS, *IN_PARTS), PYTHON),
        _without(rb"(?m)(?<=[!-9;-~])[ \t]+(?=:)"),
    ),
    Row(
        "one parser alone reads a subject or an address list otherwise, and both others read it as we do",
        b"To: (x) a@b.example\r\n\r\nx",
        _both(_of(("subject", *ADDRESSES)), alone),
    ),
    Row(
        "an address in brackets may be an encoded word, and has no blanks; the others take it for quoted, or cut it",
        b"To: <=?utf-8?q?a=40b.example?=>\r\n\r\nx",
        _both(_of(ADDRESSES), is_sane),
        _without(rb"<[^<>]*(?:=\?|\s)[^<>]*>", b"<w@w>"),
    ),
    Row(
        "several fields of one kind: all their addresses; for the others the first or the last one counts",
        b"To: a@b.example\r\nTo: c@d.example\r\n\r\nx",
        _of(ADDRESSES),
        one_field,
    ),
    Row(
        "a text in multipart/related that is not its root is an attachment (RFC 8621 4.1.4)",
        b"Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--\r\n",
        _of(("attached", "text", "html")),
        _without(rb"multipart/related", b"multipart/mixed"),
    ),
    Row(
        "a line that lost its blank, `charset=utf-8` below its field, goes on with the field; for others it does not",
        b"Content-Type: text/html;\r\ncharset=utf-8\r\n\r\n<p>x",
        _of((*FIELDS, *IN_PARTS), ALL, "invalid-header-line"),
        _without(rb"(?m)^(?=[a-z][a-z0-9*-]*=)", b" "),
    ),
    Row(
        "octets in an unknown charset that are UTF-8 have their characters; postal-mime reads windows-1252",
        b"Content-Type: text/html; charset=x\r\n\r\n\xc3\xbc",
        _of(TEXTS, ("postal-mime",), "unknown-charset"),
        _without(rb"charset=[^\s;]*", b"charset=utf-8"),
    ),
    Row(
        "text parts beside HTML in an alternative are in the view of HTML (RFC 8621 4.1.4); postal-mime drops them",
        MULTIPART.replace(b"mixed", b"alternative") + b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
        b"--c\r\nContent-Type: text/html\r\n\r\n<p>x\r\n--c\r\n\r\ny\r\n--c--\r\n--b--\r\n",
        _both(
            _of(("html",), ("postal-mime",)),
            lambda it: b"alternative" in it.octets.lower(),
            lambda it: all(map(is_same_when_read, it.left_of(MIXED(it.octets)))),
        ),
    ),
    Row(
        "a charset without the number of its part (`iso8859-`) is unknown, and octets in UTF-8 have their characters;"
        " for Python it is Latin-1",
        b"Content-Type: text/plain; charset=iso8859-\r\n\r\n\xc3\xa9",
        _both(_of(("texts",), ("python",), "unknown-charset"), each(is_guessed_utf8)),
    ),
    Row(
        "octets that the charset of the label does not have, and that are UTF-8, are UTF-8; postal-mime has U+FFFD",
        b"Content-Type: text/plain; charset=big5\r\n\r\n\xed\x95\x9c\xea\xb5\xad",
        _both(
            _of(TEXTS, ("postal-mime",), "wrong-charset"),
            lambda it: bool(re.search("[\x80-\x9f\ufffd]", it.theirs)) and "\ufffd" not in it.ours,
        ),
        _without(rb"(charset=\"?)(?:big5|euc-|gb|shift|iso-2022|windows-1251)[^\"\s;]*", rb"\1utf-8"),
    ),
    Row(
        "octets that are not UTF-8, most of them, are windows-1252; postal-mime reads UTF-8 with U+FFFD",
        b"Content-Type: text/plain\r\n\r\n\xc7\xd1\xbe\xee",
        _both(
            _of((*TEXTS, "attached"), ("postal-mime",), *CHARSET_DEFECTS),
            each(lambda a, b: is_guessed(a, b) or runs(is_guessed)(a, b)),
        ),
    ),
    Row(
        "octet FF is not in GBK (WHATWG Encoding 10.1.1); postal-mime has a private character of Windows for it",
        b"Content-Type: text/plain; charset=gbk\r\n\r\n\xff",
        _both(
            _of(TEXTS, ("postal-mime",), "undecodable-charset"), each(lambda a, b: a == b.replace("\uf8f5", "\ufffd"))
        ),
    ),
    Row(
        "texts of several parts, some of them in UTF-8 under a label that is unknown or wrong, are read one by one",
        b"Content-Type: text/plain; charset=us-ascii\r\n\r\n\xc3\xa9\r\n",
        _both(
            _of(TEXTS, ("postal-mime",), "unknown-charset", "wrong-charset"),
            each(runs(is_guessed, is_guessed_utf8, is_windows_1252)),
        ),
    ),
    Row(
        "UTF-16 without a byte order mark is big-endian (RFC 2781 4.3); the others take it for little-endian",
        b"Content-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\nZeVnLA==",
        _of(TEXTS),
        _without(rb"(charset=\"?)utf-?16(?![lb]e)", rb"\1utf-16be"),
    ),
    Row(
        "UTF-16 without a transfer encoding has octets of line ends inside of characters, against RFC 2046 4.1.1: we"
        " decode all octets, postal-mime what is between line ends, with one of its own at the end",
        b"Content-Type: text/plain; charset=utf-16le\r\n\r\nT\0g\0e\0\r\0\n\0",
        _of(("text", "html"), ("postal-mime",)),
        _without(rb"(charset=\"?)utf-?16(?:[lb]e)?", rb"\1us-ascii"),
    ),
    Row(
        "format=flowed stays as sent; postal-mime joins its lines (RFC 3676 4.1)",
        b"Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\na \r\nb\r\n",
        _of(("text",), ("postal-mime",)),
        _without(rb";[ \t]*format=\"?flowed"),
    ),
    Row(
        "a text with a name that is not the first part, or with a disposition other than inline, is an attachment"
        " (RFC 8621 4.1.4, RFC 2183 2.8); for postal-mime it is text",
        MULTIPART + b"--b\r\n\r\nx\r\n--b\r\nContent-Type: text/plain; name=n\r\n\r\ny\r\n--b--\r\n",
        _of(("attached", "text", "html"), ("postal-mime",)),
        without_names,
    ),
    Row(
        "blanks may stand around the slash of a type, as between all tokens (RFC 2045 5.1, RFC 822 3.1.4); for the"
        " others they are part of it",
        b"Content-Type: application/ pdf\r\n\r\nx",
        _of(IN_PARTS),
        _without(rb"(content-type[ \t]*:[^\r\n;/]*?)[ \t]*/[ \t]*", rb"\1/"),
    ),
    Row(
        "a line that begins like a link (`http://`) is text, and no field",
        b"http://x.example\r\n\r\nA",
        _of(IN_PARTS, ALL, "invalid-header-line"),
        _without(rb"(?m)^([!-9;-~]+):(?=//)", rb"\1: "),
    ),
    Row(
        "a parenthesis that is not closed is a character, and the address behind it counts; for the others the rest is"
        " a comment",
        b"To: Bo( Ann <a@b.example>\r\n\r\nx",
        _of(ADDRESSES, ALL, "invalid-address"),
        _without(rb"(?m)^((?:from|to)[ \t]*:(?:[^\r\n()]|\r?\n[ \t])*)\((?=(?:[^\r\n)]|\r?\n[ \t])*\r?$)", rb"\1"),
    ),
    Row(
        "a parenthesis in an encoded word is one, though RFC 2047 5 (3) forbids it; the others begin a comment",
        b"From: =?utf-8?q?(?= <a@b.example>\r\n\r\nx",
        _of(ADDRESSES),
        _without(rb"(=\?[^?\s]+\?q\?[^?\s()]*)[()](?=[^?\s]*\?=)", rb"\1=28"),
    ),
    Row(
        "blanks in an encoded word are blanks (RFC 2047 2 forbids them): `= A9` is no escape; postal-mime drops them",
        b"Subject: =?utf-8?q?= A9?=\r\n\r\nx",
        _of(FIELDS, ALL, "invalid-encoded-word"),
        _without(rb"=\?[^?\s]+\?q\?[^?\r\n]*=[ \t][^?\r\n]*\?=", b"word"),
    ),
    Row(
        "an `@` before brackets is a name (RFC 5322 3.4 wants it quoted); for Python the list ends there",
        b"From: @<a@e.example>\r\n\r\nx",
        _of(ADDRESSES, PYTHON),
        _without(rb"(?<=[:,;\s])@(?=[ \t]*<)", b"name"),
    ),
    Row(
        "blanks before the dots of a domain are no part of it (RFC 5322 4.4); the others end the address there",
        b"To: b@x\r\n .example\r\n\r\nx",
        _of(ADDRESSES),
        _without(rb"(?<=[a-z0-9])\s+\.(?=[a-z0-9])", b"."),
    ),
    Row(
        "a question mark in an encoded word is one (RFC 2047 2 wants `=3F`); the others leave the word undecoded",
        b"Subject: =?utf-8?q???=\r\n\r\nx",
        _of(FIELDS, ALL, "invalid-encoded-word"),
        _without(rb"(=\?[^?\s]+\?q\?[^?\s]*)\?(?=\?=)", rb"\1=3F"),
    ),
    Row(
        "an encoded word without its end is no encoded word (RFC 2047 2); Python decodes it",
        b"Subject: =?utf-8?q?=C3=A9\r\n\r\nx",
        _of(FIELDS, ("python",)),
        _without(rb"=\?[^?\s]+\?[bq]\?[^?\s]*(?=\s|\Z)", b"word"),
    ),
    Row(
        "encoded words beside raw octets are decoded; Python's old parser leaves them then",
        b"Subject: \xaf =?utf-8?q?a?=\r\n\r\nx",
        _of(FIELDS, ("compat32",)),
        _without(rb"[\x80-\xff]+", b"x"),
    ),
    Row(
        "text that cannot be an address (RFC 5322 3.4.1) stays as it came, with its defect; others show nothing",
        b"To: o(@x.example\r\n\r\nx",
        _both(_of(ADDRESSES, ALL, "invalid-address"), has_no_more_valid),
    ),
    Row(
        "a label of UTF-16 on octets that are not in it is a mistake; the others read other characters",
        b"Content-Type: text/plain; charset=utf-16\r\n\r\nTo: bob@example.com",
        _of((*TEXTS, *FIELDS), ALL, "wrong-charset"),
        _without(rb"utf-?16(?:[lb]e)?|unicode", b"utf-8"),
    ),
    Row(
        "uuencoded parts are decoded (RFC 2045 6.4, x-token); postal-mime does not, Python only where there is `begin`",
        b"Content-Type: application/x\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 x\r\n#0V%T\r\n`\r\n",
        _of(IN_PARTS),
        _without(rb"(transfer-encoding[ \t]*:)[^\n]*uue[^\n]*", rb"\1 7bit\r"),
    ),
    Row(
        "`==` in quoted-printable is two characters, and the rest stays as it is; Python drops one",
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n*==a\r\n",
        _of(("contents", "texts"), ("python",), "invalid-quoted-printable"),
        _without(rb"==", b"-"),
    ),
    Row(
        "of `filename` and `filename*` the second one counts (RFC 6266 4.3), and its bad escapes stay as they are",
        b"Content-Disposition: attachment; filename=\"t\"; filename*=utf-8''%C3%BB\r\n\r\nx",
        _of(("names", "attached")),
        _without(rb";\s*filename(?:=[^;\r\n]*|\*[^;\r\n]*)", b""),
    ),
]


def reason(it: Difference, depth: int = 2) -> str | None:
    """Why a difference is known, None if it is not.

    There may be several reasons at once: then the message without all that they name shows none, or what is left has
    its own reasons, `depth` times.
    """
    for row in KNOWN:
        if row.accepts(it):
            return row.reason
    cured = it.octets
    for row in KNOWN:
        if row.cure is not None and row.concerns(it):
            cured = row.cure(cured)
    if not depth or cured == it.octets:
        return None
    return SEVERAL if all(reason(left, depth - 1) is not None for left in it.left_of(cured)) else None


def unproved(differences: Callable[[bytes], list[Difference]]) -> list[str]:
    """The reasons whose own message shows no difference, or one that they do not accept."""
    return [row.reason for row in KNOWN if not any(row.accepts(it) for it in differences(row.example))]
