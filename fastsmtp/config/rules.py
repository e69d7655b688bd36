"""How the text of one setting becomes its value: a rule reads it, or says what was expected."""

from __future__ import annotations

import difflib
import math
import re
import shlex
from collections.abc import Callable
from functools import partial
from typing import Annotated, Final, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from fastsmtp.system.addresses import TCPAddress, parse_address


class Rule(NamedTuple):
    """`read` takes the YAML scalar and returns the setting, or raises ValueError with the reason, which may be ""."""

    expected: str
    read: Callable[[object], object]


def read_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("put it in quotes" if isinstance(value, int | float) else "")
    if "\0" in value:
        raise ValueError("it contains a NUL character")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("")
    return value


MAX_WORKERS: Final = 500  # of a pool, as in RoadRunner
_LARGEST = 2**63 - 1  # what comes later may count on 64 bits, or on a float of it


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise ValueError("")
    return float(value)


def choice(*choices: str, **spellings: str) -> Rule:
    """One of the choices, in small or capital letters, or another spelling of one, as RoadRunner takes it."""
    known = {name: name for name in choices} | spellings

    def read(value: object) -> str:
        text = "off" if value is False else str(value).lower()  # for YAML 1.1, `off` is false
        if text not in known:
            near = difflib.get_close_matches(text, choices, 1)
            raise ValueError(f'did you mean "{near[0]}"?' if near else "")
        return known[text]

    return Rule("one of " + ", ".join(f'"{name}"' for name in choices), read)


def integer(lowest: int, highest: int | None = None) -> Rule:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
            raise ValueError("")
        if highest is not None and value > highest:
            raise ValueError("")
        if value > _LARGEST:
            raise ValueError("it is too large")
        return value

    return Rule(
        f"an integer of {lowest} or more" if highest is None else f"an integer from {lowest} to {highest}", read
    )


_SIZE_UNITS: dict[str, int] = {"": 1, "b": 1} | {
    prefix + unit: base**power for power, prefix in enumerate("kmgt", 1) for unit, base in (("b", 1000), ("ib", 1024))
}


_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-z]*)", re.ASCII)


def parse_size(text: str) -> int:
    """Octets of a size, `500`, `10MB` or `1.5 MiB`. Raises ValueError."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError("")
    unit = _SIZE_UNITS.get(found[2].lower())
    if unit is None:
        raise ValueError("units are B, kB, MB, GB and KiB, MiB, GiB")
    if "." in found[1]:
        return round(min(float(found[1]) * unit, 2.0 * _LARGEST))  # there is no integer of infinity
    return int(found[1]) * unit


def size(lowest: int) -> Rule:
    def read(value: object) -> int:
        size: int | None = None
        if isinstance(value, str):
            size = parse_size(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            size = value
        if size is None or size < lowest:
            raise ValueError("")
        if size > _LARGEST:
            raise ValueError("it is too large")
        return size

    return Rule(f'a size of {lowest} or more: bytes, or like "10MB" or "10MiB"', read)


_DURATION_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_STEP = re.compile(r"(\d+\.?\d*|\.\d+)([a-zµμ]+)", re.ASCII)


def parse_duration(text: str) -> float:
    """Seconds of a duration in Go's syntax, `500ms`, `60s`, `1h30m`, `-1.5h` or `0`. Raises ValueError."""
    sign, rest = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    seconds, at = 0.0, 0
    while found := _DURATION_STEP.match(rest, at):
        if found[2] not in _DURATION_UNITS:
            raise ValueError("units are h, m, s, ms, us and ns")
        seconds += float(found[1]) * _DURATION_UNITS[found[2]]
        at = found.end()
    if at != len(rest) or not rest:
        raise ValueError("a unit is needed" if re.fullmatch(r"[\d.]+", rest[at:], re.ASCII) else "")
    if math.isinf(seconds):
        raise ValueError("it is too long")
    return sign * round(seconds, 9)


def _duration(*, zero: bool) -> Rule:
    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError("")
        seconds = parse_duration(str(value))
        if seconds < 0 or (seconds == 0 and not zero):
            raise ValueError("it must not be negative" if zero else "it must be longer than 0")
        return seconds

    return Rule('a duration like "500ms", "60s" or "1h30m"', read)


def _bare_seconds(value: object) -> float:
    """RoadRunner has a few durations without a unit, which are whole seconds."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(_duration(zero=False).read(f"{value}s" if whole else value))  # type: ignore[arg-type]


def _address_text(value: object) -> str:
    """A bare port is a number in YAML: what is wrong with it is not that it has no quotes."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else read_text(value)


def _optional(read: Callable[[str], object], text_of: Callable[[object], str] = read_text) -> Callable[[object], str]:
    """The text as it is, "" (off) unseen, anything else after `read` had no objection."""

    def check(value: object) -> str:
        text = text_of(value)
        if text:
            read(text)
        return text

    return check


def _listen_address(value: object) -> str:
    text = _address_text(value)
    parse_address(text)
    return text


def _tcp_address(text: str) -> None:
    if not isinstance(parse_address(text), TCPAddress):
        raise ValueError("only TCP is possible here")


def _url(text: str) -> None:
    if not text.startswith(("tcp://", "unix://")):
        meant = _meant_url(text)
        raise ValueError(f'did you mean "{meant}"?' if meant else "")
    parse_address(text)


def _meant_url(text: str) -> str:
    """The URL that a port, a path or an address without a scheme stands for; "" for anything else."""
    if text.isascii() and text.isdigit():
        return f"tcp://127.0.0.1:{text}"
    if text.startswith("/"):
        return f"unix://{text}"
    try:
        return f"tcp://{text}" if isinstance(parse_address(text), TCPAddress) else ""
    except ValueError:
        return ""


def _relay(value: object) -> str:
    text = _address_text(value)
    if text not in ("unix", "pipes"):
        _url(text)
    return text


def _host_name(value: object) -> str:
    text = read_text(value)
    # It stands in the greeting and in replies, where a blank would end it (RFC 5321 section 4.2).
    if not re.fullmatch(r"[!-~]{1,255}", text):
        raise ValueError("")
    return text


def _words(text: str) -> None:
    try:
        shlex.split(text)
    except ValueError as fault:
        raise ValueError(str(fault)[:1].lower() + str(fault)[1:]) from None


def _namespace_entry(value: object) -> str:
    text = read_text(value)
    if text not in ("listener", "username", "helo", "plus"):
        name = text.removeprefix("header:")
        if name == text or not re.fullmatch(r"[!-9;-~]{1,100}", name):  # RFC 5322 2.2
            raise ValueError("")
    return text


def _relay_url(value: object) -> str:
    text = read_text(value)
    if not text:
        return text
    parts = urlsplit(text)
    try:
        port = parts.port or 25
    except ValueError:
        port = 0
    if parts.scheme != "smtp" or not parts.hostname or not port or parts.path not in ("", "/") or parts.username:
        raise ValueError("")
    return f"smtp://{parts.netloc}"


def _stream_name(value: object) -> str:
    text = read_text(value)
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", text):
        raise ValueError("")
    return text


def _server_url(schemes: tuple[str, ...], value: object) -> str:
    text = read_text(value)
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme not in schemes or not parts.hostname or not port or parts.path.strip("/") or parts.query:
        raise ValueError("")
    return text


def _amqp_url(value: object) -> str:
    text = read_text(value)
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname or port in (0, -1) or parts.query:
        raise ValueError("")
    return text


def _amqp_name(value: object) -> str:
    text = read_text(value)
    # A short string of AMQP; what begins with "amq." is the server's.
    if not re.fullmatch(r"[!-~]{1,127}", text) or text.startswith("amq."):
        raise ValueError("")
    return text


def _network(value: object) -> str:
    text = read_text(value)
    if text == "unix:":
        return text
    import ipaddress  # few have networks in their configuration

    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("") from None
    if "/" in text and network.network_address != ipaddress.ip_address(text.partition("/")[0]):
        raise ValueError(f'did you mean "{network}"?')
    return str(network)


def _scalar_text(value: object) -> str:
    """RoadRunner lets numbers and booleans stand unquoted where it makes text of them."""
    return read_text("true" if value is True else "false" if value is False else str(value))


Text: TypeAlias = Annotated[str, Rule("text", read_text)]
Count: TypeAlias = Annotated[int, integer(0)]
Positive: TypeAlias = Annotated[int, integer(1)]
Workers: TypeAlias = Annotated[int, integer(0, MAX_WORKERS)]
Number: TypeAlias = Annotated[float, Rule("a number", _number)]
Size: TypeAlias = Annotated[int, size(0)]
Seconds: TypeAlias = Annotated[float, _duration(zero=True)]
PositiveSeconds: TypeAlias = Annotated[float, _duration(zero=False)]
BareSeconds: TypeAlias = Annotated[float, Rule('seconds, or a duration like "500ms" or "60s"', _bare_seconds)]
Flag: TypeAlias = Annotated[bool, Rule("true or false", _flag)]
Address: TypeAlias = Annotated[
    str, Rule('an address like "127.0.0.1:1025", "[::1]:1025", ":1025" or "unix:/path"', _listen_address)
]
HTTPAddress: TypeAlias = Annotated[
    str, Rule('an address like "127.0.0.1:2112"', _optional(_tcp_address, _address_text))
]
URL: TypeAlias = Annotated[
    str, Rule('an address like "tcp://127.0.0.1:6001" or "unix:///path"', _optional(_url, _address_text))
]
Relay: TypeAlias = Annotated[str, Rule('"unix", "unix:///path", "pipes" or "tcp://127.0.0.1:port"', _relay)]
RelayURL: TypeAlias = Annotated[str, Rule('a server like "smtp://127.0.0.1:25"', _relay_url)]
HostName: TypeAlias = Annotated[str, Rule("a host name, without blanks", _host_name)]
OptionalHostName: TypeAlias = Annotated[str, Rule("a host name, without blanks", _optional(_host_name))]
CommandLine: TypeAlias = Annotated[str, Rule("a command, as text or as a list", _optional(_words))]
Network: TypeAlias = Annotated[str, Rule('a network like "10.0.0.0/8", "192.0.2.1" or "::1", or "unix:"', _network)]
Scalar: TypeAlias = Annotated[str, Rule("text", _scalar_text)]
LogMode: TypeAlias = Annotated[str, choice("development", "production", "raw", "none", "off")]
LogLevel: TypeAlias = Annotated[
    str, choice("debug", "info", "warn", "error", "panic", warning="warn", dpanic="panic", fatal="panic")
]
LogEncoding: TypeAlias = Annotated[str, choice("", "console", "json")]
StatusCode: TypeAlias = Annotated[int, integer(100, 599)]
ProcessCount: TypeAlias = Annotated[int, Rule('an integer of 1 or more, or "auto"', integer(1).read)]
StreamName: TypeAlias = Annotated[str, Rule("letters, digits, - and _, at most 32", _stream_name)]
NodeName: TypeAlias = Annotated[str, Rule("a name without blanks", _optional(_host_name))]
NATSURL: TypeAlias = Annotated[
    str, Rule('a server like "nats://127.0.0.1:4222" or "tls://host:4222"', partial(_server_url, ("nats", "tls")))
]
AMQPURL: TypeAlias = Annotated[str, Rule('a server like "amqp://guest:guest@127.0.0.1:5672/"', _amqp_url)]
AMQPName: TypeAlias = Annotated[str, Rule('a name without blanks, at most 127, not of "amq."', _amqp_name)]
MonitorURL: TypeAlias = Annotated[
    str, Rule('a URL like "http://127.0.0.1:8222"', partial(_server_url, ("http", "https")))
]
NamespaceEntry: TypeAlias = Annotated[
    str, Rule('"listener", "username", "helo", "plus" or "header:Name"', _namespace_entry)
]
