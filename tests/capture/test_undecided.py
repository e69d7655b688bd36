"""The list of files that no worker has taken, and what is done with it after a kill."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
from foreign import give_away
from pools import Log

from fastsmtp.capture.undecided import Undecided, delete_listed, sweep_leftovers

NAMES = [f"smtp-att-019a4b8e-7c1f-7000-8000-{number:012x}-1.tar.gz" for number in range(6)]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where private directories are made."""
    path = tmp_path / "home"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


@pytest.fixture
def files(tmp_path: Path) -> Path:
    path = tmp_path / "attachments"
    path.mkdir()
    for name in NAMES:
        (path / name).write_text("x")
    return path


def left_by_a_kill(home: Path, directory: Path, *names: str) -> Path:
    """What is left of a process that had listed these names."""
    undecided = Undecided(str(directory))
    (living,) = home.iterdir()
    for name in names:
        undecided.add(name)
    copy = home.with_name("copy")
    shutil.copytree(living, copy)
    undecided.close()
    shutil.move(copy, home / "fastsmtp-dead")
    return home / "fastsmtp-dead"


def test_what_is_listed_at_the_time_is_deleted_and_nothing_else(home: Path, files: Path) -> None:
    undecided = Undecided(str(files))
    for name in NAMES[:4]:
        undecided.add(name)
    undecided.remove(NAMES[1])
    undecided.remove(NAMES[3])
    undecided.remove("smtp-att-unknown")
    undecided.add(NAMES[4])
    assert [name in undecided for name in NAMES] == [True, False, True, False, True, False]
    assert sorted(undecided) == [NAMES[0], NAMES[2], NAMES[4]]
    assert delete_listed(str(home)) == 3
    assert sorted(path.name for path in files.iterdir()) == [NAMES[1], NAMES[3], NAMES[5]]
    assert delete_listed(str(home)) == 0
    undecided.close()
    assert list(home.iterdir()) == []


def test_the_list_is_as_long_as_it_ever_had_to_be(home: Path, files: Path) -> None:
    undecided = Undecided(str(files))
    (path,) = home.glob("*/undecided")
    undecided.add(NAMES[0])
    size = path.stat().st_size
    for _ in range(1000):
        undecided.remove(NAMES[0])
        undecided.add(NAMES[1])
        undecided.remove(NAMES[1])
        undecided.add(NAMES[0])
    assert path.stat().st_size == size
    undecided.close()


def test_the_next_server_deletes_what_a_killed_one_has_left(home: Path, files: Path, log: Log) -> None:
    dead = left_by_a_kill(home, files, NAMES[0], NAMES[1])
    living = Undecided(str(files))
    living.add(NAMES[2])
    sweep_leftovers(log.logger)
    assert [record for record in log.records if record["level"] == "info"] == [
        {
            "level": "info",
            "event": "removed what a killed server has left",
            "directories": [str(dead)],
            "tempfiles": 2,
        }
    ]
    assert sorted(path.name for path in files.iterdir()) == NAMES[2:]
    assert len(list(home.iterdir())) == 1
    living.close()
    sweep_leftovers(log.logger)
    assert len(log.records) == 1


def test_whatever_stands_in_a_list_no_other_file_is_deleted(home: Path, files: Path) -> None:
    (files / "precious").write_text("x")
    (files / NAMES[0]).unlink()
    (files / NAMES[0]).mkdir()
    (files / NAMES[1]).unlink()
    (files / NAMES[1]).symlink_to(files / "precious")
    dead = left_by_a_kill(home, files, NAMES[0], NAMES[1], "precious", "../attachments/precious")
    with (dead / "undecided").open("ab") as file:
        file.write(os.urandom(1000))
    assert delete_listed(str(dead)) == 0
    assert (files / "precious").read_text() == "x"
    assert len(list(files.iterdir())) == len(NAMES) + 1


def test_a_list_of_another_user_is_not_believed(home: Path, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = left_by_a_kill(home, files, NAMES[0])
    (dead / "link").mkdir()
    (dead / "link" / "undecided").symlink_to(dead / "undecided")
    give_away(dead / "undecided", monkeypatch)
    assert delete_listed(str(home)) == 0
    assert (files / NAMES[0]).exists()


def test_a_full_disk_refuses_a_name_but_takes_one_off(home: Path, files: Path) -> None:
    """A limit of the size of files stands in for it: what is there can be changed."""
    undecided = Undecided(str(files))
    undecided.add(NAMES[0])
    (path,) = home.glob("*/undecided")
    limited = path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limited + 10, hard))
    try:
        for _ in range(2):
            with pytest.raises(OSError, match=r"space|large"):
                undecided.add(NAMES[1])
        undecided.remove(NAMES[0])
        undecided.add(NAMES[2])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)
    assert sorted(undecided) == [NAMES[2]]
    assert delete_listed(str(home)) == 1
    undecided.close()
