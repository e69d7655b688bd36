"""A NATS server that others cannot reach, with a front that is connected with it: in a network of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from servers import TESTS

pytestmark = pytest.mark.one_python

SCENARIO = TESTS / "helpers" / "partition.py"


def test_a_front_leaves_a_server_that_is_cut_off(tmp_path: Path) -> None:
    command = [sys.executable, str(SCENARIO), str(tmp_path)]
    allowed = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode == 0
    command = ["unshare", "--net", *command] if allowed else [*command, "frozen"]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "verdicts": ["accept"],
        "moved": True,
        "ledger": [60, 60, [], []],
        "messages": 60,
    }
