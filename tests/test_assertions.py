"""Every test asserts something, itself or by a helper of the tests, and none sleeps."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.one_python

TESTS = Path(__file__).parent
FILES = sorted(TESTS.rglob("*.py"))
FAILING = {"raises", "fail", "warns"}  # of pytest
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield node


def called(function: Function) -> set[str]:
    """The last names of what a function calls."""
    names = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            names |= {ast.unparse(node.func).rpartition(".")[2]}
    return names


def asserting() -> set[str]:
    """Names of functions that can fail a test: by an assertion, or by calling one that does."""
    found = set(FAILING)
    calls: dict[str, set[str]] = {}
    for function in (function for path in FILES for function in functions(path)):
        calls.setdefault(function.name, set()).update(called(function))
        if any(isinstance(node, ast.Assert) for node in ast.walk(function)):
            found.add(function.name)
    grown = True
    while grown:
        more = {name for name, names in calls.items() if names & found}
        grown = not more <= found
        found |= more
    return found


ASSERTING = asserting()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_every_test_asserts_something(path: Path) -> None:
    tests = {function.name for function in functions(path) if function.name.startswith("test_")}
    assert tests - ASSERTING == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_no_test_sleeps(path: Path) -> None:
    """To wait for a state there is `waits.py`; `asyncio.sleep(0)` is a turn of the loop."""
    slept = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.sleep", "asyncio.sleep")
    ]
    allowed = {"asyncio.sleep(0)"}
    if path.name == "waits.py":
        allowed |= {"asyncio.sleep(_LOOK_EVERY_S)", "time.sleep(_LOOK_EVERY_S)"}
    assert set(slept) - allowed == set()
