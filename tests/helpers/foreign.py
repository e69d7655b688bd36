"""Files of another user, whoever runs the tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_NOBODY = 65534


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `path` that of another user: really, if we may, else by being somebody else from now on."""
    if os.geteuid() == 0:
        os.chown(path, _NOBODY, -1, follow_symlinks=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: _NOBODY)
