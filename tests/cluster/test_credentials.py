"""TLS both ways, credentials and nkeys, with a real NATS server that wants them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nkeys
import pytest
import structlog
from clusterapi import send
from natskeys import new_key, write_certificates, write_nkey, write_operator
from natsservers import nats_server
from servers import Serve
from waits import wait_until

from fastsmtp.cluster.connection import NATSConnection
from fastsmtp.config.file import load
from fastsmtp.errors import StartError
from fastsmtp.system.loop import run

pytestmark = pytest.mark.one_python

Start = Callable[[str], str]


@pytest.fixture
def start_nats(tmp_path: Path) -> Iterator[Start]:
    """Start a server with this configuration beside what it needs; return its address."""
    started: list[subprocess.Popen[bytes]] = []

    def start(text: str) -> str:
        config, log = tmp_path / "nats.conf", tmp_path / "nats.log"
        config.write_text(f'listen: "127.0.0.1:-1"\njetstream {{ store_dir: "{tmp_path}/js" }}\n{text}')
        with log.open("wb") as output:
            started.append(subprocess.Popen([nats_server(), "-c", str(config)], stdout=output, stderr=output))
        wait_until(lambda: "Server is ready" in log.read_text() or started[-1].poll() is not None)
        assert started[-1].poll() is None, log.read_text()
        [port] = re.findall(r"Listening for client connections on 127.0.0.1:(\d+)", log.read_text())
        return f"127.0.0.1:{port}"

    yield start
    for server in started:
        server.kill()
        server.wait()


def front(url: str, **more: Any) -> dict[str, Any]:
    stream = {"partitions": 1, "replicas": 1}
    return {
        "cluster": {"role": ["front"], "servers": [url], "stream": stream, "retention": {"max_bytes": "9MB"}, **more}
    }


def refusal(settings: dict[str, Any], directory: Path) -> str:
    """Why there is no connection with these settings."""
    (directory / "refused.yaml").write_text(json.dumps(settings))
    cluster = load(str(directory / "refused.yaml")).cluster
    assert cluster is not None

    async def connect() -> None:
        connection = NATSConnection(cluster, "refused", structlog.get_logger())
        try:
            await connection.open()
        finally:
            await connection.close()

    with pytest.raises(StartError) as refused:
        run(connect())
    return str(refused.value)


def test_tls_and_credentials(serve: Serve, start_nats: Start, tmp_path: Path) -> None:
    address = start_nats(write_certificates(tmp_path) + write_operator(tmp_path))
    tls = {"ca": str(tmp_path / "ca.pem"), "cert": str(tmp_path / "client.pem"), "key": str(tmp_path / "client.key")}
    creds = str(tmp_path / "user.creds")
    server = serve(front(f"tls://{address}", tls=tls, credentials=creds), worker=None)
    send(server, "one")
    (tmp_path / "other").mkdir()
    write_certificates(tmp_path / "other")
    write_operator(tmp_path / "other")
    told = {
        "other authority": {"tls": {**tls, "ca": str(tmp_path / "other" / "ca.pem")}, "credentials": creds},
        "no certificate": {"tls": {"ca": tls["ca"]}, "credentials": creds},
        "other user": {"tls": tls, "credentials": str(tmp_path / "other" / "user.creds")},
        "no user": {"tls": tls},
        "no file": {"tls": tls, "credentials": str(tmp_path / "nowhere")},
        "no key": {"tls": {**tls, "key": str(tmp_path / "nowhere")}, "credentials": creds},
    }
    said = {name: refusal(front(f"tls://{address}", **more), tmp_path) for name, more in told.items()}
    assert "certificate verify failed" in said["other authority"]
    assert "Authorization Violation" in said["other user"]
    assert "Authorization Violation" in said["no user"]
    assert said["no file"].startswith(f"cluster.credentials: cannot read {tmp_path}/nowhere")
    assert said["no key"] == "cluster.tls: No such file or directory"
    assert len(said) == len(told)


def test_an_nkey(serve: Serve, start_nats: Start, tmp_path: Path) -> None:
    address = start_nats(write_nkey(tmp_path))
    server = serve(front(f"nats://{address}", credentials=str(tmp_path / "user.nk")), worker=None)
    send(server, "one")
    (tmp_path / "other.nk").write_text(new_key(nkeys.PREFIX_BYTE_USER)[1])
    told = refusal(front(f"nats://{address}", credentials=str(tmp_path / "other.nk")), tmp_path)
    assert "Authorization Violation" in told
