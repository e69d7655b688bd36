"""Reading `.rr.yaml`: what is accepted, what it becomes, and every fault with its line."""

from __future__ import annotations

import inspect
import os
import sys
from pathlib import Path

import msgspec
import pytest
import yaml

from fastsmtp.config import nodes, settings
from fastsmtp.config.file import load
from fastsmtp.config.rules import parse_duration
from fastsmtp.config.settings import Config, ListenerSettings
from fastsmtp.errors import ConfigError
from fastsmtp.system.addresses import TCPAddress, UnixAddress, parse_address

# As someone who comes from RoadRunner would write it.
ROADRUNNER = """\
version: "3"

server:
  command: "php worker.php"
  relay: pipes

smtp:
  addr: "127.0.0.1:1025"
  hostname: "buggregator.local"
  max_message_size: 10485760

  attachment_storage:
    mode: "memory"

  pool:
    num_workers: 4
"""

EVERY_KEY = """\
smtp:
  addr: "127.0.0.1:1025"
  hostname: "buggregator.local"
  read_timeout: "60s"
  write_timeout: "10s"
  max_message_size: 10485760
  max_recipients: 100
  max_connections: 0
  max_inflight_bytes: 268435456
  include_raw: false
  include_transcript: false
  strict: false
  auth_mechanisms: ["PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"]
  proxy_protocol: []
  faults: ""
  payload: "smtp"
  tls: {cert: "", key: "", mode: "starttls"}
  attachment_storage: {mode: "memory", temp_dir: "/tmp/smtp-attachments", cleanup_after: "1h"}
  pool:
    num_workers: 4
    max_jobs: 0
    allocate_timeout: "60s"
    destroy_timeout: "60s"
    supervisor: {watch_tick: "5s", ttl: "0s", idle_ttl: "0s", exec_ttl: "60s", max_worker_memory: 0}
"""


@pytest.fixture(autouse=True)
def in_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(text: str, *overrides: str) -> Config:
    Path("rr.yaml").write_text(text)
    return load("rr.yaml", overrides)


def faults(text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(text, *overrides)
    return caught.value.faults


# --- what is accepted


def test_no_file_is_all_defaults() -> None:
    assert load(None) == Config()


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "smtp:\nserver:\n  command:\n"], ids=repr)
def test_nothing_set_is_all_defaults(text: str) -> None:
    assert read(text) == Config()


def test_written_defaults_are_the_defaults() -> None:
    assert read(EVERY_KEY) == Config()


def test_roadrunner_style() -> None:
    assert read(ROADRUNNER) == Config(server=settings.ServerSettings(command="php worker.php", relay="pipes"))


def test_flow_style_and_unix_relay() -> None:
    text = """\
version: "3"
server:
  command: "php /srv/worker.php"
  relay: "unix:///run/w.sock"
logs: {level: warn}
smtp:
  addr: "127.0.0.1:2701"
  hostname: "bench.local"
  max_message_size: 20971520
  attachment_storage: {mode: tempfile, temp_dir: "/tmp/att", cleanup_after: "1h"}
  pool: {num_workers: 4}
"""
    assert read(text) == Config(
        server=settings.ServerSettings(command="php /srv/worker.php", relay="unix:///run/w.sock"),
        logs=settings.LogsSettings(level="warn"),
        smtp=settings.SMTPSettings(
            addr="127.0.0.1:2701",
            hostname="bench.local",
            max_message_size=20971520,
            attachment_storage=settings.AttachmentStorageSettings(mode="tempfile", temp_dir="/tmp/att"),
        ),
    )


@pytest.mark.parametrize(("text", "seconds"), [("60", 60.0), ("1", 1.0), ("30s", 30.0), ("500ms", 0.5)])
def test_check_timeout_is_in_seconds_or_a_duration(text: str, seconds: float) -> None:
    assert read(f"status: {{check_timeout: {text}}}").status == settings.StatusSettings(check_timeout_s=seconds)


def test_no_workers_are_as_many_as_cores_as_in_roadrunner() -> None:
    assert read("smtp: {pool: {num_workers: 0}}").smtp.pool.num_workers == len(os.sched_getaffinity(0))


def test_every_key_of_roadrunners_pools() -> None:
    text = """\
smtp:
  pool:
    debug: false
    command: "php app.php"
    num_workers: 2
    max_jobs: 0
    max_queue_size: 7
    allocate_timeout: 60s
    reset_timeout: 5s
    stream_timeout: 60s
    destroy_timeout: 60s
    dynamic_allocator: {max_workers: 25, spawn_rate: 0, idle_timeout: 10s}
    supervisor: {watch_tick: 5s, ttl: 0s, idle_ttl: 10s, max_worker_memory: 128, exec_ttl: 60s}
"""
    pool = read(text).smtp.pool
    assert pool == settings.PoolSettings(
        command="php app.php",
        num_workers=2,
        max_queue_size=7,
        reset_timeout_s=5.0,
        dynamic_allocator=settings.DynamicAllocatorSettings(max_workers=25, spawn_rate=0, idle_timeout_s=10.0),
        supervisor=settings.SupervisorSettings(idle_ttl_s=10.0, max_worker_memory=128),
    )
    assert (pool.most_workers, settings.PoolSettings().most_workers) == (27, 4)


def test_other_sections_are_left_alone() -> None:
    text = "http: {address: '${NOT_SET}', pool: 7}\njobs: [1]\nkv:\nendure: {grace_period: 5s, log_level: x}\n"
    assert read(text) == Config(endure=settings.EndureSettings(grace_period_s=5.0))


def test_off_values_of_sections_to_come() -> None:
    text = 'rpc: {listen: ""}\nmetrics: {address: ""}\nstatus: {address: "", unavailable_status_code: 503}\n'
    assert read(text) == Config()


def test_environment_of_workers_as_map_and_as_list() -> None:
    expected = Config(server=settings.ServerSettings(env={"DEBUG": "1", "ON": "true", "NAME": "x y"}))
    assert read("server: {env: {DEBUG: 1, ON: true, NAME: x y}}") == expected
    assert read("server:\n  env:\n    - DEBUG: 1\n    - ON: true\n      NAME: x y\n") == expected


def test_command_as_list() -> None:
    assert read('server: {command: ["php", "worker file.php"]}').server.command == ["php", "worker file.php"]


def test_anchors_and_merge_keys() -> None:
    text = """\
x-one: &one {num_workers: 1, max_jobs: 10}
x-two: &two {num_workers: 2, debug: true}
smtp:
  pool:
    <<: [*one, *two]
    max_jobs: 7
"""
    assert read(text).smtp.pool == settings.PoolSettings(num_workers=1, max_jobs=7, debug=True)


def test_merge_key_that_names_itself() -> None:
    assert read("smtp: &s {<<: *s, strict: true}").smtp == settings.SMTPSettings(strict=True)


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("10MB", 10_000_000), ("10MiB", 10 * 2**20), ("1.5 KiB", 1536), ('"2gb"', 2_000_000_000), ("7B", 7)],
)
def test_sizes(text: str, size: int) -> None:
    assert read(f"smtp: {{max_message_size: {text}}}").smtp.max_message_size == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("0s", 0.0),
        ("500ms", 0.5),
        ("60s", 60.0),
        ("1h30m", 5400.0),
        ("1.5h", 5400.0),
        (".5s", 0.5),
        ("1h1m1s1ms1us1ns", 3661.001001001),
        ("3µs", 3e-6),
        ("+2m", 120.0),
        ("-2s", -2.0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "5", "1.5", "5 s", "1h5", "5d", "5S", "--5s", "٣s", "5s ", "inf", "1e3s"])
def test_not_durations(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the reasons are in the tests of whole faults
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:1025", TCPAddress("127.0.0.1", 1025)),
        (":0", TCPAddress("", 0)),
        ("[::1]:1025", TCPAddress("::1", 1025)),
        ("[fe80::1%eth0]:25", TCPAddress("fe80::1%eth0", 25)),
        ("mail_1.local:65535", TCPAddress("mail_1.local", 65535)),
        ("tcp://127.0.0.1:6001", TCPAddress("127.0.0.1", 6001)),
        ("unix:/run/s.sock", UnixAddress("/run/s.sock")),
        ("unix:///run/s.sock", UnixAddress("/run/s.sock")),
        ("unix:s.sock", UnixAddress("s.sock")),
    ],
)
def test_addresses(text: str, address: TCPAddress | UnixAddress) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the port is missing"),
        ("127.0.0.1", "the port is missing"),
        ("127.0.0.1:", "the port is missing"),
        ("127.0.0.1:65536", "a port is a number from 0 to 65535"),
        ("127.0.0.1:٣", "a port is a number from 0 to 65535"),
        ("::1:1025", 'did you mean "[::1]:1025"?'),
        ("[x]:1025", "there is no IPv6 address between the brackets"),
        ("a b:1025", "this is not a host name"),
        ("unix:", "the path is missing"),
        ("unix:/" + 107 * "x", "a socket path has at most 107 bytes"),
    ],
)
def test_not_addresses(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        parse_address(text)
    assert str(caught.value) == reason


# --- variables


def test_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "mail.test")
    monkeypatch.setenv("N", "3")
    monkeypatch.setenv("EMPTY", "")
    text = """\
smtp:
  addr: "${IP:-127.0.0.1}:${PORT:-2525}"
  hostname: ${HOST}
  strict: ${STRICT:-true}
  max_recipients: "${N}"
  pool:
    num_workers: ${N}
    max_jobs: ${EMPTY:-5}
"""
    assert read(text).smtp == settings.SMTPSettings(
        addr="127.0.0.1:2525",
        hostname="mail.test",
        strict=True,
        max_recipients=3,
        pool=settings.PoolSettings(num_workers=3, max_jobs=5),
    )


def test_expanded_number_stays_text_where_text_is_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST", "12")
    assert read("smtp: {hostname: '${HOST}'}").smtp.hostname == "12"


def test_empty_variable_and_other_dollars_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY", "")
    env = read("server: {env: {A: 'x${EMPTY}y', B: '$HOME $5 ${} ${a-b}'}}").server.env
    assert env == {"A": "xy", "B": "$HOME $5 ${} ${a-b}"}


def test_variable_not_set() -> None:
    assert faults("smtp:\n  hostname: ${FASTSMTP_NOT_SET}") == [
        "rr.yaml:2: smtp.hostname: the environment variable FASTSMTP_NOT_SET is not set; "
        "${FASTSMTP_NOT_SET:-default} gives a default"
    ]


# --- overrides


def test_overrides_win_and_are_typed() -> None:
    loaded = read(
        ROADRUNNER,
        "smtp.addr=[::1]:2525",
        "=smtp.pool.num_workers=2",  # click's reading of -o=key=value
        "smtp.pool.supervisor.exec_ttl=1m",
        "smtp.strict=true",
        'server.command=["php", "a b.php"]',
        "server.env.TOKEN=a=b",
        "smtp.hostname='x.test'",
    )
    assert loaded == Config(
        server=settings.ServerSettings(command=["php", "a b.php"], relay="pipes", env={"TOKEN": "a=b"}),
        smtp=settings.SMTPSettings(
            addr="[::1]:2525",
            hostname="x.test",
            strict=True,
            pool=settings.PoolSettings(num_workers=2, supervisor=settings.SupervisorSettings(exec_ttl_s=60.0)),
        ),
    )


def test_override_heals_a_fault_in_the_file() -> None:
    assert read("smtp: {hostname: a b}", "smtp.hostname=ab").smtp.hostname == "ab"


def test_last_override_wins() -> None:
    assert load(None, ["smtp.hostname=a", "smtp.hostname=b"]).smtp.hostname == "b"


def test_an_empty_override_is_empty_text() -> None:
    config = read("rpc: {listen: 'tcp://127.0.0.1:1'}\ninbox: {}\n", "rpc.listen=", "inbox.address=")
    assert (config.rpc.listen, config.kept()) == ("", None)
    assert faults("", "smtp.max_recipients=") == [
        '-o: smtp.max_recipients: expected an integer of 1 or more, got ""',
    ]


def test_text_of_an_override_needs_no_quotes() -> None:
    smtp = load(None, ["smtp.hostname=12", "smtp.jobs.pipeline=yes"]).smtp
    assert (smtp.hostname, smtp.pipeline) == ("12", "yes")


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("smtp.addr=1025", ":1025"),
        ("smtp.servers={a: {addr: 1025}}", ":1025"),
        ("smtp.addr=/run/smtp.sock", "unix:/run/smtp.sock"),
        ("smtp.addr=smtp://localhost:25", "localhost:25"),
        ("metrics.address=2112", ":2112"),
        ("metrics.address=http://127.0.0.1:2112/metrics", "127.0.0.1:2112"),
        ("status.address=2114", ":2114"),
        ("rpc.listen=6001", "tcp://127.0.0.1:6001"),
        ("rpc.listen=127.0.0.1:6001", "tcp://127.0.0.1:6001"),
        ("rpc.listen=/run/rpc.sock", "unix:///run/rpc.sock"),
        ("server.relay=6002", "tcp://127.0.0.1:6002"),
    ],
)
def test_what_is_nearly_an_address_is_told_in_full(override: str, meant: str) -> None:
    [fault] = faults("", override)
    assert fault.endswith(f': did you mean "{meant}"?')


def test_faulty_overrides() -> None:
    assert faults("", "smtp", "smtp..addr=1", "smpt.addr=:1", "smtp.adr=:1", "smtp.addr.x=1", "smtp.strict=maybe") == [
        '-o: expected key=value, like smtp.addr=127.0.0.1:1025, got "smtp"',
        '-o: expected key=value, like smtp.addr=127.0.0.1:1025, got "smtp..addr=1"',
        "-o: smpt.addr: unknown key, did you mean smtp?",
        "-o: smtp.adr: unknown key, did you mean addr?",
        "-o: smtp.addr: has no keys of its own",
        '-o: smtp.strict: expected true or false, got "maybe"',
    ]


# --- faults


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("max_recipients: x", 'smtp.max_recipients: expected an integer of 1 or more, got "x"'),
        ("max_recipients: 0", "smtp.max_recipients: expected an integer of 1 or more, got 0"),
        ("max_recipients: 1.5", "smtp.max_recipients: expected an integer of 1 or more, got 1.5"),
        ("max_recipients: true", "smtp.max_recipients: expected an integer of 1 or more, got true"),
        ('max_recipients: "4"', 'smtp.max_recipients: expected an integer of 1 or more, got "4"'),
        ("max_recipients: [1]", "smtp.max_recipients: expected an integer of 1 or more, got a list"),
        ("max_recipients: {a: 1}", "smtp.max_recipients: expected an integer of 1 or more, got a section"),
        ("max_connections: -1", "smtp.max_connections: expected an integer of 0 or more, got -1"),
        (
            "max_message_size: 10XB",
            'smtp.max_message_size: expected a size of 0 or more: bytes, or like "10MB" or "10MiB", got "10XB": '
            "units are B, kB, MB, GB and KiB, MiB, GiB",
        ),
        (
            "max_inflight_bytes: 0",
            'smtp.max_inflight_bytes: expected a size of 1 or more: bytes, or like "10MB" or "10MiB", got 0',
        ),
        (
            "read_timeout: 60",
            'smtp.read_timeout: expected a duration like "500ms", "60s" or "1h30m", got 60: a unit is needed',
        ),
        (
            "read_timeout: -1s",
            'smtp.read_timeout: expected a duration like "500ms", "60s" or "1h30m", got "-1s": it must not be negative',
        ),
        (
            "pool: {supervisor: {watch_tick: 0s}}",
            'smtp.pool.supervisor.watch_tick: expected a duration like "500ms", "60s" or "1h30m", got "0s": '
            "it must be longer than 0",
        ),
        ("strict: 1", "smtp.strict: expected true or false, got 1"),
        ("hostname: 12", "smtp.hostname: expected a host name, without blanks, got 12: put it in quotes"),
        ('hostname: "a\\r\\nb"', 'smtp.hostname: expected a host name, without blanks, got "a\\r\\nb"'),
        (
            "addr: 0.0.0.0",
            'smtp.addr: expected an address like "127.0.0.1:1025", "[::1]:1025", ":1025" or "unix:/path", '
            'got "0.0.0.0": the port is missing',
        ),
        (
            "addr: 1025",
            'smtp.addr: expected an address like "127.0.0.1:1025", "[::1]:1025", ":1025" or "unix:/path", '
            'got 1025: did you mean ":1025"?',
        ),
        ("pool: {num_workers: 501}", "smtp.pool.num_workers: expected an integer from 0 to 500, got 501"),
        ("pool: {num_workers: 100000}", "smtp.pool.num_workers: expected an integer from 0 to 500, got 100000"),
        (
            "attachment_storage: {mode: memroy}",
            'smtp.attachment_storage.mode: expected one of "memory", "tempfile", got "memroy": did you mean "memory"?',
        ),
        (
            "attachment_storage: {mode: tempfile, temp_dir: ''}",
            'smtp.attachment_storage.temp_dir: expected a directory, because mode is "tempfile"',
        ),
        (
            "auth_mechanisms: [PLAIN, cram-md5]",
            'smtp.auth_mechanisms[1]: expected one of "PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2", "OAUTHBEARER", '
            'got "cram-md5": did you mean "CRAM-MD5"?',
        ),
        (
            "payload_omit: [text, raw_header]",
            'smtp.payload_omit[1]: expected one of "connection", "params", "digest", "session", "headers", '
            '"raw_headers", "fields", "addresses", "body", "text", "size", "defects", "disposition", "beyond", '
            'got "raw_header": did you mean "raw_headers"?',
        ),
        ("payload_omit: beyond", 'smtp.payload_omit: expected a list, got "beyond"'),
        ("auth_mechanisms: PLAIN", 'smtp.auth_mechanisms: expected a list, got "PLAIN"'),
        ("auth_mechanisms: {PLAIN: true}", "smtp.auth_mechanisms: expected a list, got a section"),
        ("auth_mechanisms: [PLAIN, LOGIN, PLAIN]", "smtp.auth_mechanisms: PLAIN is listed twice"),
        (
            "proxy_protocol: [10.0.0.1/8]",
            'smtp.proxy_protocol[0]: expected a network like "10.0.0.0/8", "192.0.2.1" or "::1", '
            'or "unix:", got "10.0.0.1/8": did you mean "10.0.0.0/8"?',
        ),
        (
            "proxy_protocol: ['::1', proxy.test]",
            'smtp.proxy_protocol[1]: expected a network like "10.0.0.0/8", '
            '"192.0.2.1" or "::1", or "unix:", got "proxy.test"',
        ),
        ("proxy_protocol: 10.0.0.0/8", 'smtp.proxy_protocol: expected a list, got "10.0.0.0/8"'),
        ("pool: 4", "smtp.pool: expected a section with keys, got 4"),
        ("pool: {num_worker: 4}", "smtp.pool.num_worker: unknown key, did you mean num_workers?"),
        (
            "zzz: 4",
            "smtp.zzz: unknown key, expected one of " + ", ".join(settings.SMTPSettings.__struct_encode_fields__),
        ),
        (
            "processes: 0",
            'smtp.processes: expected an integer of 1 or more, or "auto", got 0',
        ),
    ],
)
def test_fault_of_one_key(line: str, fault: str) -> None:
    assert faults(f"version: '3'\nsmtp:\n  {line}\n") == [f"rr.yaml:3: {fault}"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("server: {relay: socket}", 'expected "unix", "unix:///path", "pipes" or "tcp://127.0.0.1:port", got "socket"'),
        ("server: {relay: 'tcp://x'}", None),
        (
            "server: {command: 'php \"x'}",
            'expected a command, as text or as a list, got "php "x": no closing quotation',
        ),
        ("server: {command: ['']}", "expected a program as the first word, got an empty one"),
        ("server: {command: {a: b}}", "expected a command, as text or as a list, got a section"),
        ("server: {env: 5}", "expected a section with keys, got 5"),
        ("server: {env: {'a=b': c}}", 'expected names of environment variables, got "a=b"'),
        ("server: {relay_timeout: 0}", None),
        (
            "smtp: {payload: jobs, payload_omit: [text]}",
            "expected none, because consumers of jobs read a shape that is not ours",
        ),
        ("logs: {output: []}", 'expected "stderr", "stdout" or a file, got nothing'),
        (
            "status: {check_timeout: 0}",
            'expected seconds, or a duration like "500ms" or "60s", got 0: it must be longer than 0',
        ),
        (
            "status: {check_timeout: yes}",
            'expected seconds, or a duration like "500ms" or "60s", got yes',
        ),
    ],
)
def test_fault_elsewhere(text: str, fault: str | None) -> None:
    found = faults(text)
    assert len(found) == 1
    assert fault is None or found[0].split(": ", 2)[2] == fault


def test_all_faults_at_once_each_with_its_line() -> None:
    text = """\
server:
  comand: "php worker.php"
  relay: foo
logs: {level: warns}
x-base: &base {num_workers: x}
smtp:
  hostname: "one"
  hostname: "two"
  read_timeout: soon
  pool:
    <<: *base
    max_jobs: -1
"""
    assert faults(text) == [
        "rr.yaml:2: server.comand: unknown key, did you mean command?",
        'rr.yaml:3: server.relay: expected "unix", "unix:///path", "pipes" or "tcp://127.0.0.1:port", got "foo"',
        'rr.yaml:4: logs.level: expected one of "debug", "info", "warn", "error", "panic", got "warns": '
        'did you mean "warn"?',
        "rr.yaml:8: smtp.hostname: given twice, first in line 7",
        'rr.yaml:9: smtp.read_timeout: expected a duration like "500ms", "60s" or "1h30m", got "soon"',
        'rr.yaml:5: smtp.pool.num_workers: expected an integer from 0 to 500, got "x"',
        "rr.yaml:12: smtp.pool.max_jobs: expected an integer of 0 or more, got -1",
    ]


@pytest.mark.parametrize(
    ("section", "meant"),
    [("smpt", "smtp"), ("log", "logs"), ("metric", "metrics"), ("servers", "server"), ("statuses", "status")],
)
def test_misspelt_section(section: str, meant: str) -> None:
    assert faults(f"{section}: {{}}\n") == [f"rr.yaml:1: {section}: unknown section, did you mean {meant}?"]


@pytest.mark.parametrize("section", ["http", "grpc", "tcp", "service", "fileserver", "jobs", "x-smtp", ".smtp"])
def test_section_of_another_plugin(section: str) -> None:
    assert read(f"{section}: {{addr: 1}}\n") == Config()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("smtp: [", "rr.yaml:2: not YAML: "),
        ("a: b: c", "rr.yaml:1: not YAML: "),
        ("a: 1\n---\nb: 2\n", "rr.yaml:2: not YAML: "),
        ("a: \x01", "rr.yaml: not YAML: "),
    ],
    ids=["open", "mapping", "two-documents", "control"],
)
def test_not_yaml(text: str, fault: str) -> None:
    found = faults(text)
    assert len(found) == 1
    assert found[0].startswith(fault)


def test_not_utf8() -> None:
    Path("rr.yaml").write_bytes(b"smtp: {hostname: \xff}")
    with pytest.raises(ConfigError) as caught:
        load("rr.yaml")
    assert len(caught.value.faults) == 1
    assert caught.value.faults[0].startswith("rr.yaml: not YAML: ")


def test_root_is_no_mapping() -> None:
    assert faults("- smtp") == ["rr.yaml:1: expected sections, got a list"]


def test_missing_file() -> None:
    with pytest.raises(ConfigError) as caught:
        load("none.yaml")
    assert caught.value.faults == ["none.yaml: cannot be read: No such file or directory"]


def test_fault_shows_no_control_characters() -> None:
    assert faults('smtp: {strict: "\\e[31m' + 80 * "x" + '"}') == [
        f'rr.yaml:1: smtp.strict: expected true or false, got "\\x1b[31m{52 * "x"}..."'
    ]


# --- what two settings together cannot mean


def test_servers_replace_the_default_listener() -> None:
    smtp = read("smtp: {servers: {a: {addr: ':1'}, b: {addr: ':2', hostname: b.test, tls: {cert: auto}}}}").smtp
    assert smtp.listeners() == {
        "a": ListenerSettings(addr=":1", hostname="buggregator.local", tls=settings.TLSSettings()),
        "b": ListenerSettings(addr=":2", hostname="b.test", tls=settings.TLSSettings(cert="auto")),
    }


def test_servers_beside_addr() -> None:
    smtp = read("smtp: {addr: ':1', tls: {cert: auto}, servers: {a: {addr: ':2'}}}").smtp
    assert smtp.listeners() == {
        "default": ListenerSettings(addr=":1", hostname="buggregator.local", tls=settings.TLSSettings(cert="auto")),
        "a": ListenerSettings(addr=":2", hostname="buggregator.local", tls=settings.TLSSettings(cert="auto")),
    }


def test_contradictions() -> None:
    text = """\
smtp:
  addr: ":1"
  tls: {key: k.pem}
  servers:
    default: {addr: ":1"}
    a: {addr: "tcp://:1", tls: {mode: implicit}}
    b: {hostname: b.test}
    c: {addr: ":0"}
    d: {addr: ":0"}
"""
    assert faults(text) == [
        "rr.yaml:7: smtp.servers.b.addr: required, but missing",
        "rr.yaml:5: smtp.servers.default: smtp.addr has this name already",
        "rr.yaml:5: smtp.servers.default.addr: smtp.addr listens on :1 already",
        "rr.yaml:6: smtp.servers.a.addr: smtp.addr listens on tcp://:1 already",
        "rr.yaml:3: smtp.tls.cert: required, because a key is given",
        'rr.yaml:6: smtp.servers.a.tls.cert: required, because mode is "implicit"',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smtp: {processes: 4}", []),
        ("smtp: {processes: 5}", ["smtp.processes: expected at most smtp.pool.num_workers, 4, got 5"]),
        ("smtp: {processes: auto, max_connections: 1, pool: {num_workers: 1}}", []),
        ("smtp: {processes: 3, max_connections: 2}", []),
        ("smtp: {processes: 3, pool: {max_queue_size: 3}}", []),
        (
            "smtp: {processes: 3, pool: {max_queue_size: 2}}",
            ["smtp.pool.max_queue_size: expected at least smtp.processes, 3, got 2"],
        ),
        ("{smtp: {processes: 2}, server: {relay: 'tcp://127.0.0.1:0'}}", []),
        ("{smtp: {processes: 2}, server: {relay: pipes}}", []),
        (
            "{smtp: {processes: auto}, server: {relay: 'unix:///run/relay.sock'}}",
            [
                'server.relay: expected "unix", "pipes" or a port of 0, because each of smtp.processes has a relay, '
                'got "unix:///run/relay.sock"'
            ],
        ),
        ("{smtp: {processes: 1}, server: {relay: 'tcp://127.0.0.1:6002'}}", []),
    ],
    ids=[
        "as many as workers",
        "more than workers",
        "auto never too many",
        "connections",
        "emails that wait",
        "too few emails that wait",
        "port 0",
        "pipes",
        "relay",
        "one",
    ],
)
def test_several_processes_need_a_share_each(text: str, expected: list[str]) -> None:
    if not expected:
        read(text)
        return
    assert faults(text) == [f"rr.yaml:1: {fault}" for fault in expected]


# --- hostile files: one line per fault, in a moment


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('smtp: {max_recipients: !!int ""}', "smtp.max_recipients: expected an integer of 1 or more, got "),
        ('smtp: {max_recipients: !!int "_"}', "smtp.max_recipients: expected an integer of 1 or more, got _"),
        ('smtp: {max_recipients: !!float ""}', "smtp.max_recipients: expected an integer of 1 or more, got "),
        ("smtp: {strict: !!bool x}", "smtp.strict: expected true or false, got x"),
        ("<<: 5", "expected a section with keys, got 5"),
        ("smtp: {<<: [5]}", "smtp: expected a section with keys, got 5"),
        ("smtp: {? [a] : 1}", "smtp: expected a key, got a list"),
    ],
    ids=["int", "underscore", "float", "bool", "merge", "merge list", "list as key"],
)
def test_hostile_node(text: str, fault: str) -> None:
    assert faults(text) == [f"rr.yaml:1: {fault}"]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{" * 100_000,
        "[{" * 50_000,
        "[{a: " * 50_000,
        "[" * 2000 + "]" * 2000,
        "- " * 100_000,
        "? " * 100_000,
        "smtp: " + "[" * 100_000,
        "- - smtp: " + "{[" * 50_000,
    ],
    ids=["brackets", "braces", "mixed", "keys", "closed", "dashes", "questions", "flow in block", "flow in list"],
)
def test_nested_without_end(text: str) -> None:
    """libyaml 0.2.6 (PyYAML 6.0.4) has a limit and words of its own, 0.2.5 has none."""
    assert faults(text) == ["rr.yaml:1: not YAML: nested over more than 100 levels"]


def test_another_fault_behind_many_brackets() -> None:
    [fault] = faults("[" * 99 + "\t@")
    assert fault == "rr.yaml:1: not YAML: found character that cannot start any token"


def test_little_stack_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader in Python, where libyaml is missing, calls itself for every level."""
    monkeypatch.setattr(nodes, "LOADER", yaml.SafeLoader)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 150)
    try:
        found = faults("[" * 99 + "]" * 99)
    finally:
        sys.setrecursionlimit(limit)
    assert found == ["rr.yaml: not YAML: nested over more than 100 levels"]


def test_faulty_node_used_twice() -> None:
    assert faults('smtp: {max_recipients: &a !!int "", max_connections: *a}') == [
        "rr.yaml:1: smtp.max_recipients: expected an integer of 1 or more, got ",
        "rr.yaml:1: smtp.max_connections: expected an integer of 0 or more, got ",
    ]


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("max_message_size", f'"{"9" * 400}.5MB"', "it is too large"),
        ("max_message_size", "9" * 400, "it is too large"),
        ("max_recipients", "9" * 400, "it is too large"),
        ("read_timeout", f'"{"9" * 400}.5h"', "it is too long"),
    ],
    ids=["fraction", "size", "count", "duration"],
)
def test_number_beyond_all_bounds(setting: str, value: str, reason: str) -> None:
    [fault] = faults(f"smtp: {{{setting}: {value}}}")
    assert fault.startswith(f"rr.yaml:1: smtp.{setting}: expected a")
    assert fault.endswith(f": {reason}")


def test_override_that_holds_itself() -> None:
    assert faults("", "smtp.servers={a: &a [*a]}") == [
        "-o: smtp.servers.a: expected a section with keys, got a list",
    ]


def test_override_with_a_key_twice() -> None:
    assert faults("", "smtp={strict: true, strict: false}") == ["-o: smtp.strict: given twice"]


def test_merge_keys_in_a_circle() -> None:
    assert read("smtp: &a {strict: true, <<: &b {max_recipients: 7, <<: *a}}").smtp == settings.SMTPSettings(
        strict=True, max_recipients=7
    )


def test_merge_bomb() -> None:
    levels = "".join(f"a{level}: &a{level} {{<<: [*a{level - 1}, *a{level - 1}]}}\n" for level in range(1, 26))
    assert read(f"a0: &a0 {{strict: true}}\n{levels}smtp: *a25\n").smtp == settings.SMTPSettings(strict=True)


def test_merge_chain_without_end() -> None:
    levels = "".join(f"a{level}: &a{level} {{<<: *a{level - 1}}}\n" for level in range(1, 5000))
    [fault] = faults(f"a0: &a0 {{strict: true}}\n{levels}smtp: *a4999\n")
    assert fault == "rr.yaml:4899: smtp: merged over more than 100 levels"


def test_faults_cannot_paint_or_forge_a_line() -> None:
    name = "a\x1b[31mb\nc.yaml"
    Path(name).write_text('smtp: {"a\\e[31mb\\nfoo": 1}')
    with pytest.raises(ConfigError) as caught:
        load(name, ["x\x1b\n"])
    assert caught.value.faults == [
        '-o: expected key=value, like smtp.addr=127.0.0.1:1025, got "x\\x1b\\n"',
        "a\\x1b[31mb\\nc.yaml:1: smtp.a\\x1b[31mb\\nfoo: unknown key, expected one of "
        + ", ".join(field.encode_name for field in msgspec.structs.fields(settings.SMTPSettings)),
    ]
