"""Logs as the `logs` section asks for them: one record, one line, one write.

Modules log through structlog, `structlog.get_logger(channel="smtp")`; what uses the standard library's `logging`,
asyncio among them, ends up in the same place. Whatever a mail put into a record cannot forge a line or reach the
terminal as an escape sequence. A log that cannot be written never stops the server.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections.abc import Callable, MutableMapping
from datetime import datetime, timezone
from typing import Any, NamedTuple, TypeAlias

import orjson
import structlog

from fastsmtp.config.logs import PARTS, SILENT, FileLoggerSettings, LogsSettings
from fastsmtp.errors import StartError
from fastsmtp.ops.logoutput import PIPE_LINE, LogOutput, shorten
from fastsmtp.ops.rotation import Rotation, RotationLimits
from fastsmtp.ops.timelayout import RFC3339, format_time
from fastsmtp.text import printable, printable_json

_LEVELS = {"debug": 10, "info": 20, "warn": 30, "error": 40, "panic": 50}
_SILENCE = 100  # above every level
# RoadRunner's spelling of the levels of `logging` and structlog.
_LEVEL_NAMES = {"warning": "warn", "critical": "panic", "fatal": "panic", "exception": "error"}
_COLOURS = {"debug": "\x1b[2m", "info": "\x1b[36m", "warn": "\x1b[33m", "error": "\x1b[31m", "panic": "\x1b[1;31m"}
_RESET = "\x1b[0m"

_PLACEHOLDER = re.compile(r"%(\w+)%")

_Event: TypeAlias = MutableMapping[str, Any]
_Render: TypeAlias = Callable[[_Event], bytes]


class _LineLogger:
    """What structlog hands finished lines to, whatever their level, each with the output it goes to."""

    __slots__ = ()

    def msg(self, output: LogOutput, line: bytes) -> None:
        output.write(line)

    debug = info = warning = warn = error = err = critical = fatal = exception = failure = log = msg


class _Bridge(logging.Handler):
    """Records of the standard library's `logging`."""

    def __init__(self, logs: Logs) -> None:
        super().__init__()
        self._logs = logs

    def emit(self, record: logging.LogRecord) -> None:
        sink = self._logs.sink(record.name)
        if record.levelno < sink.level:
            return
        event: _Event = {"event": record.getMessage(), "level": record.levelname.lower(), "channel": record.name}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        sink.output.write(sink.render(event))


class _Sink(NamedTuple):
    """Where the records of a channel go: from which level on, how they look, and to which output."""

    level: int
    render: _Render
    output: LogOutput


class Logs:
    """The open log of this process: one sink, and more for the channels that have settings of their own."""

    def __init__(self, settings: LogsSettings) -> None:
        """Open every output. Raises StartError where a log file cannot be opened."""
        self.sinks: dict[str, _Sink] = {}
        self.base = _make_sink(settings.channel(""))
        try:
            for name in settings.channels:
                self.sinks[name] = _make_sink(settings.channel(name))
        except StartError:
            self.close()
            raise
        for part, whole in PARTS.items():
            if whole in self.sinks:
                self.sinks.setdefault(part, self.sinks[whole])

    def sink(self, channel: str) -> _Sink:
        """Where the records of this channel go."""
        return self.sinks.get(channel, self.base)

    @property
    def level(self) -> int:
        """The least that is logged in any channel."""
        return min(sink.level for sink in (self.base, *self.sinks.values()))

    def reopen(self) -> None:
        """Open the files again under their names, after a log rotation moved them; the old one stays if that fails."""
        for output in self._outputs():
            output.reopen()

    def close(self) -> None:
        """Close the files; later records are dropped."""
        for output in self._outputs():
            output.close()

    def _outputs(self) -> list[LogOutput]:
        return list(dict.fromkeys(sink.output for sink in (self.base, *self.sinks.values())))


def configure(settings: LogsSettings) -> Logs:
    """Set up structlog and `logging` for the whole process; return the log, to be reopened and closed.

    Raises StartError where a log file cannot be opened.
    """
    logs = Logs(settings)
    base, sinks = logs.base, logs.sinks

    def finish(_logger: object, method: str, event: _Event) -> tuple[tuple[LogOutput, bytes], dict[str, object]]:
        sink = sinks.get(event.get("channel", ""), base) if sinks else base
        if sinks and _LEVELS[_level_name(method)] < sink.level:
            raise structlog.DropEvent
        event["level"] = method
        return (sink.output, sink.render(event)), {}

    structlog.configure(
        processors=[finish],
        wrapper_class=structlog.make_filtering_bound_logger(min(logs.level, _LEVELS["panic"])),
        logger_factory=lambda *_: _LineLogger(),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_Bridge(logs)]
    root.setLevel(logs.level)
    logging.getLogger("asyncio").setLevel(max(logs.level, logging.INFO))  # its DEBUG only names the selector
    return logs


def _make_sink(settings: LogsSettings) -> _Sink:
    silent = settings.mode in SILENT
    file = None if silent else settings.file_logger_options
    ending = settings.ending.encode(errors="surrogateescape")
    output = LogOutput(
        [] if silent else _listed(settings.output) if file is None else [file.path],
        _listed(settings.err_output),
        rotation=None if file is None else _rotation(file),
        ending=ending,
    )
    render = _with_ending(_renderer(settings, colours=output.is_terminal()), ending)
    output.render_dropped = lambda count: render(
        {"level": "warn", "channel": "log", "event": "the log was not read, records dropped", "count": count}
    )
    if settings.form == "json":
        output.shorten = lambda line: _shorten_json(line.removesuffix(ending), len(ending)) + ending
    return _Sink(_SILENCE if silent else _LEVELS[settings.level], render, output)


def _rotation(file: FileLoggerSettings) -> Rotation:
    return Rotation(
        file.path,
        RotationLimits(
            max_bytes=(file.max_size or FileLoggerSettings().max_size) * 1024 * 1024,
            max_age_days=file.max_age,
            max_backups=file.max_backups,
            compress=file.compress,
        ),
    )


def _with_ending(render: _Render, ending: bytes) -> _Render:
    """The same, but lines end in `ending`."""
    return render if ending == b"\n" else lambda event: render(event).replace(b"\n", ending)


def _renderer(settings: LogsSettings, *, colours: bool) -> _Render:
    if settings.form == "json":
        return _render_json
    if settings.form == "raw":
        return _render_raw
    if settings.form == "format":
        template, layout = settings.format, settings.time_format or RFC3339
        return lambda event: _render_format(event, template, layout)
    return lambda event: _render_console(event, colours=colours)


def _render_json(event: _Event) -> bytes:
    record = {
        "level": _level_name(event.pop("level")),
        "ts": _now(),
        "logger": event.pop("channel", "fastsmtp"),
        "msg": event.pop("event", ""),
    }
    if (trace := _traceback(event)) is not None:
        record["stacktrace"] = trace
    record.update(event)
    return _json_line(record)


def _json_line(record: dict[str, Any]) -> bytes:
    try:
        document = orjson.dumps(record, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # lone surrogates, integers beyond 64 bits
        return json.dumps(record, default=str).encode() + b"\n"
    # JSON lets DEL, C1 and what turns or ends a line stand as they are, and terminals obey some of them.
    if not document.isascii() or b"\x7f" in document:
        document = printable_json(document.decode()).encode()
    return document + b"\n"


def _shorten_json(line: bytes, kept: int) -> bytes:
    """The same record with less in its values, and still JSON, without a line end: so many octets are kept for it."""
    record = json.loads(line)  # not orjson, which has no lone surrogates
    for most in (3072, 1024, 256, 64):
        line = _json_line({shorten(key, 64): _shortened_value(value, most) for key, value in record.items()})[:-1]
        if len(line) <= PIPE_LINE - kept:
            return line
    kept_fields = {key: _shortened_value(record[key], 64) for key in ("level", "ts", "logger", "msg")}
    return _json_line({**kept_fields, "fields": "[cut]"})[:-1]  # so many that short values do not help


def _shortened_value(value: Any, most: int) -> Any:
    if isinstance(value, str):
        return shorten(value, most)
    text = json.dumps(value)
    return value if len(text) <= most else shorten(text, most)


def _render_raw(event: _Event) -> bytes:
    return (printable(str(event.get("event", ""))) + "\n").encode(errors="backslashreplace")


def _render_format(event: _Event, template: str, layout: str) -> bytes:
    """As RoadRunner's format has it: names between percent signs that it does not know stay as they are."""
    trace = _traceback(event)
    values = {
        "time": format_time(datetime.now(timezone.utc), layout),
        "level": _level_name(event.pop("level")).upper(),
        "logger": event.pop("channel", "fastsmtp"),
        "message": event.pop("event", ""),
        # Of no use here: our own lines of code.
        "source_file": "",
        "source_line": "",
        "source_func": "",
    }
    values["attrs"] = " ".join(f"{key}={_quoted(str(value))}" for key, value in event.items())
    if trace is not None:
        values["message"] = f"{values['message']}: {trace.rstrip()}"
    line = _PLACEHOLDER.sub(lambda found: printable(str(values.get(found[1], found[0]))), template)
    return (line + "\n").encode(errors="backslashreplace")


def _render_console(event: _Event, *, colours: bool) -> bytes:
    level = _level_name(event.pop("level"))
    shown_level = f"{level.upper():5}"
    if colours:
        shown_level = _COLOURS.get(level, "") + shown_level + _RESET
    channel, text = event.pop("channel", "fastsmtp"), event.pop("event", "")
    trace = _traceback(event)
    fields = "".join(f"  {printable(str(key))}={_quoted(str(value))}" for key, value in event.items())
    line = f"{_now()}  {shown_level}  {printable(str(channel))}  {printable(str(text))}{fields}\n"
    if trace is not None:
        line += "".join(f"    {printable(row)}\n" for row in trace.splitlines())
    return line.encode(errors="backslashreplace")


def _level_name(method: str) -> str:
    return _LEVEL_NAMES.get(method, method)


def _traceback(event: _Event) -> str | None:
    """Take `exc_info`, in any form that `logging` accepts, out of the event."""
    exc_info = event.pop("exc_info", None)
    if not exc_info:
        return None
    error = exc_info if isinstance(exc_info, BaseException) else None
    if isinstance(exc_info, tuple):
        error = exc_info[1]
    elif error is None:
        error = sys.exc_info()[1]
    return None if error is None else "".join(traceback.format_exception(type(error), error, error.__traceback__))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _quoted(text: str) -> str:
    """A value that can be told from what follows it: as it is, or in quotes, where a backslash begins an escape."""
    if text and text.isprintable() and " " not in text and '"' not in text:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{printable(escaped)}"'


def _listed(output: str | list[str]) -> list[str]:
    return [output] if isinstance(output, str) else output
