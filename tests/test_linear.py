"""The work for a mail, or for what a client says, grows with its octets and no faster, whatever they are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import hostileforms
import pytest
import workcount
from workcount import MOST, growth

pytestmark = pytest.mark.one_python

_PROGRAM = Path(workcount.__file__)
_PARTS = 16  # of the forms: each takes some seconds


def test_growth_tells_a_square_from_a_line() -> None:
    assert growth([(n, 7 * n + 900) for n in (1000, 2000, 4000)]) < 1
    assert growth([(n, n * n // 100) for n in (1000, 2000, 4000)]) > MOST
    assert growth([(10, 5), (10, 5), (10, 5)]) == 1.0


def test_there_are_hundreds_of_forms() -> None:
    assert len(hostileforms.MESSAGES) + len(hostileforms.STREAMS) > 900


@pytest.mark.parametrize("part", range(_PARTS))
def test_work_grows_with_octets_and_no_faster(part: int) -> None:
    output = subprocess.check_output([sys.executable, _PROGRAM, str(part), str(_PARTS)])
    counted = {f"{kind}: {name}": sizes for kind, forms in json.loads(output).items() for name, sizes in forms.items()}
    assert len(counted) > 50
    assert {name: sizes for name, sizes in counted.items() if growth(sizes) > MOST} == {}
