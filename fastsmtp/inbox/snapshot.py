"""What the inbox tells of itself for metrics."""

from __future__ import annotations

from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.namespaces import OUTCOMES
from fastsmtp.ops.counters import Distribution
from fastsmtp.ops.snapshot import InboxSnapshot


async def take_snapshot(inbox: Inbox, loop_delays: Distribution) -> InboxSnapshot:
    """Return how it is now. Raises StoreError."""
    namespaces = len(inbox.namespaces())
    totals, checkpoints = await inbox.run(lambda store: (store.totals(), dict(store.checkpoints)))
    return InboxSnapshot(
        loop_delays=loop_delays,
        up=True,
        namespaces=namespaces,
        mails=totals.present,
        unread=totals.unread,
        octets=totals.bytes,
        arrivals={outcome: totals.by_outcome.get(outcome, 0) for outcome in OUTCOMES},
        gone={"deleted": totals.deleted, "evicted": totals.evicted, "expired": totals.expired},
        commits=inbox.commits,
        checkpoints=checkpoints,
        waits=len(inbox.watchers),
        streams=len(inbox.events),
        trouble=await inbox.trouble(),
        behind=inbox.behind,
    )
