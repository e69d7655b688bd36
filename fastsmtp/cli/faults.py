"""The verb `faults`: the fault plan of a namespace of a running server's inbox, and what it did."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import click

from fastsmtp.cli.inboxoptions import EXIT_CODES, echo_json, inbox_options, namespace_option
from fastsmtp.cli.options import FAILED, fail

if TYPE_CHECKING:
    from fastsmtp.client.inbox import InboxClient


@click.group(short_help="Make the server fail on purpose, as a plan says.")
def faults() -> None:
    """Make a running server fail on purpose: a plan of rules says when, how and how often. See docs/faults.md."""


@faults.command(epilog=EXIT_CODES)
@click.argument("plan", type=click.File("rb"))
@namespace_option
@inbox_options
def put(client: InboxClient, plan: IO[bytes], namespace: str, as_json: bool) -> None:
    """Set the plan in the file PLAN, JSON or YAML, `-` for standard input; it replaces the one that there is."""
    octets = plan.read()
    document = client.call("PUT", _path(namespace), body=octets, content_type="application/yaml").document
    if as_json:
        echo_json(document)
        return
    count = len(document["rules"])
    click.echo(f"{namespace} has a plan of {count} {'rule' if count == 1 else 'rules'}, seed {document['seed']}")


@faults.command(epilog=EXIT_CODES)
@namespace_option
@inbox_options
def show(client: InboxClient, namespace: str, as_json: bool) -> None:
    """Show what each rule did, and its last hits."""
    _echo(client.call("GET", _path(namespace)).document, as_json=as_json)


@faults.command(epilog=EXIT_CODES)
@namespace_option
@click.option("--expect-all", is_flag=True, help="End with 1 if a rule never acted.")
@inbox_options
def rm(client: InboxClient, namespace: str, expect_all: bool, as_json: bool) -> None:
    """End the plan, and show what it did; whatever it makes wait goes on."""
    answer = client.call("DELETE", _path(namespace), query={"expect": "all"} if expect_all else None)
    if answer.status == 409:
        _echo(answer.document["report"], as_json=as_json)
        fail(answer.document["detail"], FAILED)
    _echo(answer.document, as_json=as_json)


def _echo(report: Any, *, as_json: bool) -> None:
    from fastsmtp.faults.report import report_text

    if as_json:
        echo_json(report)
    else:
        click.echo(report_text(report), nl=False)


def _path(namespace: str) -> str:
    from fastsmtp.client.inbox import namespace_path

    return f"{namespace_path(namespace)}/faults"
