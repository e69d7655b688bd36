"""How one configuration becomes those of several processes: each has a part of what there is once."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from fastsmtp.config.settings import (
    Config,
    DynamicAllocatorSettings,
    MetricsSettings,
    OnInitSettings,
    RPCSettings,
    SMTPSettings,
    StatusSettings,
    TLSSettings,
)
from fastsmtp.system.process import cores


def process_count(smtp: SMTPSettings) -> int:
    """How many processes `smtp.processes` means here; `auto`: as many as cores, workers and waiting emails allow."""
    if isinstance(smtp.processes, int):
        return smtp.processes
    return min(cores(), smtp.pool.num_workers, smtp.pool.max_queue_size or smtp.pool.num_workers)


def split(total: int, count: int) -> list[int]:
    """`total` in `count` parts, as equal as can be, the larger ones first."""
    part, rest = divmod(total, count)
    return [part + (index < rest) for index in range(count)]


def shares(config: Config, count: int) -> list[Config]:
    """The configuration of each process.

    Workers, waiting emails and memory are divided. The limit of connections is that of all together, whose number each
    one knows; 0, which is as many as there are descriptors, holds for each. What is done once is left out: RPC,
    metrics, status and `on_init` are the parent's, and old tempfiles are deleted by the first process.
    """
    smtp = config.smtp
    queues = split(smtp.pool.max_queue_size, count)
    allocators = _split_allocator(smtp.pool.dynamic_allocator, count)
    inflight = split(smtp.max_inflight_bytes, count)
    storage = smtp.attachment_storage
    return [
        replace(
            config,
            server=replace(config.server, on_init=OnInitSettings()),
            rpc=RPCSettings(),
            metrics=MetricsSettings(),
            status=StatusSettings(),
            smtp=replace(
                smtp,
                processes=1,
                max_inflight_bytes=max(1, inflight[index]),
                attachment_storage=replace(storage, cleanup_after_s=0.0) if index else storage,
                pool=replace(
                    smtp.pool,
                    num_workers=workers,
                    max_queue_size=queues[index],
                    dynamic_allocator=allocators[index],
                ),
            ),
        )
        for index, workers in enumerate(split(smtp.pool.num_workers, count))
    ]


def _split_allocator(allocator: DynamicAllocatorSettings | None, count: int) -> list[DynamicAllocatorSettings | None]:
    """Its workers, and how many are started at once; none where there are no workers to share."""
    if allocator is None:
        return [None] * count
    steps = split(allocator.step, count)
    return [
        replace(allocator, max_workers=most, spawn_rate=max(1, steps[index])) if most else None
        for index, most in enumerate(split(allocator.most_workers, count))
    ]


def with_certificates(config: Config, files: Mapping[str, str]) -> Config:
    """The same, but listeners that `files` names have these certificates, and do not make their own."""
    listeners = {
        name: replace(listener, tls=TLSSettings(files[name], "", listener.tls.mode))
        if listener.tls is not None and name in files
        else listener
        for name, listener in config.smtp.listeners().items()
    }
    return replace(config, smtp=replace(config.smtp, addr="", servers=listeners))
