"""fastsmtp: an SMTP server that accepts every mail and hands each, as JSON, to a pool of PHP workers."""

from __future__ import annotations

from fastsmtp.errors import ConfigError, FastSMTPError, FrameError, StartError, WorkerError

__version__ = "0.1.0"

__all__ = ["ConfigError", "FastSMTPError", "FrameError", "StartError", "WorkerError", "__version__"]
