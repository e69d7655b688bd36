"""The worker that takes the mails where no `server.command` is set: it shows each, readable, on stdout.

The server runs it, with `--save DIR` if so wanted. It is a worker like any other and speaks Goridge with the server.
Nothing that stands in a mail reaches the terminal as a control character, and nothing that happens to stdout or to DIR
fails a mail.
"""

from __future__ import annotations

import os
import sys

from fastsmtp.printer.archive import Archive
from fastsmtp.printer.block import Mail, Painter
from fastsmtp.system.terminal import terminal_width, wants_colours
from fastsmtp.worker import Worker

_STDOUT, _STDERR = 1, 2
_PIPE_WIDTH = 80  # of what is shown where no terminal says how wide it is


def main() -> None:
    """Take mails until the server says stop or is gone."""
    keeper = Keeper(sys.argv[2]) if sys.argv[1:2] == ["--save"] else None
    try:
        mails = Worker()
        colours = wants_colours()
        for mail in mails:
            path = "" if keeper is None else keeper.keep(mail.context)
            columns = terminal_width()  # which changes with its window
            _show(Painter(colours=colours, width=columns or _PIPE_WIDTH, wrap=bool(columns)).block(mail.context, path))
    except ConnectionError:  # the server ended without a word
        return


class Keeper:
    """Keeps mails in a directory; what goes wrong with it is told once, until it is well again."""

    def __init__(self, directory: str) -> None:
        self._archive = Archive(directory)
        self._directory = directory
        self._complaint = ""  # the last one

    def keep(self, mail: Mail) -> str:
        """Return the path of the .eml, "" when it could not be written. Never raises."""
        try:
            path = self._archive.keep(mail)
        except OSError as error:
            complaint = error.strerror or str(error)
            if complaint != self._complaint:
                _complain(f"fastsmtp: mails cannot be kept in {self._directory}: {complaint}\n")
            self._complaint = complaint
            return ""
        self._complaint = ""
        return path


def _show(block: str) -> None:
    """One write per block, so that nothing comes in between. A reader that went away is no reason to fail a mail."""
    left = block.encode(sys.stdout.encoding if sys.stdout is not None else "utf-8", errors="backslashreplace")
    try:
        while left:
            left = left[os.write(_STDOUT, left) :]
    except OSError:
        return


def _complain(text: str) -> None:
    try:
        os.write(_STDERR, text.encode(errors="backslashreplace"))
    except OSError:
        return


if __name__ == "__main__":
    main()
