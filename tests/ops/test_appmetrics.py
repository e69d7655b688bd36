"""Metrics of the application: what each type allows, what is refused, and what a scrape shows."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from fastsmtp.config.collect import CollectorSettings
from fastsmtp.config.settings import MetricsSettings
from fastsmtp.errors import CallError
from fastsmtp.ops import appmetrics
from fastsmtp.ops.appmetrics import AppMetrics
from fastsmtp.ops.metrics import AppMetricsCollector, Exposition

UNSUPPORTED = "collector does not support the requested operation"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


class App:
    """A worker that calls, as the server hears it: arguments come as JSON."""

    def __init__(self, address: str = "127.0.0.1:2112", **collect: CollectorSettings) -> None:
        self.metrics = AppMetrics(MetricsSettings(address=address, collect=collect))

    def call(self, operation: str, argument: object) -> Any:
        method = self.metrics.methods()[f"metrics.{operation}"]
        return method.call(msgspec.json.decode(msgspec.json.encode(argument), type=method.argument))

    def declare(self, name: str, kind: str, **more: object) -> Any:
        # As Collector::toArray of spiral/roadrunner-metrics has it.
        collector = {"namespace": "", "subsystem": "", "type": kind, "help": "", "labels": [], "buckets": [], **more}
        return self.call("Declare", {"name": name, "collector": collector})

    def change(self, operation: str, name: str, value: float, *labels: str) -> Any:
        return self.call(operation, {"name": name, "value": value, "labels": list(labels)})

    def text(self, accept: str = "") -> str:
        request = make_mocked_request("GET", "/metrics", {"Accept": accept})
        return Exposition(AppMetricsCollector(self.metrics)).answer(request).text or ""


def test_a_counter_and_a_gauge() -> None:
    app = App()
    assert app.declare("mails_total", "counter", help="Mails seen.", labels=["kind", "host"]) is True
    assert app.declare("queue", "gauge", namespace="app", subsystem="mail") is True
    assert app.change("Add", "mails_total", 2, "a", "x") is True
    assert app.change("Add", "mails_total", 0.5, "a", "x") is True
    assert app.change("Add", "mails_total", 1, "b", "y") is True
    for operation, value in (("Set", 10), ("Add", 5), ("Sub", 1.5)):
        assert app.change(operation, "queue", value) is True
    assert app.text() == (
        "# HELP mails_total Mails seen.\n"
        "# TYPE mails_total counter\n"
        'mails_total{host="x",kind="a"} 2.5\n'
        'mails_total{host="y",kind="b"} 1.0\n'
        "# HELP app_mail_queue \n"
        "# TYPE app_mail_queue gauge\n"
        "app_mail_queue 13.5\n"
    )


def test_a_histogram() -> None:
    app = App()
    app.declare("size", "histogram", labels=["kind"], buckets=[0.5, 1, 10])
    for value in (0.5, 0.7, 1, 11, 3):
        app.change("Observe", "size", value, "a")
    assert app.text() == (
        "# HELP size \n"
        "# TYPE size histogram\n"
        'size_bucket{kind="a",le="0.5"} 1.0\n'
        'size_bucket{kind="a",le="1"} 3.0\n'
        'size_bucket{kind="a",le="10"} 4.0\n'
        'size_bucket{kind="a",le="+Inf"} 5.0\n'
        'size_count{kind="a"} 5.0\n'
        'size_sum{kind="a"} 16.2\n'
    )


def test_a_summary_shows_the_quantiles_it_was_given() -> None:
    app = App(
        plain=CollectorSettings(type="summary"),
        parts=CollectorSettings(type="summary", objectives={"0.5": 0.1, "0.99": 0.1, "1.0": 0.1}),
    )
    for value in range(1, 101):
        app.change("Observe", "parts", value)
    app.change("Observe", "plain", 3)
    assert app.text() == (
        "# HELP plain \n"
        "# TYPE plain summary\n"
        "plain_count 1.0\n"
        "plain_sum 3.0\n"
        "# HELP parts \n"
        "# TYPE parts summary\n"
        'parts{quantile="0.5"} 50.0\n'
        'parts{quantile="0.99"} 99.0\n'
        'parts{quantile="1"} 100.0\n'
        "parts_count 100.0\n"
        "parts_sum 5050.0\n"
    )


def test_a_summary_looks_at_the_last_ten_minutes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(appmetrics.time, "monotonic", lambda: now[0])
    app = App(x=CollectorSettings(type="summary", objectives={"0.5": 0.1}))
    [metric] = app.metrics
    app.change("Observe", "x", 100)
    now[0] += 300
    app.change("Observe", "x", 1)
    app.change("Observe", "x", 2)
    [distribution] = metric.distributions.values()
    assert distribution.quantiles([0.5, 1.0]) == {0.5: 2, 1.0: 100}
    now[0] += 301
    assert distribution.quantiles([0.5, 1.0]) == {0.5: 1, 1.0: 2}
    now[0] += 300
    assert math.isnan(distribution.quantiles([0.5])[0.5])
    assert (distribution.counts, distribution.total) == ([3], 103.0)


def test_what_has_no_labels_is_there_from_the_start() -> None:
    app = App(
        a=CollectorSettings(type="counter"),
        b=CollectorSettings(type="gauge"),
        c=CollectorSettings(type="histogram", buckets=[1.0]),
        d=CollectorSettings(type="gauge", labels=["x"]),
    )
    samples = [line for line in app.text().splitlines() if not line.startswith("#")]
    assert samples == [
        "a 0.0",
        "b 0.0",
        'c_bucket{le="1"} 0.0',
        'c_bucket{le="+Inf"} 0.0',
        "c_count 0.0",
        "c_sum 0.0",
    ]


def test_a_counter_keeps_its_name_in_both_formats() -> None:
    """RoadRunner has only the older one, in which a counter need not end in `_total`."""
    app = App(jobs=CollectorSettings(type="counter"), mails_total=CollectorSettings(type="counter"))
    kept = {"": ["counter", "counter"], OPENMETRICS: ["unknown", "counter"]}
    for accept, kinds in kept.items():
        lines = app.text(accept).splitlines()
        assert [line.split()[3] for line in lines if line.startswith("# TYPE")] == kinds
        assert [line for line in lines if not line.startswith("#")] == ["jobs 0.0", "mails_total 0.0"]
    assert [family.type for family in read_openmetrics(app.text(OPENMETRICS))] == kept[OPENMETRICS]


def test_texts_of_the_application_cannot_forge_a_line() -> None:
    app = App()
    app.declare("x", "gauge", help="a\n# TYPE y untyped\ny 1", labels=["l"])
    app.change("Set", "x", 1, 'v"\n# TYPE y untyped\n')
    for accept, read in (("", text_string_to_metric_families), (OPENMETRICS, read_openmetrics)):
        [family] = read(app.text(accept))
        assert (family.name, family.type, len(family.samples)) == ("x", "gauge", 1)


@pytest.mark.parametrize(
    ("operation", "name", "value", "labels", "fault"),
    [
        ("Add", "nothing", 1, [], "undefined collector: nothing"),
        ("Sub", "counter", 1, [], f"{UNSUPPORTED}: counter does not support Sub"),
        ("Set", "counter", 1, [], f"{UNSUPPORTED}: counter does not support Set"),
        (
            "Observe",
            "gauge",
            1,
            [],
            f"{UNSUPPORTED}: gauge does not support Observe",
        ),
        ("Add", "summary", 1, [], f"{UNSUPPORTED}: summary does not support Add"),
        (
            "Set",
            "histogram",
            1,
            [],
            f"{UNSUPPORTED}: histogram does not support Set",
        ),
        ("Add", "counter", -1, [], "counter cannot decrease in value: counter"),
        ("Add", "labelled", 1, [], "required labels for collector: labelled"),
        ("Add", "labelled", 1, ["a"], "labelled has 2 labels (one, two), got 1"),
        ("Add", "labelled", 1, ["a", "b", "c"], "labelled has 2 labels (one, two), got 3"),
    ],
)
def test_what_a_type_does_not_allow(operation: str, name: str, value: float, labels: list[str], fault: str) -> None:
    kinds: dict[str, Any] = {kind: {"type": kind} for kind in ("counter", "gauge", "histogram", "summary")}
    kinds["labelled"] = {"type": "gauge", "labels": ["one", "two"]}
    app = App(**{name: CollectorSettings(**settings) for name, settings in kinds.items()})
    before = app.text()
    with pytest.raises(CallError) as caught:
        app.change(operation, name, value, *labels)
    assert str(caught.value) == fault
    assert app.text() == before


@pytest.mark.parametrize(
    ("name", "kind", "more", "fault"),
    [
        ("x", "timer", {}, "unknown collector type: timer"),
        ("a b", "gauge", {}, 'a b: expected a name of letters, digits and "_", got "a b"'),
        ("x", "gauge", {"labels": ["a-b"]}, 'x: expected other labels, each once, got "a-b"'),
        ("x", "histogram", {"buckets": [2, 1]}, "x: expected buckets in increasing order"),
        (
            "smtp_requests_queue",
            "gauge",
            {"namespace": "rr"},
            "smtp_requests_queue: names that begin with rr_smtp_ or process_ are those of the server",
        ),
        ("there_sum", "gauge", {}, "duplicate metrics collector registration attempted: there_sum"),
    ],
)
def test_a_declaration_that_prometheus_would_not_take(name: str, kind: str, more: dict[str, Any], fault: str) -> None:
    app = App(there=CollectorSettings(type="summary"))
    with pytest.raises(CallError) as caught:
        app.declare(name, kind, **more)
    assert str(caught.value) == fault
    assert len(list(app.metrics)) == 1


def test_declaring_again_changes_nothing() -> None:
    """Each worker declares its metrics when it starts."""
    app = App(x=CollectorSettings(type="counter"))
    app.change("Add", "x", 3)
    assert app.declare("x", "gauge", labels=["other"]) is True
    assert app.text().splitlines()[-1] == "x 3.0"


def test_an_unregistered_one_is_gone_and_may_be_something_else() -> None:
    app = App(x=CollectorSettings(type="counter"))
    assert app.call("Unregister", "x") is True
    assert app.text() == ""
    with pytest.raises(CallError, match=r"^undefined collector: x$"):
        app.call("Unregister", "x")
    app.declare("x", "gauge")
    assert app.change("Sub", "x", 1) is True
    assert app.text().splitlines()[-1] == "x -1.0"


def test_labels_of_one_without_labels_are_not_looked_at() -> None:
    app = App(x=CollectorSettings(type="gauge"))
    assert app.change("Set", "x", 1, "a", "b") is True
    assert app.call("Set", {"name": "x", "value": 2, "labels": None}) is True
    assert app.call("Add", {"name": "x", "value": 1}) is True
    assert app.text().splitlines()[-1] == "x 3.0"


def test_there_are_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appmetrics, "MAX_SERIES", 2)
    monkeypatch.setattr(appmetrics, "MAX_METRICS", 2)
    app = App()
    app.declare("x", "gauge", labels=["l"])
    app.declare("y", "summary", labels=["l"])
    for operation, name in (("Set", "x"), ("Observe", "y")):
        for label in ("a", "b", "a"):
            app.change(operation, name, 1, label)
        with pytest.raises(CallError, match=rf"^{name} has 2 combinations of labels already$"):
            app.change(operation, name, 1, "c")
    with pytest.raises(CallError, match=r"^there are 2 metrics already$"):
        app.declare("z", "gauge")


def test_where_nothing_shows_them_a_worker_is_told() -> None:
    app = App(address="")
    for operation, argument in (
        ("Declare", {"name": "x", "collector": {"type": "gauge"}}),
        ("Add", {"name": "x", "value": 1}),
        ("Unregister", "x"),
    ):
        with pytest.raises(CallError, match=r"^metrics\.address is not set: there are no metrics$"):
            app.call(operation, argument)
