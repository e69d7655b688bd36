"""`fastsmtp record` and `fastsmtp replay`: mails are kept with their timing, and sent again."""

from __future__ import annotations

import base64
import contextlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from fastsmtp import text
from fastsmtp.cli.inboxoptions import EXIT_CODES, echo_json, inbox_options, mails_path, namespace_option
from fastsmtp.cli.options import (
    BAD_CONFIG,
    FAILED,
    NOBODY_THERE,
    ClientOptions,
    Count,
    client_options,
    complete_file,
    fail,
    refuse,
)

if TYPE_CHECKING:
    from fastsmtp.client.inbox import InboxClient
    from fastsmtp.client.recording import Recorded
    from fastsmtp.client.replay import ReplayOptions

_STANDARD = "-"
_AT_ONCE = 100  # mails of one call: their names are in its URL
_WAIT_S = 60.0  # of one call
_SHOWN = 10
_FAST = 1000.0
_CONNECTIONS = 100


@click.command(epilog=EXIT_CODES, short_help="Keep the mails that come, with their timing.")
@click.argument("file", shell_complete=complete_file)
@namespace_option
@click.option("--all", "everything", is_flag=True, help="Those that are there already, too.")
@click.option("--count", metavar="COUNT", type=Count(1), help="End after so many.")
@click.option("--for", "span", metavar="TIME", help="End after this time, like 30s.  [default: with Ctrl-C]")
@inbox_options
def record(
    client: InboxClient,
    file: str,
    namespace: str,
    everything: bool,
    count: int | None,
    span: str | None,
    as_json: bool,
) -> None:
    """Write the mails that come to an inbox into FILE, a line of JSON for each; `replay` sends them again.

    Where FILE is a directory, or ends in /, each mail is a file of its own in it. - is standard output.
    """
    recorder = _Recorder(client, namespace, count, _deadline(span))
    with _output(file) as write, contextlib.suppress(KeyboardInterrupt):
        for mail in recorder.mails(everything=everything):
            write(mail)
    if as_json:
        echo_json({"file": file, "recorded": recorder.recorded})
    elif file != _STANDARD:
        click.echo(f"recorded {text.counted(recorder.recorded, 'mail')} in {file}")


def _deadline(span: str | None) -> float:
    from fastsmtp.config.rules import parse_duration

    if span is None:
        return float("inf")
    try:
        return time.monotonic() + parse_duration(span)
    except ValueError as error:
        refuse("--for", error)


class _Recorder:
    """Follows an inbox, and misses nothing: each call goes on where the last one ended."""

    def __init__(self, client: InboxClient, namespace: str, count: int | None, deadline: float) -> None:
        self._client = client
        self._namespace = namespace
        self._count = count
        self._deadline = deadline
        self.recorded = 0

    def mails(self, *, everything: bool) -> Iterator[dict[str, Any]]:
        """Yield the lines of the recording, until the count or the time is reached."""
        from fastsmtp.client.inbox import namespace_path

        path = namespace_path(self._namespace)
        cursor = "" if everything else self._client.call("GET", f"{path}/cursor").document["cursor"]
        while self._count != self.recorded:
            query = {"order": "asc", "limit": _AT_ONCE, **({"after": cursor} if cursor else {})}
            mails = self._client.call("GET", mails_path(self._namespace), query=query).document["mails"]
            if mails:
                cursor = mails[-1]["cursor"]
                yield from self._lines(path, [mail["uuid"] for mail in mails])
            elif time.monotonic() < self._deadline:
                self._wait(path, cursor)
            else:
                return

    def _wait(self, path: str, cursor: str) -> None:
        left = min(_WAIT_S, max(0.0, self._deadline - time.monotonic()))
        document: dict[str, Any] = {"count": 1, "limit": 0, "timeout": f"{round(left * 1000)}ms"}
        if cursor:
            document["after"] = cursor
        self._client.call("POST", f"{path}/wait", document=document, wait_s=left)

    def _lines(self, path: str, uuids: Sequence[str]) -> Iterator[dict[str, Any]]:
        query = {"format": "jsonl", "ids": ",".join(uuids)}
        octets = b"".join(self._client.download(f"{path}/export", query))
        for line in octets.splitlines():
            if self._count == self.recorded:
                return
            self.recorded += 1
            yield json.loads(line)


@contextlib.contextmanager
def _output(file: str) -> Iterator[Any]:
    """Yield what writes a line; ends where it cannot be written."""
    from fastsmtp.client.recording import LINES

    directory = Path(file) if file.endswith("/") or Path(file).is_dir() else None
    with contextlib.ExitStack() as stack:
        try:
            if directory is not None:
                directory.mkdir(parents=True, exist_ok=True)
            output: IO[bytes] = sys.stdout.buffer
            if file != _STANDARD:
                path = Path(file) if directory is None else directory / LINES
                output = stack.enter_context(path.open("wb"))
            yield _Lines(output, directory).write
        except OSError as error:
            fail(f"cannot write {error.filename or file}: {error.strerror}")


class _Lines:
    """Writes lines of a recording, each at once: what was recorded is there when the recorder is killed."""

    def __init__(self, output: IO[bytes], directory: Path | None) -> None:
        self._output = output
        self._directory = directory
        self._count = 0

    def write(self, line: dict[str, Any]) -> None:
        """Write one mail."""
        self._count += 1
        if self._directory is not None:
            name = f"{self._count:06}.eml"
            (self._directory / name).write_bytes(base64.b64decode(line.pop("raw")))
            line = {"file": name, **line}
        self._output.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self._output.flush()


def _speed(_context: click.Context, _parameter: click.Parameter, told: str) -> float:
    from fastsmtp.client.replay import MAX_SPEED

    if told == "max":
        return MAX_SPEED
    try:
        speed = float(told.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed <= _FAST:
        raise click.BadParameter(f'"{told}" is not like 1x, 10x, 0.5x or max')
    return speed


_REPLAY_EPILOG = """\b
Exit codes:
  0  every mail was accepted
  1  one was refused
  2  bad usage, or FILE cannot be read
  3  no server answers at ADDRESS
"""


@click.command(short_help="Send a recording again, with its timing.", epilog=_REPLAY_EPILOG)
@click.argument("file", shell_complete=complete_file)
@click.option("--to", "address", metavar="ADDRESS", required=True, help="host:port or unix:/path.")
@click.option("--speed", metavar="SPEED", default="1x", show_default=True, callback=_speed, help="Like 10x, or max.")
@click.option(
    "--rcpt-map", "rules", metavar="OLD=NEW", multiple=True, help="Other recipients; * is anything. May be repeated."
)
@click.option(
    "--connections", metavar="COUNT", type=Count(1, 1000), default=_CONNECTIONS, show_default=True, help="At most."
)
@click.option("--json", "as_json", is_flag=True, help="The result as JSON, for scripts.")
@client_options
def replay(client: ClientOptions, file: str, address: str, rules: Sequence[str], as_json: bool, **options: Any) -> None:
    """Send the mails of FILE again: over as many connections, with the same envelopes, parameters, logins and pauses.

    FILE is what `record` wrote, an export as jsonl, a directory of messages, or one. With --user all log in so, with
    --helo all introduce themselves so.
    """
    from fastsmtp.client.replay import RecipientMap, Replay, ReplayOptions

    try:
        mapped = RecipientMap(rules)
    except ValueError as error:
        refuse("--rcpt-map", error)
    mails = [mail for mail in map(mapped.apply, read_mails(file)) if mail.envelope.recipients]
    wish = ReplayOptions(
        address,
        client.script(_reached(address), "", []),
        timeout_s=client.timeout_s,
        tls=client.tls(),
        implicit_tls=client.implicit_tls,
        same_helo=not client.helo,
        same_login=client.user is None,
        **options,
    )
    _tell(wish, Replay(wish).run(mails), len(mails), as_json=as_json)


def read_mails(file: str) -> list[Recorded]:
    """Return the mails of a recording; end where the file is another."""
    from fastsmtp.client.recording import RecordingError, read_recording

    try:
        return read_recording(Path(file))
    except RecordingError as error:
        fail(error, BAD_CONFIG)


def _reached(address: str) -> str:
    """Return an address at which a server answers; end where there is no server."""
    from fastsmtp.client.client import connect

    try:
        connect(address, _WAIT_S).close()
    except ValueError as error:
        refuse("--to", error)
    except OSError as error:
        fail(f"cannot connect to {address}: {error.strerror or error}", NOBODY_THERE)
    return address


def _tell(wish: ReplayOptions, result: Any, count: int, *, as_json: bool) -> None:
    if as_json:
        echo_json({"mails": count, "accepted": result.accepted, "faults": result.faults})
    else:
        click.echo(f"{result.accepted} of {text.counted(count, 'mail')} accepted by {wish.address}")
        for fault in result.faults[:_SHOWN]:
            click.echo(f"  {text.printable(fault)}")
        if len(result.faults) > _SHOWN:
            click.echo(f"  … {len(result.faults) - _SHOWN} more")
    if result.accepted != count or result.faults:
        raise SystemExit(FAILED)
