"""What the tests of a cluster share: three NATS servers, and the settings of a node."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from natsservers import NATSCluster, Settings
from startserver import merge, serve  # noqa: F401


@pytest.fixture(scope="session")
def nats_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NATSCluster]:
    """Three servers for all tests; each test has an account of its own."""
    cluster = NATSCluster(tmp_path_factory.mktemp("nats"))
    cluster.start()
    yield cluster
    cluster.stop()


_accounts = itertools.count(1)


@pytest.fixture
def account() -> int:
    """The number of an account on the NATS servers that no other test has."""
    return next(_accounts)


@pytest.fixture
def node(nats_cluster: NATSCluster, account: int) -> Settings:
    """The configuration of a node in the account of this test: `node("front", in_flight={...})`."""

    def settings(*roles: str, **more: Any) -> dict[str, Any]:
        base = {"role": list(roles), "servers": nats_cluster.urls(account), "retention": {"max_bytes": "200MB"}}
        return {"cluster": merge({**base, "stream": {"partitions": 2}}, more)}

    return settings
