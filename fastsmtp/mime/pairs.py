"""Tables of the charsets of two octets as senders use them: Python's codecs put together, pair by pair.

Python has these charsets in variants that differ in what vendors added: NEC's row 13 (circled digits, the numero sign)
and IBM's kanji, the Hong Kong supplement, the euro sign. WHATWG Encoding has one table for each. A table is made when a
text first needs it, in some hundredths of a second.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from fastsmtp.mime._pairs import PairTable

Pairs = dict[int, str]  # by 256 times the first octet plus the second

# Python's codecs in the order to ask them.
_BIG5: Final = ("big5hkscs", "cp950")
_SHIFT_JIS: Final = ("cp932", "shift_jis", "shift_jis_2004")
_SHIFT_JIS_2004: Final = ("shift_jis_2004", "cp932")
_OCTETS: Final = range(0x80, 0x100)
_TRAILS: Final = b"\n".join([b"\0%c" % trail for trail in range(0x40, 0x100)])  # behind an octet that is put in for NUL
_PLANE: Final = range(0xA1, 0xFF)  # both octets of EUC
_PLANE_TRAILS: Final = b"\n".join([b"\0%c" % trail for trail in _PLANE])
_KANA: Final = {0x8E00 | octet: chr(0xFF61 + octet - 0xA1) for octet in range(0xA1, 0xE0)}  # of JIS X 0201, in EUC-JP
_VENDOR_LEADS: Final = (0x87, 0xED, 0xEE)  # of cp932: rows 13, 89 to 92


@lru_cache(maxsize=8)
def pair_table(codec: str) -> PairTable:
    """The table of what vendors made of a charset, or of one that is read by way of its octets.

    `big5hkscs`, `cp932`, `euc_jp`, `shift_jis_2004`, `euc_jis_2004`; `gb2312`, `euc_kr`.
    """
    match codec:
        case "big5hkscs":
            return PairTable({}, _pairs(_BIG5), None)
        case "cp932":
            return _shift_jis(_SHIFT_JIS)
        case "shift_jis_2004":
            return _shift_jis(_SHIFT_JIS_2004)
        case "gb2312" | "euc_kr":
            return PairTable({}, _plane((codec,)), None)
        case "euc_jp":
            return _euc_jp("euc_jp", "euc_jis_2004")
        case _:
            return _euc_jp("euc_jis_2004", "euc_jp", "euc_jp")


def _shift_jis(codecs: tuple[str, ...]) -> PairTable:
    return PairTable(_single("cp932"), _pairs(codecs), None)


def _euc_jp(*codecs: str) -> PairTable:
    """By the first of the codecs that knows a character. Those of vendors come before those that only the last knows.

    Rows 89 to 92 hold IBM's kanji, as NEC has them; JIS X 0213 has others there, which mailers do not send.
    """
    pairs = {**_plane(codecs[-1:]), **_vendor_rows(), **_plane(codecs[:-1]), **_KANA}
    return PairTable({}, pairs, _plane(codecs, b"\x8f"))


def _plane(codecs: tuple[str, ...], prefix: bytes = b"") -> Pairs:
    """The 94 rows of EUC behind `prefix`, by the first of the codecs that knows a character."""
    pairs: Pairs = {}
    for codec in reversed(codecs):
        for lead in _PLANE:
            _read_row(codec, prefix + bytes((lead,)), _PLANE_TRAILS, pairs)
    return pairs


def _pairs(codecs: tuple[str, ...]) -> Pairs:
    """All pairs, by the first of the codecs that knows a character."""
    pairs: Pairs = {}
    for codec in reversed(codecs):
        single = _single(codec)
        for lead in _OCTETS:
            if lead not in single:
                _read_row(codec, bytes((lead,)), _TRAILS, pairs)
    return pairs


def _read_row(codec: str, lead: bytes, trails: bytes, pairs: Pairs) -> None:
    """Add what `lead` means with each of the octets in `trails`, as far as the codec knows it."""
    row = trails.replace(b"\0", lead).decode(codec, "replace").split("\n")
    pairs.update((pair, text) for pair, text in enumerate(row, lead[-1] << 8 | trails[1]) if "\ufffd" not in text)


def _single(codec: str) -> dict[int, str]:
    text = [bytes((octet,)).decode(codec, "replace") for octet in _OCTETS]
    return {octet: character for octet, character in zip(_OCTETS, text, strict=True) if character != "\ufffd"}


def _vendor_rows() -> Pairs:
    """What NEC and IBM added to JIS X 0208, in the rows where Shift_JIS has it."""
    found: Pairs = {}
    for lead in _VENDOR_LEADS:
        _read_row("cp932", bytes((lead,)), _TRAILS, found)
    pairs: Pairs = {}
    for pair, text in found.items():
        lead, trail = divmod(pair, 256)
        row = (lead - (0x81 if lead < 0xA0 else 0xC1)) * 2 + (trail >= 0x9F)
        cell = trail - 0x9F if trail >= 0x9F else trail - 0x40 - (trail > 0x7F)
        pairs[(row + 0xA1) << 8 | cell + 0xA1] = text
    return pairs
