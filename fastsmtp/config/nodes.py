"""YAML text -> nodes, and nodes -> values: what PyYAML does, with a limit of depth and in words of ours.

Types beyond numbers, booleans and null stay text; an override (`-o`) is read as if it stood unquoted in the file.
"""

from __future__ import annotations

from typing import Any

import yaml

from fastsmtp.text import printable

# The reader of libyaml, or the one written in Python where PyYAML was built without.
LOADER: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MERGE = "tag:yaml.org,2002:merge"
NULL = "tag:yaml.org,2002:null"
_STR = "tag:yaml.org,2002:str"
DEEPEST = 100  # levels of nesting, and of merging; libyaml and Python would overflow their stacks
_RESOLVER = yaml.SafeLoader("")  # stateless as it is used here
_CONSTRUCTED = frozenset({NULL, *(f"tag:yaml.org,2002:{name}" for name in ("bool", "int", "float"))})


class TooDeep(yaml.MarkedYAMLError):
    """Brackets, braces or indentation beyond our limit."""

    def __init__(self, mark: Any) -> None:
        super().__init__(problem=f"nested over more than {DEEPEST} levels", problem_mark=mark)


def compose(text: bytes | str) -> yaml.Node | None:
    """The root node, None where there is none. Raises YAMLError, or ValueError for text that is not Unicode."""
    try:
        _check_depth(text, LOADER)
        node: yaml.Node | None = yaml.compose(text, LOADER)
    except TooDeep:
        raise
    except RecursionError:
        raise TooDeep(None) from None
    except yaml.YAMLError:
        # libyaml reads ahead and may complain of depth in its own words, before we have counted to our limit. The
        # reader written in Python has no limit; any other complaint of it is less exact.
        try:
            _check_depth(text, yaml.SafeLoader)
        except TooDeep:
            raise
        except (yaml.YAMLError, ValueError):
            pass
        raise
    return node


def _check_depth(text: bytes | str, loader: type[yaml.SafeLoader | yaml.CSafeLoader]) -> None:
    level = 0
    for event in yaml.parse(text, loader):
        if isinstance(event, yaml.CollectionStartEvent):
            level += 1
            if level > DEEPEST:
                raise TooDeep(event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            level -= 1


def plain_node(text: str) -> yaml.ScalarNode:
    """`text` as it would be read if it stood unquoted in the file."""
    tag: str = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return yaml.ScalarNode(tag, text)


def override_node(text: str) -> yaml.Node:
    """The value of an override: a plain scalar, or what stands in quotes, brackets or braces.

    `[::1]:1025` opens with a bracket and is no list: what cannot be read as YAML is plain.
    """
    if not text:  # "off", where a text may be empty: to leave the default nothing has to be said
        return yaml.ScalarNode(_STR, "")
    if not text.startswith(("'", '"', "[", "{")):
        return plain_node(text)
    try:
        node = compose(text)
    except (yaml.YAMLError, ValueError):
        return plain_node(text)
    assert node is not None
    _forget_marks(node)
    return node


def _forget_marks(node: yaml.Node) -> None:
    left, seen = [node], {node}  # an alias may lead back to where it stands
    while left:
        item = left.pop()
        item.start_mark = None
        below = item.value if isinstance(item, yaml.CollectionNode) else []
        for child in below:
            fresh = set(child if isinstance(child, tuple) else (child,)) - seen
            seen |= fresh
            left.extend(fresh)


def construct(node: yaml.ScalarNode) -> object:
    """Number, boolean, None or text; dates and other types of YAML stay text."""
    if node.tag not in _CONSTRUCTED:
        return str(node.value)
    try:
        value: object = _RESOLVER.construct_object(node)
    # PyYAML checks nothing of `!!int x`, `!!int ""` or `!!bool x`, and refuses a node that failed before.
    except (ValueError, LookupError, TypeError, OverflowError, yaml.YAMLError):
        return str(node.value)
    return value


def shown(node: yaml.Node | None) -> str:
    """What stands in the file, short and without control characters."""
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if not isinstance(node, yaml.ScalarNode):
        return "a section"
    text = str(node.value)
    text = text if len(text) <= 60 else text[:57] + "..."
    text = printable(text)
    return text if node.tag in _CONSTRUCTED else f'"{text}"'
