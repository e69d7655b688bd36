"""One mail transaction while it is going on: what MAIL and RCPT said, and what is known about the mail data so far."""

from __future__ import annotations

from fastsmtp._parse import BodyLines
from fastsmtp.smtp import violations


class Transaction:
    """MAIL to end of mail data."""

    __slots__ = (
        "binary",
        "chunked",
        "failed",
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
        self.lines: BodyLines | None = None  # None for binary mail


def line_faults(lines: BodyLines) -> list[str]:
    """The codes of what was wrong with the lines of a mail, now that no more octets come."""
    lines.finish()
    return [
        code
        for code, seen in (
            (violations.BARE_CR_IN_BODY, lines.bare_cr),
            (violations.BARE_LF_IN_BODY, lines.bare_lf),
            (violations.LONG_BODY_LINE, lines.too_long),
        )
        if seen
    ]
