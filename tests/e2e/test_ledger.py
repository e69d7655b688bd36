"""Nothing accepted is lost, nothing comes twice."""

from __future__ import annotations

import asyncio
from collections import Counter

from servers import Serve

CONNECTIONS = 50
MAILS_PER_CONNECTION = 20


async def send_all(host: str, port: int, connection: int) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    await reader.readline()
    writer.write(b"HELO ledger\r\n")
    assert (await reader.readline()).startswith(b"250 ")
    for number in range(MAILS_PER_CONNECTION):
        writer.write(b"MAIL FROM:<s@example.com>\r\nRCPT TO:<r@example.com>\r\nDATA\r\n")
        for code in (b"250 ", b"250 ", b"354 "):
            assert (await reader.readline()).startswith(code)
        writer.write(b"Subject: %d/%d\r\n\r\n%s\r\n.\r\n" % (connection, number, b"x" * (number * 97)))
        assert (await reader.readline()).startswith(b"250 ")
    writer.write(b"QUIT\r\n")
    assert (await reader.readline()).startswith(b"221 ")
    writer.close()
    await writer.wait_closed()


def test_a_thousand_mails_over_fifty_connections_arrive_once_each(serve: Serve) -> None:
    server = serve()

    async def send() -> None:
        await asyncio.gather(*[send_all(server.host, server.port, number) for number in range(CONNECTIONS)])

    asyncio.run(send())
    subjects = Counter(context["message"]["subject"] for context in server.records())
    assert subjects == Counter(f"{c}/{n}" for c in range(CONNECTIONS) for n in range(MAILS_PER_CONNECTION))
