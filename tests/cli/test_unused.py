"""What `check` says has no effect: only what was given, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastsmtp.cli.unused import rows, unused
from fastsmtp.config.file import read

WORKER = "server: {command: php worker.php}\n"


def found(text: str, *overrides: str) -> dict[str, str]:
    Path("rr.yaml").write_text(text)
    return unused(read("rr.yaml", overrides))


@pytest.fixture(autouse=True)
def in_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_nothing_that_was_not_given() -> None:
    assert found("") == {}


def test_everything_that_has_an_effect() -> None:
    text = """\
version: "3"
server: {command: php worker.php, on_init: {command: php init.php, exec_timeout: 5s}}
logs: {encoding: json, output: x.log, channels: {smtp: {level: warn}, server: {level: error}}}
metrics: {address: "127.0.0.1:2112", collect: {x: {type: gauge}}}
status: {address: "127.0.0.1:2114", check_timeout: 5, unavailable_status_code: 500}
endure: {grace_period: 5s}
smtp:
  processes: 2
  attachment_storage: {mode: tempfile, temp_dir: /tmp/x, cleanup_after: 5s}
  pool: {num_workers: 4, max_queue_size: 9, reset_timeout: 5s, dynamic_allocator: {max_workers: 4}}
x-notes: {a: b}
.anchors: {a: b}
"""
    assert found(text) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            WORKER + "http: {address: x}\nkv: {}\ninclude: [a.yaml]\nendure: {print_graph: true, log_level: error}\n",
            {
                "http": "for RoadRunner alone",
                "kv": "for RoadRunner alone",
                "include": "other files are not read",
                "endure.print_graph": "for RoadRunner alone",
                "endure.log_level": "for RoadRunner alone",
            },
        ),
        (
            WORKER + "logs: {channels: {http: {level: warn}, jobs: {mode: raw}, smtp: {level: warn}}}\n",
            {
                "logs.channels.http": "nothing here logs in this channel",
                "logs.channels.jobs": "nothing here logs in this channel",
            },
        ),
        (
            WORKER + "logs: {output: stderr, encoding: console, file_logger_options: {log_output: x}}\n",
            {
                "logs.encoding": "file_logger_options writes JSON",
                "logs.output": "file_logger_options writes to its own file",
            },
        ),
        (
            WORKER + "logs: {channels: {smtp: {output: stderr, file_logger_options: {log_output: x}}}}\n",
            {"logs.channels.smtp.output": "file_logger_options writes to its own file"},
        ),
        (
            WORKER + "logs: {time_format: '15:04', channels: {smtp: {time_format: '15:04'}}}\n",
            {
                "logs.channels.smtp.time_format": "format is not set, which may have a %time%",
                "logs.time_format": "format is not set, which may have a %time%",
            },
        ),
        (
            WORKER + "logs: {encoding: json, format: '%message%', channels: {smtp: {time_format: '15:04'}}}\n",
            {
                "logs.encoding": "format says what a line looks like",
            },
        ),
        (WORKER + "metrics: {collect: {x: {type: gauge}}}\n", {"metrics.collect": "metrics.address is not set"}),
        (
            WORKER + "metrics: {address: ':2112', collect: {x: {type: histogram, buckets: [1], objectives: [1.4: 2.3]},"
            " y: {type: summary, buckets: [2, 1], objectives: {0.5: 0.1}}, z: {type: gauge, buckets: []}}}\n",
            {
                "metrics.collect.x.objectives": "only a summary has objectives",
                "metrics.collect.y.buckets": "only a histogram has buckets",
                "metrics.collect.z.buckets": "only a histogram has buckets",
            },
        ),
        (
            WORKER + "status: {check_timeout: 5, unavailable_status_code: 500}\n",
            {
                "status.check_timeout": "status.address is not set",
                "status.unavailable_status_code": "status.address is not set",
            },
        ),
        (
            WORKER + "status: {address: ':2114', check_timeout: 5, unavailable_status_code: 500}\n",
            {"status.check_timeout": "a server of one process says at once how it is"},
        ),
        (
            "server: {command: x, on_init: {exec_timeout: 5s}, after_init: {}}\n",
            {"server.after_init": "it has no command", "server.on_init": "it has no command"},
        ),
        (
            WORKER + "smtp: {attachment_storage: {temp_dir: /x, cleanup_after: 5s}}\n",
            {
                "smtp.attachment_storage.cleanup_after": 'there are no files where mode is "memory"',
                "smtp.attachment_storage.temp_dir": 'there are no files where mode is "memory"',
            },
        ),
        (
            "smtp: {pool: {num_workers: 8}}\n",
            {"smtp.pool.num_workers": "without server.command there is one worker, which shows the mails"},
        ),
        (
            WORKER + "smtp: {pool: {num_workers: 8, debug: true, max_queue_size: 5, dynamic_allocator: {}}}\n",
            {
                f"smtp.pool.{name}": "smtp.pool.debug starts a worker for each mail"
                for name in ("dynamic_allocator", "max_queue_size", "num_workers")
            },
        ),
        (
            WORKER + "smtp: {pool: {stream_timeout: 5s}}\n",
            {"smtp.pool.stream_timeout": "workers answer in one piece, not in streams"},
        ),
    ],
)
def test_what_has_none(text: str, expected: dict[str, str]) -> None:
    assert found(text) == expected


def test_an_override_counts_as_given() -> None:
    assert found(WORKER, "status.check_timeout=5") == {"status.check_timeout": "status.address is not set"}


def test_rows_for_people_have_one_for_all_that_is_left_to_roadrunner() -> None:
    reasons = {"a.b": "because", "include": "other files are not read", "http": "for RoadRunner alone"}
    assert rows(reasons | {"k\x1b": "for RoadRunner alone"}) == [
        ("a.b", "because"),
        ("include", "other files are not read"),
        ("for RoadRunner alone", "http, k\\x1b"),
    ]
    assert rows({}) == []
