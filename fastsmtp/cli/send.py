"""`fastsmtp send`: a test mail to any SMTP server."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from fastsmtp.cli.options import (
    BAD_CONFIG,
    FAILED,
    NOBODY_THERE,
    ClientOptions,
    client_options,
    complete_file,
    fail,
    refuse,
    refuse_line_breaks,
)
from fastsmtp.cli.source import Source, before_verb, config_options, target
from fastsmtp.text import printable, size

if TYPE_CHECKING:
    from fastsmtp.client.client import SessionWatcher, SMTPClient

_EPILOG = """\b
Exit codes:
  0  accepted
  1  refused, by the server or one of its recipients
  2  bad configuration or usage
  3  no server answers at ADDRESS

\b
Examples:
  fastsmtp send --to you@example.com --subject Hello --text 'It works.'
  fastsmtp send -a invoice.pdf --html '<b>Hello</b>' 127.0.0.1:2525
  fastsmtp send -v --user me --auth LOGIN --starttls --insecure
  fastsmtp send --eml mail.eml
  fastsmtp send --eml mail.eml --from '' --to a@example.com --to b@example.com
  cat mail.eml | fastsmtp send --eml - mail.example.com:25

The password is better in the environment: FASTSMTP_PASSWORD. `-v` shows it, as everything else that is said.
"""
_BAR_FROM = 1_000_000  # bytes; a smaller mail is gone before the bar can be seen
_SENDER, _RECIPIENT = "fastsmtp@example.com", "you@example.com"
_SHOWN = 3  # recipients found in a message


class _SendOptions(NamedTuple):
    """What the options say."""

    sender: str | None
    recipients: tuple[str, ...]
    subject: str
    text: str | None
    html: str | None
    files: tuple[str, ...]
    fields: tuple[str, ...]
    eml: str
    verbose: bool
    silent: bool


@click.command(epilog=_EPILOG)
@config_options
@click.argument("address", required=False)
@click.option("--from", "sender", metavar="ADDRESS", help=f'Envelope and header; "" = <>.  [default: {_SENDER}]')
@click.option(
    "--to",
    "recipients",
    metavar="ADDRESS",
    multiple=True,
    help=f"May be repeated.  [default: {_RECIPIENT}]",
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
    help="Send this message as it is, to whom it says unless --from and --to say otherwise; - = standard input.",
)  # fmt: skip
@client_options
@click.option("-v", "--verbose", is_flag=True, help="Show the dialogue.")
@click.option("-s", "--silent", is_flag=True, help="Say nothing when all went well.")
def send(source: Source, address: str | None, client: ClientOptions, **options: Any) -> None:
    """Send a test mail, to this server or any other.

    ADDRESS is host:port or unix:/path. Without it the mail goes to the first listener of the configuration.
    """
    from fastsmtp.client.client import SendError

    wish = _SendOptions(**{**options, "silent": options["silent"] or before_verb().silent})
    refuse_line_breaks("--from", wish.sender or "")
    refuse_line_breaks("--to", *wish.recipients)
    place = target(address, source)
    envelope, message = _read(wish) if wish.eml else _compose(wish)
    tls = client.tls()
    script = client.script(place, envelope.sender, envelope.recipients)
    try:
        with (
            _watching(wish, len(message)) as watcher,
            contextlib.closing(_connect(place, client.timeout_s, watcher)) as connection,
        ):
            reply, refused = connection.send(script, message, tls, implicit_tls=client.implicit_tls)
    except SendError as error:
        fail(error)
    for refusal in refused:
        click.echo(f"fastsmtp: {printable(refusal)}", err=True)
    if not wish.silent:
        click.echo("".join(f"{line}\n" for line in envelope.told), nl=False)
        click.echo(f"sent {size(len(message))} to {place}: {printable(reply)}")
    if refused:
        raise SystemExit(FAILED)


class _SendEnvelope(NamedTuple):
    """Who a mail is from and to, and what is told of it: where it was not said, but found in a message."""

    sender: str
    recipients: Sequence[str]
    told: list[str]


def _read(wish: _SendOptions) -> tuple[_SendEnvelope, bytes]:
    """A message that is there already, and the envelope that it asks for where the options say nothing of it."""
    from fastsmtp.client import message
    from fastsmtp.client.submission import FROM, RETURN_PATH, SENDER, Submission

    try:
        octets = message.read(wish.eml)
    except OSError as error:
        fail(f"--eml {error.filename}: {error.strerror}", BAD_CONFIG)
    submission = Submission(octets)
    sender, recipients, told = wish.sender, list(wish.recipients), []
    if sender is None:
        sender = submission.sender((RETURN_PATH, SENDER, FROM))
        told.append(_told("from", [_SENDER if sender is None else sender], known=sender is not None))
    if not recipients:
        recipients = submission.recipients()
        told.append(_told("to  ", recipients or [_RECIPIENT], known=bool(recipients)))
    return _SendEnvelope(_SENDER if sender is None else sender, recipients or [_RECIPIENT], told), octets


def _told(which: str, paths: Sequence[str], *, known: bool) -> str:
    shown = ", ".join(f"<{printable(path)}>" for path in paths[:_SHOWN])
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return f"{which} {shown}{more}: {'as the message says' if known else 'the message says nothing of it'}"


def _compose(wish: _SendOptions) -> tuple[_SendEnvelope, bytes]:
    """A message of what the options say, in an envelope that says the same."""
    from fastsmtp.client import message

    sender = _SENDER if wish.sender is None else wish.sender
    recipients = wish.recipients or (_RECIPIENT,)
    refuse_line_breaks("--subject", wish.subject)
    refuse_line_breaks("--header", *wish.fields)
    parts = message.Message(sender, recipients, wish.subject, wish.text, wish.html, wish.files, wish.fields)
    try:
        return _SendEnvelope(sender, recipients, []), message.compose(parts)
    except OSError as error:
        fail(f"--attach {error.filename}: {error.strerror}", BAD_CONFIG)
    except ValueError as error:
        refuse("--header", error)


def _connect(place: str, timeout_s: float, watcher: SessionWatcher) -> SMTPClient:
    from fastsmtp.client.client import SendError, SMTPClient

    try:
        return SMTPClient(place, timeout_s, watcher)
    except SendError as error:
        fail(error, NOBODY_THERE)


@contextlib.contextmanager
def _watching(wish: _SendOptions, octets: int) -> Iterator[SessionWatcher]:
    """Shows the dialogue, or a progress bar for a large mail on a terminal; both on stderr."""
    from fastsmtp.client.client import SessionWatcher

    if wish.verbose:
        yield SessionWatcher(lambda line: _say(">", line), lambda line: _say("<", line))
    elif octets >= _BAR_FROM and not wish.silent and sys.stderr.isatty():
        with click.progressbar(length=octets, label="sending", file=sys.stderr) as bar:
            yield SessionWatcher(on_progress=bar.update)
    else:
        yield SessionWatcher()


def _say(side: str, line: str) -> None:
    click.echo(f"{side} {printable(line)}", err=True)
