"""Files of variables: what each line means, and the first one that is not understood."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastsmtp.config import dotenv
from fastsmtp.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", {}),
        ("# a remark\n\n  # another\n", {}),
        ("A=1\nB = two \nC: three", {"A": "1", "B": "two", "C": "three"}),
        ("export A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=\nB=''\nC=\"\"", {"A": "", "B": "", "C": ""}),
        ("A=x # a remark\nB=x#y\nC='x # y' # z\n", {"A": "x", "B": "x#y", "C": "x # y"}),
        ("A='$HOME \\n'", {"A": "$HOME \\n"}),
        ('A="a\\nb \\"c\\" \\$HOME"', {"A": 'a\nb "c" $HOME'}),
        ('A="two\nlines"\nB=1', {"A": "two\nlines", "B": "1"}),
        ('A=$HOME/x\nB=${A}/y\nC="$A"\nD=$NONE.', {"A": "/me/x", "B": "/me/x/y", "C": "/me/x", "D": "."}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=it's", {"A": "it's"}),
        ("KEY.WITH.DOTS=1", {"KEY.WITH.DOTS": "1"}),
    ],
)
def test_variables(tmp_path: Path, text: str, variables: dict[str, str]) -> None:
    path = tmp_path / ".env"
    path.write_bytes(text.encode())
    assert dotenv.read(str(path), {"HOME": "/me"}) == variables


@pytest.mark.parametrize(
    ("text", "line", "shown"),
    [
        ("A=1\nB\n", 2, "B"),
        ("1A=1", 1, "1A=1"),
        ("A='x\n\nB=1", 1, "A='x"),
        ('\n\nA="x"y', 3, 'A="x"y'),
        ("A\x1b=1", 1, "A\\x1b=1"),
    ],
)
def test_a_line_that_is_not_understood(tmp_path: Path, text: str, line: int, shown: str) -> None:
    path = tmp_path / ".env"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        dotenv.read(str(path), {})
    assert caught.value.faults == [f'{path}:{line}: expected NAME=value, got "{shown}"']


def test_octets_that_are_not_utf8_stay(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"A=\xff\n")
    assert dotenv.read(str(path), {}) == {"A": "\udcff"}
