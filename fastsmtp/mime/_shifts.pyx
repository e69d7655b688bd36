"""Charsets of 7-bit octets, which change their meaning by signs among them; `_shifts.pyi` says how they are used.

Each character becomes the two octets, or three, that it has in a charset of EUC, which has no state.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

ctypedef unsigned char octet

cdef enum:
    ESCAPE = 0x1B
    LINE_FEED = 0x0A
    SHIFT_OUT = 0x0E
    SHIFT_IN = 0x0F
    SINGLE_SHIFT = 0x8E         # of EUC-JP: katakana
    NOTHING = 0x80              # twice: two octets that are not a character of EUC
    SUPPLEMENT_SHIFT = 0x8F     # of EUC-JP: JIS X 0212
    TILDE = 0x7E


cdef enum JISMode:
    ASCII                       # and whatever else is taken as it is
    KATAKANA                    # JIS X 0201
    KANJI                       # JIS X 0208, JIS X 0213 plane 1
    SUPPLEMENT                  # JIS X 0212, JIS X 0213 plane 2


@cython.final
cdef class JISDecoder:
    cdef:
        JISMode _mode
        bint _shifted           # between SO and SI: katakana, whatever the mode
        bytes _held             # the start of an escape sequence, or the first octet of two

    def __cinit__(self):
        self._held = b""

    def decode(self, bytes octets not None, bint final):
        return read_all(self, octets, final)

    cdef inline Py_ssize_t _read(self, const octet* at, Py_ssize_t left, bint final, octet** out) noexcept:
        """Read one character or sign; returns how many octets it has, 0 where some of them may be missing."""
        cdef Py_ssize_t length
        if at[0] == ESCAPE:
            if left < 4 and not final:
                return 0
            length = self._select(at, left)
            if length:
                return length
            self._mode = ASCII
            emit_single(NOTHING, out)
            return 1
        elif at[0] == SHIFT_OUT or at[0] == SHIFT_IN:
            self._shifted = at[0] == SHIFT_OUT
            return 1
        elif at[0] == LINE_FEED:  # each line begins in ASCII (RFC 1468)
            self._mode = ASCII
        if self._shifted or self._mode == KATAKANA:
            if 0x21 <= at[0] <= 0x5F:
                emit(out, SINGLE_SHIFT)
                emit(out, at[0] | 0x80)
                return 1
        elif self._mode != ASCII and 0x21 <= at[0] <= 0x7E:
            if left < 2 and not final:
                return 0
            if left < 2 or not 0x21 <= at[1] <= 0x7E:
                return lose_half(at, left, out)
            if self._mode == SUPPLEMENT:
                emit(out, SUPPLEMENT_SHIFT)
            emit(out, at[0] | 0x80)
            emit(out, at[1] | 0x80)
            return 2
        emit_single(at[0], out)
        return 1

    cdef Py_ssize_t _select(self, const octet* at, Py_ssize_t left) noexcept:
        """Select the charset that an escape sequence names; returns its length, 0 for one that is not known here.

        RFC 1468, RFC 2237, and JIS X 0213 as ISO-2022-JP-3 and -2004 have it.
        """
        if left >= 4 and at[1] == c"$" and at[2] == c"(":
            if at[3] == c"D" or at[3] == c"P":
                self._mode = SUPPLEMENT
            elif at[3] == c"@" or at[3] == c"B" or at[3] == c"O" or at[3] == c"Q":
                self._mode = KANJI
            else:
                return 0
            return 4
        if left < 3:
            return 0
        if at[1] == c"&" and at[2] == c"@":  # says which revision of JIS X 0208 the next one selects
            return 3
        if at[1] == c"$" and (at[2] == c"@" or at[2] == c"B"):
            self._mode = KANJI
        elif at[1] == c"(" and at[2] == c"I":
            self._mode = KATAKANA
        elif at[1] == c"(" and (at[2] == c"B" or at[2] == c"J" or at[2] == c"H"):
            self._mode = ASCII
        else:
            return 0
        return 3


@cython.final
cdef class ShiftDecoder:
    cdef:
        bint _is_hz             # or ISO-2022-KR
        bint _shifted           # inside of what a shift began: two octets are one character
        bytes _held             # the start of a sign or of a character; at most three octets

    def __cinit__(self, bint is_hz):
        self._is_hz = is_hz
        self._held = b""

    def decode(self, bytes octets not None, bint final):
        return read_all(self, octets, final)

    cdef inline Py_ssize_t _read(self, const octet* at, Py_ssize_t left, bint final, octet** out) noexcept:
        """Read one character or sign; returns how many octets it has, 0 where some of them may be missing."""
        if at[0] == LINE_FEED:  # each line begins in ASCII (RFC 1843, RFC 1557)
            self._shifted = False
        elif self._is_hz and at[0] == TILDE:
            return self._read_tilde(at, left, final, out)
        elif not self._is_hz and (at[0] == SHIFT_OUT or at[0] == SHIFT_IN):
            self._shifted = at[0] == SHIFT_OUT
            return 1
        elif not self._is_hz and at[0] == ESCAPE:
            if left < 4 and not final:
                return 0
            if left >= 4 and at[1] == c"$" and at[2] == c")" and at[3] == c"C":
                return 4
        elif self._shifted and 0x21 <= at[0] <= 0x7E:
            return self._read_pair(at, left, final, out)
        emit_single(at[0], out)
        return 1

    cdef Py_ssize_t _read_tilde(self, const octet* at, Py_ssize_t left, bint final, octet** out) noexcept:
        if left < 2:
            if final:
                emit_single(NOTHING, out)
            return 1 if final else 0
        if at[1] == c"{" or at[1] == c"}":
            self._shifted = at[1] == c"{"
            return 2
        if at[1] == TILDE and not self._shifted:
            emit(out, TILDE)
            return 2
        if at[1] == LINE_FEED and not self._shifted:
            return 2
        emit_single(NOTHING, out)
        return 1

    cdef Py_ssize_t _read_pair(self, const octet* at, Py_ssize_t left, bint final, octet** out) noexcept:
        if left < 2 and not final:
            return 0
        if left < 2 or not 0x21 <= at[1] <= 0x7E:
            return lose_half(at, left, out)
        if self._is_hz and at[1] == TILDE:
            if left < 3 and not final:
                return 0
            if left >= 3 and at[2] == c"}":  # no character begins with it: half of one stands before the shift back
                emit_single(NOTHING, out)
                return 1
        emit(out, at[0] | 0x80)
        emit(out, at[1] | 0x80)
        return 2


ctypedef fused Decoder:
    JISDecoder
    ShiftDecoder


# Made once for each of the decoders, so that the compiler knows which `_read` it is: a third of the cost.
cdef bytes read_all(Decoder decoder, bytes octets, bint final):
    octets = decoder._held + octets
    cdef const octet* at = <const octet*>PyBytes_AS_STRING(octets)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(octets)
    cdef Py_ssize_t i = 0
    cdef Py_ssize_t length
    cdef bytes euc = PyBytes_FromStringAndSize(NULL, 2 * size)
    cdef octet* out = <octet*>PyBytes_AS_STRING(euc)
    while i < size:
        length = decoder._read(at + i, size - i, final, &out)
        if not length:
            break
        i += length
    decoder._held = octets[i:]
    return euc[: out - <octet*>PyBytes_AS_STRING(euc)]


cdef inline void emit(octet** out, octet c) noexcept:
    out[0][0] = c
    out[0] += 1


cdef inline void emit_single(octet c, octet** out) noexcept:
    """Emit an octet that is a character of its own, if it is one of ASCII, or what has no meaning."""
    emit(out, c if c < NOTHING else NOTHING)
    if c >= NOTHING:
        emit(out, NOTHING)


cdef inline Py_ssize_t lose_half(const octet* at, Py_ssize_t left, octet** out) noexcept:
    """Half of a character has no meaning. An octet beyond ASCII behind it stands for the other half."""
    emit_single(NOTHING, out)
    return 2 if left > 1 and at[1] >= 0x80 else 1
