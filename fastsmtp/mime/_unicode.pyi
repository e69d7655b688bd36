"""Encodings of Unicode that Python's codecs read slowly where octets have no meaning, and what is counted to guess one.

Decoders are fed a text in pieces cut anywhere, with `final` in the last one, and never raise. What has no meaning is
U+FFFD, as with Python's error handler "replace", and `damaged` is set; no surrogate is ever returned.
"""

from typing import final

from typing_extensions import Self

@final
class Units:
    """UTF-16 code units on their way into a str; for the decoders of this module."""

    def __new__(cls) -> Self: ...

@final
class UTF7Decoder:
    """UTF-7 (RFC 2152)."""

    damaged: bool
    def __new__(cls) -> Self: ...
    def decode(self, octets: bytes, final: bool) -> str: ...

@final
class UTF16Decoder:
    """UTF-16 without a byte order mark (RFC 2781)."""

    damaged: bool
    def __new__(cls, big_endian: bool) -> Self: ...
    def decode(self, octets: bytes, final: bool) -> str: ...

@final
class UTF32Decoder:
    """UTF-32 without a byte order mark."""

    damaged: bool
    def __new__(cls, big_endian: bool) -> Self: ...
    def decode(self, octets: bytes, final: bool) -> str: ...

@final
class CESUDecoder:
    """UTF-8 in which characters beyond U+FFFF are pairs of surrogates (CESU-8) to UTF-8."""

    def __new__(cls) -> Self: ...
    def decode(self, octets: bytes, final: bool) -> bytes: ...

def weigh_utf8(octets: bytes | bytearray) -> tuple[int, int]:
    """Read as UTF-8: how many characters beyond ASCII there are, and how many U+FFFD come in place of octets.

    Pairs of surrogates (CESU-8) are characters, too, and so is more than one octet of a character at the end.
    """
