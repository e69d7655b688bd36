"""The ends of quoted strings and comments, plain identifiers, and escapes in hexadecimal.

`_quoting.pyi` says how they are used.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memchr, memcpy

ctypedef unsigned char octet

cdef extern from "Python.h":
    int PyUnicode_KIND(object text) noexcept
    void* PyUnicode_DATA(object text) noexcept
    Py_UCS4 PyUnicode_READ(int kind, void* data, Py_ssize_t index) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(object text) noexcept

cdef octet DIGITS[256]  # octet -> value of the hexadecimal digit, or 255

for _index in range(256):
    DIGITS[_index] = 255
for _index in range(10):
    DIGITS[0x30 + _index] = _index
for _index in range(6):
    DIGITS[0x41 + _index] = DIGITS[0x61 + _index] = 10 + _index


def find_quote_end(str value not None, Py_ssize_t position):
    cdef int kind = PyUnicode_KIND(value)
    cdef void* data = PyUnicode_DATA(value)
    cdef Py_ssize_t end = PyUnicode_GET_LENGTH(value)
    cdef Py_UCS4 character
    while position < end:
        character = PyUnicode_READ(kind, data, position)
        if character == u'"':
            return position
        position += 2 if character == u"\\" else 1
    return -1


def find_comment_end(str value not None, Py_ssize_t position):
    cdef int kind = PyUnicode_KIND(value)
    cdef void* data = PyUnicode_DATA(value)
    cdef Py_ssize_t end = PyUnicode_GET_LENGTH(value)
    cdef Py_ssize_t depth = 1
    cdef Py_UCS4 character
    while position < end:
        character = PyUnicode_READ(kind, data, position)
        if character == u"(":
            depth += 1
        elif character == u")":
            depth -= 1
            if depth == 0:
                return position
        elif character == u"\\":
            position += 1
        position += 1
    return -1


cdef inline bint _is_plain(Py_UCS4 character) noexcept:
    return (
        u" " < character < u"\x7f"
        and character != u"("
        and character != u")"
        and character != u'"'
        and character != u";"
        and character != u"<"
        and character != u">"
        and character != u"\\"
    )


def is_plain_identifier(str value not None):
    cdef int kind = PyUnicode_KIND(value)
    cdef void* data = PyUnicode_DATA(value)
    cdef Py_ssize_t last = PyUnicode_GET_LENGTH(value) - 1
    cdef Py_ssize_t position
    if last < 2 or PyUnicode_READ(kind, data, 0) != u"<" or PyUnicode_READ(kind, data, last) != u">":
        return False
    for position in range(1, last):
        if not _is_plain(PyUnicode_READ(kind, data, position)):
            return False
    return True


def decode_hex(bytes octets not None, bytes mark not None):
    cdef const octet* at = <const octet*>PyBytes_AS_STRING(octets)
    cdef const octet* end = at + PyBytes_GET_SIZE(octets)
    cdef const octet* hit
    cdef octet sign = (<const octet*>PyBytes_AS_STRING(mark))[0]
    cdef bytes decoded = PyBytes_FromStringAndSize(NULL, end - at)
    cdef octet* start = <octet*>PyBytes_AS_STRING(decoded)
    cdef octet* out = start
    while at < end:
        hit = <const octet*>memchr(at, sign, end - at)
        if hit == NULL:
            hit = end
        memcpy(out, at, hit - at)
        out += hit - at
        at = hit
        if at == end:
            break
        if end - at >= 3 and (DIGITS[at[1]] | DIGITS[at[2]]) < 16:
            out[0] = <octet>(DIGITS[at[1]] << 4 | DIGITS[at[2]])
            at += 3
        else:
            out[0] = sign
            at += 1
        out += 1
    return decoded[: out - start]
