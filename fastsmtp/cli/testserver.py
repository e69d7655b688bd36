"""`fastsmtp testserver`: the server of a test run, for clients in any language."""

from __future__ import annotations

import json
import os
import re
import signal
import sys

import click

from fastsmtp.cli.options import BAD_CONFIG, fail

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CHUNK = 4096
_EPILOG = """\b
Exit codes:
  0  standard input has ended
  1  there is no server, and none could be started
  2  bad usage
"""


@click.command(short_help="Find or start the server of a test run.", epilog=_EPILOG)
@click.option(
    "--run",
    metavar="NAME",
    envvar="FASTSMTP_RUN",
    help="All with this name share one server. Also in FASTSMTP_RUN.  [default: the number of the parent process]",
)
def testserver(run: str | None) -> None:
    """Find or start the server of a test run, say where it is, as JSON, and wait for the end of standard input.

    The server ends with the last process that waits, also when that is killed.
    """
    from fastsmtp.client.testing.testrun import RunError, hold

    name = run or str(os.getppid())
    if not _NAME.fullmatch(name):
        fail(f"--run: letters, digits, and . _ - between them, not {name!r}", BAD_CONFIG)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which need the server to clean up
    try:
        with hold(name) as server:
            click.echo(json.dumps(server._asdict()))
            while os.read(sys.stdin.fileno(), _CHUNK):
                pass
    except RunError as error:
        fail(error)
