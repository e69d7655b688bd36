"""Metrics for Prometheus: the numbers of a `Snapshot` under RoadRunner's names, `rr_smtp_*`.

Nothing is kept here: a scrape takes a snapshot. Imported only where `metrics.address` asks for it.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from fastsmtp.ops.counters import BOUNDS, Counters, Histogram
from fastsmtp.ops.snapshot import Snapshot


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


class Exposition:
    """What the collectors find, in the format that a request accepts: that of OpenMetrics or the older one."""

    def __init__(self, *collectors: Collector) -> None:
        self._registry = CollectorRegistry()
        for collector in collectors:
            self._registry.register(collector)

    def answer(self, request: web.Request) -> web.Response:
        """Collect everything now."""
        encode, content_type = choose_encoder(",".join(request.headers.getall("Accept", ())))
        return web.Response(body=encode(self._registry), headers={"Content-Type": content_type})


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
