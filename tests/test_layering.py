"""Who may import whom: a module imports only from modules above it in the list, and some libraries have one home."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastsmtp

PACKAGE = Path(fastsmtp.__file__).parent

# From the bottom of the building up: what stands first knows nothing of what stands later.
LAYERS = [
    "errors",
    "addresses",
    "rules",
    "config",
    "configfile",
    "loop",
    "resets",
    "tally",
    "metrics",
    "_json",
    "_parse",
    "identifier",
    "envelope",
    "reply",
    "violations",
    "command",
    "auth",
    "events",
    "transcript",
    "line",
    "channel",
    "transaction",
    "transfer",
    "session",
    "mime.defects",
    "mime._base64",
    "mime._fields",
    "mime._quoted_printable",
    "mime.charset",
    "mime.words",
    "mime.parameters",
    "mime.address",
    "mime.header",
    "mime.decode",
    "mime.entity",
    "mime.splitter",
    "storage",
    "payload",
    "jobs",
    "sockets",
    "endpoint",
    "status",
    "goridge.frame",
    "goridge.relay",
    "goridge.pipes",
    "goridge.rpc",
    "goridge.client",
    "goridge.caller",
    "workers.launch",
    "workers.handshake",
    "workers.worker",
    "workers.answer",
    "workers.recruiter",
    "workers.supervisor",
    "workers.lifecycle",
    "workers.pool",
    "inflight",
    "tls",
    "starttls",
    "capture",
    "protocol",
    "control",
    "processes.numbers",
    "server",
    "worker",
    "logoutput",
    "log",
    "archive",
    "table",
    "embedded",
    "processes.shares",
    "summary",
    "letter",
    "sending",
    "processes.assignment",
    "processes.child",
    "processes.delays",
    "processes.orphans",
    "processes.slot",
    "processes.face",
    "processes.parent",
    "service",
    "bench.message",
    "bench.dialogue",
    "bench.histogram",
    "bench.measures",
    "bench.ledger",
    "bench.alarm",
    "bench.connection",
    "bench.plan",
    "bench.load",
    "bench.report",
    "bench.plot",
    "commands.options",
    "commands.check",
    "commands.remote",
    "commands.send",
    "commands.bench",
    "cli",
]
OUTSIDE_THE_ORDER = {
    "",
    "__main__",
    "bench",
    "commands",
    "goridge",
    "mime",
    "processes",
    "workers",
}  # the package, its command, and folders

ONLY_HOME = {
    "yaml": {"configfile"},
    "orjson": {"payload", "log"},
    "click": {"cli", "commands.options", "commands.check", "commands.remote", "commands.send", "commands.bench"},
    "uvloop": {"loop", "bench.load"},
    "matplotlib": {"bench.plot"},
}

# No event loop, no clock, no logs, no files: bytes in, replies and events out.
SANS_IO = {
    *LAYERS[LAYERS.index("_parse") : LAYERS.index("storage")],
    "payload",
    "jobs",
    "goridge.frame",
    "bench.message",
    "bench.dialogue",
    "bench.plan",
}
IO_MODULES = {
    "asyncio",
    "logging",
    "os",
    "pathlib",
    "select",
    "socket",
    "structlog",
    "subprocess",
    "tempfile",
    "threading",
}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def imports(name: str) -> Iterator[str]:
    """Absolute names of the modules that `name` imports anywhere, those for type checkers alone left out."""
    path = MODULES[name]
    package = ["fastsmtp", *name.split(".")] if path.stem == "__init__" else ["fastsmtp", *name.split(".")][:-1]
    for node in run_time_nodes(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def run_time_nodes(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from run_time_nodes(child)


def own_imports(name: str) -> set[str]:
    """The modules of ours that `name` imports, `fastsmtp.x.y.Name` cut back to the module."""
    found = set()
    for imported in imports(name):
        parts = imported.split(".")
        if parts[0] == "fastsmtp":
            parts = parts[1:]
            while parts and ".".join(parts) not in {*LAYERS, *OUTSIDE_THE_ORDER}:
                parts.pop()
            found.add(".".join(parts))
    return found


def test_every_module_has_its_place() -> None:
    assert set(MODULES) - set(LAYERS) - OUTSIDE_THE_ORDER == set()


@pytest.mark.parametrize("name", [name for name in LAYERS if name in MODULES])
def test_imports_only_from_above(name: str) -> None:
    allowed = {"", *LAYERS[: LAYERS.index(name)]}
    assert own_imports(name) - allowed == set()


@pytest.mark.parametrize("library", ONLY_HOME)
def test_library_has_one_home(library: str) -> None:
    users = {name for name in MODULES if library in {imported.split(".")[0] for imported in imports(name)}}
    assert users <= ONLY_HOME[library]


@pytest.mark.parametrize("name", sorted(SANS_IO & set(MODULES)))
def test_sans_io(name: str) -> None:
    used = {(name, imported.split(".")[0]) for imported in imports(name)}
    assert {module for _, module in used} & IO_MODULES == set()


def test_package_import_is_light() -> None:
    code = (
        "import sys, fastsmtp; print(sorted({'uvloop', 'yaml', 'click', 'asyncio', 'fastsmtp.cli'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
