"""Logs as the `logs` section asks for them: one record, one line, one write.

Modules log through structlog, `structlog.get_logger(channel="smtp")`; what uses the standard library's `logging`,
asyncio among them, ends up in the same place. Whatever a mail put into a record cannot forge a line or reach the
terminal as an escape sequence. A log that cannot be written never stops the server.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import stat
import sys
import traceback
from collections.abc import Callable, Iterable, MutableMapping
from datetime import datetime, timezone
from typing import Any, TypeAlias

import orjson
import structlog

from fastsmtp.config import Logs
from fastsmtp.errors import StartError

_LEVELS = {"debug": 10, "info": 20, "warn": 30, "error": 40, "panic": 50}
# RoadRunner's spelling of the levels of `logging` and structlog.
_LEVEL_NAMES = {"warning": "warn", "critical": "panic", "fatal": "panic", "exception": "error"}
_COLOURS = {"debug": "\x1b[2m", "info": "\x1b[36m", "warn": "\x1b[33m", "error": "\x1b[31m", "panic": "\x1b[1;31m"}
_RESET = "\x1b[0m"
_STANDARD_STREAMS = {"stdout": 1, "stderr": 2}
_PIPE_LINE = 4096  # octets that a pipe takes at once as soon as it takes any (PIPE_BUF, pipe(7))
_CUT = " ... [cut] ... "

_Event: TypeAlias = MutableMapping[str, Any]
_Render: TypeAlias = Callable[[_Event], bytes]


class LogOutput:
    """The open outputs of the log; `configure` makes it, the owner reopens and closes it."""

    def __init__(self, outputs: Iterable[str], err_outputs: Iterable[str]) -> None:
        """Open every output. Raises StartError where a file cannot be opened."""
        self._paths: dict[int, str] = {}  # file descriptor -> path, of the files that we opened
        self._broken: set[int] = set()  # descriptors whose failure was told already
        self._dropped: dict[int, int] = {}  # descriptor -> records lost since it took one
        self._torn: set[int] = set()  # descriptors whose last line has no end
        self.render_dropped: Callable[[int], bytes] = lambda count: b"%d log records dropped\n" % count
        self.shorten: Callable[[bytes], bytes] = _shorten_text  # to what a pipe takes at once
        self._err_fds: list[int] = []
        self._fds: list[int] = []
        self._fds = [self._open(output) for output in dict.fromkeys(outputs)]
        self._err_fds = [self._open(output) for output in dict.fromkeys(err_outputs)]

    def write(self, line: bytes) -> None:
        """Append one whole line to every output. Never raises; a failure is told once on `err_output`.

        Never waits for a reader either: what a full pipe does not take is dropped, and counted.
        """
        for fd in self._fds:
            try:
                if not self._tell_dropped(fd) or not self._append(fd, line):
                    self._dropped[fd] = self._dropped.get(fd, 0) + 1
            except OSError as error:
                if fd not in self._broken:
                    self._broken.add(fd)
                    self._complain(f"cannot write the log to {self._name(fd)}: {error.strerror}")
            else:
                self._broken.discard(fd)

    def _tell_dropped(self, fd: int) -> bool:
        """Say how many records are missing here; False while there is still no room for it. Raises OSError."""
        count = self._dropped.get(fd, 0)
        if not count:
            return True
        if not self._append(fd, self.render_dropped(count)):
            return False
        del self._dropped[fd]
        return True

    def _append(self, fd: int, line: bytes) -> bool:
        """Write `line`; False where a pipe, socket or terminal has no room and would stop the server. Raises OSError.

        One write is one line even where several processes share a file; only a full disk or a terminal breaks it up.
        """
        mode = os.fstat(fd).st_mode
        can_stall = not stat.S_ISREG(mode)
        if len(line) > _PIPE_LINE and (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
            line = self.shorten(line)
        left = line = b"\n" + line if fd in self._torn else line
        try:
            while left:
                if can_stall and not _takes_more(fd):
                    return False
                try:
                    left = left[os.write(fd, left) :]
                except BlockingIOError:  # somebody else made it non-blocking
                    return False
        finally:
            if not left:
                self._torn.discard(fd)
            elif len(left) < len(line):
                self._torn.add(fd)
        return True

    def reopen(self) -> None:
        """Open the files again under their names, after a log rotation moved them; the old one stays if that fails."""
        for fd, path in self._paths.items():
            try:
                fresh = _open_file(path)
            except OSError as error:
                self._complain(f"cannot reopen the log file {path}: {error.strerror}")
                continue
            os.dup2(fresh, fd, inheritable=False)
            os.close(fresh)
            self._torn.discard(fd)

    def close(self) -> None:
        """Close the files; later records are dropped."""
        for fd in self._fds:
            with contextlib.suppress(OSError):
                self._tell_dropped(fd)
        self._fds = []
        self._err_fds = []
        for fd in self._paths:
            os.close(fd)
        self._paths = {}

    def is_terminal(self) -> bool:
        """Whether every output is a terminal that may be coloured (https://no-color.org)."""
        return bool(self._fds) and not os.environ.get("NO_COLOR") and all(os.isatty(fd) for fd in self._fds)

    def _open(self, output: str) -> int:
        if output in _STANDARD_STREAMS:
            return _STANDARD_STREAMS[output]
        for fd, path in self._paths.items():
            if path == output:
                return fd
        try:
            fd = _open_file(output)
        except OSError as error:
            self.close()
            raise StartError(f"cannot open the log file {output}: {error.strerror}") from error
        self._paths[fd] = output
        return fd

    def _name(self, fd: int) -> str:
        return self._paths.get(fd) or next(name for name, number in _STANDARD_STREAMS.items() if number == fd)

    def _complain(self, text: str) -> None:
        for fd in self._err_fds:
            try:
                self._append(fd, f"fastsmtp: {_shorten(text, 1024)}\n".encode(errors="backslashreplace"))
            except OSError:  # there is nowhere left to say it
                continue


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


def configure(settings: Logs) -> LogOutput:
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


def _encoding(settings: Logs) -> str:
    return settings.encoding or {"production": "json", "raw": "raw"}.get(settings.mode, "console")


def _renderer(settings: Logs, *, colours: bool) -> _Render:
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
        line = _json_line({_shorten(key, 64): _shortened_value(value, most) for key, value in record.items()})
        if len(line) <= _PIPE_LINE:
            return line
    kept = {key: _shortened_value(record[key], 64) for key in ("level", "ts", "logger", "msg")}
    return _json_line({**kept, "fields": "[cut]"})  # so many that short values do not help


def _shortened_value(value: Any, most: int) -> Any:
    if isinstance(value, str):
        return _shorten(value, most)
    text = json.dumps(value)
    return value if len(text) <= most else _shorten(text, most)


def _shorten(text: str, most: int) -> str:
    """Without its middle: of a traceback, both ends are what is asked for."""
    half = (most - len(_CUT)) // 2
    return text if len(text) <= most else text[:half] + _CUT + text[-half:]


def _shorten_text(line: bytes) -> bytes:
    half = (_PIPE_LINE - len(_CUT)) // 2
    begin, end = (part.decode(errors="ignore") for part in (line[:half], line[-half:]))  # no half characters
    return (begin + _CUT + end).encode()


def _render_raw(event: _Event) -> bytes:
    return (_harmless(str(event.get("event", ""))) + "\n").encode(errors="backslashreplace")


def _render_console(event: _Event, *, colours: bool) -> bytes:
    level = _level_name(event.pop("level"))
    shown_level = f"{level.upper():5}"
    if colours:
        shown_level = _COLOURS.get(level, "") + shown_level + _RESET
    channel, text = event.pop("channel", "fastsmtp"), event.pop("event", "")
    trace = _traceback(event)
    fields = "".join(f"  {_harmless(str(key))}={_quoted(str(value))}" for key, value in event.items())
    line = f"{_now()}  {shown_level}  {_harmless(str(channel))}  {_harmless(str(text))}{fields}\n"
    if trace is not None:
        line += "".join(f"    {_harmless(row)}\n" for row in trace.splitlines())
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


def _harmless(text: str) -> str:
    """Control characters, and others that do not print, as escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _quoted(text: str) -> str:
    """A value that can be told from what follows it."""
    text = _harmless(text)
    return text if text and " " not in text and '"' not in text else json.dumps(text, ensure_ascii=False)


def _listed(output: str | list[str]) -> list[str]:
    return [output] if isinstance(output, str) else output


def _open_file(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)


def _takes_more(fd: int) -> bool:
    """Whether a write would be done, or fail, at once."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(0))
