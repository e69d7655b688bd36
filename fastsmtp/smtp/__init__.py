"""The SMTP session (RFC 5321) without sockets, time or files: octets in, replies and events out."""
