"""Lines of a header looked at octet by octet. Everything here is inlined."""

cdef inline bint is_blank(unsigned char c) noexcept nogil:
    return c == c" " or c == c"\t"


cdef inline bint is_empty(const unsigned char* at, const unsigned char* end) noexcept nogil:
    """Whether a line that ends before `end`, where its LF is, is empty.

    QUIRK: pipes in text mode on Windows double the CR: a line of nothing but CR is empty.
    """
    while at < end and at[0] == c"\r":
        at += 1
    return at == end


cdef inline bint is_field(const unsigned char* at, const unsigned char* end) noexcept nogil:
    """Whether a line that ends before `end` is taken for the first one of a field; `mime/header.py` says of which."""
    if at < end and is_blank(at[0]):
        return False
    while at < end and at[0] != c":" and at[0] != c"\r" and not is_blank(at[0]):
        at += 1
    while at < end and is_blank(at[0]):
        at += 1
    if at == end or at[0] != c":":
        return False
    return not (end - at > 2 and at[1] == c"/" and at[2] == c"/")
