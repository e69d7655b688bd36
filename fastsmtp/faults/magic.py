"""Addresses that ask for a fault by themselves: `code-451@example.com`, in a namespace with `magic: true`.

A local part says what happens to a mail for it; those of SES and Postmark for bounces are known, too.
"""

from __future__ import annotations

import re
from typing import Final

from fastsmtp.config.rules import parse_duration
from fastsmtp.faults.actions import MAX_DELAY_S, Action

_CODE = re.compile(r"code-([45][0-9]{2})(?:-([245]\.[0-9]{1,3}\.[0-9]{1,3}))?")
_DELAY = re.compile(r"delay-([0-9.]+(?:ms|s|m))")
# What an address of a provider's simulator stands for. A bounce is a refusal here: no report could be sent later.
_PROVIDERS: Final = {
    "bounce": "550 5.1.1 No such user",
    "hardbounce": "550 5.1.1 No such user",
    "softbounce": "452 4.2.2 Mailbox full",
    "transient": "451 4.3.0 Try again later",
    "blocked": "550 5.7.1 Blocked",
    "complaint": "550 5.7.1 Refused as spam",
}


def magic_action(path: str) -> tuple[str, Action] | None:
    """What a forward-path asks for, and the stage at which: `rcpt`, or `data-end` for a drop; None = nothing.

    The name of a subaddress does not count: `bounce+label@example.com` is a bounce.
    """
    local = path.rpartition("@")[0].strip('"').lower()
    if local == "drop" or local.startswith("drop+"):
        return "data-end", Action(drop=True)
    reply = _reply(local)
    if reply:
        return "rcpt", Action(reply=[reply])
    found = _DELAY.fullmatch(local)
    if found is None:
        return None
    try:
        seconds = min(parse_duration(found[1]), MAX_DELAY_S)
    except ValueError:
        return None
    return "rcpt", Action(delay=(seconds, seconds))


def _reply(local: str) -> str:
    found = _CODE.fullmatch(local)
    if found is not None:
        enhanced = found[2] or f"{found[1][0]}.0.0"
        return f"{found[1]} {enhanced} Asked for by the address" if enhanced[0] == found[1][0] else ""
    return _PROVIDERS.get(local.partition("+")[0], "")
