"""Byte scanning on the shared read buffer: end of mail data, dot-unstuffing, delimiter lines, the end of a header,
and the usual arguments of MAIL and RCPT.

Strategy: bulk first. `memchr` looks for the one octet without which nothing can happen (the dot, the hyphen, the line
feed), and only around a hit are single octets looked at. No pointer is kept between calls; what has to be remembered
from one chunk to the next is a small state here, or octets that the caller is told to hold back.

Chunks are `(buf, start, end)` with `0 <= start <= end <= len(buf)`, checked on entry.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_1BYTE_DATA, PyUnicode_New
from libc.string cimport memchr, memcpy, memmove

from fastsmtp._lines cimport is_empty, is_field


cdef extern from *:
    """
    #include <string.h>
    typedef unsigned char fastsmtp_row __attribute__((vector_size(16)));
    typedef unsigned long long fastsmtp_row_halves __attribute__((vector_size(16)));

    /* Whether each of the 256 octets at `at` is a CR if, and only if, the one behind it is an LF; and there is one. */
    static inline int fastsmtp_clean(const unsigned char *at)
    {
        fastsmtp_row octets, next, odd = {0}, feeds = {0};
        fastsmtp_row_halves odd_halves, feed_halves;
        int i;
        for (i = 0; i < 256; i += 16) {
            memcpy(&octets, at + i, 16);
            memcpy(&next, at + i + 1, 16);
            odd |= (fastsmtp_row)((octets == 0x0D) ^ (next == 0x0A));
            feeds |= (fastsmtp_row)(next == 0x0A);
        }
        odd_halves = (fastsmtp_row_halves)odd;
        feed_halves = (fastsmtp_row_halves)feeds;
        return !(odd_halves[0] | odd_halves[1]) && (feed_halves[0] | feed_halves[1]);
    }
    """
    bint is_clean "fastsmtp_clean" (const unsigned char* at) noexcept nogil


cdef enum:
    MAX_BODY_LINE = 1000  # octets of a line with its CRLF (RFC 5321 4.5.3.1.6)
    WINDOW = 256  # octets that `is_clean` looks at; with a line end in each no line is longer than two of them


cdef enum:
    # What the octets so far end in, as far as it matters for CRLF "." CRLF (RFC 5321 4.1.1.4).
    MID_LINE      # anything else
    AFTER_CR      # CR
    LINE_START    # CRLF, or nothing at all: mail data begins at the start of a line
    AFTER_DOT     # CRLF "."      the dot is held back
    AFTER_DOT_CR  # CRLF "." CR   dot and CR are held back


cdef int check_chunk(bytearray buf, Py_ssize_t start, Py_ssize_t end) except -1:
    if start < 0 or end < start or end > len(buf):
        raise ValueError("chunk outside of the buffer")
    return 0


cdef Py_ssize_t skip_clean_lines(const unsigned char* base, Py_ssize_t line, Py_ssize_t end) noexcept:
    # Skip whole lines of base[line:end] that end in CRLF, hold no other CR or LF, and are short. `line` starts a line;
    # so does what is returned. Trusts line <= end.
    cdef Py_ssize_t at = line
    if at == end or base[at] == c"\n":
        return line
    while end - at > WINDOW and is_clean(base + at):
        at += WINDOW
    if at == line:
        return line
    # There is one in the last window, or just behind it.
    while base[at] != c"\n":
        at -= 1
    return at + 1


cdef inline Py_ssize_t find_octet(
    const unsigned char* base, int octet, Py_ssize_t start, Py_ssize_t end
) noexcept:
    # Offset of the first `octet` in base[start:end], or -1. Trusts start <= end and both inside of base.
    cdef const unsigned char* hit = <const unsigned char*> memchr(base + start, octet, <size_t> (end - start))
    return hit - base if hit != NULL else -1


@cython.final
cdef class DataDecoder:
    """Undoes dot-stuffing in place and finds the end of mail data (RFC 5321 4.5.2). One object per mail.

    Only CRLF "." CRLF ends mail data, only a dot after CRLF is stuffing; every look-alike with a bare CR, a bare LF
    or a NUL is body.
    """

    cdef:
        int state  # one of the enum above

    def __cinit__(self):
        self.state = LINE_START

    def feed(self, bytearray buf not None, Py_ssize_t start, Py_ssize_t end):
        """Decode `buf[start:end]`, which must follow the chunk before without a gap. `start` must be at least 1.

        Returns `(out_start, out_end, next_start, done)`: the mail data is `buf[out_start:out_end]`, where `out_start`
        may be `start - 1` (for a CR that was held back). When `done`, mail data has ended and the octets from
        `next_start` on belong to the next command; otherwise `next_start == end`.

        Raises ValueError for a chunk outside of the buffer or without headroom.
        """
        cdef:
            unsigned char* base
            Py_ssize_t out_start = start
            Py_ssize_t out_end = start  # where the next run that stays is moved to
            Py_ssize_t kept = start     # start of the run that stays but was not moved yet
            Py_ssize_t search = start   # the next dot is looked for from here
            Py_ssize_t dot
            bint opens_line

        check_chunk(buf, start, end)
        if start < 1:
            raise ValueError("no headroom before the chunk")
        if start == end:
            return (start, start, end, False)
        base = <unsigned char*> buf

        if self.state == AFTER_DOT:
            if base[start] == c"\r":
                if start + 1 == end:
                    self.state = AFTER_DOT_CR
                    return (start, start, end, False)
                if base[start + 1] == c"\n":
                    self.state = LINE_START
                    return (start, start, start + 2, True)
            self.state = MID_LINE  # the dot was stuffing; this octet is ordinary, even another dot
        elif self.state == AFTER_DOT_CR:
            if base[start] == c"\n":
                self.state = LINE_START
                return (start, start, start + 1, True)
            out_start = start - 1  # "." CR x: no line ended, so the dot goes and the CR stays
            base[out_start] = c"\r"
            self.state = AFTER_CR

        while True:
            dot = find_octet(base, c".", search, end)
            if dot < 0:
                break
            # Runs are only ever moved to the left, to before the dot that ended them: the two octets looked back at
            # are still as they were read.
            if dot >= start + 2:
                opens_line = base[dot - 1] == c"\n" and base[dot - 2] == c"\r"
            elif dot == start + 1:
                opens_line = base[start] == c"\n" and self.state == AFTER_CR
            else:
                opens_line = self.state == LINE_START
            search = dot + 1
            if not opens_line:
                continue
            out_end = self.keep(base, out_end, kept, dot)
            kept = dot + 1
            if dot + 1 == end:
                self.state = AFTER_DOT
                return (out_start, out_end, end, False)
            if base[dot + 1] == c"\r":
                if dot + 2 == end:
                    self.state = AFTER_DOT_CR
                    return (out_start, out_end, end, False)
                if base[dot + 2] == c"\n":
                    self.state = LINE_START
                    return (out_start, out_end, dot + 3, True)

        if base[end - 1] == c"\r":
            self.state = AFTER_CR
        elif base[end - 1] == c"\n" and (base[end - 2] == c"\r" if end - start >= 2 else self.state == AFTER_CR):
            self.state = LINE_START
        else:
            self.state = MID_LINE
        return (out_start, self.keep(base, out_end, kept, end), end, False)

    cdef Py_ssize_t keep(
        self, unsigned char* base, Py_ssize_t out_end, Py_ssize_t kept, Py_ssize_t kept_end
    ) noexcept:
        # Move base[kept:kept_end] to out_end, where it belongs once the dots before it are gone; the new out_end.
        if out_end != kept:
            memmove(base + out_end, base + kept, <size_t> (kept_end - kept))
        return out_end + (kept_end - kept)


@cython.final
cdef class BodyLines:
    """Watches the lines of mail data, after dot-unstuffing, for what RFC 5321 2.3.8 and 4.5.3.1.6 forbid.

    Three faults, each sticky: `bare_cr`, `bare_lf`, and `too_long` (a line of more than MAX_BODY_LINE octets).
    """

    cdef:
        Py_ssize_t length        # octets of the unfinished line, in the chunks so far
        bint after_cr            # the octets so far end in CR
        readonly bint bare_cr    # a CR without LF behind it; one that ends mail data is seen by `finish`
        readonly bint bare_lf    # an LF without CR before it
        readonly bint too_long

    def feed(self, bytearray buf not None, Py_ssize_t start, Py_ssize_t end):
        """Look at `buf[start:end]`, which follows what was fed before. Raises ValueError outside of the buffer."""
        cdef:
            const unsigned char* base
            Py_ssize_t line = start
            Py_ssize_t feed  # the LF that ends the line

        check_chunk(buf, start, end)
        if start == end:
            return
        base = <const unsigned char*> buf
        if self.after_cr and base[start] != c"\n":
            self.bare_cr = True
        while True:
            if self.length == 0 and not (line == start and self.after_cr):
                line = skip_clean_lines(base, line, end)
            feed = find_octet(base, c"\n", line, end)
            if feed < 0:
                break
            if feed > line:
                if base[feed - 1] != c"\r":
                    self.bare_lf = True
                    self.look_for_cr(base, line, feed)
                else:
                    self.look_for_cr(base, line, feed - 1)
            elif not (line == start and self.after_cr):
                self.bare_lf = True
            if self.length + feed + 1 - line > MAX_BODY_LINE:
                self.too_long = True
            self.length = 0
            line = feed + 1
        self.length += end - line
        if self.length > MAX_BODY_LINE:
            self.too_long = True
            self.length = MAX_BODY_LINE  # too long already; cannot overflow
        self.after_cr = base[end - 1] == c"\r"
        self.look_for_cr(base, line, end - 1 if self.after_cr else end)

    def finish(self):
        """Mail data has ended: a last CR stays without LF."""
        if self.after_cr:
            self.bare_cr = True

    cdef inline void look_for_cr(self, const unsigned char* base, Py_ssize_t start, Py_ssize_t end) noexcept:
        # A CR in base[start:end] is bare: the one of the line end, if any, is not part of it.
        if not self.bare_cr and start < end and find_octet(base, c"\r", start, end) >= 0:
            self.bare_cr = True


def take_line(bytearray buf not None, Py_ssize_t start, Py_ssize_t end):
    """Take the line at `buf[start]`, if it is whole and nothing is odd about it: ASCII, one CR, before the LF.

    Returns `(text, next_line)`, the text without its CRLF. With anything odd the text is None, and `next_line` still
    is where the next line starts; it is -1 when there is no LF in `buf[start:end]`.

    Raises ValueError for a chunk outside of the buffer.
    """
    cdef:
        const unsigned char* line
        Py_ssize_t feed
        Py_ssize_t size
        Py_ssize_t i
        unsigned char octets = 0

    check_chunk(buf, start, end)
    line = <const unsigned char*> buf + start
    feed = find_octet(line, c"\n", 0, end - start)
    if feed < 0:
        return (None, -1)
    size = feed - 1
    if size < 0 or line[size] != c"\r" or find_octet(line, c"\r", 0, size) >= 0:
        return (None, start + feed + 1)
    for i in range(size):
        octets |= line[i]
    if octets >= 0x80:
        return (None, start + feed + 1)
    text = PyUnicode_New(size, 127)
    memcpy(PyUnicode_1BYTE_DATA(text), line, <size_t> size)
    return (text, start + feed + 1)


cdef bint is_usual_path(str path) noexcept:
    """Whether no dot or hyphen of a path stands where the grammar does not want it, or may not want it."""
    cdef Py_UCS4 before = 0
    cdef Py_UCS4 character
    for character in path:
        if before == u"." and (character == u"." or character == u"@" or character == u"-"):
            return False
        if before == u"-" and character == u".":
            return False
        before = character
    return before != u"." and before != u"-"


cdef inline bint is_alphanumeric(Py_UCS4 character) noexcept:
    return u"0" <= character <= u"9" or u"A" <= character <= u"Z" or u"a" <= character <= u"z"


cdef inline bint is_local(Py_UCS4 character) noexcept:
    """Whether it is atext (RFC 5322 section 3.2.3) or a dot."""
    if is_alphanumeric(character) or character == u".":
        return True
    return u"!" <= character <= u"~" and character not in u'"(),:;<>@[\\]'


def usual_argument(str argument not None, str keyword not None):
    cdef:
        Py_ssize_t size = len(argument)
        Py_ssize_t length = len(keyword)
        Py_ssize_t start = length + 2
        Py_ssize_t at
        Py_UCS4 letter
        Py_UCS4 wanted
    if size < start + 1 or argument[length] != u":" or argument[length + 1] != u"<":
        return None
    for at in range(length):
        letter, wanted = argument[at], keyword[at]
        if letter != wanted and <long>letter != <long>wanted + 0x20:  # in small letters
            return None
    at = start
    if argument[at] != u">":
        if argument[at] == u".":
            return None
        while at < size and is_local(argument[at]):
            at += 1
        if at == start or at + 1 >= size or argument[at] != u"@" or not is_alphanumeric(argument[at + 1]):
            return None
        at += 1
        while at < size and (is_alphanumeric(argument[at]) or argument[at] == u"." or argument[at] == u"-"):
            at += 1
        if at == size or argument[at] != u">" or not is_usual_path(argument[start:at]):
            return None
    if at + 1 < size and argument[at + 1] != u" ":
        return None
    return argument[start:at], argument[at + 2 :]


def find_delimiter(
    bytearray buf not None, Py_ssize_t start, Py_ssize_t end, bint at_line_start, dict delimiters not None
):
    """Find the first delimiter line (RFC 2046 5.1.1) in `buf[start:end]`: "--", a key of `delimiters`, blanks if any.

    `at_line_start` tells whether `start` is the first octet of a line. Lines end in LF or CRLF.

    Returns `(body_end, line, delimiter)`. With a delimiter, which is a value of `delimiters`, the octets before it end
    at `body_end`, without the line break that belongs to it, and `line` is where the line behind it starts. Without one
    it is None, and `buf[body_end:end]` must be held back and put in front of the next chunk: a line break, perhaps with
    one "-". Where the last line is unfinished and begins with "--", `line` is its start, otherwise -1.

    Raises ValueError for a chunk outside of the buffer.
    """
    cdef:
        const unsigned char* base
        Py_ssize_t search = start
        Py_ssize_t dash
        Py_ssize_t feed
        object delimiter

    check_chunk(buf, start, end)
    base = <const unsigned char*> buf
    while True:
        dash = find_octet(base, c"-", search, end)
        if dash < 0:
            return (before_line_break(base, start, end), -1, None)
        search = dash + 1
        if base[dash - 1] != c"\n" if dash > start else not at_line_start:
            continue
        if search == end:
            return (before_line_break(base, start, dash), -1, None)
        if base[search] != c"-":
            continue
        feed = find_octet(base, c"\n", search, end)
        if feed < 0:
            return (before_line_break(base, start, dash), dash, None)
        delimiter = look_up(delimiters, base, dash, feed)
        if delimiter is not None:
            return (before_line_break(base, start, dash), feed + 1, delimiter)
        search = feed


cdef object look_up(dict delimiters, const unsigned char* base, Py_ssize_t line, Py_ssize_t feed):
    # What `delimiters` has for the line that begins with "--" and ends in the LF at `feed`, or None.
    while feed > line + 2 and (base[feed - 1] == c" " or base[feed - 1] == c"\t" or base[feed - 1] == c"\r"):
        feed -= 1
    return delimiters.get(PyBytes_FromStringAndSize(<const char*> base + line + 2, feed - line - 2))


cdef inline Py_ssize_t before_line_break(
    const unsigned char* base, Py_ssize_t start, Py_ssize_t end
) noexcept:
    # Where base[start:end] ends without a line break, or a CR that may become one, at its end.
    if end > start and base[end - 1] == c"\n":
        end -= 1
        if end > start and base[end - 1] == c"\r":
            end -= 1
    elif end > start and base[end - 1] == c"\r":
        end -= 1
    return end


def find_header_end(
    bytearray buf not None, Py_ssize_t start, Py_ssize_t end, dict delimiters not None, bint stop_at_dashes
):
    """Find the first whole line in `buf[start:end]` that ends a header; `start` must begin a line.

    That is an empty line or a delimiter (as `find_delimiter` has them); with `stop_at_dashes` it is any line that
    begins with "--" and is no field.

    Returns `(line, next_line, delimiter)`: where that line and the one after it start, and its value in `delimiters`,
    None for the other two. Without such a line `line` is -1 and `next_line` is the start of the last, unfinished line:
    search on from there when there is more.

    Raises ValueError for a chunk outside of the buffer.
    """
    cdef:
        const unsigned char* base
        Py_ssize_t line = start
        Py_ssize_t feed  # the LF that ends the line
        object delimiter

    check_chunk(buf, start, end)
    base = <const unsigned char*> buf
    while True:
        feed = find_octet(base, c"\n", line, end)
        if feed < 0:
            return (-1, line, None)
        if is_empty(base + line, base + feed):
            return (line, feed + 1, None)
        if base[line] == c"-" and base[line + 1] == c"-":
            delimiter = look_up(delimiters, base, line, feed)
            if delimiter is not None or (stop_at_dashes and not is_field(base + line, base + feed)):
                return (line, feed + 1, delimiter)
        line = feed + 1
