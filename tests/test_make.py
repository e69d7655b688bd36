"""What the make targets print beside what they start. Their environment is a pretence: nothing is built here."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A virtual environment in which everything is installed already."""
    programs = tmp_path / "venv" / "bin"
    programs.mkdir(parents=True)
    # The command that is installed: `python -m` would import the checkout, where nothing is compiled.
    installed = Path(sys.executable).with_name("fastsmtp")
    for name, command in (("python", "true"), ("fastsmtp", f'exec {installed} "$@"')):
        (programs / name).write_text(f"#!/bin/sh\n{command}\n")
        (programs / name).chmod(0o755)
    return programs.parent


def make_serve(environment: Path, arguments: str) -> list[str]:
    return ["make", "--no-print-directory", "-C", str(ROOT), "serve", f"VENV={environment}", f"ARGS={arguments}"]


def test_serve_names_an_address_only_once_it_listens_there(environment: Path, tmp_path: Path) -> None:
    command = make_serve(environment, f"-w {tmp_path} -o smtp.addr=127.0.0.1:0 -o inbox.address=")
    with (
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        ) as server,
        contextlib.ExitStack() as end,
    ):
        end.callback(os.killpg, server.pid, signal.SIGTERM)
        assert server.stdout is not None
        # Above the banner may stand what servers that were killed had left, and this one has removed.
        lines = itertools.dropwhile(lambda line: not line.startswith("fastsmtp "), server.stdout)
        version, listening, workers, first_mail = (line.split() for line in itertools.islice(lines, 4))
        assert (version[0], workers[0]) == ("fastsmtp", "workers")
        [address] = listening[1:]
        assert first_mail[-2:] == ["send", address]
        subprocess.run([environment / "bin" / "fastsmtp", "send", "-s", address], cwd=tmp_path, check=True, timeout=60)


def test_without_an_address_it_says_nothing_of_mails(environment: Path, tmp_path: Path) -> None:
    command = make_serve(environment, f"-w {tmp_path} -o smtp.addr=192.0.2.1:1 -o inbox.address=")  # RFC 5737
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == "fastsmtp: cannot listen on 192.0.2.1:1: Cannot assign requested address"
    assert "send" not in done.stderr
