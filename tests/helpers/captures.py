"""One email through `Capture` without a server: mail data in, the worker's JSON out."""

from __future__ import annotations

import json
from typing import Any

import structlog

from fastsmtp.capture.attachments import MemoryStorage, Storage
from fastsmtp.capture.capture import Capture, Origin, Services
from fastsmtp.smtp.envelope import Envelope
from fastsmtp.smtp.events import Verdict
from fastsmtp.workers.pool import Job, Outcome

ENVELOPE = Envelope(
    helo="client.example.com",
    esmtp=True,
    reverse_path="s@example.com",
    forward_paths=("r@example.com",),
    mail_parameters={},
    rcpt_parameters=({},),
)
ORIGIN = Origin("connection-uuid", "192.0.2.1:4321", "default", 1)


class Worker:
    """Takes every job at once and keeps its context."""

    def __init__(self, outcome: Outcome = Outcome.CONTINUE) -> None:
        self.contexts: list[bytes] = []
        self._outcome = outcome

    def exec(self, job: Job) -> None:
        self.contexts.append(b"".join(job.take_payload()[0]))
        job.on_outcome(self._outcome)


def capture(
    octets: bytes,
    piece: int = 0,
    *,
    storage: Storage | None = None,
    include_raw: bool = False,
    outcome: Outcome = Outcome.CONTINUE,
) -> tuple[dict[str, Any] | None, Verdict]:
    """Feed `octets` whole or in pieces; the context (None if no worker got it) and the verdict."""
    worker = Worker(outcome)
    verdicts: list[Verdict] = []
    services = Services(storage or MemoryStorage(), worker, include_raw, structlog.get_logger())
    under_test = Capture(services, ORIGIN, ENVELOPE, verdicts.append)
    for start in range(0, len(octets), piece or len(octets) or 1):
        buf = bytearray(8) + octets[start : start + (piece or len(octets))]
        under_test.feed(buf, 8, len(buf))
    under_test.close()
    under_test.deliver([])
    assert len(verdicts) == 1
    return json.loads(worker.contexts[0]) if worker.contexts else None, verdicts[0]
