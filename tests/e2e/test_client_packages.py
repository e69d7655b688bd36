"""The packages in clients/, each by the runner that its users have."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from npm import npm_package
from programs import programs
from servers import TESTS
from waits import wait_until

__all__ = ["programs"]
pytestmark = pytest.mark.one_python

ROOT = TESTS.parent
PHP, JS = ROOT / "clients" / "php", ROOT / "clients" / "js"
PLAYWRIGHT = "@playwright/test@1.56.1"
TYPESCRIPT = "typescript@5.9.3"
PATIENCE_S = 100
PHPUNIT = ["phpunit", "--do-not-cache-result", "--bootstrap", str(PHP / "tests" / "bootstrap.php")]


def run(command: list[str], environment: dict[str, str], directory: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def leaves_nothing(scratch: Path) -> None:
    wait_until(lambda: not list(scratch.glob("fastsmtp-run-*")))


def own_parts(text: str) -> str:
    """What a run shows, without what is another each time."""
    text = re.sub(r"http://127\.0\.0\.1:\d+/ui/ns/[0-9a-f]{8}/([a-z-]+)-[0-9a-f]{6}", r"PAGE/\1", text)
    return re.sub(r"\d\d:\d\d:\d\d\.\d{3}", "TIME", text)


def test_phpunit_package(scratch: Path, programs: dict[str, str], tmp_path: Path) -> None:
    status, shown, complaints = run([*PHPUNIT, str(PHP / "tests" / "InboxTest.php")], programs, tmp_path)
    assert (status, shown.splitlines()[-1], complaints) == (0, "OK (8 tests, 29 assertions)", ""), shown
    leaves_nothing(scratch)


def test_phpunit_package_shows_the_report_of_a_failure(scratch: Path, programs: dict[str, str], tmp_path: Path) -> None:
    command = [*PHPUNIT, str(PHP / "tests" / "failing" / "FailingSuite.php")]
    status, shown, complaints = run(command, programs, tmp_path)
    assert (status, shown.splitlines()[-1]) == (1, "Tests: 2, Assertions: 1, Failures: 2."), shown
    report = own_parts(shown).partition("1) FailingSuite::testMissing\n")[2].partition("\n\n")[0].splitlines()
    assert [report[0].partition(" after ")[0], *report[1:3], report[4], report[-1]] == [
        "wait failed",
        'x at least 1 subject "Welcome": got 0',
        "  one condition off:",
        'unclaimed: #1 "Welcome back" to x@example.com',
        "PAGE/testmissing",
    ]
    assert own_parts(complaints) == "".join(
        f'\nMails of the test that failed:\n#1 TIME shop@example.com -> {to}: "{subject}"\nPAGE/{page}\n'
        for to, subject, page in (
            ("x@example.com", "Welcome back", "testmissing"),
            ("y@example.com", "Welcome", "testother"),
        )
    )
    leaves_nothing(scratch)


def test_composer_file() -> None:
    document = json.loads((PHP / "composer.json").read_text())
    assert document["autoload"] == {"psr-4": {"Fastsmtp\\Testing\\": "src/"}}
    assert sorted(re.findall(r"\^(\d+)", document["require-dev"]["phpunit/phpunit"])) == ["10", "11", "12", "9"]


def test_node_package(scratch: Path, programs: dict[str, str]) -> None:
    files = sorted(map(str, (JS / "test").glob("*.test.mjs")))
    status, shown, _complaints = run(["node", "--test", "--test-reporter=tap", *files], programs, JS)
    counted = dict(re.findall(r"^# (tests|pass|fail) (\d+)$", shown, re.M))
    assert (status, counted) == (0, {"tests": "8", "pass": "8", "fail": "0"}), shown
    leaves_nothing(scratch)


def test_what_npm_would_publish() -> None:
    document = json.loads((JS / "package.json").read_text())
    named = {path for entry in document["exports"].values() for path in entry.values()}
    assert {path.removeprefix("./") for path in named} == set(document["files"])
    assert [name for name in document["files"] if not (JS / name).exists()] == []
    assert "dependencies" not in document


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The example for Playwright, with what it requires."""
    directory = tmp_path / "playwright"
    shutil.copytree(ROOT / "examples" / "playwright", directory)
    modules = directory / "node_modules"
    modules.mkdir()
    shutil.copytree(JS, modules / "fastsmtp-testing")
    installed = npm_package(PLAYWRIGHT) / "node_modules"
    for name in ("@playwright", "playwright", "playwright-core"):
        (modules / name).symlink_to(installed / name)
    return directory


def test_playwright_example(scratch: Path, programs: dict[str, str], project: Path) -> None:
    environment = {**programs, "CHROMIUM": shutil.which("chromium") or "", "CI": "1"}
    command = ["node", "node_modules/@playwright/test/cli.js", "test"]
    status, shown, complaints = run(command, environment, project)
    assert (status, "3 passed" in shown, "failed" in shown) == (0, True, False), shown + complaints
    leaves_nothing(scratch)


TYPES = """
import { mailServer, openInbox, type Mail, type TestContext } from 'fastsmtp-testing';
import { test, expect } from 'fastsmtp-testing/playwright';
import { addInboxCommands, inboxTasks } from 'fastsmtp-testing/cypress';

export async function used(t: TestContext): Promise<string[]> {
  const inbox = await openInbox(t, { keep: 'full' });
  const mail: Mail = await inbox.waitOne({ to: 'a@b.example' }, { within: '1s' });
  await inbox.exactly({ 'a@b.example': 1 });
  await inbox.expect([{ where: { subject: 'x' }, at_least: 1 }], { rest: 'forbid' });
  // @ts-expect-error
  await inbox.expect([], { rest: 'never' });
  // @ts-expect-error
  const subject: string = mail.subject;
  addInboxCommands({ Commands: { add: () => undefined } }, { task: () => inboxTasks() });
  return [(await mailServer()).url, ...(await mail.links()), subject];
}
test('x', async ({ inbox, mailServer: server, page }) => {
  await page.goto(server.url);
  expect((await inbox.mails()).length).toBe(0);
});
"""


def test_types(project: Path) -> None:
    (project / "used.mts").write_text(TYPES)
    options = {"noEmit": True, "strict": True, "skipLibCheck": True, "module": "nodenext", "target": "es2022"}
    (project / "tsconfig.json").write_text(
        json.dumps({"compilerOptions": {**options, "types": []}, "files": ["used.mts"]})
    )
    tsc = npm_package(TYPESCRIPT) / "node_modules" / "typescript" / "bin" / "tsc"
    assert run(["node", str(tsc)], dict(os.environ), project) == (0, "", "")
