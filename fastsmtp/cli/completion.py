"""Completion in the shell fish, with the commas in descriptions, which click's own script takes for separators."""

from __future__ import annotations

from click.shell_completion import FishComplete, add_completion_class


class WholeFishComplete(FishComplete):
    """Splits what click answers, `type,value<TAB>description`, at the first comma alone."""

    source_template = FishComplete.source_template.replace('string split ","', 'string split --max 1 ","')


def register() -> None:
    """Let click use it where fish asks."""
    add_completion_class(WholeFishComplete)
