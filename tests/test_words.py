"""What is written here is in the words of the field; those of a dialect of ours stay out of code, texts and tests."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

import fastsmtp

pytestmark = pytest.mark.one_python

ROOT = Path(__file__).parent.parent
PACKAGE = Path(fastsmtp.__file__).parent

# A role has a name: the client, the worker, the caller, the operator. What is left out is said as it is.
DIALECT = re.compile(
    r"""
      \b(?:nobody|whoever|somebody|anybody|anew)\b
    | (?<!there[ ])\b(?:is|are|was|were)[ ]none\b           # "where there is none" is plain English
    | \b(?:that|what|which)[ ](?:is|are)[ ]no[ ](?!more\b|longer\b)
    | \b(?:recruit|enlist|tall(?:y|ies)\b|bur(?:y|ied))
    | on[ _]duty
    """,
    re.IGNORECASE | re.VERBOSE,
)
CODE = re.compile(r"\b(?:is|are) None\b|\"nobody\"")  # the comparison; the Unix user that other programs are started as
WRITTEN = {".py", ".pyx", ".pyi", ".pxd", ".md", ".php", ".sh", ".yaml", ".yml", ".toml", ".json", ".service", ""}
PLACES = ["fastsmtp", "tests", "benchmarks", "ci", "docs", "examples", "packaging", "grafana"]
OUTSIDE = {"corpus", "__pycache__", "node_modules", "vendor"}  # mails of others, and what is generated


def texts() -> list[Path]:
    """Every file that people write, this one left out."""
    below = [path for place in PLACES for path in (ROOT / place).rglob("*") if path.suffix in WRITTEN]
    files = [path for path in below if path.is_file() and not OUTSIDE & set(path.relative_to(ROOT).parts)]
    return sorted({*files, *ROOT.glob("*.md"), ROOT / "setup.py", ROOT / "pyproject.toml", ROOT / "Makefile"})


def test_texts_are_found() -> None:
    names = {str(path.relative_to(ROOT)) for path in texts()}
    assert names >= {"README.md", "docs/smtp.md", "fastsmtp/_parse.pyx", "ci/build", "tests/test_words.py"}


@pytest.mark.parametrize(
    "text",
    ["whom nobody knows", "Whoever asks", "an address that is none", "text that is no field", "_ON_DUTY", "it is anew"],
)
def test_dialect_is_found(text: str) -> None:
    assert DIALECT.search(text) is not None


def test_words() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if DIALECT.search(CODE.sub("", line))
    ]
    assert found == []


def test_class_names_are_unique() -> None:
    homes = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].add(str(path.relative_to(PACKAGE)))
    assert {name: sorted(paths) for name, paths in homes.items() if len(paths) > 1} == {}


def test_docstrings_are_sentences() -> None:
    """The first paragraph of each ends as a sentence does."""
    broken = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                if text and not re.search(r"[.:?!)]\Z", text.split("\n\n")[0].strip()):
                    broken.append(f"{path.relative_to(PACKAGE)}: {text}")
    assert broken == []
