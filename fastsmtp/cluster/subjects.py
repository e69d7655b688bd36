"""Names on the NATS servers: streams, subjects, and the partition of a namespace.

| subject                         | what is published there                                              |
|---------------------------------|----------------------------------------------------------------------|
| `m.<partition>.<namespace>`     | mails                                                                |
| `i.<partition>.<namespace>`     | mails that are for inboxes alone, and for no worker                  |
| `x.<partition>.<namespace>`     | orders of clients to all inboxes                                     |
| `c.<partition>.<namespace>`     | the octets of a large mail, in chunks that stand right before it     |
| `dead.<partition>.<namespace>`  | mails that no worker could take                                      |
| `deadc.<partition>.<namespace>` | the chunks of large ones                                             |
| `f.0.<namespace>`               | fault plans that are put, or removed                                 |
| `q.0.<namespace>`               | questions to them                                                    |
| `l.0.<node>`                    | which mails a front has answered 250                                 |
| `n.0.<node>.<pid>.<roles>`      | that a process lives, and how it is                                  |
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

MAIL: Final = "m"
COPY: Final = "i"
ORDER: Final = "x"
PLAN: Final = "f"
QUESTION: Final = "q"
NODE: Final = "n"
LEDGER: Final = "l"
CHUNK: Final = "c"
DEAD: Final = "dead"
DEAD_CHUNK: Final = "deadc"
CONSUMER: Final = "relay"  # the durable consumer of all relays, one on each stream

_FNV_OFFSET: Final = 0x811C9DC5
_FNV_PRIME: Final = 0x01000193


class Subjects(NamedTuple):
    """Where one mail is published: the mail itself, and its chunks where it is large."""

    mail: str
    chunk: str

    def dead(self) -> Subjects:
        """Where it goes when no worker takes it."""
        behind = self.mail.partition(".")[2]
        return Subjects(f"{DEAD}.{behind}", f"{DEAD_CHUNK}.{behind}")

    def alive(self) -> Subjects:
        """Where it came from."""
        behind = self.mail.partition(".")[2]
        return Subjects(f"{MAIL}.{behind}", f"{CHUNK}.{behind}")

    @classmethod
    def of(cls, mail: str) -> Subjects:
        """Return those of a mail that came from the subject `mail`."""
        kind, _dot, behind = mail.partition(".")
        return cls(mail, f"{DEAD_CHUNK if kind == DEAD else CHUNK}.{behind}")


@lru_cache(maxsize=4096)
def subjects_of(namespace: str, partitions: int, kind: str = MAIL) -> Subjects:
    """Return the subjects of mails of a namespace, or of orders."""
    behind = f"{partition_of(namespace, partitions)}.{token_of(namespace)}"
    return Subjects(f"{kind}.{behind}", f"{CHUNK}.{behind}")


@lru_cache(maxsize=4096)
def by_partition(namespaces: tuple[str, ...], partitions: int) -> list[tuple[str, ...]]:
    """Divide namespaces by their partition; the first of them is in the first group."""
    groups: dict[int, list[str]] = {}
    for name in namespaces:
        groups.setdefault(partition_of(name, partitions), []).append(name)
    return [tuple(names) for names in groups.values()]


def partition_of(namespace: str, partitions: int) -> int:
    """Return the partition: FNV-1a of 32 bits, so that every program that publishes finds the same one."""
    value = _FNV_OFFSET
    for octet in namespace.encode():
        value = ((value ^ octet) * _FNV_PRIME) & 0xFFFFFFFF
    return value % partitions


def token_of(namespace: str) -> str:
    """Return a namespace as one token of a subject, where a dot would begin the next one."""
    return namespace.replace(".", "~")


def namespace_of(subject: str) -> str:
    """Return the namespace of a subject."""
    return subject.split(".", 2)[2].replace("~", ".")


def stream_name(prefix: str, partition: int) -> str:
    """Return the name of the stream of a partition."""
    return f"{prefix}-{partition}"


def plan_stream_name(prefix: str) -> str:
    """Return the name of the stream of fault plans, and of the questions to them."""
    return f"{prefix}-plans"


def node_stream_name(prefix: str) -> str:
    """Return the name of the stream in which processes say that they live."""
    return f"{prefix}-nodes"


def ledger_stream_name(prefix: str) -> str:
    """Return the name of the stream in which fronts say what they have answered 250."""
    return f"{prefix}-ledger"


def dead_stream_name(prefix: str) -> str:
    """Return the name of the stream of mails that no worker could take."""
    return f"{prefix}-dead"
