"""Messages taken apart while they arrive (RFC 5322, RFC 2045 to 2049, RFC 2231, RFC 2047): no sockets, no files."""
