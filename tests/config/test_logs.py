"""The section `logs`: what a channel has of its own, what it has from the others, and RoadRunner's spellings."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from fastsmtp.config.file import load
from fastsmtp.config.logs import ChannelSettings, FileLoggerSettings, LogsSettings
from fastsmtp.errors import ConfigError

BASE = LogsSettings(mode="raw", level="error", encoding="console", output="base.log", err_output=["stdout"])
FILE = FileLoggerSettings(log_output="full.log", max_size=1)


def logs(text: str) -> LogsSettings:
    Path("rr.yaml").write_text(text)
    return load("rr.yaml").logs


@pytest.fixture(autouse=True)
def in_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("own", "changes"),
    [
        (ChannelSettings(), {}),
        (ChannelSettings(level="debug"), {"level": "debug"}),
        (ChannelSettings(mode="production"), {"mode": "production", "encoding": ""}),
        (ChannelSettings(mode="production", encoding="json"), {"mode": "production", "encoding": "json"}),
        (ChannelSettings(output=["a", "b"], err_output="c"), {"output": ["a", "b"], "err_output": "c"}),
        (ChannelSettings(line_ending=""), {"line_ending": ""}),
        (ChannelSettings(file_logger_options=FILE), {"file_logger_options": FILE}),
    ],
    ids=["nothing", "level", "mode", "mode and encoding", "outputs", "ending", "file"],
)
def test_what_a_channel_does_not_say_is_as_everywhere(own: ChannelSettings, changes: dict[str, object]) -> None:
    expected = {"mode": "raw", "level": "error", "encoding": "console", "output": "base.log", "err_output": ["stdout"]}
    settings = load(None, ["logs.level=error"]).logs
    assert settings.channel("smtp") == LogsSettings(level="error")
    with_channel = LogsSettings(**expected, channels={"smtp": own})  # type: ignore[arg-type]
    assert with_channel.channel("smtp") == LogsSettings(**(expected | changes))  # type: ignore[arg-type]
    assert with_channel.channel("rpc") == BASE


def test_an_output_of_its_own_is_not_the_file_of_the_others() -> None:
    settings = LogsSettings(file_logger_options=FILE, channels={"rpc": ChannelSettings(output="stdout")})
    assert settings.channel("rpc") == LogsSettings(output="stdout")
    assert settings.channel("smtp") == LogsSettings(file_logger_options=FILE)


@pytest.mark.parametrize("part", ["pool", "worker", "on_init", "after_init"])
def test_what_is_about_workers_is_the_channel_server_of_roadrunner(part: str) -> None:
    server, own = ChannelSettings(level="panic"), ChannelSettings(level="debug")
    assert LogsSettings(channels={"server": server}).channel(part).level == "panic"
    assert LogsSettings(channels={"server": server, part: own}).channel(part).level == "debug"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("logs: {mode: off}", LogsSettings(mode="off")),
        ("logs: {mode: None}", LogsSettings(mode="none")),
        (
            "logs: {mode: Production, level: WARN, encoding: JSON}",
            LogsSettings(mode="production", level="warn", encoding="json"),
        ),
        ("logs: {level: warning}", LogsSettings(level="warn")),
        ("logs: {level: fatal}", LogsSettings(level="panic")),
        ('logs: {line_ending: "\\r\\n"}', LogsSettings(line_ending="\r\n")),
        ("logs: {channels: {http: {level: warn}}}", LogsSettings(channels={"http": ChannelSettings(level="warn")})),
        ("logs: {file_logger_options: {}}", LogsSettings(file_logger_options=FileLoggerSettings())),
        (
            "logs: {file_logger_options: {log_output: a, max_size: 1, max_age: 2, max_backups: 3, compress: true}}",
            LogsSettings(
                file_logger_options=FileLoggerSettings(
                    log_output="a", max_size=1, max_age=2, max_backups=3, compress=True
                )
            ),
        ),
    ],
)
def test_as_roadrunner_spells_it(text: str, expected: LogsSettings) -> None:
    assert logs(text) == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "logs: {channels: {smtp: {level: verbose}}}",
            'rr.yaml:1: logs.channels.smtp.level: expected one of "debug", "info", "warn", "error", "panic", '
            'got "verbose"',
        ),
        (
            "logs: {channels: {smtp: {levl: info}}}",
            "rr.yaml:1: logs.channels.smtp.levl: unknown key, did you mean level?",
        ),
        (
            "logs: {channels: {smtp: {output: []}}}",
            'rr.yaml:1: logs.channels.smtp.output: expected "stderr", "stdout" or a file, got nothing',
        ),
        (
            "logs: {file_logger_options: {max_size: 10MB}}",
            'rr.yaml:1: logs.file_logger_options.max_size: expected an integer of 0 or more, got "10MB"',
        ),
    ],
)
def test_faults(text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        logs(text)
    assert caught.value.faults == [fault]


@pytest.mark.parametrize(
    ("settings", "ending"),
    [
        (LogsSettings(), "\n"),
        (LogsSettings(line_ending="\r\n"), "\r\n"),
        (LogsSettings(line_ending=""), "\n"),
        (LogsSettings(line_ending="\r\n", skip_line_ending=True), ""),
    ],
    ids=["default", "given", "empty", "skipped"],
)
def test_what_ends_a_line(settings: LogsSettings, ending: str) -> None:
    assert settings.ending == ending


def test_a_file_logger_without_a_name_is_where_temporary_files_are() -> None:
    assert FileLoggerSettings().path == f"{tempfile.gettempdir()}/fastsmtp-lumberjack.log"
    assert FileLoggerSettings(log_output="x.log").path == "x.log"


@pytest.mark.parametrize(
    ("settings", "form", "stands_on_stderr", "leaves_stderr_to_people"),
    [
        (LogsSettings(), "console", True, True),
        (LogsSettings(mode="raw"), "raw", True, True),
        (LogsSettings(mode="production"), "json", False, False),
        (LogsSettings(mode="production", encoding="console"), "console", True, False),
        (LogsSettings(mode="production", output="x.log"), "json", False, False),
        (LogsSettings(encoding="json"), "json", False, False),
        (LogsSettings(encoding="json", output="x.log"), "json", False, True),
        (LogsSettings(encoding="json", output=["x.log", "stderr"]), "json", False, False),
        (LogsSettings(output="x.log"), "console", False, True),
        (LogsSettings(output=["stderr", "x.log"]), "console", False, True),
        (LogsSettings(file_logger_options=FILE), "json", False, True),
        (LogsSettings(mode="off"), "console", False, True),
    ],
    ids=[
        "default",
        "raw",
        "production",
        "production-console",
        "production-file",
        "json",
        "json-file",
        "json-both",
        "file",
        "both",
        "rotated",
        "off",
    ],
)
def test_the_form_of_records_and_whether_people_see_them(
    settings: LogsSettings, form: str, stands_on_stderr: bool, leaves_stderr_to_people: bool
) -> None:
    assert (settings.form, settings.stands_on_stderr, settings.leaves_stderr_to_people) == (
        form,
        stands_on_stderr,
        leaves_stderr_to_people,
    )
