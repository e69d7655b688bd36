"""Forms of messages and of command streams that were made to cost work: each is a function of its length in octets."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TypeAlias

Form: TypeAlias = Callable[[int], bytes]

# What is repeated, or written in the place of a structured value.
_ATOMS = {
    "opening brackets": "(",
    "closing brackets": ")",
    "comments": "(a) ",
    "nested comments": "(a(b",
    "angles": "<",
    "closing angles": ">",
    "doubled angles": "<<a@b>> ",
    "quotes": '"',
    "words in quotes": '"a" ',
    "unequal quotes": "\"'",
    "backslashes": "\\",
    "quoted pairs": '"\\a',
    "commas": "a,",
    "semicolons": "a;",
    "groups": "a: b@c; ",
    "colons": "a:",
    "mailboxes": "A B <a@b>, ",
    "bare mailboxes": "a@b ",
    "ats": "a @ ",
    "routes": "<@a,@b:",
    "literals": "a@[1.",
    "words": "=?utf-8?q?=41?= ",
    "words that touch": "=?utf-8?b?QQ==?=",
    "openings of words": "=?",
    "closings of words": "?=",
    "words without end": "=?utf-8?q?",
    "words in strange charsets": "=?x-y?b?QQ==?= ",
    "words cut in a shift": "=?iso-2022-jp?b?GyRCRg==?= ",
    "words cut in a character": "=?utf-8?q?=C3?= ",
    "commas in words": "=?utf-8?q?=2C?= ",
    "parameters": "; a=b",
    "equal parameters": "; name=b",
    "numbered parameters": "; name*0=b",
    "parameters in pieces": "; name*9*=utf-8''%41",
    "values in quotes": '; name="b c"',
    "values in open quotes": '; name="b',
    "boundaries": " boundary=b",
    "equals signs": "=",
    "blanks": " ",
    "tabs": "\t",
    "folded lines": "\r\n ",
    "folded words": "a\r\n ",
    "octets of Latin-1": "\xe9",
    "octets of UTF-8": "\xc3\xa9",
    "cut octets of UTF-8": "\xe2\x82",
    "NULs": "\0",
    "percents": "%4",
    "slashes": "a/",
    "letters": "a",
}
_FIELDS = (
    "Subject",
    "To",
    "Content-Type",
    "Content-Disposition",
    "Content-ID",
    "Content-Transfer-Encoding",
    "Message-ID",
)
_LINES = {
    "empty fields": "a:\r\n",
    "numbered fields": "x-{}: y\r\n",
    "addresses in fields": "To: a@b\r\n",
    "types in fields": "Content-Type: a/b; c=d\r\n",
    "names of letters": "a" * 50 + "\r\n",
    "fields of hyphens": "a-b-c-d-e-f-g: x\r\n",
    "lines without colon": "no colon\r\n",
    "dashes": "--\r\n",
    "delimiters": "--b\r\n",
    "longer delimiters": "--bb\r\n",
    "delimiters with blanks": "--b \t\r\n",
    "closing delimiters": "--b--\r\n",
    "carriage returns": "\r",
    "line feeds": "\n",
    "doubled carriage returns": "\r\r\n",
    "blank lines": " \r\n",
    "lines of mailboxes": "From a@b\r\n",
    "junk": "\xff\xfe: x\r\n",
    "tables of dots": ".\r\n",
    "lines of quotes": ">\r\n",
}
_PARTS = {
    "empty parts": "\r\n",
    "parts": "\r\n\r\nx\r\n",
    "parts without empty line": "\r\nx\r\n",
    "HTML parts": "\r\nContent-Type: text/html\r\n\r\n<a>\r\n",
    "attachments": "\r\nContent-Type: a/b; name=c\r\n\r\nx\r\n",
    "attachments in base64": "\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n",
    "texts in base64": "\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\n",
    "texts in UTF-7": "\r\nContent-Type: text/plain; charset=utf-7\r\n\r\n+AOk-\r\n",
    "messages": "\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nx\r\n",
    "parts with identifiers": "\r\nContent-ID: <a@b>\r\nContent-Type: text/html\r\n\r\nx\r\n",
    "parts with dashes in the header": "\r\nX: y\r\n--\r\n--\r\nContent-Type: text/plain\r\n\r\n",
    "multiparts of one boundary": "\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n",
}
_CHARSETS = (
    "utf-8",
    "us-ascii",
    "utf-7",
    "utf-16",
    "utf-16be",
    "utf-32",
    "iso-2022-jp",
    "iso-2022-kr",
    "hz-gb-2312",
    "gb18030",
    "big5",
    "euc-jp",
    "shift_jis",
    "cesu-8",
    "x-unknown",
)
_OCTETS = {
    "letters": b"a",
    "0xFF": b"\xff",
    "NULs": b"\0",
    "surrogates": b"\xd8\x00",
    "escapes": b"\x1b$B",
    "open shifts": b"+",
    "characters cut off": b"a\xe2\x82",
    "leads": b"\x81",
}
_ENCODED = (b"A", b"=", b"=\r\n", b"=4", b"!", b"QUJD\r\n", b" \r\n", b"\r", b"\xff", b"begin 644 a\r\n", b"M")
_COMMANDS = {
    "NOOP": "NOOP\r\n",
    "empty lines": "\r\n",
    "bare line feeds": "\n",
    "carriage returns": "\r",
    "unknown commands": "X\r\n",
    "lower case": "noop\r\n",
    "leading blanks": "  NOOP\r\n",
    "EHLO": "EHLO x\r\n",
    "EHLO with literals": "EHLO [IPv6:1:2:3:4:5:6:7:8]\r\n",
    "MAIL and RSET": "MAIL FROM:<a@b>\r\nRSET\r\n",
    "RCPT": "RCPT TO:<a@b>\r\n",
    "RCPT with names": 'RCPT TO:"A B" <a@b> NOTIFY=NEVER\r\n',
    "DATA out of place": "DATA\r\n",
    "BDAT without a mail": "BDAT 1\r\nx",
    "AUTH that fails": "AUTH PLAIN !\r\n",
    "AUTH cancelled": "AUTH LOGIN\r\n*\r\n",
    "AUTH": "AUTH PLAIN AGEAYg==\r\n",
    "VRFY": "VRFY a\r\n",
    "8-bit": "NOOP \xe9\r\n",
    "UTF-8": "NOOP \xc3\xa9\r\n",
}
_LONG_LINES = {
    "NOOP": "NOOP ",
    "EHLO": "EHLO ",
    "MAIL": "MAIL FROM:",
    "MAIL in brackets": "MAIL FROM:<",
    "MAIL with parameters": "MAIL FROM:<a@b>",
    "RCPT": "MAIL FROM:<a@b>\r\nRCPT TO:",
    "RCPT in brackets": "MAIL FROM:<a@b>\r\nRCPT TO:<",
    "AUTH": "AUTH PLAIN ",
    "VRFY": "VRFY ",
    "HTTP": "GET ",
}
_LINE_ATOMS = ("letters", "blanks", "angles", "closing angles", "quotes", "backslashes", "opening brackets", "ats")
_LINE_ATOMS += ("routes", "literals", "words", "commas", "octets of UTF-8", "equals signs", "percents")
_MAILS = {
    "mails by BDAT": "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 3 LAST\r\nx\r\n",
    "mails by DATA": "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\n",
    "mails that are reset": "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 1\r\nxRSET\r\n",
}


def _repeat(atom: str, size: int) -> bytes:
    octets = atom.encode("latin-1")
    return octets * max(size // len(octets), 1)


def _field(name: str, atom: str) -> Form:
    return lambda size: f"{name}: ".encode() + _repeat(atom, size) + b"\r\n\r\nx\r\n"


def _part_field(name: str, atom: str) -> Form:
    def form(size: int) -> bytes:
        header = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n"
        return header + f"{name}: ".encode() + _repeat(atom, size) + b"\r\n\r\nx\r\n--b--\r\n"

    return form


def _value(before: str, atom: str, after: str) -> Form:
    return lambda size: before.encode() + _repeat(atom, size) + after.encode() + b"\r\n\r\nx\r\n"


def _header(line: str) -> Form:
    def form(size: int) -> bytes:
        count = max(size // len(line.format(99)), 1) if "{}" in line else 0
        lines = "".join(map(line.format, range(count))).encode() if count else _repeat(line, size)
        return b"Subject: x\r\n" + lines + b"\r\nx\r\n"

    return form


def _body(line: str) -> Form:
    return lambda size: b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + _repeat(line, size)


def _plain_body(line: str) -> Form:
    return lambda size: b"Subject: x\r\n\r\n" + _repeat(line, size)


def _multipart(subtype: str, part: str) -> Form:
    return lambda size: f"Content-Type: multipart/{subtype}; boundary=b\r\n\r\n".encode() + _repeat("--b" + part, size)


def _nested(junk: str, tail: str) -> Form:
    """As many levels as there may be, then the rest."""

    def form(size: int) -> bytes:
        opening = "Content-Type: multipart/mixed; boundary=b0\r\n" + junk
        for level in range(min(99, size // 64)):
            opening += f"--b{level}\r\nContent-Type: multipart/mixed; boundary=b{level + 1}\r\n{junk}"
        return opening.encode("latin-1") + _repeat(tail, size)

    return form


def _text(charset: str, octets: bytes) -> Form:
    header = f"Content-Type: text/plain; charset={charset}\r\n\r\n".encode()
    return lambda size: header + octets * (size // len(octets))


def _encoded(encoding: str, octets: bytes) -> Form:
    header = f"Content-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    return lambda size: header + octets * (size // len(octets))


def _html(text: bytes) -> Form:
    return lambda size: b"Content-Type: text/html\r\n\r\n" + text * (size // len(text))


def _messages() -> dict[str, Form]:
    forms: dict[str, Form] = {}
    for name in _FIELDS:
        for title, atom in _ATOMS.items():
            forms[f"{name}: {title}"] = _field(name, atom)
    for name in ("Content-Type", "Content-Disposition"):
        for title in ("parameters", "quotes", "comments", "letters", "values in quotes", "folded lines"):
            forms[f"{name} of a part: {title}"] = _part_field(name, _ATOMS[title])
    for title, atom in _ATOMS.items():
        forms[f"boundary: {title}"] = _value("Content-Type: multipart/mixed; boundary=", atom, "")
        forms[f"charset: {title}"] = _value('Content-Type: text/plain; charset="', atom, '"')
        forms[f"file name: {title}"] = _value('Content-Disposition: attachment; filename="', atom, '"')
    for title, line in _LINES.items():
        forms[f"header: {title}"] = _header(line)
        forms[f"parts' body: {title}"] = _body(line)
        forms[f"body: {title}"] = _plain_body(line)
    forms["related: a long identifier of the root"] = lambda size: (
        (b'Content-Type: multipart/related; boundary=b; start="' + b"a @ " * (size // 8) + b'"\r\n\r\n')
        + _repeat("--b\r\nContent-ID: <x>\r\n\r\n", size // 2)
    )
    for subtype in ("mixed", "alternative", "related", "digest"):
        for title, part in _PARTS.items():
            forms[f"{subtype}: {title}"] = _multipart(subtype, part)
    for title, junk in (("no junk", ""), ("junk", "junk line\r\n"), ("empty lines", "\r\n")):
        for tail in ("--\r\n", "--b5\r\n", "--b98\r\n", "--b50--\r\n", "\r\nx\r\n", "--b98\r\n\r\nx\r\n", "a: b\r\n"):
            forms[f"nested, {title}: {tail!r}"] = _nested(junk, tail)
    for charset in _CHARSETS:
        for title, octets in _OCTETS.items():
            forms[f"{charset}: {title}"] = _text(charset, octets)
    for encoding in ("base64", "quoted-printable", "x-uuencode", "7bit"):
        for octets in _ENCODED:
            forms[f"{encoding}: {octets!r}"] = _encoded(encoding, octets)
    for text in (b"<", b"<meta ", b"<meta charset=", b"<!--", b"<?xml ", b"&", b"<a b='", b"\xff<"):
        forms[f"HTML: {text!r}"] = _html(text)
    return forms


def _streams() -> dict[str, Form]:
    forms: dict[str, Form] = {}
    for title, command in _COMMANDS.items():
        forms[f"commands: {title}"] = lambda size, command=command: _repeat(command, size)  # type: ignore[misc]
    for title, start in _LONG_LINES.items():
        for name in _LINE_ATOMS:
            forms[f"line of {title}: {name}"] = lambda size, start=start, atom=_ATOMS[name]: (  # type: ignore[misc]
                start.encode() + _repeat(atom, size) + b"\r\n"
            )
    for title, mail in _MAILS.items():
        forms[title] = lambda size, mail=mail: _repeat(mail, size)  # type: ignore[misc]
    forms["chunks of an octet"] = lambda size: b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n" + _repeat("BDAT 1\r\nx", size)
    forms["empty chunks"] = lambda size: b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n" + _repeat("BDAT 0\r\n", size)
    for count in (1, 100):
        forms[f"{count} recipients, then parameters"] = lambda size, count=count: (  # type: ignore[misc]
            b"MAIL FROM:<a@b>\r\n" + b"RCPT TO:<c@d>\r\n" * count + b"RCPT TO:<e@f> " + _repeat("A=b ", size) + b"\r\n"
        )
    forms["a token"] = lambda size: b"AUTH XOAUTH2 " + base64.b64encode(b"user=a\1" * (size // 10)) + b"\r\n"
    return forms


MESSAGES = _messages()
STREAMS = _streams()
