"""One launched process on both loops: its output, its end, its group, and what the kernel says of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable

import pytest
from pools import LOOPS, run
from waits import until

from fastsmtp.errors import StartError
from fastsmtp.system.process import MAX_LINE_BYTES, TAIL_LINES, Identity, Process, launched, own_command

MakeLoop = Callable[[], asyncio.AbstractEventLoop]
both_loops = pytest.mark.parametrize("make_loop", LOOPS.values(), ids=LOOPS)


class Watched:
    """A shell command, its lines, and how often it had news."""

    def __init__(self, script: str, *, pipes: bool = False, pass_fds: tuple[int, ...] = ()) -> None:
        self.lines: list[str] = []
        self.changes = 0
        self.process = Process(
            ("sh", "-c", script), Identity(), os.environ, pipes=pipes, on_line=self.lines.append,
            on_change=self._changed, pass_fds=pass_fds,
        )  # fmt: skip

    def _changed(self) -> None:
        self.changes += 1

    async def ends(self) -> str:
        await until(lambda: self.process.quiet)
        return self.process.status


@both_loops
@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", "exit status 0"), ("exit 3", "exit status 3"), ("kill -9 $$", "killed by SIGKILL")],
    ids=["well", "badly", "killed"],
)
def test_end(make_loop: MakeLoop, script: str, status: str) -> None:
    async def main() -> None:
        watched = Watched(script)
        pid = watched.process.pid
        assert (watched.process.status, pid in launched()) == ("still running", True)
        assert await watched.ends() == status
        # One change for the exit, and one for each of its two outputs.
        assert (watched.changes, pid in launched()) == (3, False)

    run(make_loop, main())


@both_loops
def test_lines(make_loop: MakeLoop) -> None:
    """Blanks at the end and empty lines are left out, long ones come in pieces, the last needs no line end."""
    long = f"head -c {MAX_LINE_BYTES + 5} /dev/zero | tr '\\0' x"
    script = f"echo 'one  '; echo; printf 'b\\377d\\n'; {long}; printf '\\nend'"

    async def main() -> None:
        watched = Watched(script)
        await watched.ends()
        lines = ["one", "b\ufffdd", "x" * MAX_LINE_BYTES, "xxxxx", "end"]
        assert (watched.lines, list(watched.process.tail)) == (lines, lines)

    run(make_loop, main())


@both_loops
def test_tail(make_loop: MakeLoop) -> None:
    async def main() -> None:
        watched = Watched(f"seq {TAIL_LINES + 2}")
        await watched.ends()
        assert len(watched.lines) == TAIL_LINES + 2
        assert list(watched.process.tail) == [str(number) for number in range(3, TAIL_LINES + 3)]

    run(make_loop, main())


@both_loops
def test_its_group_ends_with_it(make_loop: MakeLoop) -> None:
    """What it started in the background is killed when it ends by itself, so its output ends, too."""

    async def main() -> None:
        watched = Watched("sleep 1000 & echo $!; exit 0")
        assert await watched.ends() == "exit status 0"
        assert len(watched.lines) == 1

    run(make_loop, main())


@both_loops
def test_kill(make_loop: MakeLoop) -> None:
    async def main() -> None:
        watched = Watched("sleep 1000 & wait")
        watched.process.kill()
        assert await watched.ends() == "killed by SIGKILL"
        watched.process.kill()  # nothing, for the pid may be another's now

    run(make_loop, main())


@both_loops
def test_end_at_once(make_loop: MakeLoop) -> None:
    async def main() -> None:
        watched = Watched("exec sleep 1000")
        watched.process.end()
        assert watched.process.returncode == -signal.SIGKILL
        watched.process.end()
        await watched.ends()

    run(make_loop, main())


@both_loops
def test_output_that_stays_open(make_loop: MakeLoop) -> None:
    """A process in a session of its own keeps the output open: it is not read for ever."""

    async def main() -> None:
        watched = Watched("setsid sh -c 'echo $$; exec sleep 1000' & while ! [ -e /proc/$!/stat ]; do :; done; wait $!")
        await until(lambda: watched.lines)
        watched.process.kill()
        await until(lambda: watched.process.returncode is not None)
        assert not watched.process.quiet
        watched.process.cut_off()
        assert watched.process.quiet
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(watched.lines[0]), signal.SIGKILL)

    run(make_loop, main())


@both_loops
def test_pipes(make_loop: MakeLoop) -> None:
    """With `pipes` stdin and stdout are the caller's; only stderr is output."""

    async def main() -> None:
        watched = Watched("cat; echo done >&2", pipes=True)
        source, sink = watched.process.take_pipes()
        sink.write(b"there and back")
        sink.close()
        assert source.read() == b"there and back"
        source.close()
        assert (await watched.ends(), watched.lines) == ("exit status 0", ["done"])

    run(make_loop, main())


@both_loops
def test_descriptors(make_loop: MakeLoop) -> None:
    """It has its standard ones, and those that it is given, under the same numbers."""

    async def main() -> None:
        reader, writer = os.pipe()
        watched = Watched(f"echo given > /proc/self/fd/{writer}", pass_fds=(writer,))
        os.close(writer)
        await watched.ends()
        assert os.read(reader, 100) == b"given\n"
        os.close(reader)

    run(make_loop, main())


def test_cannot_be_started() -> None:
    async def main() -> None:
        before = set(launched())
        with pytest.raises(StartError, match=r'^cannot start "/no/such \'a b\'": No such file or directory$'):
            Process(("/no/such", "a b"), Identity(), {}, pipes=False, on_line=print, on_change=print)
        assert set(launched()) == before

    asyncio.run(main())


def test_identity() -> None:
    ours = Identity()
    assert (ours.uid, ours.gid, ours.extra_groups) == (None, None, None)
    root = Identity("root")
    assert (root.uid, root.gid) == (0, 0)
    assert (Identity("0").uid, Identity("root", "0").gid, Identity(group="0").uid) == (0, 0, None)
    with pytest.raises(StartError, match=r"^no such user: no-user-of-that-name$"):
        Identity("no-user-of-that-name")
    with pytest.raises(StartError, match=r"^no such group: no-group-of-that-name$"):
        Identity("", "no-group-of-that-name")


def test_what_the_kernel_knows() -> None:
    assert Process.memory_bytes(os.getpid()) > 1_000_000
    assert Process.cpu_seconds(os.getpid()) > 0.0
    assert (Process.memory_bytes(4_200_000), Process.cpu_seconds(4_200_000)) == (0, 0.0)


def test_own_command() -> None:
    command = own_command("fastsmtp.printer.main", "--save", "x")
    assert (command[1], command[3:]) == ("-c", ("--save", "x"))
    assert command[2].endswith("; from fastsmtp.printer.main import main; main()")
