"""What the kernel tells of the files in a directory (inotify(7))."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

_NAMES = {0x2: "written", 0x40: "moved away", 0x80: "moved there", 0x100: "created", 0x200: "deleted"}
_HEAD = struct.Struct("iIII")


@contextlib.contextmanager
def watching(directory: Path) -> Iterator[list[tuple[str, str]]]:
    """A list that has, once the block has ended, what happened to files meanwhile: the name of each, and a word."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert libc.inotify_add_watch(descriptor, os.fsencode(directory), sum(_NAMES)) >= 0
    told: list[tuple[str, str]] = []
    try:
        yield told
        told += _events(descriptor)
    finally:
        os.close(descriptor)


def _events(descriptor: int) -> Iterator[tuple[str, str]]:
    try:
        octets = os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return
    while octets:
        _, mask, _, length = _HEAD.unpack_from(octets)
        name, octets = octets[_HEAD.size : _HEAD.size + length], octets[_HEAD.size + length :]
        yield name.rstrip(b"\0").decode(), _NAMES[mask & sum(_NAMES)]
