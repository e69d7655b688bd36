"""A worker in Python: the JSON of each mail as a dict."""

from __future__ import annotations

import sys

from fastsmtp.worker import Worker

for email in Worker():
    envelope, message = email["envelope"], email["message"]
    recipients = ", ".join(envelope["to"])
    count = len(email["attachments"])
    attachments = "1 attachment" if count == 1 else f"{count} attachments"
    login = email["authentication"]
    subject = "(no subject)" if message["subject"] is None else message["subject"]
    told = f", {login['username']} logged in with {login['password']}" if login["attempted"] else ""
    # What goes to stderr is logged by the server.
    print(f"{envelope['from']} -> {recipients}: {subject}, {attachments}{told}", file=sys.stderr)
    if subject == "close":
        email.close()  # accepted, then the SMTP session ends
