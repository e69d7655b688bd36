"""Starts real servers."""

from __future__ import annotations

from startserver import serve

__all__ = ["serve"]
