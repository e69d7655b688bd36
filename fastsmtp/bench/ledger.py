"""The ledger of a load: a line of JSON for each mail with a 250, to be balanced against what came out elsewhere."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TextIO

from fastsmtp.client.mail import Mail

_ID = re.compile(rb"\b[0-9a-f]{8}-\d{8,}\b")


class LoadLedger:
    """Writes to `file`, where there is one, lines like
    `{"id":"1f0c8a52-00000001","octets":1000,"latency_ms":1.234}`.
    """

    def __init__(self, file: TextIO | None) -> None:
        self._file = file

    def on_answered(self, mail: Mail, now: float) -> None:
        """A mail got its 250."""
        if self._file is not None:
            milliseconds = 1000 * (now - mail.began)
            self._file.write(f'{{"id":"{mail.ident}","octets":{mail.octets},"latency_ms":{milliseconds:.3f}}}\n')

    def flush(self) -> None:
        """Leave nothing in memory. Raises OSError."""
        if self._file is not None:
            self._file.flush()


class Balance(NamedTuple):
    """A ledger held against what was recorded: IDs, in order."""

    answered: int
    recorded: int
    lost: list[str]  # answered 250, and not recorded
    repeated: list[str]  # recorded more than once
    unanswered: list[str]  # recorded without a 250 in the ledger: the client did not hear of it

    @property
    def even(self) -> bool:
        """Nothing lost, nothing twice."""
        return not self.lost and not self.repeated


def balance(ledger: str, records: Iterable[str]) -> Balance:
    """Compare a ledger with files that have one line per mail, with its ID somewhere in it, as often as it likes.

    Lines of other loads are left out. Raises OSError, and ValueError where `ledger` is not a ledger.
    """
    try:
        answered = {json.loads(line)["id"]: None for line in Path(ledger).read_text().splitlines()}
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"{ledger} is not a ledger") from None
    runs = {ident.partition("-")[0] for ident in answered}
    seen: Counter[str] = Counter()
    for record in records:
        with open(record, "rb") as lines:
            for line in lines:
                seen.update({match.decode() for match in _ID.findall(line)})
    recorded = {ident: times for ident, times in seen.items() if ident.partition("-")[0] in runs}
    return Balance(
        len(answered),
        len(recorded),
        sorted(answered.keys() - recorded.keys()),
        sorted(ident for ident, times in recorded.items() if times > 1),
        sorted(recorded.keys() - answered.keys()),
    )
