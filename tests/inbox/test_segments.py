"""Segments: what is appended is read again, or nothing of it was done."""

from __future__ import annotations

import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastsmtp.errors import StoreError
from fastsmtp.inbox.segments import HEADER_BYTES, Record, RecordPlace, Segments


@pytest.fixture(params=["files", "anonymous", "synced"])
def segments(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Segments]:
    kind = request.param
    made = Segments("" if kind == "anonymous" else str(tmp_path), sync=kind == "synced", limit=1000)
    yield made
    made.close()


def test_records_are_read_as_they_were_written(segments: Segments) -> None:
    records = [Record(b"{}", b"first"), Record(b'{"a":1}', b""), Record(b"", b"third")]
    places = segments.append(records)
    assert [place.segment for place in places] == [1, 1, 1]
    assert [(segments.read_document(place), segments.read_raw(place)) for place in places] == [
        (b"{}", b"first"),
        (b'{"a":1}', b""),
        (b"", b"third"),
    ]
    assert segments.total == places[-1].end == 3 * HEADER_BYTES + 2 + 5 + 7 + 5
    assert all(map(segments.whole, places))


@pytest.mark.parametrize(
    ("start", "length", "octets"), [(0, -1, b"0123456789"), (3, 4, b"3456"), (8, 9, b"89"), (10, 5, b""), (3, 0, b"")]
)
def test_a_part_of_a_mail(segments: Segments, start: int, length: int, octets: bytes) -> None:
    (place,) = segments.append([Record(b"{}", b"0123456789")])
    assert segments.read_raw(place, start, length) == octets


def test_a_full_segment_is_followed_by_another(segments: Segments) -> None:
    places = [segments.append([Record(b"{}", b"x" * 600)])[0] for _ in range(4)]
    assert [place.segment for place in places] == [1, 1, 2, 2]
    assert segments.sizes == {1: 2 * (602 + HEADER_BYTES), 2: 2 * (602 + HEADER_BYTES)}
    segments.drop(1)
    assert (list(segments.sizes), segments.current) == ([2], 2)
    with pytest.raises(StoreError, match=r"^segment 1 cannot be read: "):
        segments.read_raw(places[0])
    assert segments.read_raw(places[3]) == b"x" * 600


def test_a_spooled_mail_becomes_a_segment(segments: Segments, tmp_path: Path) -> None:
    spool = tmp_path / "incoming"
    spool.write_bytes(b"large mail")
    (place,) = segments.append([Record(b"{}", str(spool))])
    assert (place.spool, place.raw_length, spool.exists()) == (2, 10, True)
    assert (segments.read_document(place), segments.read_raw(place), segments.read_raw(place, 6, 2)) == (
        b"{}",
        b"large mail",
        b"ma",
    )
    assert segments.whole(place)
    segments.drop(place.spool)
    assert not segments.whole(place)


def test_a_spooled_mail_on_another_file_system_is_copied(segments: Segments) -> None:
    octets = os.urandom(3_000_000)
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as spool:
        spool.write(octets)
        spool.flush()
        (place,) = segments.append([Record(b"{}", spool.name)])
    assert place is not None
    assert segments.read_raw(place) == octets


def test_a_record_without_its_file_is_left_out(segments: Segments, tmp_path: Path) -> None:
    first, missing, last = segments.append([Record(b"1", b"a"), Record(b"2", str(tmp_path / "no")), Record(b"3", b"b")])
    assert first is not None
    assert last is not None
    assert (missing, last.offset, segments.read_document(last)) == (None, first.end, b"3")


def test_many_records_in_one_call(segments: Segments) -> None:
    records = [Record(b"%d" % number, b"raw %d" % number) for number in range(2000)]
    places = segments.append(records)
    assert [segments.read_raw(place) for place in places] == [record.raw for record in records]


def test_a_file_is_full(tmp_path: Path) -> None:
    """All or nothing: what was there stays, what was spooled is where it was."""
    segments = Segments(str(tmp_path))
    (kept,) = segments.append([Record(b"{}", b"kept")])
    spool = tmp_path / "incoming"
    spool.write_bytes(b"large")
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            segments.append([Record(b"{}", str(spool)), Record(b"{}", b"x" * 10_000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))
    assert (segments.sizes, spool.read_bytes()) == ({1: kept.end}, b"large")
    assert os.stat(tmp_path / "0000000001.segment").st_size == kept.end
    (more,) = segments.append([Record(b"{}", b"more")])
    assert (more.offset, segments.read_raw(kept), segments.read_raw(more)) == (kept.end, b"kept", b"more")
    segments.close()


def test_segments_are_found_again(tmp_path: Path) -> None:
    first = Segments(str(tmp_path), limit=100)
    places = [first.append([Record(b"{}", b"x" * 80)])[0] for _ in range(3)]
    first.close()
    (tmp_path / "notes.txt").write_text("not ours")
    second = Segments(str(tmp_path), limit=1000)
    assert second.sizes == {place.segment: place.end for place in places}
    second.resume(3)
    (more,) = second.append([Record(b"{}", b"more")])
    assert (more.segment, more.offset, second.read_raw(places[0])) == (3, places[2].end, b"x" * 80)
    second.close()


@pytest.mark.parametrize("lost", range(1, HEADER_BYTES + 2 + 4 + 1))
def test_a_torn_record_is_not_whole(tmp_path: Path, lost: int) -> None:
    segments = Segments(str(tmp_path))
    first, last = segments.append([Record(b"{}", b"whole"), Record(b"{}", b"torn")])
    segments.close()
    path = tmp_path / "0000000001.segment"
    os.truncate(path, last.end - lost)
    segments = Segments(str(tmp_path))
    assert (segments.whole(first), segments.whole(last)) == (True, False)
    segments.cut(1, first.end)
    assert (segments.total, path.stat().st_size) == (first.end, first.end)
    segments.close()


@pytest.mark.parametrize("at", range(HEADER_BYTES + 2 + 4))
def test_a_changed_record_is_not_whole(tmp_path: Path, at: int) -> None:
    segments = Segments(str(tmp_path))
    (place,) = segments.append([Record(b"{}", b"mail")])
    with open(tmp_path / "0000000001.segment", "r+b") as file:
        file.seek(at)
        octet = file.read(1)
        file.seek(at)
        file.write(bytes([octet[0] ^ 1]))
    assert not segments.whole(place)
    for read in (segments.read_document, segments.read_raw):
        with pytest.raises(StoreError, match=r"^segment 1 is damaged: the mail at 0 is not what was written$"):
            read(place)
    segments.close()


@pytest.mark.parametrize("at", [0, HEADER_BYTES, HEADER_BYTES + 2, 1024 * 1024, 3_000_000])
def test_a_large_record_is_checked_when_it_is_read_first(tmp_path: Path, at: int) -> None:
    segments = Segments(str(tmp_path))
    good, bad = segments.append([Record(b"{}", b"x" * 3_000_000)] * 2)
    with open(tmp_path / "0000000001.segment", "r+b") as file:
        file.seek(bad.offset + at)
        file.write(b"?")
    for read in (segments.read_document, lambda place: segments.read_raw(place, 5, 10)):
        with pytest.raises(StoreError, match=r"^segment 1 is damaged: the mail at 3000022 is not what was written$"):
            read(bad)
    assert (segments.read_document(good), segments.read_raw(good, 2_999_990)) == (b"{}", b"x" * 10)
    assert (segments.whole(good), segments.whole(bad)) == (True, False)
    segments.drop(1)
    (again,) = segments.append([Record(b"{}", b"y" * 3_000_000)])
    with open(tmp_path / "0000000001.segment", "r+b") as file:
        file.seek(at)
        file.write(b"?")
    with pytest.raises(StoreError, match=r"^segment 1 is damaged: the mail at 0 "):
        segments.read_raw(again)
    segments.close()


def test_what_was_never_there(segments: Segments) -> None:
    segments.append([Record(b"{}", b"mail")])
    with pytest.raises(StoreError, match=r"^segment 1 ends at "):
        segments.read_raw(RecordPlace(1, 0, 2, 1000, 0))
