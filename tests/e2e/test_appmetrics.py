"""Metrics of the application: workers change them by RPC, and a scrape shows them beside ours."""

from __future__ import annotations

import http.client
import json
import subprocess
from urllib.parse import urlsplit

import pytest
from servers import TESTS, Serve, Server
from wire import MAIL, Wire, wait_for_log

CONFIGURED = {"configured_total": {"type": "counter", "help": "From the file.", "labels": ["kind"]}}
SETTINGS = {
    "rpc": {"listen": "tcp://127.0.0.1:0"},
    "metrics": {"address": "127.0.0.1:0", "collect": CONFIGURED},
}


def scrape(server: Server) -> list[str]:
    """The lines that are about the application."""
    [line] = wait_for_log(server, "metrics are served")
    connection = http.client.HTTPConnection(urlsplit(line.partition("url=")[2]).netloc, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return [line for line in text.splitlines() if "rr_smtp_" not in line and "process_" not in line]


@pytest.mark.parametrize("processes", [1, 2])
def test_what_workers_count_is_one_sum(serve: Serve, processes: int) -> None:
    server = serve({**SETTINGS, "smtp": {"processes": processes, "pool": {"num_workers": 4}}}, worker="counts.php")
    empty = scrape(server)
    for _ in range(12):  # connections, which come to both processes
        with Wire(server) as wire:
            wire.begin()
            assert wire.ask(MAIL % b"a")[:3] == b"250"
            wire.begin_next()
            assert wire.ask(MAIL % b"b")[:3] == b"250"
    size = len(MAIL % b"a") - len(b".\r\n")
    assert [line for line in empty if not line.startswith("#")] == [
        'app_size_bucket{le="10"} 0.0',
        'app_size_bucket{le="1000"} 0.0',
        'app_size_bucket{le="+Inf"} 0.0',
        "app_size_count 0.0",
        "app_size_sum 0.0",
        "app_open 0.0",
    ]
    assert scrape(server) == [
        "# HELP configured_total From the file.",
        "# TYPE configured_total counter",
        'configured_total{kind="x"} 12.0',
        "# HELP app_mails ",
        "# TYPE app_mails counter",
        'app_mails{subject="a"} 12.0',
        'app_mails{subject="b"} 12.0',
        "# HELP app_size ",
        "# TYPE app_size histogram",
        'app_size_bucket{le="10"} 0.0',
        'app_size_bucket{le="1000"} 24.0',
        'app_size_bucket{le="+Inf"} 24.0',
        "app_size_count 24.0",
        f"app_size_sum {24 * size}.0",
        "# HELP app_open ",
        "# TYPE app_open gauge",
        "app_open 24.0",
    ]


def test_what_is_wrong_is_told_to_the_caller(serve: Serve) -> None:
    server = serve(SETTINGS)
    [line] = wait_for_log(server, "RPC is listening")
    calls = [
        ("metrics.Add", {"name": "nothing", "value": 1.0, "labels": []}),
        ("metrics.Sub", {"name": "configured_total", "value": 1.0, "labels": ["x"]}),
        ("metrics.Add", {"name": "configured_total", "value": "1", "labels": ["x"]}),
        ("metrics.Declare", {"name": "x", "collector": {"type": "timer"}}),
        ("metrics.Unregister", "configured_total"),
        ("metrics.Unregister", "configured_total"),
    ]
    command = ["php", str(TESTS / "clients" / "rpc.php"), line.rpartition("address=")[2], json.dumps(calls)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout) == [
        {"error": "undefined collector: nothing"},
        {"error": "collector does not support the requested operation: configured_total does not support Sub"},
        {"error": "the argument of metrics.Add is not what it should be: Expected `float`, got `str` - at `$.value`"},
        {"error": "unknown collector type: timer"},
        {"result": True},
        {"error": "undefined collector: configured_total"},
    ]
    assert scrape(server) == []
