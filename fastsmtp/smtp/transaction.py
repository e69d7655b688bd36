"""One mail transaction while it is going on: what MAIL and RCPT said, and what is known about the mail data so far."""

from __future__ import annotations

from fastsmtp._parse import BodyLines


class Transaction:
    """MAIL to end of mail data."""

    __slots__ = (
        "binary",
        "chunked",
        "failed",
        "failed_close",
        "forward_paths",
        "lines",
        "mail_parameters",
        "octets",
        "rcpt_parameters",
        "reverse_path",
        "utf8",
    )

    def __init__(self, reverse_path: str, mail_parameters: dict[str, str | None]) -> None:
        self.reverse_path = reverse_path
        self.mail_parameters = mail_parameters
        self.forward_paths: list[str] = []
        self.rcpt_parameters: list[dict[str, str | None]] = []
        self.utf8 = False  # SMTPUTF8 was given
        self.binary = False  # BODY=BINARYMIME was given
        # Mail data
        self.chunked = False  # by BDAT, which has begun
        self.octets = 0  # after dot-unstuffing
        self.failed = b""  # what to reply once the rest is swallowed
        self.failed_close = False  # this reply is the last one of the session
        self.lines: BodyLines | None = None  # None for binary mail
