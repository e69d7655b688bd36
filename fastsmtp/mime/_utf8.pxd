"""UTF-8 (RFC 3629) looked at octet by octet. Everything here is inlined."""

ctypedef unsigned char octet

cdef extern from *:
    """
    #include <string.h>
    typedef unsigned long long fastsmtp_ascii_pair __attribute__((vector_size(16)));

    /* How many octets from `at` on are ASCII, in whole blocks; fewer than a block are left to the caller. */
    static inline Py_ssize_t fastsmtp_ascii(const unsigned char *at, const unsigned char *end)
    {
        const unsigned char *start = at;
        fastsmtp_ascii_pair octets;
        for (; end - at >= 16; at += 16) {
            memcpy(&octets, at, 16);
            if ((octets[0] | octets[1]) & 0x8080808080808080ULL)
                break;
        }
        return at - start;
    }
    """
    Py_ssize_t ascii_blocks "fastsmtp_ascii" (const octet* at, const octet* end) noexcept nogil


cdef inline int continuations(octet lead) noexcept nogil:
    """How many octets follow this first one of a sequence; 0 where it cannot begin one of several octets."""
    if 0xC2 <= lead <= 0xDF:
        return 1
    if 0xE0 <= lead <= 0xEF:
        return 2
    return 3 if 0xF0 <= lead <= 0xF4 else 0


cdef inline bint follows(octet lead, octet second) noexcept nogil:
    """Whether this octet may be the second of a sequence that is not overlong, a surrogate or beyond Unicode."""
    if second & 0xC0 != 0x80:
        return False
    if lead == 0xE0:
        return second >= 0xA0
    if lead == 0xED:
        return second <= 0x9F
    if lead == 0xF0:
        return second >= 0x90
    return lead != 0xF4 or second <= 0x8F


cdef inline Py_ssize_t whole_part(const octet* at, Py_ssize_t left) noexcept nogil:
    """How many octets at `at`, which is not ASCII, begin a sequence, or are one. At least 1.

    That many become one U+FFFD where they are no whole sequence (Unicode 3.9, maximal subparts), as Python has it.
    """
    cdef int wanted = continuations(at[0])
    cdef Py_ssize_t length = 1
    if wanted and left > 1 and follows(at[0], at[1]):
        length = 2
        while length <= wanted and length < left and at[length] & 0xC0 == 0x80:
            length += 1
    return length


cdef inline Py_ssize_t sequence(const octet* at, Py_ssize_t left) noexcept nogil:
    """The length of the sequence of several octets at `at`; 0 where it is malformed."""
    cdef int wanted = continuations(at[0])
    if wanted and left > wanted and whole_part(at, left) == wanted + 1:
        return wanted + 1
    return 0


cdef inline const octet* whole_until(const octet* at, const octet* end) noexcept nogil:
    """Where the octets end that are whole sequences of UTF-8."""
    cdef Py_ssize_t length
    cdef const octet* block
    while at < end:
        at += ascii_blocks(at, end)
        block = at + 16 if end - at > 16 else end  # there is something else in it
        while at < block:
            if at[0] < 0x80:
                at += 1
                continue
            if 0xC2 <= at[0] <= 0xDF and end - at >= 2 and at[1] & 0xC0 == 0x80:
                at += 2  # most letters of most alphabets
                continue
            length = sequence(at, end - at)
            if length == 0:
                return at
            at += length
    return at
