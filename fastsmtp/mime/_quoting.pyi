def find_quote_end(value: str, position: int) -> int:
    """Where the quoted string whose text begins at `position` has its closing quote, or -1."""

def find_comment_end(value: str, position: int) -> int:
    """Where the comment whose text begins at `position` has its closing parenthesis, or -1; comments nest."""

def is_plain_identifier(value: str) -> bool:
    """Whether `value` is an identifier between angle brackets as it stands: nothing is quoted, no comment, no blank."""

def decode_hex(octets: bytes, mark: bytes) -> bytes:
    """`octets` with each `mark` and two hexadecimal digits (any case) made one octet; other marks stay."""
