"""Where the configuration comes from: the flags before and behind a verb, as `rr` takes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FASTSMTP = [sys.executable, "-m", "fastsmtp"]
Check = Callable[..., dict[str, Any]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """What `check` says, typed in a directory that has three below it, each with a configuration and variables."""
    for name in (".", "a", "b"):
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        shown = directory.name if name != "." else "here"
        (directory / ".rr.yaml").write_text(
            f'smtp: {{hostname: "{shown}-${{TOLD:-nothing}}"}}\nserver: {{command: "php only-in-{shown}.php"}}\n'
        )
        (directory / f"only-in-{shown}.php").touch()
        (directory / ".env").write_text(f"TOLD=variables-of-{shown}\nPATH=/nowhere\n")

    def run(*arguments: str, code: int = 0, **environment: str) -> dict[str, Any]:
        done = subprocess.run(
            [*FASTSMTP, *arguments],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run


def hostname(found: dict[str, Any]) -> str:
    return str(found["config"]["smtp"]["hostname"])


@pytest.mark.parametrize(
    ("arguments", "greets"),
    [
        (["check"], "here-nothing"),
        (["check", "-c", "a/.rr.yaml"], "a-nothing"),
        (["check", "-w", "a"], "a-nothing"),
        (["-c", "a/.rr.yaml", "check"], "a-nothing"),
        (["--config=a/.rr.yaml", "check", "-c", "b/.rr.yaml"], "b-nothing"),
        (["-w", "a", "check"], "a-nothing"),
        (["--WorkDir", "a", "check"], "a-nothing"),
        (["-w", "a", "check", "-w", "b"], "b-nothing"),
        (["check", "--dotenv", ".env"], "here-variables-of-here"),
        (["--dotenv", ".env", "check"], "here-variables-of-here"),
        (["check", "-c", "a/.rr.yaml", "--dotenv", ".env"], "a-variables-of-a"),
        (["--dotenv", "../.env", "-c", "a/.rr.yaml", "check"], "a-variables-of-here"),
        (["-o", "smtp.hostname=x", "check"], "x"),
        (["-o", "smtp.hostname=x", "check", "-o", "smtp.hostname=y"], "y"),
        (["-d", "-s", "-p", "check"], "here-nothing"),
    ],
    ids=" ".join,
)
def test_flags(check: Check, arguments: list[str], greets: str) -> None:
    found = check(*arguments, "--json")
    # The script of the configuration is found: the working directory is that of its file.
    assert (hostname(found), found["obstacles"]) == (greets, [])


def test_a_work_directory_stays_though_the_file_is_elsewhere(check: Check) -> None:
    found = check("-w", "b", "check", "-c", "../a/.rr.yaml", "--json", code=1)
    assert hostname(found) == "a-nothing"
    assert "only-in-a.php" in found["obstacles"][0]


def test_the_variables_of_the_environment_stay(check: Check) -> None:
    assert hostname(check("check", "--dotenv", ".env", "--json", TOLD="set")) == "here-set"


def test_the_environment_may_name_the_file_of_variables(check: Check) -> None:
    assert hostname(check("check", "--json", DOTENV_PATH="a/.env")) == "here-variables-of-a"
    assert hostname(check("check", "--dotenv", ".env", "--json", DOTENV_PATH="a/.env")) == "here-variables-of-here"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["check", "-c", "none/.rr.yaml"], "none/.rr.yaml: cannot be read: No such file or directory"),
        (["-c", "none/.rr.yaml", "check"], "none/.rr.yaml: cannot be read: No such file or directory"),
        (["check", "--dotenv", "none"], "fastsmtp: --dotenv none: No such file or directory"),
        (["-c", "app/.rr.yaml", "check", "--dotenv", "none"], "fastsmtp: --dotenv app/none: No such file or directory"),
        (["check", "--dotenv", "bad"], 'bad:1: expected NAME=value, got "x"'),
        (
            ["-w", "none", "check"],
            "Error: Invalid value for '-w' / '--work-dir' / '--WorkDir': none: No such file or directory",
        ),
    ],
    ids=" ".join,
)
def test_what_is_missing(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    (tmp_path / "bad").write_text("x\n")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / ".rr.yaml").touch()
    done = subprocess.run([*FASTSMTP, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.splitlines()[-1]) == (2, "", complaint)


def test_version_takes_them_too(tmp_path: Path) -> None:
    done = subprocess.run([*FASTSMTP, "-s", "-c", "none", "version"], cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
