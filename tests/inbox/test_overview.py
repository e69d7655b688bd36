"""The stream of all namespaces and of the live figures: it tells what changes, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
from inboxclient import Client, Serve
from waits import until

from fastsmtp.inbox.frames import Gauges


class Overview:
    """One who looks at the stream."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def next(self, wanted: str) -> dict[str, Any]:
        """Return the content of the next event of this name."""
        name = ""
        async for line in self._answer.content:
            key, _colon, value = line.decode().rstrip("\n").partition(": ")
            if key == "event":
                name = value
            elif key == "data" and name == wanted:
                content: dict[str, Any] = json.loads(value)
                return content
        raise AssertionError(f"the stream ended without {wanted}")

    async def namespaces(self) -> tuple[bool, dict[str, tuple[int, int, bool]], list[str]]:
        """The next that is told of namespaces: mails, rules of a plan, and whether mails come, by name."""
        told = await self.next("namespaces")
        shown = {one["name"]: (one["mails"], one["fault_rules"], one["rate"] > 0) for one in told["namespaces"]}
        return told["all"], shown, told["gone"]


def test_what_changes_is_told(serving: Serve) -> None:
    async def work(call: Client) -> None:
        await call("PUT", "/api/ns/run-1")
        async with call.session.get(f"{call.url}/api/live/events") as answer:
            assert (answer.status, answer.content_type) == (200, "text/event-stream")
            overview = Overview(answer)
            assert await overview.namespaces() == (True, {"default": (0, 0, False), "run-1": (0, 0, False)}, [])
            assert (await overview.next("live"))["connections"] == 0
            await call.file("run-1")
            assert await overview.namespaces() == (False, {"run-1": (1, 0, True)}, [])
            assert await overview.namespaces() == (False, {"run-1": (1, 0, False)}, [])  # no more come
            await call("PUT", "/api/ns/run-1/faults", {"rules": [{"preset": "down"}, {"preset": "slow"}]})
            assert await overview.namespaces() == (False, {"run-1": (1, 2, False)}, [])
            await call("DELETE", "/api/ns/run-1")
            assert await overview.namespaces() == (False, {}, ["run-1"])
            call.inbox.gauges["smtp"] = Gauges(connections=3)
            while (await overview.next("live"))["connections"] != 3:
                pass
        await until(lambda: not len(call.inbox.events))

    serving(work)


def test_a_new_namespace_of_an_old_name_has_no_rate(serving: Serve) -> None:
    async def work(call: Client) -> None:
        for _ in range(3):
            await call.file("run-1")
        async with call.session.get(f"{call.url}/api/live/events") as answer:
            overview = Overview(answer)
            await overview.namespaces()
            await call("DELETE", "/api/ns/run-1")
            await call.file("run-1")
            while (told := await overview.namespaces())[2]:
                pass
            assert told == (False, {"run-1": (1, 0, False)}, [])

    serving(work)


def test_mails_of_one_namespace_are_told_in_the_same_stream(serving: Serve) -> None:
    """Those behind a cursor first, then those that come; of other namespaces that there are more."""

    async def work(call: Client) -> None:
        for _ in range(3):
            await call.file("run-1")
        cursor = (await call("GET", "/api/ns/run-1/mails?limit=2"))[1]["mails"][-1]["cursor"]
        async with call.session.get(f"{call.url}/api/live/events?ns=run-1&after={cursor}") as answer:
            overview = Overview(answer)
            first = await overview.next("mail")
            assert (first["count"], [mail["seq"] for mail in first["mails"]]) == (1, [3])
            assert (await overview.namespaces())[1]["run-1"] == (3, 0, False)
            await call.file("run-1")
            then = await overview.next("mail")
            assert (then["count"], [mail["seq"] for mail in then["mails"]]) == (1, [4])
            await call.file("run-2")
            while "run-2" not in (await overview.namespaces())[1]:
                pass
            await call.file("run-1")
            last = await overview.next("mail")
            assert [(mail["namespace"], mail["seq"]) for mail in last["mails"]] == [("run-1", 5)]
            await call("DELETE", "/api/ns/run-1")
            assert await overview.next("purge") == {"namespace": "run-1", "cursor": last["cursor"]}
            while (await overview.namespaces())[2] != ["run-1"]:
                pass

    serving(work)


def test_it_ends_with_the_inbox(serving: Serve) -> None:
    async def work(call: Client) -> None:
        async with call.session.get(f"{call.url}/api/live/events") as answer:
            overview = Overview(answer)
            await overview.next("live")
            call.inbox.events.end_all()
            await answer.content.read()
            assert answer.content.at_eof()

    serving(work)
