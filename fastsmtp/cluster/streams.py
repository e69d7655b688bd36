"""The streams of a cluster: made where they may be, and otherwise looked at. One that promises less is not used.

Nothing is ever changed on a stream that is there: that is the administrator's.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

from structlog.typing import FilteringBoundLogger

from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.cluster.subjects import (
    CHUNK,
    CONSUMER,
    COPY,
    DEAD,
    DEAD_CHUNK,
    LEDGER,
    MAIL,
    NODE,
    ORDER,
    PLAN,
    QUESTION,
    dead_stream_name,
    ledger_stream_name,
    node_stream_name,
    plan_stream_name,
    stream_name,
)
from fastsmtp.config.cluster import ClusterSettings
from fastsmtp.errors import StartError

if TYPE_CHECKING:
    from nats.js.api import ConsumerConfig, StreamConfig

T = TypeVar("T")

_OLDEST: Final = (2, 12)  # nats-server that has atomic batches
_DUPLICATES_S: Final = 120.0  # for how long a mail that is published again is known
_PENDING_MAILS: Final = 10_000  # that all relays of a partition may have at a time
_PLANS_S: Final = 24 * 3600.0  # that a fault plan lives at most
_SMALL_BYTES: Final = 16 * 1000**2  # of the streams of plans and of the ledger, or a hundredth of the mails
_NODES_S: Final = 30.0  # for which the report of a process is kept
_MONITOR_S: Final = 5.0
_PATIENCE_S: Final = 30.0  # for a stream without a leader
_AGAIN_S: Final = 0.1
_NOT_FOUND: Final = 10059
_NO_PEERS: Final = 10005  # as many servers as replicas are wanted are not there, or not yet


class Streams:
    """The streams that the configuration of a node names."""

    def __init__(self, connection: NATSConnection, settings: ClusterSettings, log: FilteringBoundLogger) -> None:
        self._connection: Final = connection
        self._settings: Final = settings
        self._log: Final = log

    async def prepare(self) -> None:
        """Make what is missing, and check what is there. Raises StartError."""
        version = self._connection.client.connected_server_version
        if (version.major, version.minor) < _OLDEST:
            raise StartError(f"nats-server 2.12 or newer is needed for atomic batches, this is {version}")
        await self._check_sync()
        for config in self._wanted():
            await self._prepare_one(config)

    def names(self) -> list[str]:
        """The streams of mails, by partition."""
        stream = self._settings.stream
        return [stream_name(stream.prefix, partition) for partition in range(stream.partitions)]

    def _wanted(self) -> Iterator[StreamConfig]:
        from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

        settings, stream = self._settings, self._settings.stream
        retention = settings.retention
        common: dict[str, Any] = {
            "num_replicas": stream.replicas,
            "storage": StorageType.FILE,
            "retention": RetentionPolicy.LIMITS,
            "discard": DiscardPolicy.NEW,  # a stream that is full is told to the client
            "duplicate_window": max(_DUPLICATES_S, 2 * settings.ack_timeout_s),
            "allow_atomic": True,
            "allow_direct": True,
        }
        max_bytes = max(1, retention.max_bytes // stream.partitions) if retention.max_bytes else -1
        for partition, name in enumerate(self.names()):
            yield StreamConfig(
                name=name,
                subjects=[f"{kind}.{partition}.>" for kind in (MAIL, CHUNK, COPY, ORDER)],
                max_age=retention.max_age_s,
                max_bytes=max_bytes,
                max_msgs_per_subject=retention.per_namespace or -1,
                **common,
            )
        yield StreamConfig(
            name=dead_stream_name(stream.prefix),
            subjects=[f"{DEAD}.>", f"{DEAD_CHUNK}.>"],
            max_bytes=max_bytes,
            **common,
        )
        common["discard"] = DiscardPolicy.OLD
        small_bytes = max(_SMALL_BYTES, retention.max_bytes // 100) if retention.max_bytes else -1
        yield StreamConfig(
            name=plan_stream_name(stream.prefix),
            subjects=[f"{PLAN}.>", f"{QUESTION}.>"],
            max_age=_PLANS_S,
            max_bytes=small_bytes,
            **common,
        )
        yield StreamConfig(
            name=ledger_stream_name(stream.prefix),
            subjects=[f"{LEDGER}.>"],
            max_age=retention.max_age_s,
            max_bytes=small_bytes,
            **common,
        )
        common |= {"storage": StorageType.MEMORY, "duplicate_window": _NODES_S}
        yield StreamConfig(
            name=node_stream_name(stream.prefix),
            subjects=[f"{NODE}.>"],
            max_age=_NODES_S,
            max_msgs_per_subject=1,
            **common,
        )

    async def _prepare_one(self, wanted: StreamConfig) -> None:
        there = await self._find(str(wanted.name))
        if there is None:
            if not self._settings.stream.manage:
                raise StartError(f"there is no stream {wanted.name}, and cluster.stream.manage is false")
            there = await self._make(wanted)
        faults = list(differences(wanted, there))
        if faults:
            raise StartError(f"stream {wanted.name} promises less than the configuration asks: {'; '.join(faults)}")

    async def _find(self, name: str) -> StreamConfig | None:
        from nats.js.errors import NotFoundError

        try:
            return (await _patiently(lambda: self._connection.jetstream.stream_info(name))).config
        except NotFoundError as error:
            if error.err_code == _NOT_FOUND:
                return None
            raise StartError(f"stream {name}: {error.description}") from None
        except Exception as error:
            raise StartError(f"stream {name} cannot be looked at: {_reason(error)}") from None

    async def _make(self, wanted: StreamConfig) -> StreamConfig:
        try:
            made = (await _patiently(lambda: self._connection.jetstream.add_stream(wanted))).config
        except Exception as error:
            raise StartError(f"stream {wanted.name} cannot be made: {_reason(error)}") from None
        self._log.info("stream made", stream=wanted.name, replicas=made.num_replicas)
        return made

    async def make_consumers(self, ack_wait_s: float) -> None:
        """Make the durable consumers of relays; one that is there gets this `ack_wait`. Raises StartError."""
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

        for partition, name in enumerate(self.names()):
            config = ConsumerConfig(
                durable_name=CONSUMER,
                deliver_policy=DeliverPolicy.ALL,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ack_wait_s,
                max_deliver=-1,  # relays count, and know which of the deliveries failed
                max_ack_pending=_PENDING_MAILS,
                filter_subject=f"{MAIL}.{partition}.>",
            )
            await self._make_consumer(name, config)

    async def _make_consumer(self, stream: str, config: ConsumerConfig) -> None:
        try:
            await _patiently(lambda: self._connection.jetstream.add_consumer(stream, config))
        except Exception as error:
            raise StartError(f"the consumer of stream {stream} cannot be made: {_reason(error)}") from None

    async def _check_sync(self) -> None:
        """See that the servers sync every write, where their monitoring tells it. Raises StartError."""
        for url in self._settings.monitor:
            try:
                told = await asyncio.to_thread(_read_json, f"{url.rstrip('/')}/jsz?config=true")
            except (OSError, ValueError) as error:
                raise StartError(f"cluster.monitor: {url} does not answer: {_reason(error)}") from None
            config = told.get("config") or {}
            if not config.get("sync_always"):
                raise StartError(
                    f"the server at {url} does not sync each write, so that a 250 would not survive a power cut: "
                    'set "sync_interval: always" in its section jetstream'
                )


async def _patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask again while nothing answers, or servers do not know each other yet.

    A stream that another node is making, or whose leader has gone, has no voice.
    """
    from nats.errors import NoRespondersError, TimeoutError
    from nats.js.errors import APIError, ServiceUnavailableError

    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return await ask()
        except (TimeoutError, NoRespondersError, APIError) as error:
            refused = isinstance(error, APIError) and error.err_code != _NO_PEERS
            if (refused and not isinstance(error, ServiceUnavailableError)) or time.monotonic() > deadline:
                raise
        await asyncio.sleep(_AGAIN_S)


def _read_json(url: str) -> dict[str, Any]:
    """Raises OSError, or ValueError."""
    with urllib.request.urlopen(url, timeout=_MONITOR_S) as answer:
        told: dict[str, Any] = json.load(answer)
        return told


def differences(wanted: StreamConfig, there: StreamConfig) -> Iterator[str]:
    """Yield what a stream promises less than is wanted."""
    if (there.num_replicas or 1) < (wanted.num_replicas or 1):
        yield f"it has {there.num_replicas or 1} replicas, not {wanted.num_replicas}"
    for name, shown in (("storage", "storage"), ("retention", "retention"), ("discard", "discard policy")):
        if _word(getattr(there, name)) != _word(getattr(wanted, name)):
            yield f"its {shown} is {_word(getattr(there, name))}, not {_word(getattr(wanted, name))}"
    for name in ("allow_atomic", "allow_direct"):
        if not getattr(there, name):
            yield f"{name} is off"
    if missing := [subject for subject in wanted.subjects or [] if subject not in (there.subjects or [])]:
        yield f"it lacks the subjects {', '.join(missing)}"
    if there.duplicate_window < wanted.duplicate_window:
        yield f"its duplicate window is {there.duplicate_window:g} s, not {wanted.duplicate_window:g} s"
    for name, unit in (("max_age", " s"), ("max_bytes", " bytes"), ("max_msgs_per_subject", " mails of a namespace")):
        has, asked = _limit(getattr(there, name)), _limit(getattr(wanted, name))
        if has < asked:
            yield f"it keeps {has:g}{unit} at most, not {'all' if asked == float('inf') else f'{asked:g}'}"
    if _limit(there.max_msgs) < float("inf"):
        yield f"it keeps {there.max_msgs} messages at most"


def _limit(value: float | None) -> float:
    return value if value is not None and value > 0 else float("inf")


def _word(value: object) -> str:
    return str(getattr(value, "value", value))


def _reason(error: BaseException) -> str:
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(getattr(error, "description", None) or error or type(error).__name__)
