"""Encodings of Unicode that Python's codecs read slowly; `_unicode.pyi` says how they are used.

Python calls its error handler for each octet without meaning, which takes a third of a microsecond: ten megabytes of
them would be seconds. Here they cost what others do.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport uint16_t, uint32_t
from libc.string cimport memchr, memcpy

from fastsmtp.mime._octets cimport octets_in
from fastsmtp.mime._utf8 cimport ascii_blocks, continuations, octet, whole_part

import sys

cdef extern from "Python.h":
    str PyUnicode_DecodeUTF16(const char* octets, Py_ssize_t size, const char* errors, int* byteorder)
    str PyUnicode_FromKindAndData(int kind, const void* characters, Py_ssize_t size)

cdef enum:
    REPLACEMENT = 0xFFFD
    PLUS = 0x2B
    MINUS = 0x2D
    UCS4 = 4

cdef int NATIVE = -1 if sys.byteorder == "little" else 1

cdef const octet* ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
cdef octet SEXTETS[256]  # octet -> value in the base64 of UTF-7, or 255

for _index in range(256):
    SEXTETS[_index] = 255
for _index in range(64):
    SEXTETS[ALPHABET[_index]] = _index


cdef inline bint is_high(uint32_t unit) noexcept:
    return 0xD800 <= unit <= 0xDBFF


cdef inline bint is_low(uint32_t unit) noexcept:
    return 0xDC00 <= unit <= 0xDFFF


@cython.final
cdef class Units:
    """UTF-16 code units on their way into a str. A surrogate is paired, or becomes U+FFFD."""

    cdef:
        uint16_t* _units    # ours
        Py_ssize_t _size
        uint32_t _high      # a high surrogate whose low one may follow; 0 = none
        bint damaged

    def __cinit__(self):
        self._high = 0

    def __dealloc__(self):
        PyMem_Free(self._units)

    cdef int open(self, Py_ssize_t size) except -1:
        """Make room for `size` units."""
        self._units = <uint16_t*>PyMem_Malloc((size + 1) * sizeof(uint16_t))
        if self._units == NULL:
            raise MemoryError()
        self._size = 0
        return 0

    cdef void put(self, uint32_t unit) noexcept:
        if self._high and is_low(unit):
            self._units[self._size] = <uint16_t>self._high
            self._units[self._size + 1] = <uint16_t>unit
            self._size += 2
            self._high = 0
            return
        self.end_pair()
        if is_high(unit):
            self._high = unit
        elif is_low(unit):
            self.lose()
        else:
            self._units[self._size] = <uint16_t>unit
            self._size += 1

    cdef void end_pair(self) noexcept:
        """No low surrogate comes any more."""
        if self._high:
            self._high = 0
            self.lose()

    cdef void lose(self) noexcept:
        """Something has no meaning."""
        self.end_pair()
        self.damaged = True
        self._units[self._size] = REPLACEMENT
        self._size += 1

    cdef str take(self):
        """What was put so far, but for a surrogate that waits for its other half."""
        cdef int order = NATIVE
        cdef str text = PyUnicode_DecodeUTF16(<const char*>self._units, self._size * sizeof(uint16_t), NULL, &order)
        PyMem_Free(self._units)
        self._units = NULL
        return text


@cython.final
cdef class UTF7Decoder:
    cdef:
        Units _units
        bint _shifted           # inside of base64
        bint _opened            # behind the "+", before what comes next
        bint _begun             # a unit of this base64 is there: a high surrogate that waits is of this base64, too
        uint32_t _bits          # of base64, not yet a unit
        int _count              # how many they are

    def __cinit__(self):
        self._units = Units()

    @property
    def damaged(self):
        return self._units.damaged

    def decode(self, bytes octets not None, bint final):
        cdef const octet* at = <const octet*>PyBytes_AS_STRING(octets)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(octets)
        cdef Py_ssize_t i
        # An octet is one unit or none; what waited may come out with the first, and with the end.
        self._units.open(size + 3)
        for i in range(size):
            if self._shifted:
                self._feed_shifted(at[i])
            else:
                self._feed_direct(at[i])
        if final:
            self._close()
        return self._units.take()

    cdef void _feed_direct(self, octet c) noexcept:
        if c == PLUS:
            self._shifted = self._opened = True
            self._begun = False
            self._bits = 0
            self._count = 0
        elif c < 0x80:
            self._units.put(c)
        else:
            self._units.lose()

    cdef void _feed_shifted(self, octet c) noexcept:
        cdef octet sextet = SEXTETS[c]
        if sextet < 64:
            self._opened = False
            self._bits = self._bits << 6 | sextet
            self._count += 6
            if self._count >= 16:
                self._count -= 16
                self._units.put(self._bits >> self._count)
                self._begun = True
                self._bits &= (1 << self._count) - 1
            return
        self._shifted = False
        if self._opened:  # nothing stands between: "+-" is a plus sign
            self._opened = False
            if c == MINUS:
                self._units.put(PLUS)
            else:
                self._units.lose()
        elif self._count >= 6 or self._bits:
            self._lose_rest()
        elif c >= 0x80 and self._begun and self._units._high:
            self._lose_rest()
        elif c != MINUS:
            self._feed_direct(c)

    cdef void _lose_rest(self) noexcept:
        """Bits that make no unit, and half of a pair before them: lost together."""
        if self._begun:
            self._units._high = 0
        self._units.lose()

    cdef void _close(self) noexcept:
        if self._shifted and (self._count >= 6 or self._bits):
            self._lose_rest()
        self._units.end_pair()


@cython.final
cdef class UTF16Decoder:
    cdef:
        Units _units
        bint _big_endian
        bint _odd               # an octet of a unit is there
        octet _first            # that octet

    def __cinit__(self, bint big_endian):
        self._units = Units()
        self._big_endian = big_endian

    @property
    def damaged(self):
        return self._units.damaged

    def decode(self, bytes octets not None, bint final):
        cdef const octet* at = <const octet*>PyBytes_AS_STRING(octets)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(octets)
        cdef Py_ssize_t i = 0
        self._units.open(size // 2 + 4)
        if self._odd and size:
            self._odd = False
            self._put(self._first, at[0])
            i = 1
        while i + 1 < size:
            self._put(at[i], at[i + 1])
            i += 2
        if i < size:
            self._odd = True
            self._first = at[i]
        if final:
            self._close()
        return self._units.take()

    cdef inline void _put(self, octet first, octet second) noexcept:
        self._units.put(first << 8 | second if self._big_endian else second << 8 | first)

    cdef void _close(self) noexcept:
        # What is left over is lost together: half of a pair, half of a unit, or one behind the other.
        if self._odd:
            self._units._high = 0
            self._units.lose()
        self._units.end_pair()


@cython.final
cdef class UTF32Decoder:
    cdef:
        readonly bint damaged
        bint _big_endian
        bytes _held             # fewer than four octets

    def __cinit__(self, bint big_endian):
        self._big_endian = big_endian
        self._held = b""

    def decode(self, bytes octets not None, bint final):
        octets = self._held + octets
        cdef const octet* at = <const octet*>PyBytes_AS_STRING(octets)
        cdef Py_ssize_t whole = PyBytes_GET_SIZE(octets) // 4
        cdef Py_ssize_t size = whole
        cdef Py_ssize_t i
        cdef uint32_t* characters = <uint32_t*>PyMem_Malloc((whole + 1) * sizeof(uint32_t))
        if characters == NULL:
            raise MemoryError()
        try:
            for i in range(whole):
                characters[i] = self._read(at + 4 * i)
            self._held = octets[4 * whole :]
            if final and self._held:
                self.damaged = True
                characters[whole] = REPLACEMENT
                size += 1
            return PyUnicode_FromKindAndData(UCS4, characters, size)
        finally:
            PyMem_Free(characters)

    cdef uint32_t _read(self, const octet* at) noexcept:
        cdef uint32_t character
        if self._big_endian:
            character = <uint32_t>at[0] << 24 | <uint32_t>at[1] << 16 | <uint32_t>at[2] << 8 | at[3]
        else:
            character = <uint32_t>at[3] << 24 | <uint32_t>at[2] << 16 | <uint32_t>at[1] << 8 | at[0]
        if character > 0x10FFFF or 0xD800 <= character <= 0xDFFF:
            self.damaged = True
            return REPLACEMENT
        return character


def weigh_utf8(octets):
    cdef const octet* at = octets_in(octets, 0, len(octets))
    cdef const octet* end = at + len(octets)
    cdef Py_ssize_t characters = 0
    cdef Py_ssize_t lost = 0
    cdef Py_ssize_t length
    while at < end:
        at += ascii_blocks(at, end)
        while at < end and at[0] < 0x80:
            at += 1
            if end - at >= 16 and at[0] < 0x80:
                break
        if at == end or at[0] < 0x80:
            continue
        if is_surrogate_pair(at, end - at):
            characters += 1
            at += 6
            continue
        length = whole_part(at, end - at)
        if length > 1 and length == continuations(at[0]) + 1:
            characters += 1
        else:
            lost += 1
            # More than a stray octet can be: a text that was cut.
            characters += length > 1 and at + length == end
        at += length
    return characters, lost


cdef inline bint is_surrogate_pair(const octet* at, Py_ssize_t left) noexcept:
    """Whether here is a character of CESU-8: two surrogates, each as a sequence of three octets."""
    return (
        left >= 6
        and at[0] == 0xED and 0xA0 <= at[1] <= 0xAF and at[2] & 0xC0 == 0x80
        and at[3] == 0xED and 0xB0 <= at[4] <= 0xBF and at[5] & 0xC0 == 0x80
    )


@cython.final
cdef class CESUDecoder:
    cdef bytes _held            # the start of a pair; at most five octets

    def __cinit__(self):
        self._held = b""

    def decode(self, bytes octets not None, bint final):
        octets = self._held + octets
        cdef const octet* at = <const octet*>PyBytes_AS_STRING(octets)
        cdef const octet* end = at + PyBytes_GET_SIZE(octets)
        cdef const octet* lead
        cdef bytes utf8 = PyBytes_FromStringAndSize(NULL, PyBytes_GET_SIZE(octets))
        cdef octet* out = <octet*>PyBytes_AS_STRING(utf8)
        while at < end:
            lead = <const octet*>memchr(at, 0xED, end - at)
            if lead == NULL:
                lead = end
            memcpy(out, at, lead - at)
            out += lead - at
            at = lead
            if at == end or (end - at < 6 and not final):
                break
            if is_surrogate_pair(at, end - at):
                join_pair(at, out)
                out += 4
                at += 6
            else:
                out[0] = at[0]
                out += 1
                at += 1
        self._held = octets[PyBytes_GET_SIZE(octets) - (end - at) :]
        return utf8[: out - <octet*>PyBytes_AS_STRING(utf8)]


cdef inline void join_pair(const octet* at, octet* out) noexcept:
    """Six octets of CESU-8 as four of UTF-8."""
    cdef uint32_t high = (at[1] & 0x0F) << 6 | at[2] & 0x3F
    cdef uint32_t low = (at[4] & 0x0F) << 6 | at[5] & 0x3F
    cdef uint32_t character = 0x10000 + (high << 10 | low)
    out[0] = <octet>(0xF0 | character >> 18)
    out[1] = <octet>(0x80 | character >> 12 & 0x3F)
    out[2] = <octet>(0x80 | character >> 6 & 0x3F)
    out[3] = <octet>(0x80 | character & 0x3F)
