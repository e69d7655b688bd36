"""The socket that workers connect to, without a worker."""

from __future__ import annotations

import stat
from pathlib import Path

from pools import Log, Run

from fastsmtp.system.process import Identity
from fastsmtp.workers.listener import RelayListener


def test_a_private_socket_that_was_removed_is_made_again(run_loop: Run, log: Log, scratch: Path) -> None:
    async def main() -> None:
        listener = RelayListener("unix", 5, log.logger)
        await listener.start(Identity())
        (old,) = scratch.glob("*/relay.sock")
        assert listener.address == f"unix://{old}"
        await listener.restore()
        assert list(scratch.glob("*/relay.sock")) == [old]
        old.unlink()
        await listener.restore()
        (new,) = scratch.glob("*/relay.sock")
        assert listener.address == f"unix://{new}"
        assert stat.S_IMODE(new.stat().st_mode) == 0o600
        listener.close()
        assert [record["event"] for record in log.records] == ["the workers' socket was removed, created again"]

    run_loop(main())
    assert list(scratch.iterdir()) == []


def test_a_closed_listener_makes_no_socket(run_loop: Run, log: Log, scratch: Path) -> None:
    async def main() -> None:
        listener = RelayListener("unix", 5, log.logger)
        await listener.start(Identity())
        listener.close()
        await listener.restore()
        listener.close()

    run_loop(main())
    assert list(scratch.iterdir()) == []
