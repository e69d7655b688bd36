"""Failures under load: what got a 250 is with a worker afterwards, and all is well again by itself."""

from __future__ import annotations

import collections
import smtplib
from pathlib import Path

import pytest
from crashload import CrashLoad, Fates
from natsservers import NATSCluster, Settings
from servers import Serve, Server
from waits import wait_until

pytestmark = pytest.mark.one_python

AWAY = 451, b"4.3.2 The cluster cannot be reached, try again later"


@pytest.fixture
def three(tmp_path: Path) -> NATSCluster:
    """Three servers for one test, which kills them."""
    directory = tmp_path / "nats"
    directory.mkdir()
    return NATSCluster(directory, kin=1)


def settle(servers: list[Server], fates: Fates) -> collections.Counter[str]:
    """How often workers got each mail, once they have all that were accepted."""

    def subjects() -> collections.Counter[str]:
        return collections.Counter(str(record["message"]["subject"]) for record in servers[0].records())

    wait_until(lambda: fates.accepted <= set(subjects()))
    return subjects()


def grow(load: CrashLoad, mails: int) -> None:
    """Wait until so many more mails are accepted."""
    goal = load.accepted + mails
    wait_until(lambda: load.accepted >= goal)


def test_killed_nats_servers_lose_nothing(serve: Serve, three: NATSCluster) -> None:
    three.start()
    stream = {"partitions": 1}
    settings = {"cluster": {"servers": three.urls(1), "stream": stream, "retention": {"max_bytes": "200MB"}}}
    server = serve(settings)
    with CrashLoad(server.host, server.port) as load:
        grow(load, 20)
        leader = three.leader_of(1, "FASTSMTP-0")
        three.kill(leader)
        grow(load, 20)
        three.start()
        grow(load, 20)
        three.stop()  # all of them
        with smtplib.SMTP(server.host, server.port) as smtp:
            smtp.ehlo()
            wait_until(lambda: smtp.mail("a@example.com") == AWAY)
        three.start()
        grow(load, 20)
        fates = load.stop()
    arrived = settle([server], fates)
    # A mail whose acknowledgement by the worker was lost with a NATS server comes twice, with the same uuid.
    uuids = collections.Counter(str(record["uuid"]) for record in server.records())
    assert fates.accepted - set(arrived) == set()
    assert len(uuids) == len(arrived)
    server.stop()
    three.stop()


def test_killed_fronts_and_relays_lose_nothing(serve: Serve, node: Settings) -> None:
    fronts = [serve(node("front"), worker=None)]
    relays = [serve(node("relay")) for _ in range(2)]
    with CrashLoad(fronts[0].host, fronts[0].port) as load:
        grow(load, 20)
        relays[0].kill()
        grow(load, 20)
        fronts[0].kill()
        fates = load.stop()
    relays.append(serve(node("relay")))
    arrived = settle(relays, fates)
    assert fates.accepted - set(arrived) == set()
