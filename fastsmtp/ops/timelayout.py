"""Times as a layout of Go asks for them: one that shows how 2 January 2006, 15:04:05, is to be written.

RoadRunner's `logs.time_format` is such a layout (https://pkg.go.dev/time#pkg-constants). Times here are UTC.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

RFC3339: Final = "2006-01-02T15:04:05Z07:00"

# What of the layout is replaced, by a format of strftime. An entry comes before those that it begins with.
_PARTS: Final = {
    "January": "%B", "Jan": "%b", "Monday": "%A", "Mon": "%a", "MST": "UTC",
    "2006": "%Y", "002": "%j", "01": "%m", "02": "%d", "03": "%I", "04": "%M", "05": "%S", "06": "%y", "15": "%H",
    "PM": "%p",
    "Z07:00:00": "Z", "Z070000": "Z", "Z07:00": "Z", "Z0700": "Z", "Z07": "Z",
    "-07:00:00": "+00:00:00", "-070000": "+000000", "-07:00": "+00:00", "-0700": "+0000", "-07": "+00",
}  # fmt: skip
_NUMBERS: Final = {"1": "%m", "2": "%d", "3": "%I", "4": "%M", "5": "%S"}  # without the leading zero
_PART: Final = re.compile(
    "|".join([*map(re.escape, _PARTS), "__2", "_2(?!006)", "pm", r"[.,](?:0+|9+)(?!\d)", *_NUMBERS])
)


def format_time(moment: datetime, layout: str) -> str:
    """Write the moment, which is in UTC, as the layout says."""

    def write(found: re.Match[str]) -> str:
        part = found[0]
        if part in _PARTS:
            return moment.strftime(_PARTS[part])
        if part in _NUMBERS:
            return moment.strftime(_NUMBERS[part]).lstrip("0") or "0"
        if part == "pm":
            return moment.strftime("%p").lower()
        if part.startswith("_"):
            number = moment.strftime("%j" if part == "__2" else "%d").lstrip("0")
            return number.rjust(len(part))
        return _fraction(part, moment.microsecond)

    return _PART.sub(write, layout)


def _fraction(part: str, microsecond: int) -> str:
    """`.000` is that many digits, `.999` at most so many, without zeros at the end."""
    digits = f"{microsecond:06}000"[: len(part) - 1].ljust(len(part) - 1, "0")
    if part[1] == "9":
        digits = digits.rstrip("0")
    return part[0] + digits if digits else ""
