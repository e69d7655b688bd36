"""Mails that want more than to be looked at: each of the eight rules, in a browser, with a server that counts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browsing import Mailbox, Trap, fetch
from playwright.sync_api import Page, expect
from servers import Server

pytestmark = pytest.mark.one_python

OpenPage = Callable[..., Page]
PIXEL = (
    "Content-Type: image/gif\r\nContent-ID: <dot@x>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    "R0lGODlhAQABAAAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw=="
)
DONE = "<p>The end.</p><img src='cid:dot@x' alt=dot>"

# What mails try: to run something, to load something from elsewhere, to open a connection or leave the page.
TRICKS = ("runs", "loads", "connects")


def markup(trick: str, trap: Trap) -> str:
    """The HTML that tries to reach a server."""
    return Path(__file__).with_name("mails").joinpath(f"{trick}.html").read_text().replace("@trap@", trap.url)


def settle(page: Page, barrier: Trap) -> None:
    """Let whatever the page has begun come where it wants to: what is asked for later, elsewhere, has an answer."""
    other = page.context.new_page()
    other.goto(f"{barrier.url}/barrier")
    other.close()


def open_mail(open_page: OpenPage, mailbox: Mailbox, uuid: str, how: str) -> Page:
    """Look at a mail's HTML on the page, or at its own address, until its picture is there."""
    direct = f"{mailbox.server.inbox}/api/ns/{mailbox.name}/mails/{uuid}/html"
    page = open_page("about:blank")
    with page.expect_response(lambda response: "/ui/cid/" in response.url) as picture:
        page.goto(f"{mailbox.url}/m/{uuid}/html" if how == "framed" else direct)
    assert picture.value.status == 200
    place = page.frame_locator("iframe") if how == "framed" else page
    expect(place.get_by_text("The end.")).to_be_visible()
    expect(place.get_by_alt_text("dot")).to_have_js_property("naturalWidth", 1)
    if how == "framed":
        frame = page.locator("iframe")
        expect(frame).to_have_attribute("sandbox", "allow-popups allow-popups-to-escape-sandbox")
        expect(frame).to_have_attribute("referrerpolicy", "no-referrer")
    page.wait_for_load_state("networkidle" if how == "direct" else "load")
    return page


@pytest.fixture
def barrier() -> Iterator[Trap]:
    made = Trap()
    yield made
    made.close()


@pytest.mark.parametrize("how", ["framed", "direct"])
@pytest.mark.parametrize("trick", TRICKS)
def test_a_mail_reaches_nothing(
    open_page: OpenPage, mailbox: Mailbox, trap: Trap, barrier: Trap, trick: str, how: str
) -> None:
    uuid = mailbox.html(markup(trick, trap) + DONE, PIXEL)
    page = open_mail(open_page, mailbox, uuid, how)
    settle(page, barrier)
    assert (trap.connections, trap.paths) == (0, [])
    assert len(page.context.pages) == 1
    assert "/mails/" in page.url if how == "direct" else page.url.endswith("/html")
    assert page.title() in ("", f"{mailbox.name} · fastsmtp")


@pytest.mark.parametrize("trick", TRICKS)
def test_without_the_rules_it_would(open_page: OpenPage, trap: Trap, trick: str) -> None:
    """What the server above counts is there to be counted."""
    elsewhere = Trap({"/": markup(trick, trap)})
    try:
        page = open_page("about:blank", scripts="theirs")
        page.goto(elsewhere.url, wait_until="commit")
        while not trap.connections:
            page.wait_for_timeout(5)
        assert trap.connections > 0
    finally:
        elsewhere.close()


def test_remote_content_is_loaded_for_one_look(
    open_page: OpenPage, mailbox: Mailbox, trap: Trap, barrier: Trap
) -> None:
    uuid = mailbox.html(f'<img src="{trap.url}/picture"><script src="{trap.url}/script"></script>{DONE}', PIXEL)
    page = open_mail(open_page, mailbox, uuid, "framed")
    expect(page.get_by_text("Not loaded: ")).to_have_text("Not loaded: 127.0.0.1Load remote")
    with page.expect_response(f"{trap.url}/picture"):
        page.get_by_role("button", name="Load remote").click()
    expect(page.get_by_text("Loaded from")).to_have_text("Loaded from 127.0.0.1")
    settle(page, barrier)
    assert trap.paths == ["/picture"]
    page = open_mail(open_page, mailbox, uuid, "framed")
    settle(page, barrier)
    assert trap.paths == ["/picture"]


def test_links_tell_nothing_of_the_mail(open_page: OpenPage, mailbox: Mailbox, trap: Trap) -> None:
    uuid = mailbox.html(f'<a href="{trap.url}/target" target=_self rel=opener>Go there</a>{DONE}', PIXEL)
    page = open_mail(open_page, mailbox, uuid, "framed")
    with page.expect_popup() as opened:
        page.frame_locator("iframe").get_by_text("Go there").click()
    opened.value.wait_for_load_state()
    assert (trap.paths[0], opened.value.evaluate("[document.referrer, window.opener]")) == ("/target", ["", None])


def test_a_mail_cannot_call_the_api(open_page: OpenPage, mailbox: Mailbox, barrier: Trap) -> None:
    base = mailbox.server.inbox
    victim = Mailbox(mailbox.server, f"victim-of-{mailbox.name.replace('/', '-')}")
    victim.call("PUT", "")
    used_at = _used_at(victim)
    calls = "".join(
        f'<img src="{start}/api/ns/{victim.name}/{path}">' for start in ("", base) for path in ("mails", "cursor")
    )
    uuid = mailbox.html(calls + DONE, PIXEL)
    for how in ("framed", "direct"):
        settle(open_mail(open_page, mailbox, uuid, how), barrier)
    assert _used_at(victim) == used_at


def _used_at(mailbox: Mailbox) -> str:
    _status, _headers, octets = fetch(mailbox.server.inbox, f"/api/ns?prefix={mailbox.name}")
    return str(json.loads(octets)["namespaces"][0]["used_at"])


SVG = (
    "Content-Type: image/svg+xml\r\nContent-ID: <s@x>\r\n\r\n"
    "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
)
HTML = (
    "Content-Type: text/html\r\nContent-Disposition: inline; filename*=utf-8''..%2F..%2F%C3%9Cbersicht.html\r\n\r\n"
    "<script>alert(1)</script>"
)


def test_parts_that_could_run_are_saved(open_page: OpenPage, mailbox: Mailbox) -> None:
    uuid = mailbox.html(f"x{DONE}", PIXEL, SVG, HTML)
    page = open_page(mailbox.url)
    base = f"{mailbox.server.inbox}/api/ns/{mailbox.name}/mails/{uuid}"
    for path, name in (("/parts/3", "part-3.svg"), ("/parts/4", "Übersicht.html"), ("/raw", f"{uuid}.eml")):
        with page.expect_download() as saved:
            page.evaluate("url => { location.href = url }", base + path)
        assert saved.value.suggested_filename == name
        _status, headers, _octets = fetch(mailbox.server.inbox, f"/api/ns/{mailbox.name}/mails/{uuid}{path}")
        assert headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert headers["X-Content-Type-Options"] == "nosniff"
    _status, headers, _octets = fetch(mailbox.server.inbox, f"/api/ns/{mailbox.name}/mails/{uuid}/parts/2")
    assert headers["Content-Disposition"].startswith("inline; ")


def test_headers_of_a_mail(mailbox: Mailbox) -> None:
    uuid = mailbox.html("x")
    place = f"{mailbox.server.inbox}/ui/cid/{mailbox.name}/{uuid}/"
    _status, headers, _octets = fetch(mailbox.server.inbox, f"/api/ns/{mailbox.name}/mails/{uuid}/html")
    assert headers["Content-Security-Policy"] == (
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline';"
        f" img-src {place} data:; font-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    )
    assert (headers["X-DNS-Prefetch-Control"], headers["Referrer-Policy"]) == ("off", "no-referrer")


def test_the_page_is_closed(open_page: OpenPage, mailbox: Mailbox, trap: Trap) -> None:
    """Whatever might get into the document, it runs nothing, loads nothing and is in no frame of others."""
    page = open_page(mailbox.url)
    blocked = page.evaluate(
        """url => {
          const tried = [];
          const element = document.createElement('div');
          for (const sink of [() => { element.innerHTML = '<b>x</b>' }, () => { eval('1') },
                              () => { document.createElement('script').src = url }]) {
            try { sink(); tried.push('done') } catch (error) { tried.push(error.name) }
          }
          return tried;
        }""",
        trap.url,
    )
    assert blocked[0] == blocked[2] == "TypeError"
    refused = page.evaluate("url => fetch(url).then(() => 'done', error => error.name)", trap.url)
    assert (refused, trap.connections) == ("TypeError", 0)
    framing = Trap({"/": f"<iframe src='{mailbox.url}'></iframe>"})
    try:
        page.goto(framing.url)
        assert [frame.url for frame in page.frames[1:]] == ["chrome-error://chromewebdata/"]
    finally:
        framing.close()


def test_other_hosts_and_origins(open_page: OpenPage, mailbox: Mailbox) -> None:
    """DNS rebinding: the address of another site leads to this machine. And a page of another origin that calls us."""
    mailbox.fill(1)
    port = mailbox.server.inbox.rpartition(":")[2]
    page = open_page("about:blank")
    answer = page.goto(f"http://evil.test:{port}/ui/")
    assert answer is not None
    assert answer.status == 421
    api = f"{mailbox.server.inbox}/api/ns/{mailbox.name}"
    elsewhere = Trap()
    try:
        page.goto(elsewhere.url)
        got = page.evaluate(
            """async api => {
              const tried = (url, options) => fetch(url, options).then(answer => answer.type, error => error.name);
              const event = source => new Promise(done => {
                source.onopen = () => done('open');
                source.onerror = () => done('error');
              });
              return [
                await tried(api + '/mails'), await tried(api + '/mails?all=true', {method: 'DELETE'}),
                await tried(api + '/send', {method: 'POST', mode: 'no-cors', body: '{"text": "x"}'}),
                await event(new EventSource(api + '/events')),
                await event(new WebSocket(api.replace(/^http(.*)\\/api\\/.*/, 'ws$1/api/events'))),
              ];
            }""",
            api,
        )
    finally:
        elsewhere.close()
    assert got == ["TypeError", "TypeError", "opaque", "error", "error"]
    assert mailbox.subjects == ["mail 0"]


def test_texts_are_texts(open_page: OpenPage, mailbox: Mailbox, server: Server) -> None:
    """What a header field says is seen, also what is made not to be."""
    uuid = mailbox.put(
        'From: "Bank \u202emoc.knab" <a@evil.test>\r\nTo: b@example.com\r\n'
        "Subject: <img src=x onerror=alert(1)> lim\u200bited\u00ad \x07\r\n\r\n<b>text</b> https://x.test/a?b=1.\r\n".encode()
    )
    page = open_page(f"{mailbox.url}/m/{uuid}/text")
    row = page.locator(".row")
    shown = "<img src=x onerror=alert(1)> limU+200Bited"
    expect(row.locator(".subject")).to_contain_text(f"{shown}U+00AD")
    expect(row.locator(".from")).to_have_text("Bank U+202Emoc.knab")
    expect(page.get_by_role("heading", level=2)).to_contain_text(shown)
    expect(page.locator(".text")).to_have_text("<b>text</b> https://x.test/a?b=1.")
    expect(page.locator(".text a")).to_have_attribute("href", "https://x.test/a?b=1")
    assert page.locator(".subject .mark").nth(0).get_attribute("title") == "U+200B, zero width space"
    assert server.inbox in page.url
