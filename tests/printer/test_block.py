"""What is shown of a mail, and that nothing in it reaches the terminal as a control character."""

from __future__ import annotations

from typing import Any

import pytest
from shownmail import mail

from fastsmtp.printer.block import Painter


def block(**changes: Any) -> list[str]:
    return Painter(colours=False, width=60).block(mail(**changes)).splitlines()


PLAIN_BLOCK = [
    "━━ 10:30:45Z  127.0.0.1:54321 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━",
    "  subject     Grüße",
    "  from        Änne <aenne@example.com>",
    "  to          bob@example.com",
    "  envelope    <bounce@example.com> to <bob@example.com>, <carol@example.com>",
    "  date        Mon, 3 Nov 2025 10:30:45 +0000",
    "  helo        EHLO client.test",
    "  size        1.2 kB  0192f3a4-0000-7000-8000-000000000000",
    "",
    "  Hallo",
    "",
]


def test_plain_mail() -> None:
    assert block() == PLAIN_BLOCK


def test_everything() -> None:
    attachments = [
        {
            "filename": "übersicht 日本.pdf",
            "content_type": "application/pdf",
            "size": 152340,
            "content": "",
            "defects": [],
        },
        {
            "filename": "a.txt",
            "content_type": "text/plain",
            "size": 12,
            "path": "/tmp/x",
            "defects": ["invalid-base64"],
        },
    ]
    violations = [
        {"code": "mail-without-brackets", "detail": "MAIL FROM:a@b", "count": 3},
        {"code": "bare-lf", "detail": "", "count": 1},
    ]
    assert block(
        authentication={"attempted": True, "mechanism": "PLAIN", "username": "me", "password": "se cret"},
        session={"esmtp": False, "tls": {"version": "TLSv1.3", "cipher": "AES"}, "violations": violations},
        message__cc=[{"name": "C", "address": "c@example.com"}],
        message__reply_to=[{"name": "", "address": "r@example.com"}],
        message__defects=["missing-closing-delimiter", "header-8bit"],
        attachments=attachments,
    ) == [
        *PLAIN_BLOCK[:4],
        "  cc          C <c@example.com>",
        "  reply-to    r@example.com",
        *PLAIN_BLOCK[4:6],
        "  auth        PLAIN  me  se cret",
        "  helo        HELO client.test",
        "  tls         TLSv1.3  AES",
        *PLAIN_BLOCK[7:],
        "  attached    übersicht 日本.pdf  application/pdf  152.3 kB",
        "              a.txt               text/plain       12 B      /tmp/x  invalid-base64",
        "  violations  mail-without-brackets: MAIL FROM:a@b  x3",
        "              bare-lf",
        "  defects     missing-closing-delimiter, header-8bit",
        "",
    ]


def test_a_digest_is_not_shown_as_a_password() -> None:
    authentication = {"attempted": True, "mechanism": "CRAM-MD5", "username": "tim", "password": None}
    lines = block(authentication={**authentication, "digest": "b913a602", "challenge": "<1@mx>"})
    assert [line for line in lines if line.startswith("  auth ")] == ["  auth        CRAM-MD5  tim  (digest b913a602)"]


def test_nothing_known() -> None:
    assert block(
        envelope={"from": "", "to": ["x"], "helo": ""},
        authentication={"attempted": True, "mechanism": None, "username": None, "password": None},
        message={
            **dict.fromkeys(("subject", "date", "text", "html")),
            **{key: [] for key in ("from", "to", "cc", "bcc", "reply_to", "defects")},
            "size": 0,
        },
    ) == [
        PLAIN_BLOCK[0],
        "  subject     (none)",
        "  envelope    <> to <x>",
        "  auth        (none)",
        "  helo        EHLO (none)",
        "  size        0 B  0192f3a4-0000-7000-8000-000000000000",
        "",
    ]


def test_no_control_character_reaches_the_terminal() -> None:
    evil = "a\x1b[31m\x00\x07\x9b2J\r\nb\u202ec\ud800\u2028d\te"
    shown = Painter(colours=False, width=200).block(
        mail(
            remote_addr=evil,
            envelope={"from": evil, "to": [evil], "helo": evil},
            authentication={"attempted": True, "mechanism": evil, "username": evil, "password": evil},
            session={"esmtp": True, "tls": None, "violations": [{"code": evil, "detail": evil, "count": 1}]},
            message__subject=evil,
            message__date=evil,
            message__from=[{"name": evil, "address": evil}],
            message__text=evil,
            message__defects=[evil],
            attachments=[{"filename": evil, "content_type": evil, "size": 1, "path": evil, "defects": [evil]}],
        )
    )
    assert [char for char in shown if not char.isprintable() and char != "\n"] == []
    assert "  subject     a\\x1b[31m\\x00\\x07\\x9b2J\\r\\nb\\u202ec\\ud800\\u2028d\\te\n" in shown


def test_joined_emoji_and_odd_blanks_stay_readable() -> None:
    assert block(message__subject="👩‍👧\u00a0x")[1] == "  subject     👩‍👧 x"


def test_long_text_is_an_excerpt() -> None:
    text = "one\n\n\n\ntwo \n" + "long " * 30 + "\n" + "row\n" * 20
    assert block(message__text=text)[9:] == [
        "  one",
        "",
        "  two",
        "  " + " ".join(["long"] * 30),
        *["  row"] * 8,
        "  ... 12 more lines",
        "",
    ]


HTML = "<html><head><title>T</title></head><style>p{}</style><!-- c --><p>Hi &amp; <b>you</b><br>1 < 2</p>\n</html>"


def test_html_only() -> None:
    assert block(message__text=None, message__html=HTML)[9:] == ["  Hi & you", "  1 < 2", "  (from HTML)", ""]


@pytest.mark.parametrize("text", ["", " \r\n\t\r\n"])
def test_a_text_in_which_there_is_nothing(text: str) -> None:
    shown = block(message__text=text, message__html=HTML)[9:]
    assert shown == ["  Hi & you", "  1 < 2", "  (from HTML, the text is empty)", ""]


def test_text_that_is_there_as_html_too() -> None:
    assert block(message__html=HTML)[9:] == ["  Hallo", "  (also as HTML)", ""]
    assert block(message__text="row\n" * 14, message__html=HTML)[21:] == ["  ... 2 more lines (also as HTML)", ""]


def test_links_of_html_can_be_opened() -> None:
    target = "https://shop.test/confirm?token=" + "x" * 600
    html = f"<a href='{target}'>Confirm</a> or <a href='https://shop.test'>shop.test</a>"
    for wrap in (False, True):
        shown = Painter(colours=False, width=40, wrap=wrap).block(mail(message__text=None, message__html=html))
        assert shown.splitlines()[-5:] == [
            "  Confirm [1] or shop.test",
            "  (from HTML)",
            "",
            f"  links       [1] {target}",
            "",
        ]


def test_not_all_of_many_links_are_shown() -> None:
    html = "".join(f"<a href={number}>x</a> " for number in range(1, 14))
    assert block(message__text=None, message__html=html)[12:] == [
        "  links       [1] 1",
        *[f"              [{number}] {number}" for number in range(2, 11)],
        "              and 3 more",
        "",
    ]


def test_a_mail_may_begin_with_a_long_style_sheet() -> None:
    html = f"<style>{'p { color: red }' * 5000}</style><p>Hi</p>"
    assert block(message__text=None, message__html=html)[9:] == ["  Hi", "  (from HTML)", ""]


def test_much_html_is_looked_at_in_part() -> None:
    shown = block(message__text=None, message__html="<p>Hi</p>" + "<i></i>" * 100_000)
    assert shown[9:] == ["  Hi", "  ... (from HTML)", ""]


def test_many_of_everything() -> None:
    attachment = {"filename": "a", "content_type": "text/plain", "size": 1, "defects": []}
    lines = block(
        envelope={"from": "", "to": ["x"] * 100, "helo": ""},
        session={"esmtp": True, "tls": None, "violations": [{"code": "v", "detail": "", "count": 1}] * 12},
        message__subject="日" * 1000,
        attachments=[attachment] * 52,
    )
    assert lines[1] == "  subject     " + "日" * 497 + "..."
    assert lines[4] == "  envelope    <> to " + "<x>, " * 9 + "<x> and 90 more"
    assert lines[-13:] == [
        "              and 2 more",
        "  violations  v",
        *["              v"] * 9,
        "              and 2 more",
        "",
    ]


def test_long_values_go_on_below_where_they_begin() -> None:
    shown = Painter(colours=False, width=40, wrap=True).block(
        mail(message__subject="short words " * 4 + "x" * 30 + " 件名件名件名件名件名件名件名件名")
    )
    assert shown.splitlines()[1:5] == [
        "  subject     short words short words",
        "              short words short words",
        "              xxxxxxxxxxxxxxxxxxxxxxxxxx",
        "              xxxx",
    ]
    assert shown.splitlines()[5:7] == ["              件名件名件名件名件名件名件", "              名件名"]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a long line " * 4, ["  a long line a long line a long line a", "  long line"]),
        (
            "one\n" + "word " * 20,
            ["  one", *["  word word word word word word word"] * 2, "  word word word word word word"],
        ),
        ("word " * 90, [*["  word word word word word word word"] * 12, "  ... 1 more line"]),
        ("x" * 100_000 + "\n\nmore\n", [*["  " + "x" * 38] * 12, "  ... 1 more line"]),
        ("word " * 84 + "\nnext\nlast", [*["  word word word word word word word"] * 12, "  ... 2 more lines"]),
    ],
    ids=["two", "three", "too-long", "endless", "full"],
)
def test_text_goes_on_in_the_next_row_of_a_terminal(text: str, rows: list[str]) -> None:
    shown = Painter(colours=False, width=40, wrap=True).block(mail(message__text=text)).splitlines()
    begin = shown.index("") + 1
    assert shown[begin : shown.index("", begin)] == rows


def test_wrapping_colours_each_line() -> None:
    shown = Painter(colours=True, width=40, wrap=True).block(mail(message__subject="short words " * 3))
    assert shown.splitlines()[1:3] == [
        "  \x1b[2msubject    \x1b[0m \x1b[1mshort words short words\x1b[0m",
        "              \x1b[1mshort words \x1b[0m",
    ]


def test_lower_case_verbs_alarm_nobody() -> None:
    violations = [{"code": "lower-case-verb", "detail": "ehlo", "count": 5}]
    assert block(session={"esmtp": True, "tls": None, "violations": violations}) == PLAIN_BLOCK


def test_where_it_was_saved_is_one_line_to_be_copied() -> None:
    path = "/home/me/mails/" + "x" * 60 + ".eml"
    shown = Painter(colours=False, width=40, wrap=True).block(mail(), path)
    assert f"  saved       {path}" in shown.splitlines()


def test_colours() -> None:
    lines = Painter(colours=True, width=40).block(mail()).splitlines()
    assert lines[:2] == [
        "\x1b[32m━━\x1b[0m 10:30:45Z  127.0.0.1:54321 \x1b[32m━━━━━━━━━━\x1b[0m",
        "  \x1b[2msubject    \x1b[0m \x1b[1mGrüße\x1b[0m",
    ]


NAMED = {"content_type": "application/pdf", "size": 1234, "defects": []}


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (40, "  attached    a-very-…  applica…  1.2 kB"),
        (60, "  attached    a-very-long-name-of-…  application/pdf  1.2 kB"),
        (80, "  attached    a-very-long-name-of-a-file-indeed.pdf  application/pdf  1.2 kB"),
        (200, "  attached    a-very-long-name-of-a-file-indeed.pdf  application/pdf  1.2 kB"),
    ],
)
def test_attachments_are_a_table_as_wide_as_the_terminal(width: int, shown: str) -> None:
    attachments = [{"filename": "a-very-long-name-of-a-file-indeed.pdf", **NAMED}]
    block = Painter(colours=False, width=width, wrap=True).block(mail(attachments=attachments)).splitlines()
    assert block[-2] == shown


def test_lines_of_text_are_no_longer_than_they_can_be_read() -> None:
    text = "word " * 60
    block = Painter(colours=False, width=200, wrap=True).block(mail(message__text=text, message__subject=text))
    assert [len(line) for line in block.splitlines() if "word" in line] == [118, 118, 104, 116, 116, 71]
    assert len(block.splitlines()[0]) == 200


def test_the_ruled_line_ends_where_the_terminal_does() -> None:
    painter = Painter(colours=False, width=60, wrap=True)
    assert (
        painter.block(mail(remote_addr="unix:/run/日本")).splitlines()[0] == "━━ 10:30:45Z  unix:/run/日本 " + "━" * 31
    )
