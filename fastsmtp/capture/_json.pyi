def quote(octets: bytearray) -> bytes | None:
    """The JSON string, quotes included, of the text that `octets` are in UTF-8 (RFC 3629); None where they are not."""

def utf8_end(octets: bytes | bytearray, start: int, end: int) -> int:
    """How far `octets[start:end]` are whole sequences of UTF-8: `end`, or where there is another octet."""

def escaped_size(octets: bytes | bytearray, start: int, end: int) -> int:
    """The length of what `escape` returns."""

def escape(octets: bytes | bytearray, start: int, end: int) -> bytes:
    """`octets[start:end]`, which are UTF-8 or a piece of it cut anywhere, as they stand inside of a JSON string."""
