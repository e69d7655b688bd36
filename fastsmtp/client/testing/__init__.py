"""Mailboxes for tests: a server for the whole run, and a namespace of its own for each test."""
