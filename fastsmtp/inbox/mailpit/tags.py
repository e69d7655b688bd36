"""Tags of mails, as Mailpit's API has them."""

from __future__ import annotations

from aiohttp import web

from fastsmtp.inbox.api.problems import Problem
from fastsmtp.inbox.mailpit.compatible import as_json, done, read_ids, read_json
from fastsmtp.inbox.mailpit.scope import scope_of
from fastsmtp.inbox.mailpit.search import MailpitQuery
from fastsmtp.inbox.tags import clean_tags, is_tag


async def list_tags(request: web.Request) -> web.StreamResponse:
    """`GET /api/v1/tags`."""
    return await as_json(request, sorted((await (await scope_of(request)).counters()).tags))


async def set_tags(request: web.Request) -> web.Response:
    """`PUT /api/v1/tags`: those of the IDs are replaced."""
    scope, document = await scope_of(request), await read_json(request)
    wanted = document.get("Tags") if isinstance(document, dict) else None
    if not isinstance(wanted, list):
        raise Problem(400, "Tags is a list of strings")
    await scope.inbox.mark(await scope.rows_of(read_ids(document)), tags=clean_tags(wanted))
    return done()


async def _retag(request: web.Request, new: str | None) -> None:
    scope, old = await scope_of(request), request.match_info["tag"].lower()
    if old not in {tag.lower() for tag in (await scope.counters()).tags}:
        raise Problem(400, f"tag not found: {request.match_info['tag']}")
    condition = MailpitQuery(f'tag:"{old}"')
    async for rows in scope.slices(condition):
        for row in await scope.copies(rows):
            left = [tag for tag in row.tags if tag.lower() != old]
            await scope.inbox.mark([row], tags=clean_tags([*left, new] if new else left))


async def rename_tag(request: web.Request) -> web.Response:
    """`PUT /api/v1/tags/{Tag}`."""
    document = await read_json(request)
    name = document.get("Name") if isinstance(document, dict) else None
    if not isinstance(name, str) or not is_tag(name):
        raise Problem(400, "invalid tag name")
    await _retag(request, name)
    return done()


async def delete_tag(request: web.Request) -> web.Response:
    """`DELETE /api/v1/tags/{Tag}`: messages stay."""
    await _retag(request, None)
    return done()
