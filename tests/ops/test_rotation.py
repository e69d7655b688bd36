"""A log file that is replaced when it is full: names, limits, packing, and several that write to it."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from waits import wait_until

from fastsmtp.ops.logoutput import LogOutput
from fastsmtp.ops.rotation import Rotation, RotationLimits

STAMPED = r"server-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.log"


class Logs:
    """Opens outputs whose file is `server.log`."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "server.log"
        self.open: list[LogOutput] = []

    def output(self, limits: RotationLimits) -> LogOutput:
        self.open.append(LogOutput([str(self.path)], ["stderr"], rotation=Rotation(str(self.path), limits)))
        return self.open[-1]

    def old(self) -> list[Path]:
        """The oldest first."""
        return sorted(self.path.parent.glob("server-*"))

    def contents(self) -> list[bytes]:
        """Those of the old files, without what is removed while they are read."""
        found = []
        for path in self.old():
            with contextlib.suppress(FileNotFoundError):
                found.append(path.read_bytes())
        return found

    def age(self, days: float) -> Path:
        """An old file of so many days ago."""
        stamp = (datetime.now(timezone.utc) - timedelta(days=days)).strftime("%Y-%m-%dT%H-%M-%S.000")
        path = self.path.with_name(f"server-{stamp}.log")
        path.write_text("old\n")
        return path


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    logs = Logs(tmp_path)
    yield logs
    for output in logs.open:
        output.close()


def test_a_full_file_gets_a_name_with_the_time_and_a_new_one_begins(logs: Logs) -> None:
    output = logs.output(RotationLimits(max_bytes=10))
    for line in (b"one\n", b"two\n", b"three\n", b"a line of its own size\n", b"end\n"):
        output.write(line)
    assert [re.fullmatch(STAMPED, path.name) is not None for path in logs.old()] == [True] * 3
    assert logs.contents() == [b"one\ntwo\n", b"three\n", b"a line of its own size\n"]
    assert logs.path.read_bytes() == b"end\n"
    assert logs.path.stat().st_mode & 0o777 == 0o640


def test_what_is_there_already_counts(logs: Logs) -> None:
    logs.path.write_bytes(b"12345678\n")
    logs.output(RotationLimits(max_bytes=10)).write(b"x\n")
    assert logs.path.read_bytes() == b"x\n"
    assert logs.contents() == [b"12345678\n"]


def test_the_oldest_go_where_there_are_too_many(logs: Logs) -> None:
    output = logs.output(RotationLimits(max_bytes=1, max_backups=2))
    for number in range(6):
        output.write(b"%d\n" % number)
    wait_until(lambda: logs.contents() == [b"3\n", b"4\n"])
    assert logs.path.read_bytes() == b"5\n"


def test_old_ones_go_by_their_age_at_the_start_too(logs: Logs) -> None:
    gone, kept = logs.age(2.1), logs.age(1.9)
    foreign = logs.path.with_name("server-notes.log")
    foreign.touch()
    logs.output(RotationLimits(max_bytes=100, max_age_days=2))
    wait_until(lambda: not gone.exists())
    assert sorted(logs.path.parent.iterdir()) == sorted([kept, foreign, logs.path])


def test_without_limits_all_are_kept(logs: Logs) -> None:
    ancient = logs.age(5000)
    output = logs.output(RotationLimits(max_bytes=1))
    for _ in range(20):
        output.write(b"x\n")
    output.close()
    assert len(logs.old()) == 20
    assert ancient in logs.old()


def test_old_ones_are_packed(logs: Logs) -> None:
    output = logs.output(RotationLimits(max_bytes=1, compress=True))
    output.write(b"one\n" * 100)
    output.write(b"two\n")
    wait_until(lambda: [path.suffix for path in logs.old()] == [".gz"])
    assert [gzip.decompress(path.read_bytes()) for path in logs.old()] == [b"one\n" * 100]
    assert logs.old()[0].stat().st_mode & 0o777 == 0o640
    assert logs.path.read_bytes() == b"two\n"


def test_packed_ones_count_and_what_a_killed_server_left_half_packed_is_packed_again(logs: Logs) -> None:
    old, older, oldest = logs.age(1), logs.age(2), logs.age(3)
    Path(f"{older}.gz").write_bytes(gzip.compress(older.read_bytes()))
    older.unlink()
    Path(f"{old}.gz.part").write_bytes(b"half")
    logs.output(RotationLimits(max_bytes=100, max_backups=2, compress=True))
    wait_until(
        lambda: sorted(logs.path.parent.iterdir()) == sorted([Path(f"{older}.gz"), Path(f"{old}.gz"), logs.path])
    )
    assert gzip.decompress(Path(f"{old}.gz").read_bytes()) == b"old\n"
    assert not oldest.exists()


def test_a_file_that_was_moved_by_another_program_begins_again(logs: Logs) -> None:
    output = logs.output(RotationLimits(max_bytes=100))
    output.write(b"one\n")
    logs.path.rename(logs.path.with_name("moved"))
    output.write(b"two\n")
    assert logs.path.read_bytes() == b"two\n"


def test_where_it_cannot_be_replaced_it_grows_and_that_is_told_once(
    logs: Logs, capfd: pytest.CaptureFixture[str]
) -> None:
    directory = logs.path.parent
    output = logs.output(RotationLimits(max_bytes=4))
    output.write(b"one\n")
    directory.rename(directory.with_name("elsewhere"))
    output.write(b"two\n")
    output.write(b"three\n")
    assert (directory.with_name("elsewhere") / "server.log").read_bytes() == b"one\ntwo\nthree\n"
    assert capfd.readouterr().err == (f"fastsmtp: cannot rotate the log file {logs.path}: No such file or directory\n")
    directory.with_name("elsewhere").rename(directory)
    output.write(b"four\n")
    assert logs.path.read_bytes() == b"four\n"


WRITER = """
import sys
from fastsmtp.ops.logoutput import LogOutput
from fastsmtp.ops.rotation import Rotation, RotationLimits
path, name = sys.argv[1:]
output = LogOutput([path], ["stderr"], rotation=Rotation(path, RotationLimits(max_bytes=5_000)))
print(flush=True)
sys.stdin.read(1)
for number in range(2000):
    output.write(b"%s %d\\n" % (name.encode(), number))
output.close()
"""


def test_several_processes_lose_no_line_of_a_file_they_share(logs: Logs) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(logs.path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for name in ("a", "b", "c")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"x")
        writer.stdin.flush()
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    for writer in writers:
        writer.communicate()
    files = [*logs.old(), logs.path]
    lines = [line for path in files for line in path.read_text().splitlines()]
    assert sorted(lines) == sorted(f"{name} {number}" for name in "abc" for number in range(2000))
    assert max(path.stat().st_size for path in files) < 10_000
    assert len(files) >= 5


def test_nothing_is_left_open(logs: Logs) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    output = logs.output(RotationLimits(max_bytes=1, max_backups=1, compress=True))
    for _ in range(5):
        output.write(b"x\n")
    output.close()
    assert sorted(os.listdir("/proc/self/fd")) == before
