"""What the rules of a plan did, as text for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastsmtp.text import counted, printable

_SHOWN: Final = 5  # hits of a rule
_COMMAND_CHARS: Final = 80


def report_text(report: Mapping[str, Any]) -> str:
    """Return the report of a plan, as the API answers it, a line for each rule and for its last hits."""
    lines = [f"plan of {report['namespace']}, seed {report['seed']}"]
    for rule in report["report"]:
        lines.append(_rule_line(rule))
        lines += [f"    {_hit_line(hit)}" for hit in rule["hits"][-_SHOWN:]]
    lines.append(f"no rule acted on {counted(report['unmatched'], 'other command')}")
    return "\n".join(lines) + "\n"


def _rule_line(rule: Mapping[str, Any]) -> str:
    counts = f"{rule['matched']} matched, {rule['acted']} acted, {rule['passed']} passed"
    exhausted = f", {rule['exhausted']} of {counted(rule['keys'], 'key')} exhausted" if rule["exhausted"] else ""
    mark = "ok" if rule["acted"] else "x "
    return f"{mark} {printable(rule['id'])}: {counts}{exhausted}"


def _hit_line(hit: Mapping[str, Any]) -> str:
    command = printable((hit["command"] or hit["at"])[:_COMMAND_CHARS])
    reply = f" -> {printable(hit['reply'])}" if hit["reply"] else ""
    return f"{hit['time']} {command}: {printable(hit['action'])}{reply}"
