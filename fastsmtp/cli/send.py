"""`fastsmtp send`: a test mail to any SMTP server."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from fastsmtp.cli.options import (
    BAD_CONFIG,
    FAILED,
    NOBODY_THERE,
    complete_file,
    config_options,
    fail,
    target,
)
from fastsmtp.text import printable, size

if TYPE_CHECKING:
    import ssl

    from fastsmtp.client.client import SMTPClient, Watcher
    from fastsmtp.client.dialogue import Script

_EPILOG = """\b
Exit codes:
  0  accepted
  1  refused, by the server or one of its recipients
  2  bad configuration or usage
  3  no server answers at ADDRESS

\b
Examples:
  fastsmtp send --to you@example.com --subject Hello --text 'It works.'
  fastsmtp send -a invoice.pdf -a logo.png --html '<b>Hello</b>' 127.0.0.1:2525
  fastsmtp send -v --user me --password secret --auth LOGIN --starttls --insecure
  fastsmtp send --eml mail.eml --from bounces@example.com --to a@example.com --to b@example.com
  cat mail.eml | fastsmtp send --eml - mail.example.com:25

The password is better in the environment: FASTSMTP_PASSWORD. `-v` shows it, as everything else that is said.
"""
_BAR_FROM = 1_000_000  # bytes; a smaller mail is gone before anybody has seen the bar
_MAX_TIMEOUT_S = 86400
_SENDER, _RECIPIENT = "fastsmtp@example.com", "you@example.com"
_MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2", "OAUTHBEARER")


class _Wish(NamedTuple):
    """What the options say."""

    sender: str
    recipients: tuple[str, ...]
    subject: str
    text: str | None
    html: str | None
    files: tuple[str, ...]
    fields: tuple[str, ...]
    eml: str
    user: str | None
    password: str
    mechanism: str | None
    starttls: bool
    implicit_tls: bool
    insecure: bool
    ca_file: str
    helo: str
    timeout_s: float
    verbose: bool
    silent: bool


def _timeout(_context: click.Context, _parameter: click.Parameter, seconds: float) -> float:
    """Not click.FloatRange, whose limits in the help say more than anybody asks."""
    if not 0.001 <= seconds <= _MAX_TIMEOUT_S:
        raise click.BadParameter(f"expected seconds, from 0.001 to {_MAX_TIMEOUT_S}")
    return seconds


@click.command(epilog=_EPILOG)
@config_options
@click.argument("address", required=False)
@click.option(
    "--from", "sender", metavar="ADDRESS", default=_SENDER, show_default=True, help='Envelope and header; "" = <>.'
)
@click.option(
    "--to",
    "recipients",
    metavar="ADDRESS",
    multiple=True,
    default=[_RECIPIENT],
    show_default=True,
    help="May be repeated.",
)
@click.option("--subject", metavar="TEXT", default="Test mail", show_default=True)
@click.option("--text", metavar="TEXT", help="The text body.  [default: a sentence, if there is no HTML]")
@click.option("--html", metavar="HTML", help="The HTML body.")
@click.option(
    "-a", "--attach", "files", metavar="FILE", multiple=True, shell_complete=complete_file,
    help="Attach a file; may be repeated.",
)  # fmt: skip
@click.option("--header", "fields", metavar="'NAME: VALUE'", multiple=True, help="Add a header field; may be repeated.")
@click.option(
    "--eml", metavar="FILE", default="", shell_complete=complete_file,
    help="Send this message as it is; - = standard input.",
)  # fmt: skip
@click.option("--user", metavar="NAME", help="Log in as this user.")
@click.option(
    "--password", metavar="SECRET", envvar="FASTSMTP_PASSWORD", show_envvar=True, default="", help="Or token."
)
@click.option(
    "--auth",
    "mechanism",
    type=click.Choice(_MECHANISMS, case_sensitive=False),
    default=None,
    help="How.  [default: the first that is offered and takes a password]",
)
@click.option("--starttls", is_flag=True, help="Begin TLS with STARTTLS.")
@click.option("--tls", "implicit_tls", is_flag=True, help="Begin TLS at once, as on port 465.")
@click.option("--insecure", is_flag=True, help="Take any certificate.")
@click.option(
    "--ca", "ca_file", metavar="FILE", default="", shell_complete=complete_file,
    help="Trust the certificates in this PEM file.",
)  # fmt: skip
@click.option("--helo", metavar="NAME", default="", help="How to introduce oneself.  [default: the host name]")
@click.option(
    "--timeout",
    "timeout_s",
    metavar="SECONDS",
    type=float,
    default=60.0,
    callback=_timeout,
    help="How long to wait for each reply.  [default: 60]",
)
@click.option("-v", "--verbose", is_flag=True, help="Show the dialogue.")
@click.option("-s", "--silent", is_flag=True, help="Say nothing when all went well.")
def send(path: str | None, overrides: tuple[str, ...], address: str | None, **options: Any) -> None:
    """Send a test mail, to this server or any other.

    ADDRESS is host:port or unix:/path. Without it the mail goes to the first listener of the configuration.
    """
    from fastsmtp.client.client import SendError

    wish = _Wish(**options)
    if wish.starttls and wish.implicit_tls:
        raise click.UsageError("--starttls or --tls, not both")
    place = target(address, path, overrides)
    message = _message(wish)
    tls = _tls(wish)
    script = _script(wish, place)
    try:
        with _watching(wish, len(message)) as watcher, contextlib.closing(_connect(place, wish, watcher)) as client:
            reply, refused = client.send(script, message, tls, implicit_tls=wish.implicit_tls)
    except SendError as error:
        fail(error)
    for refusal in refused:
        click.echo(f"fastsmtp: {refusal}", err=True)
    if not wish.silent:
        click.echo(f"sent {size(len(message))} to {place}: {reply}")
    if refused:
        raise SystemExit(FAILED)


def _message(wish: _Wish) -> bytes:
    from fastsmtp.client import message

    for text in (wish.sender, *wish.recipients, wish.subject, wish.helo, *wish.fields):
        if "\r" in text or "\n" in text:
            raise click.UsageError(f"there is a line break in {text!r}")
    try:
        if wish.eml:
            return message.read(wish.eml)
        return message.compose(
            message.Message(wish.sender, wish.recipients, wish.subject, wish.text, wish.html, wish.files, wish.fields)
        )
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}", BAD_CONFIG)
    except ValueError as error:
        fail(error, BAD_CONFIG)


def _tls(wish: _Wish) -> ssl.SSLContext:
    from fastsmtp.client.client import tls_context

    try:
        return tls_context(insecure=wish.insecure, ca_file=wish.ca_file)
    except OSError as error:
        fail(f"--ca {wish.ca_file}: {error.strerror or error}", BAD_CONFIG)


def _script(wish: _Wish, place: str) -> Script:
    from fastsmtp.client.auth import Account
    from fastsmtp.client.dialogue import Script
    from fastsmtp.system.addresses import TCPAddress, parse_address

    parsed = parse_address(place)
    return Script(
        wish.helo or socket.getfqdn(),
        wish.sender,
        wish.recipients,
        starttls=wish.starttls,
        account=None if wish.user is None else Account(wish.user, wish.password),
        mechanism=wish.mechanism or "",
        host=(parsed.host or "127.0.0.1") if isinstance(parsed, TCPAddress) else "localhost",
    )


def _connect(place: str, wish: _Wish, watcher: Watcher) -> SMTPClient:
    from fastsmtp.client.client import SendError, SMTPClient

    try:
        return SMTPClient(place, wish.timeout_s, watcher)
    except SendError as error:
        fail(error, NOBODY_THERE)


@contextlib.contextmanager
def _watching(wish: _Wish, octets: int) -> Iterator[Watcher]:
    """Shows the dialogue, or a progress bar for a large mail on a terminal; both on stderr."""
    from fastsmtp.client.client import Watcher

    if wish.verbose:
        yield Watcher(lambda line: _say(">", line), lambda line: _say("<", line))
    elif octets >= _BAR_FROM and not wish.silent and sys.stderr.isatty():
        with click.progressbar(length=octets, label="sending", file=sys.stderr) as bar:
            yield Watcher(on_progress=bar.update)
    else:
        yield Watcher()


def _say(side: str, line: str) -> None:
    click.echo(f"{side} {printable(line)}", err=True)
