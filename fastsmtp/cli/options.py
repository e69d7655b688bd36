"""What the verbs share: options, exit codes, how a fault is told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from fastsmtp.config.settings import Config

_Command = TypeVar("_Command", bound=Callable[..., Any])

DEFAULT_CONFIG = ".rr.yaml"
PID_FILE = ".pid"  # as RoadRunner calls it, in the working directory

FAILED = 1
BAD_CONFIG = 2  # click's code for bad usage, too
NOBODY_THERE = 3


def complete_file(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Let the shell complete the name of a file. Not click.Path, whose checks speak in words of their own."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(begun, type="file")]


def complete_directory(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Let the shell complete the name of a directory."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(begun, type="dir")]


def config_options(command: _Command) -> _Command:
    """Add `-c`, `-o` and `-w`, RoadRunner's names for them."""
    for add in (
        click.option(
            "-w", "--work-dir", metavar="DIR", default=None, expose_value=False, is_eager=True, callback=_enter,
            shell_complete=complete_directory, help="Change to this directory first.",
        ),
        click.option(
            "-o", "--override", "overrides", metavar="KEY=VALUE", multiple=True,
            help="Override a setting, like smtp.addr=0.0.0.0:1025; may be repeated.",
        ),
        click.option(
            "-c", "--config", "path", metavar="FILE", shell_complete=complete_file,
            help=f"Configuration  [default: {DEFAULT_CONFIG}, if it is there]",
        ),
    ):  # fmt: skip
        command = add(command)
    return command


def _enter(_context: click.Context, _parameter: click.Parameter, directory: str | None) -> None:
    """Eager: the default configuration is looked for there."""
    if directory is not None:
        try:
            os.chdir(directory)
        except OSError as error:
            raise click.BadParameter(f"{directory}: {error.strerror}") from None


def chosen_path(path: str | None) -> str | None:
    """The configuration to read; None: there is none, defaults hold."""
    return DEFAULT_CONFIG if path is None and Path(DEFAULT_CONFIG).exists() else path


def read_config(path: str | None, overrides: tuple[str, ...]) -> Config:
    """Load it, or say what is wrong with it, a line per fault, and end."""
    from fastsmtp.config.file import load  # `--help` and `version` do without it, and are quick
    from fastsmtp.errors import ConfigError

    try:
        return load(chosen_path(path), overrides)
    except ConfigError as error:
        for fault in error.faults:
            click.echo(fault, err=True)
        raise SystemExit(BAD_CONFIG) from None


def target(address: str | None, path: str | None, overrides: tuple[str, ...]) -> str:
    """Where to send mail: `address`, or the first listener of the configuration."""
    from fastsmtp.system.addresses import parse_address

    if address is None:
        listeners = read_config(path, overrides).smtp.listeners()
        return next(iter(listeners.values())).addr
    try:
        parse_address(address)
    except ValueError as error:
        raise click.BadParameter(f"{address}: {error}", param_hint="ADDRESS") from None
    return address


def fail(text: object, code: int = FAILED) -> NoReturn:
    """Say it in one line, and end."""
    click.echo(f"fastsmtp: {text}", err=True)
    raise SystemExit(code)
