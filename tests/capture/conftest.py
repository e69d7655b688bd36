"""Attachments in files of a directory of the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fastsmtp.capture.attachments import TempfileStorage


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the files will be; the storage makes it."""
    return tmp_path / "attachments"


@pytest.fixture
def tempfiles(directory: Path) -> Iterator[TempfileStorage]:
    """A storage that is prepared, with files that are deleted after an hour."""
    storage = TempfileStorage(str(directory), 3600)
    storage.prepare()
    yield storage
    storage.close()
