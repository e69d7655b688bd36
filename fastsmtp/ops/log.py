"""Logs as the `logs` section asks for them: one record, one line, one write.

Modules log through structlog, `structlog.get_logger(channel="smtp")`; what uses the standard library's `logging`,
asyncio among them, ends up in the same place. Whatever a mail put into a record cannot forge a line or reach the
terminal as an escape sequence. A log that cannot be written never stops the server.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable, MutableMapping
from datetime import datetime, timezone
from typing import Any, TypeAlias

import orjson
import structlog

from fastsmtp.config.settings import LogsSettings
from fastsmtp.ops.logoutput import PIPE_LINE, shorten
from fastsmtp.ops.logoutput import LogOutput as LogOutput  # part of what `configure` returns
from fastsmtp.text import printable

_LEVELS = {"debug": 10, "info": 20, "warn": 30, "error": 40, "panic": 50}
# RoadRunner's spelling of the levels of `logging` and structlog.
_LEVEL_NAMES = {"warning": "warn", "critical": "panic", "fatal": "panic", "exception": "error"}
_COLOURS = {"debug": "\x1b[2m", "info": "\x1b[36m", "warn": "\x1b[33m", "error": "\x1b[31m", "panic": "\x1b[1;31m"}
_RESET = "\x1b[0m"

_Event: TypeAlias = MutableMapping[str, Any]
_Render: TypeAlias = Callable[[_Event], bytes]


class _LineLogger:
    """What structlog writes finished lines to, whatever their level."""

    __slots__ = ("_write",)

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write

    def msg(self, line: bytes) -> None:
        self._write(line)

    debug = info = warning = warn = error = err = critical = fatal = exception = failure = log = msg


class _Bridge(logging.Handler):
    """Records of the standard library's `logging`."""

    def __init__(self, render: _Render, output: LogOutput) -> None:
        super().__init__()
        self._render = render
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        event: _Event = {"event": record.getMessage(), "level": record.levelname.lower(), "channel": record.name}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        self._output.write(self._render(event))


def configure(settings: LogsSettings) -> LogOutput:
    """Set up structlog and `logging` for the whole process; return the outputs, to be reopened and closed.

    Raises StartError where a log file cannot be opened.
    """
    silent = settings.mode in ("none", "off")
    output = LogOutput([] if silent else _listed(settings.output), _listed(settings.err_output))
    level = _LEVELS["panic"] if silent else _LEVELS[settings.level]
    render = _renderer(settings, colours=output.is_terminal())

    output.render_dropped = lambda count: render(
        {"level": "warn", "channel": "log", "event": "nobody read the log, records dropped", "count": count}
    )

    if _encoding(settings) == "json":
        output.shorten = _shorten_json

    def finish(_logger: object, method: str, event: _Event) -> bytes:
        event["level"] = method
        return render(event)

    structlog.configure(
        processors=[finish],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _LineLogger(output.write),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_Bridge(render, output)]
    root.setLevel(level)
    logging.getLogger("asyncio").setLevel(max(level, logging.INFO))  # its DEBUG only names the selector
    return output


def _encoding(settings: LogsSettings) -> str:
    return settings.encoding or {"production": "json", "raw": "raw"}.get(settings.mode, "console")


def _renderer(settings: LogsSettings, *, colours: bool) -> _Render:
    encoding = _encoding(settings)
    if encoding == "json":
        return _render_json
    if encoding == "raw":
        return _render_raw
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
        return orjson.dumps(record, default=str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
    except TypeError:  # lone surrogates, integers beyond 64 bits
        return json.dumps(record, default=str).encode() + b"\n"


def _shorten_json(line: bytes) -> bytes:
    """The same record with less in its values, and still JSON."""
    record = json.loads(line)  # not orjson, which has no lone surrogates
    for most in (3072, 1024, 256, 64):
        line = _json_line({shorten(key, 64): _shortened_value(value, most) for key, value in record.items()})
        if len(line) <= PIPE_LINE:
            return line
    kept = {key: _shortened_value(record[key], 64) for key in ("level", "ts", "logger", "msg")}
    return _json_line({**kept, "fields": "[cut]"})  # so many that short values do not help


def _shortened_value(value: Any, most: int) -> Any:
    if isinstance(value, str):
        return shorten(value, most)
    text = json.dumps(value)
    return value if len(text) <= most else shorten(text, most)


def _render_raw(event: _Event) -> bytes:
    return (printable(str(event.get("event", ""))) + "\n").encode(errors="backslashreplace")


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
    """A value that can be told from what follows it."""
    text = printable(text)
    return text if text and " " not in text and '"' not in text else json.dumps(text, ensure_ascii=False)


def _listed(output: str | list[str]) -> list[str]:
    return [output] if isinstance(output, str) else output
