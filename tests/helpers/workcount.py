"""Counts what our Python code does: calls, turns of loops, and the octets and items it hands to what is written in C.

Modules are imported with each loop, function and operator that may cost more than a step telling `Work`; nothing else
of them changes. Run as a program, it prints as JSON what each form of `hostileforms` costs at some lengths. Time plays
no part: two runs count the same.
"""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import importlib.util
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
COUNTED: Final = ("fastsmtp.mime.", "fastsmtp.capture.", "fastsmtp.delivery.", "fastsmtp.smtp.")
SIZES: Final = (800, 1600, 3200)
# Where the work seems to grow, it may only have passed a limit from which on more is to be done for each octet.
LARGER_SIZES: Final = (4000, 8000, 16000)
# Of an octet of the second half against one of the first: 1 where the work is linear, 2 where it grows by the square.
MOST: Final = 1.35
_FREE_STEPS: Final = 3.0  # of an octet: what is done for the first time
_SIZED: Final = (str, bytes, bytearray, list, tuple, dict, set, frozenset)
_TEXT: Final = (str, bytes, bytearray)
# Methods that look for something from a place on, or at a place: they cost what lies between it and what they find.
_SEARCHES: Final = {"find", "rfind", "index", "rindex", "search", "match", "fullmatch"}
_AT_A_PLACE: Final = {"startswith", "endswith"}
# Functions in Cython that are told where to begin: they cost what lies between that and what they return.
_POSITIONS: Final = {
    "find_quote_end": lambda arguments, found: _between(arguments[1], found, len(arguments[0])),
    "find_comment_end": lambda arguments, found: _between(arguments[1], found, len(arguments[0])),
    "skip_text": lambda arguments, found: found - arguments[1],
    "skip_fields": lambda arguments, found: found[0] - arguments[1],
    "take_line": lambda arguments, found: _between(arguments[1], found[1], arguments[2]),
    "find_header_end": lambda arguments, found: _between(arguments[1], found[1], arguments[2]),
    "find_delimiter": lambda arguments, found: _between(arguments[1], found[1], arguments[2]),
    "utf8_end": lambda arguments, found: found - arguments[1],
}
# What is handed a piece of a buffer costs that piece.
_PIECES: Final = {"feed", "keep", "escape", "escaped_size"}
_FREE: Final = {"len", "isinstance", "iter", "next", "range", "enumerate", "zip", "reversed", "id", "bool", "print"}
_CONSTANT: Final = {
    "append",
    "pop",
    "popleft",
    "get",
    "add",
    "clear",
    "end",
    "start",
    "group",
    "groups",
    "keys",
    "items",
}
_CONSTANT |= {"values", "setdefault", "discard", "appendleft"}


class Work:
    """What was done so far."""

    def __init__(self) -> None:
        self.steps = 0

    def step(self) -> None:
        """A call, or a turn of a loop."""
        self.steps += 1

    def made(self, value: Any) -> Any:
        """`value` was put together: it costs its length."""
        if isinstance(value, _SIZED):
            self.steps += len(value)
        return value

    def added(self, left: Any, right: Any, value: Any) -> Any:
        """`left` became `value` by `+=`: what is changed in its place costs what was added."""
        if isinstance(right, _SIZED):
            self.steps += len(right) if isinstance(left, (bytearray, list)) else len(value)
        return value

    def sought(self, item: Any, place: Any) -> Any:
        """`item in place` was asked; sets and dicts answer at once."""
        if isinstance(place, _TEXT) and isinstance(item, _TEXT):
            found = place.find(item)  # type: ignore[arg-type]
            self.steps += len(place) if found < 0 else found
        elif isinstance(place, (list, tuple)):
            self.steps += len(place)
        return item in place

    def called(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call a function, and count what it is handed if it is written in C."""
        # Some functions in C take no options at all, not even none.
        result = function(*arguments, **options) if options else function(*arguments)
        if not hasattr(function, "__code__"):
            self.steps += _cost(function, arguments, result)
        return result


def _between(start: int, found: int, end: int) -> int:
    return (end if found < 0 else found) - start


def _cost(function: Callable[..., Any], arguments: Sequence[Any], result: Any) -> int:
    name = getattr(function, "__name__", "")
    owner = getattr(function, "__self__", None)
    if name in _FREE or (isinstance(function, type) and function not in _SIZED):
        return 1
    if name in _POSITIONS:
        return _POSITIONS[name](arguments, result)
    if name in _PIECES and len(arguments) == 3:
        return int(arguments[2]) - int(arguments[1])
    if name in _SEARCHES:
        return _search_cost(owner, name, arguments, result)
    if name in _AT_A_PLACE or name in _CONSTANT:
        return 1
    handed = sum(len(argument) for argument in arguments if isinstance(argument, _SIZED))
    if isinstance(owner, _TEXT):
        handed += len(owner)
    return handed + (len(result) if isinstance(result, _TEXT) else 0)


def _search_cost(owner: Any, name: str, arguments: Sequence[Any], result: Any) -> int:
    is_pattern = isinstance(owner, re.Pattern)
    text = arguments[0] if is_pattern else owner
    if not isinstance(text, _TEXT):
        return 1
    numbers = [argument for argument in arguments[1:] if isinstance(argument, int)]
    start = min(numbers[0], len(text)) if numbers else 0
    end = min(numbers[1], len(text)) if len(numbers) > 1 else len(text)
    if is_pattern:
        if result is not None:
            return int(result.end()) - start
        return 1 if name == "match" else end - start
    if result < 0:
        return end - start
    return int(end - result if name.startswith("r") else result - start)


WORK: Final = Work()
_NAME: Final = "__work__"


class _Counting(ast.NodeTransformer):
    """Makes a module tell `WORK` what it does."""

    def _tell(self, method: str, *arguments: ast.expr) -> ast.Call:
        return ast.Call(ast.Attribute(ast.Name(_NAME, ast.Load()), method, ast.Load()), list(arguments), [])

    def _with_step(self, body: list[ast.stmt]) -> list[ast.stmt]:
        place = 1 if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) else 0
        return [*body[:place], ast.Expr(self._tell("step")), *body[place:]]

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        decorators, arguments = node.decorator_list, node.args
        self.generic_visit(node)
        node.decorator_list, node.args = decorators, arguments
        node.body = self._with_step(node.body)
        return node

    def visit_For(self, node: ast.For) -> ast.AST:
        self.generic_visit(node)
        node.body = self._with_step(node.body)
        return node

    def visit_While(self, node: ast.While) -> ast.AST:
        self.generic_visit(node)
        node.body = self._with_step(node.body)
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        self.generic_visit(node)
        told = ast.Compare(self._tell("step"), [ast.Is()], [ast.Constant(None)])
        node.ifs = [told, *node.ifs]
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.slice, ast.Slice) and isinstance(node.ctx, ast.Load):
            return self._tell("made", node)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return self._tell("made", node) if isinstance(node.op, (ast.Add, ast.Mult)) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return self._tell("made", node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.op, ast.Add) or not isinstance(node.target, ast.Name):
            return node
        # It stays what it is, since lists change in their place; what was added is told afterwards.
        name = ast.Name(node.target.id, ast.Load())
        value = ast.Name("__added__", ast.Store())
        keep = ast.Assign([value], node.value)
        node.value = ast.Name("__added__", ast.Load())
        tell = ast.Expr(self._tell("added", name, ast.Name("__added__", ast.Load()), name))
        return [keep, node, tell]  # type: ignore[return-value]

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if len(node.ops) == 1 and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            told = self._tell("sought", node.left, node.comparators[0])
            return told if isinstance(node.ops[0], ast.In) else ast.UnaryOp(ast.Not(), told)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in ("super", "locals", "globals"):
            return node
        return ast.Call(
            ast.Attribute(ast.Name(_NAME, ast.Load()), "called", ast.Load()), [node.func, *node.args], node.keywords
        )

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.body = [self.visit(child) if isinstance(child, ast.FunctionDef) else child for child in node.body]
        return node


class _Loader(importlib.abc.SourceLoader):
    def __init__(self, path: Path) -> None:
        self._path = path

    def get_filename(self, fullname: str) -> str:
        return str(self._path)

    def get_data(self, path: str) -> bytes:  # type: ignore[override]
        return Path(path).read_bytes()

    def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> CodeType:  # type: ignore[override]
        tree = ast.fix_missing_locations(_Counting().visit(ast.parse(data)))
        code: CodeType = compile(tree, path, "exec", dont_inherit=True)
        return code

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__[_NAME] = WORK
        super().exec_module(module)


class Finder(importlib.abc.MetaPathFinder):
    """Finds the sources of the modules that are counted, whether or not they are installed compiled."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        source = ROOT.joinpath(*fullname.split(".")).with_suffix(".py")
        if not fullname.startswith(COUNTED) or not source.is_file():
            return None
        return importlib.util.spec_from_file_location(fullname, source, loader=_Loader(source))


def costs_of(run: Callable[[bytes], None], form: Callable[[int], bytes], sizes: Sequence[int]) -> list[tuple[int, int]]:
    """How many octets each size has in this form, and how much work `run` does with them."""
    costs = []
    for size in sizes:
        octets = form(size)
        before = WORK.steps
        run(octets)
        costs.append((len(octets), WORK.steps - before))
    return costs


def growth(costs: list[tuple[int, int]]) -> float:
    """How much more an octet costs between 2n and 4n than between n and 2n."""
    (one, work), (two, twice), (four, fourfold) = costs
    if four == two or two == one:
        return 1.0
    return (fourfold - twice) / (four - two) / ((twice - work) / (two - one) + _FREE_STEPS)


def main() -> None:
    """Print `{kind: {form: [[octets, work], ...]}}`. Of the forms, each so many after the first few: `FIRST EACH`."""
    first, each = map(int, sys.argv[1:3])
    sys.meta_path.insert(0, Finder())
    import hostileforms  # what they import is to be counted
    import hostileruns

    costs: dict[str, dict[str, list[tuple[int, int]]]] = {}
    for kind, forms, run in (
        ("message", hostileforms.MESSAGES, hostileruns.run_message),
        ("stream", hostileforms.STREAMS, hostileruns.run_stream),
    ):
        run(forms[next(iter(forms))](SIZES[0]))  # what is made once
        costs[kind] = {}
        for name in list(forms)[first::each]:
            costs[kind][name] = costs_of(run, forms[name], SIZES)
            if growth(costs[kind][name]) > MOST:
                costs[kind][name] = costs_of(run, forms[name], LARGER_SIZES)
    json.dump(costs, sys.stdout)


if __name__ == "__main__":
    main()
