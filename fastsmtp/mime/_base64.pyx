"""Base64 (RFC 2045 6.8), decoded, joined and encoded while it arrives; `_base64.pyi` says how it is used.

It works in two steps. The joiner copies base64 text without its line ends and leaves text that is canonical whatever
came in: garbage is dropped, padding completed, superfluous bits of a last character cleared. Memory mode
(`Base64Text`) hands that text on as it is; `Base64Decoder` decodes it with SIMD in blocks. Because both share the
joiner, they agree on every input.

A line is looked at as a whole first (vectorised alphabet check, memcpy); only a line that holds something else than
the alphabet is walked octet by octet.
"""

cimport cython
from cpython.buffer cimport PyBUF_READ
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from libc.string cimport memchr, memcpy

from fastsmtp.mime._octets cimport _PyBytes_Resize, new_octets, octet, octets_in, octets_of

from pybase64 import b64decode, b64encode

from fastsmtp.mime import defects as _names

cdef extern from *:
    """
    /* 0xFF for each octet outside of the base64 alphabet. Letters differ by 0x20 only; "/" stands before "0".
       Unsigned arithmetic makes each range one comparison. */
    static inline fastsmtp_octets fastsmtp_foreign(fastsmtp_octets octets)
    {
        return (fastsmtp_octets)(((octets | 0x20) - 0x61 > 25) & (octets - 0x2F > 10) & (octets != 0x2B));
    }

    /* Copy `size` >= 16 octets; whether all of them are in the base64 alphabet. The last 16 overlap those before. */
    static inline int fastsmtp_copy_alphabet(unsigned char *text, const unsigned char *source, Py_ssize_t size)
    {
        fastsmtp_octets octets, foreign = {0};
        fastsmtp_halves halves;
        Py_ssize_t i;
        for (i = 0; i < size - 16; i += 16) {
            memcpy(&octets, source + i, 16);
            memcpy(text + i, &octets, 16);
            foreign |= fastsmtp_foreign(octets);
        }
        memcpy(&octets, source + size - 16, 16);
        memcpy(text + size - 16, &octets, 16);
        halves = (fastsmtp_halves)(foreign | fastsmtp_foreign(octets));
        return (halves[0] | halves[1]) == 0;
    }
    """
    bint copy_alphabet "fastsmtp_copy_alphabet" (octet* text, const octet* source, Py_ssize_t size) noexcept nogil


cdef enum:
    LF = 0x0A
    CR = 0x0D
    TAB = 0x09
    BLANK = 0x20
    EQUALS = 0x3D
    QUOTE = 0x22

    # What an octet is inside base64; below 64 it is the value of a character of the alphabet.
    SPACE = 64              # CR, LF, blank, tab
    PADDING = 65
    OTHER = 66              # RFC 2045 6.8: "must be ignored by decoding software"

    # What was found wrong while joining.
    IS_INVALID = 1
    IS_UNPADDED = 2
    IS_CONCATENATED = 4     # the text holds padding that is not at its end

    COPY_BLOCK = 1024       # octets of a long line that are copied and checked at once
    PROBE = 60              # characters; the shortest line width in use (PEM and MIME wrap at 64 to 76)
    SLACK = PROBE + 4       # octets one call of join() may write more than it reads: a probe, two padding characters

    FULL_BLOCK = 48 * 1024  # characters that are worth a call of pybase64
    FIRST_BLOCK = 4 * 1024  # characters there is room for at first, however many are expected: most parts are small
    MAX_BLOCK = 64 * 1024   # characters a decoder holds at most (plus SLACK)
    ENCODE_BLOCK = 48 * 1024  # octets encoded at once; a multiple of 3
    SMALL = 48              # octets that are encoded faster here than by a call of pybase64


cdef enum JoinMode:
    JOIN_TEXT               # inside text
    JOIN_PADDED_HALF        # xx= seen, the second padding character may follow
    JOIN_PROBE              # padding is complete; what follows is looked at before it is taken for more base64
    JOIN_ENDED              # what followed the padding was no base64; the rest is ignored


cdef const octet* ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
cdef octet KINDS[256]       # octet -> value in base64, SPACE, PADDING or OTHER


cdef void fill_kinds() noexcept:
    cdef int i
    for i in range(256):
        KINDS[i] = OTHER
    for i in range(64):
        KINDS[ALPHABET[i]] = <octet>i
    KINDS[CR] = KINDS[LF] = KINDS[TAB] = KINDS[BLANK] = SPACE
    KINDS[EQUALS] = PADDING


fill_kinds()


# ---- joining lines ---------------------------------------------------------------------------------------------------

cdef struct Joiner:
    JoinMode mode
    int findings            # IS_* bits
    Py_ssize_t line_length  # characters of the last whole line, a guess for the next one
    int probed              # characters in `probe`
    bint probe_gap          # a blank followed them
    octet[PROBE] probe      # start of the line after padding, not yet taken for base64


cdef void start_joiner(Joiner* joiner) noexcept:
    joiner.mode = JOIN_TEXT
    joiner.findings = 0
    joiner.line_length = 76
    joiner.probed = 0
    joiner.probe_gap = False


cdef inline Py_ssize_t copy_clean(octet* text, const octet* source, Py_ssize_t size) noexcept nogil:
    """Copy a prefix of `source` that is surely in the alphabet: all of it, or whole blocks, or nothing."""
    cdef Py_ssize_t copied = 0
    cdef Py_ssize_t block
    while copied < size:
        block = min(size - copied, <Py_ssize_t>COPY_BLOCK)
        if block < 16 or not copy_alphabet(text + copied, source + copied, block):
            break
        copied += block
    return copied


cdef Py_ssize_t complete_quad(Joiner* joiner, octet* text, Py_ssize_t size) noexcept nogil:
    """Pad a last quad of 2 or 3 characters; bits that no octet uses are cleared (RFC 4648 3.5)."""
    cdef octet value = KINDS[text[size - 1]]
    cdef octet unused = 0x0F if size & 3 == 2 else 0x03
    if value & unused:
        joiner.findings |= IS_INVALID
        text[size - 1] = ALPHABET[value & ~unused]
    while size & 3:
        text[size] = EQUALS
        size += 1
    return size


cdef Py_ssize_t end_probe(Joiner* joiner, octet* text, Py_ssize_t size, bint accepted) noexcept nogil:
    """Go on with the probed characters, which are whole quads, as base64; or ignore them and all that follows."""
    joiner.findings |= IS_INVALID
    if not accepted:
        joiner.mode = JOIN_ENDED
        return size
    joiner.findings |= IS_CONCATENATED
    memcpy(text + size, joiner.probe, joiner.probed)
    joiner.mode = JOIN_PROBE if joiner.probe[joiner.probed - 1] == EQUALS else JOIN_TEXT
    size += joiner.probed
    joiner.probed = 0
    return size


cdef Py_ssize_t join_probe(Joiner* joiner, octet c, octet* text, Py_ssize_t size) noexcept nogil:
    """One octet after padding.

    QUIRK: two encodings one after the other are both decoded; a footer that a mailing list added is not. A line
    counts as base64 if it has no blank inside, has padding only at the end of a quad and is made of whole quads
    (or longer than PROBE). The first line that does not ends the base64 for good.
    """
    cdef octet kind = KINDS[c]
    cdef bint after_padding = joiner.probed > 0 and joiner.probe[joiner.probed - 1] == EQUALS
    if kind == SPACE:
        if joiner.probed == 0:
            return size
        if c == BLANK or c == TAB:
            joiner.probe_gap = True
            return size
        joiner.probe_gap = False
        return end_probe(joiner, text, size, joiner.probed & 3 == 0)
    if kind == PADDING and joiner.probed == 0:
        joiner.findings |= IS_INVALID   # more padding than needed
        return size
    if joiner.probe_gap or kind == OTHER:
        return end_probe(joiner, text, size, False)
    if kind == PADDING and joiner.probed & 3 < 2 or kind < 64 and after_padding and joiner.probed & 3:
        return end_probe(joiner, text, size, False)
    joiner.probe[joiner.probed] = c
    joiner.probed += 1
    if joiner.probed == PROBE:
        return end_probe(joiner, text, size, True)
    return size


cdef Py_ssize_t join_octet(Joiner* joiner, octet c, octet* text, Py_ssize_t size) noexcept nogil:
    """One octet in any mode."""
    cdef octet kind = KINDS[c]
    if joiner.mode == JOIN_PROBE:
        return join_probe(joiner, c, text, size)
    if joiner.mode == JOIN_ENDED or kind == SPACE:
        return size
    if kind < 64:
        if joiner.mode == JOIN_PADDED_HALF:
            joiner.findings |= IS_INVALID   # what looked like padding was not
            joiner.mode = JOIN_TEXT
        text[size] = c
        return size + 1
    if kind == PADDING and size & 3 == 2 and joiner.mode == JOIN_TEXT:
        joiner.mode = JOIN_PADDED_HALF
    elif kind == PADDING and size & 3 >= 2:
        joiner.mode = JOIN_PROBE
        return complete_quad(joiner, text, size)
    else:
        joiner.findings |= IS_INVALID
    return size


cdef Py_ssize_t join(
    Joiner* joiner, const octet* source, Py_ssize_t length, octet* text, Py_ssize_t size
) noexcept nogil:
    """Append `length` octets to `text`, of which `size` characters are there; returns the new size.

    There must be room for length + SLACK more. Only the last, unfinished quad of `text` is looked at again.
    """
    cdef const octet* end = source + length
    cdef const octet* line_end
    cdef Py_ssize_t clean
    cdef Py_ssize_t guess
    while source < end:
        if joiner.mode != JOIN_TEXT:
            if joiner.mode == JOIN_ENDED:
                break
            size = join_octet(joiner, source[0], text, size)
            source += 1
            continue
        guess = joiner.line_length
        # Lines are equally long as a rule. Should the guess jump over a shorter line, its line end is found foreign.
        if end - source >= guess + 2 and source[guess + 1] == LF and source[guess] == CR:
            line_end = source + guess + 2
        else:
            line_end = <const octet*>memchr(source, LF, end - source)
            if line_end == NULL:
                line_end = end
                guess = end - source
            else:
                guess = line_end - source
                line_end += 1
                if guess > 0 and source[guess - 1] == CR:
                    guess -= 1
                joiner.line_length = guess
        clean = copy_clean(text + size, source, guess)
        size += clean
        source += clean
        if clean == guess:
            source = line_end
            continue
        while source < line_end and joiner.mode != JOIN_ENDED:
            if KINDS[source[0]] < 64 and joiner.mode == JOIN_TEXT:
                text[size] = source[0]
                size += 1
            else:
                size = join_octet(joiner, source[0], text, size)
            source += 1
    return size


cdef Py_ssize_t end_join(Joiner* joiner, octet* text, Py_ssize_t size) noexcept nogil:
    """End of the part: decide about what is held and complete the last quad. Needs room for SLACK."""
    if joiner.mode == JOIN_PROBE and joiner.probed:
        size = end_probe(joiner, text, size, joiner.probed & 3 == 0)
    if size & 3 == 1:
        joiner.findings |= IS_INVALID   # six bits make no octet
        size -= 1
    elif size & 3:
        joiner.findings |= IS_UNPADDED
        size = complete_quad(joiner, text, size)
    return size


cdef int note_findings(const Joiner* joiner, list defects) except -1:
    if joiner.findings & IS_INVALID:
        _names.note(defects, _names.INVALID_BASE64)
    if joiner.findings & IS_UNPADDED:
        _names.note(defects, _names.MISSING_BASE64_PADDING)
    return 0


# ---- quads and octets ------------------------------------------------------------------------------------------------

cdef Py_ssize_t decode_quads(const octet* text, Py_ssize_t size, octet* octets) noexcept nogil:
    """Decode whole quads, any of them padded; returns the number of octets. `octets` may be `text`."""
    cdef Py_ssize_t decoded = 0
    cdef Py_ssize_t i
    cdef unsigned int bits
    cdef int padding
    for i in range(0, size - 3, 4):
        padding = (text[i + 2] == EQUALS) + (text[i + 3] == EQUALS)
        bits = <unsigned int>KINDS[text[i]] << 18 | <unsigned int>KINDS[text[i + 1]] << 12
        if padding < 2:
            bits |= <unsigned int>KINDS[text[i + 2]] << 6
        if padding < 1:
            bits |= KINDS[text[i + 3]]
        octets[decoded] = <octet>(bits >> 16)
        if padding < 2:
            octets[decoded + 1] = <octet>(bits >> 8)
        if padding < 1:
            octets[decoded + 2] = <octet>bits
        decoded += 3 - padding
    return decoded


cdef Py_ssize_t encode_octets(const octet* octets, Py_ssize_t count, octet* text) noexcept nogil:
    """Encode with padding; returns the number of characters. Works from the end, so that `text` may be `octets`."""
    cdef Py_ssize_t groups = (count + 2) // 3
    cdef Py_ssize_t i = groups
    cdef unsigned int bits
    cdef int missing
    while i > 0:
        i -= 1
        missing = <int>(3 * i + 3 - count) if 3 * i + 3 > count else 0
        bits = <unsigned int>octets[3 * i] << 16
        if missing < 2:
            bits |= <unsigned int>octets[3 * i + 1] << 8
        if missing < 1:
            bits |= octets[3 * i + 2]
        text[4 * i] = ALPHABET[bits >> 18]
        text[4 * i + 1] = ALPHABET[bits >> 12 & 63]
        text[4 * i + 2] = ALPHABET[bits >> 6 & 63] if missing < 2 else <octet>EQUALS
        text[4 * i + 3] = ALPHABET[bits & 63] if missing < 1 else <octet>EQUALS
    return groups * 4


cdef bytes decoded_block(const Joiner* joiner, const octet* text, Py_ssize_t size):
    """The octets of `size` characters, which are whole quads."""
    cdef PyObject* octets
    cdef bytes block
    if not joiner.findings & IS_CONCATENATED:
        # pybase64 is done with the memory when it returns; no other code sees the view.
        return b64decode(PyMemoryView_FromMemory(<char*>text, size, PyBUF_READ), None, True)
    octets = new_octets(NULL, size // 4 * 3)
    try:
        _PyBytes_Resize(&octets, decode_quads(text, size, <octet*>octets_of(octets)))
        block = <bytes>octets
    finally:
        Py_XDECREF(octets)
    return block


cdef class GrowingText:
    """Base64 text that grows inside the bytes object it is handed out as. Base of the two public classes below."""

    cdef:
        PyObject* _text         # bytes object under construction: our only reference; NULL once handed out
        Py_ssize_t _capacity    # its size
        Py_ssize_t _hint        # characters expected, which may be wrong by any factor
        Py_ssize_t _size        # octets written so far, the opening quote included
        bint _quoted            # whether the text stands in quotes

    def __cinit__(self, *, bint quoted=False, Py_ssize_t size_hint=0):
        self._hint = max(size_hint, 0)
        self._capacity = min(self._hint, <Py_ssize_t>FIRST_BLOCK) + SLACK + 2
        self._text = new_octets(NULL, self._capacity)
        self._quoted = quoted
        if quoted:
            octets_of(self._text)[0] = QUOTE
            self._size = 1

    def __dealloc__(self):
        Py_XDECREF(self._text)

    cdef octet* _reserve(self, Py_ssize_t more) except NULL:
        """Start of the text (behind the quote) after making room for `more` octets, SLACK and the closing quote."""
        cdef Py_ssize_t needed = self._size + more + SLACK + 1
        if self._text == NULL:
            raise ValueError("the content was handed out already")
        if needed > self._capacity:
            # Half as much again: large blocks are moved by mremap, and pages never written to take no memory.
            needed = max(needed, self._capacity + self._capacity // 2)
            if self._size > MAX_BLOCK:
                needed = max(needed, self._hint + SLACK + 2)
            self._capacity = 0
            _PyBytes_Resize(&self._text, needed)
            self._capacity = needed
        return <octet*>octets_of(self._text) + self._quoted

    cdef bytes _hand_out(self):
        """The text as bytes; the object is empty afterwards."""
        cdef PyObject* text
        if self._quoted:
            octets_of(self._text)[self._size] = QUOTE
            self._size += 1
        _PyBytes_Resize(&self._text, self._size)
        text = self._text
        self._text = NULL
        content = <bytes>text
        Py_XDECREF(text)
        return content


@cython.final
cdef class Base64Text(GrowingText):
    cdef Joiner _joiner

    def __cinit__(self, *, bint quoted=False, Py_ssize_t size_hint=0):
        start_joiner(&self._joiner)

    def feed(self, object buf, Py_ssize_t start, Py_ssize_t end):
        cdef const octet* source = octets_in(buf, start, end)
        cdef octet* text = self._reserve(end - start)
        self._size = self._quoted + join(&self._joiner, source, end - start, text, self._size - self._quoted)

    def finish(self):
        cdef octet* text = self._reserve(0)
        cdef Py_ssize_t size = end_join(&self._joiner, text, self._size - self._quoted)
        cdef Py_ssize_t decoded
        cdef list defects = []
        if self._joiner.findings & IS_CONCATENATED:
            # In place: the octets are fewer than the characters, and without inner padding the text gets no longer.
            decoded = decode_quads(text, size, text)
            size = encode_octets(text, decoded, text)
        else:
            decoded = size // 4 * 3
            if size:
                decoded -= (text[size - 1] == EQUALS) + (text[size - 2] == EQUALS)
        self._size = self._quoted + size
        note_findings(&self._joiner, defects)
        return self._hand_out(), decoded, defects


@cython.final
cdef class Base64Encoder(GrowingText):
    cdef:
        octet[3] _rest          # octets that make no whole group yet
        int _rest_size
        Py_ssize_t _encoded     # octets fed so far

    def feed(self, object buf, Py_ssize_t start, Py_ssize_t end):
        cdef const octet* source = octets_in(buf, start, end)
        cdef Py_ssize_t left = end - start
        # A group of four for every three octets begun, and one for the rest held.
        cdef octet* text = self._reserve(left // 3 * 4 + 8) + self._size - self._quoted
        cdef octet* text_start = text
        cdef Py_ssize_t block
        cdef bytes encoded
        self._encoded += left
        while left and self._rest_size:
            self._rest[self._rest_size] = source[0]
            self._rest_size += 1
            source += 1
            left -= 1
            if self._rest_size == 3:
                text += encode_octets(self._rest, 3, text)
                self._rest_size = 0
        while left >= SMALL:
            block = min(left - left % 3, <Py_ssize_t>ENCODE_BLOCK)
            # The caller keeps `buf`, and no other code sees the view.
            encoded = b64encode(PyMemoryView_FromMemory(<char*>source, block, PyBUF_READ))
            memcpy(text, PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded))
            text += PyBytes_GET_SIZE(encoded)
            source += block
            left -= block
        block = left - left % 3
        text += encode_octets(source, block, text)
        if left > block:
            self._rest_size = <int>(left - block)
            memcpy(self._rest, source + block, self._rest_size)
        self._size += text - text_start

    def finish(self):
        cdef octet* text = self._reserve(4)
        self._size += encode_octets(self._rest, self._rest_size, text + self._size - self._quoted)
        self._rest_size = 0
        return self._hand_out(), self._encoded


@cython.final
cdef class Base64Decoder:
    cdef:
        readonly list defects   # names of `mime/defects.py`, shared with the caller that made this object
        octet* _text            # joined characters not yet decoded; ours, grows to MAX_BLOCK + SLACK
        Py_ssize_t _capacity
        Py_ssize_t _size        # characters in it
        Joiner _joiner

    def __cinit__(self, list defects not None):
        self.defects = defects
        self._capacity = 4 * SLACK
        self._text = <octet*>PyMem_Malloc(self._capacity)
        if self._text == NULL:
            raise MemoryError()
        start_joiner(&self._joiner)

    def __dealloc__(self):
        PyMem_Free(self._text)

    cdef int _reserve(self, Py_ssize_t more) except -1:
        """Make room for `more` characters and SLACK."""
        cdef Py_ssize_t needed = self._size + more + SLACK
        cdef octet* text
        if needed > self._capacity:
            needed = max(needed, min(2 * self._capacity, <Py_ssize_t>MAX_BLOCK + SLACK))
            text = <octet*>PyMem_Realloc(self._text, needed)
            if text == NULL:
                raise MemoryError()
            self._text = text
            self._capacity = needed
        return 0

    cdef bytes _take_block(self):
        """The octets of all whole quads."""
        cdef Py_ssize_t whole = self._size & ~<Py_ssize_t>3
        cdef bytes block = decoded_block(&self._joiner, self._text, whole)
        self._joiner.findings &= ~IS_CONCATENATED
        self._size -= whole
        memcpy(self._text, self._text + whole, self._size)
        return block

    def feed(self, object buf, Py_ssize_t start, Py_ssize_t end):
        cdef const octet* source = octets_in(buf, start, end)
        cdef Py_ssize_t left = end - start
        cdef Py_ssize_t length
        cdef list blocks = []
        while left:
            length = min(left, MAX_BLOCK - self._size)
            self._reserve(length)
            self._size = join(&self._joiner, source, length, self._text, self._size)
            source += length
            left -= length
            if self._size >= FULL_BLOCK:
                blocks.append(self._take_block())
        if not blocks:
            return b""
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def close(self):
        self._size = end_join(&self._joiner, self._text, self._size)
        note_findings(&self._joiner, self.defects)
        return self._take_block()
