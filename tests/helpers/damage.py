"""Broken messages, each with the defects it has: those of the message, then those of each attachment."""

from __future__ import annotations

from fastsmtp.mime import defects as d


def crlf(text: str) -> bytes:
    """Lines joined by CRLF; the characters are Latin-1 octets."""
    return text.replace("\n", "\r\n").encode("latin-1")


def multipart(body: str, boundary: str = "b") -> bytes:
    return crlf(f"Subject: x\nContent-Type: multipart/mixed; boundary={boundary}\n\n{body}")


def part(header: str, body: str) -> bytes:
    """A message whose second part is an attachment."""
    return multipart(f"--b\n\ntext\n--b\nContent-Type: application/x; name=a\n{header}\n\n{body}\n--b--\n")


def nested(depth: int, broken: str = "") -> bytes:
    opened = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n{broken}\n--b{n}\n" for n in range(depth))
    return crlf(opened + "\nleaf\n" + "".join(f"--b{n}--\n" for n in reversed(range(depth))))


INNER = 'Content-Type: multipart/mixed; boundary="{}"\n\n--{}\n\none\n'
LONG = "x" * 2 * 1024 * 1024

# QUIRKs that are not damage stand here too, with no defects.
DAMAGE: dict[str, tuple[bytes, list[str], list[list[str]]]] = {
    "nothing at all": (b"", [], []),
    "one line break": (b"\r\n", [], []),
    "no header": (crlf("just text\n\nmore\n"), [d.INVALID_HEADER_LINE], []),
    "header only": (crlf("Subject: x\n"), [], []),
    "header only, cut inside a line": (b"Subject: x", [], []),
    "line feeds only": (b"Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n", [], []),
    "carriage returns only": (b"Subject: x\r\rtext\r", [], []),
    "line ends mixed": (b"Subject: x\nContent-Type: multipart/mixed; boundary=b\r\n\n--b\r\n\none\n--b--\r\n", [], []),
    "mbox line": (crlf("From a@example.com Mon Nov  3 10:30:45 2025\nSubject: x\n\ntext\n"), [d.MBOX_FROM_LINE], []),
    "byte order mark": (b"\xef\xbb\xbf" + crlf("Subject: x\n\ntext\n"), [d.JUNK_BEFORE_HEADER], []),
    "8-bit header in latin-1": (crlf("Subject: Gr\xfc\xdfe\n\ntext\n"), [d.HEADER_8BIT], []),
    "8-bit header in UTF-8": ("Subject: Grüße\r\n\r\ntext\r\n".encode(), [], []),
    "NUL in header": (crlf("Subject: a\0b\n\ntext\n"), [d.HEADER_NUL], []),
    "NUL in body": (crlf("Subject: x\n\na\0b\n"), [], []),
    "NUL in part": (part("X: y", "\0" * 100), [], [[]]),
    "line without colon in header": (crlf("Subject: x\nno colon\nTo: a@b\n\ntext\n"), [d.INVALID_HEADER_LINE], []),
    "header line of two megabytes": (crlf(f"Subject: {LONG}\n\ntext\n"), [d.UNTERMINATED_HEADER], []),
    "header of half a megabyte in one line": (crlf(f"Subject: {LONG[: 512 * 1024]}\n\ntext\n"), [], []),
    "header that never ends": (crlf("X: y\n" * 400_000), [d.UNTERMINATED_HEADER, d.FIELD_LIMIT], []),
    "body line of two megabytes": (crlf(f"Subject: x\n\n{LONG}\n"), [], []),
    "ten thousand words": (crlf("X: " + "=?utf-8?q?=41?= " * 10_000 + "\n\ntext\n"), [d.WORD_LIMIT], []),
    "addresses without end": (crlf("To: " + "a@b," * 100_000 + "c@d\n\ntext\n"), [d.ADDRESS_LIMIT], []),
    "parameters without end": (
        crlf("Content-Type: text/plain" + "".join(f"; n{n}=x" for n in range(5000)) + "\n\ntext\n"),
        [d.PARAMETER_LIMIT],
        [],
    ),
    "missing boundary": (crlf("Content-Type: multipart/mixed\n\n--b\n\none\n--b--\n"), [d.MISSING_BOUNDARY], []),
    "empty boundary": (crlf('Content-Type: multipart/mixed; boundary=""\n\n--\n\none\n'), [d.MISSING_BOUNDARY], []),
    "boundary of a megabyte": (
        crlf(f'Content-Type: multipart/mixed;\n boundary="{LONG[:900_000]}"\n\n--{LONG[:800_000]}\n'),
        [d.PARAMETER_LIMIT, d.INVALID_PARAMETER, d.MISSING_BOUNDARY],
        [],
    ),
    "boundary that never comes": (multipart("text\n"), [d.MISSING_CLOSING_DELIMITER], []),
    "no closing delimiter": (multipart("--b\n\none\n"), [d.MISSING_CLOSING_DELIMITER], []),
    "cut inside a delimiter": (multipart("--b\n\none\n--"), [d.MISSING_CLOSING_DELIMITER], []),
    "duplicate boundary parameter": (
        multipart("--b\n\none\n--b--\n", "b; boundary=c"),
        [d.DUPLICATE_PARAMETER],
        [],
    ),
    "inner multipart has the boundary of the outer": (
        multipart("--b\n" + INNER.format("b", "b") + "--b--\n\n--b--\n"),
        [d.DUPLICATE_BOUNDARY],
        [],
    ),
    "inner boundary is a prefix of the outer": (
        multipart("--bb\n" + INNER.format("b", "b") + "--b--\n--bb--\n", "bb"),
        [],
        [],
    ),
    "outer boundary is a prefix of the inner": (
        multipart("--b\n" + INNER.format("b-1", "b-1") + "--b-1--\n--b--\n"),
        [],
        [],
    ),
    "inner multipart not closed": (
        multipart("--b\n" + INNER.format("c", "c") + "--b\n\ntwo\n--b--\n"),
        [d.MISSING_CLOSING_DELIMITER],
        [],
    ),
    "closing delimiter behind each part": (
        multipart("--b\n\none\n--b--\n--b\n\ntwo\n--b--\n"),
        [d.EARLY_CLOSING_DELIMITER],
        [],
    ),
    "duplicate Content-Type": (
        crlf("Content-Type: text/plain\nContent-Type: text/html\n\ntext\n"),
        [d.DUPLICATE_CONTENT_TYPE],
        [],
    ),
    "duplicate Content-Type of an attachment": (
        part("Content-Type: text/plain", "x"),
        [],
        [[d.DUPLICATE_CONTENT_TYPE]],
    ),
    "Content-Type without subtype": (crlf("Content-Type: text\n\ntext\n"), [d.INVALID_CONTENT_TYPE], []),
    "empty disposition": (crlf("Content-Disposition:\n\ntext\n"), [d.INVALID_DISPOSITION], []),
    "broken parameter": (part("Content-Disposition: attachment; filename", "x"), [], [[d.INVALID_PARAMETER]]),
    "broken address": (crlf("From: <a@b\n\ntext\n"), [d.INVALID_ADDRESS], []),
    "broken encoded word": (crlf("Subject: a=?utf-8?q?b?=\n\ntext\n"), [d.INVALID_ENCODED_WORD], []),
    "base64 with garbage": (part("Content-Transfer-Encoding: base64", "aGVs!!bG8="), [], [[d.INVALID_BASE64]]),
    "base64 of one character": (part("Content-Transfer-Encoding: base64", "a"), [], [[d.INVALID_BASE64]]),
    "base64 without padding": (
        part("Content-Transfer-Encoding: base64", "aGVsbG8"),
        [],
        [[d.MISSING_BASE64_PADDING]],
    ),
    "base64 body with garbage": (
        crlf("Content-Transfer-Encoding: base64\n\naGVs*bG8=\n"),
        [d.INVALID_BASE64],
        [],
    ),
    "quoted-printable with a wrong escape": (
        part("Content-Transfer-Encoding: quoted-printable", "a=ZZb"),
        [],
        [[d.INVALID_QUOTED_PRINTABLE]],
    ),
    "quoted-printable body with a wrong escape": (
        crlf("Content-Transfer-Encoding: quoted-printable\n\na=ZZb\n"),
        [d.INVALID_QUOTED_PRINTABLE],
        [],
    ),
    "uuencode without end": (
        part("Content-Transfer-Encoding: x-uuencode", "begin 644 a\n#86)C"),
        [],
        [[d.INVALID_UUENCODE]],
    ),
    "misspelled transfer encoding": (
        part("Content-Transfer-Encoding: base64 x", "SGVsbG8="),
        [],
        [[d.INVALID_TRANSFER_ENCODING]],
    ),
    "unknown transfer encoding": (
        part("Content-Transfer-Encoding: rot13", "x"),
        [],
        [[d.UNKNOWN_TRANSFER_ENCODING]],
    ),
    "unknown charset": (crlf("Content-Type: text/plain; charset=x-none\n\n\xfc\n"), [d.UNKNOWN_CHARSET], []),
    "wrong charset": (crlf("Content-Type: text/plain; charset=utf-8\n\n\xfc\n"), [d.WRONG_CHARSET], []),
    "missing charset": (crlf("Subject: x\n\n\xfc\n"), [d.MISSING_CHARSET], []),
    "undecodable charset": (
        crlf("Content-Type: text/plain; charset=utf-16le\n\n\0\xd8\n"),
        [d.UNDECODABLE_CHARSET],
        [],
    ),
    "depth of 99": (nested(99), [], []),
    "depth bomb": (nested(5000), [d.DEPTH_LIMIT], [[]]),
    "depth bomb of broken headers": (
        nested(5000, "no field\n"),
        [d.INVALID_HEADER_LINE, d.DEPTH_LIMIT],
        [[d.INVALID_HEADER_LINE]],
    ),
    "part bomb": (multipart("--b\n\n" * 30_000), [d.PART_LIMIT, d.MISSING_CLOSING_DELIMITER], []),
    "look-alikes of delimiters": (multipart("--b\n\n" + "--\n--bb\n-- b\n" * 100_000 + "--b--\n"), [], []),
}
