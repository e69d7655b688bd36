"""The ledger of a load, and its balance."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from fastsmtp.bench.ledger import Balance, LoadLedger, balance
from fastsmtp.client.mail import Content, Mail


def ident(number: int, run: str = "0123abcd") -> str:
    return f"{run}-{number:08d}"


def write_ledger(path: Path, *numbers: int) -> str:
    path.write_text("".join(f'{{"id":"{ident(number)}","octets":1,"latency_ms":1.0}}\n' for number in numbers))
    return str(path)


def test_a_line_for_each_mail() -> None:
    file = io.StringIO()
    ledger = LoadLedger(file)
    mail = Mail(ident(1), b"", Content(b"Subject: x\r\n", b"", False))
    mail.began = 1.0
    ledger.on_answered(mail, 1.0125)
    ledger.flush()
    assert file.getvalue() == '{"id":"0123abcd-00000001","octets":12,"latency_ms":12.500}\n'


class Unmeasured:
    """A mail that must not be asked for anything."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"asked for {name}")


def test_no_ledger() -> None:
    """Without a ledger a mail costs a test for None."""
    ledger = LoadLedger(None)
    ledger.on_answered(Unmeasured(), 1.0)  # type: ignore[arg-type]
    assert ledger.flush() is None  # type: ignore[func-returns-value]


def test_an_even_balance(tmp_path: Path) -> None:
    ledger = write_ledger(tmp_path / "ledger", 1, 2, 3)
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text(f"{ident(1)}\n")
    # A whole mail may name its ID more than once.
    two.write_text(f'{{"headers":{{"X-Bench-ID":"{ident(3)}"}},"raw":[["X-Bench-ID","{ident(3)}"]]}}\n{ident(2)}\n')
    found = balance(ledger, [str(one), str(two)])
    assert (found, found.even) == (Balance(3, 3, [], [], []), True)


def test_an_uneven_balance(tmp_path: Path) -> None:
    ledger = write_ledger(tmp_path / "ledger", 1, 2, 3)
    records = tmp_path / "records"
    records.write_text(f"{ident(1)}\n{ident(1)}\n{ident(3)}\n{ident(4)}\n{ident(2, 'ffffffff')}\n")
    found = balance(ledger, [str(records)])
    assert (found, found.even) == (Balance(3, 3, [ident(2)], [ident(1)], [ident(4)]), False)


def test_nothing_was_recorded_without_a_250_is_no_fault(tmp_path: Path) -> None:
    records = tmp_path / "records"
    records.write_text(f"{ident(1)}\n{ident(2)}\n")
    found = balance(write_ledger(tmp_path / "ledger", 1), [str(records)])
    assert (found, found.even) == (Balance(1, 2, [], [], [ident(2)]), True)


@pytest.mark.parametrize("text", ["x\n", "1\n", '{"a":1}\n', "[]\n"])
def test_not_a_ledger(tmp_path: Path, text: str) -> None:
    (tmp_path / "ledger").write_text(text)
    with pytest.raises(ValueError, match=r"ledger is not a ledger$"):
        balance(str(tmp_path / "ledger"), [])
