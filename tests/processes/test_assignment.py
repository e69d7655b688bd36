"""Files of the parent, which a child deletes when it outlives the parent; and the message they are told in."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from fastsmtp.config.file import load
from fastsmtp.processes.assignment import Assignment, OwnFile


def test_an_own_file_is_deleted_once(tmp_path: Path) -> None:
    path = tmp_path / "rpc.sock"
    path.touch()
    own = OwnFile.at(str(path))
    own.delete()
    assert not path.exists()
    own.delete()


def test_a_file_of_another_server_in_its_place_stays(tmp_path: Path) -> None:
    path, other = tmp_path / "rpc.sock", tmp_path / "other"
    path.touch()
    own = OwnFile.at(str(path))
    other.touch()  # while the first one exists: the number of its inode is not given again
    other.replace(path)
    own.delete()
    assert path.exists()


def test_its_path_holds_in_any_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rpc.sock").touch()
    assert OwnFile.at("rpc.sock").path == str(tmp_path / "rpc.sock")
    with pytest.raises(FileNotFoundError):
        OwnFile.at("nowhere")


def test_an_assignment_is_the_same_at_the_other_end(tmp_path: Path) -> None:
    (tmp_path / "rpc").touch()
    sent = Assignment(
        config=load(None, ["smtp.tls.cert=auto", "server.env={A: b}"]),
        listeners={"default": 5},
        spares=[{}, {"default": 6}],
        directory=str(tmp_path),
        save="mails",
        rpc="tcp://127.0.0.1:6001",
        counting=True,
        index=1,
        count_fd=7,
        own_files=[OwnFile.at(str(tmp_path / "rpc"))],
    )
    assert msgspec.json.decode(msgspec.json.encode(sent), type=Assignment) == sent
