"""What handlers read of requests: documents, numbers, spans of time, conditions, namespaces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
from aiohttp import web

from fastsmtp.config.rules import parse_duration
from fastsmtp.config.settings import InboxAuthSettings
from fastsmtp.inbox.api.bodies import load_body
from fastsmtp.inbox.api.problems import Problem, bad
from fastsmtp.inbox.inbox import Inbox
from fastsmtp.inbox.intake import Intake
from fastsmtp.inbox.mailpit.search import MailpitQuery
from fastsmtp.inbox.names import RESERVED, is_name
from fastsmtp.inbox.namespaces import ACCEPTED, OUTCOMES, Namespace, now_ms
from fastsmtp.inbox.where import KEYS, Condition, Every, Where
from fastsmtp.inbox.workerpayload import Shape

MAX_LIST: Final = 1000
MAX_WAIT_S: Final = 600.0
MAX_PAYLOADS: Final = 16 * 1024 * 1024  # octets of payloads in one answer
_LIST_LIMIT: Final = 50
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}

# The path of a namespace, whose name may have one `/`; but what stands behind it may be about the namespace.
NAMESPACE: Final = "/api/ns/{ns:[^/]+(?:/(?!(?:" + "|".join(RESERVED) + ")(?:/|$))[^/]+)?}"

INBOX: Final = web.AppKey("inbox", Inbox)
AUTH: Final = web.AppKey("auth", InboxAuthSettings)  # what the inbox itself asks for
INTAKE: Final = web.AppKey("intake", Intake)
RELAY: Final = web.AppKey("relay", str)  # where released mails go, "" = nowhere
SHAPE: Final = web.AppKey("shape", Shape)  # of what workers get


def name_of(request: web.Request) -> str:
    """Return the name of the namespace in the path. Raises Problem."""
    name = request.match_info["ns"]
    if not is_name(name):
        raise Problem(404, f"{name!r} is no name of a namespace: a-z 0-9 . _ - and one /, not beginning with . _ -")
    return name


def namespace_of(request: web.Request) -> Namespace:
    """Return the namespace in the path. Raises Problem where there is none."""
    return namespace_called(request, name_of(request))


def namespace_called(request: web.Request, name: str) -> Namespace:
    """Return the namespace of this name; it is in use now. Raises Problem where there is none."""
    namespace = request.app[INBOX].namespace(name)
    if namespace is None:
        raise Problem(404, f"there is no namespace {name}; PUT makes it, and so does its first mail")
    namespace.used_at = now_ms()
    return namespace


async def read_document(request: web.Request, known: Iterable[str]) -> dict[str, Any]:
    """Return the JSON object of a request, {} without one. Raises Problem for anything else, and for unknown keys."""
    return await parse_document(await request.read(), known)


async def parse_document(octets: bytes, known: Iterable[str]) -> dict[str, Any]:
    """Return the JSON object, {} without one. Raises Problem for anything else, and for unknown keys."""
    if not octets.strip():
        return {}
    try:
        document = await load_body(octets)
    except ValueError as error:
        raise Problem(400, f"the body is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise bad("", "an object is wanted")
    keys = list(known)
    for key in document:
        if key not in keys:
            raise bad(f"/{key}", f"unknown key; there are {', '.join(keys)}")
    return document


def read_position(inbox: Inbox, namespace: Namespace, cursor: Any, pointer: str) -> int:
    """Return the number of a cursor, 0 for "" and None. Raises Problem, and GoneError for an old one."""
    if cursor is None:
        return 0
    if not isinstance(cursor, str):
        raise bad(pointer, "a cursor is a string")
    try:
        return inbox.position(namespace, cursor)
    except ValueError as error:
        raise bad(pointer, str(error)) from None


def read_seconds(value: Any, pointer: str, highest: float = MAX_WAIT_S) -> float:
    """Return a span of time: a number of seconds, or a string like "500ms" or "5s". Raises Problem."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str):
        seconds = _parse_seconds(value, pointer)
    else:
        raise bad(pointer, 'a span of time: seconds, or a string like "500ms" or "5s"')
    if not 0 <= seconds <= highest:
        raise bad(pointer, f"a span of time from 0 to {highest:.0f} s")
    return seconds


def _parse_seconds(text: str, pointer: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return parse_duration(text)
    except ValueError as error:
        raise bad(pointer, str(error) or 'a span of time like "500ms" or "5s"') from None


def read_number(value: Any, pointer: str, lowest: int, highest: int) -> int:
    """Return an integer within bounds. Raises Problem."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise bad(pointer, f"a number from {lowest} to {highest}")
    return value


def read_outcomes(text: str | None) -> tuple[str, ...] | None:
    """Return the outcomes that a list asks for: "any" is None, all of them. Raises Problem."""
    if text is None:
        return (ACCEPTED,)
    if text == "any":
        return None
    wanted = tuple(text.split(","))
    for outcome in wanted:
        if outcome not in OUTCOMES:
            raise bad("/outcome", f"any, or of {', '.join(OUTCOMES)}")
    return wanted


def read_limit(query: Mapping[str, str]) -> int:
    """Return how many mails a list asks for. Raises Problem."""
    return read_number(query["limit"], "/limit", 1, MAX_LIST) if "limit" in query else _LIST_LIMIT


def read_fields(fields: Any) -> bool:
    """Whether mails are asked for with their payloads. Raises Problem."""
    if fields not in ("summary", "full"):
        raise bad("/fields", "summary or full")
    return bool(fields == "full")


def read_flag(query: Mapping[str, str], name: str) -> bool | None:
    """Return a flag of a query, None without it. Raises Problem."""
    if name not in query:
        return None
    flag = _BOOLEANS.get(query[name].lower())
    if flag is None:
        raise bad(f"/{name}", "true or false")
    return flag


def are_tags(tags: Any) -> bool:
    """Whether these can be tags of a mail."""
    return (
        isinstance(tags, list)
        and len(tags) <= 100
        and all(isinstance(tag, str) and tag and len(tag) <= 100 and "\n" not in tag for tag in tags)
    )


def condition_of_query(request: web.Request, others: Iterable[str]) -> Condition | None:
    """Return the condition of a query, with `q`, a search as Mailpit has it; None without any. Raises WhereError."""
    where: Condition | None = where_of_query(request, (*others, "q")) or None
    text = request.query.get("q", "").strip()
    if not text:
        return where
    query = MailpitQuery(text, request.query.get("tz", ""))
    return query if where is None else Every(where, query)


def where_of_query(request: web.Request, others: Iterable[str]) -> Where:
    """Return the condition of a query: every key but `others`; one that comes twice is "any of". Raises WhereError."""
    skipped = set(others)
    spec: dict[str, Any] = {}
    for key in dict.fromkeys(request.query):
        if key in skipped:
            continue
        values: list[Any] = request.query.getall(key)
        if key == "where":
            spec.update(_where_document(values[0]))
        elif key in ("has_attachment", "tls"):
            spec[key] = read_flag(request.query, key)
        else:
            spec[key] = values[0] if len(values) == 1 else values
    return Where(spec)


def _where_document(text: str) -> dict[str, Any]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"where is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise bad("/where", f"an object with keys of {', '.join(KEYS)}")
    return document
