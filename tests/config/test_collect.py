"""The section `metrics.collect`: what a metric may be called, and what it consists of."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastsmtp.config.collect import DEFAULT_BUCKETS, CollectorSettings
from fastsmtp.config.file import load
from fastsmtp.errors import ConfigError


@pytest.fixture(autouse=True)
def in_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def collect(text: str) -> dict[str, CollectorSettings]:
    Path("rr.yaml").write_text(f"metrics:\n  collect: {text}\n")
    return load("rr.yaml").metrics.collect


def test_every_key() -> None:
    found = collect(
        "{one: {type: histogram, namespace: app, subsystem: mail, help: Sizes, labels: [kind], buckets: [1, 2.5]},"
        " two: {type: summary, objectives: {0.5: 0.05, 1.0: 1.4}}}"
    )
    assert found == {
        "one": CollectorSettings(
            type="histogram", namespace="app", subsystem="mail", help="Sizes", labels=["kind"], buckets=[1.0, 2.5]
        ),
        "two": CollectorSettings(type="summary", objectives={"0.5": 0.05, "1.0": 1.4}),
    }
    assert [settings.full_name(name) for name, settings in found.items()] == ["app_mail_one", "two"]
    assert found["two"].quantiles == [0.5, 1.0]


def test_objectives_may_be_a_list_as_older_files_have_them() -> None:
    assert collect("{x: {type: summary, objectives: [0.5: 0.1, 0.9: 0.01]}}")["x"].quantiles == [0.5, 0.9]


def test_a_type_takes_what_only_another_one_uses() -> None:
    """RoadRunner's reference file had such a histogram from its version 2 to 2023."""
    text = "{x: {type: histogram, objectives: [1.4: 2.3, 2.0: 1.4]}, y: {type: summary, buckets: [2, 1]}}"
    found = collect(text)
    assert (found["x"].bounds, found["x"].quantiles) == (DEFAULT_BUCKETS, [])
    assert (found["y"].bounds, found["y"].quantiles) == ((), [])


@pytest.mark.parametrize(
    ("text", "bounds"),
    [("", DEFAULT_BUCKETS), (", buckets: []", DEFAULT_BUCKETS), (", buckets: [0, 1, .inf]", (0.0, 1.0))],
    ids=["none", "empty", "infinity"],
)
def test_the_bucket_without_a_bound_is_always_there(text: str, bounds: tuple[float, ...]) -> None:
    assert collect(f"{{x: {{type: histogram{text}}}}}")["x"].bounds == bounds


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("counter", {"x_total", "x"}),
        ("gauge", {"x_total"}),
        ("histogram", {"x_total", "x_total_bucket", "x_total_count", "x_total_sum"}),
        ("summary", {"x_total", "x_total_count", "x_total_sum"}),
    ],
)
def test_the_names_that_a_metric_takes(kind: str, names: set[str]) -> None:
    assert collect(f"{{x_total: {{type: {kind}}}}}")["x_total"].sample_names("x_total") == names


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("{x: {help: y}}", ["rr.yaml:2: metrics.collect.x.type: required, but missing"]),
        (
            "{x: {type: timer}}",
            [
                "rr.yaml:2: metrics.collect.x.type: "
                'expected one of "histogram", "gauge", "counter", "summary", got "timer"'
            ],
        ),
        (
            "{'a-b': {type: gauge}}",
            ['rr.yaml:2: metrics.collect.a-b: expected a name of letters, digits and "_", got "a-b"'],
        ),
        (
            "{queue: {type: gauge, namespace: rr, subsystem: smtp}}",
            ["rr.yaml:2: metrics.collect.queue: names that begin with rr_smtp_ or process_ are those of the server"],
        ),
        (
            "{x: {type: gauge, labels: [ok, 1a]}, y: {type: gauge, labels: [__x]}, z: {type: gauge, labels: [a, a]}}",
            [
                f'rr.yaml:2: metrics.collect.{name}: expected other labels, each once, got "{label}"'
                for name, label in (("x", "1a"), ("y", "__x"), ("z", "a"))
            ],
        ),
        (
            "{x: {type: histogram, labels: [le]}}",
            ['rr.yaml:2: metrics.collect.x: expected other labels, each once, got "le"'],
        ),
        (
            "{x: {type: histogram, buckets: [1, 1]}}",
            ["rr.yaml:2: metrics.collect.x: expected buckets in increasing order"],
        ),
        (
            "{x: {type: histogram, buckets: [many]}}",
            ['rr.yaml:2: metrics.collect.x.buckets[0]: expected a number, got "many"'],
        ),
        (
            "{x: {type: summary, objectives: {1.4: 2.3}}, y: {type: summary, objectives: {half: 1}}}",
            [
                f"rr.yaml:2: metrics.collect.{name}: expected objectives with quantiles from 0 to 1"
                for name in ("x", "y")
            ],
        ),
        (
            "{x: {type: histogram}, x_count: {type: gauge}}",
            ["rr.yaml:2: metrics.collect.x_count: x_count is shown by x already"],
        ),
    ],
)
def test_faults(text: str, faults: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        collect(text)
    assert caught.value.faults == faults
