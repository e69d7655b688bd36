"""A real RabbitMQ of one node, Debian's, on loopback ports that no other process of the tests has."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path
from typing import Final

from waits import wait_until

_SERVER: Final = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # that in /usr/sbin becomes another user
_CONFIG: Final = """\
listeners.tcp.1 = 127.0.0.1:%d
loopback_users = none
max_message_size = 3000000
disk_free_limit.absolute = 1MB
vm_memory_high_watermark.relative = 0.9
"""


class RabbitMQ:
    """One server, which can be ended and started again."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.port = 22_000 + 4 * (os.getpid() % 2500)  # below those that the kernel gives away
        (directory / "rabbitmq.conf").write_text(_CONFIG % self.port)
        (directory / "enabled_plugins").write_text("[].")
        self._environment = {
            **os.environ,
            "HOME": str(directory),  # of the cookie
            "LANG": "C.UTF-8",
            "RUNNING_UNDER_SYSTEMD": "1",  # the script becomes the server, so that a signal finds it
            "ERL_EPMD_PORT": str(self.port + 1),
            "RABBITMQ_NODENAME": f"test{os.getpid()}@localhost",
            "RABBITMQ_DIST_PORT": str(self.port + 2),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(directory / "none"),
            "RABBITMQ_MNESIA_BASE": str(directory / "data"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(directory / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }
        # Erlang would start it as a daemon, which stays.
        self._names = subprocess.Popen(["epmd", "-port", str(self.port + 1), "-address", "127.0.0.1"])
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    @property
    def runs(self) -> bool:
        """Whether it is there."""
        return self._server is not None and self._server.poll() is None

    def start(self) -> None:
        """Start it, and wait until it is there."""
        log = self._directory / "output"
        log.write_bytes(b"")
        with log.open("ab") as output:
            self._server = subprocess.Popen(
                [_SERVER], env=self._environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        server, told = self._server, b""

        def goes_on(told: bytes) -> bool:
            assert server.poll() is None, log.read_text()
            return log.read_bytes() != told

        while b"Server startup complete" not in told:  # it takes a while, and says all the time how far it is
            wait_until(functools.partial(goes_on, told))
            told = log.read_bytes()

    def end(self) -> None:
        """SIGTERM. Killed, a single server of RabbitMQ 3.10 may find no leader for its quorum queues afterwards."""
        assert self._server is not None
        self._server.terminate()
        self._server.wait()
        self._server = None

    def stop(self) -> None:
        """End all."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
        self._names.kill()
        self._names.wait()
