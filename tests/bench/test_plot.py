"""The picture of a load: what it needs, and that the same load gives the same file."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from fastsmtp.bench import plot
from fastsmtp.bench.interval import Interval
from fastsmtp.bench.measures import Measures
from fastsmtp.text import pip_install

pytestmark = pytest.mark.one_python


def measures(*intervals: Interval) -> Measures:
    """A load of so many intervals, with a latency of 1 to 100 ms."""
    found = Measures()
    found.intervals.extend(intervals)
    for milliseconds in range(1, 101):
        found.mail.add(milliseconds / 1000)
        found.verdict.add(milliseconds / 2000)
    return found


def test_needs_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    text = re.escape(f"--plot needs matplotlib, which is not here: {pip_install('matplotlib')}")
    with pytest.raises(plot.MissingExtra, match=f"^{text}$"):
        plot.require()
    with pytest.raises(plot.MissingExtra, match=f"^{text}$"):
        plot.draw(str(tmp_path / "load.svg"), "a load", Measures())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "intervals",
    [
        (),
        (
            Interval(0.0, 1.0, 50, 0, 500, 0.01, 0.02, 0.03, 0.04),
            Interval(1.0, 1.0, 50, 0, 500, 0.01, 0.02, 0.03, 0.04),
        ),
        (Interval(0.0, 1.0, 99, 1, 990, 0.01, 0.02, 0.03, 0.04), Interval(1.0, 0.1, 0, 0, 0, 0.0, 0.0, 0.0, 0.0)),
    ],
    ids=["nothing", "answered", "failed"],
)
def test_draws_the_same_twice(tmp_path: Path, intervals: tuple[Interval, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    monkeypatch.setitem(matplotlib.rcParams, "svg.hashsalt", "fastsmtp")
    for name in ("first.svg", "second.svg"):
        plot.draw(str(tmp_path / name), "a load of mails", measures(*intervals))
    first, second = ((tmp_path / name).read_bytes() for name in ("first.svg", "second.svg"))
    assert first == second
    assert first.startswith(b"<?xml")


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF")])
def test_format_of_the_suffix(tmp_path: Path, suffix: str, magic: bytes) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / f"load{suffix}"
    plot.draw(str(path), "a load", measures())
    assert path.read_bytes()[:4] == magic


def test_cannot_write(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(FileNotFoundError):
        plot.draw(str(tmp_path / "no" / "load.svg"), "a load", measures())
