"""Files of mails that arrive: those of a process that is gone are deleted, and no other file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastsmtp.errors import FrameError
from fastsmtp.inbox.incoming import IncomingFiles

ONE, TWO = "1" * 32, "2" * 32
UUID = "01890a5d-ac96-774b-bcce-b302099a8057"


def test_files_of_a_process_that_is_gone_are_deleted(tmp_path: Path) -> None:
    incoming = IncomingFiles(str(tmp_path / "incoming"))
    incoming.open()
    assert (tmp_path / "incoming").stat().st_mode & 0o7777 == 0o700
    for name in (f"{ONE}-{UUID}", f"{TWO}-{UUID}", "notes.txt"):
        (tmp_path / "incoming" / name).touch()
    assert incoming.delete(ONE.__eq__) == 1
    assert sorted(os.listdir(tmp_path / "incoming")) == [f"{TWO}-{UUID}", "notes.txt"]
    incoming.close()


def test_a_directory_that_is_not_there_any_more_is_none(tmp_path: Path) -> None:
    incoming = IncomingFiles(str(tmp_path / "incoming"))
    incoming.open()
    (tmp_path / "incoming").rename(tmp_path / "moved")
    (tmp_path / "incoming").mkdir()
    (tmp_path / "incoming" / f"{ONE}-{UUID}").touch()
    assert incoming.delete(lambda _process: True) == 0
    incoming.close()


@pytest.mark.parametrize("name", [f"{TWO}-{UUID}", f"{ONE}-../../../etc/passwd", "/etc/passwd", f"../{ONE}-{UUID}"])
def test_a_process_names_its_own_files_only(tmp_path: Path, name: str) -> None:
    incoming = IncomingFiles(str(tmp_path))
    assert incoming.path_of(f"{ONE}-{UUID}", ONE) == str(tmp_path / f"{ONE}-{UUID}")
    with pytest.raises(FrameError):
        incoming.path_of(name, ONE)
    with pytest.raises(FrameError):
        incoming.path_of(name, "")
