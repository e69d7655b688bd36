"""Where a server stands: alone, or as one of several processes that a parent has started."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastsmtp.system.sharedcount import SharedCount


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """What a server has from its parent, where it is one of several processes."""

    listeners: Mapping[str, socket.socket]  # bound; to be closed, but nothing in the file system is ours
    spares: Sequence[Mapping[str, socket.socket]]  # those of each process, to stand in for it
    rpc: str  # where workers call, "" = nowhere
    counting: bool  # the parent shows our counters
    shared: SharedCount | None = None  # the connections of all processes, where there is a limit
