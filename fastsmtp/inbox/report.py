"""What happened instead: the report of a wait or an expectation, as JSON and as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from fastsmtp.faults.failures import FailedAttempt
from fastsmtp.inbox.expectation import Expectation, Item, Seen, near_misses
from fastsmtp.text import counted, printable

_SHOWN: Final = 20  # mails of one list
_TEXT_CHARS: Final = 120


def make_report(
    kind: str,
    namespace: str,
    cursors: tuple[str, str],
    elapsed_s: float,
    expectation: Expectation,
    server: Mapping[str, int],
    failures: Sequence[tuple[float, FailedAttempt]] = (),
    *,
    held: bool,
    reason: str = "",
) -> dict[str, Any]:
    """Return the report of a `kind`, "wait" or "expect", between two cursors.

    `server` counts what happened to mails of this namespace meanwhile, `failures` are what its plan let fail, each with
    its seconds from the start; `reason` says why it ended early.
    """
    others = expectation.unclaimed
    return {
        "kind": kind,
        "held": held,
        "reason": reason,
        "namespace": namespace,
        "from": cursors[0],
        "to": cursors[1],
        "elapsed_ms": round(elapsed_s * 1000),
        "mails": expectation.count,
        "items": [_item(item, others) for item in expectation.items],
        "unclaimed": _shown(others),
        "unclaimed_more": max(0, expectation.unclaimed_count - _SHOWN),
        "server": dict(server),
        "failures": [_failure(at_s, failure) for at_s, failure in failures[-_SHOWN:]],
        "failures_more": max(0, len(failures) - _SHOWN),
    }


def _item(item: Item, others: Iterable[Seen]) -> dict[str, Any]:
    return {
        "name": item.name,
        "wanted": item.wanted(),
        "got": item.counted,
        "held": item.met and not item.faults,
        "faults": item.faults[:_SHOWN],
        "mails": _shown(item.seen),
        "near": [{**_mail(seen), "has": has} for seen, has in near_misses(item, others)] if not item.met else [],
    }


def _failure(at_s: float, failure: FailedAttempt) -> dict[str, Any]:
    return {
        "rule": failure.rule,
        "at": failure.at,
        "of": failure.of,
        "action": failure.action,
        "at_ms": round(at_s * 1000),
        "tried_again": failure.tried_again,
    }


def _shown(seen: list[Seen]) -> list[dict[str, Any]]:
    return [_mail(one) for one in seen[:_SHOWN]]


def _mail(seen: Seen) -> dict[str, Any]:
    summary = seen.mail.summary
    return {
        "seq": seen.seq,
        "uuid": summary["uuid"],
        "at_ms": round(seen.at_s * 1000),
        "subject": summary["subject"],
        "from": summary["envelope"]["from"],
        "to": summary["envelope"]["to"][:_SHOWN],
    }


def report_text(report: Mapping[str, Any]) -> str:
    """Return a report for people."""
    verb = "held" if report["held"] else "failed"
    seconds = report["elapsed_ms"] / 1000
    span = f"{report['from']} -> {report['to']}, {counted(report['mails'], 'mail')}"
    lines = [f"{report['kind']} {verb} after {seconds:.3f} s in {report['namespace']} ({span})"]
    for item in report["items"]:
        lines += _item_lines(item)
    if report["unclaimed"]:
        more = f" and {report['unclaimed_more']} more" if report["unclaimed_more"] else ""
        lines.append("unclaimed: " + ", ".join(_mail_to(mail) for mail in report["unclaimed"]) + more)
    lines.append(_server_line(report))
    return "\n".join(lines) + "\n"


def _server_line(report: Mapping[str, Any]) -> str:
    told = [f"{count} {name.replace('_', ' ')}" for name, count in report["server"].items()]
    if report["failures"]:
        more = f"; and {report['failures_more']} before" if report["failures_more"] else ""
        told.append("; ".join(map(_failure_words, report["failures"])) + more)
    return "server: " + ", ".join(told)


def _failure_words(failure: Mapping[str, Any]) -> str:
    again = {None: "", False: ", not tried again", True: ", tried again"}[failure["tried_again"]]
    what = f"{failure['at'].upper()} {_printable(failure['of'])} {failure['action']}"
    return f'fault "{_printable(failure["rule"])}": {what} at {_at(failure)}{again}'


def _item_lines(item: Mapping[str, Any]) -> list[str]:
    mark = "ok" if item["held"] else "x"
    name = f"{item['name']}: " if item["name"] else ""
    lines = [f"{mark} {_printable(name + item['wanted'])}: got {item['got']}"]
    lines += [f"    {_printable(fault)}" for fault in item["faults"]]
    lines += [f"    {_mail_line(mail)}" for mail in item["mails"]]
    if item["near"]:
        lines.append("  one condition off:")
        lines += [f"    #{mail['seq']} {_at(mail)}  {_printable(mail['has'])}" for mail in item["near"]]
    return lines


def _mail_line(mail: Mapping[str, Any]) -> str:
    return f"#{mail['seq']} {_at(mail)}  {_quoted(mail['subject'])}"


def _mail_to(mail: Mapping[str, Any]) -> str:
    return f"#{mail['seq']} {_quoted(mail['subject'])} to {_printable(', '.join(mail['to'][:3]))}"


def _at(mail: Mapping[str, Any]) -> str:
    return f"{mail['at_ms'] / 1000:+.3f} s"


def _quoted(subject: str | None) -> str:
    return "(no subject)" if subject is None else f'"{_printable(subject)}"'


def _printable(text: str) -> str:
    return printable(text if len(text) <= _TEXT_CHARS else text[: _TEXT_CHARS - 1] + "…")
