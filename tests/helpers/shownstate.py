"""Stands in the place of `Endpoints`: nothing is bound, and what would be shown can be asked for."""

from __future__ import annotations

from fastsmtp.ops.endpoints import Watched


class Endpoints:
    """Writes down in `did`, of its owner, what it is made to do."""

    def __init__(self, did: list[str]) -> None:
        self.max_descriptors = 0
        self.watched: Watched | None = None
        self._did = did

    def bind(self) -> None:
        self._did.append("bind endpoints")

    async def start(self, watched: Watched) -> None:
        self._did.append("start endpoints")
        self.watched = watched

    async def stop(self) -> None:
        self._did.append("stop endpoints")

    def abort(self) -> None:
        self._did.append("abort endpoints")

    def complaints(self) -> tuple[str, str]:
        """Of health and of readiness."""
        assert self.watched is not None
        return self.watched.complaint(False), self.watched.complaint(True)
