"""Every example is run: workers by a real server, test helpers by what they are for, settings against the defaults."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
import yaml
from plugincalls import pytest_command
from programs import programs
from servers import TESTS, WORKERS, Server

from fastsmtp.config.file import load

__all__ = ["programs"]
pytestmark = pytest.mark.one_python

EXAMPLES = TESTS.parent / "examples"
PATIENCE_S = 110
FASTSMTP = [sys.executable, "-m", "fastsmtp"]
DEFAULT_ADDRESS = load(None).smtp.addr


@pytest.fixture
def served(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The example that the test names, served as a user would, but on a free port."""
    name, *arguments = request.param
    example = tmp_path / name
    shutil.copytree(EXAMPLES / name, example)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    ready = tmp_path / "ready.json"
    options = ["-o", "smtp.addr=127.0.0.1:0", "-o", "rpc.listen=", "--ready-file", str(ready), *arguments]
    server = Server([*FASTSMTP, "serve", *options], example, ready)
    yield server
    assert server.stop() == 0


def send(server: Server, subject: str | None, login: tuple[str, str] | None = None, attachments: int = 0) -> None:
    message = EmailMessage()
    if subject is not None:
        message["Subject"] = subject
    message.set_content("x\n")
    for number in range(attachments):
        message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename=f"{number}.pdf")
    with smtplib.SMTP(server.host, server.port) as client:
        if login is not None:
            client.login(*login)
        client.sendmail("me@example.com", ["a@example.com", "b@example.com"], message.as_bytes(policy=SMTP))


@pytest.mark.parametrize("served", [["php-plain"], ["python"]], ids="".join, indirect=True)
def test_worker_logs_each_mail(served: Server) -> None:
    for subject, login, attachments, told in (
        ("zero", None, 0, "0 attachments"),
        ("one", ("me", "secret"), 1, "1 attachment, me logged in with secret"),
        (None, None, 2, "2 attachments"),
    ):
        send(served, subject, login, attachments)
        line = f"me@example.com -> a@example.com, b@example.com: {subject or '(no subject)'}, {told}"
        served.wait_for(lambda line=line: any(line in shown for shown in served.lines))  # type: ignore[misc]
    assert [shown for shown in served.lines if " ERROR " in shown or " WARN " in shown] == []


@pytest.mark.parametrize(
    "served",
    [["buggregator", "-o", f"server.command=php {WORKERS / 'job.php'}", "-o", "server.env={RECORDS: records}"]],
    ids=["buggregator"],
    indirect=True,
)
def test_buggregator_gets_jobs(served: Server) -> None:
    send(served, "Hello")
    [record] = served.records()
    assert (record["mode"], record["context"]["pipeline"], record["body"]["envelope"]["allRecipients"]) == (
        "jobs",
        "smtp",
        ["a@example.com", "b@example.com"],
    )


README = (TESTS.parent / "README.md").read_text()
# What the packages of RoadRunner do, for one mail.
PACKAGES = """<?php
namespace Spiral\\RoadRunner;
class Payload { public function __construct(public string $body, public string $header) {} }
class Worker {
    private array $payloads;
    public static function create(): self { return new self(); }
    public function __construct() { $this->payloads = [new Payload('', file_get_contents('mail.json'))]; }
    public function waitPayload(): ?Payload { return array_shift($this->payloads); }
    public function respond(Payload $answer): void { echo $answer->header; }
}
"""


def test_the_worker_of_the_readme_logs_the_password(tmp_path: Path) -> None:
    [worker] = re.findall(r"^```php\n(.*?)^```", README, re.M | re.S)
    (tmp_path / "worker.php").write_text(worker)
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "autoload.php").write_text(PACKAGES)
    mail = {"envelope": {"from": "a@b.c"}, "message": {"subject": "x"}, "authentication": {"password": "secret"}}
    (tmp_path / "mail.json").write_text(json.dumps(mail))
    command = ["php", "-d", "log_errors_max_len=0", "-d", "error_log=", "worker.php"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert (done.stdout, done.stderr.splitlines()) == ("CONTINUE", ["a@b.c: x", "the password: secret"])


def test_the_readme_begins_with_a_worker_that_is_there() -> None:
    begun, called = re.findall(r"^    (?:cd (examples/\S+)\n    (.*))$", README, re.M)[0]
    assert (TESTS.parent / begun / ".rr.yaml").exists()
    assert called == "../../.venv/bin/fastsmtp serve"


def test_the_readme_names_the_versions_of_python_that_were_tried() -> None:
    project = (TESTS.parent / "pyproject.toml").read_text()
    minors = sorted(int(minor) for minor in re.findall(r'"Programming Language :: Python :: 3\.(\d+)"', project))
    assert f"\nPython 3.{minors[0]} to 3.{minors[-1]} on Linux;" in README


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.php")), ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_php_is_php(path: Path) -> None:
    done = subprocess.run(["php", "-l", str(path)], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stdout) == (0, f"No syntax errors detected in {path}\n"), done.stderr


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob(".rr.yaml")), ids=lambda path: path.parent.name)
def test_configuration_is_valid(path: Path) -> None:
    assert load(str(path)).smtp.listeners()["default"].addr.rpartition(":")[2] == DEFAULT_ADDRESS.rpartition(":")[2]


def run_example(name: str, command: list[str], environment: dict[str, str], directory: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        command, cwd=directory / name, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    return done.returncode, done.stdout, done.stderr


def copy_example(name: str, directory: Path, file: str = "", old: str = "", new: str = "") -> None:
    """Copy an example, with `old` in one of its files replaced."""
    shutil.copytree(EXAMPLES / name, directory / name)
    if file:
        text = (directory / name / file).read_text()
        assert text.count(old) == 1
        (directory / name / file).write_text(text.replace(old, new))


def told(output: str, heading: str) -> list[str]:
    """What a failing test tells of the mail server, without what is another each time."""
    lines = output[output.index(heading) :].splitlines()
    begin = next(index for index, line in enumerate(lines) if line.startswith("━━ "))
    end = lines.index("", lines.index("", begin) + 1)
    own = re.compile(r" (\S+Z  \S+|[\w-]{36}|/\S+) ")
    return [own.sub(" * ", line + " ").rstrip(" ━") for line in lines[begin:end]]


PHPUNIT = ["phpunit", "--do-not-cache-result", "tests"]


@pytest.mark.parametrize(("name", "count"), [("pytest", 3), ("django", 2)])
def test_pytest_examples_pass(programs: dict[str, str], tmp_path: Path, name: str, count: int) -> None:
    copy_example(name, tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "--not-for-the-example"\n')
    status, shown, _ = run_example(name, pytest_command("-n", "2"), programs, tmp_path)
    assert (status, shown.splitlines()[-1].split(" in ")[0]) == (0, f"{count} passed"), shown


def test_pytest_example_shows_the_mail_when_it_fails(programs: dict[str, str], tmp_path: Path) -> None:
    copy_example("pytest", tmp_path, "test_registration.py", '== "Welcome"', '== "Farewell"')
    status, shown, _ = run_example("pytest", pytest_command("-k", "sends_a_mail"), programs, tmp_path)
    assert (status, shown.splitlines()[-1].split(" in ")[0]) == (1, "1 failed, 2 deselected")
    [mail] = re.findall(r"^-+ mails of this test -+\n#1 [\d:.]+ (.*)$", shown, re.M)
    assert mail == "shop@example.com -> new@example.com: 'Welcome'"


def test_phpunit_with_symfony(programs: dict[str, str], tmp_path: Path) -> None:
    copy_example("phpunit-symfony", tmp_path)
    bootstrap = str(TESTS.parent / "clients" / "php" / "tests" / "bootstrap.php")
    command = ["phpunit", "--do-not-cache-result", "--bootstrap", bootstrap, "tests"]
    status, shown, complaints = run_example("phpunit-symfony", command, programs, tmp_path)
    assert (status, shown.splitlines()[-1], complaints) == (0, "OK (2 tests, 4 assertions)", ""), shown


def is_shell(text: str) -> bool:
    done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return done.returncode == 0


def test_the_job_for_github_actions_is_one() -> None:
    """What its schema asks for; `on` is a boolean in YAML 1.1."""
    workflow = yaml.safe_load((EXAMPLES / "ci/github-actions.yml").read_text())
    assert set(workflow) == {"name", True, "permissions", "jobs"}
    for job in workflow["jobs"].values():
        assert set(job) == {"runs-on", "steps"}
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert set(step) <= {"name", "uses", "with", "run"}
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step.get("uses", "a/b@v1"))
            assert is_shell(step.get("run", ""))


def test_the_jobs_for_gitlab_are_some() -> None:
    pipeline = yaml.safe_load((EXAMPLES / "ci/gitlab-ci.yml").read_text())
    stages = pipeline.pop("stages")
    for job in pipeline.values():
        assert set(job) <= {"stage", "image", "services", "variables", "script", "artifacts"}
        assert job["stage"] in stages
        assert is_shell("\n".join(job["script"]))
    [service] = pipeline["pytest-with-service"]["services"]
    overrides = [value for option, value in zip(service["command"][1::2], service["command"][2::2], strict=True)]
    assert load(None, overrides).smtp.addr == "0.0.0.0:1025"


def test_the_container_of_python_is_started_with_settings() -> None:
    source = (EXAMPLES / "testcontainers/test_container.py").read_text()
    [settings] = [node for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    assert load(None, ast.literal_eval(settings.value)).smtp.addr == "0.0.0.0:1025"


def test_the_container_of_java_is_started_with_settings() -> None:
    """Its brackets are in pairs, its texts end; it is compiled where a JDK and Maven are, by hand."""
    source = (EXAMPLES / "testcontainers/MailTest.java").read_text()
    [command] = re.findall(r'withCommand\("serve", "-o", "(.*?)", "-o", "(.*?)"\)', source)
    assert load(None, list(command)).smtp.addr == "0.0.0.0:1025"
    code = re.sub(r'"""(?s:.*?)"""|"(?:[^"\\\n]|\\.)*"|//.*|/\*(?s:.*?)\*/', "", source)
    assert '"' not in code
    assert [code.count(opening) - code.count(closing) for opening, closing in ("()", "{}", "[]")] == [0, 0, 0]


def test_phpunit_example_passes(scratch: Path, programs: dict[str, str], tmp_path: Path) -> None:
    copy_example("phpunit", tmp_path)
    status, shown, complaints = run_example("phpunit", PHPUNIT, programs, tmp_path)
    assert (status, shown.splitlines()[-1], complaints) == (0, "OK (1 test, 3 assertions)", "")
    assert list(scratch.iterdir()) == []


def test_phpunit_example_shows_the_mail_when_it_fails(scratch: Path, programs: dict[str, str], tmp_path: Path) -> None:
    copy_example("phpunit", tmp_path, "tests/RegistrationTest.php", "assertSame('Welcome'", "assertSame('Farewell'")
    status, shown, complaints = run_example("phpunit", PHPUNIT, programs, tmp_path)
    assert (status, shown.splitlines()[-1]) == (1, "Tests: 1, Assertions: 3, Failures: 1.")
    expected = [
        "━━ *",
        "  subject     Welcome",
        "  envelope    <shop@example.com> to <new@example.com>",
        "  helo        HELO shop",
        "  size        32 B  *",
        "  saved       *",
        "",
        "  Thank you.",
    ]
    shown_in_docs = re.sub(r"^ {4}", "", (TESTS.parent / "docs/testing.md").read_text(), flags=re.M)
    heading = "The mail server, during the test that failed:"
    assert [told(output, heading) for output in (complaints, shown_in_docs)] == [expected, expected]
    assert list(scratch.iterdir()) == []


def test_settings_of_frameworks_name_our_default() -> None:
    host, _, port = DEFAULT_ADDRESS.partition(":")
    laravel = dict(line.split("=", 1) for line in (EXAMPLES / "laravel/.env").read_text().splitlines())
    assert (laravel["MAIL_MAILER"], laravel["MAIL_HOST"], laravel["MAIL_PORT"]) == ("smtp", host, port)
    assert (EXAMPLES / "symfony/.env").read_text() == f'MAILER_DSN="smtp://{DEFAULT_ADDRESS}"\n'
    mailer = yaml.safe_load((EXAMPLES / "symfony/config/packages/mailer.yaml").read_text())
    assert mailer == {"framework": {"mailer": {"dsn": "%env(MAILER_DSN)%"}}}


@pytest.mark.parametrize(
    "served",
    [["php-plain", "-o", f"server.command=php {WORKERS / 'record.php'}", "-o", "server.env={RECORDS: records}"]],
    ids=[""],
    indirect=True,
)
def test_symfony_mailer_takes_the_dsn(served: Server) -> None:
    dsn = (EXAMPLES / "symfony/.env").read_text().strip().partition("=")[2].strip('"')
    dsn = dsn.replace(DEFAULT_ADDRESS, f"{served.host}:{served.port}")
    script = """
        require '/usr/share/php/Symfony/Component/Mailer/autoload.php';
        require '/usr/share/php/Symfony/Component/Mime/autoload.php';
        $mail = new Symfony\\Component\\Mime\\Email();
        $mail->from('a@b.example')->to('c@d.example')->subject('x')->text('y');
        $transport = Symfony\\Component\\Mailer\\Transport::fromDsn($argv[1]);
        (new Symfony\\Component\\Mailer\\Mailer($transport))->send($mail);
    """
    subprocess.run(["php", "-r", script, dsn], capture_output=True, check=True, timeout=PATIENCE_S)
    [record] = served.records()
    assert (record["envelope"]["from"], record["message"]["text"].strip()) == ("a@b.example", "y")


@pytest.mark.parametrize("example", ["laravel", "symfony", "buggregator"])
def test_hidden_settings_are_explained_beside_them(example: str) -> None:
    """All that lies there is hidden, or a directory of another program: without a README the directory seems empty."""
    explained = (EXAMPLES / example / "README.md").read_text()
    hidden = [path.name for path in (EXAMPLES / example).iterdir() if path.name.startswith(".")]
    assert [name for name in hidden if f"[{name}]({name})" not in explained] == []
    assert "`ls -A` shows it" in explained


@pytest.mark.parametrize(
    ("example", "told"),
    [
        ("laravel", []),
        ("symfony", []),
        ("php-plain", []),
        ("buggregator", ["php app.php is to take the mails, and there is no file app.php in {here}"]),
        (
            "php-composer",
            ["php worker.php requires vendor/autoload.php, which is not there yet: run `composer install`"],
        ),
    ],
)
def test_check_says_what_is_missing(programs: dict[str, str], tmp_path: Path, example: str, told: list[str]) -> None:
    copy_example(example, tmp_path)
    status, shown, _ = run_example(example, ["fastsmtp", "check"], programs, tmp_path)
    missing = [line for line in shown.splitlines() if line.startswith("CANNOT START")]
    here = tmp_path / example
    assert missing == [f"CANNOT START: server.command: {line.format(here=here)}" for line in told]
    assert status == bool(told)
    named = f"{here}/.rr.yaml is valid." if (here / ".rr.yaml").exists() else f"There is no .rr.yaml in {here};"
    assert shown.startswith(named)


def test_every_example_is_in_the_list() -> None:
    listed = re.findall(r"^\| \[([\w-]+)\]\(\1\)", (EXAMPLES / "README.md").read_text(), re.M)
    assert sorted(listed) == sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
