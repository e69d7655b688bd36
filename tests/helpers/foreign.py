"""Files of another user, also where the tests run as root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_NOBODY = 65534


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `path` that of another user: really, if we may, else by being another user from now on."""
    if os.geteuid() == 0:
        os.chown(path, _NOBODY, -1, follow_symlinks=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: _NOBODY)
