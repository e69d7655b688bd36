"""The page as people use it, each behaviour once."""

from __future__ import annotations

import json
import os
import re
import signal
import smtplib
from collections.abc import Callable
from contextlib import closing
from email.message import EmailMessage
from pathlib import Path

import pytest
from browsing import Mailbox, fetch
from forwarding import Forwarder
from npm import npm_package
from playwright.sync_api import Page, expect
from procs import inbox_of
from seeding import seed
from servers import Serve, Server

pytestmark = pytest.mark.one_python

OpenPage = Callable[..., Page]
PHONE = {"width": 390, "height": 800}


def rows(page: Page) -> list[str]:
    """Subjects of the rows in the document."""
    return page.locator(".row .subject").all_text_contents()


def scroll(page: Page, place: int) -> None:
    """Scroll the list, and let the page see it."""
    page.locator(".rows").evaluate(
        "(element, place) => new Promise(done => { element.scrollTo(0, place);"
        " requestAnimationFrame(() => requestAnimationFrame(done)) })",
        place,
    )


def with_attachment() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Ann <a@example.com>", "b@example.com", "Invoice"
    message.set_content("Your code is 482913: https://x.test/pay\n")
    message.add_alternative("<p>Please <a href='https://x.test/pay'>pay</a>.</p>", subtype="html")
    message.add_attachment(b"a;b\n", maintype="text", subtype="csv", filename="Übersicht 2026.csv")
    return message


def test_mails_arrive_while_one_looks(open_page: OpenPage, mailbox: Mailbox, server: Server) -> None:
    page = open_page(mailbox.url)
    expect(page.get_by_text("No mail yet.")).to_be_visible()
    expect(page.locator(".stream")).to_contain_text("live")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/api/" in request.url else None)
    with mailbox.smtp() as client:
        client.send_message(with_attachment())
    row = page.locator(".row")
    expect(row.locator(".subject")).to_have_text("Invoice")
    expect(row.locator(".from")).to_have_text("Ann")
    expect(row.locator(".to")).to_have_text("b@example.com")
    expect(row.get_by_role("img", name="1 attachment")).to_be_visible()
    expect(page.locator(".space.current .space-name")).to_have_text(mailbox.name)
    expect(page.locator(".space.current .space-count")).to_contain_text("1 unread of")
    expect(page.locator(".figures")).to_contain_text("balanced")
    assert (page.url, asked) == (mailbox.url, [])  # all of it was told


def test_the_ledger_says_what_moved(open_page: OpenPage, mailbox: Mailbox, server: Server) -> None:
    """A header field files a mail elsewhere than its envelope, which names `default`."""
    message = with_attachment()
    message["X-Namespace"] = mailbox.name
    with smtplib.SMTP(server.host, server.port) as client:
        client.send_message(message)
    page = open_page(mailbox.url)
    expect(page.locator(".row .subject")).to_have_text(["Invoice"])
    moved = json.loads(fetch(server.inbox, "/api/ledger")[2])["sessions"]["moved"]
    assert moved > 0
    expect(page.locator(".figures div", has_text="Moved").locator("dd")).to_have_text(str(moved))
    expect(page.locator(".figures")).to_contain_text("balanced")


def test_a_scrolled_list_does_not_jump(open_page: OpenPage, mailbox: Mailbox) -> None:
    mailbox.fill(60)
    page = open_page(mailbox.url)
    expect(page.locator(".stream")).to_contain_text("live")
    scroll(page, 400)
    seen = page.locator(".row").nth(8)
    before = seen.bounding_box()
    mailbox.fill(2)
    pill = page.locator(".pill")
    expect(pill).to_have_text("2 new")
    assert seen.bounding_box() == before
    pill.click()
    expect(page.locator(".row .subject").first).to_have_text("mail 1")
    expect(page.locator(".row .subject").nth(2)).to_have_text("mail 59")
    expect(pill).to_have_count(0)


def test_the_document_has_two_hundred_rows_at_most(open_page: OpenPage, mailbox: Mailbox) -> None:
    mailbox.fill(260)
    page = open_page(mailbox.url)
    expect(page.locator(".row")).to_have_count(50)
    for wanted, place in (("mail 0", 1_000_000), ("mail 259", 0)):
        while wanted not in (shown := rows(page)):
            assert len(shown) <= 200
            scroll(page, place)
    assert rows(page) == [f"mail {number}" for number in range(259, 59, -1)]


def test_search(open_page: OpenPage, mailbox: Mailbox) -> None:
    mailbox.fill(5)
    mailbox.put(b"From: zoe@example.com\r\nTo: b@example.com\r\nSubject: Hello\r\n\r\nThe word is swordfish.\r\n")
    page = open_page(mailbox.url)
    page.get_by_label("Search mails").fill("from:zoe swordfish")
    expect(page.locator(".row .subject")).to_have_text(["Hello"])
    assert page.url == f"{mailbox.url}?q=from%3Azoe+swordfish"
    mailbox.put(b"From: zoe@example.com\r\nSubject: More\r\n\r\nAnother swordfish.\r\n")
    expect(page.locator(".row .subject")).to_have_text(["More", "Hello"])
    page.get_by_label("Search mails").fill("subject:nothing")
    expect(page.get_by_text("Nothing is found.")).to_be_visible()
    page.get_by_label("Search mails").fill("")
    expect(page.locator(".row")).to_have_count(7)
    page.locator(".row").first.get_by_role("link").click()
    expect(page.locator(".row.unread")).to_have_count(6)
    page.get_by_role("button", name="Unread", exact=True).click()
    expect(page.locator(".row")).to_have_count(6)


def test_ranges_are_selected_marked_and_deleted(open_page: OpenPage, mailbox: Mailbox) -> None:
    mailbox.fill(6)
    page = open_page(mailbox.url)
    boxes = page.locator(".row input")
    boxes.nth(1).click()
    boxes.nth(3).click(modifiers=["Shift"])
    expect(page.get_by_text("3 selected")).to_be_visible()
    page.get_by_role("button", name="Mark as read").click()
    expect(page.locator(".row.unread .subject")).to_have_text(["mail 5", "mail 1", "mail 0"])
    with page.expect_download() as saved:
        page.get_by_role("link", name="Export what is selected").click()
    assert saved.value.suggested_filename == f"{mailbox.name.replace('/', '_')}.eml.zip"
    page.get_by_role("button", name="Delete what is selected").click()
    expect(page.locator(".row .subject")).to_have_text(["mail 5", "mail 1", "mail 0"])
    assert mailbox.subjects == ["mail 5", "mail 1", "mail 0"]
    page.get_by_role("button", name="Delete all mails").click()
    page.get_by_role("button", name="Delete all", exact=True).click()
    expect(page.get_by_text("No mail yet.")).to_be_visible()
    assert mailbox.subjects == []


def test_every_view_of_a_mail(open_page: OpenPage, mailbox: Mailbox) -> None:
    with mailbox.smtp() as client:
        client.sendmail("bounce@example.com", ["b@example.com", "hidden@example.com"], with_attachment().as_bytes())
    page = open_page(mailbox.url)
    page.locator(".row").get_by_role("link").click()
    envelope = page.get_by_label("Envelope")
    expect(envelope).to_contain_text("bounce@example.com")
    expect(envelope).to_contain_text("hidden@example.com not in header")
    expect(envelope).to_contain_text("as client.test")
    expect(page.frame_locator("iframe").locator("p")).to_have_text("Please pay.")
    page.get_by_role("button", name="Phone").click()
    expect(page.locator("iframe")).to_have_css("width", "390px")
    views = {
        "Text": "Your code is 482913: https://x.test/pay",
        "HTML source": "<p>Please <a href='https://x.test/pay'>pay</a>.</p>",
        "Headers": "From\\s*Ann <a@example.com>",
        "Parts": "multipart/mixed.*text/plain.*text/html.*Übersicht 2026.csv",
        "SMTP": "MAIL FROM:<bounce@example.com>|mail FROM:<bounce@example.com>",
        "Notes": "lower-case-verb",
        "Worker": 'Accepted: every destination has it.*"event": "EMAIL_RECEIVED"',
        "Raw": "From: Ann <a@example.com>",
        "Links": "482913.*https://x.test/pay",
        "Test": "def test_invoice",
    }
    for name, text in views.items():
        page.get_by_role("tab", name=name, exact=name != "Notes").click()
        expect(page.get_by_role("tabpanel")).to_have_text(re.compile(text, re.DOTALL))
    page.get_by_role("tab", name="Headers").click()
    page.get_by_role("button", name="As they came").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("MIME-Version")
    attachment = page.get_by_label("1 attachment", exact=True).get_by_role("link")
    with page.expect_download() as saved:
        attachment.click()
    assert (saved.value.suggested_filename, Path(saved.value.path()).read_bytes()) == ("Übersicht 2026.csv", b"a;b\n")


def test_what_is_wrong_is_explained(open_page: OpenPage, mailbox: Mailbox) -> None:
    with mailbox.smtp() as client:
        client.docmd("MAIL FROM: <a@example.com>")
        client.docmd("RCPT TO:<b@example.com>")
        client.docmd("DATA")
        client.send("Subject: Broken\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nhello\r\n.\r\n")
        client.getreply()
    page = open_page(mailbox.url)
    expect(page.locator(".row").get_by_role("img", name=re.compile("bare-lf-in-body"))).to_be_visible()
    page.locator(".row").get_by_role("link").click()
    page.get_by_role("tab", name="Notes").click()
    notes = page.get_by_role("tabpanel")
    expect(notes).to_contain_text("There was a blank where none may be, such as behind FROM: or inside the brackets.")
    expect(notes).to_contain_text("RFC 5321 section 3.3")
    expect(notes).to_contain_text("A multipart without its closing delimiter.")


PLAN = """\
seed: 7
rules:
- {id: greylist, when: {at: rcpt}, do: {reply: "451 4.7.1 Later"}, times: 1}
- {id: slow, when: {at: data-end}, do: {delay: 1ms}}
- {id: never, when: {at: mail, from: z@example.com}, do: {close: rst}}
"""


def test_a_fault_plan_is_put_watched_and_ended(open_page: OpenPage, mailbox: Mailbox, server: Server) -> None:
    page = open_page(mailbox.url)
    expect(page.locator(".stream")).to_contain_text("live")
    page.get_by_role("button", name="Faults").click()
    panel = page.get_by_label("Faults", exact=True).locator("visible=true").last
    expect(panel).to_contain_text("No plan runs here.")
    assert page.url == f"{mailbox.url}/faults"
    plan = page.get_by_label("A plan, as YAML or JSON")
    page.get_by_role("button", name="bounce").click()
    expect(plan).to_have_value("rules:\n- preset: bounce\n")
    plan.fill("rules: [{when: {at: noon}, do: pass}]")
    page.get_by_role("button", name="Start the plan").click()
    expect(panel.get_by_role("alert")).to_contain_text("/rules/0/when/at: ")
    plan.fill(PLAN)
    page.get_by_role("button", name="Start the plan").click()
    rules = page.locator(".rule")
    expect(rules.locator("b")).to_have_text(["greylist", "slow", "never"])
    expect(page.locator(".space.current")).to_contain_text("faults")
    with mailbox.smtp() as client:
        assert client.docmd("MAIL FROM:<a@example.com>")[0] == 250
        assert client.docmd("RCPT TO:<b@example.com>")[0] == 451
        client.rset()
        client.sendmail("a@example.com", ["b@example.com"], with_attachment().as_bytes())
    expect(rules.nth(0)).to_contain_text("RCPT TO:<b@example.com>reply 451 4.7.1 Later")
    expect(rules.locator(".rule-head > :nth-child(2)")).to_have_text([" 1 acted", " 1 acted", "has not acted"])
    acted = sum(json.loads(fetch(server.inbox, "/api/ledger")[2])["faults"]["rules"].values())
    assert acted >= 2
    expect(page.locator(".figures div", has_text="Faults").locator("dd")).to_have_text(str(acted))
    page.locator(".row").get_by_role("link").click()
    assert "/m/" in page.url
    expect(page.locator("ul[aria-label=Faults]")).to_have_text("Fault slow: delay")
    expect(page.locator(".row").get_by_role("img", name="Fault: slow, delay")).to_be_visible()
    page.get_by_role("tab", name="SMTP").click()
    refused = page.locator(".dialogue tr", has=page.locator(".tag"))
    expect(refused.locator(".line")).to_have_text("451 4.7.1 Later greylist")
    page.go_back()
    page.get_by_role("button", name="End the plan").click()
    expect(panel).to_contain_text("No plan runs here.")
    expect(page.locator(".space.current .space-facts")).not_to_contain_text("faults")


def test_mails_that_were_not_accepted(open_page: OpenPage, serve: Serve) -> None:
    server = serve({"inbox": {"address": "127.0.0.1:0"}}, worker="crashes.php")
    mailbox = Mailbox(server, "default")
    with mailbox.smtp() as client:
        client.ehlo_or_helo_if_needed()
        client.docmd("MAIL FROM:<a@example.com>")
        client.docmd("RCPT TO:<b@example.com>")
        client.docmd("DATA")
        client.send("Subject: Lost\r\n\r\nhello\r\n.\r\n")
        assert client.getreply()[0] == 451
    page = open_page(mailbox.url)
    page.get_by_role("button", name="Not accepted").click()
    expect(page.locator(".row .subject")).to_have_text(["Lost"])
    page.locator(".row").get_by_role("link").click()
    expect(page.locator(".banner")).to_contain_text("Answered with 451: the worker died")


def test_the_first_list_is_asked_for_once(open_page: OpenPage, mailbox: Mailbox) -> None:
    mailbox.fill(2)
    asked: list[str] = []
    page = open_page("about:blank")
    page.on("request", lambda request: asked.append(request.url) if "/mails" in request.url else None)
    page.goto(mailbox.url)
    expect(page.locator(".row")).to_have_count(2)
    expect(page.locator(".stream")).to_contain_text("live")
    assert asked == [f"{mailbox.server.inbox}/api/ns/{mailbox.name}/mails?outcome=any&limit=50"]


def test_the_list_waits_for_nothing_else(open_page: OpenPage, mailbox: Mailbox) -> None:
    """The view of a mail is loaded beside it; where it is not to be had, the page says so, and shows it once it is."""
    mailbox.fill(40)
    page = open_page("about:blank")
    later = re.compile(r"/ui/[0-9a-f]{16}/(mail|faults)\.js$")
    page.route(later, lambda route: route.abort())
    page.goto(mailbox.url)
    expect(page.locator(".row")).to_have_count(40)
    page.locator(".row").first.get_by_role("link").click()
    expect(page.get_by_label("Mail", exact=True)).to_contain_text("This part of the page did not load.")
    page.unroute(later)
    page.get_by_role("button", name="Load the page again").click()
    expect(page.get_by_role("heading", level=2)).to_have_text("mail 39")


def test_what_a_worker_answered(open_page: OpenPage, serve: Serve) -> None:
    server = serve({"inbox": {"address": "127.0.0.1:0"}}, worker="obeys.php")
    hostile = "<img src=x onerror=alert(1)>\u202eevil"
    for subject in ("CONTINUE", "CLOSE", "error", hostile):
        with smtplib.SMTP(server.host, server.port) as client:
            client.sendmail("a@example.com", "b@example.com", f"Subject: {subject}\r\n\r\nhello".encode())
    page = open_page(f"{server.inbox}/ui/ns/default")
    shown = []
    for row in range(4):
        page.locator(".row").nth(row).get_by_role("link").click()
        page.get_by_role("tab", name="Worker").click()
        expect(page.locator(".answered p").last).to_contain_text(re.compile(r"Worker \d+, free after \d+ ms, had"))
        shown.append([page.locator(".answered b").inner_text(), *page.locator(".answered pre").all_inner_texts()])
    assert shown[:2] == [["UNKNOWN", "<img src=x onerror=alert(1)>U+202Eevil"], ["ERROR", "the database is gone"]]
    assert shown[2:] == [["CLOSE"], ["CONTINUE"]]
    assert page.locator(".answered img").count() == 0


def test_the_embedded_worker_answers_too(open_page: OpenPage, mailbox: Mailbox) -> None:
    with mailbox.smtp() as client:
        client.send_message(with_attachment())
    page = open_page(f"{mailbox.url}/m/{mailbox.call('GET', '/mails')['mails'][0]['uuid']}/worker")
    expect(page.locator(".answered b")).to_have_text("CONTINUE")
    # A mail that no worker had is like one of a store of before.
    page.goto(f"{mailbox.url}/m/{mailbox.put(b'Subject: sent')}/worker")
    expect(page.locator(".answered")).to_have_text("Accepted: every destination has it.")


def test_keys_alone(open_page: OpenPage, mailbox: Mailbox) -> None:
    mailbox.fill(4)
    page = open_page(mailbox.url)
    expect(page.locator(".row")).to_have_count(4)
    for key in "jjk":
        page.keyboard.press(key)
    expect(page.locator(".row.focused .subject")).to_have_text("mail 3")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2)).to_have_text("mail 2")
    page.keyboard.press("j")
    expect(page.get_by_role("heading", level=2)).to_have_text("mail 1")
    page.keyboard.press("4")
    expect(page.get_by_role("tab", name="Headers")).to_have_attribute("aria-selected", "true")
    page.get_by_role("tab", name="Headers").press("ArrowRight")
    expect(page.get_by_role("tab", name="Parts")).to_be_focused()
    page.keyboard.press("d")
    expect(page.locator(".row .subject")).to_have_text(["mail 3", "mail 2", "mail 0"])
    page.keyboard.press("Escape")
    expect(page.get_by_text("No mail is open.")).to_be_visible()
    page.keyboard.press("x")
    expect(page.get_by_text("1 selected")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".row.unread")).to_have_count(1)
    page.keyboard.press("r")
    expect(page.locator(".row.unread")).to_have_count(2)
    expect(page.get_by_label("Number of mails")).to_have_text("3, 2 unread")
    expect(page.locator(".space.current .space-count")).to_have_text("2 unread of 3")
    page.keyboard.press("/")
    page.keyboard.type("mail 2")
    expect(page.locator(".row .subject")).to_have_text(["mail 2"])
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("To the newest")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("n")
    expect(page.get_by_label("Find a namespace")).to_be_focused()


def test_an_address_leads_to_a_view(open_page: OpenPage, mailbox: Mailbox) -> None:
    mailbox.fill(3)
    uuid = mailbox.call("GET", "/mails")["mails"][1]["uuid"]
    page = open_page(f"{mailbox.url}/m/{uuid}/raw?q=mail")
    expect(page.get_by_role("tab", name="Raw")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tabpanel")).to_contain_text("Subject: mail 1")
    expect(page.get_by_label("Search mails")).to_have_value("mail")
    page.locator(".row").first.get_by_role("link").click()
    expect(page.get_by_role("heading", level=2)).to_have_text("mail 2")
    page.go_back()
    expect(page.get_by_role("heading", level=2)).to_have_text("mail 1")
    page.goto(f"{mailbox.url}/m/none")
    expect(page.get_by_label("Mail", exact=True)).to_contain_text("there is no mail none")


def test_the_root_leads_to_where_mail_came(open_page: OpenPage, mailbox: Mailbox, server: Server) -> None:
    mailbox.fill(1)
    page = open_page(server.inbox)
    expect(page.locator(".space.current")).to_have_count(1)
    page.get_by_label("Find a namespace").fill(mailbox.name)
    page.locator(".space").get_by_role("link").click()
    expect(page.locator(".row .subject")).to_have_text(["mail 0"])
    page.get_by_role("button", name=f"Delete namespace {mailbox.name}").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("No namespace has this in its name.")).to_be_visible()


def test_a_killed_inbox_loses_nothing(open_page: OpenPage, serve: Serve) -> None:
    server = serve({"inbox": {"address": "127.0.0.1:0"}}, worker=None)
    mailbox = Mailbox(server, "default")
    mailbox.fill(2)
    page = open_page(mailbox.url)
    expect(page.locator(".stream")).to_contain_text("live")
    os.kill(inbox_of(server.process.pid), signal.SIGKILL)
    mailbox.fill(3)  # the next process takes it
    expect(page.locator(".row .subject")).to_have_text(["mail 2", "mail 1", "mail 0", "mail 1", "mail 0"])
    expect(page.locator(".stream")).to_contain_text("live")


def test_a_restarted_server_loses_nothing(open_page: OpenPage, serve: Serve, tmp_path: Path) -> None:
    """With `inbox.path` mails are kept. What comes before the page has found the server again is shown, too."""
    settings = {"inbox": {"address": "127.0.0.1:0", "path": str(tmp_path / "mails")}}
    first = serve(settings, worker=None)
    with closing(Forwarder(first.inbox)) as way:
        Mailbox(first, "default").fill(2)
        page = open_page(f"{way.url}/ui/ns/default")
        expect(page.locator(".stream")).to_contain_text("live")
        page.locator(".row").last.get_by_role("link").click()
        expect(page.locator(".row.unread")).to_have_count(1)
        assert first.stop() == 0
        expect(page.locator(".stream")).to_contain_text("connection lost")
        page.locator(".row").first.get_by_role("link").click()
        expect(page.get_by_text("The server does not answer.")).to_be_visible()
        page.set_viewport_size(PHONE)  # the live figures are not in sight there
        page.get_by_role("button", name="Back to the list").click()
        expect(page.get_by_text("Connection lost: ")).to_be_visible()
        page.go_back()
        page.set_viewport_size({"width": 1280, "height": 720})
        second = serve(settings, worker=None)
        Mailbox(second, "default").fill(3)
        way.lead_to(second.inbox)
        expect(page.locator(".stream")).to_contain_text("live")
        expect(page.locator(".row .subject")).to_have_text(["mail 2", "mail 1", "mail 0", "mail 1", "mail 0"])
        expect(page.get_by_role("heading", level=2)).to_have_text("mail 1")  # the one that is open
        expect(page.locator(".row.unread")).to_have_count(3)
        expect(page.locator(".space.current .space-count")).to_have_text("3 unread of 5")
        expect(page.locator(".figures")).to_contain_text("balanced")
        Mailbox(second, "default").fill(1)
        expect(page.locator(".row")).to_have_count(6)
        page.close()


def test_a_hundred_thousand_mails(open_page: OpenPage, serve: Serve, tmp_path: Path) -> None:
    seed(tmp_path / "mails", 100_000)
    server = serve({"inbox": {"address": "127.0.0.1:0", "path": str(tmp_path / "mails")}}, worker=None)
    mailbox = Mailbox(server, "default")
    page = open_page(mailbox.url)
    expect(page.locator(".row")).to_have_count(50)
    expect(page.get_by_label("Number of mails")).to_have_text("100\u202f000, 100\u202f000 unread")
    while "mail 99900" not in rows(page):
        scroll(page, 1_000_000)
    mailbox.fill(1)
    expect(page.locator(".pill")).to_have_text("1 new")
    page.locator(".pill").click()
    expect(page.locator(".row .subject").first).to_have_text("mail 0")
    expect(page.locator(".space.current .space-count")).to_have_text("100\u202f001 unread of 100\u202f001")
    page.get_by_label("Search mails").fill("subject:31337")
    expect(page.locator(".row .subject")).to_have_text(["mail 31337"])
    page.locator(".row").get_by_role("link").click()
    expect(page.locator(".text")).to_have_text("hello")
    page.get_by_role("button", name="Delete this mail").click()
    expect(page.get_by_text("Nothing is found.")).to_be_visible()
    page.goto(f"{mailbox.url}/m/mail-0/text")
    expect(page.get_by_role("heading", level=2)).to_have_text("mail 0")
    expect(page.get_by_label("Number of mails")).to_have_text("100\u202f000, 99\u202f999 unread")


def test_a_browser_logs_in_with_a_token(open_page: OpenPage, serve: Serve) -> None:
    server = serve({"inbox": {"address": "127.0.0.1:0", "auth": {"token": "token-1"}}}, worker=None)
    url = f"{server.inbox}/ui/ns/default"
    status, headers, _octets = fetch(server.inbox, "/ui/")
    assert (status, headers["WWW-Authenticate"]) == (401, 'Basic realm="Login", charset="UTF-8"')
    page = open_page(url, http_credentials={"username": "anyone", "password": "token-1"})
    expect(page.locator(".stream")).to_contain_text("live")
    with smtplib.SMTP(server.host, server.port) as client:
        client.send_message(with_attachment())
    expect(page.locator(".row .subject")).to_have_text(["Invoice"])
    page.locator(".row").get_by_role("link").click()
    expect(page.frame_locator("iframe").locator("p")).to_have_text("Please pay.")


def test_a_phone_shows_one_pane(open_page: OpenPage, mailbox: Mailbox) -> None:
    mailbox.fill(2)
    page = open_page(mailbox.url, viewport=PHONE)
    expect(page.get_by_label("Mail", exact=True)).to_be_hidden()
    expect(page.get_by_label("Namespaces", exact=True).locator("ul")).to_be_hidden()
    page.locator(".row").first.get_by_role("link").click()
    expect(page.get_by_role("heading", level=2)).to_have_text("mail 1")
    expect(page.get_by_label("Mails", exact=True)).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    page.goto(f"{page.url}/assert")  # the view is the last of those that do not fit beside each other
    expect(page.get_by_role("tab", name="Test")).to_be_in_viewport(ratio=1)
    page.get_by_role("button", name="Back to the list").click()
    page.get_by_role("button", name="Namespaces").click()
    expect(page.get_by_label("Find a namespace")).to_be_visible()


BACKGROUNDS = {"light": "rgb(241, 239, 233)", "dark": "rgb(21, 21, 20)"}
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LOOK = """([place, colours, rules]) => axe.run(
  place, {resultTypes: ['violations'], runOnly: colours ? {type: 'rule', values: ['color-contrast']} : rules}
).then(found => found.violations.map(one => [one.id, one.nodes.map(node => node.target)]))"""


def test_accessibility(open_page: OpenPage, mailbox: Mailbox) -> None:
    """axe-core finds nothing, by the rules of WCAG 2.2 AA.

    What differs from view to view is looked at in each of them, and all around it once. In the dark the same elements
    have other colours, and nothing else is other: there it is the contrast that is looked at.
    """
    axe = (npm_package("axe-core@4.14.1") / "node_modules/axe-core/axe.min.js").read_text()
    mailbox.call("PUT", "/faults", b"rules: [{when: {at: rcpt}, do: {reply: 250 2.1.5 Fine}}]")
    with mailbox.smtp() as client:
        client.sendmail("bounce@example.com", ["b@example.com", "hidden@example.com"], with_attachment().as_bytes())
    mailbox.html("<img src='https://x.test/a'>")
    uuid = mailbox.call("GET", "/mails")["mails"][1]["uuid"]
    page = open_page(mailbox.url, color_scheme="light")
    page.evaluate(axe)
    found: dict[str, object] = {}

    def look(what: str, place: str) -> None:
        for scheme, background in BACKGROUNDS.items():
            page.emulate_media(color_scheme=scheme)
            expect(page.locator("body")).to_have_css("background-color", background)
            found[f"{what}, {scheme}"] = page.evaluate(LOOK, [place, scheme == "dark", AXE_RULES])

    expect(page.locator(".row")).to_have_count(2)
    page.locator(f"[data-uuid='{uuid}']").get_by_role("link").click()
    expect(page.locator(".attachments a")).to_have_attribute("href", re.compile("/parts/"))
    page.locator(".row input").first.check()
    look("everything", "html")
    for tab in ("HTML source", "Text", "Headers", "Parts", "SMTP", "Notes", "Worker", "Links", "Test"):
        page.get_by_role("tab", name=tab, exact=tab != "Notes").click()
        expect(page.get_by_text("Loading…")).to_have_count(0)
        look(tab, ".view")
    page.get_by_role("button", name="Select nothing").click()
    page.get_by_role("button", name="Faults").click()
    expect(page.locator(".rule")).to_have_count(1)
    look("list", ".list")
    look("faults", ".faults")
    page.keyboard.press("?")
    look("keys", "dialog")
    page.keyboard.press("Escape")
    page.set_viewport_size(PHONE)
    look("phone", "html")
    assert found == {what: [] for what in found}
