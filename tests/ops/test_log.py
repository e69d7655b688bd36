"""Logs: what a record looks like in each encoding, where it goes, and that it cannot do harm."""

from __future__ import annotations

import json
import logging
import os
import re
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from fastsmtp.config.logs import ChannelSettings, FileLoggerSettings, LogsSettings
from fastsmtp.errors import StartError
from fastsmtp.ops import log

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


class Outputs:
    """Configures logging and closes it again."""

    def __init__(self) -> None:
        self.output: log.Logs | None = None

    def configure(self, settings: LogsSettings) -> structlog.typing.FilteringBoundLogger:
        self.output = log.configure(settings)
        logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(channel="smtp")
        return logger


@pytest.fixture
def outputs() -> Iterator[Outputs]:
    root = logging.getLogger()
    before = root.handlers, root.level, logging.getLogger("asyncio").level
    outputs = Outputs()
    yield outputs
    if outputs.output is not None:
        outputs.output.close()
    root.handlers, level, asyncio_level = before
    root.setLevel(level)
    logging.getLogger("asyncio").setLevel(asyncio_level)
    structlog.reset_defaults()


def without_stamps(text: str) -> str:
    return re.sub(STAMP, "NOW", text)


def test_console(outputs: Outputs, capfd: pytest.CaptureFixture[str]) -> None:
    logger = outputs.configure(LogsSettings())
    logger.info("new connection", remote_addr="[::1]:25", count=1)
    logger.warning("odd %s", "argument", detail="two words", quote='a"b', empty="")
    logger.debug("not shown")
    out, err = capfd.readouterr()
    assert out == ""
    assert without_stamps(err) == (
        "NOW  INFO   smtp  new connection  remote_addr=[::1]:25  count=1\n"
        'NOW  WARN   smtp  odd argument  detail="two words"  quote="a\\"b"  empty=""\n'
    )


def test_control_characters_cannot_forge_a_line(outputs: Outputs, capfd: pytest.CaptureFixture[str]) -> None:
    logger = outputs.configure(LogsSettings(output="stdout"))
    logger.info("a\nb\x1b[2J", helo="x\r\n\u202ey \udcff")
    assert without_stamps(capfd.readouterr().out) == (
        'NOW  INFO   smtp  a\\nb\\x1b[2J  helo="x\\r\\n\\u202ey \\udcff"\n'
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", '""'),
        ("plain", "plain"),
        ("two words", '"two words"'),
        ('"quoted"', '"\\"quoted\\""'),
        ("DOMAIN\\user", "DOMAIN\\user"),
        ("DOMAIN\\a user\\", '"DOMAIN\\\\a user\\\\"'),
        ("\x1b[2J", '"\\x1b[2J"'),
        ("\\x1b[2J", "\\x1b[2J"),
        ('say "\x1b\\n"', '"say \\"\\x1b\\\\n\\""'),
        ("a\u202eb c", '"a\\u202eb c"'),
    ],
)
@pytest.mark.parametrize("logs", [{}, {"format": "%message%  %attrs%"}], ids=["console", "format"])
def test_a_value_is_escaped_once_and_only_in_quotes(
    outputs: Outputs, capfd: pytest.CaptureFixture[str], logs: dict[str, str], value: str, shown: str
) -> None:
    outputs.configure(LogsSettings(**logs)).info("x", value=value)
    assert capfd.readouterr().err.rstrip("\n").endswith(f"x  value={shown}")


def test_json(outputs: Outputs, capfd: pytest.CaptureFixture[str]) -> None:
    logger = outputs.configure(LogsSettings(mode="production"))
    logger.error("bad\n", path=Path("/x"), count=2)
    line = capfd.readouterr().err
    record = json.loads(line)
    assert line.endswith("}\n")
    assert re.fullmatch(STAMP, record.pop("ts"))
    assert record == {"level": "error", "logger": "smtp", "msg": "bad\n", "path": "/x", "count": 2}


@pytest.mark.parametrize("value", ["\udcff", 2**70, {1: "a"}, b"\xff"], ids=["surrogate", "integer", "keys", "bytes"])
def test_json_of_odd_values_is_json(outputs: Outputs, capfd: pytest.CaptureFixture[str], value: object) -> None:
    outputs.configure(LogsSettings(encoding="json")).info("x", value=value)
    assert json.loads(capfd.readouterr().err)["msg"] == "x"


def test_raw_is_the_message_alone(outputs: Outputs, capfd: pytest.CaptureFixture[str]) -> None:
    outputs.configure(LogsSettings(mode="raw")).info("from a worker", pid=1)
    assert capfd.readouterr().err == "from a worker\n"


@pytest.mark.parametrize("mode", ["none", "off"])
def test_off(outputs: Outputs, capfd: pytest.CaptureFixture[str], mode: str) -> None:
    logger = outputs.configure(LogsSettings(mode=mode))  # type: ignore[arg-type]
    logger.critical("x")
    logging.getLogger("asyncio").critical("y")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warn", "error", "panic"]),
        ("info", ["info", "warn", "error", "panic"]),
        ("warn", ["warn", "error", "panic"]),
        ("error", ["error", "panic"]),
        ("panic", ["panic"]),
    ],
)
def test_levels(outputs: Outputs, capfd: pytest.CaptureFixture[str], level: str, shown: list[str]) -> None:
    logger = outputs.configure(LogsSettings(level=level, encoding="json"))  # type: ignore[arg-type]
    for method in (logger.debug, logger.info, logger.warning, logger.error, logger.critical):
        method("x")
    assert [json.loads(line)["level"] for line in capfd.readouterr().err.splitlines()] == shown


def test_traceback(outputs: Outputs, capfd: pytest.CaptureFixture[str]) -> None:
    logger = outputs.configure(LogsSettings())
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logger.exception("broken")
        logging.getLogger("other").exception("broken too")
    lines = without_stamps(capfd.readouterr().err).splitlines()
    assert [line for line in lines if not line.startswith("      ")] == [
        "NOW  ERROR  smtp  broken",
        "    Traceback (most recent call last):",
        "    ValueError: two",
        "    lines",
        "NOW  ERROR  other  broken too",
        "    Traceback (most recent call last):",
        "    ValueError: two",
        "    lines",
    ]


def test_standard_library_logging_goes_the_same_way(outputs: Outputs, capfd: pytest.CaptureFixture[str]) -> None:
    outputs.configure(LogsSettings())
    logging.getLogger("asyncio").warning("slow: %d", 5)
    logging.getLogger("asyncio").debug("selector")
    assert without_stamps(capfd.readouterr().err) == "NOW  WARN   asyncio  slow: 5\n"


def test_several_outputs_and_reopen(outputs: Outputs, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, rotated = tmp_path / "fast.log", tmp_path / "fast.log.1"
    logger = outputs.configure(LogsSettings(mode="raw", output=["stderr", str(path)]))
    assert outputs.output is not None
    logger.info("one")
    path.rename(rotated)
    logger.info("two")
    outputs.output.reopen()
    logger.info("three")
    assert rotated.read_text() == "one\ntwo\n"
    assert path.read_text() == "three\n"
    assert capfd.readouterr().err == "one\ntwo\nthree\n"


def test_reopen_that_fails_keeps_the_file(outputs: Outputs, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    path = directory / "fast.log"
    logger = outputs.configure(LogsSettings(mode="raw", output=str(path)))
    assert outputs.output is not None
    directory.rename(tmp_path / "moved")
    outputs.output.reopen()
    logger.info("still here")
    assert (tmp_path / "moved" / "fast.log").read_text() == "still here\n"
    assert capfd.readouterr().err == f"fastsmtp: cannot reopen the log file {path}: No such file or directory\n"


def test_output_that_cannot_be_written_is_told_once(outputs: Outputs, capfd: pytest.CaptureFixture[str]) -> None:
    logger = outputs.configure(LogsSettings(mode="raw", output=["/dev/full", "stdout"]))
    logger.info("one")
    logger.info("two")
    assert capfd.readouterr() == (
        "one\ntwo\n",
        "fastsmtp: cannot write the log to /dev/full: No space left on device\n",
    )


def test_file_that_cannot_be_opened(outputs: Outputs, tmp_path: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(StartError) as caught:
        outputs.configure(LogsSettings(output=[str(tmp_path / "ok"), "/nowhere/x.log"]))
    assert str(caught.value) == "cannot open the log file /nowhere/x.log: No such file or directory"
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[int]:
    """The reading end, which does not block, of the named pipe `pipe`."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield reader
    os.close(reader)


def drain(pipe: int) -> bytes:
    """Everything that is in the pipe now."""
    return os.read(pipe, 1 << 20)


def test_full_pipe_drops_records_and_tells_how_many(outputs: Outputs, pipe: int, tmp_path: Path) -> None:
    logger = outputs.configure(LogsSettings(encoding="json", output=str(tmp_path / "pipe")))
    for number in range(1000):
        logger.info("x" * 1000, number=number)
    read = [json.loads(line) for line in drain(pipe).splitlines()]
    assert [record["number"] for record in read] == list(range(len(read)))
    logger.info("last")
    told, last = (json.loads(line) for line in drain(pipe).splitlines())
    del told["ts"]
    assert told == {
        "level": "warn",
        "logger": "log",
        "msg": "the log was not read, records dropped",
        "count": 1000 - len(read),
    }
    assert last["msg"] == "last"


def test_dropped_records_are_told_at_the_end(outputs: Outputs, pipe: int, tmp_path: Path) -> None:
    logger = outputs.configure(LogsSettings(encoding="json", output=str(tmp_path / "pipe")))
    for _ in range(1000):
        logger.info("x" * 1000)
    written = len(drain(pipe).splitlines())
    assert outputs.output is not None
    outputs.output.close()
    assert json.loads(drain(pipe))["count"] == 1000 - written


def test_long_line_loses_its_middle_in_a_pipe(outputs: Outputs, pipe: int, tmp_path: Path) -> None:
    outputs.configure(LogsSettings(mode="raw", output=str(tmp_path / "pipe"))).info("\N{EURO SIGN}" * 2000 + "the end")
    line = drain(pipe)
    assert line.decode() == "\N{EURO SIGN}" * 680 + " ... [cut] ... " + "\N{EURO SIGN}" * 677 + "the end\n"
    assert 4090 <= len(line) <= 4096


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "x" * 5000},
        {"text": "\N{EURO SIGN}" * 5000},
        {"text": "\0" * 5000},
        {"text": "\ud800" * 5000},
        {"one": "x" * 3000, "two": "y" * 3000},
        {"items": [{"key": "x" * 500}] * 20},
        {"x" * 5000: 1},
        {str(number): 10**70 for number in range(500)},
    ],
    ids=["ascii", "wide", "escapes", "surrogates", "two", "list", "key", "many"],
)
def test_long_record_is_json_in_a_pipe_too(
    outputs: Outputs, pipe: int, tmp_path: Path, fields: dict[str, object]
) -> None:
    outputs.configure(LogsSettings(encoding="json", output=str(tmp_path / "pipe"))).info("hello", **fields)
    line = drain(pipe)
    record = json.loads(line)
    assert len(line) <= 4096
    assert (record["level"], record["logger"], record["msg"]) == ("info", "smtp", "hello")


def test_long_record_keeps_both_ends_of_a_value(outputs: Outputs, pipe: int, tmp_path: Path) -> None:
    outputs.configure(LogsSettings(encoding="json", output=str(tmp_path / "pipe"))).info(
        "a" + 5000 * "x" + "z", after=1
    )
    record = json.loads(drain(pipe))
    assert (record["msg"], record["after"]) == (f"a{1527 * 'x'} ... [cut] ... {1527 * 'x'}z", 1)


def test_record_that_the_disk_had_no_room_for_spoils_no_other(
    outputs: Outputs, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log"
    logger = outputs.configure(LogsSettings(mode="raw", output=str(path)))
    logger.info("one")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        logger.info("x" * 300)
        logger.info("lost")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    logger.info("two")
    assert path.read_text() == "one\n" + "x" * 196 + "\ntwo\n"
    assert capfd.readouterr().err == f"fastsmtp: cannot write the log to {path}: File too large\n"


# --- channels


def channels(**channels: ChannelSettings) -> LogsSettings:
    return LogsSettings(encoding="json", channels=channels)


def messages(text: str) -> list[str]:
    return [json.loads(line)["msg"] for line in text.splitlines()]


def test_a_channel_may_say_less_or_more_than_the_others(outputs: Outputs, capfd: pytest.CaptureFixture[str]) -> None:
    logger = outputs.configure(channels(smtp=ChannelSettings(level="error"), rpc=ChannelSettings(level="debug")))
    for channel in ("smtp", "rpc", "app"):
        for method in ("debug", "info", "error"):
            getattr(logger.bind(channel=channel), method)(f"{channel} {method}")
    assert messages(capfd.readouterr().err) == [
        "smtp error",
        "rpc debug",
        "rpc info",
        "rpc error",
        "app info",
        "app error",
    ]


def test_a_channel_may_look_different_and_go_elsewhere(
    outputs: Outputs, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "app.log"
    settings = channels(
        rpc=ChannelSettings(mode="raw"),
        app=ChannelSettings(output=[str(path), "stdout"]),
        smtp=ChannelSettings(mode="off"),
    )
    logger = outputs.configure(settings)
    for channel in ("smtp", "rpc", "app", "pool"):
        logger.bind(channel=channel).critical(channel)
    out, err = capfd.readouterr()
    lines = err.splitlines()
    assert (messages(out), messages(path.read_text()), lines[0], messages(lines[1])) == (
        ["app"],
        ["app"],
        "rpc",
        ["pool"],
    )


def test_a_channel_may_speak_where_all_others_are_off(outputs: Outputs, capfd: pytest.CaptureFixture[str]) -> None:
    logger = outputs.configure(LogsSettings(mode="none", channels={"smtp": ChannelSettings(mode="raw")}))
    logger.info("heard")
    logger.bind(channel="rpc").critical("not heard")
    assert capfd.readouterr().err == "heard\n"


def test_workers_are_the_channel_server_of_roadrunner(outputs: Outputs, capfd: pytest.CaptureFixture[str]) -> None:
    logger = outputs.configure(channels(server=ChannelSettings(level="panic"), pool=ChannelSettings(level="info")))
    for channel in ("server", "pool", "worker", "on_init", "after_init"):
        logger.bind(channel=channel).error(channel)
    assert messages(capfd.readouterr().err) == ["pool"]


def test_standard_library_logging_has_channels_too(outputs: Outputs, capfd: pytest.CaptureFixture[str]) -> None:
    outputs.configure(channels(asyncio=ChannelSettings(level="error"), other=ChannelSettings(level="debug")))
    for name in ("asyncio", "other"):
        logging.getLogger(name).warning("%s warning", name)
        logging.getLogger(name).debug("%s debug", name)
    assert messages(capfd.readouterr().err) == ["other warning", "other debug"]


def test_files_of_channels_are_reopened_too(outputs: Outputs, tmp_path: Path) -> None:
    path = tmp_path / "rpc.log"
    logger = outputs.configure(channels(rpc=ChannelSettings(output=str(path))))
    path.unlink()
    assert outputs.output is not None
    outputs.output.reopen()
    logger.bind(channel="rpc").info("x")
    assert messages(path.read_text()) == ["x"]


def test_a_file_of_a_channel_that_cannot_be_opened(outputs: Outputs, tmp_path: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    settings = LogsSettings(output=str(tmp_path / "ok"), channels={"rpc": ChannelSettings(output="/nowhere/x.log")})
    with pytest.raises(StartError) as caught:
        outputs.configure(settings)
    assert str(caught.value) == "cannot open the log file /nowhere/x.log: No such file or directory"
    assert sorted(os.listdir("/proc/self/fd")) == before


# --- line ends, and RoadRunner's file logger


@pytest.mark.parametrize(
    ("settings", "ending"),
    [
        (LogsSettings(mode="raw", line_ending="\r\n"), "\r\n"),
        (LogsSettings(mode="raw", line_ending="#\n"), "#\n"),
        (LogsSettings(mode="raw", skip_line_ending=True), ""),
    ],
    ids=["CRLF", "mark", "none"],
)
def test_line_ending(outputs: Outputs, capfd: pytest.CaptureFixture[str], settings: LogsSettings, ending: str) -> None:
    logger = outputs.configure(settings)
    logger.info("one")
    logger.info("two")
    assert capfd.readouterr().err == f"one{ending}two{ending}"


def test_every_line_of_a_traceback_has_the_line_ending(outputs: Outputs, capfd: pytest.CaptureFixture[str]) -> None:
    logger = outputs.configure(LogsSettings(line_ending="\r\n"))
    logger.error("broken", exc_info=ValueError("x"))
    assert without_stamps(capfd.readouterr().err) == "NOW  ERROR  smtp  broken\r\n    ValueError: x\r\n"


def test_a_long_record_in_a_pipe_keeps_its_line_ending(outputs: Outputs, pipe: int, tmp_path: Path) -> None:
    settings = LogsSettings(encoding="json", output=str(tmp_path / "pipe"), line_ending=";;\r\n")
    outputs.configure(settings).info("hello", one="x" * 3000, two="y" * 3000)
    line = drain(pipe)
    assert len(line) <= 4096
    assert line.endswith(b";;\r\n")
    assert json.loads(line.removesuffix(b";;\r\n"))["msg"] == "hello"


def test_the_file_logger_writes_json_to_its_file_alone(
    outputs: Outputs, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rotating.log"
    settings = LogsSettings(
        encoding="console", file_logger_options=FileLoggerSettings(log_output=str(path), max_size=1)
    )
    logger = outputs.configure(settings)
    for number in range(3):
        logger.info("x" * 600_000, number=number)
    old = sorted(tmp_path.glob("rotating-*.log"))
    assert [json.loads(line)["number"] for item in [*old, path] for line in item.read_text().splitlines()] == [0, 1, 2]
    assert len(old) == 2
    assert capfd.readouterr() == ("", "")


# --- RoadRunner's format


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ("[%level%] %logger%: %message% %attrs%", '[WARN] smtp: odd one=1 two="a b"'),
        ("%message%%%unknown%% %source_file%:%source_line% 100%", "odd%%unknown%% : 100%"),
        ("plain", "plain"),
    ],
)
def test_format(outputs: Outputs, capfd: pytest.CaptureFixture[str], template: str, line: str) -> None:
    outputs.configure(LogsSettings(mode="production", format=template)).warning("odd", one=1, two="a b")
    assert capfd.readouterr().err == line + "\n"


def test_format_of_times(outputs: Outputs, capfd: pytest.CaptureFixture[str]) -> None:
    outputs.configure(LogsSettings(format="%time%")).info("x")
    outputs.configure(LogsSettings(format="%time%", time_format="2006/01/02 15:04")).info("x")
    first, second = capfd.readouterr().err.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first)
    assert re.fullmatch(r"\d{4}/\d\d/\d\d \d\d:\d\d", second)


def test_a_record_in_a_format_cannot_forge_a_line_or_another_placeholder(
    outputs: Outputs, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = outputs.configure(LogsSettings(format="%message% | %attrs%"))
    logger.error("a\n%attrs%\x1b[2J", helo="x\ny", exc_info=ValueError("two\nlines"))
    assert capfd.readouterr().err == 'a\\n%attrs%\\x1b[2J: ValueError: two\\nlines | helo="x\\ny"\n'


def test_a_format_holds_for_the_file_logger_and_a_channel_may_have_another(outputs: Outputs, tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    file = FileLoggerSettings(log_output=str(path))
    other = {"rpc": ChannelSettings(format="rpc %message%"), "app": ChannelSettings(encoding="console")}
    logger = outputs.configure(LogsSettings(format="%message%", file_logger_options=file, channels=other))
    for channel in ("smtp", "rpc"):
        logger.bind(channel=channel).info("hello")
    assert path.read_text() == "hello\nrpc hello\n"
    settings = LogsSettings(format="%message%", channels=other)
    assert [settings.channel(name).form for name in ("smtp", "rpc", "app")] == ["format", "format", "console"]
