"""What the verbs about the inbox share: where it is, conditions as arguments, how its answers and faults are shown."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from fastsmtp import text
from fastsmtp.cli.options import BAD_CONFIG, NOBODY_THERE, fail
from fastsmtp.system import table
from fastsmtp.system.terminal import terminal_width

if TYPE_CHECKING:
    pass

URL_VARIABLE = "FASTSMTP_URL"
NAMESPACE_VARIABLE = "FASTSMTP_NAMESPACE"
_DEFAULT_URL = "http://127.0.0.1:8025"
_NUMBERS = frozenset({"#", "SIZE"})

EXIT_CODES = """\b
Exit codes:
  0  done, or it holds
  1  what is waited for or expected did not come; the inbox refused
  2  bad usage, or a condition that cannot be used
  3  no inbox answers there
"""


def inbox_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options of every verb about the inbox; it gets an `InboxClient` as `client`."""

    @click.option(
        "--url",
        envvar=URL_VARIABLE,
        default=_DEFAULT_URL,
        metavar="URL",
        help="Where the inbox is, maybe with user:password before its host. Also in FASTSMTP_URL.  "
        f"[default: {_DEFAULT_URL}]",
    )
    @click.option("--json", "as_json", is_flag=True, help="The answer as JSON, for scripts.")
    @functools.wraps(command)
    def wrapped(*arguments: Any, url: str, **options: Any) -> None:
        from fastsmtp.client.inbox import InboxClient

        try:
            client = InboxClient(url)
        except ValueError as error:
            fail(error, BAD_CONFIG)
        with _faults():
            command(*arguments, client=client, **options)

    return wrapped


def namespace_option(command: Callable[..., None]) -> Callable[..., None]:
    """The option that names a namespace, as `namespace`."""
    return click.option(
        "-n",
        "--namespace",
        envvar=NAMESPACE_VARIABLE,
        default="default",
        metavar="NAME",
        help=f"Which namespace. Also in {NAMESPACE_VARIABLE}.  [default: default]",
    )(command)


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    """What fails is one line and an exit code."""
    from fastsmtp.client.inbox import InboxError

    try:
        yield
    except InboxError as error:
        fail(error, NOBODY_THERE if not error.status else BAD_CONFIG if error.status in (400, 422) else 1)


def read_conditions(arguments: Sequence[str]) -> dict[str, Any]:
    """Return the condition that arguments like `to=x@example.com` make; a key that comes twice is "any of"."""
    spec: dict[str, Any] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or not key:
            fail(f'a condition is like to=x@example.com or subject="Welcome*", not {argument!r}', BAD_CONFIG)
        read: Any = {"true": True, "false": False}.get(value, value) if key in ("has_attachment", "tls") else value
        if key not in spec:
            spec[key] = read
        elif isinstance(spec[key], list):
            spec[key].append(read)
        else:
            spec[key] = [spec[key], read]
    return spec


def echo_json(document: Any) -> None:
    """Show a document as a script wants it."""
    click.echo(json.dumps(document, ensure_ascii=False))


def echo_mails(mails: Sequence[Mapping[str, Any]]) -> None:
    """Show mails as a table."""
    heads = ("#", "TIME", "FROM", "TO", "SUBJECT", "SIZE", "UUID")
    for line in table.lines(heads, map(_mail_row, mails), _NUMBERS, width=terminal_width(), whole={"UUID", "TIME"}):
        click.echo(line)


def _mail_row(mail: Mapping[str, Any]) -> tuple[object, ...]:
    recipients = mail["envelope"]["to"]
    more = f" +{len(recipients) - 1}" if len(recipients) > 1 else ""
    return (
        mail.get("seq", ""),
        mail["received_at"][11:23],
        mail["envelope"]["from"] or "<>",
        f"{recipients[0]}{more}" if recipients else "-",
        (mail["subject"] or "") + ("" if mail["outcome"] == "accepted" else f" ({mail['outcome']})"),
        text.size(mail["size"]),
        mail["uuid"],
    )


def mails_path(namespace: str, rest: str = "") -> str:
    """Return the path of the mails of a namespace."""
    from fastsmtp.client.inbox import namespace_path

    return f"{namespace_path(namespace)}/mails{rest}"
