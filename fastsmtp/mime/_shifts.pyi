"""Charsets of 7-bit octets that Python's codecs read in part, or slowly where octets have no meaning.

Decoders are fed a text in pieces cut anywhere, with `final` in the last one, and never raise. They make octets of a
charset that has no state; what has no meaning becomes octets without a meaning there.
"""

from typing import final

from typing_extensions import Self

@final
class JISDecoder:
    """ISO-2022-JP, with all the charsets it ever had, to the octets of EUC-JP."""

    def __new__(cls) -> Self: ...
    def decode(self, octets: bytes, final: bool) -> bytes: ...

@final
class ShiftDecoder:
    """HZ (RFC 1843) or ISO-2022-KR (RFC 1557), to the octets of EUC-CN or EUC-KR."""

    def __new__(cls, is_hz: bool) -> Self: ...
    def decode(self, octets: bytes, final: bool) -> bytes: ...
