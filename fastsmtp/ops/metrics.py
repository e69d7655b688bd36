"""Metrics for Prometheus: the numbers of a `Snapshot` under RoadRunner's names, `rr_smtp_*`.

Nothing is kept here: a scrape takes a snapshot. Imported only where `metrics.address` asks for it.
"""

from __future__ import annotations

import functools
import itertools
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from fastsmtp.ops.appmetrics import AppMetric
from fastsmtp.ops.counters import BOUNDS, Counters, Histogram
from fastsmtp.ops.snapshot import ClusterSnapshot, InboxSnapshot, Snapshot

_UNTYPED = re.compile(rb"^(# TYPE \S+) untyped$", re.MULTILINE)


class MetricsCollector(Collector):
    """All metrics of one server but those of its processes."""

    def __init__(self, snapshot: Callable[[], Snapshot], codes: Mapping[str, str]) -> None:
        """`codes` are those of the replies, by verdict."""
        self._snapshot = snapshot
        self._codes = codes
        self._started = time.monotonic()

    def collect(self) -> Iterator[Metric]:
        """Read everything now."""
        snapshot = self._snapshot()
        counters = snapshot.all_counters()
        yield from self._workers(snapshot)
        yield from self._pool(snapshot)
        yield from self._emails(snapshot, counters)
        yield from self._sessions(snapshot, counters)
        yield _loop_delay(counters)
        if snapshot.inbox is not None:
            yield from _inbox(snapshot.inbox)
        if snapshot.cluster is not None:
            yield from _cluster(snapshot.cluster)

    # As RoadRunner's plugins have them: https://docs.roadrunner.dev/docs/logging-and-observability/metrics

    def _workers(self, snapshot: Snapshot) -> Iterator[Metric]:
        workers = snapshot.workers()
        states = [worker.status_text for worker in workers]
        ready, working = states.count("ready"), states.count("working")
        state = GaugeMetricFamily(
            "rr_smtp_worker_state", "Worker current state, always 1.", labels=("state", "pid")
        )  # RoadRunner has 0 there, which cannot be summed up
        memory = GaugeMetricFamily("rr_smtp_worker_memory_bytes", "Worker current memory usage.", labels=("pid",))
        for worker in workers:
            state.add_metric((worker.status_text, str(worker.pid)), 1)
            memory.add_metric((str(worker.pid),), worker.memory_bytes)
        yield state
        yield memory
        total = sum(worker.memory_bytes for worker in workers)
        yield GaugeMetricFamily("rr_smtp_workers_memory_bytes", "Memory usage by workers.", total)
        yield GaugeMetricFamily("rr_smtp_total_workers", "Total number of workers used by the plugin.", len(workers))
        yield GaugeMetricFamily("rr_smtp_workers_ready", "Workers currently in ready state.", ready)
        yield GaugeMetricFamily("rr_smtp_workers_working", "Workers currently in working state.", working)
        yield GaugeMetricFamily(
            "rr_smtp_workers_invalid", "Workers in any other state.", len(workers) - ready - working
        )
        uptime = time.monotonic() - self._started
        yield GaugeMetricFamily("rr_smtp_uptime_seconds", "Uptime in seconds.", uptime)

    def _pool(self, pool: Snapshot) -> Iterator[Metric]:
        yield GaugeMetricFamily("rr_smtp_requests_queue", "Emails that wait for a worker.", pool.waiting)
        for name, text, value in (
            ("no_free_workers", "Emails that no worker was free for in time.", pool.allocate_timeouts),
            ("queue_overflows", "Emails refused at once, so many waited for a worker.", pool.queue_overflows),
            ("worker_execs", "Emails sent to a worker.", pool.execs),
            ("worker_errors", "Emails answered by a worker with an error.", pool.errors),
            ("worker_failures", "Emails lost with their worker.", pool.worker_failures),
            ("worker_exec_timeouts", "Workers killed because they gave no answer in time.", pool.exec_timeouts),
            ("worker_starts", "Workers that came in service.", pool.starts),
            ("worker_start_failures", "Workers that could not be started.", pool.start_failures),
        ):
            yield CounterMetricFamily(f"rr_smtp_{name}", text, value)

    def _emails(self, snapshot: Snapshot, counters: Counters) -> Iterator[Metric]:
        total = CounterMetricFamily("rr_smtp_request", "Emails, by the reply they got.", labels=("status", "verdict"))
        by_status: dict[str, list[Histogram]] = {}
        for verdict, histogram in counters.durations.items():
            status = self._codes[verdict]
            total.add_metric((status, verdict), sum(histogram.counts))
            by_status.setdefault(status, []).append(histogram)
        yield total
        duration = HistogramMetricFamily(
            "rr_smtp_request_duration_seconds", "From the first octet of mail data to the reply.", labels=("status",)
        )
        for status, histograms in by_status.items():
            duration.add_metric((status,), *_buckets(histograms))
        yield duration
        wait = HistogramMetricFamily("rr_smtp_worker_wait_seconds", "Time an email waited for a worker.")
        wait.add_metric((), *_buckets([counters.wait]))
        yield wait
        yield _by_label("rr_smtp_aborted", "Emails broken off before their end.", "reason", counters.aborted)
        yield CounterMetricFamily("rr_smtp_mail_bytes", "Octets of mail data received.", counters.mail_bytes)
        inflight = snapshot.inflight_bytes
        yield GaugeMetricFamily("rr_smtp_inflight_bytes", "Octets of mail held in memory.", inflight)

    def _sessions(self, snapshot: Snapshot, counters: Counters) -> Iterator[Metric]:
        yield GaugeMetricFamily("rr_smtp_open_connections", "Clients connected now.", snapshot.connections)
        yield CounterMetricFamily("rr_smtp_connections", "Connections accepted.", counters.connections)
        yield CounterMetricFamily(
            "rr_smtp_connections_turned_away", "Connections refused before the greeting.", counters.turned_away
        )
        yield _by_label("rr_smtp_auth", "Logins; none is ever refused.", "mechanism", counters.logins)
        yield _by_label(
            "rr_smtp_violations", "Violations; counted when their session ends.", "code", counters.violations
        )


def _inbox(inbox: InboxSnapshot) -> Iterator[Metric]:
    for name, text, value in (
        ("up", "Whether the inbox process answers.", int(inbox.up)),
        ("full", "1 while mails cannot be stored.", int(bool(inbox.trouble))),
        ("namespaces", "Namespaces.", inbox.namespaces),
        ("mails", "Accepted mails in the inbox.", inbox.mails),
        ("unread", "Those of them that are unread.", inbox.unread),
        ("bytes", "Octets of them.", inbox.octets),
        ("waits", "Calls that wait for mails.", inbox.waits),
        ("streams", "Streams of events.", inbox.streams),
    ):
        yield GaugeMetricFamily(f"rr_smtp_inbox_{name}", text, value)
    yield _by_label("rr_smtp_inbox_arrivals", "Mails that came to the inbox.", "outcome", inbox.arrivals)
    yield _by_label("rr_smtp_inbox_gone", "Accepted mails that are kept no longer.", "reason", inbox.gone)
    yield CounterMetricFamily("rr_smtp_inbox_commits", "Groups of mails committed.", inbox.commits)
    yield _by_label("rr_smtp_inbox_checkpoints", "Times its log was to start over.", "result", inbox.checkpoints)


_CLUSTER_GAUGES: Final = {
    "in_flight": "Mails that are published and not confirmed.",
    "in_flight_bytes": "Octets of them.",
    "waiting": "Mails that wait for credit.",
    "in_hand": "Mails that came from the cluster and are not done.",
}
_CLUSTER_COUNTS: Final = {
    "published": "Mails handed to the cluster.",
    "confirmed": "Those of them that a quorum has.",
    "duplicates": "Confirmations of mails that were there already.",
    "repeated": "Attempts after the first.",
    "refused": "Mails for which there was no room.",
    "unknown": "Mails of which nothing was heard in time.",
    "deliveries": "Mails that came to the relay.",
    "acknowledged": "Those of them that a worker took.",
    "redeliveries": "Those of them given back because a worker failed.",
    "dead": "Those of them that went to the dead.",
    "unreadable": "Messages that are not mails.",
    "output_published": "Mails handed to outputs.",
    "output_confirmed": "Those of them that an output has.",
    "output_repeated": "Attempts after the first.",
    "output_failed": "Mails that an output did not confirm in time, or refused.",
}


def _cluster(cluster: ClusterSnapshot) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "rr_smtp_cluster_connected", "Processes that reach a NATS server and all outputs.", cluster.connected
    )
    for name, text in _CLUSTER_GAUGES.items():
        if name in cluster.gauges:
            yield GaugeMetricFamily(f"rr_smtp_cluster_{name}", text, cluster.gauges[name])
    for name, text in _CLUSTER_COUNTS.items():
        if name in cluster.counts:
            yield CounterMetricFamily(f"rr_smtp_cluster_{name}", text, cluster.counts[name])


def _loop_delay(counters: Counters) -> Metric:
    family = HistogramMetricFamily(
        "rr_smtp_loop_delay_seconds", "How late the event loop was, ten times a second.", labels=("process",)
    )
    for process, histogram in counters.loop_delays.items():
        family.add_metric((process,), *_buckets([histogram]))
    return family


def _by_label(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=(label,))
    for value, count in counts.items():
        family.add_metric((value,), count)
    return family


def _buckets(histograms: Sequence[Histogram]) -> tuple[list[tuple[str, float]], float]:
    """Sum up histograms: cumulated counts by upper bound, and the sum of all values."""
    cumulated, buckets = 0, []
    bounds = [*map(str, BOUNDS), "+Inf"]
    for bound, counts in zip(bounds, zip(*(item.counts for item in histograms), strict=True), strict=True):
        cumulated += sum(counts)
        buckets.append((bound, float(cumulated)))
    return buckets, sum(item.total for item in histograms)


class AppMetricsCollector(Collector):
    """The metrics of the application, under the names that it has declared."""

    def __init__(self, metrics: Iterable[AppMetric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Read everything now."""
        for metric in self._metrics:
            show = {"counter": _show_counter, "gauge": _show_gauge, "histogram": _show_histogram}
            yield show.get(metric.settings.type, _show_summary)(metric)


def _show_counter(metric: AppMetric) -> Metric:
    # In OpenMetrics a counter ends in "_total". RoadRunner knows only the older format, where it may have any name: the
    # name stays, for that is what dashboards ask for, and the type is then unknown. `Exposition` puts it right there.
    kind = "counter" if metric.name.endswith("_total") else "unknown"
    return _show_numbers(metric, Metric(metric.name.removesuffix("_total"), metric.settings.help, kind))


def _show_gauge(metric: AppMetric) -> Metric:
    return _show_numbers(metric, Metric(metric.name, metric.settings.help, "gauge"))


def _show_numbers(metric: AppMetric, family: Metric) -> Metric:
    for labels, number in metric.numbers.items():
        family.add_sample(metric.name, _labelled(metric, labels), number)
    return family


def _show_histogram(metric: AppMetric) -> Metric:
    family = HistogramMetricFamily(metric.name, metric.settings.help, labels=metric.settings.labels)
    bounds = [*map(_number, metric.settings.bounds), "+Inf"]
    for labels, distribution in metric.distributions.items():
        cumulated = itertools.accumulate(distribution.counts)
        family.add_metric(labels, list(zip(bounds, map(float, cumulated), strict=True)), distribution.total)
    return family


def _show_summary(metric: AppMetric) -> Metric:
    family = Metric(metric.name, metric.settings.help, "summary")
    for labels, distribution in metric.distributions.items():
        labelled = _labelled(metric, labels)
        for quantile, value in distribution.quantiles(metric.settings.quantiles).items():
            family.add_sample(metric.name, {**labelled, "quantile": _number(quantile)}, value)
        family.add_sample(f"{metric.name}_count", labelled, sum(distribution.counts))
        family.add_sample(f"{metric.name}_sum", labelled, distribution.total)
    return family


def _number(value: float) -> str:
    """The value of a label, as Prometheus' client for Go writes numbers."""
    return repr(value).removesuffix(".0")


def _labelled(metric: AppMetric, values: Sequence[str]) -> dict[str, str]:
    return dict(zip(metric.settings.labels, values, strict=True))


class Exposition:
    """What the collectors find, in the format that a request accepts: that of OpenMetrics or the older one."""

    def __init__(self, *collectors: Collector) -> None:
        self._registry = CollectorRegistry()
        for collector in collectors:
            self._registry.register(collector)

    def answer(self, request: web.Request) -> web.Response:
        """Collect everything now."""
        encode, content_type = choose_encoder(",".join(request.headers.getall("Accept", ())))
        body = encode(self._registry)
        if not content_type.startswith("application/openmetrics-text"):
            body = _UNTYPED.sub(rb"\1 counter", body)  # those of the application whose names do not end in "_total"
        return web.Response(body=body, headers={"Content-Type": content_type})


class ProcessesCollector(Collector):
    """`process_*` of one or more processes as if they were one: sums, and the start of the first."""

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        self._pids = pids
        self._cpu: dict[int, float] = {}  # seconds used, as last seen, by pid
        self._past_cpu = 0.0  # of those that are gone

    def collect(self) -> Iterator[Metric]:
        """Read everything now."""
        sums: dict[str, Metric] = {}
        used: dict[int, float] = {}
        for pid in self._pids():
            for family in ProcessCollector(pid=functools.partial(int, pid), registry=None).collect():
                [sample] = family.samples
                if sample.name == "process_cpu_seconds_total":
                    used[pid] = sample.value
                known = sums.setdefault(family.name, family)
                if known is not family and sample.name != "process_start_time_seconds":
                    known.samples = [sample._replace(value=known.samples[0].value + sample.value)]
        # A counter does not go down when a process ends.
        self._past_cpu += sum(seconds for pid, seconds in self._cpu.items() if pid not in used)
        self._cpu = used
        for family in sums.values():
            if family.name == "process_cpu_seconds":
                family.samples = [family.samples[0]._replace(value=family.samples[0].value + self._past_cpu)]
            yield family
