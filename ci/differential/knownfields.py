"""Differences in subjects and addresses that were judged, and are ours to keep: see `rows`."""

from __future__ import annotations

import re

from cures import commas, one_field, plain_labels
from rows import ADDRESSES, ALL, FIELDS, PYTHON, Row, both, of, without
from values import alone, each, has_no_more_valid, is_foreign, is_sane, is_unread, keeps_addresses

FIELDS_KNOWN = [
    Row(
        "raw octets in a header, or octets in a charset that the other does not know: we have the characters",
        b"Subject: \xc3\xaf\r\n\r\nx",
        both(of(FIELDS), each(is_unread)),
    ),
    Row(
        "a damaged address list, of which the others make different things, too; we lose no address of theirs",
        b"To: a b@c.example\r\n\r\nx",
        both(of(ADDRESSES, ALL, "invalid-address"), lambda it: bool(it.agreeing or it.dissenting), keeps_addresses),
    ),
    Row(
        "a comment is the name where there is no other (RFC 822 did so); Python's new parser drops it",
        b"To: a@b.example (Ann)\r\n\r\nx",
        of(ADDRESSES, ("python",)),
        without(rb"\([^()\r\n]*\)"),
    ),
    Row(
        "the quotes of a local part belong to the address (RFC 5321 4.1.2), and blanks in them; others take them off",
        b'To: "a b "@c.example\r\n\r\nx',
        both(of(ADDRESSES), each(lambda a, b: re.sub('[" ]', "", a) == b.replace(" ", "") and '"@' in a)),
    ),
    Row(
        "a local part in quotes may be empty or blanks (RFC 5321 4.1.2); for Python's old parser nothing is there then",
        b'To: " "@c.example\r\n\r\nx',
        of(ADDRESSES),
        without(rb'"\s*"(?=@)', b"q"),
    ),
    Row(
        "a route before the address is no part of it (RFC 5322 4.4); postal-mime and Python's old parser keep it",
        b"To: <@x.example,@y.example:a@b.example>\r\n\r\nx",
        of(ADDRESSES),
        without(rb"(?<=<)[ \t]*@[^<>:]*:"),
    ),
    Row(
        "an encoded word against the rules is decoded all the same (RFC 2047 6.3 allows it), as one of the others does",
        b"Subject: a=?utf-8?q?=C3=A9?=b\r\n\r\nx",
        both(of(FIELDS, ALL, "invalid-encoded-word"), lambda it: bool(it.agreeing)),
    ),
    Row(
        "an encoded word with malformed base64 is left as it is (RFC 2047 6.3); the others leave out characters",
        b"Subject: =?utf-8?b?w6*k?=\r\n\r\nx",
        of(("subject", *ADDRESSES)),
        without(rb"=\?[^?\s]+\?b\?(?:(?!\?=).)*?(?!\?=)[^a-z0-9+/= \n](?:(?!\?=).)*\?=", b"word"),
    ),
    Row(
        "a local part without a domain, or commas in a name without quotes: one mailbox for us, two or none for others",
        b"To: t,n <a@b.example>\r\n\r\nx",
        both(
            of(ADDRESSES, ALL, "invalid-address"),
            each(lambda mine, theirs: ("," in mine and mine.endswith(theirs)) or is_unread(mine, theirs)),
        ),
    ),
    Row(
        "an address before brackets is the name of the one in them; for Python they are two, or the second one is lost",
        b"To: c@d.example <a@b.example>\r\n\r\nx",
        of(ADDRESSES, PYTHON),
        without(rb"(?:\"[^\"\r\n]*\"|[^\s,;<>:\"()])+@[^,;<>:\"()]+(?=(?:[ \t]|\([^()\r\n]*\))*<)", b"name"),
    ),
    Row(
        "comments are no part of a name that stands there; Python's old parser adds them to it",
        b"To: Ann (x) <a@b.example>, (y) c@d.example\r\n\r\nx",
        of(ADDRESSES, ("compat32",)),
        without(rb"\([^()\r\n]*\)"),
    ),
    Row(
        "words that were cut inside of a shift are joined; the others decode each alone",
        b"Subject: =?ISO-2022-JP?B?GyRCRUQ=?= =?ISO-2022-JP?B?Q2YbKEI=?=\r\n\r\nx",
        of(FIELDS),
        without(rb"(?:=\?(?:iso-2022-[a-z]+|utf-7|utf-16|hz[^?]*)\?[bq]\?[^?]*\?=\s*){2,}", b"words "),
    ),
    Row(
        "control characters in fields stay, but for NUL, which goes; the others have it the other way round",
        b"To: a@b\x1b.example\r\n\r\nx",
        of(FIELDS),
        without(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]"),
    ),
    Row(
        "semicolons separate mailboxes, as Outlook writes them; Python ends the list there",
        b"To: a@b.example; c@d.example\r\n\r\nx",
        of(ADDRESSES, PYTHON),
        commas,
    ),
    Row(
        "a field that is UTF-8 but for some octets keeps its characters, and what is left of words is guessed",
        b"Subject: =?x-unknown?q?=E9?=\r\n\r\nx",
        both(of(FIELDS), each(is_foreign)),
    ),
    Row(
        "Python's old parser has its own rules for blanks between words and text",
        b"Subject: =?utf-8?q?a?=b\r\n\r\nx",
        both(of(("subject",), ("compat32",)), each(lambda a, b: a.replace(" ", "") == b.replace(" ", ""))),
    ),
    Row(
        "words in UTF-7, ISO-2022-KR and HZ are decoded; postal-mime, as browsers, leaves them as they are",
        b"Subject: =?utf-7?q?+APY-?=\r\n\r\nx",
        of(FIELDS, ("postal-mime",)),
        without(rb"=\?[^?\s]*(?:utf-?7|2022-?kr|hz)[^?\s]*\?[bq]\?[^?]*\?=", b"word"),
    ),
    Row(
        "a blank ends an address, and what follows is its name; Python's old parser takes the blank out",
        b"To: a@b.example n\r\n\r\nx",
        of(ADDRESSES, ("compat32",), "invalid-address"),
        without(rb"(@[^\s,;<>:\"()]+)[ \t]+(?=[^\s,;<>@.])", rb"\1, "),
    ),
    Row(
        "a bracket that is not closed is a character of the address; Python's old parser closes it",
        b"To: a@[\r\n\r\nx",
        of(ADDRESSES, ("compat32",), "invalid-address"),
        without(rb"\[(?![^\]\n]*\])"),
    ),
    Row(
        "`>` ends an address in square brackets, too, as in `<a@[192.0.2.1>`: RFC 5322 3.4.1 allows it there, but no"
        " literal has it",
        b"To: a@[>]\r\n\r\nx",
        of(ADDRESSES, ALL, "invalid-address"),
        without(rb"(?m)\[[^\[\]\r\n<>]*[<>][^\[\]\r\n]*(?:\]|(?=\r*$))", b"x"),
    ),
    Row(
        "one of Python's parsers reads an address list otherwise, and the other one and postal-mime read it as we do",
        b"To: (x) a@b.example\r\n\r\nx",
        both(of(ADDRESSES, PYTHON), alone),
    ),
    Row(
        "an address in brackets may be an encoded word, and has no blanks; the others take it for quoted, or cut it",
        b"To: <=?utf-8?q?a=40b.example?=>\r\n\r\nx",
        both(of(ADDRESSES), is_sane),
        without(rb"<[^<>]*(?:=\?|\s)[^<>]*>", b"<w@w>"),
    ),
    Row(
        "several fields of one kind: all their addresses; for the others the first or the last one counts",
        b"To: a@b.example\r\nTo: c@d.example\r\n\r\nx",
        of(ADDRESSES),
        one_field,
    ),
    Row(
        "a parenthesis that is not closed is a character, and the address behind it counts; for the others the rest is"
        " a comment",
        b"To: Bo( Ann <a@b.example>\r\n\r\nx",
        of(ADDRESSES, ALL, "invalid-address"),
        without(rb"(?m)^((?:from|to)[ \t]*:(?:[^\r\n()]|\r?\n[ \t])*)\((?=(?:[^\r\n)]|\r?\n[ \t])*\r?$)", rb"\1"),
    ),
    Row(
        "a parenthesis in an encoded word is one, though RFC 2047 5 (3) forbids it; the others begin a comment",
        b"From: =?utf-8?q?(?= <a@b.example>\r\n\r\nx",
        of(ADDRESSES),
        without(rb"(=\?[^?\s]+\?q\?[^?\s()]*)[()](?=[^?\s]*\?=)", rb"\1=28"),
    ),
    Row(
        "blanks in an encoded word are blanks (RFC 2047 2 forbids them): `= A9` is no escape; postal-mime drops them",
        b"Subject: =?utf-8?q?= A9?=\r\n\r\nx",
        of(FIELDS, ALL, "invalid-encoded-word"),
        without(rb"=\?[^?\s]+\?q\?[^?\r\n]*=[ \t][^?\r\n]*\?=", b"word"),
    ),
    Row(
        "an `@` before brackets is a name (RFC 5322 3.4 wants it quoted); for Python the list ends there",
        b"From: @<a@e.example>\r\n\r\nx",
        of(ADDRESSES, PYTHON),
        without(rb"(?<=[:,;\s])@(?=[ \t]*<)", b"name"),
    ),
    Row(
        "blanks before the dots of a domain are no part of it (RFC 5322 4.4); the others end the address there",
        b"To: b@x\r\n .example\r\n\r\nx",
        of(ADDRESSES),
        without(rb"(?<=[a-z0-9])\s+\.(?=[a-z0-9])", b"."),
    ),
    Row(
        "a question mark in an encoded word is one (RFC 2047 2 wants `=3F`); the others leave the word undecoded",
        b"Subject: =?utf-8?q???=\r\n\r\nx",
        of(FIELDS, ALL, "invalid-encoded-word"),
        without(rb"(=\?[^?\s]+\?q\?[^?\s]*)\?(?=\?=)", rb"\1=3F"),
    ),
    Row(
        "an encoded word without its end is no encoded word (RFC 2047 2); Python decodes it",
        b"Subject: =?utf-8?q?=C3=A9\r\n\r\nx",
        of(FIELDS, ("python",)),
        without(rb"=\?[^?\s]+\?[bq]\?[^?\s]*(?=\s|\Z)", b"word"),
    ),
    Row(
        "encoded words beside raw octets are decoded; Python's old parser leaves them then",
        b"Subject: \xaf =?utf-8?q?a?=\r\n\r\nx",
        of(FIELDS, ("compat32",)),
        without(rb"[\x80-\xff]+", b"x"),
    ),
    Row(
        "a charset with a sign in or behind its name that no name has is known; for the others it is another one",
        b"Subject: =?iso-2022-jp'?q?=1B=28B?=\r\n\r\nx",
        of(FIELDS),
        plain_labels,
    ),
    Row(
        "an encoded word may begin with a bare equals sign, at which Python's new parser ends it",
        b"Subject: =?utf-8?q?=?=\r\n\r\nx",
        of(FIELDS, ("python",)),
        without(rb"(=\?[^?\s]+\?q\?)=(?![0-9a-f]{2})", rb"\1=3D"),
    ),
    Row(
        "an address may have its `@` in an encoded word, as gateways write it; for the others that is a name",
        b"From: n=?utf-8?q?=40m.example?=\r\n\r\nx",
        of(ADDRESSES, ALL, "invalid-encoded-word"),
        without(rb"=\?[^?\s]+\?q\?[^?\s]*(?:=40|@)[^?\s]*\?=", b"word"),
    ),
    Row(
        "blanks in the charset of an encoded word, or none in its place: it is no encoded word (RFC 2047 2); Python"
        " decodes it",
        b"Subject: =?utf-8\t?q?a?=\r\n\r\nx",
        of(FIELDS, PYTHON),
        without(rb"=\?(?:[^?\s]*\s[^?]*)?\?[bq]\?[^?]*(?:\?=)?", b"word"),
    ),
    Row(
        "text that cannot be an address (RFC 5322 3.4.1) stays as it came, with its defect; others show nothing",
        b"To: o(@x.example\r\n\r\nx",
        both(of(ADDRESSES, ALL, "invalid-address"), has_no_more_valid),
    ),
]
