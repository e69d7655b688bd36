"""The jobs shape: what differs from the usual payload, and what the answers of consumers mean."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from captures import capture, capture_email

from fastsmtp.delivery.jobs import encode_job, read_answer

MESSAGE = (
    "From: Zoë <zoe@example.com>\r\nTo: Bob <bob@example.com>, carol@example.com\r\nCc: dave@example.com\r\n"
    'Reply-To: "Replies, please" <replies@example.com>\r\nSubject: Grüße\r\nMessage-ID: <1@example.com>\r\n'
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\n\r\nHello\r\n"
    "--b\r\nContent-Type: image/png; name=a.png\r\nContent-ID: <cid@x>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    "AAEC\r\n--b--\r\n"
).encode()


def captured_job(octets: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Context and body of the job that a message becomes."""
    email = capture_email(octets, include_raw=True)
    assert email is not None
    context, body = encode_job(email, "mails")
    return json.loads(b"".join(context)), json.loads(b"".join(body))


def test_job() -> None:
    context, body = captured_job(MESSAGE)
    assert context == {
        "id": body["uuid"],
        "job": "smtp.email",
        "driver": "memory",
        "headers": {"uuid": [body["uuid"]], "payload_class": ["smtp:handler"]},
        "pipeline": "mails",
    }
    assert body["envelope"] == {
        "from": [{"email": "zoe@example.com", "name": "Zoë"}],
        "to": [{"email": "bob@example.com", "name": "Bob"}, {"email": "carol@example.com", "name": ""}],
        "ccs": [{"email": "dave@example.com", "name": ""}],
        "replyTo": [{"email": "replies@example.com", "name": "Replies, please"}],
        "allRecipients": ["r@example.com"],
        "helo": "client.example.com",
        "mail_params": {},
        "rcpt_params": [{}],
    }
    assert body["attachments"] == [
        {
            "filename": "a.png",
            "content_type": "image/png",
            "type": "image/png",
            "size": 3,
            "disposition": "inline",
            "content_id": "cid@x",
            "contentId": "cid@x",
            "defects": [],
            "content": base64.b64encode(b"\0\1\2").decode(),
        }
    ]
    assert body["message"]["raw"].encode() == MESSAGE


def test_the_rest_is_as_in_the_usual_payload() -> None:
    usual = capture(MESSAGE, include_raw=True)
    assert usual is not None
    _, body = captured_job(MESSAGE)
    for document in (usual, body):
        for key in ("uuid", "received_at", "envelope", "attachments"):
            del document[key]
    assert body == usual


def test_without_header_fields() -> None:
    _, body = captured_job(b"\r\nx\r\n")
    envelope = {key: body["envelope"][key] for key in ("from", "to", "ccs", "replyTo", "allRecipients")}
    assert envelope == {"from": [], "to": [], "ccs": [], "replyTo": [], "allRecipients": ["r@example.com"]}
    assert (body["message"]["id"], body["message"]["subject"], body["attachments"]) == (None, "", [])


def test_what_is_not_utf8_stays_a_mail() -> None:
    _, body = captured_job(b"Subject: x\r\n\r\n\xff caf\xe9\r\n")
    raw = (body["message"]["raw"], body["message"]["raw_encoding"])
    assert raw == ("Subject: x\r\n\r\n\ufffd caf\ufffd\r\n", "lossy")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ('{"type":0,"data":[]}', None),
        ('{"type":0}', None),
        ('{"type":2,"data":{}}', None),
        ('{"type":1,"data":{"message":"oops","requeue":false,"delay_seconds":0}}', "oops"),
        ('{"type":1,"data":{"message":"oops","requeue":true,"headers":{"a":["b"]}}}', "oops (not queued again)"),
        ('{"type":3,"data":{"message":"no","requeue":false}}', "no"),
        ('{"type":4,"data":{"delay_seconds":5}}', "no message (not queued again)"),
        ('{"type":1,"data":[]}', "no message"),
        ('{"type":1}', "no message"),
    ],
)
def test_answers(answer: str, error: str | None) -> None:
    assert read_answer(answer.encode()) == error


NO_ANSWERS = {
    "nothing": b"",
    "word": b"CONTINUE",
    "list": b"[]",
    "no type": b"{}",
    "unknown type": b'{"type":5}',
    "type as text": b'{"type":"0"}',
    "type as list": b'{"type":[]}',
    "data as number": b'{"type":1,"data":7}',
    "not UTF-8": b'{"type":1,"data":{"message":"\xff"}}',
    "deep": b"[" * 100_000,
    "deep data": b'{"type":0,"data":' + b"[" * 100_000,
}


@pytest.mark.parametrize("case", NO_ANSWERS)
def test_what_is_no_answer(case: str) -> None:
    with pytest.raises(ValueError, match=r"\A"):
        read_answer(NO_ANSWERS[case])
