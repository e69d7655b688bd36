"""The command `fastsmtp`, and its verbs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from fastsmtp import __version__
from fastsmtp.cli.bench import bench
from fastsmtp.cli.check import check
from fastsmtp.cli.dead import dead
from fastsmtp.cli.diff import diff
from fastsmtp.cli.faults import faults
from fastsmtp.cli.inbox import inbox
from fastsmtp.cli.namespaces import ledger, ns
from fastsmtp.cli.nodes import nodes
from fastsmtp.cli.recording import record, replay
from fastsmtp.cli.remote import close, connections, reset, stop, workers
from fastsmtp.cli.send import send
from fastsmtp.cli.sendmail import NAME, sendmail
from fastsmtp.cli.serve import serve
from fastsmtp.cli.source import Flags, flags_before_verb
from fastsmtp.cli.testserver import testserver

_EPILOG = """\b
Begin with:
  fastsmtp serve                         show every mail in this terminal
  fastsmtp send --to me@example.com      send one, from another terminal
  fastsmtp check                         say what .rr.yaml will do

\b
Completion of words with TAB, for bash, zsh and fish:
  eval "$(_FASTSMTP_COMPLETE=bash_source fastsmtp)"
  eval "$(_FASTSMTP_COMPLETE=zsh_source fastsmtp)"
  _FASTSMTP_COMPLETE=fish_source fastsmtp | source
"""


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"fastsmtp {__version__}")
        context.exit()


class _Program(click.Group):
    """The command. Under the name `sendmail`, which a link gives it, it is that verb alone."""

    def main(self, args: Sequence[str] | None = None, *arguments: Any, **options: Any) -> Any:
        """Run it; without `args` they are those of the process."""
        if args is None and os.path.basename(sys.argv[0]) == NAME:
            return sendmail.main(sys.argv[1:], NAME)
        if "_FASTSMTP_COMPLETE" in os.environ:
            from fastsmtp.cli import completion  # only here: it takes a while

            completion.register()
        return super().main(args, *arguments, **options)


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@flags_before_verb
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
@click.pass_context
def main(context: click.Context, /, **flags: Any) -> None:
    """Capture every mail sent to it by SMTP and hand it to PHP workers, as JSON.

    WARNING: it accepts everything from everyone. Keep it off the internet.
    """
    context.obj = Flags(**flags)


@main.command()
def version() -> None:
    """Show the version."""
    click.echo(f"fastsmtp {__version__}")


_CLIENTS = (send, sendmail, record, replay, diff, testserver, bench)
for verb in (serve, check, workers, connections, close, reset, stop, inbox, ns, faults, ledger, dead, nodes, *_CLIENTS):
    main.add_command(verb)
