"""Who may import whom: a module imports only from its own package and from those above it in LAYERS."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import fastsmtp

pytestmark = pytest.mark.one_python

PACKAGE = Path(fastsmtp.__file__).parent

# From the bottom of the house up: what stands first knows nothing of what stands later. A row is a package, or a module
# that lies in none.
LAYERS = [
    "errors",
    "text",
    "_parse",
    "mime",
    "smtp",
    "system",
    "capture",
    "config",
    "faults",
    "goridge",
    "worker",
    "client",
    "bench",
    "ops",
    "workers",
    "printer",
    "delivery",
    "inbox",
    "cluster",
    "server",
    "processes",
    "cli",
]
OUTSIDE_THE_ORDER = {"", "__main__"}  # the package, and its command

ONLY_HOME = {
    "yaml": {"config.documents", "config.nodes", "config.file"},
    "orjson": {
        "delivery.deferred",
        "delivery.large",
        "delivery.payload",
        "inbox",
        "inbox.api",
        "inbox.mailpit",
        "ops.log",
    },
    "click": {
        "cli.main",
        "cli.options",
        "cli.check",
        "cli.faults",
        "cli.dead",
        "cli.nodes",
        "cli.inbox",
        "cli.inboxoptions",
        "cli.namespaces",
        "cli.remote",
        "cli.send",
        "cli.sendmail",
        "cli.serve",
        "cli.bench",
        "cli.completion",
        "cli.diff",
        "cli.recording",
        "cli.source",
        "cli.testserver",
    },
    "uvloop": {"system.loop", "bench.load"},
    "matplotlib": {"bench.plot"},
    "aiohttp": {
        "inbox.api",
        "inbox.mailpit",
        "inbox.page",
        "ops.httpserver",
        "ops.endpoints",
        "ops.health",
        "ops.metrics",
    },
    "prometheus_client": {"ops.metrics"},
    "nats": {"cluster.connection", "cluster.streams"},
}

# No event loop, no clock, no logs, no files: octets in; replies, events, texts and octets out.
SANS_IO = {
    "_parse",
    "mime",
    "smtp",
    "goridge.frame",
    "delivery",
    "client.auth",
    "client.dialogue",
    "client.mail",
    "bench.message",
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
            while parts and ".".join(parts) not in MODULES and not is_extension(parts):
                parts.pop()
            found.add(".".join(parts))
    return found


def is_extension(parts: list[str]) -> bool:
    """Whether a module is compiled from Cython, and so no `.py` file."""
    return PACKAGE.joinpath(*parts).with_suffix(".pyi").exists()


def room(name: str) -> str:
    """The row of LAYERS in which a module lives."""
    return name.partition(".")[0]


def test_every_module_has_its_place() -> None:
    assert {room(name) for name in MODULES} - set(LAYERS) - OUTSIDE_THE_ORDER == set()


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name not in OUTSIDE_THE_ORDER))
def test_imports_only_from_below(name: str) -> None:
    allowed = {"", *LAYERS[: LAYERS.index(room(name)) + 1]}
    assert {imported for imported in own_imports(name) if room(imported) not in allowed} == set()


@pytest.mark.parametrize("package", sorted({room(name) for name in MODULES if "." in name}))
def test_no_circle_within_a_package(package: str) -> None:
    graph = {name: own_imports(name) & set(MODULES) for name in MODULES if room(name) == package}
    assert set(TopologicalSorter(graph).static_order()) >= set(graph)  # or CycleError


@pytest.mark.parametrize("library", ONLY_HOME)
def test_library_has_one_home(library: str) -> None:
    users = {name for name in MODULES if library in {imported.split(".")[0] for imported in imports(name)}}
    homes = ONLY_HOME[library]
    assert {name for name in users if not {name, name.rpartition(".")[0]} & homes} == set()


@pytest.mark.parametrize("name", sorted(name for name in MODULES if {name, room(name)} & SANS_IO))
def test_sans_io(name: str) -> None:
    assert {imported.split(".")[0] for imported in imports(name)} & IO_MODULES == set()


def test_package_import_is_light() -> None:
    code = (
        "import sys, fastsmtp; print(sorted({'uvloop', 'yaml', 'click', 'asyncio', 'fastsmtp.cli'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
