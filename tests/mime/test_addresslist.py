"""Address lists (RFC 5322 sections 3.4, 4.4 and appendix A)."""

from __future__ import annotations

from email.headerregistry import AddressHeader, HeaderRegistry
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastsmtp.mime.address import Address
from fastsmtp.mime.addresslist import address_steps, irregular_steps, parse_addresses
from fastsmtp.mime.budget import MAX_ADDRESSES, Budget
from fastsmtp.mime.defects import ADDRESS_LIMIT, INVALID_ADDRESS, INVALID_ENCODED_WORD, MEANINGS

Pairs = list[tuple[str, str]]


def addresses(value: str) -> tuple[Pairs, list[str]]:
    """What is found the first time and from the cache, which must be the same."""
    defects: list[str] = []
    again: list[str] = []
    parsed = parse_addresses(value, defects)
    assert all(type(address) is Address for address in parsed)
    assert (parse_addresses(value, again), again) == (parsed, defects)
    return [(name, address) for name, address in parsed], defects


GOOD: dict[str, tuple[str, Pairs]] = {
    "name": ("Ada Example <ada@example.com>", [("Ada Example", "ada@example.com")]),
    "bare": ("ada@example.com", [("", "ada@example.com")]),
    "brackets": ("<ada@example.com>", [("", "ada@example.com")]),
    "list": ("a@x, B C <d@y>,e@z", [("", "a@x"), ("B C", "d@y"), ("", "e@z")]),
    "folded": ("A\t B   C\t<d@y>,\t e@z ", [("A B C", "d@y"), ("", "e@z")]),
    "quoted": ('"Ada Example" <a@x>,"B"<b@y>', [("Ada Example", "a@x"), ("B", "b@y")]),
    "quoted comma": ('"Last, First" <lf@x>, c@y', [("Last, First", "lf@x"), ("", "c@y")]),
    "quoted pairs": (r'"A \"B\" C\\" <a@x>', [('A "B" C\\', "a@x")]),
    "quoted blanks": ('"A  B" C  D <a@x>', [("A  B C D", "a@x")]),
    "quoted at": ('"a@b" <c@d>', [("a@b", "c@d")]),
    "quoted local part": (
        '"a b"@x, "c,\\"d"@y (D), <"e f"@z>',
        [("", '"a b"@x'), ("D", '"c,\\"d"@y'), ("", '"e f"@z')],
    ),
    "unquoted dots": ("John Q. Public <j@x>, Dr. A.B <d@x>", [("John Q. Public", "j@x"), ("Dr. A.B", "d@x")]),
    "comment": ("joe@x (Joe)", [("Joe", "joe@x")]),
    "comment before": ("(Joe) joe@x", [("Joe", "joe@x")]),
    "comment behind brackets": ("<joe@x> (Joe (the one) \\) Doe)", [("Joe (the one) ) Doe", "joe@x")]),
    "comment and name": ("Pete (the one) <pete@x>", [("Pete", "pete@x")]),
    "comments inside": (
        "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
        [("Pete", "pete@silly.test")],
    ),
    "blanks around dots in brackets, and without": ("<a . b @ c . d>, a . b@c .d", [("", "a.b@c.d"), ("", "a.b@c.d")]),
    "quoted and literal": ('<"a@b"@[192.0.2.1]>, "a".b@c', [("", '"a@b"@[192.0.2.1]'), ("", '"a".b@c')]),
    "routes": ("<@x:a@b>, <@x,@y:c@d>", [("", "a@b"), ("", "c@d")]),
    "group": ('Team: ann@x, "Bob B." <bob@x>; , carl@y', [("", "ann@x"), ("Bob B.", "bob@x"), ("", "carl@y")]),
    "empty group": ("undisclosed-recipients:;", []),
    "empty group with comments": ("(Empty list)(start)Hidden recipients  :(none(that I know))  ;", []),
    "group behind an address": ('a@x, G: ;, "B" <b@y>', [("", "a@x"), ("B", "b@y")]),
    "groups": ("A: a@x;, B: b@y, c@z;", [("", "a@x"), ("", "b@y"), ("", "c@z")]),
    "commented group": (
        "A Group(Some people):Chris Jones <c@(Chris's host.)public.example>,\r\n joe@example.org,\r\n"
        " John <jdoe@one.test> (my dear friend); (the end of the group)",
        [("Chris Jones", "c@public.example"), ("", "joe@example.org"), ("John", "jdoe@one.test")],
    ),
    "route": ("Mary Smith <@node.test,@b:mary@example.net>", [("Mary Smith", "mary@example.net")]),
    "empty members": (", a@x,, b@y ,", [("", "a@x"), ("", "b@y")]),
    "blanks around dots": ("jdoe@test  . example, < a . b @ c . d >", [("", "jdoe@test.example"), ("", "a.b@c.d")]),
    "blanks around at": ("joe @ example.org", [("", "joe@example.org")]),
    "domain literal": (
        "a@[192.0.2.1], B <b@[IPv6:2001:db8::1]>",
        [("", "a@[192.0.2.1]"), ("B", "b@[IPv6:2001:db8::1]")],
    ),
    "encoded words": ("=?utf-8?Q?J=C3=BCrgen?= =?utf-8?Q?_Gro=C3=9F?= <jg@x>", [("Jürgen Groß", "jg@x")]),
    "encoded comma": (
        "=?utf-8?B?RG9lLCBab8Or?= <zoe@x>,\t=?utf-8?B?5p2OIOmbtw==?= <li@y>",
        [("Doe, Zoë", "zoe@x"), ("李 雷", "li@y")],
    ),
    "encoded comma before at": ("=?utf-8?q?Doe=2C?= =?utf-8?q?Zo=C3=AB?= <zoe@x>", [("Doe,Zoë", "zoe@x")]),
    "encoded comma and at": ("=?utf-8?q?a=40b=2C_Zo=C3=AB?= <zoe@x>", [("a@b, Zoë", "zoe@x")]),
    "encoded at": ("=?utf-8?Q?a=40b?= <c@d>", [("a@b", "c@d")]),
    "at in a quoted name": ('"a @" b <c@d>', [("a @ b", "c@d")]),
    "encoded and not": ('Herr =?utf-8?Q?J=C3=BCrgen?= "von, zu" X <jg@x>', [("Herr Jürgen von, zu X", "jg@x")]),
    "encoded comment": ("jg@x (=?utf-8?Q?J=C3=BCrgen?=)", [("Jürgen", "jg@x")]),
    "utf-8": (
        '"Jöhn Doe" <jdöe@mächine.example>, märy@exämple.net',
        [("Jöhn Doe", "jdöe@mächine.example"), ("", "märy@exämple.net")],
    ),
    "apostrophes": ("O'Brien <o'brien@x>", [("O'Brien", "o'brien@x")]),
    "equals sign": ("a=b <c=d@x>, e=f@y", [("a=b", "c=d@x"), ("", "e=f@y")]),
    "at in a name": ("ada@x.com <ada@x.com>", [("ada@x.com", "ada@x.com")]),
    "null": ("<>", [("", "")]),
    "nothing": ("", []),
    "blanks": (" \t", []),
    "commas": (",,", []),
    "semicolons": ("a@x; B <b@y>;", [("", "a@x"), ("B", "b@y")]),
    "mailto": ("mailto:a@x, <mailto:b@y>", [("", "a@x"), ("", "b@y")]),
    "mailto in capitals": ("<MAILTO:b@y>", [("", "b@y")]),
    "specials in quotes and comments": ('"[)]" (\\)[) <a@x>', [("[)]", "a@x")]),
    "route with an empty element": ("<@x,,@y,:a@b>", [("", "a@b")]),
    "domain literal with a comment": ("a@[192.0.2.1] (A)", [("A", "a@[192.0.2.1]")]),
}


@pytest.mark.parametrize(("value", "expected"), GOOD.values(), ids=GOOD)
def test_well_formed(value: str, expected: Pairs) -> None:
    assert addresses(value) == (expected, [])


TOLERATED: dict[str, tuple[str, Pairs]] = {
    "mailbox of this host": ("root", [("", "root")]),
    "name only": ("Joe Smith", [("Joe Smith", "")]),
    "quoted name only": ('"Joe"', [("Joe", "")]),
    "encoded name only": ("=?utf-8?Q?J=C3=BCrgen?=", [("Jürgen", "")]),
    "names only": ("Joe Smith, root", [("Joe Smith", ""), ("", "root")]),
    "name, then bare address": ("root, joe@x", [("", "root"), ("", "joe@x")]),
    "unquoted comma": ("Doe, John <j@x>, a@y", [("Doe, John", "j@x"), ("", "a@y")]),
    "no brackets": ("Joe Smith joe@x, joe@y Joe", [("Joe Smith", "joe@x"), ("Joe", "joe@y")]),
    "comma before brackets": ("root, <j@x>", [("", "root"), ("", "j@x")]),
    "comma before brackets, and names": (
        "root, Joe,<j@x>, k@y",
        [("", "root"), ("", "Joe"), ("", "j@x"), ("", "k@y")],
    ),
    "comma before brackets, behind a name": ("Joe Doe, <j@x>, k@y", [("Joe Doe", "j@x"), ("", "k@y")]),
    "mailbox before a group": ("root, friends: a@x, b@y;, c@z", [("", "root"), ("", "a@x"), ("", "b@y"), ("", "c@z")]),
    "empty brackets behind an address": ("joe@x <>, Ann <>, a@y", [("", "joe@x"), ("Ann", ""), ("", "a@y")]),
    "empty brackets, name and address": ("Joe joe@x <>", [("Joe", "joe@x")]),
    "blanks between addresses, one of them encoded": (
        "c@d.example =?utf-8?q?e=40f.example?= g@h.example =?utf-8?q?=C3=96?=",
        [("", "c@d.example"), ("", "e@f.example"), ("Ö", "g@h.example")],
    ),
    "at alone for a name": ("@ <a@x>, @<b@y>", [("@", "a@x"), ("@", "b@y")]),
    "at alone in a name": ("Joe @ Acme <a@x>", [("Joe @ Acme", "a@x")]),
    "at behind a name": ("joe@ <a@x>", [("joe@", "a@x")]),
    "at before a name": ("@joe <a@x>", [("@joe", "a@x")]),
    "at before a quoted name": ('@ "Joe" <a@x>', [("@ Joe", "a@x")]),
    "two ats": ("a@b@c", [("", "a@b@c")]),
    "no comma": ("A <a@x> B <b@y>", [("A", "a@x"), ("B", "b@y")]),
    "name on both sides": ("A <a@x> B", [("A", "a@x")]),
    "name behind": ("<a@x> Joe", [("Joe", "a@x")]),
    "not closed": ("Joe <joe@x", [("Joe", "joe@x")]),
    "not closed in a list": ("Joe <joe@x, <b@y>; c@z", [("Joe", "joe@x"), ("", "b@y"), ("", "c@z")]),
    "a bracket too many": ("Joe <<joe@x>, << ann@y>", [("Joe", "joe@x"), ("", "ann@y")]),
    "brackets in brackets": ("Joe <<joe@x>>", [("Joe", "joe@x")]),
    "never opened": ("joe@x>, a@y", [("", "joe@x"), ("", "a@y")]),
    "quote not closed": ('"Joe <joe@x>', [("Joe", "joe@x")]),
    "quote not closed, later": ('Joe "Joey <joe@x>, a@y', [("Joe Joey", "joe@x"), ("", "a@y")]),
    "comment not closed": ("Joe (foo <joe@x>", [("Joe (foo", "joe@x")]),
    "everything encoded": ("=?utf-8?Q?J=C3=B6rg_=3Cjoerg=40example=2Ecom=3E?=", [("Jörg", "joerg@example.com")]),
    "everything encoded, in base64": ("=?utf-8?B?SsO2cmcgPGpvZXJnQHg+?=, a@y", [("Jörg", "joerg@x"), ("", "a@y")]),
    "everything encoded, several": (
        "=?utf-8?Q?J=C3=B6rg_=3Cjoerg=40x=3E=2C_ann=40y?=, c@z",
        [("Jörg", "joerg@x"), ("", "ann@y"), ("", "c@z")],
    ),
    "address encoded": ("=?utf-8?Q?joerg=40example=2Ecom?=", [("", "joerg@example.com")]),
    "address encoded, behind a name": ("Joe =?utf-8?Q?joe=40x?=", [("Joe", "joe@x")]),
    "text with an at": ("=?utf-8?Q?meet_=40_five?=", [("meet @ five", "")]),
    "blanks between": ("a@x b@y\r\n\tc@z", [("", "a@x"), ("", "b@y"), ("", "c@z")]),
    "blanks between, and names": (
        "Joe a@x Ann B. b@y c@z, d@w",
        [("Joe", "a@x"), ("Ann B.", "b@y"), ("", "c@z"), ("", "d@w")],
    ),
    "blanks between, and a name behind": ("a@x b@y Joe", [("", "a@x"), ("Joe", "b@y")]),
    "blanks between, and inside": ("a @ x b@y . z c@w", [("", "a@x"), ("", "b@y.z"), ("", "c@w")]),
    "blank behind brackets": ('"A" <a@x> b@y, c@z', [("A", "a@x"), ("", "b@y"), ("", "c@z")]),
    "blanks behind brackets, and names": (
        "<a@x> (A) b@y (B) c@z (C), Joe <d@w> Ann e@v",
        [("A", "a@x"), ("B", "b@y"), ("C", "c@z"), ("Joe", "d@w"), ("Ann", "e@v")],
    ),
    "an at behind brackets": ("A <a@x> @ work", [("A", "a@x")]),
    "blanks between, and comments": ("a@x (A) b@y (B) Joe c@z", [("A", "a@x"), ("B", "b@y"), ("Joe", "c@z")]),
    "blanks between, and one comment": ("a@x b@y (B), c@z", [("", "a@x"), ("B", "b@y"), ("", "c@z")]),
    "title before an address": ("Dr. joe@x", [("Dr.", "joe@x")]),
    "comma of python": ("a@x =?utf-8?q?=2C?= =?utf-8?q?=C3=A4?= <b@y>", [("", "a@x"), ("ä", "b@y")]),
    "comma of python behind brackets": ("A <a@x> =?utf-8?q?=2C?= b@y, c@z", [("A", "a@x"), ("", "b@y"), ("", "c@z")]),
    "comma of python behind a comment": ("a@x (A) =?utf-8?q?=2C?= b@y", [("A", "a@x"), ("", "b@y")]),
    "comma of python in base64": ("a@x =?utf-8?b?LA==?= b@y", [("", "a@x"), ("", "b@y")]),
    "comma of python before a name": ("a@x =?utf-8?q?=2C_=C3=A4?= <b@y>", [("", "a@x"), ("ä", "b@y")]),
    "comma of python with the end of a domain": (
        "a@exam =?utf-8?q?ple=2Ecom=2C?= =?utf-8?q?=C3=A4?= <b@y>",
        [("", "a@example.com"), ("ä", "b@y")],
    ),
    "comma of python with the end of a mailbox": (
        "=?utf-8?q?Zo=C3=AB_=3Czoe=40example?= =?utf-8?q?=2Eorg=3E=2C?= =?utf-8?q?=C3=84?= <b@y>",
        [("Zoë", "zoe@example.org"), ("Ä", "b@y")],
    ),
    "comma of python with whole mailboxes": (
        "=?utf-8?q?Zo=C3=AB_=3Ca=40x=3E=2C_=22B=22_=3Cb=40y=3E=2C_d?= =?utf-8?q?=40z=2C?= E <e@w>",
        [("Zoë", "a@x"), ("B", "b@y"), ("", "d@z"), ("E", "e@w")],
    ),
    "only a group name": ("Team: root;", [("", "root")]),
    "two ats in brackets": ("A <a@b@c>, <a@@b>, d@@e", [("A", "a@b@c"), ("", "a@@b"), ("", "d@@e")]),
    "specials": ("a@b), <d)e@f>, <c@(>", [("", "a@b)"), ("", "d)e@f"), ("", "c@(")]),
    "special, and a name": ("Ann <a[b@c>", [("Ann", "a[b@c")]),
    "closing parenthesis as a name": (")<a@b>", [(")", "a@b")]),
    "closing parenthesis in a name": ("Ann) <a@b>, c@d", [("Ann)", "a@b"), ("", "c@d")]),
    "square brackets in a name": ("[News] Ann <a@b>", [("[News] Ann", "a@b")]),
    "one square bracket in a name": ("A]nn <a@b>", [("A]nn", "a@b")]),
    "backslash in a name": ("A\\nn <a@b>", [("A\\nn", "a@b")]),
    "special in the name of a group": ("[News]: a@b;", [("", "a@b")]),
    "group without a name": (":a@b, c@d;", [("", "a@b"), ("", "c@d")]),
    "colon without a route": ("<:a@b>", [("", "a@b")]),
    "word for a route": ("Ann <x:a@b>", [("Ann", "a@b")]),
    "address with a literal behind brackets": (
        "Ann <a@b> c@[192.0.2.1], d@e",
        [("Ann", "a@b"), ("", "c@[192.0.2.1]"), ("", "d@e")],
    ),
    "port behind an address": ("Ann <a@b:25>, <mailto:c@d:x y>, e@f", [("Ann", "a@b"), ("", "c@d"), ("", "e@f")]),
    "colon behind an address": ("<a@b:>, <c@d:25,e@f>", [("", "a@b"), ("", "c@d"), ("", "e@f")]),
    "two addresses with a colon between": ("<a@b:c@d>", [("", "a@b")]),
    "colon behind an address, without the end": ("<n@x:", [("", "n@x")]),
    "colon and brackets behind an address": ("<a@b:<c@d>", [("", "c@d")]),
    "route without a domain": ("<@:a@b>", [("", "a@b")]),
    "backslash": ("a\\b@c", [("", "a\\b@c")]),
    "no local part": ("<@b>, @c", [("", "@b"), ("", "@c")]),
    "no domain": ("<a@>, b@", [("", "a@"), ("", "b@")]),
    "blank in a domain": ("<a@b c>, <d e@f>", [("", "a@bc"), ("", "de@f")]),
    "fold in a domain": ("Ann <ann@exa\r\n mple.com>", [("Ann", "ann@example.com")]),
    "route without a colon": ("A <@x,@y,a@b>, c@d", [("A", "a@b"), ("", "c@d")]),
    "route with a blank for the colon": ("<@x a@b>", [("", "a@b")]),
    "route alone": ("<@x,@y>", [("", "@y")]),
    "semicolon of an encoded word": ("a@x =?utf-8?q?=3B?= b@y", [("", "a@x"), ("", "b@y")]),
    "semicolon of an encoded word, glued": ("a@x=?utf-8?b?Ow==?= <b@y>, c@z", [("", "a@x"), ("", "b@y"), ("", "c@z")]),
}


@pytest.mark.parametrize("name", TOLERATED)
def test_tolerated(name: str) -> None:
    value, expected = TOLERATED[name]
    assert addresses(value) == (expected, [INVALID_ADDRESS])


@pytest.mark.parametrize("character", "(),.:;<>@[]#$%&'^`{|}~\"\\é")
def test_a_word_has_what_a_phrase_cannot_have(character: str) -> None:
    """RFC 2047 section 5 (3), for words in Q: letters, digits, and a few signs; all else is `=` and its octets."""
    found, defects = addresses(f"=?utf-8?q?a{character}b?= <a@x>, Joe =?utf-8?b?w5Y=?= <b@y>")
    assert (found, defects) == ([(f"a{character}b", "a@x"), ("Joe Ö", "b@y")], [INVALID_ENCODED_WORD])


@pytest.mark.parametrize("text", ["(x)", '"'])
def test_a_word_has_what_a_comment_cannot_have(text: str) -> None:
    """RFC 2047 section 5 (2)."""
    assert addresses(f"a@x (=?utf-8?q?a{text}b?=)") == ([(f"a{text}b", "a@x")], [INVALID_ENCODED_WORD])


def test_a_word_has_what_a_phrase_may_have() -> None:
    value = "=?utf-8?q?Az09!*+-/=3D=28=22_?= <a@x>, c@z (=?utf-8?q?it's_me.?=)"
    assert addresses(value) == ([('Az09!*+-/=("', "a@x"), ("it's me.", "c@z")], [])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"=?utf-8?B?w5Y=?=" <a@b>', [("Ö", "a@b")]),
        ("=?utf-8?Q?Doe, J=C3=B6hn?= <j@x>", [("Doe, Jöhn", "j@x")]),
        ("Joe <=?utf-8?Q?joe=40x?=>, <=?utf-8?Q?ann?=@y>", [("Joe", "joe@x"), ("", "ann@y")]),
        ("=?utf-8?Q?ann?=@y, <=?utf-8?Q?joe?=@x>", [("", "ann@y"), ("", "joe@x")]),
        ("<a@=?utf-8?q?x=3E=2C?= b@y", [("", "a@x"), ("", "b@y")]),
        ("=?utf-8?Q?J=C3=B6hn?=<j@x>, Mr.=?utf-8?Q?=C3=B6?= <k@x>", [("Jöhn", "j@x"), ("Mr.ö", "k@x")]),
    ],
    ids=["in quotes", "comma and blank inside", "in brackets", "local part", "end of brackets", "glued"],
)
def test_wrong_encoded_words(value: str, expected: Pairs) -> None:
    assert addresses(value) == (expected, [INVALID_ENCODED_WORD])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("=?utf-8?B?IkpvZSBEw7ZlIiA8am9l?=@x", [("Joe Döe", "joe@x")]),
        ("a@z, =?utf-8?Q?J=C3=B6rg_<joerg?=@y>, b@z", [("", "a@z"), ("Jörg", "joerg@y"), ("", "b@z")]),
    ],
    ids=["alone", "in a list"],
)
def test_all_but_the_domain_encoded(value: str, expected: Pairs) -> None:
    found, noted = addresses(value)
    assert (found, sorted(noted)) == (expected, [INVALID_ADDRESS, INVALID_ENCODED_WORD])


def test_returned_lists_are_not_shared() -> None:
    parse_addresses("shared@x", []).clear()
    assert parse_addresses("shared@x", []) == [Address("", "shared@x")]


UNITS = [
    "a@b,", '"', '\\"', '"\\', "(", ")", "()", "((a)", "() ,", "=?", "=?u?q?", "=?u?q?x?= ", "<",
    ">", "<a@b", "a ", "a b,", ":", "a:", ";", "[", "[a", "a,", "@", " . ", "a@b c@d ", ".@ ", " ",
    '"a" ', "\\", "<a@b> ", "=?u?q?=2C?= ", "a@b =?u?q?=2C?= ", "=?u?q?a@b=2C?= ", "=?u?q?<a@b>=2C?=", "=?u?q?a@b?= ",
    "<=?u?q?a=40b?=", "=?u?q?x@b=2C_?=", "a@b ", "<@a,", "=", '"a"@b,',
    "=?u?q?<a?=@b ", "=?u?q?<a?=@b,", "a, <", "a, b: ", "a@b <>", "a@b <>,",
]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("start", ["", "a ", "<@", "("])
def test_hostile(start: str, unit: str) -> None:
    """Tens of thousands of each: it ends, and the mailbox behind it is seen unless brackets or quotes swallow it."""
    parsed = parse_addresses(start + unit * 20_000 + ", Z <y@z>", [])
    assert all(len(address.address) <= len(start + unit) * 20_000 + 12 for address in parsed)


def test_deep_comments() -> None:
    deep = "(" * 30_000 + "x" + ")" * 30_000
    defects: list[str] = []
    assert parse_addresses(f"Joe {deep} <joe@x>", defects) == [Address("Joe", "joe@x")]
    assert defects == []


def test_commas_behind_comments() -> None:
    """Each comma once looked at all the blanks before it: with ten times as many it did not end."""
    value = " ()" * 400 + "x" + ",x" * 10_000
    assert len(parse_addresses(value, [])) == 10_001


def test_long_plain_list_is_read_to_its_end() -> None:
    assert addresses("a@b, " * 19_999 + "c@d") == ([("", "a@b")] * 19_999 + [("", "c@d")], [])


def test_endless_plain_list_is_cut() -> None:
    found, defects = addresses("a@b," * 200_000 + "c@d")
    assert found == [("", "a@b")] * MAX_ADDRESSES
    assert defects == [ADDRESS_LIMIT]


@pytest.mark.parametrize("rest", ["(c)", ", (c) <y@z>", ",;", ' "'])
def test_long_list_is_cut_at_a_comma(rest: str) -> None:
    found, defects = addresses("Ada <ada@example.com>," * 5000 + "x@y" + rest)
    assert found == [("Ada", "ada@example.com")] * (64 * 1024 // 22)
    assert defects == [ADDRESS_LIMIT]


def test_long_value_without_comma_is_cut() -> None:
    found, defects = addresses("x" * 100_000)
    assert found == [("", "x" * 64 * 1024)]
    assert defects == [ADDRESS_LIMIT, INVALID_ADDRESS]


ATOMS = st.from_regex(r"[A-Za-z0-9!#$%&'*+/?^_`{|}~-]{1,12}", fullmatch=True)
DOT_ATOMS = st.lists(ATOMS, min_size=1, max_size=3).map(".".join)
ADDR_SPECS = st.tuples(DOT_ATOMS, DOT_ATOMS).map("@".join)
QUOTED = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"\\='), min_size=1, max_size=10)
PHRASES = st.one_of(
    st.lists(ATOMS, min_size=1, max_size=3).map(" ".join),
    st.lists(QUOTED, min_size=1, max_size=2).map(lambda words: '"' + " ".join(words) + '"'),
)
MAILBOXES = st.one_of(ADDR_SPECS, st.tuples(PHRASES, ADDR_SPECS).map(lambda pair: f"{pair[0]} <{pair[1]}>"))
GROUPS = st.tuples(ATOMS, st.lists(MAILBOXES, max_size=3)).map(lambda pair: f"{pair[0]}: {', '.join(pair[1])};")


@given(st.lists(st.one_of(MAILBOXES, GROUPS), min_size=1, max_size=5).map(", ".join))
def test_agrees_with_stdlib(value: str) -> None:
    header = cast("AddressHeader", HeaderRegistry()("to", value))
    if header.defects:  # type: ignore[attr-defined]
        return
    expected = [(address.display_name, address.addr_spec) for address in header.addresses]
    assert addresses(value) == (expected, [])


@given(st.lists(MAILBOXES, min_size=1, max_size=4).map(", ".join))
def test_both_ways_agree(value: str) -> None:
    defects: list[str] = []
    found: list[Address] = []
    for _ in address_steps(value, defects, Budget(), found):
        pass
    if not defects:
        token_by_token: list[Address] = []
        for _ in irregular_steps(value, defects, Budget(), token_by_token):
            pass
        assert (token_by_token, defects) == (found, [])


PIECES = st.sampled_from(
    ["a@b", "<", ">", ",", ":", ";", '"', "\\", "(", ")", "[", "]", " ", ".", "@", "=?utf-8?q?", "?=", "é"]
)


@given(st.lists(st.one_of(PIECES, st.text(max_size=3))).map("".join))
def test_any_value(value: str) -> None:
    parsed, defects = addresses(value)
    assert set(defects) <= set(MEANINGS)
    assert len(parsed) <= len(value)
