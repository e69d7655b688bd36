"""Calls in an event loop, answered by our own RPC over a socket pair."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import structlog
from waits import PATIENCE_S

from fastsmtp.errors import CallError
from fastsmtp.goridge.asyncclient import AsyncRPCClient
from fastsmtp.goridge.rpc import Method, RPCConnection, RPCServer
from fastsmtp.system.loop import run


def with_caller(work: Callable[[AsyncRPCClient, RPCConnection], Awaitable[None]]) -> list[str]:
    """Do `work` with both ends; what else happened."""
    happened: list[str] = []

    async def go() -> None:
        later = asyncio.Event()

        async def wait(_: object) -> str:
            await later.wait()
            return "later"

        def refuse(_: object) -> None:
            raise CallError("no: \u20ac")

        def release(_: object) -> bool:
            later.set()
            return True

        rpc = RPCServer(structlog.get_logger())
        rpc.methods = {
            "echo": Method(lambda value: value),
            "wait": Method(wait),
            "release": Method(release),
            "refuse": Method(refuse),
        }
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        caller = AsyncRPCClient(lambda: happened.append("lost"))
        connection = RPCConnection(rpc)
        await loop.create_unix_connection(lambda: connection, sock=theirs)
        await loop.create_unix_connection(lambda: caller, sock=ours)
        await asyncio.wait_for(work(caller, connection), PATIENCE_S)
        caller.abort()
        rpc.close()

    run(go())
    return happened


def test_answers_come_to_their_calls_in_any_order() -> None:
    async def work(caller: AsyncRPCClient, _: RPCConnection) -> None:
        later = caller.call("wait")
        assert await caller.call("echo", {"a": [1, None, "\u20ac"]}) == {"a": [1, None, "\u20ac"]}
        assert not later.done()
        assert await caller.call("release", None, bool) is True
        assert await later == "later"

    assert with_caller(work) == ["lost"]


@pytest.mark.parametrize(
    ("method", "argument", "kind", "text"),
    [
        ("refuse", None, Any, "no: \u20ac"),
        ("missing", None, Any, "rpc: can't find method missing"),
        ("echo", "text", int, "the answer is not what it should be: Expected `int`, got `str`"),
    ],
)
def test_a_call_that_fails_says_why(method: str, argument: object, kind: Any, text: str) -> None:
    async def work(caller: AsyncRPCClient, _: RPCConnection) -> None:
        with pytest.raises(CallError) as caught:
            await caller.call(method, argument, kind)
        assert str(caught.value) == text
        assert await caller.call("echo", 1) == 1

    assert with_caller(work) == ["lost"]


def test_who_is_gone_answers_nothing() -> None:
    async def work(caller: AsyncRPCClient, connection: RPCConnection) -> None:
        waiting = [caller.call("wait"), caller.call("wait")]
        waiting[1].cancel()
        connection.abort()
        with pytest.raises(ConnectionError):
            await waiting[0]
        with pytest.raises(ConnectionError):
            await caller.call("echo")

    assert with_caller(work) == ["lost"]


def test_an_answer_that_nobody_waits_for_any_more_is_left_alone() -> None:
    async def work(caller: AsyncRPCClient, _: RPCConnection) -> None:
        given_up = caller.call("wait")
        given_up.cancel()
        await caller.call("release")
        assert await caller.call("echo", 1) == 1

    assert with_caller(work) == ["lost"]


def test_a_fault_that_nobody_waits_for_any_more_is_not_told() -> None:
    """asyncio tells a fault that no one has looked at, with its traceback, when the future is collected."""

    async def work(caller: AsyncRPCClient, connection: RPCConnection) -> None:
        told: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        calls = [caller.call("no such method"), caller.call("wait")]
        await asyncio.wait(calls[:1])
        connection.abort()
        await asyncio.wait(calls)
        calls.append(caller.call("echo"))
        assert [type(call.exception()) for call in calls[2:]] == [ConnectionResetError]
        calls.append(caller.call("echo"))
        calls.clear()
        gc.collect()
        assert told == []

    assert with_caller(work) == ["lost"]


@pytest.mark.parametrize("octets", [b"no frame at all", bytes(64)], ids=["text", "nothing"])
def test_what_is_no_answer_ends_the_connection(octets: bytes) -> None:
    async def main() -> list[str]:
        happened: list[str] = []
        ours, theirs = socket.socketpair()
        caller = AsyncRPCClient(lambda: happened.append("lost"))
        await asyncio.get_running_loop().create_unix_connection(lambda: caller, sock=ours)
        waiting = caller.call("wait")
        with theirs:
            theirs.sendall(octets)
            with pytest.raises(ConnectionError):
                await asyncio.wait_for(waiting, PATIENCE_S)
        return happened

    assert run(main()) == ["lost"]
