"""The SMTP client without sockets: what is said to which reply, and what comes of each mail."""

from __future__ import annotations

import base64
import hmac

import pytest

from fastsmtp.client.auth import Account
from fastsmtp.client.dialogue import Dialogue, Script
from fastsmtp.client.mail import Content, Failure, Mail, reply_text

EHLO = b"250-peer\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-SIZE 1000\r\n250-STARTTLS\r\n250 AUTH LOGIN CRAM-MD5\r\n"
OCTETS = b"X: 1\r\nSubject: x\r\n\r\n.dot\r\n"
STUFFED = b"X: 1\r\nSubject: x\r\n\r\n..dot\r\n.\r\n"
CONTENT = Content(b"Subject: x\r\n\r\n.dot\r\n", b"Subject: x\r\n\r\n..dot\r\n", False)
ENVELOPE = b"MAIL FROM:<a@b> SIZE=26\r\nRCPT TO:<c@d>\r\n"
NO = b"550 5.1.1 no\r\n"


def mail(number: int = 1) -> Mail:
    return Mail(f"m{number}", b"X: %d\r\n" % number, CONTENT)


def script(*, recipients: int = 1, pipelining: bool = True, chunking: bool = False, **more: object) -> Script:
    paths = ["c@d", "e@f", "g@h"][:recipients]
    return Script("me", "a@b", paths, pipelining, chunking)._replace(**more)


def opened(wish: Script, offers: bytes = EHLO) -> Dialogue:
    dialogue = Dialogue(wish)
    assert said(dialogue, b"220 hi\r\n") == b"EHLO me\r\n"
    assert said(dialogue, offers) == b""
    assert dialogue.room
    return dialogue


def said(dialogue: Dialogue, replies: bytes) -> bytes:
    """What the client answers to `replies`."""
    dialogue.receive(replies)
    return b"".join(dialogue.take_octets())


def sent(dialogue: Dialogue, number: int = 1, *, last: bool = False) -> bytes:
    """What the client says to begin a mail."""
    dialogue.send(mail(number), last=last)
    return b"".join(dialogue.take_octets())


def outcomes(dialogue: Dialogue) -> tuple[list[str], list[tuple[str | None, str]], list[str]]:
    """Mails answered, failures by mail and kind, and mails unsent."""
    return (
        [answered.ident for answered in dialogue.answered],
        [(failed and failed.ident, failure.kind) for failed, failure in dialogue.failures],
        [unsent.ident for unsent in dialogue.unsent],
    )


# --- without a fault


@pytest.mark.parametrize(
    ("offers", "mail_parameters", "rcpt_parameters"),
    [(b"250-peer\r\n250 DSN\r\n", b" RET=HDRS ENVID=id-1", b" NOTIFY=NEVER"), (b"250 peer\r\n", b"", b"")],
    ids=["offered", "not offered"],
)
def test_delivery_status_notifications(offers: bytes, mail_parameters: bytes, rcpt_parameters: bytes) -> None:
    wish = script(recipients=2, notify="NEVER", dsn_return="HDRS", envelope_id="id-1")
    dialogue = opened(wish, offers)
    assert sent(dialogue) == b"MAIL FROM:<a@b>" + mail_parameters + b"\r\n"
    assert said(dialogue, b"250 ok\r\n") == b"RCPT TO:<c@d>" + rcpt_parameters + b"\r\n"
    assert said(dialogue, b"250 ok\r\n") == b"RCPT TO:<e@f>" + rcpt_parameters + b"\r\n"


def test_a_mail_costs_one_round_trip_with_pipelining() -> None:
    dialogue = opened(script())
    assert sent(dialogue) == ENVELOPE + b"DATA\r\n"
    assert not dialogue.room
    dialogue.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    assert dialogue.data_written
    assert dialogue.room
    dialogue.send(mail(2))
    assert b"".join(dialogue.take_octets()) == STUFFED + ENVELOPE + b"DATA\r\n"
    assert not dialogue.room
    answer = said(dialogue, b"250 kept\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    assert answer == STUFFED.replace(b"X: 1", b"X: 2")
    assert said(dialogue, b"250 kept\r\n") == b""
    assert outcomes(dialogue) == (["m1", "m2"], [], [])


@pytest.mark.parametrize("cut", range(1, 30))
def test_replies_may_come_in_any_pieces(cut: int) -> None:
    dialogue = opened(script())
    sent(dialogue)
    replies = b"250-a\r\n250 ok\r\n250 ok\r\n354 go\r\n250 kept\r\n"
    assert said(dialogue, replies[:cut]) + said(dialogue, replies[cut:]) == STUFFED
    assert outcomes(dialogue) == (["m1"], [], [])


def test_step_by_step_without_pipelining() -> None:
    dialogue = opened(script(recipients=2, pipelining=False))
    assert sent(dialogue, last=True) == b"MAIL FROM:<a@b> SIZE=26\r\n"
    assert said(dialogue, b"250 ok\r\n") == b"RCPT TO:<c@d>\r\n"
    assert said(dialogue, b"250 ok\r\n") == b"RCPT TO:<e@f>\r\n"
    assert said(dialogue, b"250 ok\r\n") == b"DATA\r\n"
    assert said(dialogue, b"354 go\r\n") == STUFFED
    assert not dialogue.room
    assert said(dialogue, b"250 kept\r\n") == b"QUIT\r\n"
    assert not dialogue.done
    assert said(dialogue, b"221 bye\r\n") == b""
    assert (dialogue.done, outcomes(dialogue)) == (True, (["m1"], [], []))


@pytest.mark.parametrize("pipelining", [True, False])
def test_chunking(pipelining: bool) -> None:
    dialogue = opened(script(pipelining=pipelining, chunking=True))
    everything = sent(dialogue, last=pipelining)
    everything += said(dialogue, b"250 ok\r\n") + said(dialogue, b"250 ok\r\n")
    assert everything == ENVELOPE + b"BDAT 26 LAST\r\n" + OCTETS + (b"QUIT\r\n" if pipelining else b"")
    dialogue.receive(b"250 kept\r\n")
    assert outcomes(dialogue) == (["m1"], [], [])


def test_what_is_not_offered_is_left_out() -> None:
    dialogue = opened(script(chunking=True), b"250 peer\r\n")
    assert sent(dialogue) == b"MAIL FROM:<a@b>\r\n"
    assert said(dialogue, b"250 ok\r\n") == b"RCPT TO:<c@d>\r\n"
    assert said(dialogue, b"250 ok\r\n") == b"DATA\r\n"


def test_parameters_where_mail_and_server_have_them() -> None:
    dialogue = opened(script(sender="ü@b"), b"250-peer\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
    dialogue.send(Mail("m", b"", CONTENT._replace(eight_bit=True)))
    assert dialogue.take_octets() == ["MAIL FROM:<ü@b> BODY=8BITMIME SMTPUTF8\r\n".encode()]


def test_old_servers_get_helo() -> None:
    dialogue = Dialogue(script())
    assert said(dialogue, b"220 hi\r\n") == b"EHLO me\r\n"
    assert said(dialogue, b"502 what?\r\n") == b"HELO me\r\n"
    assert said(dialogue, b"250 peer\r\n") == b""
    assert dialogue.room


def test_starttls_begins_anew() -> None:
    dialogue = Dialogue(script(starttls=True))
    said(dialogue, b"220 hi\r\n")
    assert said(dialogue, EHLO) == b"STARTTLS\r\n"
    assert said(dialogue, b"220 go\r\n") == b""
    assert dialogue.wants_tls
    dialogue.tls_started()
    assert dialogue.take_octets() == [b"EHLO me\r\n"]
    assert said(dialogue, EHLO) == b""
    assert (dialogue.room, dialogue.wants_tls) == (True, False)


def test_login() -> None:
    dialogue = Dialogue(script(account=Account("me", "secret"), mechanism="CRAM-MD5"))
    said(dialogue, b"220 hi\r\n")
    assert said(dialogue, EHLO) == b"AUTH CRAM-MD5\r\n"
    digest = hmac.new(b"secret", b"<1>", "md5").hexdigest()
    assert said(dialogue, b"334 PDE+\r\n") == base64.b64encode(f"me {digest}".encode()) + b"\r\n"
    assert not dialogue.ready
    said(dialogue, b"235 ok\r\n")
    assert dialogue.ready


def test_login_with_an_initial_response() -> None:
    dialogue = Dialogue(script(account=Account("me", "secret"), mechanism="PLAIN"))
    said(dialogue, b"220 hi\r\n")
    assert said(dialogue, EHLO) == b"AUTH PLAIN AG1lAHNlY3JldA==\r\n"


# --- refusals


@pytest.mark.parametrize(
    ("replies", "kind", "answer"),
    [
        (b"451 no\r\n503 no\r\n503 no\r\n", "MAIL: 451", b""),
        (b"451 no\r\n503 no\r\n354 go\r\n", "MAIL: 451", b".\r\n"),
        (b"250 ok\r\n" + NO + b"554 no\r\n", "RCPT: 550", b"RSET\r\n"),
        (b"250 ok\r\n" + NO + b"354 go\r\n", "RCPT: 550", b".\r\n"),
        (b"250 ok\r\n250 ok\r\n451 no\r\n", "DATA: 451", b"RSET\r\n"),
    ],
)
def test_refusals_with_pipelining(replies: bytes, kind: str, answer: bytes) -> None:
    dialogue = opened(script())
    sent(dialogue)
    assert said(dialogue, replies) == answer
    if answer == b".\r\n":
        said(dialogue, b"554 no\r\n")
    assert outcomes(dialogue) == ([], [("m1", kind)], [])
    assert dialogue.room
    assert sent(dialogue, 2) == ENVELOPE + b"DATA\r\n"
    reset = b"250 reset\r\n" if answer == b"RSET\r\n" else b""
    said(dialogue, reset + b"250 ok\r\n250 ok\r\n354 go\r\n250 kept\r\n")
    assert outcomes(dialogue)[0] == ["m2"]


@pytest.mark.parametrize(
    ("replies", "kind", "answer"),
    [
        ([b"550 no\r\n"], "MAIL: 550", b""),
        ([b"250 ok\r\n", b"550 no\r\n"], "RCPT: 550", b"RSET\r\n"),
        ([b"250 ok\r\n", b"250 ok\r\n", b"452 no\r\n"], "DATA: 452", b"RSET\r\n"),
        ([b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"451 no\r\n"], "end of data: 451", b""),
    ],
)
def test_refusals_without_pipelining(replies: list[bytes], kind: str, answer: bytes) -> None:
    dialogue = opened(script(pipelining=False))
    sent(dialogue)
    assert [said(dialogue, reply) for reply in replies][-1] == answer
    assert outcomes(dialogue) == ([], [("m1", kind)], [])
    assert dialogue.room is (answer == b"")
    said(dialogue, b"250 reset\r\n" if answer else b"")
    assert dialogue.room


def test_a_refused_chunk_is_reset() -> None:
    dialogue = opened(script(chunking=True))
    sent(dialogue)
    assert said(dialogue, b"250 ok\r\n250 ok\r\n552 too large\r\n") == b"RSET\r\n"
    assert outcomes(dialogue) == ([], [("m1", "BDAT: 552")], [])


def test_refused_after_the_next_envelope_went_ahead() -> None:
    dialogue = opened(script())
    sent(dialogue)
    dialogue.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    sent(dialogue, 2)
    said(dialogue, b"451 no\r\n250 ok\r\n250 ok\r\n354 go\r\n250 kept\r\n")
    assert outcomes(dialogue) == (["m2"], [("m1", "end of data: 451")], [])


@pytest.mark.parametrize("pipelining", [True, False])
def test_some_recipients_are_refused(pipelining: bool) -> None:
    dialogue = opened(script(recipients=3, pipelining=pipelining))
    sent(dialogue)
    for reply in (b"250 ok\r\n", b"250 ok\r\n", NO, b"452 no\r\n", b"354 go\r\n", b"250 kept\r\n"):
        dialogue.receive(reply)
    assert outcomes(dialogue) == (["m1"], [(None, "RCPT: 550"), (None, "RCPT: 452")], [])


def test_the_last_mail_is_refused() -> None:
    dialogue = opened(script())
    sent(dialogue, last=True)
    assert said(dialogue, b"250 ok\r\n" + NO + b"554 no\r\n") == b"QUIT\r\n"
    assert not dialogue.room


# --- the end of a connection


@pytest.mark.parametrize(
    ("replies", "step"),
    [
        (b"", "MAIL"),
        (b"250 ok\r\n", "RCPT"),
        (b"250 ok\r\n250 ok\r\n", "DATA"),
        (b"250 ok\r\n250 ok\r\n354 go\r\n", "end of data"),
    ],
)
@pytest.mark.parametrize("what", ["disconnected", "421", "timeout", "no SMTP reply"])
def test_the_connection_ends_in_a_mail(replies: bytes, step: str, what: str) -> None:
    dialogue = opened(script())
    sent(dialogue)
    dialogue.receive(replies)
    if what == "421":
        dialogue.receive(b"421 4.3.2 closing\r\n")
    elif what == "no SMTP reply":
        dialogue.receive(b"hello\r\n")
    else:
        dialogue.abort(what)
    dialogue.abort("disconnected")
    assert (dialogue.done, outcomes(dialogue)) == (True, ([], [("m1", f"{step}: {what}")], []))


@pytest.mark.parametrize(
    ("goodbye", "kinds"), [(b"221 bye\r\n", []), (b"", []), (b"421 busy\r\n", [(None, "between mails: 421")])]
)
def test_a_server_that_closes_between_two_mails_has_lost_none(goodbye: bytes, kinds: list[object]) -> None:
    dialogue = opened(script())
    sent(dialogue)
    dialogue.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    sent(dialogue, 2)
    dialogue.receive(b"250 kept\r\n" + goodbye)
    dialogue.abort("disconnected")
    assert outcomes(dialogue) == (["m1"], kinds, ["m2"])


def test_the_next_mail_is_not_lost_with_this_one() -> None:
    dialogue = opened(script())
    sent(dialogue)
    dialogue.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
    sent(dialogue, 2)
    dialogue.abort("disconnected")
    assert outcomes(dialogue) == ([], [("m1", "end of data: disconnected")], ["m2"])


def test_who_said_goodbye_is_not_missed() -> None:
    dialogue = opened(script())
    dialogue.quit()
    dialogue.quit()
    assert dialogue.take_octets() == [b"QUIT\r\n"]
    dialogue.abort("disconnected")
    assert outcomes(dialogue) == ([], [], [])


LOGIN = script(account=Account("u", "p"), mechanism="LOGIN")


@pytest.mark.parametrize(
    ("wish", "replies", "failure"),
    [
        (script(), [b"554 5.7.1 not you\r\n"], Failure("greeting", "554", "554 5.7.1 not you")),
        (script(), [b"554-not\r\n554 you\r\n"], Failure("greeting", "554", "554 not you")),
        (script(), [b"421 busy\r\n"], Failure("greeting", "421", "421 busy")),
        (script(), [b"220 hi\r\n", b"451 later\r\n"], Failure("EHLO", "451", "451 later", "EHLO me")),
        (script(), [b"220 hi\r\n", b"500 a\r\n", b"500 b\r\n"], Failure("HELO", "500", "500 b", "HELO me")),
        (script(starttls=True), [b"220 hi\r\n", b"250 peer\r\n"], Failure("STARTTLS", "not offered")),
        (script(starttls=True), [b"220 hi\r\n", EHLO, b"454 no\r\n"], Failure("STARTTLS", "454", "454 no", "STARTTLS")),
        (script(account=Account("u", "p")), [b"220 hi\r\n", b"250 peer\r\n"], Failure("AUTH", "not offered")),
        (LOGIN, [b"220 hi\r\n", EHLO, b"535 no\r\n"], Failure("AUTH", "535", "535 no", "AUTH LOGIN")),
        (LOGIN, [b"220 hi\r\n", EHLO, b"334 \r\n", b"535 no\r\n"], Failure("AUTH", "535", "535 no", "AUTH LOGIN")),
    ],
)
@pytest.mark.parametrize("goodbye", ["221", "500", "disconnected"])
def test_a_refused_opening_ends_with_quit(wish: Script, replies: list[bytes], failure: Failure, goodbye: str) -> None:
    dialogue = Dialogue(wish)
    assert [said(dialogue, reply) for reply in replies][-1] == b"QUIT\r\n"
    assert (dialogue.closing, dialogue.done, dialogue.room) == (True, False, False)
    if goodbye == "disconnected":
        dialogue.abort("disconnected")
    else:
        assert said(dialogue, f"{goodbye} bye\r\n".encode()) == b""
    assert (dialogue.failures, dialogue.done, dialogue.ready) == ([(None, failure)], True, False)


@pytest.mark.parametrize("code", [501, 421])
def test_challenges_without_end_are_cancelled(code: int) -> None:
    dialogue = Dialogue(LOGIN)
    said(dialogue, b"220 hi\r\n")
    said(dialogue, EHLO)
    assert [said(dialogue, b"334 \r\n") for _ in range(6)] == [b"dQ==\r\n", *[b"cA==\r\n"] * 4, b"*\r\n"]
    assert said(dialogue, b"%d cancelled\r\n" % code) == (b"" if code == 421 else b"QUIT\r\n")
    said(dialogue, b"221 bye\r\n")
    failure = Failure("AUTH", "334", "334", "AUTH LOGIN")
    assert (dialogue.failures, dialogue.done, dialogue.ready) == ([(None, failure)], True, False)


@pytest.mark.parametrize(
    ("wish", "replies", "failure"),
    [
        (
            script(starttls=True),
            [b"220 hi\r\n", EHLO, b"220 go\r\n250 x\r\n"],
            Failure("between mails", "250", "250 x"),
        ),
        (script(), [b"220 hi\r\n", b"250-x\r\n" * 1001], Failure("EHLO", "endless reply")),
        (script(), [b"220 hi\r\n", b"250 " + b"x" * 70_000], Failure("EHLO", "endless reply")),
        (script(), [b"\xff\xfe\r\n"], Failure("greeting", "no SMTP reply", "\ufffd\ufffd")),
        (script(), [b"\r\n"], Failure("greeting", "no SMTP reply")),
    ],
)
def test_no_quit_to_a_peer_that_does_not_speak_smtp(wish: Script, replies: list[bytes], failure: Failure) -> None:
    dialogue = Dialogue(wish)
    assert [said(dialogue, reply) for reply in replies][-1] == b""
    assert (dialogue.failures, dialogue.done, dialogue.ready) == ([(None, failure)], True, False)
    assert not dialogue.wants_tls


def test_replies_without_a_text() -> None:
    dialogue = Dialogue(script())
    assert said(dialogue, b"220\r\n") + said(dialogue, b"250\n") == b"EHLO me\r\n"
    assert (dialogue.failures, dialogue.ready) == ([], True)


@pytest.mark.parametrize(
    ("replies", "failure"),
    [
        ([b"421 a\r\n"], Failure("MAIL", "421", "421 a", "MAIL FROM:<a@b> SIZE=26")),
        ([b"250 ok\r\n", b"421 a\r\n"], Failure("RCPT", "421", "421 a", "RCPT TO:<c@d>")),
        ([b"250 ok\r\n", b"250 ok\r\n", b"421 a\r\n"], Failure("DATA", "421", "421 a", "DATA")),
        ([b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"421 a\r\n"], Failure("end of data", "421", "421 a")),
    ],
    ids=["MAIL", "RCPT", "DATA", "end"],
)
def test_quit_follows_a_421_where_no_other_reply_is_awaited(replies: list[bytes], failure: Failure) -> None:
    dialogue = opened(script(pipelining=False))
    sent(dialogue)
    assert [said(dialogue, reply) for reply in replies][-1] == b"QUIT\r\n"
    [(failed, told)] = dialogue.failures
    assert (failed and failed.ident, told) == ("m1", failure)


def test_a_421_ends_the_connection_where_other_replies_are_awaited() -> None:
    dialogue = opened(script())
    sent(dialogue)
    assert said(dialogue, b"421 closing\r\n") == b""
    assert (dialogue.done, outcomes(dialogue)) == (True, ([], [("m1", "MAIL: 421")], []))


def test_a_421_that_nothing_was_said_for() -> None:
    dialogue = opened(script())
    assert said(dialogue, b"421 idle\r\n") == b""
    assert (dialogue.done, outcomes(dialogue)) == (True, ([], [(None, "between mails: 421")], []))


@pytest.mark.parametrize("pipelining", [True, False])
def test_refusals_name_the_command(pipelining: bool) -> None:
    dialogue = opened(script(recipients=3, pipelining=pipelining))
    sent(dialogue)
    for reply in (b"250 ok\r\n", NO, b"250 ok\r\n", b"452-too\r\n452 many\r\n", b"451 no\r\n"):
        dialogue.receive(reply)
    assert [failure for _, failure in dialogue.failures] == [
        Failure("DATA", "451", "451 no", "DATA"),
        Failure("RCPT", "550", "550 5.1.1 no", "RCPT TO:<c@d>"),
        Failure("RCPT", "452", "452 too many", "RCPT TO:<g@h>"),
    ]


def test_the_reply_that_accepted_a_mail() -> None:
    dialogue = opened(script())
    sent(dialogue)
    said(dialogue, b"250 ok\r\n250 ok\r\n354 go\r\n250-2.0.0 kept\r\n250 2.0.0 as 1234\r\n")
    [answered] = dialogue.answered
    assert reply_text(answered.reply) == "250 2.0.0 kept 2.0.0 as 1234"
