"""`fastsmtp serve`: listen, and serve until told to stop."""

from __future__ import annotations

import os

import click

from fastsmtp.cli.options import (
    FAILED,
    PID_FILE,
    complete_directory,
    complete_file,
    fail,
    refuse,
)
from fastsmtp.cli.source import Source, before_verb, config_options
from fastsmtp.errors import StartError

_EPILOG = """\b
Exit codes:
  0         stopped gracefully
  1         cannot start: a taken port, a missing worker command, ...
  2         bad configuration or usage, one line per fault
  130, 143  ended at once by a second SIGINT or SIGTERM

\b
Signals:
  SIGINT, SIGTERM  stop gracefully; a second one ends at once
  SIGHUP           replace the workers one by one
  SIGUSR1          reopen the log files
"""


def _fill_standard_streams() -> None:
    """Put /dev/null where stdin, stdout or stderr was closed, or a socket gets its number, and the output."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: `fd`


def _remove_old(ready_file: str) -> None:
    """Before anything else, and whatever becomes of this start: what waits for the file must not find an old one."""
    try:
        os.unlink(ready_file)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        fail(f"cannot remove the old ready file {ready_file}: {error.strerror}")


@click.command(epilog=_EPILOG)
@config_options
@click.option(
    "--save", metavar="DIR", default="", shell_complete=complete_directory,
    help="Keep each mail in DIR as .eml and .json, besides showing it.",
)  # fmt: skip
@click.option("-d", "--debug", is_flag=True, help="Log every command and reply: logs.level=debug.")
@click.option("-s", "--silent", is_flag=True, help="Start without the banner.")
@click.option("-p", "--pid", is_flag=True, help=f"Write the pid to {PID_FILE} in the working directory, for `stop`.")
@click.option(
    "--ready-file", metavar="FILE", default="", shell_complete=complete_file,
    help="Write pid and addresses to FILE, as JSON, once mail is accepted.",
)  # fmt: skip
def serve(source: Source, save: str, debug: bool, silent: bool, pid: bool, ready_file: str) -> None:
    """Listen and serve until told to stop.

    Without server.command in the configuration, every mail is shown in this terminal.
    """
    _fill_standard_streams()
    if ready_file:
        _remove_old(ready_file)
    before = before_verb()
    if debug or before.debug:
        source = source._replace(overrides=(*source.overrides, "logs.level=debug"))
    config = source.read()
    if save and (config.server.command or config.smtp.pool.command):
        refuse("--save", "server.command names a worker, which gets the mails instead")
    from fastsmtp.cli import service  # the other verbs do without it, and are quick

    wishes = service.Wishes(
        source.name,
        source.absolute(save),
        source.absolute(ready_file),
        PID_FILE if pid or before.pid else "",
        silent or before.silent,
    )
    source.enter()
    try:
        status = service.serve(config, wishes)
    except StartError as error:
        fail(error, FAILED)
    raise SystemExit(status)
