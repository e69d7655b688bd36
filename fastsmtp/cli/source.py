"""Where a verb's configuration comes from: `-c`, `-o`, `-w` and `--dotenv`, behind the verb or before it, as with `rr`.

The directory of the file that `-c` names becomes the working directory, unless `-w` names one.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from fastsmtp.cli.options import BAD_CONFIG, complete_directory, complete_file, fail, refuse

if TYPE_CHECKING:
    from fastsmtp.config.file import LoadedConfig
    from fastsmtp.config.settings import Config

_Command = TypeVar("_Command", bound=Callable[..., Any])

DEFAULT_CONFIG = ".rr.yaml"


class Flags(NamedTuple):
    """What stands before the verb."""

    path: str | None = None
    overrides: tuple[str, ...] = ()
    work_dir: str | None = None
    dotenv: str | None = None
    debug: bool = False
    silent: bool = False
    pid: bool = False


class Source(NamedTuple):
    """Where the configuration comes from."""

    path: str | None  # the file; None: there is none, defaults hold
    overrides: tuple[str, ...]
    dotenv: str  # a file of variables, "" = none
    directory: str  # the working directory once it is read, "" = the one there is

    @property
    def name(self) -> str:
        """The absolute path of the file, "" without one. Asked before `enter`."""
        return "" if self.path is None else os.path.abspath(self.path)

    def absolute(self, path: str) -> str:
        """`path`, which counts from where the command was typed, as it is to be named behind `enter`."""
        return os.path.abspath(path) if path and self.directory else path

    def reading(self) -> LoadedConfig:
        """Read the variables, then the configuration. Raises ConfigError."""
        from fastsmtp.config.file import read  # `--help` and `version` do without it, and are quick

        self._read_variables()
        return read(self.path, self.overrides)

    def read(self) -> Config:
        """Read it, or say what is wrong with it, a line per fault, and end."""
        from fastsmtp.errors import ConfigError

        try:
            return self.reading().config
        except ConfigError as error:
            for fault in error.faults:
                click.echo(fault, err=True)
            raise SystemExit(BAD_CONFIG) from None

    def enter(self) -> None:
        """Change to the directory of the file."""
        if self.directory:
            try:
                os.chdir(self.directory)
            except OSError as error:
                fail(f"--config {self.path}: {error.strerror}", BAD_CONFIG)

    def _read_variables(self) -> None:
        """A variable that is set already stays, as with RoadRunner."""
        if not self.dotenv:
            return
        from fastsmtp.config import dotenv

        path = os.path.join(self.directory, self.dotenv)
        try:
            variables = dotenv.read(path, os.environ)
        except OSError as error:
            fail(f"--dotenv {path}: {error.strerror}", BAD_CONFIG)
        for name, value in variables.items():
            os.environ.setdefault(name, value)


def before_verb() -> Flags:
    """What stood before the verb."""
    flags = click.get_current_context().find_root().obj
    return flags if isinstance(flags, Flags) else Flags()


def config_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `-c`, `-o`, `-w` and `--dotenv`, RoadRunner's names for them, and hand a `Source` to the verb."""

    @functools.wraps(command)
    def collect(
        path: str | None, overrides: tuple[str, ...], work_dir: str | None, dotenv: str | None, **options: Any
    ) -> None:
        before = before_verb()
        path = before.path if path is None else path
        if path is None and Path(DEFAULT_CONFIG).exists():
            path = DEFAULT_CONFIG
        directory = os.path.dirname(path) if path and work_dir is None else ""
        directory = "" if directory == "." else directory
        dotenv = dotenv or before.dotenv or os.environ.get("DOTENV_PATH")
        command(source=Source(path, (*before.overrides, *overrides), dotenv or "", directory), **options)

    return _source_options(collect, callback=_enter)


def flags_before_verb(command: _Command) -> _Command:
    """Add the options that may stand before the verb."""
    for add in (
        click.option("-p", "--pid", is_flag=True, help="As behind `serve`."),
        click.option("-s", "--silent", is_flag=True, help="As behind `serve`, `reset`, `stop` and `send`."),
        click.option("-d", "--debug", is_flag=True, help="As behind `serve`."),
    ):
        command = add(command)
    return _source_options(command)


def target(address: str | None, source: Source) -> str:
    """Where to send mail: `address`, or the first listener of the configuration."""
    from fastsmtp.system.addresses import UnixAddress, parse_address

    if address is None:
        listener = next(iter(source.read().smtp.listeners().values())).addr
        parsed = parse_address(listener)
        # A server with this configuration is in its directory. Files to be sent are where the command was typed.
        return f"unix:{os.path.join(source.directory, parsed.path)}" if isinstance(parsed, UnixAddress) else listener
    try:
        parse_address(address)
    except ValueError as error:
        refuse("ADDRESS", f"{address}: {error}")
    return address


def _source_options(command: _Command, callback: Callable[..., str | None] | None = None) -> _Command:
    """`callback` gets the directory of `-w`, None without."""
    for add in (
        click.option(
            "--dotenv", metavar="FILE", default=None, shell_complete=complete_file,
            help="Variables of the environment, like NAME=value; where -c changes the directory, from there.",
        ),
        click.option(
            "-w", "--work-dir", "--WorkDir", "work_dir", metavar="DIR", default=None, is_eager=True,
            callback=callback, shell_complete=complete_directory, help="Change to this directory first.",
        ),
        click.option(
            "-o", "--override", "overrides", metavar="KEY=VALUE", multiple=True,
            help="Override a setting, like smtp.addr=0.0.0.0:1025; may be repeated.",
        ),
        click.option(
            "-c", "--config", "path", metavar="FILE", shell_complete=complete_file,
            help=f"Configuration; paths in it count from its directory.  [default: {DEFAULT_CONFIG}, if it is there]",
        ),
    ):  # fmt: skip
        command = add(command)
    return command


def _enter(_context: click.Context, _parameter: click.Parameter, directory: str | None) -> str | None:
    """Eager: the default configuration, and every other file, is looked for there."""
    directory = before_verb().work_dir if directory is None else directory
    if directory is not None:
        try:
            os.chdir(directory)
        except OSError as error:
            raise click.BadParameter(f"{directory}: {error.strerror}") from None
    return directory
