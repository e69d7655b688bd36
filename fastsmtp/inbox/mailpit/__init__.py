"""The HTTP APIs of Mailpit and MailHog, so that their clients work unchanged."""
