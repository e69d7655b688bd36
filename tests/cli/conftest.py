"""Serves an inbox without an SMTP process."""

from __future__ import annotations

from inboxserver import serving

__all__ = ["serving"]
