"""The verbs `ns` and `ledger`: namespaces of a running server's inbox, and what became of every mail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from fastsmtp import text
from fastsmtp.cli.inboxoptions import EXIT_CODES, NAMESPACE_VARIABLE, echo_json, inbox_options
from fastsmtp.cli.options import BAD_CONFIG, FAILED, fail
from fastsmtp.system import table
from fastsmtp.system.terminal import terminal_width

if TYPE_CHECKING:
    from fastsmtp.client.inbox import InboxClient

_NUMBERS = frozenset({"MAILS", "UNREAD", "REFUSED", "SIZE"})


@click.group(short_help="List, make and delete namespaces of the inbox.")
def ns() -> None:
    """List, make and delete namespaces of a running server's inbox: a mailbox of its own for every test."""


@ns.command(name="ls", epilog=EXIT_CODES)
@click.argument("prefix", default="")
@inbox_options
def list_namespaces(client: InboxClient, prefix: str, as_json: bool) -> None:
    """List the namespaces whose names begin with PREFIX."""
    document = client.call("GET", "/api/ns", query={"prefix": prefix} if prefix else None).document
    if as_json:
        echo_json(document)
        return
    heads = ("NAME", "MAILS", "UNREAD", "REFUSED", "SIZE", "LAST USED")
    for line in table.lines(heads, map(_row, document["namespaces"]), _NUMBERS, width=terminal_width()):
        click.echo(line)


def _row(space: Mapping[str, Any]) -> tuple[object, ...]:
    used = space["used_at"][:19].replace("T", " ")
    return (space["name"], space["mails"], space["unread"], space["refused"], text.size(space["bytes"]), used)


@ns.command(epilog=EXIT_CODES)
@click.argument("name")
@click.option("--ttl", metavar="TIME", help="Deleted so long after its last mail or call, like 1h.")
@click.option("--max-mails", metavar="COUNT", type=click.IntRange(1), help="The most mails that are kept.")
@click.option("--max-bytes", metavar="SIZE", help="The most octets that are kept, like 10MB.")
@click.option("--on-quota", type=click.Choice(["evict", "refuse", "count-only"]), help="What happens above.")
@click.option("--keep", type=click.Choice(["full", "summary", "count"]), help="What is kept of a mail.")
@inbox_options
def put(client: InboxClient, name: str, as_json: bool, **given: Any) -> None:
    """Make a namespace, or change it."""
    from fastsmtp.client.inbox import namespace_path
    from fastsmtp.config.rules import parse_size

    document = {key: given[key] for key in ("ttl", "on_quota", "keep") if given[key] is not None}
    quota: dict[str, int] = {}
    if given["max_mails"] is not None:
        quota["mails"] = given["max_mails"]
    if given["max_bytes"] is not None:
        try:
            quota["bytes"] = parse_size(given["max_bytes"])
        except ValueError as error:
            fail(f"--max-bytes: {error}", BAD_CONFIG)
    if quota:
        document["quota"] = quota
    space = client.call("PUT", namespace_path(name), document=document).document
    if as_json:
        echo_json(space)
    else:
        click.echo(f"{space['name']} is there, cursor {space['cursor']}, {space['urls']['api']}")


@ns.command(epilog=EXIT_CODES)
@click.argument("names", nargs=-1)
@click.option("--prefix", metavar="PREFIX", help="All whose names begin so.")
@inbox_options
def rm(client: InboxClient, names: tuple[str, ...], prefix: str | None, as_json: bool) -> None:
    """Delete namespaces with all they hold."""
    from fastsmtp.client.inbox import namespace_path

    if bool(names) == (prefix is not None):
        fail("which ones? Their names, or --prefix", BAD_CONFIG)
    deleted: list[str] = []
    if prefix is not None:
        deleted = client.call("DELETE", "/api/ns", query={"prefix": prefix}).document["deleted"]
    for name in names:
        deleted += client.call("DELETE", namespace_path(name)).document["deleted"]
    if as_json:
        echo_json({"deleted": deleted})
    else:
        click.echo(f"deleted {text.counted(len(deleted), 'namespace')}")


@click.command(epilog=EXIT_CODES, short_help="Show what became of every mail.")
@click.option(
    "-n",
    "--namespace",
    envvar=NAMESPACE_VARIABLE,
    metavar="NAME",
    help=f"Of one namespace. Also in {NAMESPACE_VARIABLE}.  [default: all]",
)
@inbox_options
def ledger(client: InboxClient, namespace: str | None, as_json: bool) -> None:
    """Show what became of every mail, and whether the books balance; ends with 1 where they do not."""
    from fastsmtp.client.inbox import namespace_path

    path = "/api/ledger" if namespace is None else f"{namespace_path(namespace)}/ledger"
    document = client.call("GET", path).document
    if as_json:
        echo_json(document)
    else:
        for line in _ledger_lines(document):
            click.echo(line)
    if not document["balanced"]:
        raise SystemExit(FAILED)


def _ledger_lines(document: Mapping[str, Any]) -> list[str]:
    sessions, store = document["sessions"], document["store"]
    lines = [
        _equation("begun", sessions, ("accepted", "refused", "aborted", "moved", "in_flight")),
        _equation("accepted", store, ("stored", "counted_only", "dropped")),
        _equation("stored", store, ("present", "deleted", "evicted", "expired")),
    ]
    others = {**document["outcomes"], **document["other"]}
    lines += [f"{name:<16}{count}" for name, count in sorted(others.items()) if name != "accepted"]
    return [*lines, "balanced" if document["balanced"] else "NOT BALANCED"]


def _equation(name: str, counters: Mapping[str, int], parts: tuple[str, ...]) -> str:
    terms = " + ".join(f"{counters[part]} {part.replace('_', ' ')}" for part in parts)
    return f"{name:<9}{counters[name]} = {terms}"
