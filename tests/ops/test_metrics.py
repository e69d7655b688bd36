"""What a scrape shows of the numbers it finds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from prometheus_client import Metric, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector, CollectorRegistry

from fastsmtp.cluster.amqp import OutputCounts
from fastsmtp.cluster.publisher import PublisherCounts
from fastsmtp.cluster.relay import RelayCounts
from fastsmtp.ops.counters import BOUNDS, PROCESSES, Counters
from fastsmtp.ops.metrics import Exposition, MetricsCollector, ProcessesCollector
from fastsmtp.ops.snapshot import ClusterSnapshot, InboxSnapshot, ShownWorker, Snapshot
from fastsmtp.smtp.events import AbortReason
from fastsmtp.smtp.replies import MECHANISMS
from fastsmtp.smtp.session import VERDICT_REPLIES
from fastsmtp.smtp.violations import CLAUSES

ROOT = Path(__file__).parents[2]
STATUSES = {verdict.value: wire[:3].decode() for verdict, wire in VERDICT_REPLIES.items()}
VERDICTS = {  # labels of the replies
    ("250", "accept"),
    ("250", "accept-and-close"),
    ("451", "worker-failed"),
    ("451", "no-worker"),
    ("451", "storage-failed"),
    ("452", "storage-full"),
    ("552", "too-large"),
    ("554", "malformed"),
    ("451", "refused-by-plan"),
    ("250", "dropped-by-plan"),
}


CLUSTER_GAUGES = {"in_flight": 1, "in_flight_bytes": 2, "waiting": 3, "in_hand": 4}
CLUSTER_COUNTS = {
    **asdict(PublisherCounts(published=7, unknown=1)),
    **asdict(RelayCounts(deliveries=8, dead=2)),
    **asdict(OutputCounts(output_published=9)),
}


def snapshot(counters: Counters, *workers: ShownWorker) -> Snapshot:
    """A server that has done something."""
    return Snapshot(
        waiting=9,
        connections=3,
        inflight_bytes=4096,
        execs=1,
        errors=2,
        worker_failures=3,
        exec_timeouts=4,
        allocate_timeouts=5,
        queue_overflows=8,
        starts=6,
        start_failures=7,
        shown=list(workers),
        inbox=InboxSnapshot(
            up=True,
            mails=4,
            octets=4000,
            arrivals={"accepted": 6},
            gone={"deleted": 2},
            checkpoints={"done": 3},
            trouble="full",
        ),
        cluster=ClusterSnapshot(2, CLUSTER_GAUGES, CLUSTER_COUNTS),
        counters=counters.snapshot(),
    )


def ask(collector: Collector, **headers: str) -> web.Response:
    """The answer to a scrape."""
    return Exposition(collector).answer(make_mocked_request("GET", "/metrics", headers))


def scrape(counters: Counters, *workers: ShownWorker) -> dict[str, Metric]:
    """Families by name, through the text of the exposition and back."""
    answer = ask(MetricsCollector(lambda: snapshot(counters, *workers), STATUSES))
    return {family.name: family for family in text_string_to_metric_families(answer.text or "")}


def values(family: Metric) -> dict[tuple[str, ...], float]:
    """Values by name of the sample and its labels."""
    return {(sample.name, *sample.labels.values()): sample.value for sample in family.samples}


def counted(family: Metric) -> dict[tuple[str, ...], float]:
    """Values by labels, of a counter, without those that are 0."""
    return {tuple(sample.labels.values()): sample.value for sample in family.samples if sample.value}


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ],
    ids=["nothing", "browser", "Prometheus"],
)
def test_the_format_is_the_one_that_is_accepted(accept: str, content_type: str) -> None:
    answer = ask(MetricsCollector(lambda: snapshot(Counters()), STATUSES), Accept=accept)
    assert answer.headers["Content-Type"].removesuffix("; escaping=underscores") == content_type
    assert (answer.text or "").endswith("# EOF\n") == content_type.startswith("application/openmetrics-text")


def test_each_scrape_takes_a_snapshot() -> None:
    taken = iter([Snapshot(waiting=1), Snapshot(waiting=2)])
    exposition = Exposition(MetricsCollector(lambda: next(taken), STATUSES))
    request = make_mocked_request("GET", "/metrics")
    texts = [exposition.answer(request).text or "" for _ in range(2)]
    assert [re.findall(r"^rr_smtp_requests_queue (.*)$", text, re.MULTILINE) for text in texts] == [["1.0"], ["2.0"]]


def test_workers_as_roadrunner_has_them() -> None:
    workers = (ShownWorker(11, "ready", 100), ShownWorker(12, "working", 200), ShownWorker(13, "errored", 300))
    found = scrape(Counters(), *workers)
    assert values(found["rr_smtp_worker_memory_bytes"]) == {
        ("rr_smtp_worker_memory_bytes", "11"): 100,
        ("rr_smtp_worker_memory_bytes", "12"): 200,
        ("rr_smtp_worker_memory_bytes", "13"): 300,
    }
    assert {
        (item.labels["state"], item.labels["pid"], item.value) for item in found["rr_smtp_worker_state"].samples
    } == {
        ("ready", "11", 1),
        ("working", "12", 1),
        ("errored", "13", 1),
    }
    single = ("total_workers", "workers_memory_bytes", "workers_ready", "workers_working", "workers_invalid")
    assert [values(found[f"rr_smtp_{name}"])[(f"rr_smtp_{name}",)] for name in single] == [3, 600, 1, 1, 1]
    assert {found[f"rr_smtp_{name}"].type for name in single} == {"gauge"}


def test_pool() -> None:
    found = scrape(Counters())
    counters = (
        "worker_execs",
        "worker_errors",
        "worker_failures",
        "worker_exec_timeouts",
        "no_free_workers",
        "queue_overflows",
        "worker_starts",
        "worker_start_failures",
    )
    shown = [values(found[f"rr_smtp_{name}"])[(f"rr_smtp_{name}_total",)] for name in counters]
    assert shown == [1, 2, 3, 4, 5, 8, 6, 7]
    assert values(found["rr_smtp_requests_queue"]) == {("rr_smtp_requests_queue",): 9}


@pytest.mark.parametrize("taken", [snapshot(Counters()), Snapshot()], ids=["server", "parent"])
def test_every_known_label_is_there_from_the_start(taken: Snapshot) -> None:
    answer = ask(MetricsCollector(lambda: taken, STATUSES))
    families = {family.name: family for family in text_string_to_metric_families(answer.text or "")}
    expected = {
        "rr_smtp_request": VERDICTS,
        "rr_smtp_aborted": {(reason.value,) for reason in AbortReason},
        "rr_smtp_auth": {(mechanism,) for mechanism in MECHANISMS},
        "rr_smtp_violations": {(code,) for code in CLAUSES},
    }
    for name, labels in expected.items():
        found = {tuple(sample.labels.values()): sample.value for sample in families[name].samples}
        assert found == dict.fromkeys(labels, 0)
    # Those that have labels are these, besides what is by status or by worker.
    assert {name for name, family in families.items() if family.type == "counter" and len(family.samples) != 1} == set(
        expected
    )


def test_emails() -> None:
    counters = Counters()
    for verdict, seconds in (("accept", 0.002), ("accept", 0.3), ("accept-and-close", 0.002), ("no-worker", 70.0)):
        counters.durations[verdict].observe(seconds)
    counters.mail_bytes = 1234
    counters.aborted["eof"] += 2
    found = scrape(counters)
    assert counted(found["rr_smtp_request"]) == {
        ("250", "accept"): 2,
        ("250", "accept-and-close"): 1,
        ("451", "no-worker"): 1,
    }
    assert values(found["rr_smtp_mail_bytes"]) == {("rr_smtp_mail_bytes_total",): 1234}
    assert counted(found["rr_smtp_aborted"]) == {("eof",): 2}
    assert values(found["rr_smtp_inflight_bytes"]) == {("rr_smtp_inflight_bytes",): 4096}
    durations = {
        (
            item.name.removeprefix("rr_smtp_request_duration_seconds_"),
            item.labels["status"],
            item.labels.get("le"),
        ): item.value
        for item in found["rr_smtp_request_duration_seconds"].samples
    }
    assert [durations["bucket", "250", str(bound)] for bound in BOUNDS] == [
        0 if bound < 0.002 else 2 if bound < 0.3 else 3 for bound in BOUNDS
    ]
    assert [durations["bucket", "451", str(bound)] for bound in BOUNDS] == [0] * len(BOUNDS)
    assert (durations["bucket", "250", "+Inf"], durations["count", "250", None]) == (3, 3)
    assert (durations["bucket", "451", "+Inf"], durations["sum", "451", None]) == (1, 70.0)


def test_sessions() -> None:
    counters = Counters()
    counters.connections, counters.turned_away = 7, 2
    counters.logins["PLAIN"] += 5
    counters.violations["bare-lf-in-body"] += 6
    counters.wait.observe(0.01)
    counters.loop_delays["inbox"].observe(0.3)
    found = scrape(counters)
    assert values(found["rr_smtp_open_connections"]) == {("rr_smtp_open_connections",): 3}
    assert values(found["rr_smtp_connections"]) == {("rr_smtp_connections_total",): 7}
    assert values(found["rr_smtp_connections_turned_away"]) == {("rr_smtp_connections_turned_away_total",): 2}
    assert counted(found["rr_smtp_auth"]) == {("PLAIN",): 5}
    assert counted(found["rr_smtp_violations"]) == {("bare-lf-in-body",): 6}
    assert values(found["rr_smtp_worker_wait_seconds"])["rr_smtp_worker_wait_seconds_sum",] == 0.01
    delays = values(found["rr_smtp_loop_delay_seconds"])
    assert {process: delays["rr_smtp_loop_delay_seconds_count", process] for process in PROCESSES} == {
        "smtp": 0,
        "parent": 0,
        "inbox": 1,
    }
    assert delays["rr_smtp_loop_delay_seconds_sum", "inbox"] == 0.3


def test_the_inbox() -> None:
    found = scrape(Counters())
    prefix = "rr_smtp_inbox_"
    gauges = [family for name, family in found.items() if name.startswith(prefix) and family.type == "gauge"]
    assert {family.name.removeprefix(prefix): family.samples[0].value for family in gauges} == {
        "up": 1,
        "full": 1,
        "namespaces": 0,
        "mails": 4,
        "unread": 0,
        "bytes": 4000,
        "waits": 0,
        "streams": 0,
    }
    assert counted(found["rr_smtp_inbox_arrivals"]) == {("accepted",): 6}
    assert counted(found["rr_smtp_inbox_gone"]) == {("deleted",): 2}
    assert values(found["rr_smtp_inbox_commits"]) == {("rr_smtp_inbox_commits_total",): 0}
    assert counted(found["rr_smtp_inbox_checkpoints"]) == {("done",): 3}


def test_the_cluster() -> None:
    found = scrape(Counters())
    prefix = "rr_smtp_cluster_"
    shown = {name.removeprefix(prefix): family for name, family in found.items() if name.startswith(prefix)}
    assert {name: family.samples[0].value for name, family in shown.items()} == {
        "connected": 2,
        **CLUSTER_GAUGES,
        **CLUSTER_COUNTS,
    }
    assert {name for name, family in shown.items() if family.type == "counter"} == set(CLUSTER_COUNTS)


def all_samples() -> set[str]:
    """Names of the samples of a server where everything has happened, those of its process too."""
    registry = CollectorRegistry()
    registry.register(MetricsCollector(lambda: snapshot(Counters(), ShownWorker(11, "ready", 100)), STATUSES))
    ProcessCollector(registry=registry)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {sample.name for family in families for sample in family.samples}


def test_several_processes_look_like_one() -> None:
    """Ourselves, twice: what two of the same have, and what remains of one that is gone."""
    own = os.getpid()
    pids = [own]
    processes = ProcessesCollector(lambda: pids)

    def read() -> dict[str, float]:
        return {sample.name: sample.value for family in processes.collect() for sample in family.samples}

    names = {sample.name for family in ProcessCollector(registry=None).collect() for sample in family.samples}
    one = read()
    assert set(one) == names
    # So much memory that no kernel's batched count of pages overlooks it, and in place before it is measured.
    holder = [sys.executable, "-c", "held = b'.' * (64 << 20); print(flush=True); input()"]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == b"\n"
        pids = [own, other.pid]
        two = read()
        assert two["process_start_time_seconds"] == one["process_start_time_seconds"]
        assert two["process_open_fds"] >= one["process_open_fds"] + 3
        assert two["process_max_fds"] == 2 * one["process_max_fds"]
        assert two["process_resident_memory_bytes"] >= one["process_resident_memory_bytes"] + (48 << 20)
        pids = [other.pid]
        assert read()["process_cpu_seconds_total"] >= two["process_cpu_seconds_total"] > 0
        other.stdin.write(b"\n")


def test_the_document_names_every_metric_and_no_other() -> None:
    document = (ROOT / "docs" / "operations.md").read_text()
    table = document.partition("\n## Metrics\n")[2].partition("\nBeside them")[0]
    rows = re.findall(r"^\| (`rr_.*?) \| \w+ \|", table, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"rr_\w+", row)}
    parts = re.compile(r"_(bucket|count|sum)$")
    assert told == {parts.sub("", name) for name in all_samples() if name.startswith("rr_")}


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    dashboard = json.loads((ROOT / "grafana" / "fastsmtp.json").read_text())
    panels = dashboard["panels"]
    asked = {
        name
        for panel in panels
        for target in panel.get("targets", [])
        for name in re.findall(r"\b(?:rr_smtp|process)_\w+", target["expr"])
    }
    assert asked - all_samples() == set()
    assert len(asked) > 25
    assert sorted(panel["id"] for panel in panels) == list(range(1, len(panels) + 1))


def test_panels_do_not_overlap() -> None:
    dashboard = json.loads((ROOT / "grafana" / "fastsmtp.json").read_text())
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in dashboard["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
