"""The SMTP client of `send` and `bench`."""
