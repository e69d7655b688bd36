"""Addresses that ask for a fault by themselves."""

from __future__ import annotations

import pytest

from fastsmtp.faults.actions import Action
from fastsmtp.faults.magic import magic_action


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("code-451@example.com", ("rcpt", Action(reply=["451 4.0.0 Asked for by the address"]))),
        ("CODE-550-5.1.1@example.com", ("rcpt", Action(reply=["550 5.1.1 Asked for by the address"]))),
        ("code-550-4.1.1@example.com", None),
        ("code-250@example.com", None),
        ("code-4511@example.com", None),
        ("delay-2s@example.com", ("rcpt", Action(delay=(2.0, 2.0)))),
        ("delay-1.5s@example.com", ("rcpt", Action(delay=(1.5, 1.5)))),
        ("delay-99m@example.com", ("rcpt", Action(delay=(3600.0, 3600.0)))),
        ("delay-1..5s@example.com", None),
        ("delay-2@example.com", None),
        ("drop@example.com", ("data-end", Action(drop=True))),
        ("drop+label@example.com", ("data-end", Action(drop=True))),
        ("bounce@simulator.example", ("rcpt", Action(reply=["550 5.1.1 No such user"]))),
        ("Bounce+label@simulator.example", ("rcpt", Action(reply=["550 5.1.1 No such user"]))),
        ("softbounce@x", ("rcpt", Action(reply=["452 4.2.2 Mailbox full"]))),
        ("hardbounce@x", ("rcpt", Action(reply=["550 5.1.1 No such user"]))),
        ("transient@x", ("rcpt", Action(reply=["451 4.3.0 Try again later"]))),
        ("blocked@x", ("rcpt", Action(reply=["550 5.7.1 Blocked"]))),
        ("complaint@x", ("rcpt", Action(reply=["550 5.7.1 Refused as spam"]))),
        ("ann@example.com", None),
        ("", None),
    ],
)
def test_magic_addresses(path: str, found: tuple[str, Action] | None) -> None:
    assert magic_action(path) == found
