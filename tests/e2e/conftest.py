"""Starts real servers, and holds mails in their workers."""

from __future__ import annotations

from pathlib import Path

import pytest
from gates import Gate
from startserver import serve

__all__ = ["serve"]


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """Holds mails in `slow.php`."""
    return Gate(tmp_path / "gate")
