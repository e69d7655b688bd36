"""How one configuration is divided among processes."""

from __future__ import annotations

import os

import pytest

from fastsmtp.config.file import load
from fastsmtp.config.settings import (
    Config,
    DynamicAllocatorSettings,
    ListenerSettings,
    MetricsSettings,
    OnInitSettings,
    RPCSettings,
    StatusSettings,
    TLSSettings,
)
from fastsmtp.processes.shares import process_count, shares, split, with_certificates


@pytest.mark.parametrize(
    ("total", "count", "parts"), [(4, 1, [4]), (4, 2, [2, 2]), (7, 3, [3, 2, 2]), (2, 2, [1, 1]), (0, 3, [0, 0, 0])]
)
def test_the_first_ones_take_the_rest(total: int, count: int, parts: list[int]) -> None:
    assert split(total, count) == parts


def test_what_there_is_once_is_divided_or_left_to_the_parent() -> None:
    config = load(
        None,
        [
            "smtp.processes=3",
            "smtp.pool={num_workers: 7, max_queue_size: 8}",
            "smtp.pool.dynamic_allocator={max_workers: 2, spawn_rate: 5}",
            "smtp.max_connections=10",
            "smtp.max_inflight_bytes=100",
            "smtp.attachment_storage.mode=tempfile",
            "rpc.listen=tcp://127.0.0.1:6001",
            "metrics.address=127.0.0.1:2112",
            "status.address=127.0.0.1:2114",
            "server.on_init.command=php init.php",
            "server.env={A: b}",
        ],
    )
    found = shares(config, 3)
    assert [item.smtp.pool.num_workers for item in found] == [3, 2, 2]
    assert [item.smtp.pool.max_queue_size for item in found] == [3, 3, 2]
    assert [item.smtp.pool.dynamic_allocator for item in found] == [
        DynamicAllocatorSettings(max_workers=1, spawn_rate=2),
        DynamicAllocatorSettings(max_workers=1, spawn_rate=2),
        None,
    ]
    assert [item.smtp.max_connections for item in found] == [10, 10, 10]  # which they count together
    assert [item.smtp.max_inflight_bytes for item in found] == [34, 33, 33]
    assert [item.smtp.attachment_storage.cleanup_after_s for item in found] == [3600.0, 0.0, 0.0]
    for item in found:
        assert (item.rpc, item.metrics, item.status, item.server.on_init) == (
            RPCSettings(),
            MetricsSettings(),
            StatusSettings(),
            OnInitSettings(),
        )
        assert (item.server.env, item.logs, item.smtp.processes) == ({"A": "b"}, config.logs, 1)
        assert item.smtp.listeners() == config.smtp.listeners()


def test_as_many_connections_as_descriptors_allow_is_so_for_each() -> None:
    assert [item.smtp.max_connections for item in shares(Config(), 2)] == [0, 0]


def test_workers_beside_the_others_add_up_to_those_of_one_process() -> None:
    allocator = "smtp.pool.dynamic_allocator={max_workers: 0, spawn_rate: 1}"  # 0 = 10
    found = [item.smtp.pool.dynamic_allocator for item in shares(load(None, [allocator]), 4)]
    assert [item and (item.max_workers, item.spawn_rate) for item in found] == [(3, 1), (3, 1), (2, 1), (2, 1)]


def test_no_share_of_memory_is_without_limit() -> None:
    config = load(None, ["smtp.max_inflight_bytes=1"])
    assert [item.smtp.max_inflight_bytes for item in shares(config, 2)] == [1, 1]


def test_a_certificate_made_at_start_is_a_file_that_all_read() -> None:
    servers = "smtp.servers={b: {addr: ':2', tls: {cert: b.pem}}}"
    config = load(None, ["smtp.addr=:1025", "smtp.tls={cert: auto, mode: implicit}", servers])
    share = with_certificates(config, {"default": "/run/0.pem"})
    hostname = config.smtp.hostname
    assert share.smtp.listeners() == {
        "default": ListenerSettings(
            addr=":1025", hostname=hostname, tls=TLSSettings(cert="/run/0.pem", mode="implicit")
        ),
        "b": ListenerSettings(addr=":2", hostname=hostname, tls=TLSSettings(cert="b.pem")),
    }


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        (["smtp.pool.num_workers=1"], 1),
        (["smtp.pool={num_workers: 500, max_queue_size: 1}"], 1),
        (["smtp.pool.num_workers=500"], 500),
    ],
    ids=["workers", "emails that wait", "cores"],
)
def test_auto_is_what_cores_workers_and_waiting_emails_allow(settings: list[str], most: int) -> None:
    smtp = load(None, ["smtp.processes=auto", *settings]).smtp
    assert process_count(smtp) == min(most, len(os.sched_getaffinity(0)))


def test_a_number_is_what_it_says() -> None:
    assert process_count(load(None, ["smtp.processes=3"]).smtp) == 3
