"""The fields of a header block that follows the grammar; `_fields.pyi` says how it is used.

One pass: each line is searched for its end and its colon once, and looked at octet by octet only for what makes a
block irregular. Values that are folded are put together from their pieces; all others are copied in one piece. Names
are the same in most mails, so the objects of some are kept, with their hashes.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_1BYTE_DATA, PyUnicode_New
from libc.string cimport memchr, memcmp, memcpy

from fastsmtp._lines cimport is_blank, is_empty, is_field

ctypedef unsigned char octet

cdef enum:
    LF = 0x0A
    CR = 0x0D
    COLON = 0x3A
    EQUALS = 0x3D
    SLASH = 0x2F
    NAMES = 256  # that are kept, a power of two
    LONGEST_NAME = 64  # octets of one

cdef list _names = [None] * NAMES


cdef inline bint _ends_with(const octet* end, const char* ending, Py_ssize_t size) noexcept:
    return memcmp(end - size, ending, size) == 0


cdef inline str _text(const octet* octets, Py_ssize_t size):
    """The text of ASCII octets."""
    text = PyUnicode_New(size, 127)
    memcpy(PyUnicode_1BYTE_DATA(text), octets, size)
    return text


cdef str _name(const octet* octets, Py_ssize_t size):
    """The text of a field name."""
    cdef:
        unsigned int place
        str known
    if size > LONGEST_NAME:
        return _text(octets, size)
    place = (size * 31 + octets[0] * 7 + octets[size >> 1] * 13 + octets[size - 1] * 17) & (NAMES - 1)
    known = _names[place]
    if known is None or len(known) != size or memcmp(PyUnicode_1BYTE_DATA(known), octets, size):
        known = _text(octets, size)
        _names[place] = known
    return known


cdef bint _is_plain(const octet* octets, Py_ssize_t size) noexcept:
    """Whether all octets are ASCII, and none is NUL or CR. Compilers make this loop look at many at once."""
    cdef Py_ssize_t i
    cdef unsigned int odd = 0
    for i in range(size):
        odd |= (octets[i] >= 0x80) | (octets[i] == 0) | (octets[i] == CR)
    return not odd


cdef const octet* _name_end(const octet* name, const octet* end) noexcept:
    """The colon behind a field name of ftext (RFC 5322 section 3.6.8); NULL where there is no such name.

    One with an equals sign is looked at again: it may be a parameter of the field before.
    What goes on with two slashes is no field but the address of a page, in text that has no header.
    """
    cdef const octet* at = name
    while at < end and 0x21 <= at[0] <= 0x7E and at[0] != COLON and at[0] != EQUALS:
        at += 1
    if at == name or at == end or at[0] != COLON:
        return NULL
    return NULL if end - at > 2 and at[1] == SLASH and at[2] == SLASH else at


cdef str _unfolded(const octet* value, const octet* end, int line_end):
    """A value of more than one line without its line ends (RFC 5322 section 2.2.3); `line_end` octets make one."""
    cdef bytearray joined = bytearray()
    cdef const octet* feed
    while True:
        feed = <const octet*>memchr(value, LF, end - value)
        if feed == NULL:
            break
        joined += value[: feed + 1 - line_end - value]
        value = feed + 1
    joined += value[: end - value]
    return joined.strip(b" \t").decode("ascii")


cdef str _value(const octet* value, const octet* end, int line_end):
    """The text of a value without blanks around it and, where it is folded, without its line ends."""
    if memchr(value, LF, end - value) != NULL:
        return _unfolded(value, end, line_end)
    while value < end and is_blank(value[0]):
        value += 1
    while end > value and is_blank((end - 1)[0]):
        end -= 1
    return _text(value, end - value)


cdef const octet* _field_end(const octet* at, const octet* end, int line_end) noexcept:
    """The line end behind the last line of the field that begins at `at`; NULL where one of its lines is irregular."""
    cdef const octet* stop
    while True:
        stop = <const octet*>memchr(at, LF, end - at) + 1 - line_end  # there is one: the block ends in it
        if stop < at or (line_end == 2 and stop[0] != CR) or not _is_plain(at, stop - at):
            return NULL
        at = stop + line_end
        if at == end or not is_blank(at[0]):
            return stop


def split_fields(bytes block not None, Py_ssize_t limit):
    cdef:
        Py_ssize_t size = PyBytes_GET_SIZE(block)
        const octet* at = <const octet*>PyBytes_AS_STRING(block)
        const octet* end = at + size
        const octet* colon
        const octet* stop
        int line_end
        list fields = []

    if size >= 4 and _ends_with(end, b"\r\n\r\n", 4):
        line_end = 2
    elif size >= 2 and _ends_with(end, b"\n\n", 2):
        line_end = 1
    else:
        return None
    end -= line_end  # the empty line
    while at < end:
        colon = _name_end(at, end)
        if colon == NULL:
            return None
        stop = _field_end(at, end, line_end)
        if stop == NULL:
            return None
        if len(fields) < limit:
            fields.append((_name(at, colon - at), _value(colon + 1, stop, line_end)))
        at = stop + line_end
    return fields


cdef inline const octet* _line_end(const octet* at, const octet* end) noexcept:
    """Where the LF of the line at `at` is, or the end."""
    cdef const octet* feed = <const octet*>memchr(at, LF, end - at)
    return end if feed == NULL else feed


def skip_text(bytes block not None, Py_ssize_t position):
    cdef:
        const octet* start = <const octet*>PyBytes_AS_STRING(block)
        const octet* end = start + PyBytes_GET_SIZE(block)
        const octet* at = start + position
        const octet* feed
    while at < end:
        feed = _line_end(at, end)
        if is_empty(at, feed) or is_field(at, feed):
            break
        at = feed + 1
    return min(at, end) - start


def skip_fields(bytes block not None, Py_ssize_t position):
    cdef:
        const octet* start = <const octet*>PyBytes_AS_STRING(block)
        const octet* end = start + PyBytes_GET_SIZE(block)
        const octet* at = start + position
        const octet* feed
        Py_ssize_t text = -1
        bint found = False
    while at < end:
        feed = _line_end(at, end)
        if is_empty(at, feed):
            break
        if is_field(at, feed):
            text = -1
        elif text < 0 and not is_blank(at[0]):
            text = at - start
            found = True
        at = feed + 1
    return min(at, end) - start, text, found
