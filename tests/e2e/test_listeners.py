"""Several listeners, IPv6, Unix sockets, and where to find out what was bound."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from servers import Serve
from wire import Wire, logged

ACCEPTED = b"250 2.0.0 Message accepted\r\n"


def test_each_listener_has_its_own_address_hostname_and_tls(serve: Serve, tmp_path: Path) -> None:
    server = serve(
        {
            "smtp": {
                "hostname": "base.example.com",
                "servers": {
                    "six": {"addr": "[::1]:0", "hostname": "six.example.com"},
                    "local": {"addr": f"unix:{tmp_path}/smtp.sock"},
                    "secure": {"addr": "127.0.0.1:0", "tls": {"cert": "auto", "mode": "implicit"}},
                    "upgrade": {"addr": "127.0.0.1:0", "hostname": "up.example.com", "tls": {"cert": "auto"}},
                },
            }
        }
    )
    assert list(server.listeners) == ["default", "local", "secure", "six", "upgrade"]
    greetings = {}
    for name in server.listeners:
        with Wire(server, name, tls=name == "secure") as wire:
            greetings[name] = wire.greeting
            offered = wire.ask(b"EHLO client.example.com\r\n")
            assert (b"STARTTLS" in offered) == (name == "upgrade")
            wire.begin_next()
            assert wire.ask(b"Subject: %s\r\n\r\n.\r\n" % name.encode()) == ACCEPTED
    assert greetings == {
        "default": b"220 base.example.com ESMTP fastsmtp\r\n",
        "local": b"220 base.example.com ESMTP fastsmtp\r\n",
        "secure": b"220 base.example.com ESMTP fastsmtp\r\n",
        "six": b"220 six.example.com ESMTP fastsmtp\r\n",
        "upgrade": b"220 up.example.com ESMTP fastsmtp\r\n",
    }
    records = server.records()
    assert [(item["server"], item["message"]["subject"]) for item in records] == [(name, name) for name in greetings]
    hosts = [item["remote_addr"].rpartition(":")[0] for item in records]
    assert hosts == ["127.0.0.1", "", "127.0.0.1", "[::1]", "127.0.0.1"]
    assert records[1]["remote_addr"] == "unix"
    assert [item["session"]["tls"] is not None for item in records] == [False, False, True, False, False]


def test_the_ready_file_names_every_listener_and_goes_at_the_end(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "smtp.sock"
    server = serve({"smtp": {"servers": {"six": {"addr": "[::1]:0"}, "local": {"addr": f"unix:{path}"}}}})
    ready = tmp_path / "ready-0.json"
    told = json.loads(ready.read_text())
    assert told == {"pid": server.process.pid, "listeners": server.listeners}
    assert told["listeners"]["local"] == [f"unix:{path}"]
    assert told["listeners"]["six"][0].startswith("[::1]:")
    assert not told["listeners"]["six"][0].endswith(":0")
    assert [name for name in os.listdir(tmp_path) if name.startswith("ready")] == ["ready-0.json"]
    [listening] = logged(server, "  listening ")
    shown = ", ".join(addresses[0] for addresses in server.listeners.values())
    assert listening.split(maxsplit=1)[1] == shown
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert server.stop() == 0
    assert not ready.exists()
    assert not path.exists()


def test_all_interfaces_take_ipv4_and_ipv6(serve: Serve) -> None:
    server = serve({"smtp": {"addr": ":0"}})
    port = server.listeners["default"][0].rpartition(":")[2]
    for host, shown in (("127.0.0.1", "127.0.0.1:"), ("[::1]", "[::1]:")):
        server.listeners["default"] = [f"{host}:{port}"]
        with Wire(server) as wire:
            wire.begin()
            assert wire.ask(b"Subject: x\r\n\r\n.\r\n") == ACCEPTED
        assert server.records()[-1]["remote_addr"].startswith(shown)
