"""A worker in Python: the JSON of each mail as a dict."""

from __future__ import annotations

import sys

from fastsmtp.worker import Worker

for email in Worker():
    envelope, message = email["envelope"], email["message"]
    recipients = ", ".join(envelope["to"])
    attachments = len(email["attachments"])
    login = email["authentication"]
    told = f", {login['username']} logged in with {login['password']}" if login["attempted"] else ""
    # What goes to stderr is logged by the server.
    print(f"{envelope['from']} -> {recipients}: {message['subject']}, {attachments} attachments{told}", file=sys.stderr)
    if message["subject"] == "close":
        email.close()  # accepted, then the SMTP session ends
