"""Sinks of both storages: octets, defects, checksums, files, and what is left when the disk fails."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastsmtp.capture.attachments import MemoryStorage, Sink, Storage, Stored, TempfileStorage
from fastsmtp.errors import StartError
from fastsmtp.mime import defects
from fastsmtp.mime.entity import Entity, read_entity

UUID = "019a4b8e-7c1f-7000-8000-000000000001"
CONTENT = bytes(range(256)) * 300 + b"\r\n.\r\n--b\r\n1234567890"
ENCODED = {
    "base64": base64.encodebytes(CONTENT).replace(b"\n", b"\r\n"),
    "quoted-printable": b"=\r\n".join(
        b"=%02X" * 20 % tuple(CONTENT[at : at + 20]) for at in range(0, len(CONTENT), 20)
    ),
    "8bit": CONTENT,
    "x-none": CONTENT,
}


def entity_of(encoding: str, media_type: str = "image/png", name: str = "a.png") -> Entity:
    header = f'Content-Type: {media_type}; name="{name}"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n'
    return read_entity(header.encode(), "1", None)[0]


def descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "private" / "attachments"


@pytest.fixture
def tempfiles(directory: Path) -> Iterator[TempfileStorage]:
    storage = TempfileStorage(str(directory), 3600)
    storage.prepare()
    before = descriptors()
    yield storage
    assert descriptors() == before
    storage.close()
    storage.close()


def feed(sink: Sink, octets: bytes, piece: int) -> None:
    for start in range(0, len(octets), piece):
        buf = bytearray(octets[start : start + piece])
        sink.feed(buf, 0, len(buf))
        buf[:] = b"!" * len(buf)  # valid only during the call


def store(storage: Storage, encoding: str, octets: bytes, piece: int = 1000) -> tuple[Stored, list[str]]:
    found: list[str] = []
    sink = storage.open(UUID, 1, entity_of(encoding), found, 0)
    feed(sink, octets, piece)
    return sink.close(), found


@pytest.mark.parametrize("piece", [1, 7, 1000, 65536])
@pytest.mark.parametrize("encoding", ENCODED)
@pytest.mark.parametrize("checksum", [False, True], ids=["plain", "checksum"])
def test_both_storages_keep_every_octet(directory: Path, checksum: bool, encoding: str, piece: int) -> None:
    sha256 = hashlib.sha256(CONTENT).hexdigest() if checksum else None
    stored, found = store(MemoryStorage(checksum=checksum), encoding, ENCODED[encoding], piece)
    assert stored == Stored(len(CONTENT), b'"%s"' % base64.b64encode(CONTENT), None, sha256)
    assert found == ([defects.UNKNOWN_TRANSFER_ENCODING] if encoding == "x-none" else [])

    tempfiles = TempfileStorage(str(directory), 0, checksum=checksum)
    again, found_again = store(tempfiles, encoding, ENCODED[encoding], piece)
    assert again.path is not None
    assert again == Stored(len(CONTENT), None, again.path, sha256)
    assert Path(again.path).read_bytes() == CONTENT
    assert found_again == found


@pytest.mark.parametrize("checksum", [False, True], ids=["plain", "checksum"])
def test_damage_is_named_once_and_means_the_same_in_both_storages(directory: Path, checksum: bool) -> None:
    octets = b"aGVsb*G8\r\n"
    stored, found = store(MemoryStorage(checksum=checksum), "base64", octets)
    again, found_again = store(TempfileStorage(str(directory), 0, checksum=checksum), "base64", octets)
    assert again.path is not None
    assert (stored.content, Path(again.path).read_bytes()) == (b'"aGVsbG8="', b"hello")
    assert stored.size == again.size == 5
    assert stored.sha256 == again.sha256
    assert found == found_again == [defects.INVALID_BASE64, defects.MISSING_BASE64_PADDING]


@pytest.mark.parametrize("hint", [0, 10, len(ENCODED["base64"]), 10**15])
def test_a_hint_is_only_a_hint(hint: int) -> None:
    sink = MemoryStorage().open(UUID, 1, entity_of("base64"), [], hint)
    feed(sink, ENCODED["base64"], 5000)
    assert sink.close().content == b'"%s"' % base64.b64encode(CONTENT)


def test_what_is_held_is_counted(tempfiles: TempfileStorage) -> None:
    in_memory = MemoryStorage().open(UUID, 1, entity_of("base64"), [], 0)
    feed(in_memory, ENCODED["base64"], 1000)
    assert in_memory.held == len(ENCODED["base64"]) + 32 * 1024  # with the room that is kept for more
    in_memory.discard()
    assert in_memory.held == 0

    on_disk = tempfiles.open(UUID, 1, entity_of("8bit"), [], 0)
    for _ in range(1000):
        feed(on_disk, b"x" * 1000, 1000)
        assert on_disk.held < 64 * 1024
    assert on_disk.held > 0
    on_disk.close()
    assert on_disk.held == 0


@pytest.mark.parametrize("encoding", ["base64", "8bit"])
@pytest.mark.parametrize("octets", [300, 30_000, 3_000_000])
def test_the_room_that_is_kept_for_more_counts_while_it_is_kept(encoding: str, octets: int) -> None:
    sink = MemoryStorage().open(UUID, 1, entity_of(encoding), [], 0)
    text = base64.b64encode(bytes(octets))
    feed(sink, text if encoding == "base64" else bytes(octets), 3000)
    assert sink.held == len(text) + min(len(text), 64 * 1024) // 2
    content = sink.close().content
    assert content == b'"%s"' % text
    assert sink.held == len(content)


def test_files_and_their_directory_are_private(tempfiles: TempfileStorage, directory: Path) -> None:
    stored, _ = store(tempfiles, "8bit", b"x")
    assert stored.path == str(directory / f"smtp-att-{UUID}-1.png")
    assert stat.S_IMODE(os.stat(stored.path).st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


HOSTILE_NAMES = [
    *("../../etc/passwd", "/etc/passwd", "a/b", "..", "x" * 100_000, "a\\..\\b", "CON", "a%00b", "-rf", "ü.png"),
]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=range(len(HOSTILE_NAMES)))
def test_names_from_the_wire_never_reach_the_file_system(
    tempfiles: TempfileStorage, directory: Path, name: str
) -> None:
    for place, media_type in enumerate(("image/png", "x/../../y", "application/" + "z" * 1000), 1):
        tempfiles.open(UUID, place, entity_of("8bit", media_type, name), [], 0).close()
    assert sorted(path.name for path in directory.iterdir()) == [
        f"smtp-att-{UUID}-1.png",
        f"smtp-att-{UUID}-2.bin",
        f"smtp-att-{UUID}-3.bin",
    ]


def test_the_deepest_part_gets_a_file(tempfiles: TempfileStorage, directory: Path) -> None:
    entity = read_entity(b"\r\n", ".".join(["100"] * 100), None)[0]
    stored = tempfiles.open(UUID, 10_000, entity, [], 0).close()
    assert [str(path) for path in directory.iterdir()] == [stored.path]
    assert (stored.size, Path(stored.path or "").name) == (0, f"smtp-att-{UUID}-10000.txt")


def test_an_existing_file_or_link_is_never_written_to(tempfiles: TempfileStorage, directory: Path) -> None:
    precious = directory.parent / "precious"
    precious.write_bytes(b"mine")
    (directory / f"smtp-att-{UUID}-1.png").symlink_to(precious)
    (directory / f"smtp-att-{UUID}-2.png").write_bytes(b"mine")
    for place in (1, 2):
        with pytest.raises(FileExistsError):
            tempfiles.open(UUID, place, entity_of("8bit"), [], 0)
    assert precious.read_bytes() == b"mine"
    assert (directory / f"smtp-att-{UUID}-2.png").read_bytes() == b"mine"


def test_a_directory_that_vanished_is_made_again(tempfiles: TempfileStorage, directory: Path) -> None:
    directory.rmdir()
    stored, _ = store(tempfiles, "8bit", b"x")
    assert [str(path) for path in directory.iterdir()] == [stored.path]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_discarded_part_leaves_nothing(tempfiles: TempfileStorage, directory: Path) -> None:
    for fed in (b"", b"x", b"x" * 100_000):
        sink = tempfiles.open(UUID, 1, entity_of("8bit"), [], 0)
        feed(sink, fed, 1000)
        sink.discard()
        sink.discard()
        assert list(directory.iterdir()) == []
    sink = tempfiles.open(UUID, 1, entity_of("8bit"), [], 0)
    sink.close()
    sink.discard()
    assert list(directory.iterdir()) == []


@pytest.mark.parametrize("size", [1, 20_000, 100_000, 1_000_000])
def test_a_full_disk_leaves_nothing(
    tempfiles: TempfileStorage, directory: Path, full_disk: pytest.MonkeyPatch, size: int
) -> None:
    sink = tempfiles.open(UUID, 1, entity_of("8bit"), [], 0)

    def write() -> None:
        feed(sink, b"x" * size, 50_000)
        sink.close()  # where a small one fails

    with pytest.raises(OSError, match="No space left"):
        write()
    sink.discard()
    assert list(directory.iterdir()) == []


class TestCleaning:
    def test_old_files_of_ours_are_deleted(self, tempfiles: TempfileStorage, directory: Path) -> None:
        names = ["smtp-att-x-1.bin", "smtp-att-y-1.bin", "other", "smtp-att-directory", "smtp-att-link"]
        (directory / names[3]).mkdir()
        (directory / names[4]).symlink_to("/etc/hostname")
        for name in names[:3]:
            (directory / name).write_bytes(b"x")
            os.utime(directory / name, (1000, 1000))
        os.utime(directory / names[1], (1001, 1001))
        os.utime(directory / names[3], (1000, 1000))
        assert tempfiles.clean(1000 + 3600) == 0
        assert tempfiles.clean(1001 + 3600) == 1
        assert sorted(path.name for path in directory.iterdir()) == sorted(names[1:])

    def test_files_stay_until_their_email_is_decided(self, tempfiles: TempfileStorage, directory: Path) -> None:
        stored, _ = store(tempfiles, "8bit", b"x")
        assert stored.path is not None
        os.utime(stored.path, (0, 0))
        assert tempfiles.clean(10**9) == 0
        tempfiles.hand_over(stored.path)
        assert tempfiles.clean(10**9) == 1
        assert list(directory.iterdir()) == []

    def test_0_keeps_everything(self, directory: Path) -> None:
        storage = TempfileStorage(str(directory), 0)
        stored, _ = store(storage, "8bit", b"x")
        assert stored.path is not None
        storage.hand_over(stored.path)
        os.utime(stored.path, (0, 0))
        assert storage.clean(10**9) == 0

    def test_without_a_directory_there_is_nothing_to_clean(self, tempfiles: TempfileStorage, directory: Path) -> None:
        directory.rmdir()
        assert tempfiles.clean(10**9) == 0


def test_a_file_that_the_worker_took_can_be_deleted_again(tempfiles: TempfileStorage, directory: Path) -> None:
    stored, _ = store(tempfiles, "8bit", b"x")
    assert stored.path is not None
    os.unlink(stored.path)
    tempfiles.delete(stored.path)
    assert list(directory.iterdir()) == []


def test_a_directory_that_cannot_be_used_is_told_at_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError) as refused:
        TempfileStorage(str(tmp_path / "file" / "x"), 0).prepare()
    assert str(refused.value) == (
        f"smtp.attachment_storage.temp_dir: cannot keep files in {tmp_path}/file/x: Not a directory"
    )


def test_preparing_leaves_nothing(tempfiles: TempfileStorage, directory: Path) -> None:
    tempfiles.prepare()
    assert list(directory.iterdir()) == []


def test_a_directory_everybody_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(StartError, match=r"cannot keep files in .*: everybody may write to the directory"):
        TempfileStorage(str(tmp_path), 0).prepare()
    tmp_path.chmod(0o1777)
    TempfileStorage(str(tmp_path), 0).prepare()
