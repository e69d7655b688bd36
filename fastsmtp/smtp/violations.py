"""What a client did that RFC 5321 and its extensions do not allow, and that was accepted all the same.

One table names every code, the rule that was broken, and the reply with which `strict: true` refuses it. A code whose
refusal is empty is accepted in strict mode too, because the RFC wants servers to take it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from fastsmtp.smtp import replies

MAX_DETAIL: Final = 200  # characters of the offending text that are kept; a session keeps one detail per code


@dataclass(slots=True)
class Violation:
    """One kind of violation in a session: `detail` of its first occurrence and how often it was seen."""

    code: str
    detail: str
    count: int = 1


# Lines
LOWER_CASE_VERB: Final = "lower-case-verb"
LEADING_SPACE: Final = "leading-space"
BARE_LF_IN_COMMAND: Final = "bare-lf-in-command"
BARE_CR_IN_COMMAND: Final = "bare-cr-in-command"
EIGHT_BIT_COMMAND: Final = "8bit-in-command"
NOT_UTF8_COMMAND: Final = "not-utf8-in-command"
UNEXPECTED_ARGUMENT: Final = "unexpected-argument"
# Other protocols
HTTP_REQUEST: Final = "http-request"
TLS_WITHOUT_STARTTLS: Final = "tls-without-starttls"
# Proxies
UNTRUSTED_PROXY: Final = "untrusted-proxy"
MALFORMED_PROXY_HEADER: Final = "malformed-proxy-header"
# Sequence
MAIL_WITHOUT_HELO: Final = "mail-without-helo"
AUTH_WITHOUT_EHLO: Final = "auth-without-ehlo"
STARTTLS_WITHOUT_EHLO: Final = "starttls-without-ehlo"
PLAINTEXT_AFTER_STARTTLS: Final = "plaintext-after-starttls"
# Arguments
INVALID_HELO: Final = "invalid-helo"
MISPLACED_SPACE: Final = "misplaced-space"
PATH_WITHOUT_BRACKETS: Final = "path-without-brackets"
INVALID_MAILBOX: Final = "invalid-mailbox"
SOURCE_ROUTE: Final = "source-route"
UNKNOWN_PARAMETER: Final = "unknown-parameter"
INVALID_PARAMETER: Final = "invalid-parameter"
DUPLICATE_PARAMETER: Final = "duplicate-parameter"
PARAMETER_WITHOUT_EHLO: Final = "parameter-without-ehlo"
MALFORMED_CREDENTIALS: Final = "malformed-credentials"
# Mail data
BARE_LF_IN_BODY: Final = "bare-lf-in-body"
BARE_CR_IN_BODY: Final = "bare-cr-in-body"
LONG_BODY_LINE: Final = "long-body-line"
# Mail data, seen by the reader of the message: recorded with `Session.judge`
MESSAGE_WITHOUT_HEADER: Final = "message-without-header"
UNPARSABLE_MESSAGE: Final = "unparsable-message"


class Clause(NamedTuple):
    """The broken rule: its section, the refusal in strict mode, and the one for RCPT where that differs."""

    section: str
    refusal: bytes = b""
    rcpt_refusal: bytes = b""


CLAUSES: Final[dict[str, Clause]] = {
    # "Command verbs ... are not case sensitive": nothing is refused; recorded because clients differ here.
    LOWER_CASE_VERB: Clause("RFC 5321 section 2.4"),
    LEADING_SPACE: Clause("RFC 5321 section 4.1.1", replies.UNKNOWN_COMMAND),
    BARE_LF_IN_COMMAND: Clause("RFC 5321 section 2.3.8", replies.BAD_LINE),
    BARE_CR_IN_COMMAND: Clause("RFC 5321 section 2.3.8", replies.BAD_LINE),
    EIGHT_BIT_COMMAND: Clause("RFC 5321 section 2.4", replies.BAD_LINE),
    NOT_UTF8_COMMAND: Clause("RFC 6531 section 3.3", replies.BAD_LINE),
    UNEXPECTED_ARGUMENT: Clause("RFC 5321 section 4.1.1", replies.BAD_ARGUMENT),
    # Both end the session in either mode, with `replies.OTHER_PROTOCOL`.
    HTTP_REQUEST: Clause("RFC 5321 section 4.1.4"),
    TLS_WITHOUT_STARTTLS: Clause("RFC 3207 section 4"),
    UNTRUSTED_PROXY: Clause("RFC 5321 section 7.8", replies.UNTRUSTED_PROXY),
    # It ends the session in either mode, with `replies.MALFORMED_PROXY_HEADER`.
    MALFORMED_PROXY_HEADER: Clause("RFC 5321 section 4.1.4"),
    MAIL_WITHOUT_HELO: Clause("RFC 5321 section 4.1.4", replies.HELO_FIRST),
    AUTH_WITHOUT_EHLO: Clause("RFC 4954 section 4", replies.EHLO_FIRST),
    STARTTLS_WITHOUT_EHLO: Clause("RFC 3207 section 4", replies.EHLO_FIRST),
    # What came in plain text behind STARTTLS is dropped in both modes (CVE-2011-0411).
    PLAINTEXT_AFTER_STARTTLS: Clause("RFC 3207 section 4"),
    INVALID_HELO: Clause("RFC 5321 section 4.1.1.1", replies.BAD_ARGUMENT),
    MISPLACED_SPACE: Clause("RFC 5321 section 3.3", replies.MAIL_SYNTAX, replies.RCPT_SYNTAX),
    PATH_WITHOUT_BRACKETS: Clause("RFC 5321 section 4.1.2", replies.BAD_REVERSE_PATH, replies.BAD_FORWARD_PATH),
    INVALID_MAILBOX: Clause("RFC 5321 section 4.1.2", replies.BAD_REVERSE_PATH, replies.BAD_FORWARD_PATH),
    # "source routes ... MUST be accepted" and ignored.
    SOURCE_ROUTE: Clause("RFC 5321 section 4.1.1.3"),
    UNKNOWN_PARAMETER: Clause("RFC 5321 section 4.1.1.11", replies.UNKNOWN_PARAMETER),
    INVALID_PARAMETER: Clause("RFC 5321 section 4.1.2", replies.BAD_ARGUMENT),
    DUPLICATE_PARAMETER: Clause("RFC 5321 section 4.1.1.11", replies.BAD_ARGUMENT),
    PARAMETER_WITHOUT_EHLO: Clause("RFC 5321 section 4.1.1.11", replies.UNKNOWN_PARAMETER),
    MALFORMED_CREDENTIALS: Clause("RFC 4954 section 4", replies.BAD_CREDENTIALS),
    BARE_LF_IN_BODY: Clause("RFC 5321 section 2.3.8", replies.BARE_LINE_BREAK),
    BARE_CR_IN_BODY: Clause("RFC 5321 section 2.3.8", replies.BARE_LINE_BREAK),
    LONG_BODY_LINE: Clause("RFC 5321 section 4.5.3.1.6", replies.BODY_LINE_TOO_LONG),
    MESSAGE_WITHOUT_HEADER: Clause("RFC 5322 section 3.6", replies.MALFORMED_MESSAGE),
    UNPARSABLE_MESSAGE: Clause("RFC 5322 section 2.1", replies.MALFORMED_MESSAGE),
}
