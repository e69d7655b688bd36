from collections.abc import Mapping
from typing import TypeVar, final

_T = TypeVar("_T")

@final
class DataDecoder:
    def feed(self, buf: bytearray, start: int, end: int) -> tuple[int, int, int, bool]: ...

@final
class BodyLines:
    bare_cr: bool
    bare_lf: bool
    too_long: bool
    def feed(self, buf: bytearray, start: int, end: int) -> None: ...
    def finish(self) -> None: ...

def find_delimiter(
    buf: bytearray, start: int, end: int, at_line_start: bool, delimiters: Mapping[bytes, _T]
) -> tuple[int, int, _T | None]: ...
def find_header_end(
    buf: bytearray, start: int, end: int, delimiters: Mapping[bytes, _T], stop_at_dashes: bool
) -> tuple[int, int, _T | None]: ...
def usual_argument(argument: str, keyword: str) -> tuple[str, str] | None:
    """Path and parameters of `FROM:<path> parameters`, None for an argument that is not as usual.

    `keyword` is in capitals, that of the argument in any letters. A usual path is "", or dots and atext, @, letters,
    digits, dots and hyphens, with no dot or hyphen where the grammar does not want it, or may not want it.
    """

def take_line(buf: bytearray, start: int, end: int) -> tuple[str | None, int]: ...
