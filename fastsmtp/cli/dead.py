"""The verb `dead`: mails of a cluster that no worker could take."""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from fastsmtp import text
from fastsmtp.cli.clustersource import EXIT_CODES, connected
from fastsmtp.cli.options import BAD_CONFIG, FAILED, fail
from fastsmtp.cli.source import Source, config_options
from fastsmtp.system import table
from fastsmtp.system.terminal import terminal_width

if TYPE_CHECKING:
    from fastsmtp.cluster.deadletters import DeadLetters, DeadMail

T = TypeVar("T")

_NUMBERS = frozenset({"NUMBER", "SIZE", "DELIVERIES"})
_EXIT_CODES = EXIT_CODES.format(refused="there is no such mail, or the cluster does not do it")


def _run(source: Source, work: Callable[[DeadLetters], Awaitable[T]]) -> T:
    """What `work` returns, connected to the cluster of the configuration; what fails is one line and an exit code."""
    from fastsmtp.cluster.deadletters import DeadError, DeadLetters

    try:
        return connected(source, "fastsmtp dead", lambda *cluster: work(DeadLetters(*cluster)))
    except DeadError as error:
        fail(error)


def _which(command: Callable[..., None]) -> Callable[..., None]:
    """What verbs have that do something to some of the dead."""
    options = (
        config_options,
        click.argument("numbers", nargs=-1, type=click.IntRange(1)),
        click.option("--all", "all_of_them", is_flag=True, help="All that are dead now."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(short_help="Show, retry and delete mails that no worker of a cluster could take.")
def dead() -> None:
    """Show, retry and delete mails that no worker of a cluster could take, after five deliveries.

    NUMBER is that of `fastsmtp dead ls`.
    """


@dead.command(name="ls", epilog=_EXIT_CODES)
@config_options
@click.option("--json", "as_json", is_flag=True, help="As JSON, one mail on each line.")
def list_dead(source: Source, as_json: bool) -> None:
    """List them, the oldest first."""

    async def work(letters: DeadLetters) -> list[DeadMail]:
        return [mail._replace(body=b"") async for mail in letters.mails()]

    mails = _run(source, work)
    if as_json:
        for mail in mails:
            click.echo(json.dumps(_document(mail)))
    elif not mails:
        click.echo("no mail is dead")
    else:
        heads = ("NUMBER", "DIED", "REASON", "DELIVERIES", "FROM", "TO", "SUBJECT", "SIZE")
        for line in table.lines(heads, map(_row, mails), _NUMBERS, width=terminal_width()):
            click.echo(line)


def _document(mail: DeadMail) -> dict[str, Any]:
    return {"number": mail.seq, "subject": mail.subject, **_said(mail)}


def _said(mail: DeadMail) -> dict[str, Any]:
    return {"mail": msgspec.to_builtins(mail.header), "death": msgspec.to_builtins(mail.death)}


def _row(mail: DeadMail) -> tuple[object, ...]:
    header, death = mail.header, mail.death
    hidden = header.recipients - len(header.to)
    to = ", ".join(header.to) + (f" and {hidden} more" if hidden else "")
    died = death.at.replace("T", " ").rstrip("Z")
    subject, size = header.subject or "", text.size(header.size)
    return (mail.seq, died, death.reason, death.deliveries, header.from_, to, subject, size)


@dead.command(epilog=_EXIT_CODES)
@config_options
@click.argument("number", type=click.IntRange(1))
@click.option("--raw", is_flag=True, help="The mail as it came, in place of its JSON.")
def show(source: Source, number: int, raw: bool) -> None:
    """Show one: its JSON as workers get it, but for contents of attachments."""
    mail = _run(source, lambda letters: letters.get(number))
    octets = mail.body[mail.header.outline :] if raw else mail.body[: mail.header.outline] + b"\n"
    sys.stdout.buffer.write(octets)


@dead.command(epilog=_EXIT_CODES)
@_which
def retry(source: Source, numbers: tuple[int, ...], all_of_them: bool) -> None:
    """Give them to the workers again, as if they had just come."""
    _each(source, numbers, all_of_them, "retried", lambda letters, number: letters.retry(number))


@dead.command(epilog=_EXIT_CODES)
@_which
def rm(source: Source, numbers: tuple[int, ...], all_of_them: bool) -> None:
    """Delete them."""
    _each(source, numbers, all_of_them, "deleted", lambda letters, number: letters.remove(number))


def _each(
    source: Source,
    numbers: Sequence[int],
    all_of_them: bool,
    done: str,
    do: Callable[[DeadLetters, int], Awaitable[DeadMail]],
) -> None:
    if bool(numbers) == all_of_them:
        fail("which ones? Their numbers, or --all", BAD_CONFIG)

    async def work(letters: DeadLetters) -> bool:
        from fastsmtp.cluster.deadletters import DeadError

        wanted = [mail.seq async for mail in letters.mails()] if all_of_them else numbers
        well = True
        for number in wanted:
            try:
                mail = await do(letters, number)
            except DeadError as error:
                well = False
                click.echo(f"fastsmtp: {error}", err=True)
            else:
                click.echo(f"{done} {number}, {mail.header.uuid}")
        return well

    if not _run(source, work):
        raise SystemExit(FAILED)
