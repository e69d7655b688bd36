"""`fastsmtp check`, called in this process: what it says of a configuration, and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fastsmtp.cli.main import main


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["check", *arguments])


def test_defaults(directory: Path) -> None:
    done = check()
    lines = done.stdout.splitlines()
    assert (done.exit_code, done.stderr) == (0, "")
    assert lines[:2] == [
        f"There is no .rr.yaml in {directory}; the default configuration is valid."
        " With it, fastsmtp serve will do this:",
        "",
    ]
    assert lines[2].split()[0] == "listen"


def test_json(directory: Path) -> None:
    (directory / "x.yaml").write_text("version: '3'\nsmtp: {addr: '127.0.0.1:2525'}\n")
    done = check("-c", "x.yaml", "--json")
    said = json.loads(done.stdout)
    assert (done.exit_code, said["valid"], said["file"], said["faults"]) == (0, True, "x.yaml", [])
    assert (said["obstacles"], said["config"]["smtp"]["addr"]) == ([], "127.0.0.1:2525")


@pytest.mark.parametrize("as_json", [False, True], ids=["words", "json"])
def test_fault(directory: Path, as_json: bool) -> None:
    (directory / "x.yaml").write_text("version: '3'\nsmtp:\n  adr: '127.0.0.1:2525'\n")
    done = check("-c", "x.yaml", *(["--json"] if as_json else []))
    faults = json.loads(done.stdout)["faults"] if as_json else done.stderr.splitlines()
    assert (done.exit_code, faults) == (2, ["x.yaml:3: smtp.adr: unknown key, did you mean addr?"])


def test_cannot_start() -> None:
    """A command that is not there is an obstacle: the configuration is valid, and the exit code says that it fails."""
    done = check("-o", "server.command=/no/such/worker")
    assert done.exit_code == 1
    assert "\nCANNOT START: " in done.stdout
