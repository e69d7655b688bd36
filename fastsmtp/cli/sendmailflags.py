"""The flags of `sendmail`: those that programs give to /usr/sbin/sendmail, and those of msmtp and Mailpit.

They are older than any convention: `-oi` is the option `i`, `-FCronDaemon` a name, `-Xlog` a file, `-bs` a mode. Flags
about queues, aliases and configuration files, of which there are none here, are taken and have no effect.
"""

from __future__ import annotations

import getopt
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from fastsmtp.smtp.replies import MECHANISMS
from fastsmtp.system.addresses import parse_address

DEFAULT_ADDRESS: Final = "127.0.0.1:1025"
DELIVER, TALK, QUEUE, HELP, VERSION = "m", "s", "p", "help", "version"  # what to do; the first three are those of -b
ALIASES: Final = "i"

_MSMTP_PORT = "25"  # where --host comes without --port
_MAX_TIMEOUT_S = 86400
_SWITCH = {"on": True, "off": False, "auto": True}
_AUTH_OF_MSMTP = ("on", "off")
# RFC 3461 sections 4.1, 4.3 and 4.4; a blank would begin another parameter.
_NOTIFY = re.compile(r"never|(?:success|failure|delay)(?:,(?:success|failure|delay))*", re.IGNORECASE)
_RETURN = {"full": "FULL", "hdrs": "HDRS", "headers": "HDRS"}
_ENVELOPE_ID = re.compile(r"[!-~]{1,100}")


@dataclass
class SendmailFlags:
    """What the flags say; "" = nothing."""

    mode: str = DELIVER
    recipients: list[str] = field(default_factory=list)  # as they stand there
    read_recipients: bool = False
    sender: str | None = None
    sender_from_header: bool = False
    name: str = ""  # for From, where a message lacks it
    ignore_dots: bool = False
    verbose: bool = False
    log: str = ""  # a file for the dialogue
    domain: str = ""  # of addresses that have none
    add_from: bool = True
    add_date: bool = True
    add_message_id: bool = True
    keep_bcc: bool = False
    notify: str = ""
    dsn_return: str = ""
    envelope_id: str = ""
    address: str = ""
    host: str = ""
    port: str = ""
    socket: str = ""
    helo: str = ""
    timeout_s: float = 60.0
    user: str | None = None
    mechanism: str = ""
    tls: bool = False
    starttls: bool = True  # where there is TLS
    insecure: bool = False
    ca_file: str = ""

    def place(self, otherwise: str) -> str:
        """Return the server: what the flags say, or `otherwise`. Raises ValueError where it is no address."""
        place = otherwise
        if self.socket:
            place = f"unix:{self.socket}"
        elif self.host:
            host = f"[{self.host}]" if ":" in self.host else self.host
            place = f"{host}:{self.port or _MSMTP_PORT}"
        elif self.address or self.port:
            place = self.address or f"127.0.0.1:{self.port}"
        try:
            parse_address(place)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
        return place


_TEXTS = {
    "-f": "sender", "-r": "sender", "--from": "sender", "-F": "name", "-S": "address", "--smtp-addr": "address",
    "--host": "host", "--port": "port", "--socket": "socket", "--domain": "helo", "--maildomain": "domain",
    "--user": "user", "--tls-trust-file": "ca_file", "-X": "log",
}  # fmt: skip
_TRUE = {
    "-t": "read_recipients", "--read-recipients": "read_recipients", "-i": "ignore_dots", "-v": "verbose",
    "-d": "verbose", "--verbose": "verbose", "--debug": "verbose", "--read-envelope-from": "sender_from_header",
}  # fmt: skip
_SWITCHES = {
    "--tls": "tls", "--tls-starttls": "starttls", "--set-from-header": "add_from", "--set-date-header": "add_date",
    "--set-msgid-header": "add_message_id",
}  # fmt: skip
_MODES = {"-I": ALIASES, "--help": HELP, "--version": VERSION}
# Those of msmtp whose value may be left out, which is then "on".
_OPTIONAL = frozenset(
    {
        "--auth", "--auto-from", "--remove-bcc-headers", "--set-date-header", "--set-from-header", "--set-msgid-header",
        "--syslog", "--tls", "--tls-certcheck", "--tls-starttls", "--undisclosed-recipients",
    }
)  # fmt: skip
_SHORT = "a:A:b:B:cC:de:f:F:Gh:iIL:mM:nN:o:O:p:r:R:sS:tTUvV:xX:"
_LONG_FLAGS = ("read-recipients", "read-envelope-from", "verbose", "debug", "help", "version")
_LONG_VALUES = (
    "account", "aliases", "auth", "auto-from", "domain", "dsn-notify", "dsn-return", "file", "from", "host", "logfile",
    "logfile-time-format", "maildomain", "passwordeval", "port", "protocol", "proxy-host", "proxy-port",
    "remove-bcc-headers", "set-date-header", "set-from-header", "set-msgid-header", "smtp-addr", "socket", "source-ip",
    "syslog", "timeout", "tls", "tls-cert-file", "tls-certcheck", "tls-crl-file", "tls-fingerprint",
    "tls-host-override", "tls-key-file", "tls-min-dh-prime-bits", "tls-priorities", "tls-starttls", "tls-trust-file",
    "undisclosed-recipients", "user",
)  # fmt: skip


def parse(arguments: Sequence[str]) -> SendmailFlags:
    """Return what they say. Raises ValueError, with a sentence about what is wrong."""
    flags = SendmailFlags()
    if list(arguments) == ["-h"]:  # with a value it is a number of hops
        arguments = ["--help"]
    try:
        given, recipients = getopt.gnu_getopt(
            _spelled_out(arguments), _SHORT, [*_LONG_FLAGS, *(f"{name}=" for name in _LONG_VALUES)]
        )
    except getopt.GetoptError as error:
        raise ValueError(f"{error}; see `fastsmtp sendmail --help`") from None
    for flag, value in given:
        _apply(flags, flag, value)
    flags.recipients = recipients
    if any(re.fullmatch(r"-q.*", argument) for argument in arguments[: _end_of_flags(arguments)]):
        flags.mode = QUEUE
    return flags


def _end_of_flags(arguments: Sequence[str]) -> int:
    return arguments.index("--") if "--" in arguments else len(arguments)


def _spelled_out(arguments: Sequence[str]) -> list[str]:
    """`--tls` as `--tls=on`, and without `-q30m`, whose value may be missing, too."""
    end = _end_of_flags(arguments)
    spelled = (f"{argument}=on" if argument in _OPTIONAL else argument for argument in arguments[:end])
    return [*(argument for argument in spelled if not argument.startswith("-q")), *arguments[end:]]


def _apply(flags: SendmailFlags, flag: str, value: str) -> None:
    if flag in _TEXTS:
        setattr(flags, _TEXTS[flag], value)
    elif flag in _TRUE:
        setattr(flags, _TRUE[flag], True)
    elif flag in _SWITCHES:
        setattr(flags, _SWITCHES[flag], _switch(flag, value))
    elif flag in _MODES:
        flags.mode = _MODES[flag]
    elif flag == "-b":
        flags.mode = _mode(value.lstrip("-"))
    elif flag in ("-o", "-O"):
        flags.ignore_dots |= value in ("i", "IgnoreDots", "IgnoreDots=True")
    elif flag == "--tls-certcheck":
        flags.insecure = not _switch(flag, value)
    elif flag == "--remove-bcc-headers":
        flags.keep_bcc = not _switch(flag, value)
    elif flag == "--timeout":
        flags.timeout_s = _seconds(value)
    elif flag == "--auth":
        flags.mechanism = _mechanism(value)
    elif flag == "--logfile":
        flags.log = "" if value == "off" else value
    else:
        _apply_dsn(flags, flag, value)


def _apply_dsn(flags: SendmailFlags, flag: str, value: str) -> None:
    if flag in ("-N", "--dsn-notify") and value != "off":
        if not _NOTIFY.fullmatch(value):
            raise ValueError(f"{flag} is never, or success, failure and delay with commas between, not {value!r}")
        flags.notify = value.upper()
    elif flag in ("-R", "--dsn-return") and value != "off":
        if value.lower() not in _RETURN:
            raise ValueError(f"{flag} is full or hdrs, not {value!r}")
        flags.dsn_return = _RETURN[value.lower()]
    elif flag == "-V":
        if not _ENVELOPE_ID.fullmatch(value):
            raise ValueError(f"-V is an identifier without blanks, not {value!r}")
        flags.envelope_id = value


def _switch(flag: str, value: str) -> bool:
    if value not in _SWITCH:
        raise ValueError(f"{flag} is on or off, not {value!r}")
    return _SWITCH[value]


def _mode(value: str) -> str:
    if value not in (DELIVER, TALK, QUEUE, ALIASES):
        raise ValueError(f"there is no -b{value} here, but -bm, -bs, -bp and -bi; `fastsmtp serve` listens")
    return value


def _mechanism(value: str) -> str:
    if value in _AUTH_OF_MSMTP:
        return ""
    if value.upper() not in MECHANISMS:
        raise ValueError(f"--auth is on, off, or one of {', '.join(MECHANISMS)}, not {value!r}")
    return value.upper()


def _seconds(value: str) -> float:
    if value == "off":
        return _MAX_TIMEOUT_S
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0.001 <= seconds <= _MAX_TIMEOUT_S:
        raise ValueError(f"--timeout is a number of seconds, or off, not {value!r}")
    return seconds
