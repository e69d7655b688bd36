"""The command `fastsmtp`: its verbs, and `serve` among them."""

from __future__ import annotations

import os

import click

from fastsmtp import __version__
from fastsmtp.cli.bench import bench
from fastsmtp.cli.check import check
from fastsmtp.cli.options import (
    FAILED,
    PID_FILE,
    chosen_path,
    complete_directory,
    complete_file,
    config_options,
    fail,
    read_config,
)
from fastsmtp.cli.remote import close, connections, reset, stop, workers
from fastsmtp.cli.send import send
from fastsmtp.errors import StartError

_EPILOG = """\b
Exit codes:
  0    stopped gracefully
  1    cannot start: a taken port, a missing worker command, ...
  2    bad configuration or usage, one line per fault
  130, 143  ended at once by a second SIGINT or SIGTERM

\b
Signals:
  SIGINT, SIGTERM  stop gracefully; a second one ends at once
  SIGHUP           replace the workers one by one
  SIGUSR1          reopen the log files
"""

_MAIN_EPILOG = """\b
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


def _fill_standard_streams() -> None:
    """Put /dev/null where stdin, stdout or stderr was closed, or a socket gets its number, and the output."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: `fd`


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_MAIN_EPILOG)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
def main() -> None:
    """Capture every mail sent to it by SMTP and hand it to PHP workers, as JSON.

    WARNING: it accepts everything from everyone. Keep it off the internet.
    """


@main.command()
def version() -> None:
    """Show the version."""
    click.echo(f"fastsmtp {__version__}")


@main.command(epilog=_EPILOG)
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
def serve(
    path: str | None, overrides: tuple[str, ...], save: str, debug: bool, silent: bool, pid: bool, ready_file: str
) -> None:
    """Listen and serve until told to stop.

    Without server.command in the configuration, every mail is shown in this terminal.
    """
    _fill_standard_streams()
    config = read_config(path, (*overrides, "logs.level=debug") if debug else overrides)
    if save and (config.server.command or config.smtp.pool.command):
        raise click.BadParameter("server.command names a worker, which gets the mails instead", param_hint="--save")
    from fastsmtp.cli import service  # the other verbs do without it, and are quick

    wishes = service.Wishes(chosen_path(path) or "", save, ready_file, PID_FILE if pid else "", silent)
    try:
        status = service.serve(config, wishes)
    except StartError as error:
        fail(error, FAILED)
    raise SystemExit(status)


for verb in (check, workers, connections, close, reset, stop, send, bench):
    main.add_command(verb)
