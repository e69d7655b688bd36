"""Where a mail belongs."""

from __future__ import annotations

import pytest

from fastsmtp.inbox.resolver import Resolver
from fastsmtp.smtp.envelope import Credentials, Envelope

DEFAULTS = ["listener", "username", "helo", "plus", "header:X-Namespace"]


def envelope(*to: str, helo: str = "client.test", username: str | None = None) -> Envelope:
    credentials = None if username is None else Credentials("PLAIN", username, "secret")
    return Envelope(helo, True, "a@example.com", to or ("b@example.com",), {}, ({},), credentials=credentials)


@pytest.mark.parametrize(
    ("made", "names"),
    [
        (envelope(), ["default"]),
        (envelope(username="Shop 1"), ["shop-1"]),
        (envelope(username=""), ["default"]),
        (envelope(username="!"), ["default"]),
        (envelope(username="run-42/w3"), ["run-42/w3"]),
        (envelope(helo="Run-7.ns.test"), ["run-7"]),
        (envelope(helo=".ns.test"), ["default"]),
        (envelope("anyone+ns.run-8@example.com"), ["run-8"]),
        (envelope("anyone+NS.Run-8@example.com"), ["run-8"]),
        (envelope("anyone@run-9.ns.test"), ["run-9"]),
        (envelope("a@run-9.ns.test", "b@example.com", "c+ns.x@d", "d@run-9.ns.test"), ["run-9", "x"]),
        (envelope("anyone+news@example.com", "postmaster"), ["default"]),
        (envelope("anyone+ns.a@run-9.ns.test"), ["a"]),
        (envelope("anyone@run-9.ns.test", username="first"), ["first"]),
        (envelope("anyone@run-9.ns.test", helo="second.ns.test"), ["second"]),
    ],
)
def test_the_envelope_names_it(made: Envelope, names: list[str]) -> None:
    assert Resolver(DEFAULTS).of_envelope(made, "default") == names


def test_a_mail_is_in_so_many_namespaces_at_most() -> None:
    made = envelope(*[f"anyone@n{number}.ns.test" for number in range(300)])
    assert len(Resolver(DEFAULTS).of_envelope(made, "default")) == 100


def test_a_listener_of_its_own() -> None:
    resolve = Resolver(DEFAULTS)
    resolve.listeners["ns:a"] = "a"
    assert [resolve.of_envelope(envelope(username="b"), name) for name in ("ns:a", "default")] == [["a"], ["b"]]


def test_the_order_is_that_of_the_setting() -> None:
    made = envelope("anyone@by-rcpt.ns.test", helo="by-helo.ns.test", username="by-user")
    for entries, name in ((["plus", "helo"], "by-rcpt"), (["helo", "username"], "by-helo"), ([], "default")):
        assert Resolver(entries).of_envelope(made, "default") == [name]
