"""What the verbs share: options, exit codes, how a fault is told."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from fastsmtp.smtp.replies import MECHANISMS
from fastsmtp.text import printable_lines

if TYPE_CHECKING:
    import ssl

    from click.shell_completion import CompletionItem

    from fastsmtp.client.dialogue import Script

PID_FILE = ".pid"  # as RoadRunner calls it, in the working directory

FAILED = 1
BAD_CONFIG = 2  # click's code for bad usage, too
NOBODY_THERE = 3

_MAX_TIMEOUT_S = 86400


def complete_file(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Let the shell complete the name of a file. Not click.Path, whose checks speak in words of their own."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(begun, type="file")]


def complete_directory(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Let the shell complete the name of a directory."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(begun, type="dir")]


class ClientOptions(NamedTuple):
    """What `client_options` say: how the client of `send` and `bench` introduces itself, encrypts and logs in."""

    user: str | None
    password: str
    mechanism: str | None
    starttls: bool
    implicit_tls: bool
    insecure: bool
    ca_file: str
    helo: str
    timeout_s: float

    def script(self, place: str, sender: str, recipients: Sequence[str]) -> Script:
        """Return what the client says to the server at `place`, in a session of mails with this envelope."""
        import socket

        from fastsmtp.client.auth import Account
        from fastsmtp.client.dialogue import Script
        from fastsmtp.system.addresses import TCPAddress, parse_address

        parsed = parse_address(place)
        return Script(
            self.helo or socket.getfqdn(),
            sender,
            recipients,
            starttls=self.starttls,
            account=None if self.user is None else Account(self.user, self.password),
            mechanism=self.mechanism or "",
            host=(parsed.host or "127.0.0.1") if isinstance(parsed, TCPAddress) else "localhost",
        )

    def tls(self) -> ssl.SSLContext | None:
        """Return which certificates to trust, None where no option is about TLS; end where `--ca` cannot be read."""
        from fastsmtp.client.client import tls_context

        if not (self.starttls or self.implicit_tls or self.ca_file):
            return None
        try:
            return tls_context(insecure=self.insecure, ca_file=self.ca_file)
        except OSError as error:
            fail(f"--ca {self.ca_file}: {error.strerror or error}", BAD_CONFIG)


def client_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options about login and TLS, EHLO and timeout, and hand them to the verb as `client`."""

    @functools.wraps(command)
    def collect(**options: Any) -> None:
        client = ClientOptions(**{name: options.pop(name) for name in ClientOptions._fields})
        if client.starttls and client.implicit_tls:
            raise click.UsageError("--starttls or --tls, not both")
        refuse_line_breaks("--helo", client.helo)
        command(client=client, **options)

    for add in (
        click.option(
            "--timeout", "timeout_s", metavar="SECONDS", type=float, default=60.0, callback=_timeout,
            help="How long to wait for each reply.  [default: 60]",
        ),
        click.option(
            "--helo", metavar="NAME", default="", help="How to introduce oneself.  [default: the host name]",
        ),
        click.option(
            "--ca", "ca_file", metavar="FILE", default="", shell_complete=complete_file,
            help="Trust the certificates in this PEM file.",
        ),
        click.option("--insecure", is_flag=True, help="Take any certificate."),
        click.option("--tls", "implicit_tls", is_flag=True, help="Begin TLS at once, as on port 465."),
        click.option("--starttls", is_flag=True, help="Begin TLS with STARTTLS."),
        click.option(
            "--auth", "mechanism", type=click.Choice(MECHANISMS, case_sensitive=False), default=None,
            help="How.  [default: the first that is offered and takes a password]",
        ),
        click.option(
            "--password", metavar="SECRET", envvar="FASTSMTP_PASSWORD", show_envvar=True, default="", help="Or token.",
        ),
        click.option("--user", metavar="NAME", help="Log in as this user."),
    ):  # fmt: skip
        add(collect)
    return collect


def _timeout(_context: click.Context, _parameter: click.Parameter, seconds: float) -> float:
    """Not click.FloatRange, whose limits in the help say more than a reader asks."""
    if not 0.001 <= seconds <= _MAX_TIMEOUT_S:
        raise click.BadParameter(f"expected seconds, from 0.001 to {_MAX_TIMEOUT_S}")
    return seconds


class Count(click.IntRange):
    """A whole number, called so where something else is given."""

    name = "integer"


class Number(click.FloatRange):
    """A number that is finite, called so where something else is given."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number that `value` spells; refuse also what Python reads as one: `nan`, `inf` and `1e999`."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a valid number.", param, ctx)
        return number


def refuse(option: str, fault: object) -> NoReturn:
    """End, with the fault of an option in the form in which click tells it."""
    raise click.BadParameter(str(fault), param_hint=f"'{option}'")


def refuse_line_breaks(option: str, *texts: str) -> None:
    """End where a text that becomes part of a line would make two of it."""
    for text in texts:
        if "\r" in text or "\n" in text:
            refuse(option, f"there is a line break in {text!r}")


def fail(text: object, code: int = FAILED) -> NoReturn:
    """Say it, and end. What a server or its workers put into it reaches the terminal as escapes."""
    click.echo(f"fastsmtp: {printable_lines(str(text))}", err=True)
    raise SystemExit(code)
