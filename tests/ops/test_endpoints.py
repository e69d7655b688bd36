"""The listeners for metrics and health, as a server or the parent of several has them."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs
from structlog.types import EventDict
from webclient import ask

from fastsmtp.config.settings import Config, MetricsSettings, StatusSettings
from fastsmtp.errors import StartError
from fastsmtp.ops.counters import Counters
from fastsmtp.ops.endpoints import Endpoints, Watched
from fastsmtp.ops.snapshot import InboxSnapshot, ShownWorker, Snapshot
from fastsmtp.system.loop import run

ADDRESS = "127.0.0.1:0"
BOTH = Config(metrics=MetricsSettings(ADDRESS), status=StatusSettings(ADDRESS, 60.0, 500))


class Place:
    """What is watched, and how often it was refreshed."""

    def __init__(self) -> None:
        self.taken = Snapshot(connections=3, shown=[ShownWorker(11, "ready", 100)], counters=Counters().snapshot())
        self.complaints = {True: "", False: ""}  # by whether a busy worker does not count
        self.stopping = False
        self.inbox: InboxSnapshot | None = None  # None: there is no inbox
        self.refreshed: list[bool | None] = []  # None: before metrics; else what a look was for

    async def refresh(self) -> None:
        self.refreshed.append(None)

    async def look(self, idle_only: bool) -> None:
        self.refreshed.append(idle_only)

    async def ask_inbox(self) -> InboxSnapshot:
        assert self.inbox is not None
        return self.inbox

    def watched(self) -> Watched:
        return Watched(
            lambda: self.taken,
            lambda: [os.getpid()],
            self.complaints.__getitem__,
            lambda: self.stopping,
            self.refresh,
            self.look,
            ask_inbox=None if self.inbox is None else self.ask_inbox,
        )


def play(config: Config, place: Place, work: Callable[[dict[str, str]], Awaitable[None]]) -> list[EventDict]:
    """Do `work` with the URLs of the endpoints by what the log says of them; what was logged."""

    async def main() -> None:
        endpoints = Endpoints(config, structlog.get_logger())
        endpoints.bind()
        await endpoints.start(place.watched())
        try:
            await work({entry["event"]: entry["url"] for entry in logged})
        finally:
            await endpoints.stop()

    with capture_logs() as logged:
        run(main())
    return logged


def test_both_are_served_and_say_where() -> None:
    place = Place()

    async def work(urls: dict[str, str]) -> None:
        metrics, status = urls["metrics are served"], urls["status is served"]
        for path in ("/metrics", "/", "/any/other"):  # as RoadRunner
            answer = await ask(metrics, path)
            assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, "text/plain")
            names = {family.name for family in text_string_to_metric_families(answer.body)}
            assert {"rr_smtp_open_connections", "rr_smtp_worker_state", "process_cpu_seconds"} <= names
        assert place.refreshed == 3 * [None]
        fine = '[{"plugin_name":"smtp","error_message":"","status_code":200}]'
        for path in ("/health", "/ready", "/ready?plugin=smtp"):
            answer = await ask(status, path)
            assert (answer.status, answer.headers["content-type"], answer.body) == (200, "application/json", fine)
        assert place.refreshed[3:] == [False, True, True]

    logged = play(BOTH, place, work)
    assert [re.sub(r"\d+", "N", entry["url"]) for entry in logged] == [
        "http://N.N.N.N:N/metrics",
        "http://N.N.N.N:N/health",
    ]


@pytest.mark.parametrize(
    ("where", "method", "path", "status"),
    [
        ("metrics are served", "HEAD", "/metrics", 200),
        ("metrics are served", "POST", "/metrics", 405),
        ("status is served", "HEAD", "/health", 200),
        ("status is served", "POST", "/health", 405),
        ("status is served", "GET", "/", 404),
        ("status is served", "GET", "/metrics", 404),
    ],
)
def test_other_requests(where: str, method: str, path: str, status: int) -> None:
    async def work(urls: dict[str, str]) -> None:
        assert (await ask(urls[where], path, method)).status == status

    play(BOTH, Place(), work)


def test_the_format_of_metrics_is_the_one_that_is_accepted() -> None:
    async def work(urls: dict[str, str]) -> None:
        accepted = "Accept: application/openmetrics-text;version=1.0.0\r\n"
        answer = await ask(urls["metrics are served"], "/metrics", headers=accepted)
        assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0;")
        assert answer.body.endswith("# EOF\n")

    play(BOTH, Place(), work)


def test_a_busy_worker_is_health_and_no_readiness() -> None:
    place = Place()
    place.complaints[True] = "no worker available"

    async def work(urls: dict[str, str]) -> None:
        status = urls["status is served"]
        assert (await ask(status, "/health")).status == 200
        answer = await ask(status, "/ready")
        assert (answer.status, json.loads(answer.body)) == (
            500,
            [{"plugin_name": "smtp", "error_message": "no worker available", "status_code": 500}],
        )
        place.stopping = True
        assert "service is shutting down" in (await ask(status, "/health")).body

    play(BOTH, place, work)


def test_what_is_refused_is_told_and_given_back() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        endpoints = Endpoints(Config(metrics=MetricsSettings(ADDRESS), status=StatusSettings(address)), _log())
        with pytest.raises(StartError, match=r"^status\.address: cannot listen on"):
            endpoints.bind()
    assert endpoints.max_descriptors == 129
    endpoints.abort()


def test_an_abort_closes_at_once() -> None:
    async def main() -> None:
        endpoints = Endpoints(BOTH, structlog.get_logger())
        endpoints.bind()
        await endpoints.start(Place().watched())
        [metrics, status] = [entry["url"] for entry in logged]
        endpoints.abort()
        for url in (metrics, status):
            with pytest.raises(ConnectionRefusedError):
                await ask(url, "/")

    with capture_logs() as logged:
        run(main())


def test_none_are_served_where_none_are_wanted() -> None:
    async def work(urls: dict[str, str]) -> None:
        assert urls == {}

    assert play(Config(), Place(), work) == []
    assert Endpoints(Config(), _log()).max_descriptors == 0


@pytest.mark.parametrize("module", ["fastsmtp.server.server", "fastsmtp.processes.parent"])
def test_a_server_without_endpoints_imports_nothing_for_them(module: str) -> None:
    code = (
        f"import sys, structlog, {module}\n"
        "from fastsmtp.config.settings import Config\n"
        "from fastsmtp.ops.endpoints import Endpoints\n"
        "Endpoints(Config(), structlog.get_logger()).bind()\n"
        "print(sorted({'aiohttp', 'prometheus_client', 'multidict', 'yarl'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def _log() -> structlog.typing.FilteringBoundLogger:
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return log


@pytest.mark.parametrize(
    ("inbox", "complaint"),
    [
        (InboxSnapshot(up=True), ""),
        (InboxSnapshot(up=True, trouble="the store failed: No space left on device"), None),
        (InboxSnapshot(up=False), "the inbox process does not answer"),
        (InboxSnapshot(up=False, trouble="of a time before"), "the inbox process does not answer"),
    ],
    ids=["takes-mails", "full", "gone", "gone-with-trouble"],
)
def test_an_inbox_that_takes_no_mails_is_not_ready_and_lives(inbox: InboxSnapshot, complaint: str | None) -> None:
    place = Place()
    place.inbox = inbox
    wrong = inbox.trouble if complaint is None else complaint

    def report(error: str) -> list[dict[str, object]]:
        fine = {"plugin_name": "smtp", "error_message": "", "status_code": 200}
        return [fine, {"plugin_name": "inbox", "error_message": error, "status_code": 500 if error else 200}]

    async def work(urls: dict[str, str]) -> None:
        status = urls["status is served"]
        answer = await ask(status, "/ready")
        assert (answer.status, json.loads(answer.body)) == (500 if wrong else 200, report(wrong))
        assert (await ask(status, "/ready?plugin=inbox")).status == answer.status
        assert (await ask(status, "/ready?plugin=smtp")).status == 200
        answer = await ask(status, "/health")
        assert (answer.status, json.loads(answer.body)) == (200, report(""))

    play(Config(status=BOTH.status), place, work)
