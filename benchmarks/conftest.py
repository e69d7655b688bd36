"""Real servers for the load tests, and the table of what was measured at the end."""

from __future__ import annotations

import json
import platform
from typing import Any

import pytest
from startserver import serve

import fastsmtp

__all__ = ["serve"]

ROWS = pytest.StashKey[list[dict[str, Any]]]()


@pytest.fixture(scope="session")
def table(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """Rows to print and to write when all is measured."""
    return request.config.stash.setdefault(ROWS, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the rows as a table and write them to `.benchmarks/load.json`."""
    rows = config.stash.get(ROWS, [])
    if not rows:
        return
    columns = list(rows[0])
    lines = [columns, *[[str(row[column]) for column in columns] for row in rows]]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    terminalreporter.section("load")
    for line in lines:
        cells = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        terminalreporter.write_line("  ".join([line[0].ljust(widths[0]), *cells]))
    directory = config.rootpath / ".benchmarks"
    directory.mkdir(exist_ok=True)
    about = {"fastsmtp": fastsmtp.__version__, "python": platform.python_version(), "machine": platform.platform()}
    (directory / "load.json").write_text(json.dumps({**about, "loads": rows}, indent=1) + "\n")
