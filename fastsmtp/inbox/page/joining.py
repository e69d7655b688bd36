"""The modules of the page, joined to files: one for the first list, others for what is shown later.

A browser takes longer for each file of its own than for what is in it. So a module is sent together with all that it
imports, each module as a function that returns what it exports; and what the page imports later, as `import('./x.js')`,
is a file beside it without the modules that are in the first. The modules have to be written as ours are: imports and
exports begin a line, are whole on it, and no two modules import each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

_IMPORT: Final = re.compile(r"^import (?:\{([^{}\n]*)\}|\* as (\w+)) from '\./([a-z/.-]+)';$", re.M)
_EXPORT: Final = re.compile(r"^export ((?:async )?function|class|const) (\w+)", re.M)
_EXPORTS: Final = re.compile(r"export\{([^{}]*)\};\s*\Z")  # as a minifier ends a module
_LATER: Final = re.compile(r"\bimport\('\./([a-z/.-]+)'\)")
_OTHER: Final = re.compile(r"^(?:import|export)\b.*", re.M)


class _Module(NamedTuple):
    text: str  # the body of a function
    imports: tuple[str, ...]
    later: tuple[str, ...]
    exports: tuple[str, ...]


def join(sources: Mapping[str, str], first: str) -> dict[str, str]:
    """Return the files by name: that of `first`, and those of the modules that are imported later, by any module."""
    modules = {name: _read(name, text) for name, text in sources.items()}
    own = tuple(dict.fromkeys(_needed(modules, first)))
    files = {first: "export const modules = {};\n" + _joined(modules, own)}
    for name in sorted({later for module in modules.values() for later in module.later}):
        more = [needed for needed in dict.fromkeys(_needed(modules, name)) if needed not in own]
        exported = ", ".join(modules[name].exports)
        files[name] = (
            f"import {{ modules }} from './{first}';\n{_joined(modules, more)}"
            f"export const {{ {exported} }} = modules['{name}'];\n"
        )
    return files


def _read(name: str, text: str) -> _Module:
    imports: list[str] = []
    exports: list[str] = []
    returned: list[str] = []

    def imported(found: re.Match[str]) -> str:
        names, whole, module = found.groups()
        imports.append(module)
        return f"const {whole or '{' + names.replace(' as ', ': ') + '}'} = modules['{module}'];"

    def exported(found: re.Match[str]) -> str:
        exports.append(found[2])
        returned.append(found[2])
        return f"{found[1]} {found[2]}"

    def listed(found: re.Match[str]) -> str:
        for one in found[1].split(","):
            local, _, public = one.partition(" as ")
            exports.append(public or local)
            returned.append(f"{public or local}: {local}")
        return "\n"

    body = _EXPORTS.sub(listed, _EXPORT.sub(exported, _IMPORT.sub(imported, text)))
    if other := _OTHER.search(body):
        raise ValueError(f"{name} cannot be joined: {other[0]}")
    return _Module(
        f"{body}return {{ {', '.join(returned)} }};\n", tuple(imports), tuple(_LATER.findall(text)), tuple(exports)
    )


def _needed(modules: Mapping[str, _Module], name: str, within: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield a module behind all that it imports; some more than once."""
    if name in within:
        raise ValueError(f"{name} imports itself by way of {within[-1]}")
    for one in modules[name].imports:
        yield from _needed(modules, one, (*within, name))
    yield name


def _joined(modules: Mapping[str, _Module], names: Iterator[str] | tuple[str, ...] | list[str]) -> str:
    return "".join(f"modules['{name}'] = (() => {{\n{modules[name].text}}})();\n" for name in names)
