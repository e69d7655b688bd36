"""The vocabulary of `message.defects` and `attachments[].defects`: each name once, with its meaning.

A defect says what was wrong with a message and that a best effort was made; it never stops a capture.
"""

from __future__ import annotations

from typing import Final

# Sorted; add a constant here and its meaning below.
ADDRESS_LIMIT: Final = "address-limit"
DEPTH_LIMIT: Final = "depth-limit"
DUPLICATE_BOUNDARY: Final = "duplicate-boundary"
DUPLICATE_CONTENT_TYPE: Final = "duplicate-content-type"
DUPLICATE_PARAMETER: Final = "duplicate-parameter"
EARLY_CLOSING_DELIMITER: Final = "early-closing-delimiter"
FIELD_LIMIT: Final = "field-limit"
HEADER_8BIT: Final = "header-8bit"
HEADER_NUL: Final = "header-nul"
INVALID_ADDRESS: Final = "invalid-address"
INVALID_BASE64: Final = "invalid-base64"
INVALID_CONTENT_TYPE: Final = "invalid-content-type"
INVALID_DISPOSITION: Final = "invalid-disposition"
INVALID_ENCODED_WORD: Final = "invalid-encoded-word"
INVALID_HEADER_LINE: Final = "invalid-header-line"
INVALID_PARAMETER: Final = "invalid-parameter"
INVALID_QUOTED_PRINTABLE: Final = "invalid-quoted-printable"
INVALID_TRANSFER_ENCODING: Final = "invalid-transfer-encoding"
INVALID_UUENCODE: Final = "invalid-uuencode"
JUNK_BEFORE_HEADER: Final = "junk-before-header"
MBOX_FROM_LINE: Final = "mbox-from-line"
MISSING_BASE64_PADDING: Final = "missing-base64-padding"
MISSING_BOUNDARY: Final = "missing-boundary"
MISSING_CHARSET: Final = "missing-charset"
MISSING_CLOSING_DELIMITER: Final = "missing-closing-delimiter"
PARAMETER_LIMIT: Final = "parameter-limit"
PART_LIMIT: Final = "part-limit"
UNDECODABLE_CHARSET: Final = "undecodable-charset"
UNKNOWN_CHARSET: Final = "unknown-charset"
UNKNOWN_TRANSFER_ENCODING: Final = "unknown-transfer-encoding"
UNTERMINATED_HEADER: Final = "unterminated-header"
WORD_LIMIT: Final = "word-limit"
WRONG_CHARSET: Final = "wrong-charset"

MEANINGS: Final[dict[str, str]] = {
    ADDRESS_LIMIT: "more addresses than the limit, or one without end: the rest of the field was not taken apart",
    DEPTH_LIMIT: "multiparts nested deeper than the limit: the innermost were kept as one part",
    DUPLICATE_BOUNDARY: "a multipart with the boundary of one around it: its delimiters count for the inner one",
    DUPLICATE_CONTENT_TYPE: "more than one Content-Type field: the first with a boundary counts, or else the first",
    DUPLICATE_PARAMETER: "a parameter occurs twice in one field: the first counts",
    EARLY_CLOSING_DELIMITER: "a multipart that goes on behind its closing delimiter: what follows is part of it",
    FIELD_LIMIT: "more header fields than the limit: the rest was left out",
    HEADER_8BIT: "8-bit header octets that are not UTF-8: read as the body is, as windows-1252, or with U+FFFD",
    HEADER_NUL: "a header field contains NUL",
    INVALID_ADDRESS: "an address list does not follow RFC 5322",
    INVALID_BASE64: "base64 with characters, padding or length it cannot have",
    INVALID_CONTENT_TYPE: "a Content-Type that is not type/subtype: if need be it is text/plain (RFC 2045 5.2)",
    INVALID_DISPOSITION: "a Content-Disposition without a disposition type",
    INVALID_ENCODED_WORD: "an encoded word that RFC 2047 does not allow, as such or in this place",
    INVALID_HEADER_LINE: "a header line that is not a field: left out; where no field follows, the body begins there",
    INVALID_PARAMETER: "a parameter that RFC 2045 or RFC 2231 does not allow",
    INVALID_QUOTED_PRINTABLE: "quoted-printable with an escape it cannot have",
    INVALID_TRANSFER_ENCODING: "a Content-Transfer-Encoding misspelled, or with more behind it: what it means counts",
    INVALID_UUENCODE: "uuencoded lines without `begin` or `end`, or with characters they cannot have",
    JUNK_BEFORE_HEADER: "octets before the first header field, such as a byte order mark: left out",
    MBOX_FROM_LINE: "an mbox `From ` line before the header: left out",
    MISSING_BASE64_PADDING: "base64 without the padding that its length asks for",
    MISSING_BOUNDARY: "a multipart without boundary parameter, or with an endless one: kept as one part",
    MISSING_CHARSET: "8-bit text without charset that is not UTF-8: read as HTML declares it, or else as windows-1252",
    MISSING_CLOSING_DELIMITER: "a multipart without its closing delimiter",
    PARAMETER_LIMIT: "more parameters than the limit, or an endless field: the rest was left out",
    PART_LIMIT: "more parts than the limit: the rest was kept as one part",
    UNDECODABLE_CHARSET: "octets that have no meaning in their charset: each became U+FFFD",
    UNKNOWN_CHARSET: "8-bit text in an unknown charset: read as UTF-8, as HTML declares it, or as windows-1252",
    UNKNOWN_TRANSFER_ENCODING: "an unknown Content-Transfer-Encoding: kept as it came",
    UNTERMINATED_HEADER: "a header longer than the limit: the rest counts as body",
    WORD_LIMIT: "more encoded words than the limit, or an endless one: the rest was left as it came",
    WRONG_CHARSET: "octets that contradict their charset label: read as UTF-8, as HTML declares it, or as windows-1252",
}


def note(defects: list[str], defect: str) -> None:
    """Add `defect` unless it is there already, so that a list of defects cannot outgrow the vocabulary."""
    if defect not in defects:
        defects.append(defect)
