"""One mail transaction while it is going on: what MAIL and RCPT said, and what is known about the mail data so far."""

from __future__ import annotations

from fastsmtp._parse import BodyLines
from fastsmtp.smtp.proxied import Proxied


class Transaction:
    """MAIL to end of mail data."""

    __slots__ = (
        "binary",
        "chunked",
        "failed",
        "failed_by",
        "failed_close",
        "forward_paths",
        "held",
        "lines",
        "mail_parameters",
        "octets",
        "proxied",
        "rcpt_parameters",
        "reverse_path",
        "utf8",
    )

    def __init__(
        self, reverse_path: str, mail_parameters: dict[str, str | None], proxied: Proxied | None = None
    ) -> None:
        self.reverse_path = reverse_path
        self.mail_parameters = mail_parameters
        self.proxied = proxied  # what proxies said until it was opened
        self.forward_paths: list[str] = []
        self.held = 0  # octets in memory of what MAIL and RCPT said, about
        self.rcpt_parameters: list[dict[str, str | None]] = []
        self.utf8 = False  # SMTPUTF8 was given
        self.binary = False  # BODY=BINARYMIME was given
        # Mail data
        self.chunked = False  # by BDAT, which has begun
        self.octets = 0  # after dot-unstuffing
        self.failed = b""  # what to reply once the rest is swallowed
        self.failed_close = False  # this reply is the last one of the session
        self.failed_by = ""  # the rule of the plan whose reply it is
        self.lines: BodyLines | None = None  # None for binary mail
