"""Sends one mail as a Django project does. usage: django_mail.py HOST PORT USER PASSWORD"""

import sys

from django.conf import settings
from django.core.mail import send_mail

host, port, user, password = sys.argv[1:]
settings.configure(EMAIL_HOST=host, EMAIL_PORT=int(port), EMAIL_HOST_USER=user, EMAIL_HOST_PASSWORD=password)
send_mail("Login", "It works.", "zoe@example.com", ["bob@example.com"])
