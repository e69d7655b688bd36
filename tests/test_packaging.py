"""What can be checked of the packaging without Docker, systemd and Kubernetes: it says what the program knows."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest
import yaml
from servers import TESTS

from fastsmtp.config.file import load

pytestmark = pytest.mark.one_python

PACKAGING = TESTS.parent / "packaging"
DOCKERFILE = (PACKAGING / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((PACKAGING / "compose.yaml").read_text())
DEPLOYMENT, SERVICE = yaml.safe_load_all((PACKAGING / "kubernetes.yaml").read_text())
[CONTAINER] = DEPLOYMENT["spec"]["template"]["spec"]["containers"]
NAME = "fastsmtp-server"
GRACE_S = load(None).endure.grace_period_s


def docker_list(instruction: str) -> list[str]:
    """The words of an instruction that stands at the beginning of a line; ` CMD` is that of the health check."""
    [found] = re.findall(rf"^{instruction} (\[.*\])$", DOCKERFILE, re.M)
    return [str(word) for word in json.loads(found)]


def unit() -> RawConfigParser:
    parser = RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(PACKAGING / "fastsmtp.service")
    return parser


@pytest.mark.parametrize(
    "arguments",
    [
        docker_list("CMD"),
        COMPOSE["services"]["fastsmtp"]["command"],
        CONTAINER["args"],
    ],
    ids=["docker", "compose", "kubernetes"],
)
def test_containers_listen_everywhere_and_tell_their_health(arguments: list[str]) -> None:
    assert arguments[0] == "serve"
    assert set(arguments[1::2]) == {"-o"}
    config = load(None, arguments[2::2])
    assert (config.smtp.addr, config.status.address) == ("0.0.0.0:1025", "0.0.0.0:2114")


def test_docker_health_check_is_python() -> None:
    program, option, code = docker_list(" +CMD")
    assert (program, option) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")
    assert "http://127.0.0.1:2114/health" in code


def test_docker_runs_as_nobody_special() -> None:
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.M) == ["10001:10001"]
    assert re.findall(r"useradd --uid (\d+) --user-group ", DOCKERFILE) == ["10001"]
    security = DEPLOYMENT["spec"]["template"]["spec"]["securityContext"]
    assert security == {"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001}
    assert docker_list("ENTRYPOINT") == ["fastsmtp"]


def test_docker_copies_all_that_the_build_needs() -> None:
    kept = re.findall(r"^!(.*)$", (PACKAGING / "Dockerfile.dockerignore").read_text(), re.M)
    assert [name for name in kept if not (TESTS.parent / name).exists()] == []
    assert {"fastsmtp", "pyproject.toml", "setup.py", "README.md", "LICENSE", "ci/constraints.txt"} <= set(kept)


def test_docker_ships_a_wheel() -> None:
    """One stage builds, with a compiler and the tested versions; the other has neither compiler nor index."""
    _, building, shipped = DOCKERFILE.split("\nFROM ")
    assert re.findall(r"PIP_CONSTRAINT=/src/(\S+)", building) == ["ci/constraints.txt"]
    assert re.findall(r"pip wheel .* --wheel-dir (\S+) '/src\[tls,cluster\]'", building) == ["/wheels"]
    assert re.findall(r"pip install .* --no-index --find-links (\S+) '(.*?)\[tls,cluster\]'", shipped) == [
        ("/wheels", NAME)
    ]
    assert ("gcc" in building, "gcc" in shipped) == (True, False)


def test_the_distribution_is_not_the_other_fastsmtp() -> None:
    """`fastsmtp` on the package index is another project's; package and command have that name."""
    project = (TESTS.parent / "pyproject.toml").read_text()
    assert re.findall(r'^name = "(.*?)"', project, re.M) == [NAME]
    assert set(re.findall(r'^ *"(fastsmtp[^"\[]*)\[', project, re.M)) == {NAME}  # extras that have others in them
    # the command, and pytest's plugin
    assert re.findall(r'^(\S+) = "fastsmtp\.', project, re.M) == ["fastsmtp", "fastsmtp"]


PAGES = [
    *sorted((TESTS.parent / "docs").glob("*.md")),
    *(TESTS.parent / name for name in ("README.md", "CONTRIBUTING.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nobody_is_told_to_install_the_other_one(page: Path) -> None:
    words = [word for line in re.findall(r"pip3? install ([^`\n]*)", page.read_text()) for word in line.split()]
    told = [word for word in words if word.strip("'\"").partition("[")[0] == "fastsmtp"]
    assert (told, page.name) == (["fastsmtp"] * (page.name == "troubleshooting.md"), page.name)


def test_compose_names_what_is_there() -> None:
    service = COMPOSE["services"]["fastsmtp"]
    build = service["build"]
    assert (PACKAGING / build["context"] / build["dockerfile"]).samefile(PACKAGING / "Dockerfile")
    [mount] = service["volumes"]
    assert (PACKAGING / mount.split(":")[0] / ".rr.yaml").exists()
    # What is published is published to this machine.
    assert [port.split(":")[0] for port in service["ports"]] == ["127.0.0.1", "127.0.0.1"]


def test_kubernetes_ports_and_probes_meet() -> None:
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert ports == {"smtp": 1025, "metrics": 2112, "status": 2114}
    assert {port["targetPort"] for port in SERVICE["spec"]["ports"]} <= set(ports)
    probes = [CONTAINER[probe]["httpGet"] for probe in ("livenessProbe", "readinessProbe")]
    assert probes == 2 * [{"path": "/health", "port": "status"}]
    assert SERVICE["spec"]["selector"].items() <= DEPLOYMENT["spec"]["template"]["metadata"]["labels"].items()


def test_images_that_are_built_here_are_not_pulled() -> None:
    assert (CONTAINER["image"], CONTAINER["imagePullPolicy"]) == ("fastsmtp:latest", "IfNotPresent")
    assert COMPOSE["services"]["fastsmtp"].keys() & {"image", "pull_policy"} == set()


def test_everybody_waits_longer_than_the_grace_period() -> None:
    waits = [
        int(unit()["Service"]["TimeoutStopSec"]),
        DEPLOYMENT["spec"]["template"]["spec"]["terminationGracePeriodSeconds"],
        int(COMPOSE["services"]["fastsmtp"]["stop_grace_period"].removesuffix("s")),
    ]
    assert [wait > GRACE_S for wait in waits] == [True, True, True]


@pytest.mark.parametrize("key", ["ExecStartPre", "ExecStart"])
def test_systemd_calls_what_there_is(tmp_path: Path, key: str) -> None:
    program, *arguments = shlex.split(unit()["Service"][key])
    assert Path(program).name == "fastsmtp"
    command = [sys.executable, "-m", "fastsmtp", *arguments, "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0
