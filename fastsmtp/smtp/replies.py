"""Every reply we send, each spelled once, ready for the wire.

Codes are RFC 5321 section 4.2, enhanced codes RFC 3463 as RFC 2034 section 4 wants them: on every 2xx, 4xx and 5xx
reply except the greeting and the answers to HELO and EHLO, and on each line of a reply with several.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal, TypeAlias

# Every mechanism that is answered, and those of them that EHLO offers unless told otherwise. Most clients take CRAM-MD5
# before any other where it is offered, and then there is no password to capture.
Mechanism: TypeAlias = Literal["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2", "OAUTHBEARER"]
MECHANISMS: Final[tuple[Mechanism, ...]] = ("PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2", "OAUTHBEARER")
OFFERED_MECHANISMS: Final[tuple[Mechanism, ...]] = ("PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER")


def format_reply(code: int, *lines: str, enhanced: str = "") -> bytes:
    """A reply as it goes over the wire (RFC 5321 section 4.2.1): "-" behind the code of every line but the last."""
    prefix = f"{enhanced} " if enhanced else ""
    last = len(lines) - 1
    wire = "".join(f"{code}{' ' if i == last else '-'}{prefix}{line}\r\n" for i, line in enumerate(lines))
    return wire.encode()


def _reply(code: int, enhanced: str, *lines: str) -> bytes:
    return format_reply(code, *lines, enhanced=enhanced)


# Replies that name the server ----------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def greeting(hostname: str) -> bytes:
    """220 of RFC 5321 section 3.1."""
    return format_reply(220, f"{hostname} ESMTP fastsmtp")


@lru_cache(maxsize=64)
def helo(hostname: str) -> bytes:
    """250 to HELO (RFC 5321 section 4.1.1.1)."""
    return format_reply(250, hostname)


@lru_cache(maxsize=64)
def ehlo(
    hostname: str,
    max_message_size: int,
    offer_tls: bool,
    mechanisms: tuple[str, ...] = OFFERED_MECHANISMS,
    to_proxy: bool = False,
) -> bytes:
    """250 to EHLO with a line per extension (RFC 5321 section 4.1.1.1). SIZE 0 is "no fixed maximum" (RFC 1870 3).

    AUTH lists the `mechanisms`; without any it is not offered. `to_proxy` offers what only proxies may use.
    """
    return format_reply(
        250,
        hostname,
        "PIPELINING",  # RFC 2920
        f"SIZE {max_message_size}",  # RFC 1870
        "8BITMIME",  # RFC 6152
        "SMTPUTF8",  # RFC 6531
        "ENHANCEDSTATUSCODES",  # RFC 2034
        "CHUNKING",  # RFC 3030
        "BINARYMIME",  # RFC 3030
        "DSN",  # RFC 3461
        *([f"AUTH {' '.join(mechanisms)}"] if mechanisms else []),  # RFC 4954
        *(["STARTTLS"] if offer_tls else []),  # RFC 3207
        *(["XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"] if to_proxy else []),  # Postfix
        *(["XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"] if to_proxy else []),  # Postfix
        "HELP",  # RFC 5321 section 4.1.1.8
    )


def challenge(base64_text: str) -> bytes:
    """334 of RFC 4954 section 4; an empty challenge keeps the blank behind the code."""
    return f"334 {base64_text}\r\n".encode()


# Success -------------------------------------------------------------------------------------------------------------

MAIL_OK: Final[bytes] = _reply(250, "2.1.0", "Sender accepted")  # RFC 5321 section 4.1.1.2
RCPT_OK: Final[bytes] = _reply(250, "2.1.5", "Recipient accepted")  # 4.1.1.3
START_MAIL_INPUT: Final[bytes] = format_reply(
    354, "End data with <CR><LF>.<CR><LF>"
)  # 4.1.1.4; RFC 2034: no code on 3xx
MESSAGE_ACCEPTED: Final[bytes] = _reply(250, "2.0.0", "Message accepted")  # 4.1.1.4, RFC 3030 section 2
CHUNK_ACCEPTED: Final[bytes] = _reply(250, "2.0.0", "Chunk accepted")  # RFC 3030 section 2
XFORWARD_OK: Final[bytes] = _reply(250, "2.0.0", "Client attributes taken")  # Postfix's XFORWARD_README
RSET_OK: Final[bytes] = _reply(250, "2.0.0", "Reset")  # RFC 5321 section 4.1.1.5
NOOP_OK: Final[bytes] = _reply(250, "2.0.0", "OK")  # 4.1.1.9
CANNOT_VERIFY: Final[bytes] = _reply(252, "2.0.0", "Cannot verify, will accept and capture")  # 3.5.3
HELP: Final[bytes] = _reply(  # 4.1.1.8
    214,
    "2.0.0",
    "This server captures all mail and any login",
    "HELO EHLO STARTTLS AUTH MAIL RCPT DATA BDAT",
    "RSET NOOP VRFY EXPN HELP QUIT",
)
BYE: Final[bytes] = _reply(221, "2.0.0", "Bye")  # 4.1.1.10
AUTHENTICATED: Final[bytes] = _reply(235, "2.7.0", "Authentication accepted")  # RFC 4954 section 6
READY_FOR_TLS: Final[bytes] = _reply(220, "2.0.0", "Ready to start TLS")  # RFC 3207 section 4

# Not now -------------------------------------------------------------------------------------------------------------

SHUTTING_DOWN: Final[bytes] = _reply(421, "4.3.2", "Server is shutting down")  # RFC 5321 section 3.8
TOO_MANY_CONNECTIONS: Final[bytes] = _reply(421, "4.3.2", "Too many connections")  # RFC 5321 section 3.8
MALFORMED_PROXY_HEADER: Final[bytes] = _reply(421, "4.7.0", "Malformed PROXY header")  # RFC 5321 section 3.8
OTHER_PROTOCOL: Final[bytes] = _reply(421, "4.7.0", "This is an SMTP server: neither HTTP nor TLS is spoken here")
WORKER_FAILED: Final[bytes] = _reply(451, "4.3.0", "Worker failed, try again later")  # RFC 5321 section 4.2.3
OUT_OF_MEMORY: Final[bytes] = _reply(452, "4.3.1", "Too much mail in memory, try again later")
NO_ROOM_FOR_LOGIN: Final[bytes] = _reply(454, "4.7.0", "Too much mail in memory to authenticate, try again later")
STORAGE_FAILED: Final[bytes] = _reply(451, "4.3.0", "Storage failed, try again later")
STORAGE_FULL: Final[bytes] = _reply(452, "4.3.1", "Storage is full, try again later")
CLUSTER_AWAY: Final[bytes] = _reply(451, "4.3.2", "The cluster cannot be reached, try again later")
NO_WORKER: Final[bytes] = _reply(451, "4.3.2", "No worker free, try again later")
TOO_MANY_RECIPIENTS: Final[bytes] = _reply(452, "4.5.3", "Too many recipients")  # RFC 5321 section 4.5.3.1.10

# Syntax --------------------------------------------------------------------------------------------------------------

UNKNOWN_COMMAND: Final[bytes] = _reply(500, "5.5.2", "Command not recognized")  # RFC 5321 section 4.2.4
BAD_LINE: Final[bytes] = _reply(
    500, "5.5.2", "Not a command line: octets or line end RFC 5321 does not allow"
)  # 2.3.8, 2.4
LINE_TOO_LONG: Final[bytes] = _reply(500, "5.5.2", "Command line too long")  # 4.5.3.1.9
AUTH_LINE_TOO_LONG: Final[bytes] = _reply(500, "5.5.6", "Authentication exchange line too long")  # RFC 4954 section 6
BAD_ARGUMENT: Final[bytes] = _reply(501, "5.5.4", "Bad or missing argument")  # RFC 5321 section 4.3.2
MAIL_SYNTAX: Final[bytes] = _reply(501, "5.5.4", "Syntax: MAIL FROM:<address> [parameters]")  # 4.1.1.2
RCPT_SYNTAX: Final[bytes] = _reply(501, "5.5.4", "Syntax: RCPT TO:<address> [parameters]")  # 4.1.1.3
BDAT_SYNTAX: Final[bytes] = _reply(501, "5.5.4", "Syntax: BDAT size [LAST]")  # RFC 3030 section 2
BAD_REVERSE_PATH: Final[bytes] = _reply(501, "5.1.7", "Bad sender mailbox syntax")  # RFC 5321 section 4.1.2
BAD_FORWARD_PATH: Final[bytes] = _reply(501, "5.1.3", "Bad recipient mailbox syntax")  # 4.1.2
BAD_BASE64: Final = _reply(501, "5.5.2", "Cannot decode base64")  # RFC 4954 section 4
BAD_CREDENTIALS: Final[bytes] = _reply(501, "5.5.2", "Malformed credentials")  # RFC 4954 section 4
AUTH_CANCELLED: Final[bytes] = _reply(501, "5.7.0", "Authentication cancelled")  # RFC 4954 section 4
NO_INITIAL_RESPONSE: Final[bytes] = _reply(
    501, "5.7.0", "This mechanism takes no initial response"
)  # RFC 4954 section 4
NOT_IMPLEMENTED: Final[bytes] = _reply(502, "5.5.1", "Command not implemented")  # RFC 5321 section 4.2.4
UNKNOWN_MECHANISM: Final[bytes] = _reply(504, "5.5.4", "Authentication mechanism not supported")  # RFC 4954 section 4
UNKNOWN_PARAMETER: Final[bytes] = _reply(555, "5.5.4", "Parameter not recognized")  # RFC 5321 section 4.1.1.11

# Sequence (RFC 5321 section 4.1.4) -----------------------------------------------------------------------------------

EHLO_FIRST: Final[bytes] = _reply(503, "5.5.1", "Send EHLO first")
HELO_FIRST: Final[bytes] = _reply(503, "5.5.1", "Send HELO or EHLO first")
NESTED_MAIL: Final[bytes] = _reply(503, "5.5.1", "Transaction already open")
MAIL_FIRST: Final[bytes] = _reply(503, "5.5.1", "Send MAIL first")
RCPT_FIRST: Final[bytes] = _reply(503, "5.5.1", "Send RCPT first")
CHUNKS_STARTED: Final[bytes] = _reply(503, "5.5.1", "Only BDAT or RSET between chunks")  # RFC 3030 section 2
BINARY_NEEDS_BDAT: Final[bytes] = _reply(503, "5.5.1", "BODY=BINARYMIME needs BDAT")  # RFC 3030 section 3
NOT_IN_TRANSACTION: Final[bytes] = _reply(503, "5.5.1", "Not allowed inside a transaction")  # RFC 4954 section 4
ALREADY_AUTHENTICATED: Final[bytes] = _reply(503, "5.5.1", "Already authenticated")  # RFC 4954 section 4
TLS_ACTIVE: Final[bytes] = _reply(503, "5.5.1", "TLS already active")  # RFC 3207 section 4

# Refused mail --------------------------------------------------------------------------------------------------------

UNTRUSTED_PROXY: Final[bytes] = _reply(550, "5.7.0", "You are no proxy of this server")  # Postfix's XCLIENT_README
UTF8_REVERSE_PATH: Final = _reply(550, "5.6.7", "Non-ASCII sender needs SMTPUTF8")  # RFC 6531 section 3.5
UTF8_FORWARD_PATH: Final = _reply(553, "5.6.7", "Non-ASCII recipient needs SMTPUTF8")  # RFC 6531 section 3.5
TOO_BIG: Final[bytes] = _reply(552, "5.3.4", "Message exceeds the size limit")  # RFC 1870 section 6
BARE_LINE_BREAK: Final[bytes] = _reply(554, "5.6.0", "Bare CR or LF in the message")  # RFC 5321 section 2.3.8
BODY_LINE_TOO_LONG: Final[bytes] = _reply(554, "5.6.0", "Line longer than 998 octets in the message")  # 4.5.3.1.6
MALFORMED_MESSAGE: Final[bytes] = _reply(554, "5.6.0", "Message is not RFC 5322")  # RFC 5321 section 3.3
