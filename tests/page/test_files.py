"""The files of the page: what a browser gets, what they weigh, what is vendored, and their pure modules in node."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browsing import Mailbox, fetch
from playwright.sync_api import Page, expect
from servers import Server

from fastsmtp.faults.presets import PRESETS
from fastsmtp.inbox import page
from fastsmtp.inbox.namespaces import OUTCOMES
from fastsmtp.inbox.page.files import PageFiles
from fastsmtp.inbox.page.joining import join
from fastsmtp.inbox.page.site import HEADERS, first_list, first_shown
from fastsmtp.mime.defects import MEANINGS
from fastsmtp.smtp.violations import CLAUSES

pytestmark = pytest.mark.one_python

STATIC = Path(page.__file__).with_name("static")
MODULES = Path(__file__).with_name("js")


def test_all_of_it_is_small() -> None:
    assert PageFiles().compressed_size < 60_000


def test_what_is_vendored_is_what_was_published() -> None:
    vendor = STATIC / "vendor"
    described = json.loads((vendor / "vendor.json").read_text())
    assert list(described) == [path.name for path in vendor.glob("*.js")]
    for name, about in described.items():
        digest = base64.b64encode(hashlib.sha256((vendor / name).read_bytes()).digest()).decode()
        assert about["integrity"] == f"sha256-{digest}"
        assert all((vendor / licence).exists() for licence in about["licences"].values())


@pytest.mark.parametrize(
    ("address", "listed"),
    [
        ("/ui/ns/run-42", "run-42"),
        ("/ui/ns/run-42/", "run-42"),
        ("/ui/ns/run-42/w3", "run-42/w3"),
        ("/ui/ns/run-42/w3/m/0-1/headers", "run-42/w3"),
        ("/ui/ns/run-42/m/0-1", "run-42"),
        ("/ui/ns/m/m/0-1", "m"),
        ("/ui/ns/run-42/faults", "run-42"),
        ("/ui/ns/run-42/w3/faults", "run-42/w3"),
        ("/ui/ns/run-42?q=from:ann", ""),
        ("/ui/ns/RUN%3E", ""),
        ("/ui/ns/..", ""),
        ("/ui/ns", ""),
        ("/ui/nsx/y", ""),
        ("/ui/", ""),
    ],
)
def test_the_first_list_is_asked_for_with_the_document(address: str, listed: str) -> None:
    path, _, query = address.partition("?")
    wanted = f"/api/ns/{listed}/mails?outcome=any&limit=50" if listed else ""
    assert first_list(path, query) == wanted


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("/ui/ns/run-42", ""),
        ("/ui/ns/run-42/w3/m/0-1/headers", "mail.js"),
        ("/ui/ns/run-42/faults", "faults.js"),
        ("/ui/", ""),
    ],
)
def test_what_is_shown_beside_the_list_is_asked_for_with_the_document(address: str, shown: str) -> None:
    assert first_shown(address) == shown
    assert not shown or PageFiles().find(shown) is not None


def test_every_address_answers_with_the_document(server: Server) -> None:
    status, headers, octets = fetch(server.inbox, "/ui/")
    assert (status, headers["Cache-Control"]) == (200, "no-cache")
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " frame-src 'self'; frame-ancestors 'none'; form-action 'none'; base-uri 'none';"
        " require-trusted-types-for 'script'"
    )
    isolation = [headers[f"Cross-Origin-{kind}-Policy"] for kind in ("Opener", "Resource")]
    assert isolation == ["same-origin", "same-origin"]
    for path in ("/ui/ns/a", "/ui/ns/a/b/m/x/html?q=1", "/ui/ns/m/m/m"):
        assert fetch(server.inbox, path)[::2] == (200, octets)
    assert fetch(server.inbox, "/ui/", headers={"If-None-Match": headers["ETag"]})[::2] == (304, b"")
    for path in ("/", "/ui"):
        status, headers, _octets = fetch(server.inbox, path)
        assert (status, headers["Location"], headers.get("Set-Cookie")) == (302, "/ui/", None)


def test_files_are_kept_for_ever(server: Server) -> None:
    document = fetch(server.inbox, "/ui/")[2].decode()
    places = re.findall(r'(?:href|src)="(/ui/[0-9a-f]{16}/[^"]+)"', document)
    base = places[0].rpartition("/")[0]
    assert sorted(places) == [f"{base}/{name}" for name in ("icon.svg", "main.js", "page.css")]
    for place in (*places, f"{base}/mail.js", f"{base}/faults.js"):
        status, headers, octets = fetch(server.inbox, place)
        assert (status, headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
        packed = fetch(server.inbox, place, headers={"Accept-Encoding": "gzip"})
        assert (packed[1]["Content-Encoding"], gzip.decompress(packed[2])) == ("gzip", octets)
        assert fetch(server.inbox, place, headers={"If-None-Match": headers["ETag"]})[0] == 304
    for place in ("/ui/0123456789abcdef/main.js", f"{base}/../site.py", f"{base}/words.js", f"{places[0]}x"):
        assert fetch(server.inbox, place)[0] == 404


SOURCES = {
    "first.js": "import { one, both as two } from './words.js';\nimport * as all from './words.js';\n"
    "export const sum = one + two + all.one;\nexport const come = () => import('./later.js');\n",
    "words.js": "const own = 1; // the same name elsewhere is another\nexport const one = own;\n"
    "function b() {\n  return 4;\n}\nconst d = b();export{d as both,own};\n",
    "later.js": "import { one } from './words.js';\nimport { Shown } from './shown.js';\n"
    "const own = 7;\nexport async function far() {\n  return one + own + new Shown().size;\n}\n",
    "shown.js": "export class Shown {\n  size = 10;\n}\n",
}


def test_modules_are_joined(tmp_path: Path) -> None:
    """What the first imports is in its file; what is imported later is in another, and has the same of the first."""
    files = join(SOURCES, "first.js")
    assert list(files) == ["first.js", "later.js"]
    assert ["Shown" in files[name] for name in files] == [False, True]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    script = (
        "import { modules } from './first.js'; const { sum, come } = modules['first.js'];"
        " console.log(sum, await (await come()).far())"
    )
    command = ["node", "--input-type=module", "-e", script]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("6 18\n", "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("export default 1;\n", "words.js cannot be joined: export default 1;"),
        ("import './x.js';\n", "words.js cannot be joined: import './x.js';"),
        ("import { sum } from './first.js';\n", "first.js imports itself by way of words.js"),
    ],
)
def test_what_cannot_be_joined_is_said(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        join({**SOURCES, "words.js": text}, "first.js")


def _in_node(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run node beside the files of the page, which are modules there."""
    shutil.copytree(STATIC, tmp_path / "static")
    shutil.copytree(MODULES, tmp_path / "js")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return subprocess.run(["node", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60)


def test_pure_modules(tmp_path: Path) -> None:
    files = sorted(str(path.relative_to(MODULES.parent)) for path in MODULES.glob("*.test.mjs"))
    done = _in_node(tmp_path, "--test", *files)
    assert done.returncode == 0, done.stdout
    assert re.search(r"^# fail 0$", done.stdout, re.M), done.stdout


def test_every_code_is_explained(tmp_path: Path) -> None:
    script = "".join(f"import * as {name} from './static/{name}.js';" for name in ("explain", "outcomes", "plantext"))
    script += "console.log(JSON.stringify({...explain, ...outcomes, ...plantext}))"
    done = _in_node(tmp_path, "--input-type=module", "-e", script)
    explained: dict[str, Any] = json.loads(done.stdout)
    assert {code: section for code, (section, _text) in explained["VIOLATIONS"].items()} == {
        code: clause.section for code, clause in CLAUSES.items()
    }
    assert explained["DEFECTS"] == {code: f"{meaning[0].upper()}{meaning[1:]}." for code, meaning in MEANINGS.items()}
    assert sorted(explained["OUTCOMES"]) == sorted(OUTCOMES)
    described = json.loads(STATIC.parents[1].joinpath("api", "openapi.json").read_text())
    worker = described["components"]["schemas"]["MailWorker"]
    assert list(explained["ANSWERS"]) == worker["properties"]["answer"]["enum"]
    assert sorted(explained["PRESETS"]) == sorted(PRESETS)


RUN = {
    "pytest": ("test_mail.py", [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]),
    "PHPUnit": ("", ["phpunit", "--no-configuration"]),  # its file is called as the class in it
    "JavaScript": ("mail.test.mjs", ["node", "--test"]),
}


def test_an_assertion_runs_as_it_is_pasted(open_page: Callable[..., Page], mailbox: Mailbox, tmp_path: Path) -> None:
    """What the button copies, also where the mail has what is special in the language; for another mail it fails."""
    subject = 'It\'s "5 * 3" \\n $x Grüße ${y} %s?'
    mailbox.put(
        f"From: Ann <a@example.com>\r\nTo: o'neil@example.com\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n\r\nhello\r\n--o\r\n"
        "Content-Disposition: attachment; filename*=utf-8''%C3%9C%27b.csv\r\n\r\na\r\n--o--\r\n".encode()
    )
    page = open_page(mailbox.url, permissions=["clipboard-read", "clipboard-write"])
    page.locator(".row").get_by_role("link").click()
    page.get_by_role("tab", name="Test").click()
    ended: dict[str, tuple[int, int]] = {}
    for language in RUN:
        page.get_by_role("button", name=language).click()
        page.get_by_role("button", name="Copy as assertion").click()
        expect(page.get_by_role("status")).to_have_text(f"{language} test copied")
        code: str = page.evaluate("navigator.clipboard.readText()")
        right, wrong = (
            _run(language, code, tmp_path),
            _run(language, code.replace("a@example", "other@example"), tmp_path),
        )
        assert right.returncode == 0, right.stdout
        ended[language] = right.returncode, wrong.returncode
    assert ended == dict.fromkeys(RUN, (0, 1))


def _run(language: str, code: str, directory: Path) -> subprocess.CompletedProcess[str]:
    name, command = RUN[language]
    named = re.search(r"^final class (\w+)", code, re.M)
    path = directory / (name or f"{named[1] if named else ''}.php")
    path.write_text(code)
    return subprocess.run([*command, path.name], cwd=directory, capture_output=True, text=True, timeout=60)
