"""A description of an API (OpenAPI 3.1), and whether answers are as it says.

Of JSON Schema it knows what our description uses; a keyword that it does not know is an error, so that nothing in the
description goes unchecked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

_METHODS: Final = ("get", "put", "post", "patch", "delete")
_NOTES: Final = frozenset(
    {"description", "default", "format", "contentEncoding", "contentMediaType", "patternProperties"}
)
_TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


class Operation:
    """One method of one path."""

    def __init__(self, method: str, path: str, content: Mapping[str, Any]) -> None:
        self.method = method.upper()
        self.path = path
        self.content = content
        self.name: str = content["operationId"]
        segments = [
            "(?:[^/]+(?:/[^/]+)?)" if part == "{ns}" else "[^/]+" if part.startswith("{") else re.escape(part)
            for part in path.split("/")
        ]
        self._pattern = re.compile("/".join(segments))

    def is_for(self, method: str, path: str) -> bool:
        return method == self.method and self._pattern.fullmatch(path.partition("?")[0]) is not None


class Description:
    """A whole document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.operations = [
            Operation(method, path, item[method])
            for path, item in document["paths"].items()
            for method in _METHODS
            if method in item
        ]

    def operation(self, method: str, path: str) -> Operation:
        """The one that a request is for; the path with most of its segments named is meant."""
        found = [one for one in self.operations if one.is_for(method, path)]
        return min(found, key=lambda one: (one.path.count("{"), -one.path.count("/")))

    def resolve(self, item: Any) -> Any:
        """What a reference refers to, or the thing itself."""
        while "$ref" in item:
            target: Any = self.document
            for step in item["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            item = target
        return item

    def parameters(self, operation: Operation, where: str) -> dict[str, Any]:
        """The parameters of an operation in the query, the path or the header, by name."""
        found = [self.resolve(item) for item in operation.content.get("parameters", ())]
        return {item["name"]: item for item in found if item["in"] == where}

    def body(self, operation: Operation) -> Any:
        """The schema of the document that an operation takes, None without one."""
        content = operation.content.get("requestBody", {}).get("content", {})
        return self.resolve(content["application/json"]["schema"]) if "application/json" in content else None

    def answers(self, operation: Operation) -> set[tuple[str, str]]:
        """Status and media type of every answer that is described."""
        return {
            (status, media_type)
            for status, response in operation.content["responses"].items()
            for media_type in self.resolve(response)["content"]
        }

    def faults(self, operation: Operation, status: int, media_type: str, document: Any) -> list[str]:
        """What an answer has that is not described, "" = as it should be."""
        responses = operation.content["responses"]
        response = self.resolve(responses.get(str(status), responses["default"]))
        content = response["content"].get(media_type) or response["content"].get("*/*")
        if content is None:
            return [f"{operation.name}: {status} with {media_type}"]
        return [f"{operation.name} {status}: {fault}" for fault in self.misfits(content["schema"], document, "")]

    def misfits(self, schema: Any, value: Any, at: str) -> Iterator[str]:
        """Yield where a value is not as a schema says."""
        schema = self.resolve(schema)
        for keyword, wanted in schema.items():
            if keyword not in _NOTES:
                yield from _KEYWORDS[keyword](self, schema, wanted, value, at)


def _type(_self: Description, _schema: Any, wanted: Any, value: Any, at: str) -> Iterator[str]:
    names = wanted if isinstance(wanted, list) else [wanted]
    if not any(_TYPES[name](value) for name in names):
        yield f"{at}: {value!r} is no {' or '.join(names)}"


def _properties(self: Description, _schema: Any, wanted: Any, value: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key in wanted:
                yield from self.misfits(wanted[key], item, f"{at}/{key}")


def _additional(self: Description, schema: Any, wanted: Any, value: Any, at: str) -> Iterator[str]:
    known = schema.get("properties", {})
    for key in value if isinstance(value, dict) else ():
        if key not in known:
            if wanted is False:
                yield f"{at}/{key} is not described"
            else:
                yield from self.misfits(wanted, value[key], f"{at}/{key}")


def _required(_self: Description, _schema: Any, wanted: Any, value: Any, at: str) -> Iterator[str]:
    for key in wanted if isinstance(value, dict) else ():
        if key not in value:
            yield f"{at}/{key} is missing"


def _items(self: Description, _schema: Any, wanted: Any, value: Any, at: str) -> Iterator[str]:
    for index, item in enumerate(value if isinstance(value, list) else ()):
        yield from self.misfits(wanted, item, f"{at}/{index}")


def _any_of(self: Description, _schema: Any, wanted: Any, value: Any, at: str) -> Iterator[str]:
    misfits = [list(self.misfits(schema, value, at)) for schema in wanted]
    if all(misfits):
        yield from misfits[0]


def _bound(holds: Callable[[Any, Any], bool]) -> Callable[..., Iterator[str]]:
    def check(_self: Description, _schema: Any, wanted: Any, value: Any, at: str) -> Iterator[str]:
        if not holds(value, wanted):
            yield f"{at}: {value!r} is not within {wanted!r}"

    return check


def _number(holds: Callable[[Any, Any], bool]) -> Callable[..., Iterator[str]]:
    return _bound(lambda value, wanted: not isinstance(value, (int, float)) or holds(value, wanted))


def _length(kind: type[str | list[Any]], holds: Callable[[int, int], bool]) -> Callable[..., Iterator[str]]:
    return _bound(lambda value, wanted: not isinstance(value, kind) or holds(len(value), wanted))


_KEYWORDS: Final[dict[str, Callable[..., Iterator[str]]]] = {
    "type": _type,
    "properties": _properties,
    "additionalProperties": _additional,
    "required": _required,
    "items": _items,
    "anyOf": _any_of,
    "enum": _bound(lambda value, wanted: value in wanted),
    "const": _bound(lambda value, wanted: value == wanted),
    "pattern": _bound(lambda value, wanted: not isinstance(value, str) or re.search(wanted, value) is not None),
    "minimum": _number(lambda value, wanted: value >= wanted),
    "maximum": _number(lambda value, wanted: value <= wanted),
    "minLength": _length(str, lambda length, wanted: length >= wanted),
    "maxLength": _length(str, lambda length, wanted: length <= wanted),
    "minItems": _length(list, lambda length, wanted: length >= wanted),
    "maxItems": _length(list, lambda length, wanted: length <= wanted),
}
