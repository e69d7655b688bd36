"""The verb `nodes`: the processes of a cluster, and whether its books balance."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

import click
import msgspec

from fastsmtp.cli.clustersource import EXIT_CODES, connected
from fastsmtp.cli.options import FAILED, fail
from fastsmtp.cli.source import Source, config_options
from fastsmtp.system import table
from fastsmtp.system.terminal import terminal_width

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from fastsmtp.cluster.acknowledged import ClusterLedger
    from fastsmtp.cluster.connection import NATSConnection
    from fastsmtp.cluster.nodes import NodeReport
    from fastsmtp.config.cluster import ClusterSettings

_NUMBERS: Final = frozenset({"PID", "IN FLIGHT", "DONE"})
_SHOWN: Final = 20  # uuids


@click.group(short_help="Show the processes of a cluster, and what became of its mails.")
def nodes() -> None:
    """Show the processes of a cluster, and what became of its mails.

    The cluster is that of the section `cluster`; no server has to run here.
    """


@nodes.command(name="ls", epilog=EXIT_CODES.format(refused="the cluster does not do it"))
@config_options
@click.option("--json", "as_json", is_flag=True, help="As JSON, one process on each line.")
def list_nodes(source: Source, as_json: bool) -> None:
    """List the processes that live: each says so every two seconds."""
    found = connected(source, "fastsmtp nodes", _live)
    if as_json:
        for report in found:
            click.echo(json.dumps(msgspec.to_builtins(report)))
        return
    heads = ("NODE", "PID", "ROLES", "IN FLIGHT", "DONE")
    for line in table.lines(heads, map(_row, found), _NUMBERS, width=terminal_width()):
        click.echo(line)


async def _live(connection: NATSConnection, settings: ClusterSettings, log: FilteringBoundLogger) -> list[NodeReport]:
    from fastsmtp.cluster.nodes import Nodes

    nodes = Nodes(connection, settings.stream.prefix, "", [], log)
    nodes.reader.start()
    await asyncio.wait_for(nodes.reader.reach(await nodes.reader.last()), 30)
    found = nodes.live()
    await nodes.reader.stop()
    return found


def _row(report: NodeReport) -> tuple[object, ...]:
    in_flight = report.gauges.get("in_flight", 0) + report.gauges.get("in_hand", 0)
    done = sum(report.counts.get(name, 0) for name in ("confirmed", "acknowledged", "fed"))
    return report.node, report.pid, " ".join(report.roles), in_flight, done


@nodes.command(epilog=EXIT_CODES.format(refused="a mail is missing, or is there twice; or the cluster does not do it"))
@config_options
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def ledger(source: Source, as_json: bool) -> None:
    """Hold what fronts have answered 250 against what the streams have."""
    found = connected(source, "fastsmtp ledger", _compare)
    if as_json:
        click.echo(json.dumps({**found._asdict(), "balanced": found.balanced}))
    else:
        for line in _ledger_lines(found):
            click.echo(line)
    if not found.balanced:
        raise SystemExit(FAILED)


async def _compare(connection: NATSConnection, settings: ClusterSettings, log: FilteringBoundLogger) -> ClusterLedger:
    from fastsmtp.cluster.acknowledged import compare
    from fastsmtp.cluster.streams import Streams

    try:
        return await compare(connection, Streams(connection, settings, log), settings.stream.prefix, log)
    except Exception as error:  # those of nats-py have no common base but this
        fail(f"the cluster cannot be read: {error or type(error).__name__}")


def _ledger_lines(found: ClusterLedger) -> list[str]:
    lines = [
        f"acknowledged {found.acknowledged} = {found.found} stored + {found.gone} gone + {len(found.missing)} missing",
        f"stored       {found.stored}, {len(found.twice)} of them twice",
    ]
    lines += [f"missing      {uuid}" for uuid in found.missing[:_SHOWN]]
    lines += [f"twice        {uuid}" for uuid in found.twice[:_SHOWN]]
    return [*lines, "balanced" if found.balanced else "NOT BALANCED"]
