"""What is kept of a header for long, in little memory: as UTF-8 where a str would take up to four times as much."""

from __future__ import annotations

from typing import Final, TypeAlias

Fields: TypeAlias = "list[tuple[str, str]]"
PackedText: TypeAlias = "str | bytes"

FIELD_OCTETS: Final = 200  # of memory for a field beside its text, at most
_MAX_FIELDS: Final = 100  # that stay a list
_MAX_OCTETS: Final = 16 * 1024  # of a header whose fields stay a list
_MAX_WIDE: Final = 4 * 1024  # of one that is not ASCII: its text may take four times as much
_MAX_TEXT: Final = 256  # characters of text that stays a str


def pack_fields(fields: Fields, block: bytes) -> bytes | None:
    """Return the `fields` of the header `block` in one piece, for `unpack_fields`; None where they are few and short.

    Tuples and strings of many small fields would take fifty times as much as was sent.
    """
    if len(fields) <= _MAX_FIELDS and (len(block) <= _MAX_WIDE or (len(block) <= _MAX_OCTETS and block.isascii())):
        return None
    packed = "\n".join([text for field in fields for text in field])
    # Line ends were taken out when the fields were unfolded.
    return packed.encode() if packed.count("\n") == 2 * len(fields) - 1 else None


def unpack_fields(packed: bytes) -> Fields:
    """Return the fields that were packed."""
    texts = packed.decode().split("\n")
    return list(zip(texts[::2], texts[1::2], strict=True))


def pack(text: str) -> PackedText:
    """Return `text` as it takes least memory."""
    return text if len(text) <= _MAX_TEXT or text.isascii() else text.encode()


def unpack(packed: PackedText) -> str:
    """Return the text that was packed."""
    return packed if isinstance(packed, str) else packed.decode()


def size_of(packed: PackedText | None) -> int:
    """Octets of memory for a packed text, without what every object takes."""
    if packed is None:
        return 0
    if isinstance(packed, bytes) or packed.isascii():
        return len(packed)
    return 4 * len(packed)
