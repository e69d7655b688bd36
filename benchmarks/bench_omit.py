"""What workers in PHP save where groups of the payload are left out (`smtp.payload_omit`).

    python benchmarks/bench_omit.py [--rounds 5]

First json_decode alone, for a mail of 1 KB: everything, without one group at a time, and what the example of the
specification has. Then whole servers with two PHP workers that decode each mail, in turns: medians, and the ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import corpus
from serving import bench, serving

from fastsmtp.delivery.omission import GROUPS, omission
from fastsmtp.delivery.payload import encode_payload
from fastsmtp.system.table import lines

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from captures import capture_email

CHOICES: dict[str, list[str]] = {"nothing": [], **{name: [name] for name in GROUPS}}
CHOICES["text, raw_headers, session"] = ["text", "raw_headers", "session"]
DECODING_HEADS = ["left out", "octets", "json_decode us", "of all"]
SERVING_HEADS = ["left out", "mails/s", "server us/mail", "workers us/mail", "rate", "server", "workers"]
SERVED = ("nothing", "text, raw_headers, session", "beyond")


def context(groups: list[str]) -> bytes:
    """The payload of a mail of 1 KB."""
    email = capture_email(corpus.plain())
    assert email is not None
    return b"".join(encode_payload(email, omit=omission(groups))[0])


def decoding() -> list[list[str]]:
    """Rows of what json_decode takes."""
    contexts = [context(groups) for groups in CHOICES.values()]
    with tempfile.TemporaryDirectory() as directory:
        paths = [Path(directory) / str(index) for index in range(len(contexts))]
        for path, octets in zip(paths, contexts, strict=True):
            path.write_bytes(octets)
        command = ("php", Path(__file__).with_name("decode.php"), *paths)
        costs = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    rows = zip(CHOICES, contexts, costs, strict=True)
    return [[name, str(len(octets)), f"{cost:.1f}", f"{cost / costs[0]:.2f}"] for name, octets, cost in rows]


def served(groups: list[str]) -> list[float]:
    """One round: rate, and CPU of the server and of its workers a mail, in microseconds."""
    with tempfile.TemporaryDirectory() as directory:
        setting = f"smtp.payload_omit=[{', '.join(groups)}]"
        with serving(Path(directory), setting, worker="decodes.php") as server:
            bench(server.address, "-n", "500")  # warm
            before = server.cpu_s()
            found = bench(server.address, "-n", "20000", "--connections=50")
            after = server.cpu_s()
    mails = found["answered"]
    return [found["rate"], *(1e6 * (late - early) / mails for early, late in zip(before, after, strict=True))]


def serving_rows(rounds: int) -> list[list[str]]:
    """Rows of what whole servers do, and the ratios to the first."""
    found: dict[str, list[list[float]]] = {name: [] for name in SERVED}
    for _ in range(rounds):
        for name in SERVED:
            found[name].append(served(CHOICES[name]))
    medians = {name: [statistics.median(column) for column in zip(*runs, strict=True)] for name, runs in found.items()}
    first = medians[SERVED[0]]
    return [
        [name, *(f"{value:.0f}" for value in row), *(f"{row[at] / first[at]:.2f}" for at in range(len(row)))]
        for name, row in medians.items()
    ]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print("\n".join(lines(DECODING_HEADS, decoding(), frozenset(DECODING_HEADS[1:]))), end="\n\n")
    print("\n".join(lines(SERVING_HEADS, serving_rows(rounds), frozenset(SERVING_HEADS[1:]))))


if __name__ == "__main__":
    main()
