"""Messages without what one reason for a difference names: where that was all, other parsers agree with us on them."""

from __future__ import annotations

import re

from fastsmtp.mime.parameters import parse_disposition, parse_media_type
from fastsmtp.mime.words import decode_words

_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_BOUNDARY = re.compile(rb"boundary[ \t]*=[ \t]*(?:\"((?:[^\"\\\r\n]|\\.)+)|([^\"\r\n;]+))", re.IGNORECASE)
_TYPE = re.compile(rb"^content-type[ \t]*:(?:[^\n]|\n(?=[ \t\r\n]*boundary))*", re.IGNORECASE | re.MULTILINE)
_SCAN = re.compile(rb"(?m)^(content-(?:type|disposition)[ \t]*:)((?:[^\r\n]|\r?\n[ \t])*)", re.IGNORECASE)


def only_fields(octets: bytes) -> bytes:
    """The message without lines in headers that are not fields; an empty line stands where the body begins."""
    lines, kept, in_header = octets.split(b"\n"), list[bytes](), True
    boundaries = [
        (field.start() + match.end(), b"--" + _boundary(match))
        for field in _TYPE.finditer(octets)
        for match in _BOUNDARY.finditer(field[0])
    ]
    begin = 0
    for at, line in enumerate(lines):
        bare = line.strip(b"\r")
        delimiters = tuple(delimiter for end, delimiter in boundaries if end <= begin)
        begin += len(line) + 1
        if line.startswith(delimiters):
            in_header = True
        elif in_header and not bare:
            in_header = False
        elif in_header and not (_FIELD.match(line) or (line[:1] in b" \t" and kept and _FIELD.match(kept[-1]))):
            if any(map(_FIELD.match, lines[at : _end_of_header(lines, at, delimiters)])):
                continue
            kept.append(b"\r")
            in_header = False
        kept.append(line)
    return b"\n".join(kept)


def _boundary(match: re.Match[bytes]) -> bytes:
    return re.sub(rb"\\(.)", rb"\1", match[1] or match[2]).strip()


def _end_of_header(lines: list[bytes], at: int, delimiters: tuple[bytes, ...]) -> int:
    while at < len(lines) and lines[at].strip(b"\r") and not lines[at].startswith(delimiters):
        at += 1
    return at


def regular_fields(octets: bytes) -> bytes:
    """The message with what we read of types and dispositions written as RFC 2045 has it."""

    def regular(match: re.Match[bytes]) -> bytes:
        text = re.sub(rb"[\r\n]+", b"", match[2]).decode("utf-8", "replace").strip()
        is_type = b"type" in match[1].lower()
        value, parameters = parse_media_type(text, []) if is_type else parse_disposition(text, [])
        if value.startswith("multipart/") and not parameters.get("boundary", "").strip():
            value, parameters = "text/plain", {}
        quoted = [f'; {name}="{_escaped(text)}"' for name, text in parameters.items()]
        return match[1] + b" " + (value or "x").encode() + "".join(quoted).encode()

    return _SCAN.sub(regular, octets)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def without_partless(octets: bytes) -> bytes:
    """The message with multiparts of which no delimiter occurs, before one of a multipart around them, as text."""

    def text(match: re.Match[bytes]) -> bytes:
        around = [b"--" + re.escape(_boundary(outer)) for outer in _BOUNDARY.finditer(octets, 0, match.start())]
        end = re.compile(rb"(?m)^(?:" + b"|".join(around) + rb")").search(octets, match.end()) if around else None
        boundary = _BOUNDARY.search(match[0])
        if boundary is not None:
            delimiter = re.compile(rb"(?m)^--" + re.escape(_boundary(boundary)) + rb"[ \t]*\r*$")
            if delimiter.search(octets, match.end(), end.start() if end else len(octets)) is not None:
                return match[0]
        return re.sub(rb"(?i)multipart/[a-z-]*", b"text/plain", match[0])

    return _TYPE.sub(text, octets)


_FOLDED = re.compile(rb"(boundary[ \t]*=[ \t]*\"?)((?:[^\"\\\r\n;]|\r?\n[ \t])+)", re.IGNORECASE)


def joined_boundaries(octets: bytes) -> bytes:
    """The message with one spelling of each boundary that has folds or blanks, in its delimiters, too."""

    def joined(match: re.Match[bytes]) -> bytes:
        unfolded = re.sub(rb"\r?\n", b"", match[2])
        spellings = (unfolded, unfolded.replace(b"\t", b" "), unfolded.translate(None, b" \t"))
        chosen = next((one for one in spellings if b"--" + one in octets), match[2])
        others.extend((one, chosen) for one in spellings if one != chosen)
        return match[1] + chosen

    others: list[tuple[bytes, bytes]] = []
    octets = _FOLDED.sub(joined, octets)
    for other, chosen in others:
        delimiter = re.compile(rb"(?m)^--" + re.escape(other) + rb"(?=(?:--)?[ \t]*\r*$)")
        octets = delimiter.sub((b"--" + chosen).replace(b"\\", rb"\\"), octets)
    return octets


_LABEL = re.compile(rb"(charset[ \t]*=[ \t]*\"?)([^\"\s;]*)([^\"\r\n]*\")?", re.IGNORECASE)
_OF_BROWSERS = re.compile(
    rb"utf-?8|utf-16(?:[lb]e)?|iso-?8859-?\d+|windows-125\d|koi8-[ru]|shift[_-]jis|sjis|euc-?(?:jp|kr)|gb(?:k|2312|18030)"
    rb"|big5(?:-hkscs)?|iso-2022-jp|us-ascii|ascii|latin1|",
    re.IGNORECASE,
)


def labels_of_browsers(octets: bytes) -> bytes:
    """The message with US-ASCII for labels that WHATWG Encoding does not have, and with labels without apostrophes."""

    def label(match: re.Match[bytes]) -> bytes:
        end = b'"' if match[1].endswith(b'"') else b""
        name = match[2].strip(b"'")
        known = name if _OF_BROWSERS.fullmatch(name) else b"us-ascii"
        return match[0] if known == match[2] else match[1] + known + end

    return _LABEL.sub(label, octets)


def plain_labels(octets: bytes) -> bytes:
    """The message without signs in the charsets of its encoded words that no name of one has (RFC 2978 2.3)."""
    label = re.compile(rb"(=\?)([^?*\s]+)(?=(?:\*[^?\s]*)?\?[bq]\?)", re.IGNORECASE)
    return label.sub(lambda match: match[1] + re.sub(rb"[^\w!#$%&+^`{}~.:-]|[\x80-\xff]", b"", match[2]), octets)


def one_field(octets: bytes) -> bytes:
    """The message with the first one of the fields From and To only."""
    for name in (b"from", b"to"):
        field = re.compile(rb"(?im)^" + name + rb"[ \t]*:(?:[^\n]|\n(?=[ \t]))*(?:\n|\Z)")
        first = field.search(octets)
        if first is not None:
            octets = octets[: first.end()] + field.sub(b"", octets[first.end() :])
    return octets


def without_names(octets: bytes) -> bytes:
    """The message without dispositions but attachment, and without names of texts."""
    octets = re.sub(
        rb"(?im)^content-disposition[ \t]*:(?![ \t]*attachment)(?:[^\r\n]|\r?\n[ \t])*", b"X-Disposition: x", octets
    )
    return re.sub(
        rb"(?im)^(content-type[ \t]*:[ \t]*text/(?:plain|html))((?:[^\r\n]|\r?\n[ \t])*)",
        lambda match: match[1] + re.sub(rb"(?i);\s*name\b[^;\r\n]*", b"", match[2]),
        octets,
    )


def decoded_fields(octets: bytes) -> bytes:
    """The message with the encoded words of its Content- fields decoded."""
    field = re.compile(rb"(?m)^(content-[a-z-]+[ \t]*:)((?:[^\r\n]|\r?\n[ \t])*)", re.IGNORECASE)
    return field.sub(lambda m: m[1] + b" " + decode_words(m[2].decode("utf-8", "replace"), []).encode(), octets)


def commas(octets: bytes) -> bytes:
    """The message with commas for the semicolons of address fields, but for those that end a group."""
    field = re.compile(rb"^((?:from|to)[ \t]*:)((?:[^\r\n]|\r?\n[ \t])*)", re.IGNORECASE | re.MULTILINE)
    group = re.compile(rb"(:[^;]*;)|;")
    return field.sub(lambda match: match[1] + group.sub(lambda end: end[1] or b",", match[2]), octets)


def whole_parts(octets: bytes) -> bytes:
    """The message with an empty line wherever a delimiter follows a header, or nothing follows a delimiter."""
    octets = re.sub(rb"((?:\A|\n)[^\n:]+:[^\n]*\r?\n(?:[ \t][^\n]*\n)*)(?=--)", rb"\1\r\n", octets)
    octets = re.sub(rb"((?:\A|\n)--[^\n]*)\Z", rb"\1\r\n", octets)
    return re.sub(rb"((?:\A|\n)--[^\n]*\n)(?=--|\s*\Z)", rb"\1\r\n\r\n", octets)


def one_type(octets: bytes) -> bytes:
    """The message with the first Content-Type of a header that has a boundary in place of several."""
    header = re.compile(rb"(?:^[!-9;-~]+[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z))+", re.MULTILINE)
    one = re.compile(rb"^content-type[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)", re.IGNORECASE | re.MULTILINE)

    def chosen(match: re.Match[bytes]) -> bytes:
        fields = one.findall(match[0])
        filled = [item for item in fields if item.partition(b":")[2].strip()] or fields
        kept = next((item for item in filled if b"boundary" in item.lower()), filled[0] if filled else b"")
        return kept + one.sub(b"", match[0]) if len(fields) > 1 else match[0]

    return header.sub(chosen, octets)


def longer_boundaries(octets: bytes) -> bytes:
    """The message with boundaries that are another one and `--` ending in something else."""
    for boundary in re.findall(rb"boundary=\"?([^\"\r\n;]+)--", octets):
        if not re.search(rb"boundary=\"?" + re.escape(boundary) + rb"(?=[\"\r\n;]|\Z)", octets):
            continue
        octets = octets.replace(boundary + b"--\r\nContent", boundary + b"-q\r\nContent")
        octets = re.sub(rb"(boundary=\"?" + re.escape(boundary) + rb")--", rb"\1-q", octets)
    return octets


def single_boundaries(octets: bytes) -> bytes:
    """The message with a boundary for each multipart, and without closing delimiters that others follow."""
    found = list(_BOUNDARY.finditer(octets))
    for place in range(len(found) - 2, -1, -1):
        outer, boundary = found[place], _boundary(found[place])
        inner = next((one for one in found[place + 1 :] if _boundary(one) == boundary), None)
        if inner is not None and boundary:
            delimiter = re.compile(rb"(?m)^--" + re.escape(boundary))
            between = delimiter.sub(b"--outer%d" % place, octets[outer.end() : inner.start()])
            octets = b"".join((octets[: outer.start()], b'boundary="outer%d' % place, between, octets[inner.start() :]))
    for boundary in {_boundary(one) for one in found} - {b""}:
        last = octets.rfind(b"\n--" + boundary)
        closing = re.compile(rb"(?m)^--" + re.escape(boundary) + rb"--[ \t]*\r*(?:\n|\Z)")
        octets = closing.sub(b"", octets[: max(last, 0)]) + octets[max(last, 0) :]
    return octets
