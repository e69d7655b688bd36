"""The default worker: shows mails in the terminal, and saves them."""
