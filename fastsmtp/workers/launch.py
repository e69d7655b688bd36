"""How worker processes are launched: what the configuration asks for, and the command before the first of them."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from fastsmtp.config.settings import OnInitSettings, PoolSettings, ServerSettings
from fastsmtp.errors import StartError
from fastsmtp.system.patience import wait_for
from fastsmtp.system.process import Identity, Process


@dataclass(frozen=True)
class Launch:
    """What to start and how workers reach us."""

    command: tuple[str, ...]
    relay: str = "unix"  # "unix", "unix://path", "pipes", "tcp://host:port"
    env: Mapping[str, str] = field(default_factory=dict)  # beside ours and RR_RELAY
    user: str = ""
    group: str = ""
    relay_timeout_s: float = 60.0  # spawn to handshake
    trust_relay: bool = False  # whatever connects may be the worker that is awaited
    inherit_output: bool = False  # what it prints goes where ours goes, not to the log
    on_init: OnInitSettings = field(default_factory=OnInitSettings)  # run once before the first worker

    @classmethod
    def from_settings(
        cls,
        server: ServerSettings,
        pool: PoolSettings,
        *,
        command: tuple[str, ...] = (),
        rpc: str = "",
        mode: str = "smtp",
    ) -> Launch:
        """Build from the sections `server` and `pool`.

        `command` is our own worker, taken when neither of them has one: what it prints is not logged, but shown.
        Raises StartError when a command cannot be split into words.
        """
        from fastsmtp import __version__

        env = {"RR_RPC": rpc} if rpc else {}
        env.update(_merged(server.env), RR_VERSION=__version__, RR_MODE=mode)
        configured = split_command(pool.command) or split_command(server.command)
        return cls(
            command=configured or command,
            inherit_output=not configured,
            relay=server.relay,
            env=env,
            user=server.user,
            group=server.group,
            relay_timeout_s=server.relay_timeout_s,
            trust_relay=server.trust_relay,
            on_init=server.on_init,
        )

    def __str__(self) -> str:
        # The command of our own worker was not configured, and it is long.
        return "fastsmtp.printer.main" if self.inherit_output else shlex.join(self.command)


def split_command(command: str | list[str]) -> tuple[str, ...]:
    """Return the words of a command, split like a shell splits words. Raises StartError for an unclosed quote."""
    if not isinstance(command, str):
        return tuple(command)
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise StartError(f"cannot split the command {command!r} into words: {error}") from None


def _merged(env: dict[str, str] | list[dict[str, str]]) -> dict[str, str]:
    """Return the variables of an `env` section, which RoadRunner also takes as a list."""
    parts = env if isinstance(env, list) else [env]
    return {name: value for part in parts for name, value in part.items()}


async def run_on_init(settings: OnInitSettings, log: FilteringBoundLogger, name: str = "on_init") -> None:
    """Run the command of `server.on_init`, or that of another `name`, to its end.

    That it fails is logged, or a StartError with `exit_on_error`.
    """
    command = split_command(settings.command)
    if not command:
        return
    try:
        await _run_to_end(command, settings, log.bind(channel=name), name)
    except StartError as error:
        if settings.exit_on_error:
            raise
        log.error(f"{name} failed", reason=str(error))


async def _run_to_end(command: tuple[str, ...], settings: OnInitSettings, log: FilteringBoundLogger, name: str) -> None:
    ended = asyncio.Event()
    env = {**os.environ, **_merged(settings.env)}
    process = Process(command, Identity(settings.user), env, pipes=False, on_line=log.info, on_change=ended.set)
    shown = shlex.join(command)
    try:
        await wait_for(_quiet(process, ended), settings.exec_timeout_s or None)
    except asyncio.TimeoutError:
        raise StartError(f'{name} "{shown}" did not end within {settings.exec_timeout_s:g} s') from None
    finally:
        process.kill()
        process.cut_off()
        while process.returncode is None:
            await _changed(ended)
    if process.returncode != 0:
        output = "".join(f"\n  {line}" for line in process.tail)
        raise StartError(f'{name} "{shown}" failed: {process.status}{output}')


async def _quiet(process: Process, changed: asyncio.Event) -> None:
    while not process.quiet:
        await _changed(changed)


async def _changed(event: asyncio.Event) -> None:
    await event.wait()
    event.clear()
