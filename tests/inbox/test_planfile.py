"""Fault plans in files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fastsmtp.config.settings import SMTPSettings, TLSSettings
from fastsmtp.errors import StartError
from fastsmtp.inbox.planfile import load_plan

# What a file has, and what is said of it behind its name.
USELESS = {
    b"rules: [": "line 2: did not find expected node content",
    b"rules: [{preset: up}]": "/rules/0/preset: one of greylist, rate-limit, down, slow, lost-ack, disk-full,",
    b"rules: [{preset: tls-broken}]": "/rules/0/when/at: no listener has a certificate: there is no TLS",
    b"rules: &a [*a]": "line 1: references are not taken",
    b"": "/: a plan is an object with `rules`",
    b"#" * 300_000: "longer than 256 KB",
}


@pytest.mark.parametrize("octets", USELESS, ids=[str(octets[:20]) for octets in USELESS])
def test_a_file_that_cannot_be_used(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(octets)
    with pytest.raises(StartError, match=f"^smtp.faults: {path}: " + re.escape(USELESS[octets])):
        load_plan(SMTPSettings(faults=str(path)))


def test_no_file(tmp_path: Path) -> None:
    assert load_plan(SMTPSettings()) is None
    with pytest.raises(StartError, match=r"plan\.yaml cannot be read: No such file or directory"):
        load_plan(SMTPSettings(faults=str(tmp_path / "plan.yaml")))


@pytest.mark.parametrize("text", ["rules: [{preset: tls-broken}]", '{"rules": [{"preset": "tls-broken"}]}'])
def test_a_plan_in_yaml_or_json(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan"
    path.write_text(text)
    plan = load_plan(SMTPSettings(faults=str(path), tls=TLSSettings(cert="auto")))
    assert plan is not None
    assert [rule.ident for rule in plan.rules] == ["tls-broken-1"]
