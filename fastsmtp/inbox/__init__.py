"""The inbox: the process that keeps mails, and answers who asks for them."""
