"""What RPC shows of the configuration."""

from __future__ import annotations

from fastsmtp.config.file import load
from fastsmtp.config.settings import Config, OnInitSettings, ServerSettings
from fastsmtp.ops.methods import shown_config


def test_config_has_the_keys_of_the_file_and_shows_no_secrets() -> None:
    config = Config(
        server=ServerSettings(
            env={"A": "secret", "B": "secret"},
            on_init=OnInitSettings(env=[{"C": "secret"}, {"D": "secret"}]),
            after_init=OnInitSettings(env={"E": "secret"}),
        )
    )
    assert shown_config(config)["server"] == {
        "command": "",
        "relay": "unix",
        "relay_timeout": "60s",
        "trust_relay": False,
        "user": "",
        "group": "",
        "env": {"A": "******", "B": "******"},
        "on_init": {
            "command": "",
            "exec_timeout": "60s",
            "env": {"C": "******", "D": "******"},
            "exit_on_error": False,
            "user": "",
        },
        "after_init": {
            "command": "",
            "exec_timeout": "60s",
            "env": {"E": "******"},
            "exit_on_error": False,
            "user": "",
        },
    }


def test_durations_can_be_read_again() -> None:
    config = load(None, ["smtp.read_timeout=1h30m0.5s", "smtp.write_timeout=1ms"])
    smtp = shown_config(config)["smtp"]
    assert isinstance(smtp, dict)
    assert (smtp["read_timeout"], smtp["write_timeout"]) == ("5400.5s", "0.001s")
    assert load(None, [f"smtp.{key}={smtp[key]}" for key in ("read_timeout", "write_timeout")]) == config


def test_listeners_are_shown_by_name() -> None:
    config = load(None, ["smtp.servers={a: {addr: '127.0.0.1:2525'}}"])
    smtp = shown_config(config)["smtp"]
    assert isinstance(smtp, dict)
    assert smtp["servers"] == {"a": {"addr": "127.0.0.1:2525", "hostname": "", "tls": None}}
