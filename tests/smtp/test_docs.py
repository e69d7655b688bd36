"""docs/smtp.md says what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastsmtp.smtp import replies
from fastsmtp.smtp.command import MAIL_PARAMETERS, RCPT_PARAMETERS
from fastsmtp.smtp.verbs import VERBS
from fastsmtp.smtp.violations import CLAUSES

pytestmark = pytest.mark.one_python

TEXT = (Path(__file__).parents[2] / "docs" / "smtp.md").read_text()
REPLIES = {name: wire for name, wire in vars(replies).items() if name.isupper() and isinstance(wire, bytes)}


def row(start: str) -> list[str]:
    """The cells of the one table row that starts so."""
    [line] = [line for line in TEXT.splitlines() if line.startswith(f"| {start}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("name", REPLIES)
def test_every_reply_has_a_row_and_a_section(name: str) -> None:
    shown = "<br>".join(f"`{line}`" for line in REPLIES[name].decode().split("\r\n")[:-1])
    _reply, to, section = row(f"{shown} |")
    assert to
    assert section.startswith(("RFC ", "Postfix, "))


@pytest.mark.parametrize("code", CLAUSES)
def test_every_violation_has_a_row_that_tells_its_refusal(code: str) -> None:
    rule = CLAUSES[code]
    _code, meaning, default, strict, section = row(f"`{code}` |")
    assert meaning
    assert default in ("accepted", "dropped", "421 4.7.0")
    assert strict.startswith(rule.refusal.decode()[:9] if rule.refusal else default)
    assert section == rule.section.replace("section ", "")


@pytest.mark.parametrize("verb", VERBS)
def test_every_command_has_a_row(verb: str) -> None:
    assert any(line.startswith((f"| `{verb} ", f"| `{verb}`")) for line in TEXT.splitlines())


@pytest.mark.parametrize("keyword", [*MAIL_PARAMETERS, *RCPT_PARAMETERS])
def test_every_parameter_is_named(keyword: str) -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith(("| `MAIL ", "| `RCPT "))]
    assert any(keyword in line for line in rows)


def test_every_extension_has_a_row() -> None:
    for line in replies.ehlo("mx", 10, True, to_proxy=True).decode().splitlines()[1:]:
        keyword = line[4:].replace("SIZE 10", "SIZE <max_message_size>")
        assert any(shown.startswith(f"| `{keyword}`") for shown in TEXT.splitlines())
