"""UTF-8 octets as a JSON string (RFC 8259 section 7); `_json.pyi` says how it is used.

Three passes that look at 16 octets at once: are they UTF-8, how much do escapes add, copy.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcpy

from fastsmtp.mime._octets cimport octets_in
from fastsmtp.mime._utf8 cimport ascii_blocks, octet, sequence

cdef extern from *:
    """
    #include <string.h>
    typedef unsigned char fastsmtp_block __attribute__((vector_size(16)));
    typedef unsigned long long fastsmtp_pair __attribute__((vector_size(16)));

    /* How many octets from `at` on need no escape: neither control characters, nor a quote, nor a backslash. */
    static inline Py_ssize_t fastsmtp_unescaped(const unsigned char *at, const unsigned char *end)
    {
        const unsigned char *start = at;
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        fastsmtp_block octets;
        fastsmtp_pair odd;
        for (; end - at >= 16; at += 16) {
            memcpy(&octets, at, 16);
            odd = (fastsmtp_pair)((octets < 0x20) | (octets == '"') | (octets == '\\\\'));
            if (odd[0])
                return at - start + __builtin_ctzll(odd[0]) / 8;
            if (odd[1])
                return at - start + 8 + __builtin_ctzll(odd[1]) / 8;
        }
    #endif
        while (at < end && *at >= 0x20 && *at != '"' && *at != '\\\\')
            at++;
        return at - start;
    }
    """
    Py_ssize_t unescaped "fastsmtp_unescaped" (const octet* at, const octet* end) noexcept nogil


cdef:
    const octet* _DIGITS = b"0123456789abcdef"
    octet _short[128]  # what stands behind the backslash of a short escape; 0 = it has no short escape

for _index in range(128):
    _short[_index] = 0
_short[0x08] = c"b"
_short[0x09] = c"t"
_short[0x0A] = c"n"
_short[0x0C] = c"f"
_short[0x0D] = c"r"
_short[0x22] = c'"'
_short[0x5C] = c"\\"


cdef const octet* _utf8_end(const octet* at, const octet* end) noexcept:
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


cdef Py_ssize_t _measure(const octet* at, const octet* end) noexcept:
    """Octets of the JSON string without its quotes."""
    cdef Py_ssize_t size = end - at
    at += unescaped(at, end)
    while at < end:
        size += 1 if _short[at[0]] else 5
        at += 1
        at += unescaped(at, end)
    return size


cdef void _write(octet* out, const octet* at, const octet* end) noexcept:
    cdef Py_ssize_t run
    while True:
        run = unescaped(at, end)
        memcpy(out, at, run)
        out += run
        at += run
        if at == end:
            return
        out = _escape(out, at[0])
        at += 1


cdef inline octet* _escape(octet* out, octet character) noexcept:
    out[0] = c"\\"
    if _short[character]:
        out[1] = _short[character]
        return out + 2
    memcpy(out + 1, b"u00", 3)
    out[4] = _DIGITS[character >> 4]
    out[5] = _DIGITS[character & 15]
    return out + 6


def quote(bytearray octets not None):
    cdef:
        const octet* at = <const octet*>PyByteArray_AS_STRING(octets)
        const octet* end = at + PyByteArray_GET_SIZE(octets)
        Py_ssize_t size
        octet* out
    if _utf8_end(at, end) != end:
        return None
    size = _measure(at, end)
    quoted = PyBytes_FromStringAndSize(NULL, size + 2)
    out = <octet*>PyBytes_AS_STRING(quoted)
    out[0] = out[size + 1] = c'"'
    _write(out + 1, at, end)
    return quoted


def utf8_end(octets, Py_ssize_t start, Py_ssize_t end):
    cdef const octet* at = octets_in(octets, start, end)
    return start + (_utf8_end(at, at + (end - start)) - at)


def escaped_size(octets, Py_ssize_t start, Py_ssize_t end):
    cdef const octet* at = octets_in(octets, start, end)
    return _measure(at, at + (end - start))


def escape(octets, Py_ssize_t start, Py_ssize_t end):
    cdef const octet* at = octets_in(octets, start, end)
    cdef const octet* stop = at + (end - start)
    escaped = PyBytes_FromStringAndSize(NULL, _measure(at, stop))
    _write(<octet*>PyBytes_AS_STRING(escaped), at, stop)
    return escaped
