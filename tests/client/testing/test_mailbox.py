"""What a test asks of its inbox, and what it is told."""

from __future__ import annotations

import asyncio
import smtplib
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from fastsmtp.client.inbox import InboxError
from fastsmtp.client.testing.mailbox import NotAsExpected, OwnInbox, condition
from fastsmtp.client.testing.mailserver import MailServer, open_server

pytestmark = pytest.mark.one_python


@pytest.fixture(scope="module")
def mail_server() -> Iterator[MailServer]:
    """One for this module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FASTSMTP_URL", raising=False)
        with open_server("test-mailbox") as server:
            yield server


@pytest.fixture
def inbox(mail_server: MailServer) -> Iterator[OwnInbox]:
    """An inbox of this test's own."""
    with mail_server.open_inbox() as made:
        yield made


def make(subject: str = "Welcome", to: str = "b@example.com", **fields: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Shop <shop@example.com>", to, subject
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    message.set_content("Your code is 482913: https://x.test/go?a=1\n")
    return message


def send(inbox: OwnInbox, message: EmailMessage) -> None:
    with smtplib.SMTP(inbox.smtp.host, inbox.smtp.port) as client:
        client.send_message(message)


def test_a_mail_has_all_that_a_test_asks_for(inbox: OwnInbox) -> None:
    message = make(Cc="c@example.com", Reply_To="r@example.com", X_Batch="7")
    message["Bcc"] = "hidden@example.com"
    message.add_alternative("<a href='https://x.test/html'>Go</a>", subtype="html")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="t.pdf")
    send(inbox, message)
    [mail] = inbox.mails
    assert (mail.sender, mail.recipients) == (
        "shop@example.com",
        ["b@example.com", "hidden@example.com", "c@example.com"],
    )
    assert (mail.from_, mail.to, mail.cc, mail.bcc) == ("shop@example.com", ["b@example.com"], ["c@example.com"], [])
    assert (mail.reply_to, mail.subject, mail.headers["X-Batch"]) == (["r@example.com"], "Welcome", "7")
    assert (mail.text, mail.html) == (
        "Your code is 482913: https://x.test/go?a=1\r\n",
        "<a href='https://x.test/html'>Go</a>\r\n",
    )
    assert mail.attachments == [("t.pdf", "application/pdf", b"%PDF")]
    assert (mail.links, mail.codes) == (["https://x.test/html", "https://x.test/go?a=1"], ["482913"])
    assert (mail.message["Subject"], mail.username) == ("Welcome", None)
    assert mail.raw.startswith(b"From: Shop <shop@example.com>\r\n")
    assert repr(mail) == "<Mail 'Welcome' from shop@example.com to b@example.com, hidden@example.com, c@example.com>"


def test_waits_end_when_the_mails_come(inbox: OwnInbox) -> None:
    sender = threading.Thread(target=lambda: [send(inbox, make(str(number))) for number in range(3)])
    sender.start()
    assert [mail.subject for mail in inbox.wait(3, to="b@example.com")] == ["0", "1", "2"]
    sender.join()


def test_waits_look_behind_a_cursor(inbox: OwnInbox) -> None:
    send(inbox, make("old"))
    cursor = inbox.cursor
    send(inbox, make("new"))
    assert inbox.wait_one(after=cursor).subject == "new"
    assert inbox.expect({"exactly": 1}, after=cursor)["mails"] == 1


def test_conditions_are_keywords(inbox: OwnInbox) -> None:
    send(inbox, make("Welcome", X_Batch="7"))
    send(inbox, make("Farewell", X_Batch="8"))
    found = [inbox.wait_one(**where).subject for where in ({"header_x_batch": "7"}, {"where": {"header.X-Batch": "7"}})]
    assert found == ["Welcome"] * 2
    assert inbox.wait_one(from_="shop@example.com", subject="Fare*").subject == "Farewell"
    assert condition({"from_": "a", "not_": {"to": "b"}, "header_x_id": "1", "where": {"tag": "x"}}) == {
        "from": "a",
        "not": {"to": "b"},
        "header.x-id": "1",
        "tag": "x",
    }


def test_exactly_these_and_no_others(inbox: OwnInbox) -> None:
    assert inbox.exactly(0, within="100ms") == []
    send(inbox, make("1", "a@example.com"))
    send(inbox, make("2", "b@example.com"))
    assert [mail.subject for mail in inbox.exactly({"a@example.com": 1, "b@example.com": 1})] == ["1", "2"]
    assert [mail.subject for mail in inbox.exactly(1, to="b@example.com")] == ["2"]
    with pytest.raises(NotAsExpected, match=r"x to others: none not \(rcpt a@example\.com\): got 1") as caught:
        inbox.exactly({"a@example.com": 1})
    assert str(caught.value).endswith(f"\n{inbox.page}")


def test_one_too_many_is_told_at_once(inbox: OwnInbox) -> None:
    for number in range(2):
        send(inbox, make(str(number)))
    with pytest.raises(NotAsExpected, match="x exactly 1 any mail: got 2"):
        inbox.wait_one(within="60s")
    with pytest.raises(NotAsExpected, match=r"x none to b@example\.com: got 1"):
        inbox.none(within="60s", to="b@example.com")
    inbox.none(within="50ms", to="c@example.com")
    with pytest.raises(NotAsExpected, match="unclaimed: "):
        inbox.expect({"where": {"subject": "0"}}, rest="forbid")


def test_a_golden_mail(inbox: OwnInbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden = tmp_path / "golden" / "welcome.eml"
    send(inbox, make(Date="Mon, 03 Nov 2025 10:30:45 +0000"))
    with pytest.raises(NotAsExpected, match=r"there is no file .*/welcome.eml; FASTSMTP_GOLDEN=write writes it"):
        inbox.expect_like(golden)
    monkeypatch.setenv("FASTSMTP_GOLDEN", "write")
    assert inbox.expect_like(golden).raw == golden.read_bytes()
    monkeypatch.delenv("FASTSMTP_GOLDEN")
    inbox.clear()
    send(inbox, make(Date="Tue, 04 Nov 2025 10:30:45 +0000"))
    assert inbox.expect_like(golden, subject="Welcome").subject == "Welcome"
    golden.write_bytes(golden.read_bytes().replace(b"482913", b"{{*}}"))
    assert inbox.expect_like(str(golden)).subject == "Welcome"
    golden.write_bytes(golden.read_bytes().replace(b"x.test", b"y.test"))
    with pytest.raises(NotAsExpected) as caught:
        inbox.expect_like(golden)
    assert caught.value.report.splitlines()[-2:] == [
        "- Your code is {{*}}: https://y.test/go?a=1",
        "+ Your code is 482913: https://x.test/go?a=1",
    ]


def test_coroutines_have_the_same_verbs(inbox: OwnInbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTSMTP_GOLDEN", "write")

    async def go() -> list[object]:
        waiting = asyncio.create_task(inbox.aio.wait(1))
        await asyncio.to_thread(send, inbox, make())
        await inbox.aio.none(within="10ms", to="c@example.com")
        return [
            [mail.subject for mail in await waiting],
            (await inbox.aio.wait_one()).subject,
            (await inbox.aio.expect({"exactly": 1}))["mails"],
            len(await inbox.aio.exactly(1)),
            len(await inbox.aio.mails()),
            (await inbox.aio.expect_like(tmp_path / "x.eml")).subject,
        ]

    assert asyncio.run(go()) == [["Welcome"], "Welcome", 1, 1, 1, "Welcome"]


def test_more_mails_than_one_answer_has(inbox: OwnInbox) -> None:
    with smtplib.SMTP(inbox.smtp.host, inbox.smtp.port) as client:
        for number in range(1001):
            client.sendmail("a@example.com", ["b@example.com"], f"Subject: {number}\n\n")
    assert [mail.subject for mail in inbox.mails] == [str(number) for number in range(1001)]


def test_a_closed_inbox_is_gone_and_a_kept_one_is_not(mail_server: MailServer) -> None:
    for keep in (False, True):
        with mail_server.open_inbox("kept" if keep else "") as made:
            if keep:
                made.keep()
        if keep:
            assert made.mails == []
        else:
            with pytest.raises(InboxError, match="there is no namespace"):
                made.summary()
        made.close()


def test_the_server_fails_as_a_plan_says(inbox: OwnInbox) -> None:
    inbox.faults({"rules": [{"id": "later", "when": {"at": "data"}, "do": {"reply": "451 4.3.0 Later"}, "times": 1}]})
    with pytest.raises(smtplib.SMTPDataError, match="Later"):
        send(inbox, make())
    send(inbox, make())
    assert len(inbox.exactly(1)) == 1


def test_what_cannot_be_asked_is_refused(inbox: OwnInbox) -> None:
    with pytest.raises(InboxError, match="/where/colour"):
        inbox.wait(1, colour="red")
