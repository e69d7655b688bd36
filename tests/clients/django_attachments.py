"""Sends a mail with HTML and two files as Django projects do, over STARTTLS. usage: django_attachments.py HOST PORT"""

import sys

from django.conf import settings
from django.core.mail import EmailMultiAlternatives

host, port = sys.argv[1:]
settings.configure(
    EMAIL_HOST=host, EMAIL_PORT=int(port), EMAIL_HOST_USER="juergen", EMAIL_HOST_PASSWORD="geheim", EMAIL_USE_TLS=True
)
message = EmailMultiAlternatives(
    "Grüße aus Köln",
    "Schöne Grüße,\nZoë\n",
    "Zoë Müller <zoe@example.com>",
    ["Bob <bob@example.com>", "carol@example.com"],
)
message.attach_alternative("<p>Schöne Grüße,<br>Zoë</p>\n", "text/html")
message.attach("Übersicht für März.csv", b"a;b\n1;2\n", "text/csv")
message.attach("pixel.png", b"\x89PNG\r\n\x1a\n" + b"\0\1\2\3" * 1000, "image/png")
message.send()
