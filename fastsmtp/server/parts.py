"""The parts of a server as its configuration says: storage, workers, the JSON they get, what sessions are told."""

from __future__ import annotations

import ssl
from functools import partial

import msgspec
from structlog.typing import FilteringBoundLogger

from fastsmtp.capture.attachments import MemoryStorage, TempfileStorage
from fastsmtp.config.settings import Config, ListenerSettings
from fastsmtp.delivery.jobs import encode_job, job_steps, read_answer
from fastsmtp.delivery.large import payload_steps
from fastsmtp.delivery.omission import omission
from fastsmtp.delivery.payload import encode_payload
from fastsmtp.delivery.workers import Encoder
from fastsmtp.server.backpressure import Backpressure
from fastsmtp.smtp.policy import Policy
from fastsmtp.smtp.sessionsettings import SessionSettings
from fastsmtp.system.descriptors import most_descriptors
from fastsmtp.system.process import Identity, own_command
from fastsmtp.workers.launch import Launch
from fastsmtp.workers.pool import Pool

_SPARE_DESCRIPTORS = 64  # kept for tempfiles, logs and new workers
_DESCRIPTORS_PER_WORKER = 6


def has_embedded_worker(config: Config) -> bool:
    """Whether no worker is configured, so that the printer that comes with fastsmtp is it."""
    return not (config.smtp.pool.command or config.server.command)


def has_jobs(config: Config) -> bool:
    """Whether workers get mails as jobs of RoadRunner."""
    return config.smtp.payload == "jobs" and not has_embedded_worker(config)


def left_out(config: Config) -> int:
    """What workers do not get of a mail, see `delivery.omission`; the printer shows mails, and gets all of it."""
    return 0 if has_embedded_worker(config) else omission(config.smtp.payload_omit)


def make_storage(config: Config) -> MemoryStorage | TempfileStorage:
    """Where attachments are kept; a directory is prepared. Raises StartError."""
    settings = config.smtp.attachment_storage
    checksum = settings.checksum == "sha256"
    if settings.mode == "memory":
        return MemoryStorage(checksum=checksum)
    workers = Identity(config.server.user, config.server.group)
    owner = (-1 if workers.uid is None else workers.uid, -1 if workers.gid is None else workers.gid)
    tempfiles = TempfileStorage(settings.temp_dir, settings.cleanup_after_s, checksum=checksum, owner=owner)
    tempfiles.prepare()
    return tempfiles


def make_pool(config: Config, save: str, rpc: str, log: FilteringBoundLogger) -> Pool:
    """The pool, not started. The printer saves mails in the directory `save`, "" = nowhere; workers call at `rpc`."""
    settings = config.smtp.pool
    mode, read_body = ("jobs", read_answer) if has_jobs(config) else ("smtp", None)
    embedded = own_command("fastsmtp.printer.main", *(("--save", save) if save else ()))
    launch = Launch.from_settings(config.server, settings, command=embedded, rpc=rpc, mode=mode)
    if has_embedded_worker(config):
        # One, so that mails are shown one after the other, in the order of their verdicts.
        settings = msgspec.structs.replace(settings, num_workers=1, dynamic_allocator=None)
    return Pool(settings, launch, log, read_body)


def make_encoder(config: Config, *, keeps_raw: bool) -> Encoder:
    """What makes the JSON of a mail for workers; `keeps_raw` if octets that are kept may be shown."""
    if has_jobs(config):
        pipeline = config.smtp.pipeline
        return Encoder(partial(encode_job, pipeline=pipeline), partial(job_steps, pipeline=pipeline))
    omit = left_out(config)
    return Encoder(
        partial(encode_payload, include_raw=keeps_raw, omit=omit),
        partial(payload_steps, include_raw=keeps_raw, omit=omit),
    )


def make_session_settings(
    config: Config,
    listener: ListenerSettings,
    context: ssl.SSLContext | None,
    max_connections: int,
    policies: list[Policy],
    memory: Backpressure,
) -> SessionSettings:
    """What the sessions of a listener are told; `context` is that of its TLS."""
    smtp = config.smtp
    return SessionSettings(
        hostname=listener.hostname,
        max_message_size=smtp.max_message_size,
        max_recipients=smtp.max_recipients,
        strict=smtp.strict,
        max_connections=max_connections,
        policies=policies,
        auth_mechanisms=smtp.auth_mechanisms,
        memory=memory,
        tls_available=context is not None and not is_implicit(listener, context),
        trace=smtp.include_transcript or config.logs.channel("smtp").level == "debug",
    )


def is_implicit(listener: ListenerSettings, context: ssl.SSLContext | None) -> bool:
    """Whether TLS begins with the connection (RFC 8314 section 3)."""
    return context is not None and listener.tls is not None and listener.tls.mode == "implicit"


def connections_that_fit(config: Config, spared: int) -> int:
    """How many connections the limit of open files leaves room for, 0 = any number.

    `spared` are those that other listeners may open. The limit is raised first, as far as we may raise it.
    """
    most = most_descriptors()
    if not most:
        return 0
    workers = _DESCRIPTORS_PER_WORKER * config.smtp.pool.most_workers
    return max(1, most - _SPARE_DESCRIPTORS - spared - workers)
