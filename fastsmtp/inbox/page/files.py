"""The files of the page. They are read once, and have a place that is called by what is in all of them.

So a browser may keep them for ever, and after an upgrade asks for others.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from fastsmtp.inbox.page.joining import join

_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".html": "text/html; charset=utf-8",
}
_DIRECTORY: Final = Path(__file__).with_name("static")
_DOCUMENT: Final = "index.html"
_PLACE: Final = "@place@"  # stands in the document for where the others are
_SCRIPT: Final = "main.js"


class PageFile(NamedTuple):
    """One file, as it is and compressed."""

    content_type: str
    octets: bytes
    compressed: bytes
    tag: str  # an entity tag (RFC 9110 section 8.8.3)


class PageFiles:
    """All of them; `document` is what every address of the page answers with."""

    def __init__(self) -> None:
        contents = dict(_read(_DIRECTORY))
        whole = hashlib.sha256()
        for name in sorted(contents):
            whole.update(name.encode() + b"\0" + contents[name] + b"\0")
        self.version: Final = whole.hexdigest()[:16]
        modules = {name: contents.pop(name).decode() for name in list(contents) if name.endswith(".js")}
        contents |= {name: text.encode() for name, text in join(modules, _SCRIPT).items()}
        document = contents.pop(_DOCUMENT).decode().replace(_PLACE, f"/ui/{self.version}")
        self.document: Final = _made(_DOCUMENT, document.encode())
        self._files: Final = {name: _made(name, octets) for name, octets in contents.items()}

    def find(self, name: str) -> PageFile | None:
        """Return the file of this name, None where there is none."""
        return self._files.get(name)

    @property
    def compressed_size(self) -> int:
        """How many octets a browser gets that has none of them."""
        return sum(len(file.compressed) for file in (self.document, *self._files.values()))


def _read(directory: Path) -> Iterator[tuple[str, bytes]]:
    for path in directory.rglob("*"):
        if path.suffix in _TYPES:
            yield path.relative_to(directory).as_posix(), path.read_bytes()


def _made(name: str, octets: bytes) -> PageFile:
    compressed = gzip.compress(octets, 9, mtime=0)
    tag = f'"{hashlib.sha256(octets).hexdigest()[:32]}"'
    return PageFile(_TYPES[Path(name).suffix], octets, compressed, tag)
