"""`fastsmtp bench`: a load on any SMTP server, and what it measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import cycle
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import click

from fastsmtp.cli.options import (
    BAD_CONFIG,
    FAILED,
    NOBODY_THERE,
    ClientOptions,
    Count,
    Number,
    client_options,
    complete_file,
    fail,
    refuse,
    refuse_line_breaks,
)
from fastsmtp.cli.source import Source, config_options, target
from fastsmtp.text import counted

if TYPE_CHECKING:
    from fastsmtp.bench.limits import LoadLimits
    from fastsmtp.bench.measures import Measures
    from fastsmtp.bench.message import Kind
    from fastsmtp.bench.plan import Plan
    from fastsmtp.client.mail import Content, OwnEnvelope

_EPILOG = """\b
Exit codes:
  0    every mail was answered with 250, and nothing else went wrong
  1    some were not, or more than --max-failed; a limit was not kept;
       the ledger does not balance
  2    bad configuration or usage
  3    no server answers at ADDRESS
  130  ended at once by a second SIGINT; the first ends the load early,
       with a report

\b
Examples:
  fastsmtp bench                       1000 mails of 1 KB over 10 connections
  fastsmtp bench --per-connection 1    a connection for each mail
  fastsmtp bench --duration 30s --mix 1KB:90,100KB:9,10MB:1 127.0.0.1:2525
  fastsmtp bench --rate 500 --duration 1m --plot load.svg
  fastsmtp bench --rate 50 --max-p99 100 --min-rate 49    for CI
  fastsmtp bench --ledger sent.jsonl
  fastsmtp bench --ledger sent.jsonl --ledger-check received.txt

\b
What the times mean:
  mail         from when it was due (--rate) or its connection was free for
               it, to the 250; opening a connection counts where the mail had
               to wait for that
  end of data  from the last octet of mail data to the 250
  opening      of a connection, from connect to the end of EHLO, STARTTLS and
               AUTH

With --rate the mails are due at fixed times, however long the server takes: a mail that finds no free connection waits,
and the wait counts. Without it each connection sends as fast as it is answered.

Every mail has a field X-Bench-ID of its own. --ledger writes one line of JSON for each that was answered with 250. To
find out whether all of them arrived, and once, have the receiver write a line per mail with that ID in it, alone or in
the whole mail as JSON, and give those files to --ledger-check, which sends nothing.

It accepts any server of RFC 5321: what that does not offer is left out. Measure only servers that are yours.
"""
_DEFAULT_MAILS = 1000
_SPARE_FILES = 64  # descriptors beside those of the connections


class _BenchOptions(NamedTuple):
    """What the options say."""

    mails: int | None
    duration_s: float
    connections: int
    rate: float
    per_connection: int
    pipelining: bool
    chunking: bool
    mix: str | None
    size: str | None
    attachments: int | None
    files: tuple[str, ...]
    recording: str
    seed: int
    sender: str
    recipients: tuple[str, ...]
    as_json: bool
    plot: str
    ledger: str
    records: tuple[str, ...]
    max_p99: float | None
    min_rate: float | None
    max_failed: int | None


def _seconds(_context: click.Context, _parameter: click.Parameter, text: str | None) -> float:
    from fastsmtp.config.rules import parse_duration

    if text is None:
        return 0.0
    try:
        seconds = parse_duration(text)
    except ValueError:
        seconds = 0.0
    if seconds <= 0:
        raise click.BadParameter(f'"{text}" is not a duration like 500ms, 30s or 1h30m')
    return seconds


@click.command(epilog=_EPILOG, short_help="Put an SMTP server under load, and measure it.")
@config_options
@click.argument("address", required=False)
@click.option(
    "-n",
    "--mails",
    metavar="COUNT",
    type=Count(1),
    help=f"How many.  [default: {_DEFAULT_MAILS}, or no limit with --duration]",
)
@click.option(
    "--duration", "duration_s", metavar="TIME", callback=_seconds, help="How long, like 30s; or until --mails."
)
@click.option("--connections", metavar="COUNT", type=Count(1), default=10, show_default=True, help="At the same time.")
@click.option(
    "--rate",
    metavar="PER_SECOND",
    type=Number(0, min_open=True),
    default=None,
    help="Over all connections.  [default: as fast as they go]",
)
@click.option(
    "--per-connection",
    metavar="COUNT",
    type=Count(0),
    default=0,
    show_default=True,
    help="Mails over each connection; 0 = keep it.",
)
@click.option("--pipelining/--no-pipelining", default=True, show_default=True, help="Commands in groups, if offered.")
@click.option("--chunking", is_flag=True, help="BDAT instead of DATA, if offered.")
@click.option("--size", metavar="SIZE", help="Of each mail, like 100KB.  [default: 1KB]")
@click.option("--mix", metavar="SIZE:WEIGHT,...", help="Several sizes, like 1KB:90,100KB:9,10MB:1.")
@click.option(
    "--attachments",
    metavar="COUNT",
    type=Count(0, 1000),
    default=None,
    help="In each mail.  [default: 1 from 20KB on]",
)
@click.option(
    "--message",
    "files",
    metavar="FILE",
    shell_complete=complete_file,
    multiple=True,
    help="Send this message instead; may be repeated.",
)
@click.option(
    "--replay",
    "recording",
    metavar="FILE",
    shell_complete=complete_file,
    default="",
    help="Send the mails of a recording, in its order, again and again: messages and envelopes.",
)
@click.option("--seed", metavar="NUMBER", type=int, default=1, show_default=True, help="The same seed, the same mails.")
@click.option("--from", "sender", metavar="ADDRESS", default="bench@example.com", show_default=True, help='"" = <>.')
@click.option(
    "--to",
    "recipients",
    metavar="ADDRESS",
    multiple=True,
    default=["you@example.com"],
    show_default=True,
    help="May be repeated.",
)
@client_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--plot",
    metavar="FILE",
    shell_complete=complete_file,
    default="",
    help="Draw rate and latency: FILE.svg, .png or .pdf. Needs matplotlib.",
)
@click.option(
    "--ledger",
    metavar="FILE",
    shell_complete=complete_file,
    default="",
    help="Write a line of JSON for each mail answered with 250.",
)
@click.option(
    "--ledger-check",
    "records",
    metavar="FILE",
    shell_complete=complete_file,
    multiple=True,
    help="Send nothing: hold --ledger against what FILE says arrived; may be repeated.",
)
@click.option("--max-p99", metavar="MS", type=Number(0, min_open=True), help="End with 1 where p99 of a mail is above.")
@click.option("--min-rate", metavar="PER_SECOND", type=Number(0), help="End with 1 where fewer mails got a 250.")
@click.option("--max-failed", metavar="COUNT", type=Count(0), help="End with 1 only above so many failures.")
def bench(source: Source, address: str | None, client: ClientOptions, **options: Any) -> None:
    """Put an SMTP server under load and measure it, this one or any other.

    ADDRESS is host:port or unix:/path. Without it the mails go to the first listener of the configuration.
    """
    wish = _BenchOptions(**{**options, "rate": options["rate"] or 0.0})
    if wish.records:
        _balance(wish)
    _check(wish)
    place = target(address, source)
    plan = _plan(wish, client, place)
    measures = _measured(wish, plan, place)
    from fastsmtp.bench.limits import LoadLimits, passed

    limits = LoadLimits(wish.max_p99, wish.min_rate, wish.max_failed)
    about = f"{counted(measures.mails, 'mail')} to {place}, {_how(wish)}"
    if wish.as_json:
        said = {**wish._asdict(), **client._asdict()}
        how = {key: value for key, value in said.items() if key not in _PRIVATE}
        _tell_scripts({"address": place, "run": plan.run, "options": how}, measures, limits)
    else:
        _tell_people(about, measures, limits)
    if wish.plot:
        _draw(wish.plot, about, measures)
    raise SystemExit(0 if passed(limits, measures) else FAILED)


def _tell_scripts(about: dict[str, Any], measures: Measures, limits: LoadLimits) -> None:
    from fastsmtp.bench.limits import judge
    from fastsmtp.bench.report import document

    click.echo(json.dumps(document(measures, about, judge(limits, measures)), indent=2))


def _tell_people(about: str, measures: Measures, limits: LoadLimits) -> None:
    from fastsmtp.bench.limits import judge
    from fastsmtp.bench.report import report

    click.echo(f"{about}\n\n{report(measures, judge(limits, measures))}")


_PRIVATE = {"password", "records", "as_json"}


def _check(wish: _BenchOptions) -> None:
    """What can be found wrong before anything is sent."""
    from fastsmtp.bench.plot import SUFFIXES, MissingExtra, require

    if sum((bool(wish.files), bool(wish.recording), wish.mix is not None, wish.size is not None)) > 1:
        raise click.UsageError("only one of --size, --mix, --message and --replay")
    refuse_line_breaks("--from", wish.sender)
    refuse_line_breaks("--to", *wish.recipients)
    if wish.plot:
        if not wish.plot.endswith(SUFFIXES):
            refuse("--plot", f"{wish.plot} does not end in {', '.join(SUFFIXES)}")
        try:
            require()
        except MissingExtra as error:
            fail(error, BAD_CONFIG)
    _raise_file_limit(wish.connections)


def _raise_file_limit(connections: int) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_FILES
    if hard != resource.RLIM_INFINITY and wanted > hard:
        fail(f"{connections} connections need {wanted} open files, and {hard} are allowed (ulimit -Hn)", BAD_CONFIG)
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _plan(wish: _BenchOptions, client: ClientOptions, place: str) -> Plan:
    from fastsmtp.bench.message import drawn
    from fastsmtp.bench.plan import Plan
    from fastsmtp.system.addresses import parse_address

    script = client.script(place, wish.sender, wish.recipients)
    templates, envelopes = _recorded(wish) if wish.recording else (drawn(_kinds(wish), wish.seed), None)
    return Plan(
        parse_address(place),
        script._replace(pipelining=wish.pipelining, chunking=wish.chunking),
        templates,
        envelopes,
        connections=wish.connections,
        mails=wish.mails or (0 if wish.duration_s else _DEFAULT_MAILS),
        duration_s=wish.duration_s,
        rate=wish.rate,
        per_connection=wish.per_connection,
        timeout_s=client.timeout_s,
        tls=client.tls(),
        implicit_tls=client.implicit_tls,
    )


def _recorded(wish: _BenchOptions) -> tuple[Iterator[Content], Iterator[OwnEnvelope]]:
    """Return the mails of a recording without end, and their envelopes."""
    from fastsmtp.cli.recording import read_mails
    from fastsmtp.client.mail import content_of

    mails = [mail for mail in read_mails(wish.recording) if mail.envelope.recipients]
    if not mails:
        fail(f"--replay {wish.recording}: no mail in it has a recipient", BAD_CONFIG)
    return cycle([content_of(mail.octets) for mail in mails]), cycle([mail.envelope for mail in mails])


def _kinds(wish: _BenchOptions) -> list[Kind]:
    from fastsmtp.bench.message import Kind, Style, generated
    from fastsmtp.client.mail import content_of
    from fastsmtp.client.message import read

    if wish.files:
        try:
            return [Kind(1.0, [content_of(read(name))]) for name in wish.files]
        except OSError as error:
            fail(f"--message {error.filename}: {error.strerror}", BAD_CONFIG)
    parts = _sizes(wish)
    style = Style(wish.sender, wish.recipients, wish.attachments, wish.seed)
    return [generated(octets, weight, style) for octets, weight in parts]


def _sizes(wish: _BenchOptions) -> list[tuple[int, float]]:
    """Octets and weight of each kind of mail, as `--size` or `--mix` says."""
    from fastsmtp.bench.message import parse_mix, parse_size
    from fastsmtp.config.rules import size

    def read_size(text: str) -> int:
        return cast(int, size(1).read(text))

    try:
        if wish.mix is None:
            return [(parse_size("1KB" if wish.size is None else wish.size, read_size), 1.0)]
        return parse_mix(wish.mix, read_size)
    except ValueError as error:
        refuse("--size" if wish.mix is None else "--mix", error)


def _measured(wish: _BenchOptions, plan: Plan, place: str) -> Measures:
    """Run it."""
    from fastsmtp.bench.ledger import LoadLedger
    from fastsmtp.bench.load import CannotOpen, run
    from fastsmtp.bench.measures import Measures

    measures = Measures(sliced=bool(wish.plot))
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(wish.ledger, "w", encoding="ascii")) if wish.ledger else None
            run(plan, measures, LoadLedger(file), _progress(stack, plan, measures))
        except CannotOpen as error:
            if error.nobody_there:
                fail(f"cannot connect to {place}: {error.failure.text or error.failure.what}", NOBODY_THERE)
            fail(f"{place}: {error}")
        except OSError as error:
            fail(f"--ledger {wish.ledger}: {error.strerror}", BAD_CONFIG)
        except KeyboardInterrupt:
            raise SystemExit(130) from None
    return measures


def _progress(stack: ExitStack, plan: Plan, measures: Measures) -> Callable[[], None]:
    """What to call now and then: it moves a bar on a terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        return lambda: None
    length = plan.mails or round(1000 * plan.duration_s)
    bar = stack.enter_context(
        click.progressbar(
            length=length, label="sending", file=sys.stderr, show_eta=True, item_show_func=lambda item: item or ""
        )
    )

    def move() -> None:
        done = measures.mails if plan.mails else round(1000 * measures.seconds)
        shown = f"{measures.rate:.0f} mails/s" + (f", {measures.failed} failed" if measures.failed else "")
        bar.update(min(done, length) - bar.pos, shown)

    return move


def _how(wish: _BenchOptions) -> str:
    per = f", {counted(wish.per_connection, 'mail')} over each" if wish.per_connection else ""
    rate = f", {wish.rate:g} a second" if wish.rate else ""
    return f"{counted(wish.connections, 'connection')}{per}{rate}"


def _draw(path: str, title: str, measures: Measures) -> None:
    from fastsmtp.bench.plot import draw

    try:
        draw(path, title, measures)
    except OSError as error:
        fail(f"--plot {path}: {error.strerror}", BAD_CONFIG)


def _balance(wish: _BenchOptions) -> None:
    """Hold the ledger against the records, and end."""
    from fastsmtp.bench.ledger import balance
    from fastsmtp.bench.report import balance_report

    if not wish.ledger:
        raise click.UsageError("--ledger-check needs --ledger, which names the ledger of the load")
    try:
        found = balance(wish.ledger, wish.records)
    except OSError as error:
        option = "--ledger" if error.filename == wish.ledger else "--ledger-check"
        fail(f"{option} {error.filename}: {error.strerror}", BAD_CONFIG)
    except ValueError as error:
        fail(f"--ledger: {error}", BAD_CONFIG)
    click.echo(json.dumps({**found._asdict(), "even": found.even}) if wish.as_json else balance_report(found))
    raise SystemExit(0 if found.even else FAILED)
