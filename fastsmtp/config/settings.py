"""The settings: each is one field, whose type says what is accepted and whose default what holds without it.

`config.file.load` reads them from RoadRunner's `.rr.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, TypeAlias

import msgspec

from fastsmtp.config import rules
from fastsmtp.config.cluster import ClusterSettings, cluster_faults
from fastsmtp.config.collect import CollectorSettings, collect_faults
from fastsmtp.config.logs import ChannelSettings, LogsSettings
from fastsmtp.config.section import Section, seconds
from fastsmtp.smtp.replies import OFFERED_MECHANISMS, Mechanism
from fastsmtp.system.addresses import TCPAddress, UnixAddress, parse_address

# Attribute names carry the unit where the type does not say it: durations are float seconds, attribute `<key>_s`.


# What may be left out of the payload; `delivery.omission` says which keys these are.
PayloadGroup: TypeAlias = Literal[
    "connection",
    "params",
    "digest",
    "session",
    "headers",
    "raw_headers",
    "fields",
    "addresses",
    "body",
    "text",
    "size",
    "defects",
    "disposition",
    "beyond",
]


class TLSSettings(Section, frozen=True):
    """Certificate of a listener and when TLS begins."""

    cert: rules.Text = ""  # PEM file, or "auto": self-signed, made at start; "" = no TLS
    key: rules.Text = ""  # PEM file; "" = in the cert file
    mode: Literal["starttls", "implicit"] = "starttls"


class AttachmentStorageSettings(Section, rename=seconds("cleanup_after"), frozen=True):
    """Where decoded attachments wait for the worker."""

    mode: Literal["memory", "tempfile"] = "memory"
    temp_dir: rules.Text = "/tmp/smtp-attachments"
    cleanup_after_s: rules.Seconds = 3600.0  # age at which a tempfile is deleted; 0 = never
    checksum: Literal["", "sha256"] = ""


class SupervisorSettings(Section, rename=seconds("watch_tick", "ttl", "idle_ttl", "exec_ttl"), frozen=True):
    """When a worker is replaced though it did nothing wrong, and when it is killed."""

    watch_tick_s: rules.PositiveSeconds = 5.0  # how often the supervisor looks
    ttl_s: rules.Seconds = 0.0  # age at which a worker is replaced; 0 = never
    idle_ttl_s: rules.Seconds = 0.0  # idle time after which a worker is replaced; 0 = never
    exec_ttl_s: rules.Seconds = 60.0  # a worker that has not answered by then is killed; 0 = never
    max_worker_memory: rules.Count = 0  # MB of resident memory above which a worker is replaced; 0 = no limit


class DynamicAllocatorSettings(Section, rename=seconds("idle_timeout"), frozen=True):
    """More workers while emails wait; 0 is RoadRunner's default, as in RoadRunner."""

    max_workers: rules.Count = 10  # beside num_workers
    spawn_rate: rules.Count = 5  # started at once
    idle_timeout_s: rules.PositiveSeconds = 60.0  # without an email that waits, until as many leave again

    @property
    def most_workers(self) -> int:
        """How many workers there may be beside the others."""
        return self.max_workers or DynamicAllocatorSettings().max_workers

    @property
    def step(self) -> int:
        """How many are started at once."""
        return self.spawn_rate or DynamicAllocatorSettings().spawn_rate


class PoolSettings(
    Section, rename=seconds("allocate_timeout", "destroy_timeout", "reset_timeout", "stream_timeout"), frozen=True
):
    """The worker processes of `smtp`. After `load`, `num_workers` is at least 1."""

    num_workers: rules.Workers = 4  # 0 = as many as cores
    dynamic_allocator: DynamicAllocatorSettings | None = None  # None = num_workers is what there is
    max_jobs: rules.Count = 0  # emails per worker before it is replaced; 0 = no limit
    allocate_timeout_s: rules.PositiveSeconds = 60.0  # wait for a free worker, and for a new one to shake hands
    max_queue_size: rules.Count = 0  # emails that may wait for a worker; 0 = no limit
    destroy_timeout_s: rules.Seconds = 60.0  # from the stop frame to the kill
    reset_timeout_s: rules.PositiveSeconds = 60.0  # for a worker that a reset has replaced to finish its email
    stream_timeout_s: rules.Seconds = 60.0  # RoadRunner's alone: here no worker answers in streams
    supervisor: SupervisorSettings = SupervisorSettings()
    debug: rules.Flag = False  # a fresh worker per email
    command: rules.CommandLine | list[str] = ""  # overrides server.command for this pool

    @property
    def most_workers(self) -> int:
        """How many workers there may be."""
        allocator = self.dynamic_allocator
        return self.num_workers + (allocator.most_workers if allocator is not None else 0)


class ListenerSettings(Section, frozen=True):
    """One of `smtp.servers`."""

    addr: rules.Address
    hostname: rules.OptionalHostName = ""  # "" = smtp.hostname
    tls: TLSSettings | None = None  # None = smtp.tls


class JobsSettings(Section, frozen=True):
    """The jobs shape of the payload."""

    pipeline: rules.Text = "smtp"


class SMTPSettings(Section, rename=seconds("read_timeout", "write_timeout"), frozen=True):
    """What is listened to and what happens to a mail."""

    addr: rules.Address = "127.0.0.1:1025"  # "" after `load` where only `servers` are listened to
    servers: dict[str, ListenerSettings] = {}
    hostname: rules.HostName = "buggregator.local"
    read_timeout_s: rules.Seconds = 60.0  # a whole command line; silence inside mail data; 0 = none
    write_timeout_s: rules.Seconds = 10.0
    max_message_size: rules.Size = 10 * 1024 * 1024  # bytes of mail data; 0 = unlimited
    max_recipients: rules.Positive = 100
    max_connections: rules.Count = 0  # 0 = as many as file descriptors allow
    max_inflight_bytes: Annotated[int, rules.size(1)] = 256 * 1024 * 1024  # mail in memory; above it, reading pauses
    include_raw: rules.Flag = False
    include_transcript: rules.Flag = False
    strict: rules.Flag = False
    auth_mechanisms: list[Mechanism] = msgspec.field(default_factory=lambda: [*OFFERED_MECHANISMS])  # in EHLO
    proxy_protocol: list[rules.Network] = []  # whose word about their clients is believed; "unix:" = Unix sockets
    faults: rules.Text = ""  # file of a fault plan for the namespace `default`, "" = none
    payload: Literal["smtp", "jobs"] = "smtp"
    payload_omit: list[PayloadGroup] = []
    jobs: JobsSettings | None = None  # of the payload "jobs"; None = its defaults
    processes: rules.ProcessCount | Literal["auto"] = 1  # each with its share of workers, connections and memory
    tls: TLSSettings = TLSSettings()
    attachment_storage: AttachmentStorageSettings = AttachmentStorageSettings()
    pool: PoolSettings = PoolSettings()

    @property
    def pipeline(self) -> str:
        """The pipeline of jobs."""
        return (self.jobs or JobsSettings()).pipeline

    def listeners(self) -> dict[str, ListenerSettings]:
        """Every listener by name, `addr` as "default", with its own host name and TLS settings filled in."""
        named = {"default": ListenerSettings(addr=self.addr)} if self.addr else {}
        return {
            name: msgspec.structs.replace(
                listener,
                hostname=listener.hostname or self.hostname,
                tls=self.tls if listener.tls is None else listener.tls,
            )
            for name, listener in (named | self.servers).items()
        }


class OnInitSettings(Section, rename=seconds("exec_timeout"), frozen=True):
    """A command that is run once: `on_init` before the workers start, `after_init` when mail is accepted."""

    command: rules.CommandLine | list[str] = ""
    exec_timeout_s: rules.Seconds = 60.0
    env: dict[str, rules.Scalar] | list[dict[str, rules.Scalar]] = {}
    exit_on_error: rules.Flag = False
    user: rules.Text = ""


class ServerSettings(Section, rename=seconds("relay_timeout"), frozen=True):
    """How a worker is started and spoken to. After `load`, `env` is one dict."""

    command: rules.CommandLine | list[str] = ""  # "" = the embedded default
    relay: rules.Relay = "unix"  # "unix" (private socket), "unix://path", "pipes", "tcp://host:port"
    relay_timeout_s: rules.PositiveSeconds = 60.0  # spawn to handshake
    trust_relay: rules.Flag = False  # whatever connects may be the worker that is awaited, as from a container
    user: rules.Text = ""
    group: rules.Text = ""
    env: dict[str, rules.Scalar] | list[dict[str, rules.Scalar]] = {}
    on_init: OnInitSettings = OnInitSettings()
    after_init: OnInitSettings = OnInitSettings()


class RPCSettings(Section, frozen=True):
    """The Goridge RPC listener."""

    listen: rules.URL = ""  # "tcp://127.0.0.1:6001", "unix://path"; "" = off


class MetricsSettings(Section, frozen=True):
    """The Prometheus endpoint."""

    address: rules.HTTPAddress = ""  # "" = off
    collect: dict[str, CollectorSettings] = {}  # metrics of the application, which workers change by RPC


class StatusSettings(Section, rename=seconds("check_timeout"), frozen=True):
    """The health and readiness endpoint."""

    address: rules.HTTPAddress = ""  # "" = off
    check_timeout_s: rules.BareSeconds = 60.0  # for a process to tell how it is, before it counts as stuck
    unavailable_status_code: rules.StatusCode = 503


class RetentionSettings(Section, rename=seconds("max_age", "namespace_ttl"), frozen=True):
    """How much the inbox keeps, over all namespaces; 0 = no limit."""

    max_mails: rules.Count = 0
    max_bytes: rules.Size = 10 * 1000**3
    max_age_s: rules.Seconds = 0.0
    namespace_ttl_s: rules.Seconds = 86400.0  # after its last mail or call
    max_namespaces: rules.Count = 10_000


class InboxAuthSettings(Section, frozen=True):
    """Which clients may call the inbox; all "" = every client that can connect."""

    username: rules.Text = ""
    password: rules.Text = ""
    token: rules.Text = ""  # of `Authorization: Bearer`


class InboxSettings(Section, frozen=True):
    """The process that keeps mails and answers HTTP."""

    address: rules.HTTPAddress = "127.0.0.1:8025"  # "" = no inbox
    path: rules.Text = ""  # directory of the store; "" = temporary, gone at the end
    durability: Literal["memory", "normal", "full"] = "normal"
    namespace: list[rules.NamespaceEntry] = msgspec.field(
        default_factory=lambda: ["listener", "username", "helo", "plus", "header:X-Namespace"]
    )  # who says where a mail belongs; the first that does
    retention: RetentionSettings = RetentionSettings()
    auth: InboxAuthSettings = InboxAuthSettings()
    hosts: list[rules.Text] = []  # names it may be called by, beside localhost and literal loopback addresses
    relay: rules.RelayURL = ""  # "smtp://host:port" for the release of mails; "" = release is refused


class EndureSettings(Section, rename=seconds("grace_period"), frozen=True):
    """RoadRunner's container; of its settings only the grace period concerns us."""

    grace_period_s: rules.Seconds = 30.0


class Config(Section, frozen=True):
    """The whole file: our sections; every other section is left alone."""

    version: rules.Scalar = "3"
    server: ServerSettings = ServerSettings()
    rpc: RPCSettings = RPCSettings()
    logs: LogsSettings = LogsSettings()
    metrics: MetricsSettings = MetricsSettings()
    status: StatusSettings = StatusSettings()
    endure: EndureSettings = EndureSettings()
    smtp: SMTPSettings = SMTPSettings()
    inbox: InboxSettings | None = None  # None = with its defaults where there is no worker command, else off
    cluster: ClusterSettings | None = None  # None = one machine

    @property
    def is_front(self) -> bool:
        """Whether SMTP is spoken here: on one machine, and on such a node of a cluster."""
        return self.cluster is None or self.cluster.is_front

    @property
    def is_relay(self) -> bool:
        """Whether workers are here: on one machine, and on such a node of a cluster."""
        return self.cluster is None or self.cluster.is_relay

    def kept(self) -> InboxSettings | None:
        """The inbox there is to be, None without one. On a cluster, nodes with that role have one."""
        if self.cluster is not None:
            return (self.inbox or InboxSettings()) if self.cluster.is_inbox else None
        embedded = not (self.smtp.pool.command or self.server.command)
        settings = InboxSettings() if self.inbox is None and embedded else self.inbox
        return settings if settings is not None and settings.address else None


def contradictions(config: Config) -> Iterator[tuple[str, str]]:
    """What no single setting shows: dotted key and fault."""
    smtp = config.smtp
    for key, command in (("server.command", config.server.command), ("smtp.pool.command", smtp.pool.command)):
        if isinstance(command, list) and command and not command[0]:
            yield key, "expected a program as the first word, got an empty one"
    for name in config.server.env:
        if not name or "=" in name:
            yield "server.env", f'expected names of environment variables, got "{name}"'
    yield from _log_contradictions(config.logs)
    storage = smtp.attachment_storage
    if storage.mode == "tempfile" and not storage.temp_dir:
        yield "smtp.attachment_storage.temp_dir", 'expected a directory, because mode is "tempfile"'
    for mechanism in dict.fromkeys(smtp.auth_mechanisms):
        if smtp.auth_mechanisms.count(mechanism) > 1:
            yield "smtp.auth_mechanisms", f"{mechanism} is listed twice"
    if smtp.payload == "jobs" and smtp.payload_omit:
        yield "smtp.payload_omit", "expected none, because consumers of jobs read a shape that is not ours"
    yield from ((f"metrics.collect.{name}", fault) for name, fault in collect_faults(config.metrics.collect))
    yield from _listener_contradictions(smtp)
    if smtp.faults and config.cluster is None and config.kept() is None:
        yield "smtp.faults", "there is no inbox, which plans are kept in: set inbox.address"
    if config.cluster is not None:
        yield from cluster_faults(config.cluster)
        yield from _cluster_contradictions(config, config.cluster)
    if smtp.processes != 1:
        yield from _process_contradictions(config)


def _cluster_contradictions(config: Config, cluster: ClusterSettings) -> Iterator[tuple[str, str]]:
    if config.smtp.attachment_storage.mode == "tempfile":
        yield (
            "smtp.attachment_storage.mode",
            'expected "memory", because the workers of a cluster are on other machines than its fronts, got "tempfile"',
        )
    inbox = config.inbox
    if inbox is not None and inbox.address and not cluster.is_inbox:
        yield "inbox.address", f'expected "", because this node has not the role "inbox", got "{inbox.address}"'
    if inbox is not None and not inbox.address and cluster.is_inbox:
        yield "inbox.address", 'expected a port, because this node has the role "inbox", got ""'
    if config.smtp.faults:
        yield "smtp.faults", "expected none, because the plans of a cluster are put by its API"
    if not cluster.is_front and config.smtp.processes != 1:
        yield "smtp.processes", f"expected 1, because only a front listens, got {config.smtp.processes}"


def _log_contradictions(logs: LogsSettings) -> Iterator[tuple[str, str]]:
    sections: dict[str, LogsSettings | ChannelSettings] = {"logs": logs}
    sections |= {f"logs.channels.{name}": channel for name, channel in logs.channels.items()}
    for key, section in sections.items():
        for name, output in (("output", section.output), ("err_output", section.err_output)):
            if output == "" or output == [] or (isinstance(output, list) and "" in output):
                yield f"{key}.{name}", 'expected "stderr", "stdout" or a file, got nothing'


def _process_contradictions(config: Config) -> Iterator[tuple[str, str]]:
    smtp = config.smtp
    relay = config.server.relay
    if relay not in ("unix", "pipes") and not (relay.startswith("tcp://") and relay.endswith(":0")):
        yield (
            "server.relay",
            f'expected "unix", "pipes" or a port of 0, because each of smtp.processes has a relay, got "{relay}"',
        )
    if isinstance(smtp.processes, str):
        return  # as many as there can be
    if 0 < smtp.pool.max_queue_size < smtp.processes:
        emails = smtp.pool.max_queue_size
        yield "smtp.pool.max_queue_size", f"expected at least smtp.processes, {smtp.processes}, got {emails}"
    if smtp.processes > smtp.pool.num_workers:
        workers = smtp.pool.num_workers
        yield "smtp.processes", f"expected at most smtp.pool.num_workers, {workers}, got {smtp.processes}"


def _listener_contradictions(smtp: SMTPSettings) -> Iterator[tuple[str, str]]:
    if smtp.addr and "default" in smtp.servers:
        yield "smtp.servers.default", "smtp.addr has this name already"
    seen: dict[TCPAddress | UnixAddress, str] = {}
    tls = {"smtp.tls": smtp.tls}
    listeners = {"smtp": ListenerSettings(addr=smtp.addr)} if smtp.addr else {}
    for key, listener in (listeners | {f"smtp.servers.{name}": item for name, item in smtp.servers.items()}).items():
        address = parse_address(listener.addr)
        first = seen.setdefault(address, key)
        if first != key and not (isinstance(address, TCPAddress) and address.port == 0):
            yield f"{key}.addr", f"{first}.addr listens on {listener.addr} already"
        if listener.tls is not None:
            tls[f"{key}.tls"] = listener.tls
    for key, settings in tls.items():
        if not settings.cert and settings.key:
            yield f"{key}.cert", "required, because a key is given"
        if not settings.cert and settings.mode == "implicit":
            yield f"{key}.cert", 'required, because mode is "implicit"'
