"""`fastsmtp check`: is this configuration good, and what will it do?"""

from __future__ import annotations

import json
import os

import click

from fastsmtp.cli.options import BAD_CONFIG, FAILED
from fastsmtp.cli.source import DEFAULT_CONFIG, Source, config_options
from fastsmtp.system.terminal import terminal_width, wrapped

_EPILOG = """\b
Exit codes:
  0  valid
  1  valid, but `serve` could not start here: a missing program or certificate
  2  not valid, one line per fault

\b
Examples:
  fastsmtp check
  fastsmtp check -c staging.yaml -o smtp.addr=0.0.0.0:1025
  fastsmtp check --json | jq .config.smtp.pool
"""


@click.command(epilog=_EPILOG)
@config_options
@click.option("--json", "as_json", is_flag=True, help="Say it as JSON, with every setting.")
def check(source: Source, as_json: bool) -> None:
    """Validate a configuration and say in words what it will do.

    Nothing is started and no port is taken.
    """
    from fastsmtp.cli import summary
    from fastsmtp.cli.unused import rows, unused
    from fastsmtp.errors import ConfigError

    try:
        reading = source.reading()
    except ConfigError as error:
        if as_json:
            click.echo(json.dumps({"valid": False, "file": source.path, "faults": error.faults}, indent=2))
        else:
            click.echo("\n".join(error.faults), err=True)
        raise SystemExit(BAD_CONFIG) from None
    config, without_effect = reading.config, unused(reading)
    name = source.name
    source.enter()
    obstacles, warnings = summary.obstacles(config), summary.warnings(config)
    if as_json:
        from fastsmtp.ops.methods import shown_config

        answer = {
            "valid": True, "file": source.path, "faults": [], "obstacles": obstacles, "warnings": warnings,
            "without_effect": without_effect, "config": shown_config(config),
        }  # fmt: skip
        click.echo(json.dumps(answer, indent=2))
    else:
        shown = name or f"There is no {DEFAULT_CONFIG} in {os.getcwd()}; the default configuration"
        click.echo(f"{shown} is valid. With it, fastsmtp serve will do this:\n")
        _show(summary.explain(config))
        if without_effect:
            click.echo("\nWithout effect here:\n")
            _show(rows(without_effect))
        for kind, texts in (("WARNING", warnings), ("CANNOT START", obstacles)):
            for text in texts:
                click.echo(f"\n{kind}: {text}")
    raise SystemExit(FAILED if obstacles else 0)


def _show(rows: list[tuple[str, str]]) -> None:
    width = max(len(label) for label, _ in rows)
    columns = terminal_width()
    for label, text in rows:
        lines = wrapped(text, columns - width - 4) if columns else [text]
        click.echo(f"  {label:<{width}}  " + f"\n{'':{width + 4}}".join(lines))
