"""Charsets of one, two and three octets by tables, octet by octet; and GBK's euro sign."""

from typing import final

from typing_extensions import Self

@final
class PairTable:
    """What one and two octets mean: `single` by the octet, `pairs` by 256 times the first octet plus the second.

    Octets below 0x80 are ASCII. `behind_8f` is what two octets mean behind 0x8F (EUC-JP), None where it is no prefix.
    """

    def __new__(cls, single: dict[int, str], pairs: dict[int, str], behind_8f: dict[int, str] | None) -> Self: ...

@final
class PairDecoder:
    """A text in pieces cut anywhere, by a table. What has no meaning is U+FFFD, and `damaged` is set."""

    damaged: bool
    def __new__(cls, table: PairTable) -> Self: ...
    def decode(self, octets: bytes, final: bool) -> str: ...

@final
class GBKDecoder:
    """GBK to the octets of GB 18030, whose codec lacks the euro sign that code page 936 has at 0x80."""

    def __new__(cls) -> Self: ...
    def decode(self, octets: bytes, final: bool) -> bytes: ...
