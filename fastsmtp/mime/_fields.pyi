def split_fields(block: bytes, limit: int) -> list[tuple[str, str]] | None:
    """The fields of a header block that follows the grammar (RFC 5322 section 2.2): names, and values unfolded.

    Values are without blanks around them, fields behind the first `limit` are left out. Returns None for a block that
    has anything else in it than ASCII fields of CRLF lines and an empty line, or of LF lines throughout; also for one
    with NUL, a bare CR, or `http://` or the like at the beginning of a field.
    """

def skip_text(block: bytes, position: int) -> int:
    """Where the first line of `block` from `position` on begins that is empty or a field's; else the length."""

def skip_fields(block: bytes, position: int) -> tuple[int, int, bool]:
    """Look through fields, and lines of none, from the line at `position` up to an empty line.

    Returns where that begins, else the length; where the lines begin that no field follows, -1 without any; and whether
    there are lines that belong to no field.
    """
