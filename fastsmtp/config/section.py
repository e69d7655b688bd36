"""What every section of the configuration is built on."""

from __future__ import annotations

import msgspec


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section: frozen, unknown keys are faults."""


def seconds(*keys: str) -> dict[str, str]:
    """Return the `rename` map that spells each duration `<key>` in YAML and `<key>_s` in Python."""
    return {f"{key}_s": key for key in keys}
