def quote(octets: bytearray) -> bytes | None:
    """The JSON string, quotes included, of the text that `octets` are in UTF-8 (RFC 3629); None where they are not."""
