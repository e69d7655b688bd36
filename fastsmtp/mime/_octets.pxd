"""Chunks of octets, as both decoders of transfer encodings take and make them. Everything here is inlined."""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_Check, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_GET_SIZE
from cpython.object cimport PyObject

ctypedef unsigned char octet

cdef extern from "Python.h":
    # Declared here because the object is held as a plain pointer while it is built.
    PyObject* new_octets "PyBytes_FromStringAndSize" (const char* octets, Py_ssize_t size) except NULL
    char* octets_of "PyBytes_AS_STRING" (PyObject* octets) noexcept nogil
    int _PyBytes_Resize(PyObject** octets, Py_ssize_t size) except -1

cdef extern from *:
    """
    /* 16 octets looked at together, and the same as two words: whether any of them is set. */
    typedef unsigned char fastsmtp_octets __attribute__((vector_size(16)));
    typedef unsigned long long fastsmtp_halves __attribute__((vector_size(16)));
    """


cdef inline const octet* octets_in(object buf, Py_ssize_t start, Py_ssize_t end) except NULL:
    """Where buf[start:end] lies in memory; valid as long as the caller keeps `buf` and does not resize it."""
    cdef const octet* octets
    cdef Py_ssize_t size
    if PyByteArray_Check(buf):
        octets = <const octet*>PyByteArray_AS_STRING(buf)
        size = PyByteArray_GET_SIZE(buf)
    elif PyBytes_Check(buf):
        octets = <const octet*>PyBytes_AS_STRING(buf)
        size = PyBytes_GET_SIZE(buf)
    else:
        raise TypeError(f"bytearray or bytes expected, not {type(buf).__name__}")
    if not 0 <= start <= end <= size:
        raise ValueError(f"[{start}:{end}] is not inside a buffer of {size}")
    return octets + start
