"""The verb `inbox`: list, show, await, delete and carry mails of a running server's inbox."""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import click

from fastsmtp import text
from fastsmtp.cli.inboxoptions import (
    EXIT_CODES,
    echo_json,
    echo_mails,
    inbox_options,
    mails_path,
    namespace_option,
    read_conditions,
)
from fastsmtp.cli.options import BAD_CONFIG, FAILED, complete_file, fail
from fastsmtp.system.terminal import harmless, one_line

if TYPE_CHECKING:
    from fastsmtp.client.inbox import APIAnswer, InboxClient

_HELD = (200,)
_FORMATS = {".zip": "eml.zip", ".mbox": "mbox", ".jsonl": "jsonl", ".eml": "eml"}
_STANDARD = "-"
_AGAIN_S = 1.0

_CONDITIONS = """\b
Conditions are like
  to=x@example.com  from=*@example.com  subject="Welcome*"  header.X-Run=7
  rcpt= cc= text= html= body= tag= username= helo= ip= attachment=
  size=">1MB"  has_attachment=true
All of them must hold; a key that comes twice is "any of"; * and ? are
wildcards.

"""


@click.group(short_help="List, show, await and delete the mails kept.")
def inbox() -> None:
    """List, show, await, delete and carry mails of a running server's inbox."""


@inbox.command(name="ls", epilog=_CONDITIONS + EXIT_CODES)
@click.argument("conditions", nargs=-1)
@namespace_option
@click.option(
    "--limit", metavar="COUNT", type=click.IntRange(1, 1000), default=50, show_default=True, help="The most mails."
)
@click.option("--oldest-first", is_flag=True, help="The oldest first.")
@click.option(
    "--outcome", metavar="OUTCOME", help="Those whose client was told no, too: any, or worker-failed and others."
)
@inbox_options
def list_mails(
    client: InboxClient,
    conditions: tuple[str, ...],
    namespace: str,
    limit: int,
    oldest_first: bool,
    outcome: str | None,
    as_json: bool,
) -> None:
    """List mails, the newest first."""
    query = {**_query(conditions), "limit": limit, "order": "asc" if oldest_first else "desc"}
    if outcome:
        query["outcome"] = outcome
    document = client.call("GET", mails_path(namespace), query=query).document
    if as_json:
        echo_json(document)
    elif document["mails"]:
        echo_mails(document["mails"])
        if document["next"]:
            click.echo(f"… {document['total']} in all; --limit shows more")
    else:
        click.echo(f"no mail in {namespace}" + (" meets the condition" if conditions else ""))


def _query(conditions: Sequence[str]) -> dict[str, Any]:
    return {
        key: str(value).lower() if isinstance(value, bool) else value
        for key, value in read_conditions(conditions).items()
    }


_VIEWS = ("raw", "text", "html", "headers", "parts", "payload", "transcript", "links", "codes")


@inbox.command(epilog=EXIT_CODES)
@click.argument("uuid", default="latest")
@namespace_option
@click.option("--view", type=click.Choice(_VIEWS), help="One thing of it, as the inbox has it.")
@inbox_options
def show(client: InboxClient, uuid: str, namespace: str, view: str | None, as_json: bool) -> None:
    """Show a mail, the newest without UUID."""
    path = mails_path(namespace, f"/{uuid}")
    if view is not None:
        query = {"source": "true"} if view == "html" else None
        for piece in client.download(f"{path}/{view}", query):
            _write(sys.stdout.buffer, piece)
        return
    mail = client.call("GET", path).document
    if as_json:
        echo_json(mail)
        return
    for line in _shown(mail):
        click.echo(line)


def _shown(mail: Mapping[str, Any]) -> list[str]:
    envelope = mail["envelope"]
    lines = [
        f"uuid     {mail['uuid']}  #{mail['seq']}  {mail['received_at']}",
        f"from     {one_line(envelope['from'] or '<>')}",
        f"to       {one_line(', '.join(envelope['to']))}",
        f"subject  {one_line(mail['subject'] or '')}",
        f"size     {text.size(mail['size'])}, {text.counted(mail['attachments'], 'attachment')}",
    ]
    if mail["username"]:
        lines.append(f"login    {one_line(mail['username'])}")
    lines += [
        f"{name:<9}{one_line(', '.join(mail[key]))}"
        for name, key in (("tags", "tags"), ("violate", "violations"), ("defects", "defects"))
        if mail[key]
    ]
    if mail["outcome"] != "accepted":
        lines.append(f"outcome  {mail['outcome']}")
    payload = mail["payload"]
    if payload is not None:
        body = payload["message"]["body"]
        lines += ["", *(harmless(line) for line in body.replace("\r\n", "\n").rstrip("\n").split("\n"))]
        lines += [
            f"[{one_line(one['filename'])}, {one['content_type']}, {text.size(one['size'])}]"
            for one in payload["attachments"]
        ]
    return lines


@inbox.command(epilog=_CONDITIONS + EXIT_CODES, short_help="Wait until mails are there.")
@click.argument("conditions", nargs=-1)
@namespace_option
@click.option("--count", metavar="COUNT", type=click.IntRange(0), help="How many at least.  [default: 1]")
@click.option("--exactly", metavar="COUNT", type=click.IntRange(0), help="How many, and no more for a moment.")
@click.option("--timeout", default="10s", show_default=True, metavar="TIME", help="How long at most, like 5s.")
@click.option("--after", metavar="CURSOR", help="Only mails behind this cursor.")
@inbox_options
def wait(
    client: InboxClient,
    conditions: tuple[str, ...],
    namespace: str,
    count: int | None,
    exactly: int | None,
    timeout: str,
    after: str | None,
    as_json: bool,
) -> None:
    """Wait until mails are there; those that are there already count."""
    document: dict[str, Any] = {"where": read_conditions(conditions), "timeout": timeout}
    for key, value in (("count", count), ("exactly", exactly), ("after", after)):
        if value is not None:
            document[key] = value
    found = _await(client, namespace, "wait", document, as_json=as_json)
    if not as_json:
        echo_mails(found["mails"])


@inbox.command(epilog=_CONDITIONS + EXIT_CODES, short_help="Hold the mails against what is expected.")
@click.argument("conditions", nargs=-1)
@namespace_option
@click.option(
    "-f",
    "--file",
    metavar="FILE",
    shell_complete=complete_file,
    help="The whole picture, in JSON; - is standard input.",
)
@click.option("--exactly", metavar="COUNT", type=click.IntRange(0), help="How many.")
@click.option("--at-least", metavar="COUNT", type=click.IntRange(0), help="How many at least.")
@click.option("--at-most", metavar="COUNT", type=click.IntRange(0), help="How many at most.")
@click.option("--none", is_flag=True, help="That none comes.")
@click.option("--for", "for_", metavar="TIME", help="How long it has to hold, like 2s.")
@click.option("--within", metavar="TIME", help="How long it may take.  [default: 5s]")
@click.option("--forbid-rest", is_flag=True, help="No other mail may come.")
@click.option("--after", metavar="CURSOR", help="Only mails behind this cursor.")
@inbox_options
def expect(client: InboxClient, conditions: tuple[str, ...], namespace: str, as_json: bool, **given: Any) -> None:
    """Hold the mails against what is expected: of those that meet CONDITIONS, or of all that FILE names."""
    report = _await(client, namespace, "expect", _expectation(conditions, given), as_json=as_json)
    if not as_json:
        click.echo(f"held after {report['elapsed_ms'] / 1000:.3f} s, {text.counted(report['mails'], 'mail')}")


def _expectation(conditions: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    if given["file"] is not None:
        if conditions:
            fail("either conditions or --file", BAD_CONFIG)
        document = _read_document(given["file"])
    else:
        item: dict[str, Any] = {"where": read_conditions(conditions)}
        names = {"exactly": "exactly", "at_least": "at_least", "at_most": "at_most", "for_": "for"}
        item |= {names[key]: given[key] for key in names if given[key] is not None}
        if given["none"]:
            item["none"] = True
        document = {"expect": [item]}
    if given["forbid_rest"]:
        document["rest"] = "forbid"
    return {**document, **{key: given[key] for key in ("within", "after") if given[key] is not None}}


def _read_document(path: str) -> dict[str, Any]:
    try:
        source = sys.stdin.buffer.read() if path == _STANDARD else Path(path).read_bytes()
        document = json.loads(source)
    except OSError as error:
        fail(f"cannot read {path}: {error.strerror}", BAD_CONFIG)
    except (ValueError, RecursionError) as error:
        fail(f"{path} is no JSON: {error}", BAD_CONFIG)
    if isinstance(document, list):
        document = {"expect": document}
    if not isinstance(document, dict):
        fail(f"{path}: an object with a list `expect`, or that list", BAD_CONFIG)
    return document


def _await(client: InboxClient, namespace: str, what: str, document: dict[str, Any], *, as_json: bool) -> Any:
    """Return the answer where it holds; else show the report, and end with 1."""
    from fastsmtp.client.inbox import namespace_path

    answer: APIAnswer = client.call("POST", f"{namespace_path(namespace)}/{what}", document=document, wait_s=600.0)
    if as_json:
        echo_json(answer.document)
    if answer.status not in _HELD:
        if not as_json:
            click.echo(answer.document["detail"], nl=not answer.document["detail"].endswith("\n"))
        raise SystemExit(FAILED)
    return answer.document


@inbox.command(epilog=_CONDITIONS + EXIT_CODES, short_help="Delete mails.")
@click.argument("which", nargs=-1, metavar="[UUID|CONDITION]...")
@namespace_option
@click.option("--all", "everything", is_flag=True, help="All mails of the namespace.")
@inbox_options
def rm(client: InboxClient, which: tuple[str, ...], namespace: str, everything: bool, as_json: bool) -> None:
    """Delete mails: those of these uuids, those that meet the conditions, or all."""
    uuids = [one for one in which if "=" not in one]
    conditions = [one for one in which if "=" in one]
    if bool(uuids) + bool(conditions) + everything != 1:
        fail("which mails? UUIDs, conditions, or --all", BAD_CONFIG)
    deleted = 0
    if uuids:
        for uuid in uuids:
            deleted += client.call("DELETE", mails_path(namespace, f"/{uuid}")).document["deleted"]
    else:
        query = {"all": "true"} if everything else {**_query(conditions), "outcome": "any"}
        deleted = client.call("DELETE", mails_path(namespace), query=query).document["deleted"]
    if as_json:
        echo_json({"deleted": deleted})
    else:
        click.echo(f"deleted {text.counted(deleted, 'mail')}")


@inbox.command(epilog=_CONDITIONS + EXIT_CODES, short_help="Write mails to a file.")
@click.argument("file", shell_complete=complete_file)
@click.argument("conditions", nargs=-1)
@namespace_option
@click.option("--format", "kind", type=click.Choice(["eml.zip", "mbox", "jsonl"]), help="Else FILE's end tells.")
@inbox_options
def export(
    client: InboxClient, file: str, conditions: tuple[str, ...], namespace: str, kind: str | None, as_json: bool
) -> None:
    """Write mails to FILE: .zip has a file for each, .mbox is a mailbox, .jsonl has all that is known.

    - is standard output.
    """
    from fastsmtp.client.inbox import namespace_path

    query = {"format": kind or _format_of(file), **_query(conditions)}
    pieces = client.download(f"{namespace_path(namespace)}/export", query)
    written = 0
    first = next(pieces, b"")  # what is wrong is told before a file is made
    with _opened(file, "wb") as output:
        for piece in itertools.chain([first], pieces):
            _write(output, piece)
            written += len(piece)
    if file != _STANDARD:
        if as_json:
            echo_json({"file": file, "bytes": written})
        else:
            click.echo(f"wrote {text.size(written)} to {file}")


def _format_of(file: str) -> str:
    kind = _FORMATS.get(Path(file).suffix.lower())
    if kind is None:
        fail(f"which format? --format, or a name that ends in {', '.join(_FORMATS)}", BAD_CONFIG)
    return kind


@contextlib.contextmanager
def _opened(file: str, mode: Literal["rb", "wb"]) -> Iterator[BinaryIO]:
    """Yield FILE, open; for - that is standard input or output. Says so, and ends, where it cannot be opened."""
    if file == _STANDARD:
        yield sys.stdin.buffer if mode == "rb" else sys.stdout.buffer
        return
    with contextlib.ExitStack() as stack:
        try:
            opened = stack.enter_context(Path(file).open(mode))
        except OSError as error:
            what, code = ("read", BAD_CONFIG) if mode == "rb" else ("write", FAILED)
            fail(f"cannot {what} {file}: {error.strerror}", code)
        yield opened


def _write(output: BinaryIO, octets: bytes) -> None:
    try:
        output.write(octets)
        output.flush()
    except BrokenPipeError:  # of `head`, for example
        raise SystemExit(0) from None
    except OSError as error:
        fail(f"cannot write: {error.strerror}")


@inbox.command(name="import", epilog=EXIT_CODES, short_help="File mails without SMTP.")
@click.argument("files", nargs=-1, required=True, shell_complete=complete_file)
@namespace_option
@click.option("--format", "kind", type=click.Choice(["eml", "eml.zip", "mbox", "jsonl"]), help="Else FILE's end tells.")
@inbox_options
def import_mails(client: InboxClient, files: tuple[str, ...], namespace: str, kind: str | None, as_json: bool) -> None:
    """File mails without SMTP: those of FILES as `export` writes them, or single messages (.eml).

    - is standard input.
    """
    from fastsmtp.client.inbox import namespace_path

    imported = 0
    for file in files:
        query = {"format": kind or _format_of(file)}
        with _opened(file, "rb") as source:
            path = f"{namespace_path(namespace)}/import"
            answer = client.call(
                "POST", path, query=query, body=source, content_type="application/octet-stream", wait_s=3600.0
            )
            imported += answer.document["imported"]
    if as_json:
        echo_json({"imported": imported})
    else:
        click.echo(f"imported {text.counted(imported, 'mail')} into {namespace}")


@inbox.command(epilog=EXIT_CODES, short_help="Show mails as they come.")
@namespace_option
@inbox_options
def tail(client: InboxClient, namespace: str, as_json: bool) -> None:
    """Show mails as they come, until Ctrl-C; a restart of the server loses none."""
    from fastsmtp.client.inbox import InboxError, namespace_path

    cursor = ""
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            try:
                for ident, event, document in client.events(f"{namespace_path(namespace)}/events", cursor):
                    cursor = ident or cursor
                    if event == "mail":
                        _echo_arrived(document["mails"], as_json=as_json)
            except InboxError as error:
                if not cursor or error.status:
                    raise
            time.sleep(_AGAIN_S)


def _echo_arrived(mails: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        for mail in mails:
            echo_json(mail)
        return
    for mail in mails:
        to = ", ".join(mail["envelope"]["to"][:3])
        begun = f"#{mail['seq']} {mail['received_at'][11:19]} {mail['envelope']['from'] or '<>'}"
        click.echo(one_line(f"{begun} -> {to}: {mail['subject'] or ''}"))
