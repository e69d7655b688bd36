"""The files for Docker compose and Kubernetes: their configurations are read, and what names another thing finds it."""

from __future__ import annotations

import os
import re
import subprocess
from typing import Any

import pytest
import yaml
from natsservers import nats_server
from servers import TESTS

from fastsmtp.config.file import load

pytestmark = pytest.mark.one_python

FILES = TESTS.parent / "packaging" / "cluster"
COMPOSE = yaml.safe_load((FILES / "compose.yaml").read_text())
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all((FILES / "kubernetes.yaml").read_text()))
ROLES = ("front", "relay", "inbox")


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [found for found in OBJECTS if found["kind"] == kind]


def pods() -> dict[str, dict[str, Any]]:
    """The template of each role's pods."""
    return {
        found["metadata"]["labels"]["role"]: found["spec"]["template"]
        for found in OBJECTS
        if found["kind"] in ("Deployment", "StatefulSet")
    }


@pytest.mark.parametrize("role", ROLES)
def test_the_configuration_of_a_role_is_read(role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_URL", "nats://n1:4222")
    config = load(str(FILES / f"{role}.yaml"))
    assert config.cluster is not None
    assert (config.cluster.role, config.cluster.servers) == ([role], ["nats://n1:4222"])
    assert (config.status.address, config.metrics.address) == ("0.0.0.0:2114", "0.0.0.0:2112")
    kept = config.kept()
    assert (config.smtp.addr, kept and kept.address) == {
        "front": ("0.0.0.0:1025", None),
        "relay": ("", None),
        "inbox": ("", "0.0.0.0:8025"),
    }[role]


def test_kubernetes_has_the_same_configurations() -> None:
    [found] = of_kind("ConfigMap")
    assert found["data"] == {f"{role}.yaml": (FILES / f"{role}.yaml").read_text() for role in ROLES}
    assert {role: pod["spec"]["containers"][0]["args"] for role, pod in pods().items()} == {
        role: ["serve", "-c", f"/etc/fastsmtp/{role}.yaml"] for role in ROLES
    }


def test_kubernetes_names_meet() -> None:
    for role, pod in pods().items():
        [container] = pod["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert {"front": {"smtp": 1025}, "inbox": {"http": 8025}}.get(role, {}).items() <= ports.items()
        assert {container[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe")} == {"status"}
        labels = {"app": "fastsmtp", "role": role}
        assert pod["metadata"]["labels"] == labels
        budgets = [found["spec"]["selector"]["matchLabels"] for found in of_kind("PodDisruptionBudget")]
        assert budgets.count(labels) == 1
        assert pod["spec"]["terminationGracePeriodSeconds"] > load(None).endure.grace_period_s
    assert [(found["spec"]["selector"]["role"], found["spec"]["ports"][0]["port"]) for found in of_kind("Service")] == [
        ("front", 1025),
        ("inbox", 8025),
    ]


def test_compose_names_files_and_services() -> None:
    services = COMPOSE["services"]
    named = {volume.partition(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    files = {name for name in named if name.startswith(".")}
    assert [name for name in files if not (FILES / name).exists()] == []
    assert named - files == set(COMPOSE["volumes"])
    assert {name for service in services.values() for name in service.get("depends_on", [])} <= set(services)
    for service in services.values():
        if "build" in service:
            assert (FILES / service["build"]["context"] / service["build"]["dockerfile"]).resolve().is_file()


def test_nats_takes_its_configuration() -> None:
    command = [nats_server(), "-t", "-c", str(FILES / "nats.conf")]
    done = subprocess.run(command, env={**os.environ, "NAME": "n1"}, capture_output=True, text=True, check=False)
    assert (done.returncode, "is valid" in done.stderr) == (0, True), done.stderr
    routes = re.findall(r"nats://(\w+):6222", (FILES / "nats.conf").read_text())
    assert set(routes) <= set(COMPOSE["services"])
