def split_fields(block: bytes, limit: int) -> list[tuple[str, str]] | None:
    """The fields of a header block that follows the grammar (RFC 5322 section 2.2): names, and values unfolded.

    Values are without blanks around them. Returns None for a block that has anything else in it than ASCII fields of
    CRLF lines and an empty line, or of LF lines throughout; also for one with NUL, a bare CR, `http://` or the like at
    the beginning of a field, or more than `limit` fields.
    """
