"""The load generator of `fastsmtp bench`: many connections of the SMTP client, and what they measure."""
