"""RoadRunner's `.rr.yaml` and `-o` overrides -> `Config`.

The YAML nodes are walked along the types of the settings, so that every fault is found in one go, with its line.
"""

from __future__ import annotations

import difflib
import os
import re
import types
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NoReturn, TypeAlias, Union, get_args, get_origin

import msgspec
import yaml

from fastsmtp.config.nodes import DEEPEST, MERGE, NULL, compose, construct, override_node, plain_node, shown
from fastsmtp.config.rules import MAX_WORKERS, Rule, read_text
from fastsmtp.config.settings import Config, contradictions
from fastsmtp.errors import ConfigError
from fastsmtp.system.process import cores
from fastsmtp.text import printable

_OF_OTHERS = frozenset({"grpc", "service", "fileserver"})  # sections of RoadRunner whose names are nearly ours
_NOTES = ("x-", ".")  # keys that begin so are not settings
_OPEN_SECTIONS = frozenset({"", "endure"})  # keys we do not know are left alone in these
_OVERRIDE = "-o"  # stands for the file name in a fault about an override
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_Pairs: TypeAlias = dict[str, tuple[yaml.Node, yaml.Node]]  # name -> (name node, value node)


class _Fault(Exception):
    """One setting cannot be used; already recorded, its default stands in so that the walk can go on."""


class LoadedConfig(NamedTuple):
    """A configuration, and what was said to get it."""

    config: Config
    given: frozenset[str]  # dotted keys of ours that were set
    left_alone: tuple[str, ...]  # dotted keys that are not ours, in the order of the file


def load(path: str | None, overrides: Sequence[str] = ()) -> Config:
    """Read `path` (None: defaults only), apply `key.subkey=value` overrides, check everything.

    Raises ConfigError with every fault there is, one line each.
    """
    return read(path, overrides).config


def read(path: str | None, overrides: Sequence[str] = ()) -> LoadedConfig:
    """The same, and tell what was set. Raises ConfigError."""
    reader = _Reader(path or "")
    root = reader.compose() if path is not None else None
    config = reader.section(Config, root, "", reader.overrides(overrides))
    config = _tidied(config, reader.given)
    for key, fault in contradictions(config):
        if key not in reader.faulty:
            reader.record(key, None, fault)
    if reader.faults:
        # A fault is one line, and cannot paint.
        raise ConfigError([printable(fault) for fault in reader.faults])
    return LoadedConfig(config, frozenset(reader.given), tuple(reader.left_alone))


class _Override(NamedTuple):
    """The rest of an override's key below the section at hand, and its value."""

    keys: tuple[str, ...]
    node: yaml.Node


class _Reader:
    """Walks YAML nodes along the types of the settings and collects faults."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.faults: list[str] = []
        self.faulty: set[str] = set()  # dotted keys that have a fault
        self.given: dict[str, yaml.Node] = {}  # dotted keys that were set, with where
        self.left_alone: list[str] = []  # dotted keys that are not ours

    def record(self, key: str, node: yaml.Node | None, fault: str) -> None:
        """Add a fault about `key`, placed at `node` or where the key was set."""
        node = node or self.where(key)
        place = self.path or _OVERRIDE
        if node is not None:
            mark = node.start_mark
            place = _OVERRIDE if mark is None else f"{self.path}:{mark.line + 1}"
        self.faulty.add(key)
        self.faults.append(f"{place}: {key}: {fault}" if key else f"{place}: {fault}")

    def where(self, key: str) -> yaml.Node | None:
        """Where `key`, or the nearest section around it, was set."""
        while key and key not in self.given:
            key = key.rpartition(".")[0]
        return self.given.get(key)

    def refuse(self, key: str, node: yaml.Node | None, fault: str) -> NoReturn:
        self.record(key, node, fault)
        raise _Fault

    # sources

    def compose(self) -> yaml.Node | None:
        """The root node of the file, None where it is empty or unusable."""
        try:
            text = Path(self.path).read_bytes()
        except OSError as error:
            self.record("", None, f"cannot be read: {error.strerror}")
            return None
        try:
            node = compose(text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = f"{self.path}:{mark.line + 1}" if mark else self.path
            self.faults.append(f"{place}: not YAML: {error.problem or error.context}")
            return None
        except (yaml.YAMLError, ValueError) as error:
            self.faults.append(f"{self.path}: not YAML: {' '.join(str(error).split())}")
            return None
        if node is None or node.tag == NULL or isinstance(node, yaml.MappingNode):
            return node
        self.record("", node, f"expected sections, got {shown(node)}")
        return None

    def overrides(self, texts: Sequence[str]) -> list[_Override]:
        """Take each `key.subkey=value` apart; RoadRunner's documentation also writes `-o=key=value`."""
        top_level = {field.encode_name for field in msgspec.structs.fields(Config)}
        overrides = []
        for text in texts:
            key, equals, value = text.removeprefix("=").partition("=")
            keys = tuple(key.strip().split("."))
            if not equals or not all(keys):
                self.faults.append(f'{_OVERRIDE}: expected key=value, like smtp.addr=127.0.0.1:1025, got "{text}"')
            elif keys[0] not in top_level:
                self.record(key, plain_node(""), _unknown(keys[0], top_level))
            else:
                overrides.append(_Override(keys, override_node(value)))
        return overrides

    # walk

    def section(self, kind: type[Any], node: yaml.Node | None, key: str, overrides: Sequence[_Override]) -> Any:
        """A section of type `kind`; what is not set, or cannot be used, has its default."""
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        nodes = self.mapping(node, key)
        self.look_at_unknown(fields, {name: pair[0] for name, pair in nodes.items()}, key, overrides)
        values = {}
        for name, field in fields.items():
            below = [_Override(item.keys[1:], item.node) for item in overrides if item.keys[:1] == (name,)]
            value_node = nodes[name][1] if name in nodes else None
            try:
                value = self.setting(field, value_node, _join(key, name), below)
            except _Fault:
                continue
            if value is not msgspec.UNSET:
                values[field.name] = value
        for field in fields.values():
            if field.required and field.name not in values:
                if _join(key, field.encode_name) not in self.faulty:
                    self.record(_join(key, field.encode_name), node, "required, but missing")
                raise _Fault
        return kind(**values)

    def look_at_unknown(
        self, fields: Iterable[str], nodes: Mapping[str, yaml.Node], key: str, overrides: Sequence[_Override]
    ) -> None:
        """Take note of keys that the section `key` does not have: faults, or left alone."""
        unknown = {name: node for name, node in nodes.items() if name not in fields}
        if key in _OPEN_SECTIONS:
            # A key that begins so belongs to no plugin: it holds YAML anchors, or is a note.
            self.left_alone += [_join(key, name) for name in unknown if not name.startswith(_NOTES)]
            for name, node in unknown.items():
                if not key and (near := _misspelt(name, fields)):
                    self.record(name, node, f"unknown section, did you mean {near}?")
            return
        unknown |= {item.keys[0]: item.node for item in overrides if item.keys and item.keys[0] not in fields}
        for name, node in unknown.items():
            self.record(_join(key, name), node, _unknown(name, fields))

    def setting(
        self, field: msgspec.structs.FieldInfo, node: yaml.Node | None, key: str, overrides: Sequence[_Override]
    ) -> object:
        """The value of one field, or UNSET."""
        for override in overrides:
            if not override.keys:
                node = override.node
        deeper = [override for override in overrides if override.keys]
        if deeper or (node is not None and node.tag != NULL):
            self.given[key] = node if node is not None else deeper[0].node
            return self.value(field.type, node, key, deeper)
        return msgspec.UNSET  # `key:` with nothing behind it leaves the default, as in RoadRunner

    def value(self, kind: Any, node: yaml.Node | None, key: str, overrides: Sequence[_Override]) -> Any:
        """`node` as `kind`, one of the types that fields have."""
        origin, arguments = get_origin(kind), get_args(kind)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self.section(kind, node, key, overrides)
        if origin is Union or origin is types.UnionType:
            return self.value(_alternative(arguments, node, overrides), node, key, overrides)
        if origin is dict:
            return self.table(arguments[1], node, key, overrides)
        if overrides:
            self.refuse(key, overrides[0].node, "has no keys of its own")
        assert node is not None
        if origin is list:
            return self.items(arguments[0], node, key)
        if origin is Literal:
            return self.scalar(_choice(arguments), node, key)
        return self.scalar(arguments[1] if origin is Annotated else Rule("text", read_text), node, key)

    def mapping(self, node: yaml.Node | None, key: str) -> _Pairs:
        """What a mapping holds, merge keys resolved: what stands in the mapping itself wins."""
        if node is None or node.tag == NULL:
            return {}
        if not isinstance(node, yaml.MappingNode):
            self.refuse(key, node, f"expected a section with keys, got {shown(node)}")
        return self.pairs(node, key, {}, 0)

    def pairs(self, node: yaml.MappingNode, key: str, known: dict[yaml.Node, _Pairs], level: int) -> _Pairs:
        """`known` has the mappings seen already, so that one merged a million times is read once.

        It has those still open, too, as empty: `&a {<<: *a}` adds nothing.
        """
        if node in known:
            return known[node]
        known[node] = {}
        own: _Pairs = {}
        merged: _Pairs = {}
        for name_node, value_node in node.value:
            if name_node.tag == MERGE:
                for source in value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]:
                    if isinstance(source, yaml.MappingNode) and level < DEEPEST:
                        merged = self.pairs(source, key, known, level + 1) | merged
                    elif isinstance(source, yaml.MappingNode):
                        self.record(key, source, f"merged over more than {DEEPEST} levels")
                    elif source.tag != NULL:
                        self.record(key, source, f"expected a section with keys, got {shown(source)}")
                continue
            if not isinstance(name_node, yaml.ScalarNode):
                self.record(key, name_node, f"expected a key, got {shown(name_node)}")
                continue
            name = str(name_node.value)
            if name in own:
                mark = own[name][0].start_mark
                first = f", first in line {mark.line + 1}" if mark is not None else ""
                self.record(_join(key, name), name_node, f"given twice{first}")
            own[name] = (name_node, value_node)
        known[node] = merged | own
        return known[node]

    def table(self, kind: Any, node: yaml.Node | None, key: str, overrides: Sequence[_Override]) -> dict[str, Any]:
        """A mapping whose keys the operator chooses."""
        nodes: dict[str, yaml.Node | None] = {name: pair[1] for name, pair in self.mapping(node, key).items()}
        for override in overrides:
            nodes.setdefault(override.keys[0], None)
        table = {}
        for name, value_node in nodes.items():
            below = [_Override(item.keys[1:], item.node) for item in overrides if item.keys[0] == name]
            for item in below:
                if not item.keys:
                    value_node = item.node
            if value_node is not None:
                self.given[_join(key, name)] = value_node
            try:
                table[name] = self.value(kind, value_node, _join(key, name), [item for item in below if item.keys])
            except _Fault:
                continue
        return table

    def items(self, kind: Any, node: yaml.Node, key: str) -> list[Any]:
        """A list; one that holds a faulty item is faulty."""
        if not isinstance(node, yaml.SequenceNode):
            self.refuse(key, node, f"expected a list, got {shown(node)}")
        return [self.value(kind, item, f"{key}[{index}]", ()) for index, item in enumerate(node.value)]

    def scalar(self, rule: Rule, node: yaml.Node, key: str) -> object:
        """A single value, variables expanded."""
        values: list[object] = []
        if isinstance(node, yaml.ScalarNode):
            text = self.expand(node, key)
            # `"${PORT}"` may become a number where one is expected, and `${NAME}` stays text where text is; so may what
            # a shell has taken the quotes from.
            if text != node.value:
                values = [construct(plain_node(text)), text]
            else:
                values = [construct(node), *([text] if node.start_mark is None else [])]
        reason = ""
        for value in values:
            try:
                return rule.read(value)
            except ValueError as error:
                reason = f": {error}" if str(error) else ""
        return self.refuse(key, node, f"expected {rule.expected}, got {shown(node)}{reason}")

    def expand(self, node: yaml.ScalarNode, key: str) -> str:
        """The text of a scalar with `${VAR}` and `${VAR:-default}` replaced; as in a shell, empty counts as unset."""

        def replace(found: re.Match[str]) -> str:
            name, default = found[1], found[2]
            if default is not None:
                return os.environ.get(name) or default
            if name not in os.environ:
                self.refuse(
                    key, node, f"the environment variable {name} is not set; ${{{name}:-default}} gives a default"
                )
            return os.environ[name]

        return _VARIABLE.sub(replace, str(node.value))


def _choice(choices: tuple[str, ...]) -> Rule:
    def read(value: object) -> object:
        if value not in choices:
            spelled = {choice.casefold(): choice for choice in choices}
            near = difflib.get_close_matches(str(value).casefold(), spelled, 1)
            raise ValueError(f'did you mean "{spelled[near[0]]}"?' if near else "")
        return value

    return Rule("one of " + ", ".join(f'"{choice}"' for choice in choices), read)


def _alternative(kinds: tuple[Any, ...], node: yaml.Node | None, overrides: Sequence[_Override]) -> Any:
    """The member of a union that fits the node: section or table, list, literal, else the first."""
    for kind in kinds:
        origin = get_origin(kind)
        is_section = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
        if (
            ((is_section or origin is dict) and (overrides or isinstance(node, yaml.MappingNode)))
            or (origin is list and isinstance(node, yaml.SequenceNode))
            or (origin is Literal and isinstance(node, yaml.ScalarNode) and node.value in get_args(kind))
        ):
            return kind
    return kinds[0]


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _misspelt(name: str, sections: Iterable[str]) -> str:
    """Which section of ours was meant; "" for a section of another plugin, or one that only holds YAML anchors."""
    if name in _OF_OTHERS or name.startswith(_NOTES):
        return ""
    return next(iter(difflib.get_close_matches(name, sections, 1, cutoff=0.75)), "")


def _unknown(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"unknown key, did you mean {near[0]}?" if near else f"unknown key, expected one of {', '.join(known)}"


def _tidied(config: Config, given: Mapping[str, yaml.Node]) -> Config:
    """`server.env` as one dict, no `smtp.addr` where only `smtp.servers` were asked for, no listener on a relay."""
    server, smtp = config.server, config.smtp
    if isinstance(server.env, list):
        server = msgspec.structs.replace(
            server, env={name: value for variables in server.env for name, value in variables.items()}
        )
    if not smtp.pool.num_workers:
        pool = msgspec.structs.replace(smtp.pool, num_workers=min(MAX_WORKERS, cores()))
        smtp = msgspec.structs.replace(smtp, pool=pool)
    if smtp.servers and "smtp.addr" not in given:
        smtp = msgspec.structs.replace(smtp, addr="")
    if not config.is_front:
        smtp = msgspec.structs.replace(smtp, addr="", servers={})
    return msgspec.structs.replace(config, server=server, smtp=smtp)
