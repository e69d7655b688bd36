"""The exception tree. Who is to blame decides the type.

The peer broke the RFC: no exception, but a reply and an event. The operator: `ConfigError`, `StartError`.
A worker: `WorkerError`. Who calls us by RPC: `CallError`. Ourselves: an assertion.
"""

from __future__ import annotations


class FastSMTPError(Exception):
    """Base of every exception raised by fastsmtp."""


class ConfigError(FastSMTPError):
    """The configuration is not usable.

    `faults` holds one line per fault, each naming the key, the value and what was expected.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class StartError(FastSMTPError):
    """The server cannot start: a taken port, a missing worker command, an unwritable directory."""


class WorkerError(FastSMTPError):
    """A worker did not do what the Goridge protocol asks of it."""


class FrameError(WorkerError):
    """Bytes from a worker are not a Goridge frame."""


class StoreError(FastSMTPError):
    """The store of the inbox cannot be read or written: a full disk, a file that is not what was written."""


class CrowdedError(StoreError):
    """There are as many namespaces as there may be."""


class ClusterAwayError(StoreError):
    """The servers of a cluster do not answer, or its mails are not all here yet."""


class DamagedStoreError(StoreError):
    """The database of the store is not what was written."""


class CallError(FastSMTPError):
    """An RPC call cannot be done; the text is for the caller."""


class NoAnswerError(CallError):
    """Another process of ours, which would have to do it, does not answer."""
