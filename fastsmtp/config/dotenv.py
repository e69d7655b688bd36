"""Variables in a file of lines like `NAME=value`, as RoadRunner's `--dotenv` reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from fastsmtp.errors import ConfigError
from fastsmtp.text import printable

_NOTHING = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_ASSIGNMENT = re.compile(
    r"""[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.]*)[ \t]*[=:][ \t]*
    (?: '(?P<literal>[^']*)' | "(?P<quoted>(?:[^"\\]|\\.)*)" | (?P<plain>(?!['"])(?:(?![ \t]\#)[^\n])*) )
    [ \t]*(?:\#[^\n]*)?(?:\n|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_VARIABLE = re.compile(r"(\\)?\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r"}


def read(path: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a file; `$NAME` is one of those above it, or of `environment`.

    Raises OSError, and ConfigError with a line for the first line that is not understood.
    """
    text = Path(path).read_text("utf-8", "surrogateescape").replace("\r\n", "\n")
    variables: dict[str, str] = {}
    at = 0
    while at < len(text):
        found = _NOTHING.match(text, at)
        if found is None:
            found = _ASSIGNMENT.match(text, at)
            if found is None:
                raise ConfigError([_fault(path, text, at)])
            variables[found["name"]] = _value(found, {**environment, **variables})
        at = found.end()
    return variables


def _value(found: re.Match[str], known: Mapping[str, str]) -> str:
    """The value of an assignment: in single quotes as it stands, in double quotes with escapes."""
    if found["literal"] is not None:
        return found["literal"]

    def replace(variable: re.Match[str]) -> str:
        escaped, braced, plain = variable.groups()
        return variable[0] if escaped else known.get(braced or plain, "")

    if found["quoted"] is None:
        return _VARIABLE.sub(replace, found["plain"].strip())
    return _ESCAPED.sub(lambda escape: _ESCAPES.get(escape[1], escape[1]), _VARIABLE.sub(replace, found["quoted"]))


def _fault(path: str, text: str, at: int) -> str:
    line = text[at:].partition("\n")[0][:60]
    return printable(f'{path}:{text.count(chr(10), 0, at) + 1}: expected NAME=value, got "{line}"')
