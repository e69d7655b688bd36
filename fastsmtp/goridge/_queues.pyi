"""What the kernel holds for the two sides of a relay. Nothing, where it does not tell, and for a descriptor of -1."""

def is_quiet(source: int, sink: int) -> bool:
    """Whether there is nothing to be read from `source`, no end of it either, and `sink` can still be written to."""

def unread(source: int) -> int:
    """How many octets have come that were not read."""

def has_ended(source: int) -> bool:
    """Whether the other side of a socket sends nothing more, whether or not all it has sent is read."""

def is_reset(source: int) -> bool:
    """Whether the other side of a socket is gone: it neither sends nor reads any more."""

def untaken(sink: int, pipe: bool) -> int:
    """Above 0 while octets written to `sink` are not read by the other side: of a unix socket, or of a `pipe`.

    Of a TCP socket it is octets that the other side's kernel has not confirmed.
    """
