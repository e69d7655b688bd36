"""What more open connections cost: CPU of the server per mail beside 10, 100, 1000 and 10 000 of them.

    python benchmarks/bench_connections.py [--counts 10,100,1000,10000] [--seconds 12] [--rate 1000] [--rounds 3]

Three ways to use them:

- idle: ten connections carry mails at a fixed rate, all others are past EHLO and silent;
- turns: every connection carries a mail, at the same rate, then waits until all others have had theirs;
- full: as idle, but the ten carry mails as fast as they go.

At a fixed rate a mail costs the same number of wake-ups whatever the number of connections. The load runs in this
process, idle connections are held by another, and the clock begins when all are open. Prints the CPU per mail in
microseconds, medians of the rounds, and the ratio to that beside the fewest connections. Ends with 1 where a ratio is
above 1.3.

Findings (CPython 3.11, 2 shared cores, one round):

    use       10    100   1000  10000  ratio at 100  ratio at 1000  ratio at 10000
    idle   192.0  204.1  192.1  199.9          1.06           1.00            1.04
    turns  188.4  190.6  188.8  239.2          1.01           1.00            1.27
    full    87.5   80.5   75.5   75.6          0.92           0.86            0.86

- Two runs of one configuration differ by a tenth on that machine, and by more when it is busy: the table was made
  beside a soak. `turns` alone, in four runs taken in turns on the quiet machine, had 130.2 and 160.9 (1.24), 137.0 and
  162.5 (1.19).
- What lost, in the same four runs: `gc.freeze` after the imports and `gc.set_threshold(20_000, 20, 50)`, with 137.9 and
  188.5 (1.37), 131.1 and 168.5 (1.29).
- `turns` at 10 000 in rounds of 6 s, in which every mail is the first of its connection, has a ratio of 1.30 (medians
  of 3 rounds). By py-spy 5.5 % of the samples are then in the cycle collector, which the growing heap calls, and 2.2 %
  in the sweep over all connections for timeouts. Without the collector two rounds of 14 s cost 256 and 263 us a mail
  instead of 259 and 274.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
from pathlib import Path

from bench_idle import hold_connections
from serving import Server, raise_limit, serving

from fastsmtp.bench.ledger import LoadLedger
from fastsmtp.bench.load import run
from fastsmtp.bench.measures import Measures
from fastsmtp.bench.message import Style, drawn, generated
from fastsmtp.bench.plan import Plan
from fastsmtp.client.dialogue import Script
from fastsmtp.system.addresses import TCPAddress
from fastsmtp.system.table import lines

LIMIT = 1.3
SENDERS = 10
SCRIPT = Script("bench.example.com", "a@example.com", ["b@example.com"])
TEMPLATES = [generated(1000, 1.0, Style(SCRIPT.sender, SCRIPT.recipients, None, 1))]


def cpu_per_mail(server: Server, connections: int, rate: float, seconds: float) -> float:
    """Microseconds, between the first tick after all connections are open and the last."""
    measures = Measures()
    looks: list[tuple[float, int]] = []
    plan = Plan(
        TCPAddress(server.host, server.port),
        SCRIPT,
        drawn(TEMPLATES, 1),
        connections=connections,
        duration_s=seconds,
        rate=rate,
    )
    run(plan, measures, LoadLedger(None), lambda: looks.append((server.cpu_s()[0], measures.answered)))
    assert not measures.failures, measures.failures
    # The last look is after the end, when the connections are being closed.
    (began, before), (ended, after) = looks[0], looks[-2]
    return 1e6 * (ended - began) / (after - before)


def measured(use: str, count: int, rate: float, seconds: float) -> float:
    """One round, on a server of its own."""
    held = 0 if use == "turns" else max(0, count - SENDERS)
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(Path(directory), "smtp.read_timeout=1h"))
        cpu_per_mail(server, SENDERS, 0.0, 1.0)  # warm
        if held:
            stack.enter_context(hold_connections(server.host, server.port, held))
        return cpu_per_mail(server, count - held, 0.0 if use == "full" else rate, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--counts", default="10,100,1000,10000")
    parser.add_argument("--uses", default="idle,turns,full")
    parser.add_argument("--seconds", type=float, default=12.0, help="of each round; of `turns`, enough for each")
    parser.add_argument("--rate", type=float, default=1000.0, help="mails per second of `idle` and `turns`")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    counts = sorted(int(count) for count in chosen.counts.split(","))
    raise_limit(counts[-1] + 200)
    heads = ["use", *(str(count) for count in counts), *(f"ratio at {count}" for count in counts[1:])]
    rows, worst = [], 0.0
    for use in chosen.uses.split(","):
        rounds = [[measured(use, count, chosen.rate, chosen.seconds) for count in counts] for _ in range(chosen.rounds)]
        medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
        ratios = [median / medians[0] for median in medians[1:]]
        worst = max(worst, *ratios)
        rows.append([use, *(f"{median:.1f}" for median in medians), *(f"{ratio:.2f}" for ratio in ratios)])
    print("\n".join(lines(heads, rows, frozenset(heads[1:]))))
    sys.exit(worst > LIMIT)


if __name__ == "__main__":
    main()
