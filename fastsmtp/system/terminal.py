"""Text on a terminal: how wide it is, where a line is broken or cut, and which characters are shown as escapes."""

from __future__ import annotations

import os
import re

from fastsmtp.text import printable

BOLD, DIM, YELLOW, CYAN, GREEN = "1", "2", "33", "36", "32"

_STDOUT = 1
_NARROWEST = 40  # where less is not worth the trouble
_USUAL_WIDTH = 80  # of a terminal that does not know
_URL = re.compile("[^ ]{0,2}https?://[^ ]*")  # maybe in brackets or quotes
_VALUE_CHARS = 500  # of one value, shown

# One cell each: Latin letters, of which most texts are made. Without others wcwidth, which is large, is not imported.
_NARROW = re.compile("[\\x20-\\x7e\u00a0-\u00ac\u00ae-\u02ff]*")


def harmless(text: str) -> str:
    """`text` without anything that a terminal would obey."""
    return printable(text, prose=True)


def one_line(value: object) -> str:
    """A value of a mail as harmless text on one line, cut where it is very long."""
    text = str(value)
    return harmless(text if len(text) <= _VALUE_CHARS else text[: _VALUE_CHARS - 3] + "...")


def styled(text: str, style: str) -> str:
    """`text` in a style of SGR, ECMA-48 8.3.117."""
    return f"\x1b[{style}m{text}\x1b[0m"


def cells(text: str) -> int:
    """How many cells of a terminal harmless text takes: those of a wide character are two, of a combining one none."""
    if _NARROW.fullmatch(text):
        return len(text)
    from wcwidth import wcswidth

    return wcswidth(text)


def cut(text: str, width: int) -> str:
    """`text` in at most `width` cells, with a mark where something is missing."""
    if len(text) * 2 <= width or cells(text) <= width:
        return text
    return text[: _fitting(text, width - 1)] + "…"


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` cells, broken at blanks where there are any. Nothing is lost but these blanks.

    A URL is not broken: the terminal does that, and knows then that it is one, to be opened or copied.
    """
    lines = []
    while cells(text) > width:
        end = max(1, _fitting(text, width))
        blank = text.rfind(" ", 1, end + 1)
        if blank < 0 and (url := _URL.match(text)) is not None:
            blank = url.end()
            if blank == len(text):
                break
        lines.append(text[: blank if blank > 0 else end])
        text = text[blank + 1 if blank > 0 else end :]
    return [*lines, text]


def _fitting(text: str, width: int) -> int:
    """How many characters at its beginning fit into `width` cells. What is shown as one is not taken apart."""
    if _NARROW.fullmatch(text, 0, width + 1):
        return min(len(text), width)
    from wcwidth import iter_graphemes, wcswidth

    end = used = 0
    # What is behind so many characters would be seen only if most of them were combining.
    for grapheme in iter_graphemes(text[: 4 * width]):
        used += wcswidth(grapheme)
        if used > width:
            break
        end += len(grapheme)
    return end


def wants_colours() -> bool:
    """Whether stdout is a terminal, and nothing asks for no colours (https://no-color.org)."""
    return os.isatty(_STDOUT) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def terminal_width() -> int:
    """Cells of a row of the terminal on stdout, 0 where stdout is no terminal; as many as its window has now."""
    try:
        return max(_NARROWEST, os.get_terminal_size(_STDOUT).columns or _USUAL_WIDTH)
    except OSError:
        return 0
