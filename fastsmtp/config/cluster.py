"""The section `cluster`: the roles of this node, and the NATS servers that keep what a front has accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from fastsmtp.config import rules
from fastsmtp.config.section import Section, seconds


class ClusterTLSSettings(Section, frozen=True):
    """TLS towards the NATS servers; all "" = what the system trusts, where a server asks for TLS."""

    ca: rules.Text = ""  # PEM file
    cert: rules.Text = ""  # PEM file
    key: rules.Text = ""  # PEM file; "" = in the cert file


class StreamSettings(Section, frozen=True):
    """The streams of the mails: one for each partition, and one for mails that no worker could take."""

    prefix: rules.StreamName = "FASTSMTP"
    partitions: Annotated[int, rules.integer(1, 1024)] = 16
    replicas: Annotated[int, rules.integer(1, 5)] = 3
    manage: rules.Flag = True  # make those that are not there; False: they have to be


class InFlightSettings(Section, frozen=True):
    """How much is published and not confirmed at a time, of one process."""

    mails: rules.Positive = 1024
    bytes: Annotated[int, rules.size(1)] = 64 * 1000**2


class StreamRetentionSettings(Section, rename=seconds("max_age"), frozen=True):
    """How much the streams keep; 0 = no limit."""

    max_age_s: rules.Seconds = 3600.0
    max_bytes: rules.Size = 100 * 1000**3  # of all partitions
    per_namespace: rules.Count = 100_000  # mails; the oldest go first


class AMQPOutputSettings(Section, frozen=True):
    """Where each mail goes as a job of RoadRunner, too."""

    driver: Literal["amqp"]
    addr: rules.AMQPURL
    exchange: rules.AMQPName = "amqp.default"  # as RoadRunner's driver has it
    pipeline: rules.AMQPName = "smtp"  # name of RoadRunner's pipeline, of its queue, and the routing key
    job: rules.AMQPName = "smtp.email"


class ClusterSettings(Section, rename=seconds("ack_timeout"), frozen=True):
    """A node of a cluster."""

    role: list[Literal["front", "relay", "inbox"]] = msgspec.field(default_factory=lambda: ["front", "relay"])
    node: rules.NodeName = ""  # "" = the host name
    servers: list[rules.NATSURL] = msgspec.field(default_factory=lambda: ["nats://127.0.0.1:4222"])
    credentials: rules.Text = ""  # a .creds file, or one with the seed of an nkey
    tls: ClusterTLSSettings = ClusterTLSSettings()
    stream: StreamSettings = StreamSettings()
    ack_timeout_s: rules.PositiveSeconds = 15.0  # longer than an election
    in_flight: InFlightSettings = InFlightSettings()
    retention: StreamRetentionSettings = StreamRetentionSettings()
    outputs: list[AMQPOutputSettings] = []
    monitor: list[rules.MonitorURL] = []  # where the servers tell whether they sync every write; [] = not asked

    @property
    def is_front(self) -> bool:
        """Whether SMTP is spoken here."""
        return "front" in self.role

    @property
    def is_relay(self) -> bool:
        """Whether workers are here."""
        return "relay" in self.role

    @property
    def is_inbox(self) -> bool:
        """Whether mails are kept and shown here."""
        return "inbox" in self.role


def cluster_faults(cluster: ClusterSettings) -> Iterator[tuple[str, str]]:
    """What no single setting shows: dotted key and fault."""
    if not cluster.role:
        yield "cluster.role", 'expected some of "front", "relay", "inbox", got nothing'
    if not cluster.servers:
        yield "cluster.servers", 'expected at least one server like "nats://127.0.0.1:4222", got nothing'
    if cluster.outputs and not cluster.is_front:
        yield "cluster.outputs", "expected none, because mails come to them by a front: cluster.role"
    if cluster.tls.key and not cluster.tls.cert:
        yield "cluster.tls.cert", "expected the file of the certificate, because cluster.tls.key is set"


def without_login(url: str) -> str:
    """Return the URL of a server without user and password, to be shown."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
