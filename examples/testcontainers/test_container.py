"""fastsmtp in a container, by Testcontainers: its generic one, with the image that packaging/Dockerfile makes."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator

import pytest
from testcontainers.core.container import DockerContainer
from testcontainers.core.waiting_utils import wait_for_logs

from fastsmtp.client.testing.mailserver import MailServer

SETTINGS = ["smtp.addr=0.0.0.0:1025", "inbox.address=0.0.0.0:8025"]


@pytest.fixture(scope="session")
def mail_server() -> Iterator[MailServer]:
    """In the place of the plugin's: tests are told apart by their login, since two ports of the container are open."""
    command = " ".join(["serve", *(f"-o {setting}" for setting in SETTINGS)])
    with DockerContainer("fastsmtp:latest").with_command(command).with_exposed_ports(1025, 8025) as container:
        wait_for_logs(container, "the inbox is open")
        host = container.get_container_host_ip()
        url = f"http://{host}:{container.get_exposed_port(8025)}"
        yield MailServer(url, f"{host}:{container.get_exposed_port(1025)}", stays=False)


def test_a_mail(inbox) -> None:
    with smtplib.SMTP(inbox.smtp.host, inbox.smtp.port) as client:
        client.login(inbox.smtp.username, "any")
        client.sendmail("a@example.com", ["b@example.com"], "Subject: Hello\n\nx\n")
    assert inbox.wait_one().subject == "Hello"
