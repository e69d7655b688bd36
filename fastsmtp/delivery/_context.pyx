"""The JSON of an email without its attachments, written into one buffer; `_context.pyi` says how it is used.

No dictionary is made of what the JSON shows: header fields, addresses and octets are quoted as they are read. The keys
are those of `payload.py`, which makes the same of dictionaries.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_Check, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject
from cpython.ref cimport Py_XDECREF
from cpython.unicode cimport PyUnicode_AsUTF8String
from libc.string cimport memcpy

import pybase64

from fastsmtp.delivery import omission
from fastsmtp.mime.addresslist import parse_addresses
from fastsmtp.mime.header import REGISTERED as _NAMES, canonical_name
from fastsmtp.mime.msgid import parse_message_id
from fastsmtp.mime.words import decode_words

from fastsmtp.capture._escape cimport escaped_size_of, write_escaped
from fastsmtp.mime._octets cimport _PyBytes_Resize, new_octets, octets_in, octets_of
from fastsmtp.mime._utf8 cimport octet, whole_until

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(object text) noexcept
    void* PyUnicode_DATA(object text) noexcept
    PyObject* PyDict_SetDefault(object values, object key, object value) except NULL  # borrowed

cdef extern from "<string.h>":
    void* memchr(const void* octets, int octet, size_t size) noexcept nogil
    void* memmem(const void* hay, size_t hay_size, const void* needle, size_t size) noexcept nogil

cdef enum:
    SHORT = 512  # octets; room is made for six times as many, longer ones are measured

cdef:
    dict _REGISTERED = _NAMES
    # `canonical_name` returns these objects.
    object _FROM = _NAMES["From"]
    object _TO = _NAMES["To"]
    object _CC = _NAMES["Cc"]
    object _BCC = _NAMES["Bcc"]
    object _REPLY_TO = _NAMES["Reply-To"]
    object _DATE = _NAMES["Date"]
    object _b64encode = pybase64.b64encode_as_string
    object _canonical_name = canonical_name
    object _decode_words = decode_words
    object _parse_addresses = parse_addresses
    object _parse_message_id = parse_message_id
    # Bits of what is left out.
    unsigned int _CONNECTION = omission.CONNECTION
    unsigned int _PARAMS = omission.PARAMS
    unsigned int _SESSION = omission.SESSION
    unsigned int _HEADERS = omission.HEADERS
    unsigned int _RAW_HEADERS = omission.RAW_HEADERS
    unsigned int _FIELDS = omission.FIELDS
    unsigned int _ADDRESSES = omission.ADDRESSES
    unsigned int _BODY = omission.BODY
    unsigned int _TEXT = omission.TEXT
    unsigned int _SIZE = omission.SIZE
    unsigned int _DEFECTS = omission.DEFECTS


@cython.final
cdef class _Writer:
    """Octets one after the other, with as much room as they need, in what will be the bytes object."""

    cdef:
        PyObject* octets
        octet* at
        octet* end

    def __cinit__(self, Py_ssize_t size):
        self.octets = new_octets(NULL, size)
        self.at = <octet*>octets_of(self.octets)
        self.end = self.at + size

    def __dealloc__(self):
        Py_XDECREF(self.octets)

    cdef inline int room(self, Py_ssize_t size) except -1:
        """Make room for so many octets."""
        if self.end - self.at < size:
            return self.grow(size)
        return 0

    cdef int grow(self, Py_ssize_t size) except -1:
        cdef Py_ssize_t used = self.at - <octet*>octets_of(self.octets)
        cdef Py_ssize_t wanted = 2 * used + size
        _PyBytes_Resize(&self.octets, wanted)
        self.at = <octet*>octets_of(self.octets) + used
        self.end = self.at + (wanted - used)
        return 0

    cdef inline int write(self, const void* octets, Py_ssize_t size) except -1:
        """Write octets as they are."""
        self.room(size)
        memcpy(self.at, octets, size)
        self.at += size
        return 0

    cdef inline int json(self, bytes octets) except -1:
        """Write what is JSON already."""
        return self.write(PyBytes_AS_STRING(octets), PyBytes_GET_SIZE(octets))

    cdef int quote(self, const octet* at, Py_ssize_t size) except -1:
        """Write octets that are UTF-8 as a string."""
        self.room(2 + (6 * size if size <= SHORT else escaped_size_of(at, at + size)))
        self.at[0] = c'"'
        self.at = write_escaped(self.at + 1, at, at + size)
        self.at[0] = c'"'
        self.at += 1
        return 0

    cdef int text(self, str value) except -1:
        """Write a str as a string, None as null. Raises UnicodeEncodeError for lone surrogates."""
        if value is None:
            return self.write(b"null", 4)
        if PyUnicode_IS_COMPACT_ASCII(value):
            return self.quote(<const octet*>PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value))
        # Not `PyUnicode_AsUTF8AndSize`: what that returns is kept with the str, and is counted nowhere.
        octets = PyUnicode_AsUTF8String(value)
        return self.quote(<const octet*>PyBytes_AS_STRING(octets), PyBytes_GET_SIZE(octets))

    cdef int number(self, unsigned long long value) except -1:
        """Write an integer that is not negative."""
        cdef:
            octet digits[20]
            int start = 20
        while True:
            start -= 1
            digits[start] = <octet>(c"0" + value % 10)
            value //= 10
            if value == 0:
                return self.write(digits + start, 20 - start)

    cdef int texts(self, object values) except -1:
        """Write a list of str."""
        cdef bint is_first = True
        self.write(b"[", 1)
        for value in values:
            if not is_first:
                self.write(b",", 1)
            is_first = False
            self.text(value)
        return self.write(b"]", 1)

    cdef int table(self, dict values) except -1:
        """Write a dict of str to str or None."""
        cdef bint is_first = True
        self.write(b"{", 1)
        for name, value in values.items():
            if not is_first:
                self.write(b",", 1)
            is_first = False
            self.text(name)
            self.write(b":", 1)
            self.text(value)
        return self.write(b"}", 1)

    cdef int body(self, object text) except -1:
        """Write a text of a message: a str, bytes that are a JSON string, or None."""
        return self.json(<bytes>text) if PyBytes_Check(text) else self.text(text)

    cdef inline Py_ssize_t written(self):
        """How many octets were written."""
        return self.at - <octet*>octets_of(self.octets)

    cdef int open(self, Py_ssize_t start) except -1:
        """Make an object of the members written from `start` on, each behind a comma; its end is still to come."""
        if self.written() == start:
            return self.write(b"{", 1)
        octets_of(self.octets)[start] = c"{"
        return 0

    cdef bytes taken(self):
        """What was written; the writer is empty then."""
        _PyBytes_Resize(&self.octets, self.at - <octet*>octets_of(self.octets))
        cdef object octets = <object>self.octets
        Py_XDECREF(self.octets)
        self.octets = NULL
        return octets


def write_context(
    email, raw, str received_at, bytes authentication, bytes session, bytes end not None, unsigned int omit
):
    cdef:
        _Writer out = _Writer.__new__(_Writer, 4096)
        Py_ssize_t start
    try:
        _write_email(out, email, received_at, authentication, session, omit)
        out.write(b',"message":', 11)
        start = out.written()
        _write_message(out, email, omit)
        if raw is not None:
            _write_raw(out, raw)
        out.open(start)
    except UnicodeEncodeError:
        return None
    out.write(b"}", 1)
    out.json(end)
    return out.taken()


cdef int _write_email(
    _Writer out, email, str received_at, bytes authentication, bytes session, unsigned int omit
) except -1:
    cdef bint is_first = True
    envelope, origin = email.envelope, email.origin
    out.write(b'{"event":"EMAIL_RECEIVED","uuid":', 33)
    out.text(email.uuid)
    if not omit & _CONNECTION:
        out.write(b',"connection_uuid":', 19)
        out.text(origin.connection_uuid)
        out.write(b',"sequence":', 12)
        out.number(origin.sequence)
    out.write(b',"remote_addr":', 15)
    out.text(origin.remote_addr)
    out.write(b',"received_at":', 15)
    out.text(received_at)
    if not omit & _CONNECTION:
        out.write(b',"server":', 10)
        out.text(origin.server)
    out.write(b',"envelope":{"from":', 20)
    out.text(envelope.reverse_path)
    out.write(b',"to":', 6)
    out.texts(envelope.forward_paths)
    out.write(b',"helo":', 8)
    out.text(envelope.helo)
    if not omit & _PARAMS:
        out.write(b',"mail_params":', 15)
        out.table(envelope.mail_parameters)
        out.write(b',"rcpt_params":[', 16)
        for parameters in envelope.rcpt_parameters:
            if not is_first:
                out.write(b",", 1)
            is_first = False
            out.table(parameters)
        out.write(b"]", 1)
    out.write(b'},"authentication":', 19)
    if authentication is not None:
        out.json(authentication)
    elif envelope.auth_attempted:
        out.write(b'{"attempted":true,"mechanism":null,"username":null,"password":null}', 67)
    else:
        out.write(b'{"attempted":false,"mechanism":null,"username":null,"password":null}', 68)
    if omit & _SESSION:
        return 0
    out.write(b',"session":', 11)
    if session is not None:
        out.json(session)
    elif envelope.esmtp:
        out.write(b'{"esmtp":true,"tls":null,"violations":[]}', 41)
    else:
        out.write(b'{"esmtp":false,"tls":null,"violations":[]}', 42)
    return 0


cdef int _write_message(_Writer out, email, unsigned int omit) except -1:
    """Write the members of the message but for its octets, a comma before each."""
    cdef:
        bint has_defects = not omit & _DEFECTS
        list found
    texts = email.texts
    text = html = body = None
    if has_defects or not omit & _TEXT:
        text, html, body = texts.text, texts.html, texts.body
    elif not omit & _BODY:
        body = texts.body_alone()
    found = texts.defects
    if has_defects or omit & (_HEADERS | _FIELDS | _ADDRESSES) != _HEADERS | _FIELDS | _ADDRESSES:
        _write_header(out, email, omit, found)
    elif not omit & _RAW_HEADERS:
        _write_fields(out, email.message.fields)
    if not omit & _BODY:
        out.write(b',"body":', 8)
        out.body("" if body is None else body)
    if not omit & _TEXT:
        out.write(b',"text":', 8)
        out.body(text)
        out.write(b',"html":', 8)
        out.body(html)
    if not omit & _SIZE:
        out.write(b',"size":', 8)
        out.number(email.size)
    if has_defects:
        out.write(b',"defects":', 11)
        out.texts(dict.fromkeys(found) if found else ())
    return 0


cdef int _write_header(_Writer out, email, unsigned int omit, list found) except -1:
    """Write what header fields say; what is wrong with them goes to `found`."""
    cdef:
        bint has_headers = not omit & _HEADERS
        bint has_addresses = omit & (_ADDRESSES | _DEFECTS) != _ADDRESSES | _DEFECTS
        list addresses = [None, None, None, None, None]
        dict headers = {}
        str name, value, canonical, decoded
        bint is_first = True
        PyObject* known
        Py_ssize_t count = 0
        int place
    budget = email.budget.copy()
    fields = email.message.fields
    date = None
    if has_headers:
        out.write(b',"headers":{', 12)
    for name, value in fields:
        known = PyDict_GetItem(_REGISTERED, name)
        canonical = <object>known if known != NULL else _canonical_name(name)
        PyDict_SetDefault(headers, canonical, value)
        if len(headers) != count:  # the first of its name
            count += 1
            decoded = value
            if _may_have_words(value):
                decoded = headers[canonical] = _decode_words(value, found, budget)
            if has_headers:
                if not is_first:
                    out.write(b",", 1)
                is_first = False
                out.text(canonical)
                out.write(b":", 1)
                out.text(decoded)
            if canonical is _DATE:
                date = value
        place = _place(canonical)
        # Encoded words are taken from the budget even where the addresses are not wanted.
        if place >= 0 and (has_addresses or _may_unquote_words(value)):
            _add(addresses, place, _parse_addresses(value, found, budget))
    if has_headers:
        out.write(b"}", 1)
    if not omit & _RAW_HEADERS:
        _write_fields(out, fields)
    if not omit & _FIELDS:
        message_id = headers.get("Message-ID")
        out.write(b',"id":', 6)
        out.text(None if message_id is None else _parse_message_id(message_id))
        out.write(b',"subject":', 11)
        out.text(headers.get("Subject"))
        out.write(b',"date":', 8)
        out.text(date)
    if omit & _ADDRESSES:
        return 0
    out.write(b',"from":', 8)
    _write_addresses(out, addresses[0])
    out.write(b',"to":', 6)
    _write_addresses(out, addresses[1])
    out.write(b',"cc":', 6)
    _write_addresses(out, addresses[2])
    out.write(b',"bcc":', 7)
    _write_addresses(out, addresses[3])
    out.write(b',"reply_to":', 12)
    return _write_addresses(out, addresses[4])


cdef inline int _place(object canonical) noexcept:
    """Where the addresses of a field stand among those of others in the JSON, -1 for other fields."""
    if canonical is _FROM:
        return 0
    if canonical is _TO:
        return 1
    if canonical is _CC:
        return 2
    if canonical is _BCC:
        return 3
    return 4 if canonical is _REPLY_TO else -1


cdef inline bint _may_have_words(str value):
    """Whether there may be an encoded word in it."""
    if PyUnicode_IS_COMPACT_ASCII(value):
        # Most have no question mark, and `memchr` is faster.
        if not _may_unquote_words(value):
            return False
        return memmem(PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value), b"=?", 2) != NULL
    return "=?" in value


cdef inline bint _may_unquote_words(str value):
    """Whether there may be one when quotes and comments are taken off."""
    if PyUnicode_IS_COMPACT_ASCII(value):
        return memchr(PyUnicode_DATA(value), c"?", PyUnicode_GET_LENGTH(value)) != NULL
    return "?" in value


cdef inline int _add(list addresses, Py_ssize_t place, list more) except -1:
    if addresses[place] is None:
        addresses[place] = more
    else:
        addresses[place] += more
    return 0


cdef int _write_fields(_Writer out, fields) except -1:
    cdef bint is_first = True
    out.write(b',"raw_headers":[', 16)
    for name, value in fields:
        out.write(b"[" if is_first else b",[", 1 if is_first else 2)
        is_first = False
        out.text(name)
        out.write(b",", 1)
        out.text(value)
        out.write(b"]", 1)
    return out.write(b"]", 1)


cdef int _write_addresses(_Writer out, list addresses) except -1:
    cdef bint is_first = True
    out.write(b"[", 1)
    if addresses is not None:
        for name, address in addresses:
            out.write(b'{"name":' if is_first else b',{"name":', 8 if is_first else 9)
            is_first = False
            out.text(name)
            out.write(b',"address":', 11)
            out.text(address)
            out.write(b"}", 1)
    return out.write(b"]", 1)


cdef int _write_raw(_Writer out, raw) except -1:
    cdef:
        Py_ssize_t size = len(raw)
        const octet* at = octets_in(raw, 0, size)
    out.write(b',"raw":', 7)
    if whole_until(at, at + size) == at + size:
        out.quote(at, size)
        return out.write(b',"raw_encoding":"utf-8"', 23)
    out.text(_b64encode(raw))
    return out.write(b',"raw_encoding":"base64"', 24)
