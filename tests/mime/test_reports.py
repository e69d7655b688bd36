"""Messages that other programs were reported to read wrongly, and what a worker gets of them.

Each is our own, made after what a public report on GitHub is about; its name is that of the project, and the number of
the report. What a row does not name is not there: no text, no attachments, no defects.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest
from captures import capture

ANN = "From: ann@x.example\n"


def header(*fields: str) -> str:
    return "\n".join(fields) + "\n\nx\n"


def beside(*fields: str, body: str = "SGVsbG8=") -> str:
    """A text, and an attachment with these fields."""
    return (
        "Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\n"
        + "\n".join((*fields, "Content-Transfer-Encoding: base64"))
        + f"\n\n{body}\n--b--\n"
    )


def file(name: str, media_type: str, content: bytes = b"Hello", **more: Any) -> dict[str, Any]:
    return {"filename": name, "content_type": media_type, "content": content, **more}


def field(subject: str | None = None, **more: Any) -> dict[str, Any]:
    """What is read of `header`."""
    return {"subject": subject, "text": "x\r\n", **more}


def attached(*args: Any, **more: Any) -> dict[str, Any]:
    """What is read of `beside`."""
    return {"subject": "s", "text": "text", "attachments": [file(*args, **more)]}


# fmt: off
WORDS: dict[str, tuple[str, dict[str, Any]]] = {
    "neomutt/neomutt#1189": (  # blanks inside of an encoded word
        header("Subject: =?UTF-8?Q?L=C3=BCcke in fast allen Systemen?="),
        field("Lücke in fast allen Systemen", defects=["invalid-encoded-word"]),
    ),
    "nodemailer/mailcomposer#1": (  # a character cut over two words
        header("Subject: =?UTF-8?Q?U=C5=BEivatel_p=C5?=\n =?UTF-8?Q?=99idal?="), field("Uživatel přidal"),
    ),
    "mikel/mail#741": (  # base64 cut between octets, glued to text
        header('Subject: "Re:=?utf-8?B?0J/QvtC80L7Qs9C40YLQ?= =?utf-8?B?tQ==?="'),
        field('"Re:Помогите"', defects=["invalid-encoded-word"]),
    ),
    "mailhog/MailHog#282": (  # signs that need no encoding, in us-ascii
        header("Subject: =?us-ascii?Q?[Project:_A,_Bug#:_0020355]:_w?=\n =?us-ascii?Q?ebp?="),
        field("[Project: A, Bug#: 0020355]: webp"),
    ),
    "jhermsmeier/node-envelope#18": (header("Subject: =?UTF-8?Q?a=c5=82o=c5=9b-?="), field("ałoś-")),
    "jhermsmeier/node-envelope#22": (  # no blank between words, a tab before the second one
        header("Subject: =?utf-8?B?UGFydHkgaW0gTQ==?=\n\t=?utf-8?B?YWk=?="), field("Party im Mai"),
    ),
    "rnwood/smtp4dev#2108": (header("Subject: =?ISO-8859-8-i?B?8vjhIOjl4S4=?="), field("ערב טוב.")),
    "jstedfast/MimeKit#923": (  # `unicode`, and it is not
        header("Subject: =?unicode?Q?Test?="), field("Test", defects=["wrong-charset"]),
    ),
    "andris9/mimelib#29": (header("Subject: =??B?w7w=?="), field("=??B?w7w=?=")),  # no charset, no encoded word
    "python/cpython#132105": (header("Subject: =?utf-8?B?dGVzdAo=?="), field("test\n")),  # a line end inside
    "nodemailer/mailparser#376": (  # a raw subject in the charset of the body
        "Content-Type: text/plain; charset=euc-kr\nSubject: \udcb0\udca1\udcb3\udcaa\n\n\udcb0\udca1",
        {"subject": "가나", "text": "가", "defects": ["header-8bit"]},
    ),
    "jstedfast/MimeKit#31": (
        "From: \udce1\udcce\udcc1 <a@b.example>\nContent-type: text/plain; charset=koi8-r\n\n\udcf0",
        {"from": [("Ана", "a@b.example")], "text": "П", "defects": ["header-8bit"]},
    ),
    "PHPMailer/PHPMailer#818": (  # a fold inside of a word
        header("Subject: =?ISO-8859-1?Q?SUIVI_11,\n _proposition_d?=  =?ISO-8859-1?Q?'=E9change?="),
        field("SUIVI 11,  proposition d'échange", defects=["invalid-encoded-word"]),
    ),
    "axllent/mailpit#389": (header("Subject: =?us-ascii?Q?Oracle=3F=3F?="), field("Oracle??")),  # lost by the sender
}

ADDRESSES: dict[str, tuple[str, dict[str, Any]]] = {
    "staktrace/mailparse#79": (  # a word in the second mailbox, without a blank before it
        header("To: foo <foo@x.example>,=?UTF-8?B?Zm9v8J+Qm2Jhcg==?= <bar@x.example>"),
        field(to=[("foo", "foo@x.example"), ("foo🐛bar", "bar@x.example")], defects=["invalid-encoded-word"]),
    ),
    "staktrace/mailparse#85": (
        header("From: No reply @ Acme.example <no.reply@acme.example>"),
        field(**{"from": [("No reply @ Acme.example", "no.reply@acme.example")]}, defects=["invalid-address"]),
    ),
    "SpamScope/mail-parser#105": (
        header("From: =?ISO-8859-1?Q?Moore=2C_Keith?= <moore@x.example>"),
        field(**{"from": [("Moore, Keith", "moore@x.example")]}),
    ),
    "SpamScope/mail-parser#132": (
        header("From: no@x.example <no@x.example>"), field(**{"from": [("no@x.example", "no@x.example")]}),
    ),
    "SpamScope/mail-parser#146": (
        header("From: =?UTF-8?B?dG9ueUB4LmV4YW1wbGU=?= <tony@x.example>",
               "To: joe@x.example, =?UTF-8?Q?John_=22J=22_Doe?= <j@x.example>"),
        field(**{"from": [("tony@x.example", "tony@x.example")]},
              to=[("", "joe@x.example"), ('John "J" Doe', "j@x.example")]),
    ),
    "ProtonMail/proton-bridge#95": (  # brackets that were encoded are part of the name
        header("From: =?ISO-8859-1?B?PEJlemUgam3pbmE+?= <a@x.example>"),
        field(**{"from": [("<Beze jména>", "a@x.example")]}),
    ),
    "osTicket/osTicket#3582": (  # all that stands before the domain is encoded
        header("From: =?UTF-8?B?IlRla2luIEJpcmTDvHplbiIgPHRla2lu?=@x.example"),
        field(**{"from": [("Tekin Birdüzen", "tekin@x.example")]}, defects=["invalid-address", "invalid-encoded-word"]),
    ),
    "php-mime-mail-parser/php-mime-mail-parser#124": (
        header("From: =?UTF-8?B?QW51c2NoID0p?="), field(**{"from": [("Anusch =)", "")]}, defects=["invalid-address"]),
    ),
    "PHPMailer/PHPMailer#3235": (
        header('From: "test<stage" <test@x.example>'), field(**{"from": [("test<stage", "test@x.example")]}),
    ),
    "MailCore/mailcore2#1457": (
        header('From: Team@x.example, "Reply-To:joe"@x.example'),
        field(**{"from": [("", "Team@x.example"), ("", '"Reply-To:joe"@x.example')]}),
    ),
    "MailCore/mailcore2#1594": (  # a quote that is never closed
        header('From: "Tan Tanaka,<tan@x.example>'),
        field(**{"from": [("Tan Tanaka", "tan@x.example")]}, defects=["invalid-address"]),
    ),
    "nodemailer/mailparser#375": (  # a comma that should have been quoted
        header("From: Joe Foo, PhD <joe@x.example>"),
        field(**{"from": [("Joe Foo, PhD", "joe@x.example")]}, defects=["invalid-address"]),
    ),
    "nodemailer/addressparser#12": (  # a parenthesis that another one seems to close
        header("From: 111(aaa） <joe@x.example>"),
        field(**{"from": [("111(aaa）", "joe@x.example")]}, defects=["invalid-address"]),
    ),
    "GOVCERT-LU/eml_parser#58": (  # the next field behind the identifier
        header("Message-ID:  \n <some@x.example>MIME-Version: 1.0"), field(id="some@x.example"),
    ),
    "jstedfast/MimeKit#503": (  # a whole mailbox encoded, its name in quotes
        header("From: =?utf-8?B?IndhcnRhYiIgPHdhckB4LmV4YW1wbGU+?="),
        field(**{"from": [("wartab", "war@x.example")]}, defects=["invalid-address"]),
    ),
    "IndySockets/Indy#123": (
        header("From: abc <=?ISO8859-1?B?YWJjQHguZXhhbXBsZQ==?=>", "To: =?ISO8859-1?B?YWJjQHguZXhhbXBsZQ==?="),
        field(**{"from": [("abc", "abc@x.example")]}, to=[("", "abc@x.example")],
              defects=["invalid-address", "invalid-encoded-word"]),
    ),
    "jstedfast/MimeKit#668": (  # a name in the charset of the body that could be UTF-8, but is not
        "From: \udccc\udcda\udcd1\udcb6 <a@x.example>\nContent-Type: text/plain; charset=gb2312\n\n\udccc\udcda",
        {"from": [("腾讯", "a@x.example")], "text": "腾", "defects": ["header-8bit"]},
    ),
    "symfony/symfony#34324": (header("Message-ID: Message-ID: <ff@x.example>"), field(id="ff@x.example")),
}

NAMES: dict[str, tuple[str, dict[str, Any]]] = {
    "nodemailer/mailparser#143": (  # a line end in a name
        beside("Content-Disposition: attachment; filename*=us-ascii''Revised%0D%0A%2010%5F20.doc",
               'Content-Type: application/msword; name="Revised\n 10_20.doc"'),
        attached("Revised\r\n 10_20.doc", "application/msword"),
    ),
    "SpamScope/mail-parser#26": (
        beside('Content-Type: application/pdf; name="=?UTF-8?Q?Rejonowa=2D=C5=9A?=\n =?UTF-8?Q?r=2Epdf?="'),
        attached("Rejonowa-Śr.pdf", "application/pdf", defects=["invalid-encoded-word"]),
    ),
    "jakartaee/mail-api#74": (  # neither charset nor language
        beside("Content-Type: application/x", "Content-Disposition: attachment;\n filename*0*=\"''attached%2E\";\n"
               ' filename*1*="%62";\n filename*2=at'),
        attached("attached.bat", "application/x"),
    ),
    "jakartaee/mail-api#330": (  # a fold behind the equals sign
        beside('Content-Type: application/x; name=\n\t"=?utf-8?B?YXR0YWNobWVudC5jc3Y=?="',
               "Content-Disposition: attachment"),
        attached("attachment.csv", "application/x", defects=["invalid-encoded-word"]),
    ),
    "jakartaee/mail-api#687": (  # both forms, the plain one encoded and without quotes
        beside("Content-Type: application/pdf",
               "Content-Disposition: attachment;\n filename==?utf-8?Q?R--1-?=\n =?utf-8?Q?=C3=BCber=2Epdf?=;\n"
               " filename*0*=utf-8''R--1-;\n filename*1*=%C3%BCber.pdf"),
        attached("R--1-über.pdf", "application/pdf", defects=["invalid-encoded-word", "invalid-parameter"]),
    ),
    "karastojko/mailio#178": (  # a percent sign too many
        beside("Content-Type: application/pdf; name*0*=UTF-8''%%E4%B8%AA;\n name*1*=.pdf"),
        attached("%个.pdf", "application/pdf"),
    ),
    "zbateson/mail-mime-parser#80": (  # encoded words cut into segments
        beside("Content-Type: application/x",
               'Content-Disposition: attachment; filename*0="=?UTF-8?Q?=F0=9F=98=8"; filename*1="1=F0?=\n'
               ' =?UTF-8?Q?=9F=98=81"; filename*2=".docx?="'),
        attached("😁😁.docx", "application/x", defects=["invalid-encoded-word"]),
    ),
    "jstedfast/gmime#123": (
        beside('Content-Type: content/unknown; name*0="=?UTF-8?B?dGVzdHRlc3Q"; name*1="ueGxzeA==?="'),
        attached("testtest.xlsx", "content/unknown", defects=["invalid-encoded-word"]),
    ),
    "IndySockets/Indy#694": (
        beside("Content-Type: application/x; \n\tname*0=3526_v4.00-procNFe.x; \n\tname*1=ml"),
        attached("3526_v4.00-procNFe.xml", "application/x"),
    ),
    "jstedfast/MimeKit#159": (  # no quotes, blanks and a fold
        beside("Content-Type: application/x", "Content-Disposition: attachment; filename=Agreement  \n Week 11.pdf"),
        attached("Agreement   Week 11.pdf", "application/x", defects=["invalid-parameter"]),
    ),
    "mikel/mail#1606": (
        beside("Content-Type: text/pla.in; name==?utf-8?B?dGVzdC50eHQ=?="),
        attached("test.txt", "text/pla.in", defects=["invalid-encoded-word", "invalid-parameter"]),
    ),
    "Webklex/php-imap#317": (
        beside("Content-Type: application/zip", "Content-Disposition: attachment; filename*=iso-8859-2''Pa%BCdz.zip"),
        attached("Paźdz.zip", "application/zip"),
    ),
    "nickrussler/email-to-pdf-converter#32": (  # a parameter whose name begins with an asterisk
        beside('Content-Type: application/x; *name="=?iso-8859-1?Q?=D6.x?="',
               'Content-Disposition: attachment; filename="=?iso-8859-1?Q?=D6.x?="'),
        attached("Ö.x", "application/x", defects=["invalid-encoded-word", "invalid-parameter"]),
    ),
    "symfony/symfony#62423": (  # two names; only one of them is that of a file
        beside('Content-Type: image/jpeg; name="divider@x.example"', "Content-ID: <divider@x.example>",
               'Content-Disposition: inline; name="divider@x.example";\n filename=divider.jpg'),
        attached("divider.jpg", "image/jpeg", disposition="inline", content_id="divider@x.example"),
    ),
    "jhillyerd/enmime#89": (  # parameters of no type, and empty names
        beside('Content-Type: ;\n\tname=""', 'Content-Disposition: attachment;\n\tfilename=""'),
        attached("part-2.txt", "text/plain", defects=["invalid-content-type"]),
    ),
    "jhillyerd/enmime#156": (  # an identifier without brackets
        beside("Content-Type: application/pdf", "Content-ID: dummy.pdf"),
        attached("part-2.pdf", "application/pdf", disposition="inline", content_id="dummy.pdf"),
    ),
    "jstedfast/MimeKit#971": (  # a whole field encoded
        beside("Content-Type: text/html",
               "Content-Disposition: =?utf-8?b?YXR0YWNobWVudDsgZmlsZW5hbWU9ICJWb2ljZS5odG0i?="),
        attached("Voice.htm", "text/html", defects=["invalid-encoded-word"]),
    ),
    "zbateson/mail-mime-parser#103": (  # a charset of something that is not text
        beside("Content-Type: application/pdf; charset=utf-8; name=a.pdf", "Content-Disposition: attachment",
               body="/+7dzA=="),
        attached("a.pdf", "application/pdf", b"\xff\xee\xdd\xcc"),
    ),
    "nodemailer/mailparser#371": (  # a message without a name
        "Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\nContent-Type: message/rfc822\n"
        "Content-Disposition: attachment\n\nSubject: t\n\nx\n--b--\n",
        attached("part-2.eml", "message/rfc822", b"Subject: t\r\n\r\nx"),
    ),
    "jstedfast/MimeKit#1049": (  # an encoding that is not told
        "Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\nContent-Transfer-Encoding:\n"
        'Content-Type: message/rfc822; name=a.eml\n\nContent-Type: multipart/mixed; boundary="=o="\n\n--=o=\n--b--\n',
        attached("a.eml", "message/rfc822", b'Content-Type: multipart/mixed; boundary="=o="\r\n\r\n--=o='),
    ),
}

HTML_ALONE = "Content-Type: text/html; charset=utf-8\n"
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "nodemailer/mailparser#244": (
        HTML_ALONE + "Content-Disposition: =?utf-8?Q?inline?=\n\n<p>ü",
        {"html": "<p>ü", "defects": ["invalid-encoded-word"]},
    ),
    "SpamScope/mail-parser#67": (HTML_ALONE + "Content-ID: <C7@x.example>\n\n<p>", {"html": "<p>"}),
    "jstedfast/MimeKit#94": (  # the next field on the line of the parameters
        'Content-Type: text/html; charset = "iso-8859-1" Content-Transfer-Encoding: 8bit\n\n<p>\udce9',
        {"html": "<p>é", "defects": ["invalid-parameter"]},
    ),
    "mat-sz/letterparser#17": ('Content-Type: text/html; charset = "utf-8"\n\n<p>ü', {"html": "<p>ü"}),
    "postalsys/postal-mime#75": (  # an equals sign that encodes nothing
        "Content-Transfer-Encoding: quoted-printable\n\na=b,b =C3=BC",
        {"text": "a=b,b ü", "defects": ["invalid-quoted-printable"]},
    ),
    "python/cpython#152679": (
        "Content-Transfer-Encoding: quoted-printable\n\n==41=\n\nb",
        {"text": "=A\r\nb", "defects": ["invalid-quoted-printable"]},
    ),
    "emersion/go-message#99": (
        "Content-Transfer-Encoding: Hexa\n\n48656c", {"text": "48656c", "defects": ["unknown-transfer-encoding"]},
    ),
    "nodemailer/mailparser#122": (  # blanks in the name behind `begin`
        "Content-Type: application/x; name=a\nContent-Transfer-Encoding: uuencode\n\n"
        "begin 644 my file.txt\n%:&5L;&\\\n`\nend\n",
        {"attachments": [file("a", "application/x", b"hello", defects=["invalid-transfer-encoding"])]},
    ),
    "MQpeng/eml-parse-js#52": (
        "Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Disposition: inline\n\nTest\n"
        "--b\nContent-Type: text/html\nContent-Disposition: inline\n\n<p>Test\n--b--\n",
        {"text": "Test", "html": "<p>Test"},
    ),
    "nodemailer/mailparser#345": (  # an alternative to nothing
        "Content-Type: multipart/alternative; boundary=b\n\n--b\n" + HTML_ALONE + "\n<p>\n--b--\n", {"html": "<p>"},
    ),
    "nodemailer/mailparser#336": (  # a message that is to be shown in place
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n--b\nContent-Disposition: inline\n"
        "Content-Type: message/rfc822\n\nSubject: inner\n\ninner\n--b--\n",
        {"text": "text", "attachments": [
            file("part-2.eml", "message/rfc822", b"Subject: inner\r\n\r\ninner", disposition="inline"),
        ]},
    ),
}

PARTS: dict[str, tuple[str, dict[str, Any]]] = {
    "Webklex/php-imap#544": (  # the shortest boundary
        'Content-Type: multipart/mixed; boundary="-"\n\n---\n\nx\n---\n'
        "Content-Type: application/x; name=a\n\ny\n-----\n",
        {"text": "x", "attachments": [file("a", "application/x", b"y")]},
    ),
    "Webklex/php-imap#572": (  # a delimiter in place of the closing one
        "Content-Type: multipart/related; boundary=_6_\n\n--_6_\nContent-Transfer-Encoding: base64\n"
        "Content-Type: text/html\n\n4pm/w6TDvMO2\n--_6_\n",
        {"html": "♿äüö", "defects": ["missing-closing-delimiter"]},
    ),
    "mysociety/alaveteli#940": (
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n",
        {"text": "x\r\n", "defects": ["missing-closing-delimiter"]},
    ),
    "mikel/mail#379": (  # one boundary is how another one begins
        "Content-Type: multipart/mixed; boundary=--foo\n\n----foo\nContent-Type: multipart/mixed; "
        "boundary=--foo_bar\n\n----foo_bar\n\nx\n----foo_bar--\n----foo\n"
        "Content-Type: application/x; name=a\n\ny\n----foo--\n",
        {"text": "x", "attachments": [file("a", "application/x", b"y")]},
    ),
    "mailgun/flanker#64": (  # a part of a header alone, which a delimiter ends
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\nContent-Transfer-Encoding: \n"
        'Content-Type: message/rfc822;\n name="Forwarded"; \nContent-Disposition: inline; \n--b--\n',
        {"text": "x", "attachments": [file("Forwarded", "message/rfc822", b"", disposition="inline")]},
    ),
    "thunderbird/thunderbird-android#1333": (  # an empty type, and then the type
        "Content-Type: \nContent-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>\n--b--\n",
        {"html": "<p>"},
    ),
    "nodemailer/mailparser#204": (  # two types; the boundary of the second one is in use
        "Content-Type: multipart/alternative;\n boundary=A\nContent-Type: multipart/alternative;\n boundary=B\n\n"
        "--B\n\nHello?\n--B\nContent-Type: text/html\n\n<b>Hello?\n--B--\n",
        {"text": "Hello?", "html": "<b>Hello?", "defects": ["duplicate-content-type"]},
    ),
    "nodemailer/mailparser#252": (  # a second line without the blank that makes it one
        'Content-Type: multipart/alternative;\nboundary="N"\n\n--N\n\nSample\n--N\nContent-Type: text/html;\n'
        "charset=iso-8859-1\n\n<p>\udce9\n--N--\n",
        {"text": "Sample", "html": "<p>é", "defects": ["invalid-header-line"]},
    ),
    "CaliOpen/Caliopen#1247": (  # a boundary that was folded where it had no blank
        'Content-Type: multipart/mixed; boundary="wM+4Gt=R\n =Y1y"\n\n--wM+4Gt=R=Y1y\n\nx\n--wM+4Gt=R=Y1y--\n',
        {"text": "x"},
    ),
    "zbateson/mail-mime-parser#55": (  # a boundary that was folded at its blank
        'Content-Type: multipart/mixed; boundary="=_mixed\n\t0061BA=_"\n\n'
        "--=_mixed 0061BA=_\n\nx\n--=_mixed 0061BA=_--\n",
        {"text": "x"},
    ),
    "netas-ch/eml-parser#5": (  # quotes that were escaped
        'Content-Type: multipart/mixed; boundary=\\"=_17\\"\n\n--=_17\n\nx\n--=_17\n'
        'Content-Type: application/x; name=\\"a\\"\n\ny\n--=_17--\n',
        {"text": "x", "attachments": [file("a", "application/x", b"y", defects=["invalid-parameter"])],
         "defects": ["invalid-parameter"]},
    ),
    "emersion/go-message#144": (  # a gateway put its warning into the header of a part
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n"
        "Content-Type: text/plain; charset=utf-8\n CAUTION: mail from outside.\n"
        "Open no attachments unless you know the cont=\nent is safe.\nContent-Transfer-Encoding: quoted-printable\n\n"
        "f=C3=BCr\n--b--\n",
        {"text": "für", "defects": ["invalid-header-line", "invalid-parameter"]},
    ),
    "emersion/go-message#130": (  # two types for one file
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\nContent-Disposition: inline; filename=\"a.zip\"\n"
        'Content-Type: application/x-rar-compressed; x-unix-mode=0600;\n name="a.zip"\n'
        "Content-Transfer-Encoding: base64\n\nSGVsbG8=\n--b--\n",
        {"text": "x", "attachments": [file("a.zip", "application/x-rar-compressed", disposition="inline")]},
    ),
    "jstedfast/MimeKit#278": (  # a line of a blank behind the boundary
        "Content-Type: multipart/mixed;\n boundary=--boundary_0_8a\n \nSubject: s\n\n----boundary_0_8a\n\nin\n"
        "----boundary_0_8a--\n",
        {"subject": "s", "text": "in"},
    ),
    "jstedfast/MimeKit#737": (
        'Content-Type: multipart/multipart/mixed; boundary="-b-"\n\n---b-\nContent-Type: text/html\n\n<p>x\n---b---\n',
        {"html": "<p>x", "defects": ["invalid-content-type"]},
    ),
    "php-mime-mail-parser/php-mime-mail-parser#472": (  # a boundary and no type
        'Content-Type: ; boundary="b"\n\n--b\n\nx\n--b\nContent-Disposition: attachment; filename="B.c"\n\nB\n--b--\n',
        {"text": "x", "attachments": [file("B.c", "text/plain", b"B")], "defects": ["invalid-content-type"]},
    ),
    "spmfilter/libcmime#11": (  # a multipart in another one, with the same boundary
        "Content-Type: multipart/mixed; boundary=q\n\n--q\nContent-Type: multipart/mixed; boundary=q\n\nbody\n--q--\n"
        "--q\nContent-Disposition: attachment; filename=a.txt\n\nattached\n--q--\n",
        {"text": "body", "attachments": [file("a.txt", "text/plain", b"attached")], "defects": ["duplicate-boundary"]},
    ),
    "nodemailer/mailparser#370": (  # Exchange names the charset in the HTML alone, cut by a soft line break
        "Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n"
        '<meta http-equiv=3D"Content-Type" content=3D"text/html; charset=\n=3Dwindows-1251">=C4=E0\n',
        {
            "html": '<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">Да\r\n',
            "defects": ["missing-charset"],
        },
    ),
    "jstedfast/MimeKit#448": (  # the end of something else before the header
        "uw9+/ab=\nReceived: from x\n by y\nSubject: s\n\nx\n",
        {"subject": "s", "text": "x\r\n", "defects": ["invalid-header-line"]},
    ),
    "mailhog/MailHog#238": (  # an encoding of a multipart, which has none
        "Content-Disposition: inline\nContent-Transfer-Encoding: quoted-printable\n"
        'Content-Type: multipart/mixed; charset="utf-8"; boundary="=_8"\n\nThis is a message in Mime Format.\n\n--=_8\n'
        "Content-Type: text/html\nContent-Transfer-Encoding: base64\n\nPHA+w7w=\n--=_8--\n",
        {"html": "<p>ü"},
    ),
    "mailhog/MailHog#457": (  # names of fields in lower case
        "content-transfer-encoding: base64\ncontent-type: text/plain; charset=utf-8\nsubject: s\n\nU3lz\n \nDQo=\n",
        {"subject": "s", "text": "Sys\r\n"},
    ),
}
# fmt: on

REPORTS = {**WORDS, **ADDRESSES, **NAMES, **BODIES, **PARTS}
NOTHING: dict[str, Any] = {
    "subject": None, "id": None, "from": [], "to": [], "text": None, "html": None, "attachments": [], "defects": [],
}  # fmt: skip
ORDINARY_FILE = {"disposition": "attachment", "content_id": None, "defects": []}


def read(context: dict[str, Any]) -> dict[str, Any]:
    message = context["message"]
    found = {key: message[key] for key in ("subject", "id", "text", "html")}
    for key in ("from", "to"):
        found[key] = [(item["name"], item["address"]) for item in message[key]]
    found["attachments"] = [
        {
            **{key: item[key] for key in ("filename", "content_type", "disposition", "content_id")},
            "content": base64.b64decode(item["content"]),
            "defects": sorted(item["defects"]),
        }
        for item in context["attachments"]
    ]
    return {**found, "defects": sorted(message["defects"])}


@pytest.mark.parametrize("name", REPORTS)
def test_report(name: str) -> None:
    text, wanted = REPORTS[name]
    octets = text.replace("\n", "\r\n").encode("utf-8", "surrogateescape")
    files = [{**ORDINARY_FILE, **item} for item in wanted.get("attachments", [])]
    for piece in (0, 1, 7, 1000):
        assert read(capture(octets, piece)) == {**NOTHING, **wanted, "attachments": files}, piece
