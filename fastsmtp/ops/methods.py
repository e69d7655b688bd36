"""The methods behind `rpc.listen`: what can be seen and done from outside, in the shapes of RoadRunner's plugins."""

from __future__ import annotations

import base64
import functools
import os
import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from structlog.typing import FilteringBoundLogger

from fastsmtp.config.cluster import without_login
from fastsmtp.config.settings import Config
from fastsmtp.errors import CallError, StartError
from fastsmtp.goridge.rpc import Method
from fastsmtp.ops.appmetrics import AppMetrics
from fastsmtp.text import timestamp

if TYPE_CHECKING:
    from fastsmtp.workers.pool import WorkerInfo

MASK = "******"
_NANOSECONDS = 1_000_000_000
# Names that mean something else to the log; attributes of this name get a "_" behind it.
_RESERVED = frozenset({"channel", "event", "exc_info", "level", "logger", "msg", "self", "stacktrace", "ts"})
_LEAVING = frozenset({"stopping", "stopped", "errored"})  # RoadRunner counts them no more
_APP_LEVELS = {"Debug": "debug", "Info": "info", "Warning": "warning", "Error": "error", "Log": "info"}


class SMTPConnection(Protocol):
    """A connected SMTP client."""

    @property
    def uuid(self) -> str:
        """Of the connection."""

    @property
    def email_uuid(self) -> str:
        """Of its last email, "" before the first."""

    def describe(self) -> dict[str, object]:
        """Say who it is and what it does now."""

    def shutdown(self) -> None:
        """Reply 421 and close, as soon as no transaction is open."""


class PoolCounters(Protocol):
    """What a pool of workers counts."""

    execs: int
    errors: int
    unknown_answers: int
    exec_timeouts: int
    starts: int
    start_failures: int

    @property
    def worker_failures(self) -> int:
        """Emails that were lost with their worker."""

    @property
    def allocate_timeouts(self) -> int:
        """Emails that no worker was free for in time."""

    @property
    def queue_overflows(self) -> int:
        """Emails refused at once, because so many waited."""

    @property
    def num_workers(self) -> int:
        """How many it keeps."""

    @property
    def idle(self) -> int:
        """How many are free."""

    @property
    def busy(self) -> int:
        """How many have an email."""

    @property
    def waiting(self) -> int:
        """Emails that wait for one."""


class ManagedPool(PoolCounters, Protocol):
    """A pool of workers."""

    def workers(self) -> list[WorkerInfo]:
        """Describe each worker."""

    async def add_worker(self) -> None:
        """Make it larger by one. Raises StartError."""

    def remove_worker(self) -> bool:
        """Make it smaller by one; False: it has only one."""

    async def reset(self) -> None:
        """Replace all workers. Raises StartError."""


class MailInMemory(Protocol):
    """Counts mail in memory."""

    held: int


class LogAttribute(msgspec.Struct, frozen=True):
    """A name and a value beside a message."""

    key: str = ""
    value: str = ""


class LogEntry(msgspec.Struct, frozen=True):
    """The argument of `app.InfoWithContext` and its like."""

    message: str = ""
    log_attrs: list[LogAttribute] = []


class Control:
    """Builds the method table of one server; `pools` and `connections` are looked up with each call."""

    def __init__(
        self,
        config: Config,
        pools: Mapping[str, ManagedPool],
        connections: Collection[SMTPConnection],
        memory: MailInMemory,
        log: FilteringBoundLogger,
        app_metrics: AppMetrics,
    ) -> None:
        self._config = config
        self._app_metrics = app_metrics
        self._pools = pools
        self._connections = connections
        self._memory = memory
        self._log = log
        self._started = time.time()

    def methods(self) -> dict[str, Method]:
        """Return the methods by name."""
        return {
            "smtp.ListConnections": Method(self._list_connections),
            "smtp.CloseConnection": Method(self._close_connection, str),
            "smtp.Stats": Method(self._stats),
            "informer.List": Method(self._list_pools),
            "informer.Workers": Method(self._list_workers, str),
            "informer.AddWorker": Method(self._add_worker, str),
            "informer.RemoveWorker": Method(self._remove_worker, str),
            "resetter.List": Method(self._list_pools),
            "resetter.Reset": Method(self._reset, str),
            **common_methods(self._config, self._log, self._app_metrics),
        }

    # smtp

    def _list_connections(self, _: object) -> list[dict[str, object]]:
        return [connection.describe() for connection in self._connections]

    def _close_connection(self, uuid: str) -> bool:
        for connection in self._connections:
            if uuid and uuid in (connection.uuid, connection.email_uuid):
                self._log.info("connection is closed by RPC", connection=connection.uuid)
                connection.shutdown()
                return True
        raise CallError(f"no such connection: {uuid}")

    def _stats(self, _: object) -> dict[str, object]:
        return {
            "started": timestamp(int(self._started)),
            "connections": len(self._connections),
            "inflight_bytes": self._memory.held,
            "pools": {name: pool_stats(pool) for name, pool in self._pools.items()},
        }

    # informer, resetter

    def _list_pools(self, _: object) -> list[str]:
        return list(self._pools)

    def _list_workers(self, name: str) -> dict[str, object]:
        pool = self._pools.get(name)
        if pool is None:
            return {"workers": None}
        return {"workers": [_worker_state(worker) for worker in pool.workers() if worker.status_text not in _LEAVING]}

    async def _add_worker(self, name: str) -> bool:
        try:
            await self._pool(name).add_worker()
        except StartError as error:
            raise CallError(str(error)) from None
        self._log.info("a worker was added by RPC", pool=name)
        return True

    def _remove_worker(self, name: str) -> bool:
        if not self._pool(name).remove_worker():
            raise CallError("the last worker of a pool stays")
        self._log.info("a worker was removed by RPC", pool=name)
        return True

    async def _reset(self, name: str) -> bool:
        try:
            await self._pool(name).reset()
        except StartError as error:
            raise CallError(f"workers could not be replaced: {error}") from None
        self._log.info("workers were replaced by RPC", pool=name)
        return True

    def _pool(self, name: str) -> ManagedPool:
        pool = self._pools.get(name)
        if pool is None:
            raise CallError(f"no such plugin: {name}")
        return pool


# rpc, app


def common_methods(config: Config, log: FilteringBoundLogger, app_metrics: AppMetrics) -> dict[str, Method]:
    """The methods that need neither pools nor connections."""
    return {
        "rpc.Version": Method(_version),
        "rpc.Config": Method(functools.partial(_show_config, config)),
        "rpc.Stop": Method(functools.partial(_stop, log), bool),
        **dict(_app_methods(log.bind(channel="app"))),
        **app_metrics.methods(),
    }


def _show_config(config: Config, _: object) -> str:
    # RoadRunner has bytes of JSON there, which are base64 once they are a value in JSON.
    return base64.b64encode(msgspec.json.encode(shown_config(config))).decode()


def _stop(log: FilteringBoundLogger, force: bool) -> bool:
    log.info("asked to stop by RPC", force=force)
    # What an operator's signal does, a second one included; the answer leaves before it is looked at.
    os.kill(os.getpid(), signal.SIGTERM)
    if force:
        os.kill(os.getpid(), signal.SIGINT)  # of the same kind the kernel may keep only one
    return True


def _app_methods(log: FilteringBoundLogger) -> Iterator[tuple[str, Method]]:
    for name, level in _APP_LEVELS.items():
        write = getattr(log, level)
        yield f"app.{name}", Method(functools.partial(_log_message, write), str)
        yield f"app.{name}WithContext", Method(functools.partial(_log_entry, write), LogEntry)


def shown_config(config: Config) -> dict[str, object]:
    """The configuration under its YAML keys, durations like "60s"; values of environment variables are masked."""
    shown: dict[str, Any] = _shown(config)
    for section in (shown["server"], shown["server"]["on_init"], shown["server"]["after_init"]):
        section["env"] = dict.fromkeys(_names(section["env"]), MASK)
    if config.cluster is not None:
        shown["cluster"]["servers"] = [without_login(url) for url in config.cluster.servers]
        for output in shown["cluster"]["outputs"]:
            output["addr"] = without_login(output["addr"])
    return shown


def _shown(value: object) -> Any:
    if isinstance(value, msgspec.Struct):
        return {
            field.encode_name: _shown_setting(field.name, getattr(value, field.name))
            for field in msgspec.structs.fields(value)
        }
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return {name: _shown(item) for name, item in value.items()} if isinstance(value, dict) else value


def _shown_setting(attribute: str, value: object) -> Any:
    return f"{value:.9g}s" if attribute.endswith("_s") and isinstance(value, float) else _shown(value)


def _names(env: dict[str, str] | list[dict[str, str]]) -> list[str]:
    parts = env if isinstance(env, list) else [env]
    return [name for part in parts for name in part]


def pool_stats(pool: PoolCounters) -> dict[str, int]:
    """The counters of a pool as `smtp.Stats` shows them."""
    return {
        "workers": pool.num_workers,
        "idle": pool.idle,
        "busy": pool.busy,
        "waiting": pool.waiting,
        "execs": pool.execs,
        "errors": pool.errors,
        "unknown_answers": pool.unknown_answers,
        "worker_failures": pool.worker_failures,
        "exec_timeouts": pool.exec_timeouts,
        "allocate_timeouts": pool.allocate_timeouts,
        "queue_overflows": pool.queue_overflows,
        "starts": pool.starts,
        "start_failures": pool.start_failures,
    }


def _worker_state(worker: WorkerInfo) -> dict[str, object]:
    """`process.State` of RoadRunner."""
    return {
        "pid": worker.pid,
        "status": worker.status,
        "numExecs": worker.execs,
        "created": int(worker.created * _NANOSECONDS),
        "memoryUsage": worker.memory_bytes,
        "CPUPercent": round(worker.cpu_percent, 2),
        "command": worker.command,
        "statusStr": worker.status_text,
    }


def _version(_: object) -> str:
    from fastsmtp import __version__

    return __version__


def _log_message(write: Callable[..., object], message: str) -> bool:
    write(message)
    return True


def _log_entry(write: Callable[..., object], entry: LogEntry) -> dict[str, object]:
    attributes = {item.key + "_" if item.key in _RESERVED else item.key: item.value for item in entry.log_attrs}
    write(entry.message, **attributes)
    return {}
