"""What the modules that mypyc compiles must not contain."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def compiled_modules() -> list[str]:
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "MYPYC":
            modules: list[str] = list(ast.literal_eval(node.value))
            return modules
    raise AssertionError("setup.py has no list MYPYC")


@pytest.mark.parametrize("module", compiled_modules())
def test_no_coroutine_is_compiled(module: str) -> None:
    """A compiled coroutine that is cancelled calls throw() with three arguments: DeprecationWarning since 3.12."""
    tree = ast.parse((ROOT / module.replace(".", "/")).with_suffix(".py").read_text())
    coroutines = [node.name for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)]
    assert coroutines == []


# Calls that change nothing and cost little.
PURE = {"len", "max", "min", "start", "end", "match", "rfind", "rindex", "_octets_in"}


@pytest.mark.parametrize("module", compiled_modules())
def test_no_slice_calls_what_has_effects(module: str) -> None:
    """Compiled, a call in the bounds of a slice is made twice."""
    tree = ast.parse((ROOT / module.replace(".", "/")).with_suffix(".py").read_text())
    bounds = [part for node in ast.walk(tree) if isinstance(node, ast.Slice) for part in (node.lower, node.upper)]
    called = {
        call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
        for part in bounds
        if part is not None
        for call in ast.walk(part)
        if isinstance(call, ast.Call)
    }
    assert called <= PURE
