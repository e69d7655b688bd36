from fastsmtp.capture.email import Email, Segment

def write_context(
    email: Email,
    raw: Segment | None,
    received_at: str,
    authentication: bytes | None,
    session: bytes | None,
    end: bytes,
    omit: int,
) -> bytes | None:
    """The JSON document of an email up to its message, and then `end`; None where a str in it is no Unicode text.

    `raw` are the octets that are shown, None where they are not. `authentication` and `session` are the JSON of these
    keys, None for those of a client that gave no credentials, and of a session without TLS, proxy, transcript and
    violations. `omit` says what else is left out: see `omission`.
    """
