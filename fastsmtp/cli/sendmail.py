"""`fastsmtp sendmail`: what programs call as /usr/sbin/sendmail. A message on standard input goes to an SMTP server."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, NoReturn

import click

from fastsmtp import __version__
from fastsmtp.cli import sendmailflags
from fastsmtp.cli.sendmailflags import DEFAULT_ADDRESS, SendmailFlags
from fastsmtp.text import printable

if TYPE_CHECKING:
    from fastsmtp.client.client import SessionWatcher
    from fastsmtp.client.dialogue import Script
    from fastsmtp.client.submission import Submission

NAME = "sendmail"
_ADDRESS_VARIABLE = "FASTSMTP_SENDMAIL_ADDR"

# sysexits.h. Not EX_TEMPFAIL, by which sendmail says that a mail is in its queue: PHP's mail() takes that for success.
_USAGE, _NO_DATA, _UNAVAILABLE = 64, 65, 69

_EPILOG = f"""\b
Examples:
  sendmail_path = "fastsmtp sendmail -t -i"             in php.ini
  git config sendemail.smtpserver /usr/sbin/sendmail    see below
  fastsmtp sendmail -S 127.0.0.1:2525 you@example.com < message

Under the name sendmail, as a link for example, the program is this verb alone.

The server is that of -S, --host or --socket, else {_ADDRESS_VARIABLE}, else
{DEFAULT_ADDRESS}. What a message lacks of From, Date and Message-ID is added, and Bcc is
taken out. -N, -R, -V and flags of msmtp have their meaning, among them --host,
--port, --user, --auth, --tls and --timeout; those about queues, aliases and
configuration files have no effect. The password is in FASTSMTP_PASSWORD.

\b
Exit codes:
  0   sent
  64  a flag is wrong
  65  no recipient, or an invalid address
  69  no server answers, or it refused
"""


class _Sendmail(click.Command):
    """Its flags are not click's; those that are declared stand in its help."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Leave the arguments to `sendmailflags`."""
        context.params = {"arguments": args}
        return []


@click.command(
    NAME, cls=_Sendmail, epilog=_EPILOG, options_metavar="[FLAG]...", add_help_option=False,
    short_help="Send what is on standard input, as sendmail does.",
)  # fmt: skip
@click.argument("recipients", nargs=-1)
@click.option("-t", "--read-recipients", is_flag=True, help="Recipients are those in To, Cc and Bcc, too.")
@click.option("-i", is_flag=True, help="A line with a single dot does not end the message; also as -oi.")
@click.option("-f", "-r", "--from", metavar="ADDRESS", help="Who it is from; <> is allowed.  [default: user@host]")
@click.option("--read-envelope-from", is_flag=True, help="The field From says who it is from.")
@click.option("-F", metavar="NAME", help="The name in From, where a message lacks it.")
@click.option("-S", "--smtp-addr", metavar="ADDRESS", help="The server: host:port or unix:/path.")
@click.option("--host", metavar="NAME", help="The same, as with msmtp.")
@click.option("--port", metavar="NUMBER", help="Of --host.  [default: 25]")
@click.option("-bs", is_flag=True, help="Speak SMTP with the server, on standard input and output.")
@click.option("-v", "--verbose", is_flag=True, help="Show the dialogue.")
@click.option("-X", "--logfile", metavar="FILE", help="Append the dialogue to FILE; - is standard output.")
@click.option("--help", is_flag=True, help="Show this message.")
@click.pass_context
def sendmail(context: click.Context, /, **given: Any) -> None:
    """Send the message on standard input, as /usr/sbin/sendmail does.

    Without -t and RECIPIENTS they are those in To, Cc and Bcc, as with Mailpit.
    """
    try:
        flags = sendmailflags.parse(given["arguments"])
        place = flags.place(os.environ.get(_ADDRESS_VARIABLE, "") or DEFAULT_ADDRESS)
    except ValueError as error:
        _fail(error, _USAGE)
    if flags.mode == sendmailflags.HELP:
        click.echo(context.get_help())
    elif flags.mode == sendmailflags.VERSION:
        click.echo(f"fastsmtp {__version__}")
    elif flags.mode == sendmailflags.QUEUE:
        click.echo("Mail queue is empty")
    elif flags.mode == sendmailflags.TALK:
        _talk(place)
    elif flags.mode == sendmailflags.DELIVER:
        _deliver(place, flags)


def _deliver(place: str, flags: SendmailFlags) -> None:
    from fastsmtp.client.client import SendError, SMTPClient, tls_context
    from fastsmtp.client.submission import Added, Submission, named, up_to_dot

    octets = sys.stdin.buffer.read()
    submission = Submission(octets if flags.ignore_dots else up_to_dot(octets))
    domain = flags.domain or _host_name()
    sender, recipients = _envelope(submission, flags, domain)
    author = named(sender, flags.name) if sender and flags.add_from else ""
    message = submission.completed(
        Added(author, flags.add_date, domain if flags.add_message_id else "", blind=flags.keep_bcc)
    )
    try:
        context = tls_context(insecure=flags.insecure, ca_file=flags.ca_file) if flags.tls else None
    except OSError as error:
        _fail(f"--tls-trust-file {flags.ca_file}: {error.strerror or error}", _USAGE)
    with contextlib.ExitStack() as opened:
        watcher = _watcher(flags, opened)
        try:
            client = opened.enter_context(contextlib.closing(SMTPClient(place, flags.timeout_s, watcher)))
            script = _script(place, flags, sender, recipients)
            _, refused = client.send(script, message, context, implicit_tls=flags.tls and not flags.starttls)
        except SendError as error:
            _fail(error, _UNAVAILABLE)
    if refused:
        _fail("\n".join(refused), _UNAVAILABLE)


def _envelope(submission: Submission, flags: SendmailFlags, domain: str) -> tuple[str, list[str]]:
    from fastsmtp.client.submission import forward_paths, qualified

    try:
        sender = _sender(submission, flags, domain)
        recipients = [path for argument in flags.recipients for path in forward_paths(argument, domain)]
    except ValueError as error:
        _fail(error, _NO_DATA)
    if flags.read_recipients or not recipients:
        recipients += [qualified(address, domain) for address in submission.recipients()]
    if not recipients:
        _fail("no recipient: the message names none in To, Cc and Bcc, and neither do the arguments", _NO_DATA)
    return sender, list(dict.fromkeys(recipients))


def _sender(submission: Submission, flags: SendmailFlags, domain: str) -> str:
    """Raises ValueError for what is not an address."""
    from fastsmtp.client.submission import qualified, reverse_path

    if flags.sender is not None:
        return reverse_path(flags.sender, domain)
    found = submission.sender() if flags.sender_from_header else None
    return qualified(found or _user_name(), domain)


def _script(place: str, flags: SendmailFlags, sender: str, recipients: Sequence[str]) -> Script:
    from fastsmtp.cli.options import ClientOptions

    client = ClientOptions(
        user=flags.user,
        password=os.environ.get("FASTSMTP_PASSWORD", ""),
        mechanism=flags.mechanism,
        starttls=flags.tls and flags.starttls,
        implicit_tls=flags.tls and not flags.starttls,
        insecure=flags.insecure,
        ca_file=flags.ca_file,
        helo=flags.helo or _host_name(),
        timeout_s=flags.timeout_s,
    )
    return client.script(place, sender, recipients)._replace(
        notify=flags.notify, dsn_return=flags.dsn_return, envelope_id=flags.envelope_id
    )


def _watcher(flags: SendmailFlags, opened: contextlib.ExitStack) -> SessionWatcher:
    """What tells the dialogue to stderr, to a file, to both or to neither; `opened` closes the file."""
    from fastsmtp.client.client import SessionWatcher

    outputs: list[IO[str]] = [sys.stderr] if flags.verbose else []
    if flags.log:
        try:
            outputs.append(opened.enter_context(click.open_file(flags.log, "a", "utf-8")))
        except OSError as error:  # the mail goes nevertheless, as with msmtp
            click.echo(f"{NAME}: -X {flags.log}: {error.strerror or error}", err=True)

    def tell(direction: str, line: str) -> None:
        for output in outputs:
            click.echo(f"{direction} {printable(line)}", file=output)

    return SessionWatcher(lambda line: tell(">", line), lambda line: tell("<", line))


def _talk(place: str) -> None:
    """Pass on what is said on both sides, until the server hangs up."""
    from fastsmtp.client.client import SendError
    from fastsmtp.client.talk import talk

    try:
        talk(place)
    except SendError as error:
        _fail(error, _UNAVAILABLE)


def _host_name() -> str:
    """Not `socket.getfqdn`, which may ask a name server, and wait."""
    import socket

    return socket.gethostname() or "localhost"


def _user_name() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user that has no name
        return str(os.getuid())


def _fail(problem: object, code: int) -> NoReturn:
    click.echo("\n".join(f"{NAME}: {printable(line)}" for line in str(problem).splitlines()), err=True)
    raise SystemExit(code)
