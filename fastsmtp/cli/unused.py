"""What stands in a configuration and has no effect here, and why: `check` tells it.

One file is for two programs. What is RoadRunner's alone is accepted; who wrote it should know that nothing comes of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastsmtp.config.file import LoadedConfig
from fastsmtp.config.logs import CHANNELS, LogsSettings
from fastsmtp.config.settings import Config, PoolSettings
from fastsmtp.processes.shares import process_count
from fastsmtp.text import printable

_OTHERS = "for RoadRunner alone"
_FILES = {
    "include": "other files are not read",
    "envfile": "other files are not read: variables are those of the environment",
}


def unused(reading: LoadedConfig) -> dict[str, str]:
    """Dotted keys that were given and have no effect, each with the reason."""
    ours = {key: reason for key, reason in _reasons(reading.config) if key in reading.given}
    others = {key: _FILES.get(key, _OTHERS) for key in reading.left_alone}
    return dict(sorted(ours.items())) | others


def rows(reasons: dict[str, str]) -> list[tuple[str, str]]:
    """The same for people: a row for each key, but one for all that is left to RoadRunner."""
    ours = [(printable(key), reason) for key, reason in reasons.items() if reason != _OTHERS]
    others = ", ".join(printable(key) for key, reason in reasons.items() if reason == _OTHERS)
    return [*ours, *([(_OTHERS, others)] if others else [])]


def _reasons(config: Config) -> Iterator[tuple[str, str]]:
    """What has no effect, whether it is given or not."""
    yield from _about_pool(config.smtp.pool, embedded=not (config.smtp.pool.command or config.server.command))
    yield from _about_roles(config)
    yield from _about_logs(config.logs)
    yield from _about_endpoints(config)
    for name, hook in (("on_init", config.server.on_init), ("after_init", config.server.after_init)):
        if not hook.command:
            yield f"server.{name}", "it has no command"
    if config.smtp.attachment_storage.mode == "memory":
        for name in ("temp_dir", "cleanup_after"):
            yield f"smtp.attachment_storage.{name}", 'there are no files where mode is "memory"'


def _about_pool(pool: PoolSettings, *, embedded: bool) -> Iterator[tuple[str, str]]:
    yield "smtp.pool.stream_timeout", "workers answer in one piece, not in streams"
    if embedded:
        for name in ("num_workers", "dynamic_allocator"):
            yield f"smtp.pool.{name}", "without server.command there is one worker, which shows the mails"
    elif pool.debug:
        for name in ("num_workers", "dynamic_allocator", "max_queue_size"):
            yield f"smtp.pool.{name}", "smtp.pool.debug starts a worker for each mail"


def _about_roles(config: Config) -> Iterator[tuple[str, str]]:
    if not config.is_front:
        for name in ("addr", "servers"):
            yield f"smtp.{name}", "only a front listens: cluster.role"
    if not config.is_relay:
        for name in ("server.command", "smtp.pool.command", "smtp.pool.num_workers"):
            yield name, "only a relay has workers: cluster.role"


def _about_logs(logs: LogsSettings) -> Iterator[tuple[str, str]]:
    sections = {"logs": logs} | {f"logs.channels.{name}": logs.channel(name) for name in logs.channels}
    for key, section in sections.items():
        if section.file_logger_options is not None:
            yield f"{key}.output", "file_logger_options writes to its own file"
        if section.format:
            yield f"{key}.encoding", "format says what a line looks like"
        else:
            yield f"{key}.time_format", "format is not set, which may have a %time%"
        if section.file_logger_options is not None and not section.format:
            yield f"{key}.encoding", "file_logger_options writes JSON"
    for name in logs.channels:
        if name not in CHANNELS:
            yield f"logs.channels.{name}", "nothing here logs in this channel"


def _about_endpoints(config: Config) -> Iterator[tuple[str, str]]:
    if not config.metrics.address:
        yield "metrics.collect", "metrics.address is not set"
    for name, settings in config.metrics.collect.items():
        if settings.type != "histogram":
            yield f"metrics.collect.{name}.buckets", "only a histogram has buckets"
        if settings.type != "summary":
            yield f"metrics.collect.{name}.objectives", "only a summary has objectives"
    if not config.status.address:
        for name in ("check_timeout", "unavailable_status_code"):
            yield f"status.{name}", "status.address is not set"
    elif process_count(config.smtp) == 1:
        yield "status.check_timeout", "a server of one process says at once how it is"
