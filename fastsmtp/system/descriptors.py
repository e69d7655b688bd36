"""Open files: how many this process may have, and how many of them one listener gets."""

from __future__ import annotations

import contextlib
import resource


def most_descriptors() -> int:
    """Raise the limit of open files as far as we may, and return it; 0 = there is none."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # above what the kernel allows to any user
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 if soft == resource.RLIM_INFINITY else soft


def share(wanted: int, part: int) -> int:
    """Return how many of `wanted` connections a listener may have that gets one `part`th of all open files."""
    most = most_descriptors()
    return max(1, min(wanted, most // part)) if most else wanted
