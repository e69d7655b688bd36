"""Mailboxes, domains and address literals (RFC 5321 sections 4.1.2 and 4.1.3): what is one, and what is not.

Expressions are such that each character can be taken in one way only: matching is linear in the text.
"""

from __future__ import annotations

import re
from typing import Final

ATEXT: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
# A range up to U+10FFFF takes `re` forty milliseconds to compile.
NON_ASCII: Final = r"[^\x00-\x7f]"

_DOMAIN: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
_LITERAL: Final = r"\[[!-Z^-~]+\]"  # `_is_literal` looks into it
# Mailbox with what RFC 6531 section 3.3 adds to atext and sub-domain.
_U_ATEXT: Final = rf"(?:{ATEXT}|{NON_ASCII})"
_U_LETTER: Final = rf"(?:[A-Za-z0-9]|{NON_ASCII})"
_U_LABEL: Final = rf"{_U_LETTER}(?:(?:[A-Za-z0-9-]|{NON_ASCII})*{_U_LETTER})?"
_LOCAL: Final = rf'(?:{_U_ATEXT}+(?:\.{_U_ATEXT}+)*|"(?:[^"\\\x00-\x1f\x7f]|\\[ -~])*")'
_U_DOMAIN: Final = rf"(?:{_U_LABEL}(?:\.{_U_LABEL})*|{_LITERAL})"
_is_mailbox: Final = re.compile(f"{_LOCAL}@{_U_DOMAIN}").fullmatch
_route: Final = re.compile(rf"@{_U_DOMAIN}(?:,@{_U_DOMAIN})*:").match  # A-d-l ":" of RFC 5321 section 4.1.2
_literals: Final = re.compile(r"\[[^\]]*\]").findall
_is_domain: Final = re.compile(rf"{_DOMAIN}\.?").fullmatch
_has_brackets: Final = re.compile(_LITERAL).fullmatch

_is_quad: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}").fullmatch
_is_group: Final = re.compile("[0-9A-Fa-f]{1,4}").fullmatch
_is_tag: Final = re.compile("[A-Za-z0-9-]*[A-Za-z0-9]").fullmatch


def is_mailbox(text: str) -> bool:
    """Whether this is Mailbox of RFC 5321 section 4.1.2, with UTF-8 as RFC 6531 section 3.3 has it."""
    if _is_mailbox(text) is None:
        return False
    # No "[" stands within the brackets of a literal.
    return text[-1] != "]" or _is_literal(text[text.rindex("[") :])


def is_helo(name: str) -> bool:
    """Whether this is Domain or address-literal of RFC 5321 section 4.1.2, as HELO and EHLO want it."""
    if name[:1] == "[":
        return _has_brackets(name) is not None and _is_literal(name)
    return _is_domain(name) is not None


def find_route(path: str) -> int:
    """Where the mailbox begins behind a source route; 0 where there is no route."""
    found = _route(path)
    return 0 if found is None else found.end()


def is_route(route: str) -> bool:
    """Whether the address literals are right in a route that `find_route` has found."""
    return all(_is_literal(literal) for literal in _literals(route))


def _is_literal(literal: str) -> bool:
    """Whether the text between the brackets is what RFC 5321 section 4.1.3 wants."""
    content = literal[1:-1]
    tag, colon, rest = content.partition(":")
    if not colon:
        return _is_ipv4(content)
    if tag.upper() == "IPV6":
        return _is_ipv6(rest)
    # General-address-literal. QUIRK: "[2001:db8::19]" looks like one, and is an IPv6 address whose tag is forgotten.
    return bool(rest) and _is_tag(tag) is not None and _is_group(tag) is None


def _is_ipv4(text: str) -> bool:
    return _is_quad(text) is not None and all(int(number) <= 255 for number in text.split("."))


def _is_ipv6(text: str) -> bool:
    """IPv6-addr, in which "::" stands for two groups or more."""
    head, double, tail = text.partition("::")
    groups = [*(head.split(":") if head else []), *(tail.split(":") if tail else [])]
    count = len(groups)
    if groups and "." in groups[-1] and (tail or not double):
        if not _is_ipv4(groups.pop()):
            return False
        count += 1  # 32 bits
    if not all(_is_group(group) for group in groups):
        return False
    return count <= 6 if double else count == 8
