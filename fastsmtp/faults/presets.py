"""Rules that many plans want, by name: `{preset: greylist}`. Other keys of the rule replace those of the preset."""

from __future__ import annotations

from typing import Any, Final

PRESETS: Final[dict[str, dict[str, Any]]] = {
    "greylist": {
        "when": {"at": "rcpt"},
        "do": {"reply": "451 4.7.1 Greylisted, try again"},
        "per": ["from", "rcpt"],
        "times": 1,
    },
    "rate-limit": {
        "when": {"at": "mail", "rate": ">10/s"},
        "do": {"reply": "450 4.7.1 Too many mails, try again later"},
        "per": "ip",
    },
    "down": {"when": {"at": "connect"}, "do": {"reply": "421 4.3.2 Service not available", "close": True}},
    "slow": {"when": {"at": "any"}, "do": {"delay": "500ms..2s"}},
    "lost-ack": {"when": {"at": "data-end"}, "do": {"store": True, "close": "rst"}, "per": "from", "times": 1},
    "disk-full": {"when": {"at": "data-end"}, "do": {"reply": "452 4.3.1 Insufficient system storage"}},
    "tls-broken": {"when": {"at": "tls"}, "do": {"tls": {"cert": "expired"}}},
    "bounce": {"when": {"at": "rcpt"}, "do": {"reply": "550 5.1.1 No such user"}},
}
