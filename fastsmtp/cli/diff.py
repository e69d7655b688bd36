"""`fastsmtp diff`: what differs between two mails, or two recordings, apart from what differs each time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from fastsmtp import text
from fastsmtp.cli.options import FAILED, complete_file, refuse
from fastsmtp.cli.recording import read_mails

if TYPE_CHECKING:
    from fastsmtp.client.comparable import Mask
    from fastsmtp.client.recording import Recorded

_ELSE = "<masked>"
_EPILOG = """\b
Exit codes:
  0  alike
  1  not alike
  2  one of them cannot be read, or bad usage
"""


@click.command(short_help="Compare two mails, or two recordings.", epilog=_EPILOG)
@click.argument("expected", metavar="A", shell_complete=complete_file)
@click.argument("got", metavar="B", shell_complete=complete_file)
@click.option("--mask", "patterns", metavar="REGEX", multiple=True, help="Differs each time; may be repeated.")
@click.option("-s", "--silent", is_flag=True, help="Say nothing.")
def diff(expected: str, got: str, patterns: Sequence[str], silent: bool) -> None:
    """Say what B has otherwise than A; each is a message, a directory of messages, or a recording.

    Not compared are dates, ids, boundaries, signatures, tokens, and how texts are encoded. In A, {{*}} stands for
    anything.
    """
    from fastsmtp.client.difference import difference

    masks = [_mask(pattern) for pattern in patterns]
    lines = difference(_lines(read_mails(expected), masks), _lines(read_mails(got), masks))
    if not silent:
        for line in lines:
            click.echo(text.printable(line))
    raise SystemExit(FAILED if lines else 0)


def _mask(pattern: str) -> Mask:
    try:
        return re.compile(pattern), _ELSE
    except re.error as error:
        refuse("--mask", f"{pattern}: {error}")


def _lines(mails: Sequence[Recorded], masks: Sequence[Mask]) -> list[str]:
    """Return the lines of a message; of several with the envelope of each, which alone is no part of a message."""
    from fastsmtp.client.comparable import comparable

    if len(mails) == 1 and not mails[0].connection:
        return comparable(mails[0].octets, masks)
    lines = []
    for number, mail in enumerate(mails, 1):
        to = ", ".join(mail.envelope.recipients)
        lines += [f"[mail {number}: <{mail.envelope.sender}> to {to}]", *comparable(mail.octets, masks), ""]
    return lines
