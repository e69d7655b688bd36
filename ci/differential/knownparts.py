"""Differences in parts, their types, names and octets that were judged, and are ours to keep: see `rows`."""

from __future__ import annotations

from cures import (
    decoded_fields,
    joined_boundaries,
    longer_boundaries,
    one_type,
    only_fields,
    regular_fields,
    single_boundaries,
    whole_parts,
    without_names,
    without_partless,
)
from rows import ALL, FIELDS, IN_PARTS, MULTIPART, PYTHON, Row, both, of, without
from values import each

ODD_ENCODING = (
    rb"(transfer-encoding[ \t]*:)(?![ \t]*(?:7bit|8bit|binary|base64|quoted-printable|x-uuencode)[ \t]*\r?\n(?![ \t]))"
)

PARTS_KNOWN = [
    Row(
        "a line that is not a field does not end the header while fields follow (RFC 7103 7.2); for others it does",
        b"=\r\nSubject: C\r\n\r\nx",
        of((*FIELDS, *IN_PARTS), ALL, "invalid-header-line", "mbox-from-line", "junk-before-header"),
        only_fields,
    ),
    Row(
        "of several Content-Type fields the first one with a boundary counts, and an empty one does not; for the others"
        " the first or the last one",
        b"Content-Type:\r\nContent-Type: text/html\r\n\r\n<p>x",
        of(IN_PARTS),
        one_type,
    ),
    Row(
        "a lone CR ends no line (RFC 5322 2.3) and is content; for Python it does, and postal-mime drops it",
        b"Subject: a\rTo: c@d.example\r\n\r\nx",
        of((*FIELDS, *IN_PARTS)),
        without(rb"\r(?!\n)"),
    ),
    Row(
        "Content-Type and Content-Disposition against the grammar, and multiparts without a boundary: what we read of"
        " them, written by the grammar, is what the other reads, too",
        b"Content-Type: text/html charset=utf-8\r\n\r\n<p>x",
        of(
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
        "base64 with junk is decoded as far as it goes; Python leaves all of it, postal-mime goes on behind padding",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\nfooter\r\n",
        of(IN_PARTS, ALL, "invalid-base64"),
        without(rb"(transfer-encoding[ \t]*:)[^\n]*base64[^\n]*", rb"\1 7bit\r"),
    ),
    Row(
        "names of transfer encodings with or without hyphens are known, and what is unknown is left as it is",
        b"Content-Transfer-Encoding: quoted_printable\r\n\r\n=C3=A9\r\n",
        of(IN_PARTS),
        without(ODD_ENCODING + rb"[^\n]*(?:\n[ \t][^\n]*)*", rb"\1 7bit\r"),
    ),
    Row(
        "blanks at the end of quoted-printable lines are no content (RFC 2045 6.7 (3)); for others they are",
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\na \r\nb\r\n",
        of(("contents", "texts", "attached", "text", "html")),
        without(rb"[ \t]+(?=\r*(?:\n|\Z))"),
    ),
    Row(
        "a header that goes on into a delimiter ends there, and a delimiter that another one follows at once, or"
        " nothing, begins an empty part; for the others it does not",
        MULTIPART + b"--b\r\n\r\nx\r\n--b",
        of((*FIELDS, *IN_PARTS)),
        whole_parts,
    ),
    Row(
        "a delimiter that hides one around it, or is closed early, counts for the innermost multipart",
        MULTIPART + b"--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\ny\r\n",
        of(IN_PARTS, ALL, "duplicate-boundary", "early-closing-delimiter"),
        single_boundaries,
    ),
    Row(
        "a boundary with blanks, as of a fold in it, is one without them, too",
        b'Content-Type: multipart/mixed; boundary="a b"\r\n\r\n--ab\r\n\r\nx\r\n--ab--\r\n',
        of(IN_PARTS),
        joined_boundaries,
    ),
    Row(
        "what closes the inner multipart closes it, though it could begin a part of an outer one",
        MULTIPART.replace(b"=b", b"=b--")
        + b"--b--\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\ny\r\n--b----\r\n",
        of(IN_PARTS),
        longer_boundaries,
    ),
    Row(
        "a boundary with an apostrophe is one (RFC 2046 5.1.1); Python takes it for the mark of RFC 2231",
        b"Content-Type: multipart/mixed; boundary=a'b\r\n\r\n--a'b\r\n\r\nx\r\n--a'b--\r\n",
        of(IN_PARTS, ("python",)),
        without(rb"'", b"q"),
    ),
    Row(
        "only quotes and backslashes are escaped in names of files: the rest are paths of Windows",
        b'Content-Type: application/x; name="a\\b.txt"\r\n\r\nx',
        both(of(("names", "attached")), each(lambda mine, theirs: mine.replace("\\", "") == theirs.replace("\\", ""))),
    ),
    Row(
        "a multipart without a part is text (its preamble, if only blanks); the others drop it",
        MULTIPART + b"text\r\n",
        both(of(("text", "html", "attached", "parts")), lambda it: len(it.theirs) < len(it.ours)),
        without_partless,
    ),
    Row(
        "blanks may stand before the colon of a field (RFC 5322 4.5); for Python the body begins there",
        b"Subject : s\r\nTo: a@b.example\r\n\r\nx",
        of((*FIELDS, *IN_PARTS), PYTHON),
        without(rb"(?m)(?<=[!-9;-~])[ \t]+(?=:)"),
    ),
    Row(
        "a text in multipart/related that is not its root is an attachment (RFC 8621 4.1.4)",
        b"Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--\r\n",
        of(("attached", "text", "html")),
        without(rb"multipart/related", b"multipart/mixed"),
    ),
    Row(
        "a line that lost its blank, `charset=utf-8` below its field, goes on with the field; for others it does not",
        b"Content-Type: text/html;\r\ncharset=utf-8\r\n\r\n<p>x",
        of((*FIELDS, *IN_PARTS), ALL, "invalid-header-line"),
        without(rb"(?m)^(?=[a-z][a-z0-9*-]*=)", b" "),
    ),
    Row(
        "a text with a name that is not the first part, or with a disposition other than inline, is an attachment"
        " (RFC 8621 4.1.4, RFC 2183 2.8); for postal-mime it is text",
        MULTIPART + b"--b\r\n\r\nx\r\n--b\r\nContent-Type: text/plain; name=n\r\n\r\ny\r\n--b--\r\n",
        of(("attached", "text", "html"), ("postal-mime",)),
        without_names,
    ),
    Row(
        "blanks may stand around the slash of a type, as between all tokens (RFC 2045 5.1, RFC 822 3.1.4); for the"
        " others they are part of it",
        b"Content-Type: application/ pdf\r\n\r\nx",
        of(IN_PARTS),
        without(rb"(content-type[ \t]*:[^\r\n;/]*?)[ \t]*/[ \t]*", rb"\1/"),
    ),
    Row(
        "a line that begins like a link (`http://`) is text, and no field",
        b"http://x.example\r\n\r\nA",
        of(IN_PARTS, ALL, "invalid-header-line"),
        without(rb"(?m)^([!-9;-~]+):(?=//)", rb"\1: "),
    ),
    Row(
        "uuencoded parts are decoded (RFC 2045 6.4, x-token); postal-mime does not, Python only where there is `begin`",
        b"Content-Type: application/x\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 x\r\n#0V%T\r\n`\r\n",
        of(IN_PARTS),
        without(rb"(transfer-encoding[ \t]*:)[^\n]*uue[^\n]*", rb"\1 7bit\r"),
    ),
    Row(
        "`==` in quoted-printable is two characters, and the rest stays as it is; Python drops one",
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n*==a\r\n",
        of(("contents", "texts"), ("python",), "invalid-quoted-printable"),
        without(rb"==", b"-"),
    ),
    Row(
        "of `filename` and `filename*` the second one counts (RFC 6266 4.3), and its bad escapes stay as they are",
        b"Content-Disposition: attachment; filename=\"t\"; filename*=utf-8''%C3%BB\r\n\r\nx",
        of(("names", "attached")),
        without(rb";\s*filename(?:=[^;\r\n]*|\*[^;\r\n]*)", b""),
    ),
]
