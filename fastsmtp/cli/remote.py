"""The verbs that ask a running server something: `workers`, `connections`, `close`, `reset`, `stop`."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fastsmtp import text
from fastsmtp.cli.options import BAD_CONFIG, NOBODY_THERE, PID_FILE, fail
from fastsmtp.cli.source import Source, before_verb, config_options
from fastsmtp.system import table
from fastsmtp.system.pidfile import find_owner, read_pid
from fastsmtp.system.terminal import terminal_width

if TYPE_CHECKING:
    from fastsmtp.goridge.client import RPCClient

_ANSWER_TIMEOUT_S = 30.0
_REFRESH_S = 1.0
_CLEAR = "\x1b[H\x1b[2J"
_NANOSECONDS = 1_000_000_000
_NUMBERS = frozenset({"PID", "EXECS", "CPU", "MEMORY", "EMAILS"})

_EXIT_CODES = """\b
Exit codes:
  0  done
  1  the server refused
  2  bad configuration or usage; rpc.listen is not set
  3  no server listens at rpc.listen
"""
_LISTEN_HINT = 'for example "tcp://127.0.0.1:6001"'


@contextlib.contextmanager
def _server(source: Source, timeout_s: float | None = _ANSWER_TIMEOUT_S, otherwise: str = "") -> Iterator[RPCClient]:
    """Connected to the RPC of the server with this configuration; what fails is one line and an exit code.

    `otherwise` says what else the operator could do when RPC is off.
    """
    from fastsmtp.errors import CallError, FrameError
    from fastsmtp.goridge.client import RPCClient

    listen = source.read().rpc.listen
    if not listen:
        where = f"in {source.path}" if source.path else "without a configuration"
        fail(f"RPC is off {where}: set rpc.listen, {_LISTEN_HINT}{otherwise}", BAD_CONFIG)
    source.enter()
    try:
        client = RPCClient(listen, timeout_s)
    except OSError as error:
        fail(f"no server answers at rpc.listen, {listen}: {error.strerror or error}", NOBODY_THERE)
    with client:
        try:
            yield client
        except CallError as error:
            fail(error)
        except TimeoutError:
            fail(f"no answer from the server at {listen}")
        except (OSError, FrameError, ValueError) as error:
            fail(f"{listen}: {error}", NOBODY_THERE)


# --- workers


@click.command(epilog=_EXIT_CODES)
@config_options
@click.argument("plugins", nargs=-1)
@click.option("-i", "--interactive", is_flag=True, help="Show them again every second, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, in the fields of RoadRunner's informer.")
def workers(source: Source, plugins: tuple[str, ...], interactive: bool, as_json: bool) -> None:
    """Show the workers of a running server.

    PLUGINS may name the only one there is, smtp. STATUS is ready, working, or what else a worker is busy with; EXECS
    counts its mails.
    """
    with _server(source) as client:
        if as_json:
            click.echo(json.dumps(_pools(client, plugins)))
            _tell_stuck(client)
        elif interactive:
            with contextlib.suppress(KeyboardInterrupt):
                while True:
                    shown = _workers_text(client, plugins)
                    click.echo(_CLEAR + shown if sys.stdout.isatty() else shown + "\n")
                    time.sleep(_REFRESH_S)
        else:
            click.echo(_workers_text(client, plugins))


def _pools(client: RPCClient, plugins: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    known = client.call("informer.List")
    for name in plugins:
        if name not in known:  # of which it says, as RoadRunner does, that it has no workers
            fail(f"no such plugin: {name}")
    return {name: client.call("informer.Workers", name)["workers"] or [] for name in plugins or known}


def _workers_text(client: RPCClient, plugins: Sequence[str]) -> str:
    stats = client.call("smtp.Stats")
    shown = []
    for name, states in _pools(client, plugins).items():
        counts = stats["pools"][name]
        shown.append(
            f"{name}: {text.counted(len(states), 'worker')}{_processes_text(stats)}, "
            f"{counts['idle']} idle, {counts['busy']} busy; "
            f"{text.counted(counts['waiting'], 'mail')} waiting, {text.counted(stats['connections'], 'connection')}"
        )
        heads = ("PID", "STATUS", "EXECS", "MEMORY", "CPU", "AGE", "COMMAND")
        shown += table.lines(heads, map(_worker_row, states), _NUMBERS, width=terminal_width())
    return "\n".join(shown)


def _processes_text(stats: dict[str, Any]) -> str:
    """How many processes there are, where there are several, and which of them do not serve now."""
    processes = stats.get("processes", [])
    missing = sum(not process["serving"] for process in processes)
    remarks = [f"{missing} not serving"] if missing else []
    remarks += [f"{pid} gives no answer" for pid in _stuck(stats)]
    return (f" in {len(processes)} processes" if processes else "") + (f" ({', '.join(remarks)})" if remarks else "")


def _stuck(stats: dict[str, Any]) -> list[int]:
    """The pids of processes that do not answer."""
    return [process["pid"] for process in stats.get("processes", []) if process["stuck"]]


def _tell_stuck(client: RPCClient) -> None:
    """Say on standard error what is not shown."""
    for pid in _stuck(client.call("smtp.Stats")):
        click.echo(f"fastsmtp: the process {pid} gives no answer, what it has is not shown", err=True)


def _worker_row(state: dict[str, Any]) -> tuple[object, ...]:
    return (
        state["pid"],
        state["statusStr"],
        state["numExecs"],
        text.size(state["memoryUsage"]),
        f"{state['CPUPercent']:.1f} %",
        text.span(max(0, round(time.time() - state["created"] / _NANOSECONDS))),
        state["command"],
    )


# --- connections


@click.command(epilog=_EXIT_CODES)
@config_options
@click.option("--json", "as_json", is_flag=True, help="As JSON, in the fields of smtp.ListConnections.")
def connections(source: Source, as_json: bool) -> None:
    """Show who is connected to a running server.

    STATE is what the session does: idle, in a transaction, receiving a mail, waiting for a worker.
    """
    with _server(source) as client:
        listed = client.call("smtp.ListConnections")
        _tell_stuck(client)
    if as_json:
        click.echo(json.dumps(listed))
    elif not listed:
        click.echo("no client is connected")
    else:
        heads = ("UUID", "CLIENT", "HELO", "USER", "STATE", "EMAILS", "AGE")
        for line in table.lines(
            heads, map(_connection_row, listed), _NUMBERS, width=terminal_width(), whole={"UUID", "CLIENT"}
        ):
            click.echo(line)


def _connection_row(connection: dict[str, Any]) -> tuple[object, ...]:
    since = datetime.strptime(connection["since"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    age = max(0, round((datetime.now(timezone.utc) - since).total_seconds()))
    return (
        connection["uuid"],
        connection["remote_addr"],
        connection["helo"] or "-",
        connection["username"] or "-",
        connection["state"],
        connection["emails"],
        text.span(age),
    )


# --- close, reset


@click.command(epilog=_EXIT_CODES, short_help="Close a connection.")
@config_options
@click.argument("uuid")
def close(source: Source, uuid: str) -> None:
    """Close a connection: the client gets 421, after the mail it is sending.

    UUID is that of the connection, as `connections` shows it, or that of its last email.
    """
    with _server(source) as client:
        client.call("smtp.CloseConnection", uuid)
    click.echo(f"closed {uuid}")


@click.command(epilog=_EXIT_CODES)
@config_options
@click.argument("plugins", nargs=-1)
@click.option("-s", "--silent", is_flag=True, help="Say nothing when all went well.")
def reset(source: Source, plugins: tuple[str, ...], silent: bool) -> None:
    """Replace the workers one by one, after new code for example. No mail fails.

    Returns when all are replaced. PLUGINS may name the only one there is, smtp.
    """
    silent = silent or before_verb().silent
    with _server(source, timeout_s=None) as client:
        for name in plugins or client.call("resetter.List"):
            client.call("resetter.Reset", name)
            if not silent:
                click.echo(f"replaced the workers of {name}")


# --- stop


@click.command(
    epilog="""\b
Exit codes:
  0  the server has ended
  1  it refused, or the pid in .pid may not be signalled
  2  bad configuration or usage; there is no .pid, and rpc.listen is not set
  3  no such server: the process is gone, or rpc.listen refuses connections
"""
)
@config_options
@click.option("-f", "--force", is_flag=True, help="At once: mails under way get no answer.")
@click.option("-s", "--silent", is_flag=True, help="Say nothing when all went well.")
def stop(source: Source, force: bool, silent: bool) -> None:
    """Stop a server gracefully, and wait for its end.

    The server is the process of the file .pid in the working directory, which `serve -p` writes; where there is none,
    the one that listens at rpc.listen. Mails under way may finish, for endure.grace_period at most.
    """
    pid_file = Path(source.directory, PID_FILE)
    shown = _stop_process(pid_file, force) if pid_file.exists() else _stop_by_rpc(source, force)
    if not (silent or before_verb().silent):
        click.echo(f"stopped {shown}")


def _stop_process(pid_file: Path, force: bool) -> str:
    try:
        pid, owner = read_pid(pid_file), find_owner(pid_file)
    except ValueError as error:
        fail(error, BAD_CONFIG)
    except OSError as error:
        fail(f"cannot read {pid_file}: {error.strerror}")
    try:
        if not owner:  # there may be another process of that number
            raise ProcessLookupError
        process = os.pidfd_open(pid)
        signal.pidfd_send_signal(process, signal.SIGTERM)
        if force:
            # Another one: of the same kind the kernel may keep only the first.
            signal.pidfd_send_signal(process, signal.SIGINT)
    except ProcessLookupError:
        fail(f"the process {pid} of {pid_file} is gone; delete the file", NOBODY_THERE)
    except OSError as error:
        fail(f"cannot stop the process {pid} of {pid_file}: {error.strerror}")
    select.select([process], [], [])  # readable when the process has ended
    os.close(process)
    return f"process {pid}"


def _stop_by_rpc(source: Source, force: bool) -> str:
    with _server(source, None, f"; or use `serve -p`, which writes {PID_FILE}") as client:
        try:
            client.call("rpc.Stop", force)
            client.wait_for_end()
        except ConnectionError:  # an end at once may be quicker than its answer
            pass
        return "the server at rpc.listen"
