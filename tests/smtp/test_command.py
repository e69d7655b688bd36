"""Arguments of commands, without a session."""

from __future__ import annotations

import pytest

from fastsmtp.smtp.command import (
    ArgumentError,
    ChunkArgument,
    Quirk,
    parse_chunk,
    parse_mail,
    parse_parameters,
    parse_rcpt,
    parse_size,
)
from fastsmtp.smtp.mailbox import is_helo


@pytest.mark.parametrize(
    "path",
    [
        "a@b",
        "a@b.c",
        "alice.bob+tag@mail-1.example.org",
        "!#$%&'*+/=?^_`{|}~-@x",
        "-@x",
        "a-.b@c",
        "1@2.3",
        "a@b--c",
        '""@b',
        '"a b"@c',
        '"a\\"b"@c',
        '"a\\\\"@c',
        '"<>"@c',
        "a@[127.0.0.1]",
        "a@[IPv6:2001:db8::1]",
        "ü@b",
        "a@bücher.example",
    ],
)
def test_mailbox(path: str) -> None:
    for parsed, parameters, quirks in (parse_mail(f"FROM:<{path}>"), parse_rcpt(f"to:<{path}>")):
        assert (parsed, parameters, [*quirks]) == (path, {}, [])


@pytest.mark.parametrize(
    "path",
    ["a", "@", "a@", "a@-b", "a@b-", "a@b.", "a@.b", "a@b..c", 'a"b@c', '"a"b@c', '"a@c', "a b@c", "a@b c", "a\0@b",
     "a@[]", "a@[b", "a@b]", "a@@b", "a,b@c", "a@b\r", "(a)@b", "a\\@b", "\x7f@b"],
)  # fmt: skip
def test_no_mailbox(path: str) -> None:
    parsed, parameters, quirks = parse_mail(f"FROM:<{path}>")
    assert (parsed, parameters, [*quirks]) == (path, {}, [Quirk("invalid-mailbox", path)])


def test_route() -> None:
    route = "@a.example,@[127.0.0.1],@b:c@d"
    assert parse_rcpt(f"TO:<{route}>") == ("c@d", {}, [Quirk("source-route", route)])


@pytest.mark.parametrize("text", ["@a", "@a,@b", "@a,b:c@d", "@a,,@b:c@d", "@:c@d"])
def test_no_route(text: str) -> None:
    assert parse_rcpt(f"TO:<{text}>") == (text, {}, [Quirk("invalid-mailbox", text)])


@pytest.mark.parametrize("name", ["Postmaster", "postmaster", "POSTMASTER"])
def test_postmaster(name: str) -> None:
    assert parse_rcpt(f"TO:<{name}>") == (name, {}, [])


@pytest.mark.parametrize(
    "argument",
    ["", ":", "FROM", "FROM:", "FROM: ", "FROM<a@b>", "FRM:<a@b>", "FROM:<a@b", "FROM:<", 'FROM:<"a>"',
     "FROM:Joe <a@b", "FROM:a<b", "FROM:X=y<z>", "FROM:<@a:>", "FROM:Joe <@a:>"],
)  # fmt: skip
def test_no_path(argument: str) -> None:
    with pytest.raises(ArgumentError):
        parse_mail(argument)


def test_quirks_come_in_order() -> None:
    path, parameters, quirks = parse_mail("from : a.@b SIZE=x SIZE=2 X")
    assert (path, parameters) == ("a.@b", {"SIZE": "x", "X": None})
    assert quirks == [
        Quirk("misplaced-space", "from : a.@b SIZE=x SIZE=2 X"),
        Quirk("path-without-brackets", "a.@b SIZE=x SIZE=2 X"),
        Quirk("invalid-mailbox", "a.@b"),
        Quirk("invalid-parameter", "SIZE=x"),
        Quirk("duplicate-parameter", "SIZE=2"),
        Quirk("unknown-parameter", "X"),
    ]


@pytest.mark.parametrize(
    ("word", "keyword", "value", "valid"),
    [
        ("SIZE=12", "SIZE", "12", True),
        ("size=0", "size", "0", True),
        ("SIZE=" + "9" * 20, "SIZE", "9" * 20, True),
        ("SIZE=" + "9" * 21, "SIZE", "9" * 21, False),
        ("SIZE=٣", "SIZE", "٣", False),
        ("SIZE=", "SIZE", "", False),
    ],
)
def test_size_alone(word: str, keyword: str, value: str, valid: bool) -> None:
    path, parameters, quirks = parse_mail(f"FROM:<a@b> {word}")
    assert (path, parameters) == ("a@b", {keyword: value})
    assert [*quirks] == ([] if valid else [Quirk("invalid-parameter", word)])


@pytest.mark.parametrize("blank", "\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u2028\u3000")
def test_what_is_blank_to_unicode_alone_is_a_parameter_that_is_invalid(blank: str) -> None:
    for words in (blank, f"{blank}X=1", f"X{blank}{blank}"):
        for parsed, parameters, quirks in (parse_mail(f"FROM:<a@b>{words}"), parse_rcpt(f"TO:<a@b>{words}")):
            keyword, equals, value = words.partition("=")
            assert (parsed, parameters) == ("a@b", {keyword: value if equals else None})
            assert [*quirks] == [Quirk("invalid-parameter", words)]


def test_most_parameters() -> None:
    words = [f"X{number}" for number in range(64)]
    quirks: list[Quirk] = []
    assert parse_parameters(" ".join(words), {}, quirks) == dict.fromkeys(words)
    assert quirks == [Quirk("unknown-parameter", word) for word in words]
    with pytest.raises(ArgumentError):
        parse_parameters(" ".join([*words, "Y"]), {}, [])


@pytest.mark.parametrize(
    ("argument", "chunk"),
    [
        ("0", ChunkArgument(0, False)),
        ("12 LAST", ChunkArgument(12, True)),
        ("12  last ", ChunkArgument(12, True)),
        ("00012", ChunkArgument(12, False)),
        ("9" * 20, ChunkArgument(10**20 - 1, False)),
        ("1 FIRST", ChunkArgument(1, False, False)),
        ("1 LAST LAST", ChunkArgument(1, False, False)),
    ],
)
def test_chunk(argument: str, chunk: ChunkArgument) -> None:
    assert parse_chunk(argument) == chunk


@pytest.mark.parametrize("argument", ["", " ", "x", "-1", "1x", "LAST", "٣", "1" * 21, "1" * 5000])
def test_no_chunk(argument: str) -> None:
    with pytest.raises(ArgumentError):
        parse_chunk(argument)


@pytest.mark.parametrize(
    ("value", "size"), [("0", 0), ("12", 12), ("", 0), (None, 0), ("x", 0), ("٣", 0), ("9" * 21, 0)]
)
def test_size(value: str | None, size: int) -> None:
    assert parse_size(value) == size


@pytest.mark.parametrize("name", ["a", "client.example.org", "a-b", "1", "[127.0.0.1]", "[IPv6:::1]", "example.org."])
def test_helo(name: str) -> None:
    assert is_helo(name)


@pytest.mark.parametrize("name", ["", "a b", "my_pc", "-a", "a-", ".a", "a..b", "[", "[]", "ü", "a\0", "(127.0.0.1)"])
def test_no_helo(name: str) -> None:
    assert not is_helo(name)


LONG = {
    "atext": lambda n: "a" * 2 * n,
    "labels": lambda n: "a." * n,
    "hyphens": lambda n: "a-" * n,
    "at signs": lambda n: "a@" * n,
    "hyphens of a domain": lambda n: "a@" + "a-" * n,
    "labels of a domain": lambda n: "a@" + "a." * n,
    "route": lambda n: "@a," * n,
    "quotes": lambda n: '"' * 2 * n,
    "quoted pairs": lambda n: '"\\' * n,
    "quoted strings": lambda n: '"a"' * n,
    "brackets": lambda n: "<" * 2 * n,
    "quoted pairs of a name": lambda n: 'Joe "' + '\\"' * n + " <a@b>",
    "comments": lambda n: "(a)" * n + "a@b",
    "comments in comments": lambda n: "(" * n + ")" * n + "a@b",
    "open comments": lambda n: "(" * 2 * n + "a@b",
    "closed brackets": lambda n: "<" * n + "a@b" + ">" * n,
    "brackets apart": lambda n: "< " * n + "a@b" + " >" * n,
    "literals": lambda n: "@[1.2.3.4]," * n + "@[1.2.3.4]:a@b",
    "groups": lambda n: "a@[IPv6:" + "1:" * n + "1]",
    "blanks": lambda n: " " * 2 * n,
    "equals signs": lambda n: "a@b> " + "=" * 2 * n,
    "xtext": lambda n: "a@b> ORCPT=" + "a" * 2 * n + "+",
    "list": lambda n: "a@b> NOTIFY=" + "DELAY," * n,
    "hexchars": lambda n: "a@b> AUTH=" + "+4" * n,
}


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("around", ["FROM:<{}>", "FROM:<{}", "FROM:{}", "FROM:<{}\n>"])
def test_a_long_argument_means_what_a_short_one_does(name: str, around: str) -> None:
    """Quadratic work on the long one takes minutes, and the time limit of a test ends it."""
    meanings = [meaning(around.format(LONG[name](repeats))) for repeats in (4, 30_000)]
    assert meanings[0] == meanings[1]


def meaning(argument: str) -> tuple[bool, list[str], list[str]] | str:
    """Whether there is a path, the keywords of parameters, the codes of what was forgiven; or why there is none."""
    try:
        path, parameters, quirks = parse_mail(argument)
    except ArgumentError as error:
        return str(error)
    return bool(path), [keyword[:6] for keyword in parameters], [quirk.code for quirk in quirks]
