"""The load generator of `fastsmtp bench`: an SMTP client for any server, and what it measures."""
