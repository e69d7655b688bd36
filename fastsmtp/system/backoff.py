"""How long a process that ended is missed before it is started again."""

from __future__ import annotations

from typing import Final

FIRST_S: Final = 0.1  # doubled with each start after a short life ...
LAST_S: Final = 5.0  # ... up to this: that soon is all well again once the cause is gone
FORGIVEN_S: Final = 60.0  # a life of this length counts as a success


class Backoff:
    """The delays of one process."""

    def __init__(self) -> None:
        self._next_s = FIRST_S

    def after(self, lived_s: float) -> float:
        """Seconds to wait after a life of `lived_s`, 0 for a start that failed."""
        if lived_s >= FORGIVEN_S:
            self._next_s = FIRST_S
        delay_s = self._next_s
        self._next_s = min(2 * delay_s, LAST_S)
        return delay_s
