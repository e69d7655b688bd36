"""The section `logs`: what is logged, how and where, for everything and for single channels."""

from __future__ import annotations

import os
import tempfile
from typing import Final

import msgspec

from fastsmtp.config import rules
from fastsmtp.config.section import Section

SILENT: Final = ("none", "off")  # modes
# What is logged under RoadRunner's name of a channel where a finer name is ours.
PARTS: Final = {"pool": "server", "worker": "server", "on_init": "server", "after_init": "server"}
# The names that `logs.channels` may use with effect; others are of plugins that there are not.
CHANNELS: Final = frozenset({"smtp", "rpc", "app", "server", "log", "fastsmtp.http", "asyncio", *PARTS})


class FileLoggerSettings(Section, frozen=True):
    """A log file that is replaced by a new one when it is full; the defaults are RoadRunner's."""

    log_output: rules.Text = ""  # "" = fastsmtp-lumberjack.log in the directory for temporary files
    max_size: rules.Count = 100  # MB (1024 * 1024 octets) after which it is full; 0 = 100
    max_age: rules.Count = 24  # days after which an old file is deleted; 0 = never
    max_backups: rules.Count = 10  # old files that are kept; 0 = all
    compress: rules.Flag = False  # old files with gzip

    @property
    def path(self) -> str:
        """Where the file is."""
        return self.log_output or os.path.join(tempfile.gettempdir(), "fastsmtp-lumberjack.log")


class ChannelSettings(Section, frozen=True):
    """One of `logs.channels`; what is None is as in `logs`."""

    mode: rules.LogMode | None = None
    level: rules.LogLevel | None = None
    encoding: rules.LogEncoding | None = None
    format: rules.Text | None = None
    time_format: rules.Text | None = None
    output: rules.Text | list[str] | None = None
    err_output: rules.Text | list[str] | None = None
    line_ending: rules.Text | None = None
    skip_line_ending: rules.Flag | None = None
    file_logger_options: FileLoggerSettings | None = None


class LogsSettings(Section, frozen=True):
    """What is logged, how and where."""

    mode: rules.LogMode = "development"
    level: rules.LogLevel = "info"
    encoding: rules.LogEncoding = ""  # "" = by mode
    format: rules.Text = ""  # of a line, with %time%, %level%, %message%, %attrs% and %logger%; "" = by encoding
    time_format: rules.Text = ""  # of %time%, a layout of Go; "" = RFC 3339
    output: rules.Text | list[str] = "stderr"  # "stderr", "stdout" or a file
    err_output: rules.Text | list[str] = "stderr"
    line_ending: rules.Text = "\n"  # "" = "\n"
    skip_line_ending: rules.Flag = False
    file_logger_options: FileLoggerSettings | None = None  # instead of `output`, and JSON whatever `encoding` says
    channels: dict[str, ChannelSettings] = {}

    def channel(self, name: str) -> LogsSettings:
        """Return what holds for the channel `name`, which is in `channels` or as everything else."""
        own = self.channels.get(name) or self.channels.get(PARTS.get(name, ""))
        if own is None:
            return msgspec.structs.replace(self, channels={})
        given = {key: value for key, value in msgspec.structs.asdict(own).items() if value is not None}
        if "mode" in given:
            given.setdefault("encoding", "")  # that of this mode
        if "mode" in given or "encoding" in given:
            given.setdefault("format", "")
        if "output" in given:
            given.setdefault("file_logger_options", None)
        return msgspec.structs.replace(self, channels={}, **given)

    @property
    def ending(self) -> str:
        """What ends each line."""
        return "" if self.skip_line_ending else self.line_ending or "\n"

    @property
    def form(self) -> str:
        """What a record looks like: `console`, `json` or `raw`, or as `format` says."""
        if self.format:
            return "format"
        if self.file_logger_options is not None:
            return "json"
        return self.encoding or {"production": "json", "raw": "raw"}.get(self.mode, "console")

    @property
    def stands_on_stderr(self) -> bool:
        """Whether records are lines for people, on stderr alone."""
        return self.form != "json" and self.output == "stderr" and self.mode not in SILENT

    @property
    def leaves_stderr_to_people(self) -> bool:
        """Whether more than records may be written to stderr: not in production, and not between lines of JSON."""
        if self.mode == "production":
            return False
        return self.form != "json" or self.file_logger_options is not None or "stderr" not in self.output
