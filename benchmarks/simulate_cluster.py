"""A model of a large cluster, driven by what one mail costs: where it breaks first when more mails come.

    python benchmarks/simulate_cluster.py
    python benchmarks/simulate_cluster.py --rate 100000 --cells 2 --servers 6 --front-cores 48 --relay-cores 16

Nothing is measured here: the costs are those of `bench_cluster.py`, on cores like those it ran on. Mails come at random
to namespaces, some of which are much larger than others (Zipf); a namespace is in one partition, a partition in one
stream, whose leader is one server. Each step of 10 ms every stage does what its cores, disks and network let it do, and
the rest waits. The load grows until a stage has more than it can do for a second.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

STEP_S = 0.01
MAIL_BYTES = 2_500  # of a mail of 1 KB on the servers: its JSON, and the mail


@dataclass(frozen=True)
class Costs:
    """What a mail costs: microseconds of CPU, of all servers together, and what one stream can do."""

    front_us: float = 378.0
    relay_us: float = 120.0
    publish_us: float = 287.0  # of three servers
    consume_us: float = 131.0
    stream_rate: float = 4000.0  # mails a second of one stream with synced writes


@dataclass(frozen=True)
class Plan:
    """How large the cluster is."""

    front_cores: int = 480
    relay_cores: int = 160
    cells: int = 16
    servers: int = 7  # of a cell
    cores: int = 8  # of a server
    used: float = 0.55  # of the cores of a server, beyond which latency grows
    partitions: int = 64  # of a cell
    network_gbit: float = 10.0  # of a server
    disk_mb: float = 500.0  # a second, of a server
    namespaces: int = 100_000
    skew: float = 0.6  # of the Zipf distribution of mails over namespaces


@dataclass
class Stage:
    """Something that does so much a second; what it cannot do waits."""

    name: str
    capacity: float  # a second
    waiting: float = 0.0
    busy: float = 0.0

    def take(self, amount: float) -> float:
        """Return what is done in one step of what has come by now."""
        self.waiting += amount
        done = min(self.waiting, self.capacity * STEP_S)
        self.waiting -= done
        self.busy = done / (self.capacity * STEP_S)
        return done

    @property
    def delay_s(self) -> float:
        """How long what comes now waits."""
        return self.waiting / self.capacity


@dataclass
class Model:
    """The stages of a plan, and the share of mails that each partition gets."""

    plan: Plan
    costs: Costs
    shares: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        plan, costs = self.plan, self.costs
        server_cores = plan.cells * plan.servers * plan.cores * plan.used
        # A mail is received, sent to two others, which receive it, and to a relay: five times its octets.
        octets = plan.cells * plan.servers * plan.network_gbit * 1e9 / 8 * 0.7
        disks = plan.cells * plan.servers * plan.disk_mb * 1e6 * 0.7
        self.stages = [
            Stage("CPU of fronts", plan.front_cores * 1e6 / costs.front_us),
            Stage("CPU of NATS servers", server_cores * 1e6 / (costs.publish_us + costs.consume_us)),
            Stage("network of NATS servers", octets / (5 * MAIL_BYTES)),
            Stage("disks of NATS servers", disks / (3 * MAIL_BYTES)),
            Stage("CPU of relays", plan.relay_cores * 1e6 / costs.relay_us),
        ]
        self.shares = list(_shares(plan))
        self.streams = [Stage(f"stream {number}", costs.stream_rate) for number in range(len(self.shares))]

    def step(self, rate: float) -> Stage | None:
        """Let mails come for one step; return the stage that is a second behind, None while none is."""
        mails = rate * STEP_S
        for stage in self.stages[:1]:
            mails = stage.take(mails)
        mails = sum(stream.take(mails * share) for stream, share in zip(self.streams, self.shares, strict=True))
        for stage in self.stages[1:]:
            mails = stage.take(mails)
        return next((stage for stage in [*self.stages, *self.streams] if stage.delay_s > 1.0), None)

    def busiest(self) -> list[tuple[str, float]]:
        """Return all stages, the busiest first; of the streams the busiest one."""
        streams = max(self.streams, key=lambda stream: stream.busy)
        found = [(stage.name, stage.busy) for stage in [*self.stages, Stage("busiest stream", 1.0, busy=streams.busy)]]
        return sorted(found, key=lambda one: -one[1])


def _shares(plan: Plan) -> Iterator[float]:
    """Yield the share of all mails that each partition of all cells gets."""
    chance = random.Random(7)
    weights = [1.0 / rank**plan.skew for rank in range(1, plan.namespaces + 1)]
    partitions = [0.0] * (plan.cells * plan.partitions)
    for weight in weights:
        partitions[chance.randrange(len(partitions))] += weight
    total = sum(weights)
    yield from (weight / total for weight in partitions)


def breaking_point(plan: Plan, costs: Costs, first: float) -> tuple[float, str]:
    """Return the rate at which the model breaks, and the stage that does."""
    rate = first
    while True:
        model = Model(plan, costs)
        for _ in range(int(3.0 / STEP_S)):
            broken = model.step(rate)
            if broken is not None:
                return rate, broken.name
        rate *= 1.05


def main() -> None:
    """Print how busy each stage is at a rate, and where it breaks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=1_000_000.0, help="mails a second")
    for name in ("front_cores", "relay_cores", "cells", "servers", "cores", "partitions", "namespaces"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(Plan, name))
    parser.add_argument("--skew", type=float, default=Plan.skew)
    given = vars(parser.parse_args())
    rate = given.pop("rate")
    plan, costs = Plan(**given), Costs()
    model = Model(plan, costs)
    for _ in range(int(3.0 / STEP_S)):
        model.step(rate)
    print(f"at {rate:,.0f} mails/s:")
    for name, busy in model.busiest():
        print(f"  {name:<26}{busy:6.0%}")
    found, stage = breaking_point(plan, costs, rate / 4)
    print(f"breaks at {found:,.0f} mails/s: {stage}")


if __name__ == "__main__":
    main()
