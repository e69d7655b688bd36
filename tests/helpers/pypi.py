"""Packages of PyPI with the tests that they ship, installed once for all runs of ours."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


def pypi_source(spec: str, *others: str) -> Path:
    """Return a directory with the source of a package, `name==version`, in `source`, put there the first time.

    Beside it, in `installed`, are the package and `others`: what it needs, and what its source is built with.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastsmtp-tests"
    directory = base / re.sub(r"[^a-z0-9.]+", "-", spec)
    if not directory.exists():
        base.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=base))
        _fill(unfinished, spec, others)
        try:
            os.rename(unfinished, directory)
        except OSError:  # another run was quicker
            shutil.rmtree(unfinished)
    return directory


def _fill(directory: Path, spec: str, others: tuple[str, ...]) -> None:
    installed, name = directory / "installed", spec.partition("=")[0]
    _pip({}, "install", "--no-compile", "--no-deps", "--target", str(installed), spec, *others)
    building = {"PYTHONPATH": str(installed)}
    _pip(building, "download", "--no-deps", "--no-build-isolation", "--no-binary", name, "-d", str(directory), spec)
    (archive,) = directory.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(directory, filter="data")
    os.rename(directory / archive.name.removesuffix(".tar.gz"), directory / "source")


def _pip(variables: dict[str, str], *arguments: str) -> None:
    environment = {**os.environ, **variables}
    subprocess.run(
        [*PIP, *arguments], check=True, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=240
    )
