"""The listening sockets of a process: bound, opened, stood in for, and gone with what was ours in the file system."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path

import pytest
from destinations import Shelf
from listenings import make_listening
from pools import Run
from waits import PATIENCE_S

from fastsmtp.errors import StartError
from fastsmtp.server.listeners import Listeners
from fastsmtp.server.place import ServerPlace
from fastsmtp.system.sockets import bind, format_address


async def greeting(address: str) -> bytes:
    """The first line at an address, b"" where the connection is closed instead."""
    if address.startswith("unix:"):
        opening = asyncio.open_unix_connection(address.removeprefix("unix:"))
    else:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        opening = asyncio.open_connection(host, int(port))
    reader, writer = await opening
    try:
        return await asyncio.wait_for(reader.readline(), PATIENCE_S)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def test_clients_are_accepted_from_the_opening_to_the_end(run_loop: Run, tmp_path: Path) -> None:
    path = tmp_path / "smtp.sock"

    async def main() -> None:
        listeners = Listeners(None)
        listeners.bind({"default": "127.0.0.1:0", "local": f"unix://{path}"})
        assert listeners.addresses == {}
        local = make_listening([], Shelf(), server="local")
        default = make_listening([], Shelf(), server="default")
        await listeners.open(local)
        assert listeners.addresses == {"local": [f"unix:{path}"]}
        await listeners.open(default)
        assert listeners.first is local
        for [address] in listeners.addresses.values():
            assert (await greeting(address))[:4] == b"220 "
        listeners.close()
        listeners.close()
        assert not path.exists()
        with pytest.raises(ConnectionRefusedError):
            await greeting(listeners.addresses["default"][0])

    run_loop(main())


def test_what_was_bound_is_closed_when_a_later_address_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "smtp.sock"
    with socket.create_server(("127.0.0.1", 0)) as other:
        listeners = Listeners(None)
        with pytest.raises(StartError, match="in use"):
            listeners.bind({"local": f"unix://{path}", "default": format_address(other)})
    assert path.exists()
    listeners.close()
    assert not path.exists()


def test_sockets_of_a_parent_are_closed_and_their_paths_stay(run_loop: Run, tmp_path: Path) -> None:
    path = tmp_path / "smtp.sock"

    async def main() -> None:
        own, spare = bind(f"unix://{path}"), bind("127.0.0.1:0")
        listeners = Listeners(ServerPlace({"default": own}, [{}, {"default": spare}], "", counting=False))
        listeners.bind({"default": "which the parent has bound"})
        await listeners.open(make_listening([], Shelf(), server="default"))
        await listeners.stand_in(1)
        await listeners.stand_in(1)
        assert (await greeting(format_address(spare)))[:4] == b"220 "
        listeners.stand_back(1)
        listeners.stand_back(1)
        listeners.close()
        assert [bound.fileno() for bound in (own, spare)] == [-1, -1]
        assert os.path.exists(path)

    run_loop(main())
