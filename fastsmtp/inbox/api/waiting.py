"""Waits and expectations."""

from __future__ import annotations

import time
from typing import Any, Final

from aiohttp import web

from fastsmtp.inbox.api.answers import PROBLEM, answer_any
from fastsmtp.inbox.api.requests import (
    INBOX,
    MAX_LIST,
    MAX_PAYLOADS,
    NAMESPACE,
    namespace_of,
    read_document,
    read_fields,
    read_number,
    read_position,
    read_seconds,
    where_of_query,
)
from fastsmtp.inbox.encoding import weight
from fastsmtp.inbox.expectation import Expectation, ExpectationState, Seen, make_expectation, make_item
from fastsmtp.inbox.ledger import ABORTED, ACCEPTED, FAULT, REFUSED
from fastsmtp.inbox.namespaces import Namespace
from fastsmtp.inbox.report import make_report, report_text

_WAIT_KEYS: Final = ("after", "count", "where", "timeout", "exactly", "settle", "unit", "fields", "limit")
_EXPECT_KEYS: Final = ("after", "within", "rest", "settle", "expect")
_EVENTS: Final = {ACCEPTED: ACCEPTED, REFUSED: REFUSED, ABORTED: ABORTED, "dropped": f"{FAULT}dropped"}  # of a report
_DEFAULT_WAIT: Final = "10s"
_DEFAULT_WITHIN: Final = "5s"


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes."""
    return [
        web.post(f"{NAMESPACE}/wait", wait),
        web.get(f"{NAMESPACE}/wait", wait_by_query),
        web.post(f"{NAMESPACE}/expect", expect),
    ]


async def wait(request: web.Request) -> web.StreamResponse:
    """`POST …/wait`: until mails are there."""
    return await _wait(request, await read_document(request, _WAIT_KEYS))


async def wait_by_query(request: web.Request) -> web.StreamResponse:
    """`GET …/wait?…`: the same, for a shell."""
    others = [key for key in _WAIT_KEYS if key != "where"]
    spec: dict[str, Any] = {key: request.query[key] for key in others if key in request.query}
    for key in ("count", "exactly"):
        if key in spec:
            spec[key] = read_number(spec[key], f"/{key}", 0, 1_000_000)
    return await _wait(request, spec, where_of_query(request, others).spec)


async def _wait(request: web.Request, spec: dict[str, Any], where: Any = None) -> web.StreamResponse:
    namespace, inbox = namespace_of(request), request.app[INBOX]
    item = {key: spec[key] for key in ("count", "exactly", "unit") if key in spec}
    made = make_item({**item, "where": spec.get("where", {}) if where is None else where}, "", read_seconds)
    settle_s = read_seconds(spec.get("settle", "250ms"), "/settle")
    within_s = read_seconds(spec.get("timeout", _DEFAULT_WAIT), "/timeout")
    limit = read_number(spec.get("limit", 50), "/limit", 0, MAX_LIST)
    full = read_fields(spec.get("fields", "summary"))
    expectation = Expectation([made], settle_s=settle_s)
    after = read_position(inbox, namespace, spec.get("after"), "/after")
    state, elapsed_s, report = await _observe(request, "wait", namespace, expectation, after, within_s)
    if state is not ExpectationState.MET:
        return await _failed(request, state, report)
    mails = await inbox.aside(_shown, made.seen[:limit], full=full)
    return await answer_any(
        request,
        {
            "matched": made.counted,
            "cursor": report["to"],
            "elapsed_ms": round(elapsed_s * 1000),
            "mails": mails,
            "more": made.mails - len(mails),
        },
    )


def _shown(matched: list[Seen], *, full: bool) -> list[dict[str, Any]]:
    """As many as one answer carries, at least one. Payloads are read from the store: it is for a thread."""
    mails: list[dict[str, Any]] = []
    octets = 0
    for seen in matched:
        shown = {**seen.mail.summary, "seq": seen.seq}
        if full:
            shown["payload"] = seen.mail.payload
        octets += weight(shown, MAX_PAYLOADS)
        if mails and octets > MAX_PAYLOADS:
            break
        mails.append(shown)
    return mails


async def expect(request: web.Request) -> web.StreamResponse:
    """`POST …/expect`: a whole picture in one call."""
    namespace, inbox = namespace_of(request), request.app[INBOX]
    spec = await read_document(request, _EXPECT_KEYS)
    expectation = make_expectation(spec, read_seconds)
    within_s = read_seconds(spec.get("within", _DEFAULT_WITHIN), "/within")
    after = read_position(inbox, namespace, spec.get("after"), "/after")
    state, _elapsed_s, report = await _observe(request, "expect", namespace, expectation, after, within_s)
    if state is not ExpectationState.MET:
        return await _failed(request, state, report)
    return await answer_any(request, report)


async def _observe(
    request: web.Request, kind: str, namespace: Namespace, expectation: Expectation, after: int, within_s: float
) -> tuple[ExpectationState, float, dict[str, Any]]:
    inbox = request.app[INBOX]
    before = inbox.told(namespace) if after else {}  # what the mails from the start of the namespace on belong to
    recipient = expectation.items[0].where.recipient if kind == "wait" else None
    state, elapsed_s = await inbox.observe(namespace, expectation, after=after, within_s=within_s, recipient=recipient)
    now = inbox.told(namespace)
    server = {name: now.get(event, 0) - before.get(event, 0) for name, event in _EVENTS.items()}
    server["in_flight"] = now["in_flight"]
    cursors = (f"{namespace.epoch}.{after}", str(inbox.cursor(namespace)))
    held = state is ExpectationState.MET
    began = time.time() - elapsed_s
    failures = [(failure.time - began, failure) for failure in inbox.plans.failures(namespace.name, after)]
    described = (kind, namespace.name, cursors, elapsed_s, expectation, server, failures)
    if held and kind == "wait":  # its answer shows no more of the report
        return state, elapsed_s, {"to": cursors[1]}
    return state, elapsed_s, await inbox.aside(make_report, *described, held=held)


async def _failed(request: web.Request, state: ExpectationState, report: dict[str, Any]) -> web.StreamResponse:
    """408 when the time is over, 409 when something came that must not."""
    status = 409 if state is ExpectationState.VIOLATED else 408
    text = report_text(report)
    if "text/plain" in request.headers.get("Accept", ""):
        return web.Response(status=status, text=text)
    document = {"type": "about:blank", "title": "Not as expected", "status": status, "detail": text}
    return await answer_any(request, {**document, "report": report}, status, content_type=PROBLEM)
