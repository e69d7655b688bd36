"""UTF-8 octets as a JSON string (RFC 8259 section 7); `_json.pyi` says how it is used.

Three passes that look at 16 octets at once: are they UTF-8, how much do escapes add, copy.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from fastsmtp.capture._escape cimport escaped_size_of, write_escaped
from fastsmtp.mime._octets cimport octets_in
from fastsmtp.mime._utf8 cimport octet, whole_until


def quote(bytearray octets not None):
    cdef:
        const octet* at = <const octet*>PyByteArray_AS_STRING(octets)
        const octet* end = at + PyByteArray_GET_SIZE(octets)
        Py_ssize_t size
        octet* out
    if whole_until(at, end) != end:
        return None
    size = escaped_size_of(at, end)
    quoted = PyBytes_FromStringAndSize(NULL, size + 2)
    out = <octet*>PyBytes_AS_STRING(quoted)
    out[0] = out[size + 1] = c'"'
    write_escaped(out + 1, at, end)
    return quoted


def utf8_end(octets, Py_ssize_t start, Py_ssize_t end):
    cdef const octet* at = octets_in(octets, start, end)
    return start + (whole_until(at, at + (end - start)) - at)


def escaped_size(octets, Py_ssize_t start, Py_ssize_t end):
    cdef const octet* at = octets_in(octets, start, end)
    return escaped_size_of(at, at + (end - start))


def escape(octets, Py_ssize_t start, Py_ssize_t end):
    cdef const octet* at = octets_in(octets, start, end)
    cdef const octet* stop = at + (end - start)
    escaped = PyBytes_FromStringAndSize(NULL, escaped_size_of(at, stop))
    write_escaped(<octet*>PyBytes_AS_STRING(escaped), at, stop)
    return escaped
