"""The SMTP client of `send`."""
