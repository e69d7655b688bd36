"""Quoted-printable (RFC 2045 6.7), and the encodings that change nothing; `_quoted_printable.pyi` says how it is used.

The decoder works on whole lines inside the chunk (memchr, memcpy); what the end of a chunk leaves undecided - an
escape, or blanks that may turn out to stand before a line end - goes through a state machine and is held.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.string cimport memchr, memcpy

from fastsmtp.mime._octets cimport _PyBytes_Resize, new_octets, octet, octets_in, octets_of

from fastsmtp.mime import defects as _names

cdef extern from *:
    """
    /* Copy `size` octets or up to the first "=" among them; returns how many that were. Reads no more than `readable`
       octets and may write as many. Escapes are too close to each other for memchr() and memcpy() to pay. */
    static inline Py_ssize_t fastsmtp_copy_plain(
        unsigned char *out, const unsigned char *source, Py_ssize_t size, Py_ssize_t readable)
    {
        Py_ssize_t i = 0;
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        fastsmtp_octets octets;
        fastsmtp_halves hits;
        Py_ssize_t plain;
        for (; i < size && readable - i >= 16; i += 16) {
            memcpy(&octets, source + i, 16);
            memcpy(out + i, &octets, 16);
            hits = (fastsmtp_halves)(octets == 0x3D);
            if (hits[0] | hits[1]) {
                plain = i + (hits[0] ? __builtin_ctzll(hits[0]) / 8 : 8 + __builtin_ctzll(hits[1]) / 8);
                return plain < size ? plain : size;
            }
        }
        if (i >= size)
            return size;
    #endif
        for (; i < size && source[i] != '='; i++)
            out[i] = source[i];
        return i;
    }
    """
    Py_ssize_t copy_plain "fastsmtp_copy_plain" (
        octet* out, const octet* source, Py_ssize_t size, Py_ssize_t readable
    ) noexcept nogil


cdef enum:
    LF = 0x0A
    CR = 0x0D
    TAB = 0x09
    BLANK = 0x20
    EQUALS = 0x3D

    MAX_BLANKS = 998        # RFC 5322 2.1.1, longest line; a longer run of blanks is no accident of a transport: kept


cdef enum QuotedState:
    QP_TEXT                 # nothing held
    QP_BLANKS               # blanks, held
    QP_BLANKS_CR            # blanks, CR
    QP_LONG_BLANKS          # more than MAX_BLANKS blanks, already handed out
    QP_ESCAPE               # =
    QP_ESCAPE_DIGIT         # = and one hexadecimal digit
    QP_ESCAPE_BLANKS        # = and blanks, held
    QP_ESCAPE_CR            # =, blanks if any, CR
    QP_ESCAPE_CR_CR         # the same with a second CR: pipes in text mode on Windows make CR CR LF of line ends


cdef octet DIGITS[256]      # octet -> value of the hexadecimal digit, or 255


cdef void fill_digits() noexcept:
    cdef int i
    for i in range(256):
        DIGITS[i] = 255
    for i in range(10):
        DIGITS[0x30 + i] = <octet>i
    for i in range(6):
        DIGITS[0x41 + i] = DIGITS[0x61 + i] = <octet>(10 + i)


fill_digits()


cdef inline bint is_blank(octet c) noexcept nogil:
    return c == BLANK or c == TAB


cdef inline bint is_soft_break(const octet* source, const octet* end) noexcept nogil:
    """Whether a line without its line end, source..end, ends with "=" and blanks."""
    cdef const octet* text_end = end
    while text_end > source and is_blank((text_end - 1)[0]):
        text_end -= 1
    return end - text_end <= MAX_BLANKS and text_end > source and (text_end - 1)[0] == EQUALS


@cython.final
cdef class QuotedPrintableDecoder:
    cdef:
        readonly list defects       # names of `mime/defects.py`, shared with the caller that made this object
        QuotedState _state
        bint _invalid               # an escape was malformed
        octet _digit                # the digit of QP_ESCAPE_DIGIT, as sent
        int _held_size              # blanks in `_held`
        octet[MAX_BLANKS] _held     # blanks that are dropped if a line end follows
        octet* _out                 # where the next octet goes; inside the bytes object that feed() builds

    def __cinit__(self, list defects not None):
        self.defects = defects
        self._state = QP_TEXT

    cdef void _emit(self, octet c) noexcept:
        self._out[0] = c
        self._out += 1

    cdef void _release(self) noexcept:
        """The held blanks are text."""
        memcpy(self._out, self._held, self._held_size)
        self._out += self._held_size
        self._held_size = 0

    cdef void _hold(self, octet c) noexcept:
        """One more blank; too many of them are text."""
        if self._held_size < MAX_BLANKS:
            self._held[self._held_size] = c
            self._held_size += 1
            return
        if self._state == QP_ESCAPE_BLANKS:
            self._refuse_escape()
        self._release()
        self._emit(c)
        self._state = QP_LONG_BLANKS

    cdef void _refuse_escape(self) noexcept:
        """RFC 2045 6.7: what is not an escape is kept as it came."""
        self._invalid = True
        self._emit(EQUALS)

    cdef void _start_octet(self, octet c) noexcept:
        """QP_TEXT: one octet with nothing held."""
        if c == EQUALS:
            self._state = QP_ESCAPE
        elif is_blank(c):
            self._state = QP_BLANKS
            self._hold(c)
        else:
            self._emit(c)

    cdef void _feed_octet(self, octet c) noexcept:
        """One octet in any state. Writes at most what is held and `c`."""
        cdef QuotedState state = self._state
        if state == QP_TEXT:
            self._start_octet(c)
            return
        if is_blank(c) and state in (QP_BLANKS, QP_ESCAPE_BLANKS, QP_ESCAPE):
            if state == QP_ESCAPE:
                self._state = QP_ESCAPE_BLANKS
            self._hold(c)
            return
        if is_blank(c) and state == QP_LONG_BLANKS:
            self._emit(c)
            return
        if c == CR and state in (QP_BLANKS, QP_ESCAPE, QP_ESCAPE_BLANKS):
            self._state = QP_BLANKS_CR if state == QP_BLANKS else QP_ESCAPE_CR
            return
        if c == CR and state == QP_ESCAPE_CR:
            self._state = QP_ESCAPE_CR_CR
            return
        if state == QP_ESCAPE and DIGITS[c] < 16:
            self._digit = c
            self._state = QP_ESCAPE_DIGIT
            return
        self._state = QP_TEXT
        if c == LF and state in (
            QP_BLANKS, QP_BLANKS_CR, QP_ESCAPE, QP_ESCAPE_BLANKS, QP_ESCAPE_CR, QP_ESCAPE_CR_CR
        ):
            self._end_line(state)
        elif state == QP_ESCAPE_DIGIT and DIGITS[c] < 16:
            self._emit(<octet>(DIGITS[self._digit] << 4 | DIGITS[c]))
        else:
            self._release_state(state)
            self._start_octet(c)

    cdef void _end_line(self, QuotedState state) noexcept:
        """LF in `state`: drop the blanks before it; after "=" (a soft line break) drop the line end too."""
        self._held_size = 0
        if state == QP_BLANKS_CR:
            self._emit(CR)
        if state == QP_BLANKS or state == QP_BLANKS_CR:
            self._emit(LF)

    cdef void _release_state(self, QuotedState state) noexcept:
        """What led to `state` turned out to be text."""
        if state in (QP_ESCAPE, QP_ESCAPE_DIGIT, QP_ESCAPE_BLANKS, QP_ESCAPE_CR, QP_ESCAPE_CR_CR):
            self._refuse_escape()
        if state == QP_ESCAPE_DIGIT:
            self._emit(self._digit)
        self._release()
        if state in (QP_BLANKS_CR, QP_ESCAPE_CR, QP_ESCAPE_CR_CR):
            self._emit(CR)
        if state == QP_ESCAPE_CR_CR:
            self._emit(CR)

    cdef void _decode_span(self, const octet* source, const octet* end, const octet* readable_end) noexcept:
        """Part of a line whose escapes are all inside; no line break in `source`..`end` needs attention."""
        cdef octet* out = self._out
        cdef Py_ssize_t plain
        while source < end:
            plain = copy_plain(out, source, end - source, readable_end - source)
            out += plain
            source += plain
            while source < end and source[0] == EQUALS:
                if end - source >= 3 and (DIGITS[source[1]] | DIGITS[source[2]]) < 16:
                    out[0] = <octet>(DIGITS[source[1]] << 4 | DIGITS[source[2]])
                    source += 3
                else:
                    self._invalid = True
                    out[0] = EQUALS
                    source += 1
                out += 1
        self._out = out

    cdef void _decode_line(self, const octet* source, const octet* line_feed, const octet* stop) noexcept:
        """A line up to its LF, begun in QP_TEXT; the chunk goes on to `stop`."""
        cdef const octet* line_end = line_feed
        cdef const octet* text_end
        if line_end > source and (line_end - 1)[0] == CR:
            line_end -= 1
            if line_end > source and (line_end - 1)[0] == CR and is_soft_break(source, line_end - 1):
                line_end -= 1
        text_end = line_end
        while text_end > source and is_blank((text_end - 1)[0]):
            text_end -= 1
        if line_end - text_end > MAX_BLANKS:
            text_end = line_end
        # No escape contains "=", so one at the end is a soft line break.
        if text_end > source and (text_end - 1)[0] == EQUALS:
            self._decode_span(source, text_end - 1, stop)
            return
        self._decode_span(source, text_end, stop)
        if line_end < line_feed:
            self._emit(CR)
        self._emit(LF)

    cdef void _decode_rest(self, const octet* source, const octet* end) noexcept:
        """The start of a line whose LF is not there yet, begun in QP_TEXT."""
        cdef const octet* text_end = end
        if text_end > source and (text_end - 1)[0] == CR:
            text_end -= 1
            if text_end > source and (text_end - 1)[0] == CR:
                text_end -= 1
        while text_end > source and is_blank((text_end - 1)[0]):
            text_end -= 1
        if text_end > source and (text_end - 1)[0] == EQUALS:
            text_end -= 1
        elif text_end == end and end - source >= 2 and (end - 2)[0] == EQUALS:
            text_end -= 2
        self._decode_span(source, text_end, end)
        while text_end < end:
            self._feed_octet(text_end[0])
            text_end += 1

    def feed(self, object buf, Py_ssize_t start, Py_ssize_t end):
        cdef const octet* source = octets_in(buf, start, end)
        cdef const octet* stop = source + (end - start)
        cdef const octet* line_feed
        cdef PyObject* octets
        cdef bytes decoded
        if start == end:
            return b""
        # An escape is three octets that make one; what is held can only come out once, so this is always enough.
        octets = new_octets(NULL, end - start + MAX_BLANKS + 4)
        self._out = <octet*>octets_of(octets)
        while source < stop and self._state != QP_TEXT:
            self._feed_octet(source[0])
            source += 1
        while source < stop:
            line_feed = <const octet*>memchr(source, LF, stop - source)
            if line_feed == NULL:
                self._decode_rest(source, stop)
                break
            self._decode_line(source, line_feed, stop)
            source = line_feed + 1
        try:
            _PyBytes_Resize(&octets, self._out - <octet*>octets_of(octets))
            decoded = <bytes>octets
        finally:
            Py_XDECREF(octets)
            self._out = NULL
        return decoded

    def close(self):
        cdef QuotedState state = self._state
        self._state = QP_TEXT
        self._held_size = 0
        if state == QP_ESCAPE_DIGIT:
            self._invalid = True
        if self._invalid:
            _names.note(self.defects, _names.INVALID_QUOTED_PRINTABLE)
        if state == QP_ESCAPE_DIGIT:
            return b"=%c" % self._digit
        return b"\r" if state == QP_BLANKS_CR else b""


@cython.final
cdef class IdentityDecoder:
    cdef readonly list defects  # names of `mime/defects.py`, shared with the caller that made this object

    def __cinit__(self, list defects not None):
        self.defects = defects

    def feed(self, object buf, Py_ssize_t start, Py_ssize_t end):
        return PyBytes_FromStringAndSize(<const char*>octets_in(buf, start, end), end - start)

    def close(self):
        return b""
