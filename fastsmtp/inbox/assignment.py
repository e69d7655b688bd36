"""What the host tells the inbox process at its start."""

from __future__ import annotations

import msgspec

from fastsmtp.config.settings import Config


class InboxAssignment(msgspec.Struct, frozen=True):
    """The argument of `inbox.Start`."""

    config: Config
    directory: str  # of the store, "" = in memory
    incoming: str  # directory of large mails that arrive
    link_fd: int  # Unix socket for SMTP processes, which listens
    again: bool  # an inbox process of this server was there before, and ended
    http_fd: int  # socket of the API, which listens, -1 = none
