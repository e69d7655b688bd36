"""The options that `send` and `bench` share, and what they become."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from fastsmtp.cli.bench import bench
from fastsmtp.cli.options import ClientOptions, client_options
from fastsmtp.cli.send import send
from fastsmtp.client.auth import Account
from fastsmtp.client.dialogue import Script
from fastsmtp.smtp.replies import MECHANISMS

DEFAULTS = ClientOptions(
    user=None,
    password="",
    mechanism=None,
    starttls=False,
    implicit_tls=False,
    insecure=False,
    ca_file="",
    helo="",
    timeout_s=60.0,
)


def shared(command: click.Command) -> list[object]:
    """The names and help texts of the shared options, in the order of the help."""
    context = click.Context(command)
    return [option.get_help_record(context) for option in command.params if option.name in ClientOptions._fields]


def test_send_and_bench_explain_the_shared_options_alike() -> None:
    assert shared(send) == shared(bench)
    assert [option.name for option in send.params if option.name in ClientOptions._fields] == [*ClientOptions._fields]


@pytest.mark.parametrize("verb", [send, bench], ids=["send", "bench"])
def test_every_mechanism_of_the_server_can_be_chosen(verb: click.Command) -> None:
    [auth] = [option for option in verb.params if option.name == "mechanism"]
    assert isinstance(auth.type, click.Choice)
    assert tuple(auth.type.choices) == MECHANISMS


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], DEFAULTS),
        (
            ["--user", "me", "--password", "secret", "--auth", "cram-md5", "--starttls", "--insecure"],
            DEFAULTS._replace(user="me", password="secret", mechanism="CRAM-MD5", starttls=True, insecure=True),
        ),
        (
            ["--tls", "--ca", "ca.pem", "--helo", "me", "--timeout", "0.5"],
            DEFAULTS._replace(implicit_tls=True, ca_file="ca.pem", helo="me", timeout_s=0.5),
        ),
    ],
    ids=["defaults", "login", "tls"],
)
def test_options(arguments: list[str], options: ClientOptions) -> None:
    found: list[ClientOptions] = []

    @click.command()
    @client_options
    def verb(client: ClientOptions) -> None:
        found.append(client)

    assert CliRunner().invoke(verb, arguments).exit_code == 0
    assert found == [options]


@pytest.mark.parametrize("verb", [send, bench], ids=["send", "bench"])
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--tls", "--starttls"], "--starttls or --tls, not both"),
        (["--helo", "a\rb"], "Invalid value for '--helo': there is a line break in 'a\\rb'"),
        (["--from", "a\nb"], "Invalid value for '--from': there is a line break in 'a\\nb'"),
        (["--timeout", "0"], "Invalid value for '--timeout': expected seconds, from 0.001 to 86400"),
        (["--timeout", "nan"], "Invalid value for '--timeout': expected seconds, from 0.001 to 86400"),
    ],
    ids=["both", "helo", "from", "timeout", "nan"],
)
def test_options_that_are_refused(verb: click.Command, arguments: list[str], complaint: str) -> None:
    result = CliRunner().invoke(verb, [*arguments, "127.0.0.1:1"])
    assert (result.exit_code, result.output.splitlines()[-1]) == (2, f"Error: {complaint}")


@pytest.mark.parametrize("verb", [send, bench], ids=["send", "bench"])
def test_certificates_that_cannot_be_read(verb: click.Command) -> None:
    result = CliRunner().invoke(verb, ["--ca", "/nonexistent.pem", "127.0.0.1:1"])
    assert (result.exit_code, result.output) == (2, "fastsmtp: --ca /nonexistent.pem: No such file or directory\n")


@pytest.mark.parametrize(
    ("place", "host"),
    [("mx.example.com:25", "mx.example.com"), (":1025", "127.0.0.1"), ("unix:/path", "localhost")],
)
def test_script(place: str, host: str) -> None:
    options = DEFAULTS._replace(user="me", password="secret", mechanism="LOGIN", starttls=True, helo="here")
    assert options.script(place, "a@b", ["c@d"]) == Script(
        "here", "a@b", ["c@d"], starttls=True, account=Account("me", "secret"), mechanism="LOGIN", host=host
    )


def test_no_tls() -> None:
    assert DEFAULTS.tls() is None
