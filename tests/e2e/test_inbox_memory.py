"""What a stopped inbox leaves in the memory of the server, which goes on taking and refusing mails."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest
from procs import inbox_of, memory_kb
from servers import Serve, Server
from wire import MAIL, Wire

pytestmark = pytest.mark.one_python

CLIENTS = 8
ROUNDS = 3
LARGE = b"Subject: large\r\n\r\n" + (b"x" * 98 + b"\r\n") * 20_000 + b".\r\n"
# What is large goes back to the kernel when it is freed, each time: else malloc keeps the more, the more it was used.
RETURNED = ["env", "MALLOC_MMAP_THRESHOLD_=131072"]
ACCEPTED = b"250 2.0.0 Message accepted\r\n"


def memory_after_refusals(server: Server) -> int:
    """Octets of resident memory when as many large mails were refused."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Wire(server)) for _ in range(CLIENTS)]
        for client in clients:
            client.begin()
            client.send(LARGE)
        assert {client.reply() for client in clients} == {b"451 4.3.0 Storage failed, try again later\r\n"}
        return memory_kb(server.process.pid) * 1024


def test_mails_that_a_stopped_inbox_does_not_take_do_not_gather_in_memory(serve: Serve) -> None:
    server = serve({"inbox": {"address": "127.0.0.1:0"}}, worker="accepts.php", wrapper=RETURNED)
    inbox = inbox_of(server.process.pid)
    os.kill(inbox, signal.SIGSTOP)
    try:
        after = [memory_after_refusals(server) for _ in range(ROUNDS)]
    finally:
        os.kill(inbox, signal.SIGCONT)
    gathered = 3 * (ROUNDS - 1) * CLIENTS * len(LARGE)  # frames are three times as large
    assert after[-1] - after[0] <= gathered // 2
    with Wire(server) as client:
        client.begin()
        assert client.ask(MAIL % b"next") == ACCEPTED
