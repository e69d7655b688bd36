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

cdef extern from "<string.h>":
    void* memmem(const void* hay, size_t hay_size, const void* needle, size_t size) noexcept nogil

cdef enum:
    SHORT = 512  # octets; room is made for six times as many, longer ones are measured

cdef:
    # In the order in which they stand in the JSON.
    dict _PLACES = {"From": 0, "To": 1, "Cc": 2, "Bcc": 3, "Reply-To": 4}
    dict _REGISTERED = _NAMES
    object _b64encode = pybase64.b64encode_as_string
    object _canonical_name = canonical_name
    object _decode_words = decode_words
    object _parse_addresses = parse_addresses
    object _parse_message_id = parse_message_id


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

    cdef bytes taken(self):
        """What was written; the writer is empty then."""
        _PyBytes_Resize(&self.octets, self.at - <octet*>octets_of(self.octets))
        cdef object octets = <object>self.octets
        Py_XDECREF(self.octets)
        self.octets = NULL
        return octets


def write_context(email, raw, str received_at, bytes authentication, bytes session, bytes end not None):
    cdef _Writer out = _Writer.__new__(_Writer, 4096)
    try:
        _write_email(out, email, received_at, authentication, session)
        _write_message(out, email)
        if raw is not None:
            _write_raw(out, raw)
    except UnicodeEncodeError:
        return None
    out.write(b"}", 1)
    out.json(end)
    return out.taken()


cdef int _write_email(_Writer out, email, str received_at, bytes authentication, bytes session) except -1:
    cdef bint is_first = True
    envelope, origin = email.envelope, email.origin
    out.write(b'{"event":"EMAIL_RECEIVED","uuid":', 33)
    out.text(email.uuid)
    out.write(b',"connection_uuid":', 19)
    out.text(origin.connection_uuid)
    out.write(b',"sequence":', 12)
    out.number(origin.sequence)
    out.write(b',"remote_addr":', 15)
    out.text(origin.remote_addr)
    out.write(b',"received_at":', 15)
    out.text(received_at)
    out.write(b',"server":', 10)
    out.text(origin.server)
    out.write(b',"envelope":{"from":', 20)
    out.text(envelope.reverse_path)
    out.write(b',"to":', 6)
    out.texts(envelope.forward_paths)
    out.write(b',"helo":', 8)
    out.text(envelope.helo)
    out.write(b',"mail_params":', 15)
    out.table(envelope.mail_parameters)
    out.write(b',"rcpt_params":[', 16)
    for parameters in envelope.rcpt_parameters:
        if not is_first:
            out.write(b",", 1)
        is_first = False
        out.table(parameters)
    out.write(b']},"authentication":', 20)
    if authentication is not None:
        out.json(authentication)
    elif envelope.auth_attempted:
        out.write(b'{"attempted":true,"mechanism":null,"username":null,"password":null}', 67)
    else:
        out.write(b'{"attempted":false,"mechanism":null,"username":null,"password":null}', 68)
    out.write(b',"session":', 11)
    if session is not None:
        out.json(session)
    elif envelope.esmtp:
        out.write(b'{"esmtp":true,"tls":null,"violations":[]}', 41)
    else:
        out.write(b'{"esmtp":false,"tls":null,"violations":[]}', 42)
    return 0


cdef int _write_message(_Writer out, email) except -1:
    """Write the message but for its end, where its octets may follow."""
    cdef:
        list addresses = [None, None, None, None, None]
        list found
        dict headers = {}
        str name, value, canonical, decoded
        bint is_first = True
        PyObject* known
        Py_ssize_t length
    texts = email.texts
    text, html, body = texts.text, texts.html, texts.body
    found = texts.defects
    budget = email.budget.copy()
    fields = email.message.fields
    date = None
    out.write(b',"message":{"headers":{', 23)
    for name, value in fields:
        known = PyDict_GetItem(_REGISTERED, name)
        canonical = <object>known if known != NULL else _canonical_name(name)
        if canonical not in headers:
            decoded = _decode_words(value, found, budget) if _may_have_words(value) else value
            headers[canonical] = decoded
            if not is_first:
                out.write(b",", 1)
            is_first = False
            out.text(canonical)
            out.write(b":", 1)
            out.text(decoded)
            if canonical == "Date":
                date = value
        length = PyUnicode_GET_LENGTH(canonical)
        if 2 <= length <= 8:
            known = PyDict_GetItem(_PLACES, canonical)
            if known != NULL:
                _add(addresses, <object>known, _parse_addresses(value, found, budget))
    out.write(b'},"raw_headers":', 16)
    _write_fields(out, fields)
    message_id = headers.get("Message-ID")
    out.write(b',"id":', 6)
    out.text(None if message_id is None else _parse_message_id(message_id))
    out.write(b',"subject":', 11)
    out.text(headers.get("Subject"))
    out.write(b',"date":', 8)
    out.text(date)
    out.write(b',"from":', 8)
    _write_addresses(out, addresses[0])
    out.write(b',"to":', 6)
    _write_addresses(out, addresses[1])
    out.write(b',"cc":', 6)
    _write_addresses(out, addresses[2])
    out.write(b',"bcc":', 7)
    _write_addresses(out, addresses[3])
    out.write(b',"reply_to":', 12)
    _write_addresses(out, addresses[4])
    out.write(b',"body":', 8)
    out.body("" if body is None else body)
    out.write(b',"text":', 8)
    out.body(text)
    out.write(b',"html":', 8)
    out.body(html)
    out.write(b',"size":', 8)
    out.number(email.size)
    out.write(b',"defects":', 11)
    return out.texts(dict.fromkeys(found) if found else ())


cdef inline bint _may_have_words(str value):
    """Whether there may be an encoded word in it."""
    if PyUnicode_IS_COMPACT_ASCII(value):
        return memmem(PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value), b"=?", 2) != NULL
    return "=?" in value


cdef inline int _add(list addresses, Py_ssize_t place, list more) except -1:
    if addresses[place] is None:
        addresses[place] = more
    else:
        addresses[place] += more
    return 0


cdef int _write_fields(_Writer out, fields) except -1:
    cdef bint is_first = True
    out.write(b"[", 1)
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
