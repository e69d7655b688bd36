"""Differences in texts and their charsets that were judged, and are ours to keep: see `rows`."""

from __future__ import annotations

import re

from cures import labels_of_browsers
from rows import CHARSET_DEFECTS, FIELDS, MULTIPART, TEXTS, Row, both, of, without
from values import each, is_foreign, is_guessed, is_guessed_utf8, is_same_when_read, is_undecoded, is_windows_1252, runs

MIXED = without(rb"multipart/alternative", b"multipart/mixed")

TEXTS_KNOWN = [
    Row(
        "octets 80 to 9F of Latin-1, or of an unknown or wrong charset, are windows-1252 (WHATWG Encoding 4.2); for the"
        " others they are C1 controls",
        b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\na \x80\r\n",
        both(of((*TEXTS, *FIELDS)), each(runs(is_windows_1252))),
    ),
    Row(
        "text of calendars and the like is octets for us, as sent; postal-mime decodes it into UTF-8",
        b"Content-Type: text/calendar; charset=iso-8859-1\r\n\r\n\xe9",
        of(("attached",), ("postal-mime",)),
        without(rb"text/(?!plain|html)", b"application/"),
    ),
    Row(
        "octets that are not of their charset, or have none, are guessed: UTF-8, windows-1252; postal-mime has U+FFFD",
        b"Content-Type: text/plain\r\n\r\ncaf\xe9",
        both(of(TEXTS, ("postal-mime",), *CHARSET_DEFECTS), each(is_undecoded)),
    ),
    Row(
        "postal-mime makes text of HTML where there is none, and joins texts to HTML otherwise; ours are what was sent",
        MULTIPART + b"--b\r\n\r\nx\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>y\r\n--b--\r\n",
        both(
            of(("text", "html"), ("postal-mime",)),
            lambda it: bool(re.search(rb"text/html", it.octets, re.IGNORECASE)),
            is_same_when_read,
        ),
    ),
    Row(
        "text is what was sent as text (RFC 8621 4.1.4); postal-mime makes text of HTML, too",
        MULTIPART + b"--b\r\nContent-Type: text/html\r\n\r\n<p>y\r\n--b\r\n\r\nx\r\n--b--\r\n",
        of(("text",), ("postal-mime",)),
        without(rb"text/html", b"application/x"),
    ),
    Row(
        "charsets that browsers lack (UTF-7, UTF-32), or whose labels they do not know (apostrophes), are decoded",
        b"Content-Type: text/plain; charset='utf-8'\r\n\r\n\xc3\xa9",
        of(TEXTS, ("postal-mime",)),
        labels_of_browsers,
    ),
    Row(
        "Shift_JIS and EUC-JP with the characters of IBM and of JIS X 0213, and windows-949 under the names of EUC-KR;"
        " the others lack some",
        b"Content-Type: text/plain; charset=euckr\r\n\r\n\xa2\xe6",
        both(
            of((*TEXTS, *FIELDS)),
            lambda it: bool(re.search(rb"shift|sjis|euc|2022|ks_c", it.octets, re.IGNORECASE)),
            each(lambda mine, theirs: is_foreign(mine, theirs) or is_undecoded(mine, theirs)),
        ),
    ),
    Row(
        "octets in an unknown charset that are UTF-8 have their characters; postal-mime reads windows-1252",
        b"Content-Type: text/html; charset=x\r\n\r\n\xc3\xbc",
        of(TEXTS, ("postal-mime",), "unknown-charset"),
        without(rb"charset=[^\s;]*", b"charset=utf-8"),
    ),
    Row(
        "text parts beside HTML in an alternative are in the view of HTML (RFC 8621 4.1.4); postal-mime drops them",
        MULTIPART.replace(b"mixed", b"alternative") + b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
        b"--c\r\nContent-Type: text/html\r\n\r\n<p>x\r\n--c\r\n\r\ny\r\n--c--\r\n--b--\r\n",
        both(
            of(("html",), ("postal-mime",)),
            lambda it: b"alternative" in it.octets.lower(),
            lambda it: all(is_same_when_read(left, is_foreign) for left in it.left_of(MIXED(it.octets))),
        ),
    ),
    Row(
        "a charset without the number of its part (`iso8859-`) is unknown, and octets in UTF-8 have their characters;"
        " for Python it is Latin-1",
        b"Content-Type: text/plain; charset=iso8859-\r\n\r\n\xc3\xa9",
        both(of(("texts",), ("python",), "unknown-charset"), each(is_guessed_utf8)),
    ),
    Row(
        "octets that the charset of the label does not have, and that are UTF-8, are UTF-8; postal-mime has U+FFFD",
        b"Content-Type: text/plain; charset=big5\r\n\r\n\xed\x95\x9c\xea\xb5\xad",
        both(
            of(TEXTS, ("postal-mime",), "wrong-charset"),
            lambda it: bool(re.search("[\x80-\x9f\ufffd]", it.theirs)) and "\ufffd" not in it.ours,
        ),
        without(rb"(charset=\"?)(?:big5|euc-|gb|shift|iso-2022|windows-1251)[^\"\s;]*", rb"\1utf-8"),
    ),
    Row(
        "octets that are not UTF-8, most of them, are windows-1252; postal-mime reads UTF-8 with U+FFFD",
        b"Content-Type: text/plain\r\n\r\n\xc7\xd1\xbe\xee",
        both(
            of((*TEXTS, "attached"), ("postal-mime",), *CHARSET_DEFECTS),
            each(lambda a, b: is_guessed(a, b) or runs(is_guessed)(a, b)),
        ),
    ),
    Row(
        "octet FF is not in GBK (WHATWG Encoding 10.1.1); postal-mime has a private character of Windows for it",
        b"Content-Type: text/plain; charset=gbk\r\n\r\n\xff",
        both(of(TEXTS, ("postal-mime",), "undecodable-charset"), each(lambda a, b: a == b.replace("\uf8f5", "\ufffd"))),
    ),
    Row(
        "texts of several parts, whose labels are unknown, wrong or missing, are guessed one by one",
        b"Content-Type: text/plain; charset=us-ascii\r\n\r\n\xc3\xa9\r\n",
        both(
            of(TEXTS, ("postal-mime",), "missing-charset", "unknown-charset", "wrong-charset"),
            each(runs(is_guessed, is_guessed_utf8, is_windows_1252)),
        ),
    ),
    Row(
        "UTF-16 without a byte order mark is big-endian (RFC 2781 4.3); the others take it for little-endian",
        b"Content-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\nZeVnLA==",
        of(TEXTS),
        without(rb"(charset=\"?)utf-?16(?![lb]e)", rb"\1utf-16be"),
    ),
    Row(
        "UTF-16 without a transfer encoding has octets of line ends inside of characters, against RFC 2046 4.1.1: we"
        " decode all octets, postal-mime what is between line ends, with one of its own at the end",
        b"Content-Type: text/plain; charset=utf-16le\r\n\r\nT\0g\0e\0\r\0\n\0",
        of(("text", "html"), ("postal-mime",)),
        without(rb"(charset=\"?)utf-?16(?:[lb]e)?", rb"\1us-ascii"),
    ),
    Row(
        "octets that a code page of Windows leaves free have no meaning; for postal-mime, as for browsers, they are C1"
        " controls",
        b"Content-Type: text/plain; charset=windows-1251\r\n\r\n\x98",
        both(
            of(TEXTS, ("postal-mime",), "undecodable-charset"),
            each(lambda mine, theirs: mine == re.sub("[\x80-\x9f]", "\ufffd", theirs)),
        ),
    ),
    Row(
        "each line of ISO-2022-JP begins in ASCII (RFC 1468); for postal-mime, as for browsers, a shift goes on",
        b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$BF|\r\nab",
        of((*TEXTS, *FIELDS), ("postal-mime",)),
        without(rb"(\x1b\$[@B][^\x1b\r\n]*)(?=\r*\n)", b"\\1\x1b(B"),
    ),
    Row(
        "behind an escape sequence that selects nothing, ISO-2022-JP is ASCII, as if it was one that leads back to it"
        " and was damaged; for postal-mime, as for browsers, what was selected before goes on",
        b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$BF|\x1b(?a\r\n",
        of((*TEXTS, *FIELDS), ("postal-mime",), "undecodable-charset"),
        without(rb"(?:\x1b\$[@B])?\x1b(?!\$[@B]|\([BIJ]|\$\([DOPQ])", b"\x1b(B"),
    ),
    Row(
        "an escape sequence of ISO-2022-JP right behind another one is no error; for postal-mime and browsers it is",
        b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B\x1b(Ba\r\n",
        of((*TEXTS, *FIELDS), ("postal-mime",)),
        without(rb"\x1b(?:\$[@B]|\([BIJ])(?=\x1b(?:\$[@B]|\([BIJ]))"),
    ),
    Row(
        "Big5 has the characters of Hong Kong (HKSCS, WHATWG Encoding 14.1), for which postal-mime has private ones",
        b"Content-Type: text/plain; charset=big5\r\n\r\n\xfa\xa1",
        both(of(TEXTS, ("postal-mime",)), lambda it: bool(re.search("[\ue000-\uf8ff]", it.theirs))),
        without(rb"(charset=\"?)big5[^\"\s;]*", rb"\1us-ascii"),
    ),
    Row(
        "HTML without a label may say its charset itself (WHATWG HTML 13.2.3.2); postal-mime does not look",
        b"Content-Type: text/html\r\n\r\n<meta charset=koi8-r>\xf0\xde\r\n",
        both(
            of(("html",), ("postal-mime",), *CHARSET_DEFECTS),
            lambda it: bool(re.search(r"<(?:meta|\?xml)[^>]*(?:charset|encoding)", it.ours, re.IGNORECASE)),
            lambda it: is_same_when_read(it, is_undecoded),
        ),
    ),
    Row(
        "format=flowed stays as sent; postal-mime joins its lines (RFC 3676 4.1)",
        b"Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\na \r\nb\r\n",
        of(("text",), ("postal-mime",)),
        without(rb";[ \t]*format=\"?flowed"),
    ),
    Row(
        "a label of UTF-16 on octets that are not in it is a mistake; the others read other characters",
        b"Content-Type: text/plain; charset=utf-16\r\n\r\nTo: bob@example.com",
        both(of((*TEXTS, *FIELDS)), lambda it: "wrong-charset" in it.defects or str(it.ours).isascii()),
        without(rb"utf-?16(?:[lb]e)?|unicode", b"utf-8"),
    ),
]
