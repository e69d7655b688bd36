"""Mailpit's chaos and MailHog's Jim: both are rules in the fault plan of the namespace that they are set in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web

from fastsmtp.faults.plan import FaultPlan
from fastsmtp.inbox.api.problems import Problem
from fastsmtp.inbox.api.requests import INBOX
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.mailpit.compatible import as_json, not_found, read_json, refused
from fastsmtp.inbox.mailpit.scope import scope_of
from fastsmtp.inbox.names import DEFAULT
from fastsmtp.inbox.namespaces import Namespace

_CHAOS: Final = "chaos-"  # how the ids of their rules begin
_JIM: Final = "jim-"
# By trigger: where the rule is asked, and the code of a reply for which none is given.
_TRIGGERS: Final = {"Sender": ("mail", 451), "Recipient": ("rcpt", 451), "Authentication": ("auth", 535)}
_CHANCES: Final = {
    "DisconnectChance": 0.005,
    "AcceptChance": 0.99,
    "LinkSpeedAffect": 0.1,
    "LinkSpeedMin": 1024.0,
    "LinkSpeedMax": 10240.0,
    "RejectSenderChance": 0.05,
    "RejectRecipientChance": 0.05,
    "RejectAuthChance": 0.05,
}


async def space_of(request: web.Request) -> Namespace:
    """Return the namespace that a request is about, `default` where it is about all of them."""
    scope = await scope_of(request)
    return scope.namespace or await scope.inbox.put(DEFAULT)


def _rules(inbox: Inbox, namespace: Namespace, prefix: str) -> list[dict[str, Any]]:
    running = inbox.plans.of(namespace.name)
    rules = [] if running is None else running.plan.rules
    return [rule.spec for rule in rules if rule.ident.startswith(prefix)]


async def _replace(inbox: Inbox, namespace: Namespace, prefix: str, rules: list[dict[str, Any]]) -> None:
    """Let a plan have these rules, behind its others, in the place of those whose ids begin so."""
    running = inbox.plans.of(namespace.name)
    others = [] if running is None else running.plan.rules
    kept = [{**rule.spec, "id": rule.ident} for rule in others if not rule.ident.startswith(prefix)]
    if kept or rules:
        seed = {} if running is None else {"seed": running.plan.seed}
        await inbox.plans.put(namespace, FaultPlan({**seed, "rules": [*kept, *rules]}))
    elif running is not None:
        await inbox.plans.remove(namespace.name)


# Mailpit


async def chaos(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/chaos`."""
    namespace = await space_of(request)
    found = {rule["id"]: rule for rule in _rules(request.app[INBOX], namespace, _CHAOS)}
    shown = {name: _shown(found.get(_CHAOS + name.lower()), _TRIGGERS[name][1]) for name in sorted(_TRIGGERS)}
    return await as_json(request, shown)


async def set_chaos(request: web.Request) -> web.StreamResponse:
    """`PUT /api/v1/chaos`: triggers that are left out are reset."""
    document = await read_json(request) or {}
    if not isinstance(document, dict):
        raise Problem(400, "an object of triggers is wanted")
    rules = []
    for name, (stage, usual) in _TRIGGERS.items():
        code, percent = _trigger(document.get(name) or {}, usual)
        if percent:
            reply = f"{code} Chaos {name.lower()} error"
            rules.append(_rule(f"{_CHAOS}{name.lower()}", stage, {"reply": reply}, percent / 100))
    await _replace(request.app[INBOX], await space_of(request), _CHAOS, rules)
    return await chaos(request)


def _shown(rule: Mapping[str, Any] | None, usual: int) -> dict[str, int]:
    if rule is None:
        return {"ErrorCode": usual, "Probability": 0}
    return {"ErrorCode": int(rule["do"]["reply"][:3]), "Probability": round(rule["probability"] * 100)}


def _trigger(spec: Any, usual: int) -> tuple[int, int]:
    code = spec.get("ErrorCode", usual) if isinstance(spec, dict) else None
    percent = spec.get("Probability", 0) if isinstance(spec, dict) else None
    if not isinstance(code, int) or not 400 <= code <= 599:
        raise Problem(400, "error code must be between 400 and 599")
    if not isinstance(percent, int) or not 0 <= percent <= 100:
        raise Problem(400, "probability must be between 0 and 100")
    return code, percent


def _rule(ident: str, at: str, do: dict[str, Any], probability: float) -> dict[str, Any]:
    return {"id": ident, "when": {"at": at}, "do": do, "probability": probability}


# MailHog


async def jim(request: web.Request) -> web.StreamResponse:
    """`GET /api/v2/jim`."""
    found = _chances_of(request.app[INBOX], await space_of(request))
    return not_found() if found is None else await as_json(request, found)


async def invite_jim(request: web.Request) -> web.Response:
    """`POST /api/v2/jim`."""
    inbox, namespace = request.app[INBOX], await space_of(request)
    if _chances_of(inbox, namespace) is not None:
        return refused("Jim is there already")
    await _set_jim(request, inbox, namespace)
    return web.Response(status=201)


async def change_jim(request: web.Request) -> web.Response:
    """`PUT /api/v2/jim`."""
    inbox, namespace = request.app[INBOX], await space_of(request)
    if _chances_of(inbox, namespace) is None:
        return not_found()
    await _set_jim(request, inbox, namespace)
    return web.Response()


async def dismiss_jim(request: web.Request) -> web.Response:
    """`DELETE /api/v2/jim`."""
    inbox, namespace = request.app[INBOX], await space_of(request)
    if _chances_of(inbox, namespace) is None:
        return not_found()
    await _replace(inbox, namespace, _JIM, [])
    return web.Response()


async def _set_jim(request: web.Request, inbox: Inbox, namespace: Namespace) -> None:
    document = await read_json(request) or {}
    chances = {**_CHANCES, **document} if isinstance(document, dict) else {}
    for name, value in chances.items():
        limit = 10**9 if name.startswith("LinkSpeedM") else 1
        if name not in _CHANCES or isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Problem(400, f"{name} is no chance; there are {', '.join(_CHANCES)}")
        if not 0 <= value <= limit:
            raise Problem(400, f"{name} must be between 0 and {limit}")
    await _replace(inbox, namespace, _JIM, [make(chances) for make in _JIMS_RULES.values()])


# What Jim does, in the order in which he is asked. A connection is slow, or it is not.
_JIMS_RULES: Final[dict[str, Callable[[Mapping[str, float]], dict[str, Any]]]] = {
    "accept": lambda jim: _rule(f"{_JIM}accept", "connect", {"close": True}, round(1 - jim["AcceptChance"], 9)),
    "auth": lambda jim: _rule(
        f"{_JIM}auth", "auth", {"reply": "535 Authentication unsuccessful"}, jim["RejectAuthChance"]
    ),
    "sender": lambda jim: _rule(f"{_JIM}sender", "mail", {"reply": "550 Invalid sender"}, jim["RejectSenderChance"]),
    "recipient": lambda jim: _rule(
        f"{_JIM}recipient", "rcpt", {"reply": "550 Invalid recipient"}, jim["RejectRecipientChance"]
    ),
    "disconnect": lambda jim: _rule(f"{_JIM}disconnect", "any", {"close": True}, jim["DisconnectChance"]),
    "slow": lambda jim: _rule(f"{_JIM}slow", "any", {"rate": _speed(jim)}, jim["LinkSpeedAffect"]),
}


def _speed(jim: Mapping[str, float]) -> str:
    return f"{max(1, round((jim['LinkSpeedMin'] + jim['LinkSpeedMax']) / 2))}B/s"


def _chances_of(inbox: Inbox, namespace: Namespace) -> dict[str, float] | None:
    found = {rule["id"].removeprefix(_JIM): rule for rule in _rules(inbox, namespace, _JIM)}
    if not found:
        return None
    speed = float(found["slow"]["do"]["rate"].removesuffix("B/s"))
    return {
        "DisconnectChance": found["disconnect"]["probability"],
        "AcceptChance": round(1 - found["accept"]["probability"], 9),
        "LinkSpeedAffect": found["slow"]["probability"],
        "LinkSpeedMin": speed,
        "LinkSpeedMax": speed,
        "RejectSenderChance": found["sender"]["probability"],
        "RejectRecipientChance": found["recipient"]["probability"],
        "RejectAuthChance": found["auth"]["probability"],
    }
