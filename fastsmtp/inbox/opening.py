"""The store as the inbox process opens it: one that is damaged is kept aside, and an empty one takes its place."""

from __future__ import annotations

import os
import time
from typing import Final

from structlog.typing import FilteringBoundLogger

from fastsmtp.errors import DamagedStoreError, StoreError
from fastsmtp.inbox.store import Store

_ASIDE: Final = "damaged-"
_SUFFIXES: Final = (".sqlite", ".sqlite-wal", ".sqlite-shm", ".segment", ".eml")


def open_store(directory: str, log: FilteringBoundLogger, durability: str, max_namespaces: int) -> Store:
    """Return the store in the directory; "" is memory. Raises StoreError."""
    try:
        store = Store(directory, durability=durability, max_namespaces=max_namespaces)
    except DamagedStoreError as error:
        kept = _set_aside(directory)
        log.error("the store is damaged: it is kept aside, and an empty one is begun", reason=str(error), kept=kept)
        store = Store(directory, durability=durability, max_namespaces=max_namespaces)
    if store.recovered:
        log.warning("mails without their octets were dropped", count=store.recovered)
    return store


def _set_aside(directory: str) -> str:
    """Move all files of a store into a directory beside them, and return its path. Raises StoreError."""
    base = os.path.join(directory, _ASIDE + time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
    try:
        aside = _make(base)
        for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
            if entry.name.endswith(_SUFFIXES) and entry.is_file(follow_symlinks=False):
                os.rename(entry.path, os.path.join(aside, entry.name))
    except OSError as error:
        raise StoreError(f"the damaged store in {directory} cannot be kept aside: {error.strerror}") from None
    return aside


def _make(base: str) -> str:
    """Make a directory whose name begins with `base`, and return its path. Raises OSError."""
    number, path = 1, base
    while True:
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            number += 1
            path = f"{base}-{number}"
        else:
            return path
