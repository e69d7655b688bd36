"""The documentation says what the program does: settings, messages, modules, links."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import click
import msgspec
import pytest
import yaml
from servers import TESTS

from fastsmtp.cli.main import main
from fastsmtp.config.cluster import (
    AMQPOutputSettings,
    ClusterSettings,
    ClusterTLSSettings,
    InFlightSettings,
    StreamRetentionSettings,
    StreamSettings,
)
from fastsmtp.config.collect import CollectorSettings
from fastsmtp.config.file import load
from fastsmtp.config.logs import ChannelSettings, FileLoggerSettings
from fastsmtp.config.rules import parse_duration
from fastsmtp.config.settings import (
    Config,
    DynamicAllocatorSettings,
    InboxAuthSettings,
    InboxSettings,
    JobsSettings,
    ListenerSettings,
    RetentionSettings,
)
from fastsmtp.errors import ConfigError

pytestmark = pytest.mark.one_python

ROOT = TESTS.parent
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("examples/**/README.md")])
CONFIGURATION = (DOCS / "configuration.md").read_text()
ROWS = re.findall(r"^\| `([\w.<>]+)` \| (.+?) \| (`.*?`|required) \| .*\|$", CONFIGURATION, re.M)


def keys(struct: type[msgspec.Struct], above: str = "") -> Iterator[str]:
    """Every key that takes a value, with dots."""
    for field in msgspec.structs.fields(struct):
        key = f"{above}{field.encode_name}"
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from keys(field.type, f"{key}.")
        else:
            yield key
            for item in sections_in(field.type):
                if get_origin(field.type) is dict:
                    yield from (f"{key}.<name>.{below.encode_name}" for below in msgspec.structs.fields(item))
                else:  # a section that may be left out
                    yield from keys(item, f"{key}.")


def sections_in(kind: Any) -> list[type[msgspec.Struct]]:
    return [item for item in get_args(kind) if isinstance(item, type) and issubclass(item, msgspec.Struct)]


def test_every_key_is_documented_once() -> None:
    documented = [key for key, _, _ in ROWS]
    assert sorted(documented) == sorted(keys(Config))


# Those that may be there or not, each with what is required.
OPTIONAL = {
    "smtp.servers.<name>": ListenerSettings(addr=""),
    "smtp.jobs": JobsSettings(),
    "smtp.pool.dynamic_allocator": DynamicAllocatorSettings(),
    "logs.channels.<name>": ChannelSettings(),
    "metrics.collect.<name>": CollectorSettings(type="gauge"),
    "logs.file_logger_options": FileLoggerSettings(),
    "cluster": ClusterSettings(),
    "cluster.tls": ClusterTLSSettings(),
    "cluster.stream": StreamSettings(),
    "cluster.in_flight": InFlightSettings(),
    "cluster.retention": StreamRetentionSettings(),
    "cluster.outputs": AMQPOutputSettings(driver="amqp", addr=""),
    "inbox": InboxSettings(),
    "inbox.retention": RetentionSettings(),
    "inbox.auth": InboxAuthSettings(),
}


def parent(key: str) -> str:
    return key.rpartition(".")[0]


@pytest.mark.parametrize(
    ("key", "default"), [(key, default) for key, _, default in ROWS if parent(key) not in OPTIONAL]
)
def test_documented_default_is_the_default(key: str, default: str) -> None:
    assert load(None, [f"{key}={default.strip('`')}"]) == load(None)


LIMITS = re.findall(r"^\| `([\w.]+)` \| .* (\d+) at most", CONFIGURATION, re.M)


@pytest.mark.parametrize(("key", "limit"), LIMITS)
def test_documented_limit_is_the_limit(key: str, limit: str) -> None:
    assert isinstance(load(None, [f"{key}={limit}"]), Config)
    with pytest.raises(ConfigError, match=rf"expected an integer from [01] to {limit}, got {int(limit) + 1}$"):
        load(None, [f"{key}={int(limit) + 1}"])


def test_a_limit_is_documented() -> None:
    assert ("smtp.pool.num_workers", "500") in LIMITS


@pytest.mark.parametrize("section", OPTIONAL)
def test_documented_defaults_of_a_section_that_may_be_left_out(section: str) -> None:
    settings = OPTIONAL[section]
    optional = {field.encode_name: field for field in msgspec.structs.fields(settings) if not field.required}
    shown: dict[str, Any] = {
        key.rpartition(".")[2]: yaml.safe_load(default.strip("`"))
        for key, _, default in ROWS
        if parent(key) == section and default != "required"
    }
    for key, field in optional.items():
        if field.name.endswith("_s") and isinstance(shown.get(key), str):
            shown[key] = parse_duration(shown[key])
    values = {key: getattr(settings, field.name) for key, field in optional.items()}
    assert {key: value for key, value in values.items() if not isinstance(value, msgspec.Struct)} == shown


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


@pytest.mark.parametrize("text", [text for page in PAGES for text in blocks(page, "yaml") if "${{" not in text])
def test_examples_of_configurations_are_valid(text: str, tmp_path: Path) -> None:
    if not any(re.match(rf"{section}:", line) for line in text.splitlines() for section in Config.__struct_fields__):
        return  # of another program
    path = tmp_path / ".rr.yaml"
    path.write_text(text)
    assert isinstance(load(str(path)), Config)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_leave_the_system_and_the_checkout_alone(page: Path) -> None:
    """Debian 12 refuses `pip install` outside of a virtual environment, and no command edits a tracked file."""
    commands = re.findall(r"^    (\S.*)$", page.read_text(), re.M)
    outside = [command for command in commands if re.match(r"(sudo )?((python3? -m )?pip3? |pytest$)", command)]
    edits = [command for command in commands if re.search(r"\bsed -i|\bperl -\w*i", command)]
    copied = "    cp -r ../pytest ~/mail-tests\n    cd ~/mail-tests\n" in page.read_text()
    assert (outside, bool(edits)) == ([], copied)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]*)(?:#[^)]*)?\)", page.read_text()):
        if target and not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_headings_that_are_linked_to_exist(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]+)\)", page.read_text()):
        if target.startswith("http"):
            continue
        other = page.parent / target if target else page
        headings = re.findall(r"^#+ (.*)$", other.read_text(), re.M)
        anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert anchor in anchors


def command_of(words: list[str]) -> tuple[click.Command | None, list[str]]:
    """The command that these words call, and those behind it."""
    command: click.Command | None = main
    while isinstance(command, click.Group) and words:
        command, words = command.commands.get(words[0]), words[1:]
    return command, words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_the_docs_exist(page: Path) -> None:
    for line in re.findall(r"^(?: {4}|\$ |ExecStart\w*=)(?:\$ )?fastsmtp ([a-z]+.*)$", page.read_text(), re.M):
        command, words = command_of(line.split())
        assert command is not None, line
        options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        used = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
        assert [option for option in used if option not in options | {"-h", "--help"}] == [], line


def test_every_verb_is_documented() -> None:
    text = (DOCS / "cli.md").read_text()
    assert [verb for verb in main.commands if f"| `fastsmtp {verb}" not in text] == []


def test_every_option_is_documented() -> None:
    text = (DOCS / "cli.md").read_text()
    options = {
        max(parameter.opts, key=len)
        for verb in main.commands.values()
        for command in (verb.commands.values() if isinstance(verb, click.Group) else [verb])
        for parameter in command.params
        if isinstance(parameter, click.Option)
    }
    assert [option for option in sorted(options) if f"{option}" not in text] == []


def test_every_module_is_on_the_map() -> None:
    package = ROOT / "fastsmtp"  # not the installed one: wheels carry no .pyx
    modules = {
        str(path.relative_to(package))
        for pattern in ("*.py", "*.pyx")
        for path in package.rglob(pattern)
        if path.name != "__init__.py"
    }
    named = set(re.findall(r"^\| `([\w/]+\.pyx?)` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.M))
    assert named == modules


def shown_messages() -> list[str]:
    """The lines that troubleshooting.md shows as output: those of the log, and those that begin with `fastsmtp: `."""
    text = (DOCS / "troubleshooting.md").read_text()
    logged = re.findall(r"^ {4}\S+Z  [A-Z]+ +\w+  (.*?)(?:  \w+=.*)?$", text, re.M)
    return logged + re.findall(r"^ {4}fastsmtp: (.*)$", text, re.M)


def is_printed(message: str) -> bool:
    """Whether a string of the source, whatever it puts between its constant parts, can become `message`."""
    return any(pattern.fullmatch(message) for pattern in PATTERNS)


def patterns() -> Iterator[re.Pattern[str]]:
    for path in sorted((ROOT / "fastsmtp").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".*" for part in node.values]
                if sum(len(part) for part in parts if part != ".*") > 12:
                    yield re.compile("".join(parts), re.S)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > 8:
                yield re.compile(re.escape(node.value))


PATTERNS = list(patterns())


@pytest.mark.parametrize("message", shown_messages())
def test_messages_in_troubleshooting_are_those_of_the_program(message: str) -> None:
    assert is_printed(message)


def test_troubleshooting_shows_messages() -> None:
    assert len(shown_messages()) >= 8


def test_nothing_is_printed_by_a_pattern_of_nothing() -> None:
    assert not is_printed("this was never said by this program")
