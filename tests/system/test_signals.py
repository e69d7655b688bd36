"""Signals are told to the loop, each once, as long as the block runs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess

from pools import Run
from waits import until

from fastsmtp.system.signals import signal_handlers


def test_a_signal_is_told_once_whatever_else_is_handled(run_loop: Run) -> None:
    """One that arrives while another is handled has two ways into uvloop."""
    told: list[str] = []

    def on_other(_number: int, _frame: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()

        def on_stop() -> None:
            told.append("stop")
            stopped.set()

        before = signal.signal(signal.SIGWINCH, on_other)
        with signal_handlers(loop) as handle:
            handle(signal.SIGTERM, on_stop)
            handle(signal.SIGUSR1, told.append, "end")
            for _ in range(20):
                told.clear()
                # From another process: the loop waits, and learns of it by its wakeup descriptor.
                with subprocess.Popen(["sh", "-c", f"kill -WINCH {os.getpid()}"]):
                    await stopped.wait()
                stopped.clear()
                os.kill(os.getpid(), signal.SIGUSR1)
                await until(lambda: "end" in told)
                assert told == ["stop", "end"]
        signal.signal(signal.SIGWINCH, before)

    run_loop(main())


def test_the_handlers_from_before_come_back(run_loop: Run) -> None:
    told: list[str] = []

    def on_signal(_number: int, _frame: object) -> None:
        told.append("before")

    async def main() -> None:
        with signal_handlers(asyncio.get_running_loop()) as handle:
            handle(signal.SIGUSR1, told.append, "first")
            handle(signal.SIGUSR1, told.append, "second")
            os.kill(os.getpid(), signal.SIGUSR1)
            await until(lambda: bool(told))
        os.kill(os.getpid(), signal.SIGUSR1)
        await until(lambda: len(told) == 2)

    before = signal.signal(signal.SIGUSR1, on_signal)
    try:
        run_loop(main())
        assert told == ["second", "before"]
        assert signal.getsignal(signal.SIGUSR1) is on_signal
    finally:
        signal.signal(signal.SIGUSR1, before)
