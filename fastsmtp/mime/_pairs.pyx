"""Charsets of one, two and three octets by tables; `_pairs.pyi` says how they are used.

Vendors' charsets are several of Python's codecs together, and each text may have characters of all of them: a table is
asked pair by pair, where a codec fails as a whole.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint32_t
from libc.string cimport memcpy, memset

ctypedef unsigned char octet

cdef extern from "Python.h":
    str PyUnicode_FromKindAndData(int kind, const void* characters, Py_ssize_t size)

cdef enum:
    REPLACEMENT = 0xFFFD
    UCS4 = 4
    PREFIX = 0x8F
    EURO = 0x80
    SEVERAL = 0x110000          # and above: several characters, whose place among `_several` comes on top
    ROW = 256
    LEADS = 128


@cython.final
cdef class PairTable:
    cdef:
        uint32_t _single[LEADS]
        uint32_t* _pairs        # ours; LEADS rows
        uint32_t* _behind_8f    # ours; the same, or NULL
        list _several

    def __cinit__(self, dict single not None, dict pairs not None, dict behind_8f):
        self._several = []
        memset(self._single, 0, sizeof(self._single))
        for lead, text in single.items():
            self._single[<int>lead - LEADS] = ord(text)
        self._pairs = self._fill(pairs)
        if behind_8f is not None:
            self._behind_8f = self._fill(behind_8f)

    def __dealloc__(self):
        PyMem_Free(self._pairs)
        PyMem_Free(self._behind_8f)

    cdef uint32_t* _fill(self, dict pairs) except NULL:
        cdef size_t size = LEADS * ROW * sizeof(uint32_t)
        cdef uint32_t* rows = <uint32_t*>PyMem_Malloc(size)
        cdef int pair
        if rows == NULL:
            raise MemoryError()
        memset(rows, 0, size)
        for pair, text in pairs.items():
            if len(<str>text) == 1:
                rows[pair - LEADS * ROW] = ord(<str>text)
            else:
                rows[pair - LEADS * ROW] = <uint32_t>(SEVERAL + len(self._several))
                self._several.append(text)
        return rows


@cython.final
cdef class PairDecoder:
    cdef:
        readonly bint damaged
        PairTable _table
        bytes _held             # the start of a character; at most two octets
        uint32_t* _out          # while a piece is decoded: where the next character goes

    def __cinit__(self, PairTable table not None):
        self._table = table
        self._held = b""

    def decode(self, bytes octets not None, bint final):
        octets = self._held + octets
        cdef const octet* at = <const octet*>PyBytes_AS_STRING(octets)
        cdef const octet* end = at + PyBytes_GET_SIZE(octets)
        cdef const octet* next_one
        # An octet is one character, two are two at most.
        cdef uint32_t* characters = <uint32_t*>PyMem_Malloc((PyBytes_GET_SIZE(octets) + 1) * sizeof(uint32_t))
        if characters == NULL:
            raise MemoryError()
        self._out = characters
        try:
            while at < end:
                next_one = self._read(at, end, final)
                if next_one == at:
                    break
                at = next_one
            self._held = octets[PyBytes_GET_SIZE(octets) - (end - at) :]
            return PyUnicode_FromKindAndData(UCS4, characters, self._out - characters)
        finally:
            PyMem_Free(characters)

    cdef void _put(self, uint32_t character) noexcept:
        self._out[0] = character
        self._out += 1

    cdef const octet* _read(self, const octet* at, const octet* end, bint final) except NULL:
        """One character at `at`; returns where the next one is, or `at` where octets of this one are missing."""
        cdef const uint32_t* rows = self._table._pairs
        cdef const octet* lead = at
        if at[0] < LEADS or self._table._single[at[0] - LEADS]:
            self._put(at[0] if at[0] < LEADS else self._table._single[at[0] - LEADS])
            return at + 1
        if at[0] == PREFIX and self._table._behind_8f != NULL:
            rows = self._table._behind_8f
            lead = at + 1
            if lead < end and lead[0] < LEADS:
                return self._lose(at, lead)
        if end - lead < 2:
            return self._lose(at, end) if final else at
        if not rows[(lead[0] - LEADS) * ROW + lead[1]]:
            # An ASCII octet is never lost: it may be markup (WHATWG Encoding, "prepend byte").
            return self._lose(at, lead + (1 if lead[1] < LEADS else 2))
        self._put_pair(rows[(lead[0] - LEADS) * ROW + lead[1]])
        return lead + 2

    cdef const octet* _lose(self, const octet* at, const octet* next_one) noexcept:
        self.damaged = True
        self._put(REPLACEMENT)
        return next_one

    cdef int _put_pair(self, uint32_t entry) except -1:
        if entry < SEVERAL:
            self._put(entry)
            return 0
        for character in <str>self._table._several[entry - SEVERAL]:
            self._put(ord(character))
        return 0


@cython.final
cdef class GBKDecoder:
    cdef bytes _held            # the start of a character; at most three octets

    def __cinit__(self):
        self._held = b""

    def decode(self, bytes octets not None, bint final):
        octets = self._held + octets
        cdef const octet* at = <const octet*>PyBytes_AS_STRING(octets)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(octets)
        cdef Py_ssize_t i = 0
        cdef Py_ssize_t length
        cdef Py_ssize_t written = 0
        cdef bytes decoded = PyBytes_FromStringAndSize(NULL, 2 * size)
        cdef octet* out = <octet*>PyBytes_AS_STRING(decoded)
        while i < size:
            length = gbk_length(at + i, size - i)
            if not length:
                if not final:
                    break
                length = 1
            if at[i] == EURO:
                out[written] = 0xA2
                out[written + 1] = 0xE3
                written += 2
            else:
                memcpy(out + written, at + i, length)
                written += length
            i += length
        self._held = octets[i:]
        return decoded[:written]


cdef inline bint is_gbk_lead(octet c) noexcept:
    return 0x81 <= c <= 0xFE


cdef inline bint is_gbk_digit(octet c) noexcept:
    return 0x30 <= c <= 0x39


cdef inline Py_ssize_t gbk_length(const octet* at, Py_ssize_t left) noexcept:
    """How many octets are one character (GB 18030), or one that has no meaning; 0 where some may be missing."""
    if not is_gbk_lead(at[0]):
        return 1
    if left == 1:
        return 0
    if not is_gbk_digit(at[1]):
        return 2 if 0x40 <= at[1] <= 0xFE and at[1] != 0x7F else 1
    if left == 2:
        return 0
    if not is_gbk_lead(at[2]):
        return 1
    if left == 3:
        return 0
    return 4 if is_gbk_digit(at[3]) else 1
