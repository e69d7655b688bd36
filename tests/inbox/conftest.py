"""Starts real servers, and inboxes without one."""

from __future__ import annotations

from inboxserver import serving
from startserver import serve

__all__ = ["serve", "serving"]
