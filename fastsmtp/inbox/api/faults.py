"""Fault plans of namespaces: set, looked at, ended; and what they did."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from fastsmtp.config.documents import read_document
from fastsmtp.faults.engine import RunningPlan
from fastsmtp.faults.plan import FaultPlan
from fastsmtp.faults.question import PlanError
from fastsmtp.faults.report import report_text
from fastsmtp.inbox.api.answers import answer, answer_any
from fastsmtp.inbox.api.problems import Problem, bad
from fastsmtp.inbox.api.requests import INBOX, NAMESPACE, name_of, namespace_of
from fastsmtp.inbox.planfile import read_plan

HAS_TLS: Final = web.AppKey("has_tls", bool)  # whether any listener has a certificate


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes."""
    return [
        web.put(f"{NAMESPACE}/faults", put),
        web.get(f"{NAMESPACE}/faults", show),
        web.delete(f"{NAMESPACE}/faults", end),
    ]


async def plan_of(document: Any, request: web.Request, pointer: str = "") -> FaultPlan:
    """Return the plan in a request. Raises Problem, with a pointer below `pointer`."""
    try:  # thousands of patterns take a second
        return await asyncio.to_thread(read_plan, document, tls=request.app[HAS_TLS])
    except PlanError as error:
        raise bad(pointer + error.pointer, error.reason) from None


async def put(request: web.Request) -> web.Response:
    """`PUT …/faults`: in the place of the plan that there may be; counters start at 0. JSON or YAML."""
    name = name_of(request)
    octets = await request.read()
    try:
        document = await asyncio.to_thread(read_document, octets)
    except ValueError as error:
        raise Problem(400, f"the body is neither JSON nor YAML: {error}") from None
    plan = await plan_of(document, request)
    inbox = request.app[INBOX]
    namespace = inbox.namespace(name) or await inbox.put(name)
    running = await inbox.plans.put(namespace, plan)
    return answer({"namespace": name, **running.report()})


async def show(request: web.Request) -> web.StreamResponse:
    """`GET …/faults`: the plan, and what each of its rules did."""
    name = namespace_of(request).name
    running = request.app[INBOX].plans.of(name)
    if running is None:
        raise no_plan(name)
    return await _answered(request, {"namespace": name, **running.report()})


async def end(request: web.Request) -> web.StreamResponse:
    """`DELETE …/faults`: whatever it makes wait goes on. With `expect=all` it is an error if a rule never acted."""
    name = namespace_of(request).name
    expected = request.query.get("expect", "")
    if expected not in ("", "all"):
        raise bad("/expect", "all")
    running = await request.app[INBOX].plans.remove(name)
    if running is None:
        raise no_plan(name)
    report = {"namespace": name, **running.report()}
    if expected and running.idle_rules:
        raise Problem(409, _idle(running), report=report)
    return await _answered(request, report)


def no_plan(name: str) -> Problem:
    """The problem of a namespace without a plan."""
    return Problem(404, f"there is no plan in {name}")


def _idle(running: RunningPlan) -> str:
    rules = running.idle_rules
    return f"{'a rule' if len(rules) == 1 else 'rules'} never acted: {', '.join(rules)}"


async def _answered(request: web.Request, report: Mapping[str, Any]) -> web.StreamResponse:
    if "text/plain" in request.headers.get("Accept", ""):
        return web.Response(text=report_text(report))
    return await answer_any(request, report)
