"""What HTML says of its own charset (WHATWG HTML 13.2.3.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.mime.htmlcharset import declared_charset

DOCUMENTS: dict[str, tuple[bytes, str | None]] = {
    "charset": (b'<meta charset="windows-1251">', "windows-1251"),
    "no quotes": (b"<html><head><meta charset=koi8-r></head>", "koi8-r"),
    "apostrophes and blanks": (b"<META\n CHARSET = 'koi8-r' />", "koi8-r"),
    "slash behind the name": (b"<meta/charset=koi8-r>", "koi8-r"),
    "pragma": (b'<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-2">', "iso-8859-2"),
    "pragma, other way round": (b"<meta content='text/html;charset=iso-8859-2' http-equiv=content-type>", "iso-8859-2"),
    "quotes in the pragma": (b"<meta http-equiv=content-type content=\"x; charset = 'koi8-r'\">", "koi8-r"),
    "content without pragma": (b'<meta name="x" content="text/html; charset=koi8-r">', None),
    "other pragma": (b'<meta http-equiv="refresh" content="text/html; charset=koi8-r">', None),
    "the first that is known": (b"<meta charset=no-such><meta charset=koi8-r><meta charset=utf-8>", "koi8-r"),
    "in a comment": (b"<!-- <meta charset=koi8-r> --><meta charset=cp1251>", "cp1251"),
    "behind the shortest comment": (b"<!--><meta charset=koi8-r>", "koi8-r"),
    "in an attribute": (b'<p title="<meta charset=koi8-r>"><meta charset=cp1251>', "cp1251"),
    "in a comment that never ends": (b"<!-- <meta charset=koi8-r>", None),
    "in a declaration": (b"<!doctype <meta charset=koi8-r><meta charset=cp1251>", "cp1251"),
    "another element": (b"<metal charset=koi8-r>", None),
    "an end tag": (b"</p title='<meta charset=koi8-r>'><meta charset=cp1251>", "cp1251"),
    "UTF-16 is UTF-8": (b"<meta charset=utf-16>", "utf-8"),
    "first attribute of a name": (b"<meta charset=koi8-r charset=cp1251>", "koi8-r"),
    "XML": (b'<?xml version="1.0" encoding="koi8-r"?><html>', "koi8-r"),
    "XML in apostrophes": (b"<?xml version='1.0' encoding = 'koi8-r'?>", "koi8-r"),
    "XML and meta": (b'<?xml version="1.0" encoding="koi8-r"?><meta charset=cp1251>', "cp1251"),
    "XML that is not first": (b' <?xml version="1.0" encoding="koi8-r"?>', None),
    "in the first 1024 octets": (b" " * (1024 - 21) + b"<meta charset=koi8-r>", "koi8-r"),
    "behind the first 1024 octets": (b" " * (1024 - 15) + b"<meta charset=koi8-r >", None),
    "cut": (b"<meta charset='koi8-r", None),
    "nothing": (b"", None),
    "text": (b"a < b charset=koi8-r", None),
}


@pytest.mark.parametrize(("octets", "label"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_declared(octets: bytes, label: str | None) -> None:
    assert declared_charset(octets) == label
    assert declared_charset(bytearray(octets)) == label


@given(
    st.lists(
        st.sampled_from(
            [b"<", b"meta", b" ", b"charset", b"=", b'"', b"'", b"koi8-r", b">", b"/", b"<!--", b"-->", b"<?"]
        )
        | st.binary(max_size=3),
        max_size=30,
    ).map(b"".join)
)
def test_any_document(octets: bytes) -> None:
    assert declared_charset(octets) in (None, "koi8-r")
