"""Framing and damage, on files that TensorFlow wrote."""

import gzip
import io
import struct
from pathlib import Path

import pytest

from boxwright import DataError
from boxwright_tfrecord.records import Record, count_records, is_header, read_records, write_record


def outcome(path: Path, **options: bool) -> tuple[list[bytes], list[DataError]]:
    items = list(read_records(str(path), **options))
    return [i.data for i in items if isinstance(i, Record)], [i for i in items if isinstance(i, DataError)]


def test_a_record_by_hand() -> None:
    # RFC 3720, B.4: the CRC-32C of 32 zero bytes is 0x8a9136aa; masked by turning it 15 bits to the right and adding.
    buffer = io.BytesIO()
    write_record(buffer, bytes(32))
    whole = buffer.getvalue()
    assert whole[:8] == struct.pack("<Q", 32)
    assert whole[12:44] == bytes(32)
    rotated = (0x8A9136AA >> 15 | 0x8A9136AA << 17) & 0xFFFFFFFF
    assert whole[44:] == struct.pack("<I", (rotated + 0xA282EAD8) & 0xFFFFFFFF)
    assert len(whole) == 48


def test_our_bytes_are_tensorflows(data: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    for record in read_records(str(data / "tensorflow.record")):
        assert isinstance(record, Record)
        write_record(buffer, record.data)
    assert buffer.getvalue() == (data / "tensorflow.record").read_bytes()


def test_gzip_is_known_by_its_content(data: Path, tmp_path: Path) -> None:
    plain = outcome(data / "tensorflow.record")
    assert len(plain[0]) == 2
    renamed = tmp_path / "packed.record"
    renamed.write_bytes((data / "tensorflow.record.gz").read_bytes())
    assert outcome(renamed) == plain == outcome(data / "tensorflow.record.gz")


def test_a_first_record_whose_length_looks_like_gzip(tmp_path: Path) -> None:
    path = tmp_path / "x.record"
    with open(path, "wb") as file:
        write_record(file, bytes(0x8B1F))
    assert path.read_bytes()[:2] == b"\x1f\x8b"
    assert outcome(path) == ([bytes(0x8B1F)], [])


def test_a_file_that_breaks_off_says_where(data: Path, tmp_path: Path) -> None:
    whole = (data / "tensorflow.record").read_bytes()
    records, _ = outcome(data / "tensorflow.record")
    second = 16 + len(records[0])
    path = tmp_path / "cut.record"
    for end in [*range(1, 20), *range(second - 5, second + 20), len(whole) - 5, len(whole) - 1]:
        path.write_bytes(whole[:end])
        read, errors = outcome(path)
        assert read == records[: end // second]
        if end == second:
            assert not errors
            continue
        (error,) = errors
        assert error.file == str(path)
        assert error.place == ("record 1, byte 0" if end < second else f"record 2, byte {second}")
        assert error.remedy
        assert count_records([str(path)]) is None


def test_every_flipped_bit_is_noticed(data: Path, tmp_path: Path) -> None:
    whole = (data / "tensorflow.record").read_bytes()
    path = tmp_path / "flipped.record"
    for position in range(0, len(whole), 5):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        assert outcome(path)[1], f"byte {position}"


def test_reading_goes_on_after_damaged_bytes(data: Path, tmp_path: Path) -> None:
    whole = bytearray((data / "tensorflow.record").read_bytes())
    records, _ = outcome(data / "tensorflow.record")
    whole[100] ^= 1
    path = tmp_path / "damaged.record"
    path.write_bytes(whole)
    read, (error,) = outcome(path)
    assert read == records[1:]
    assert "checksum" in error.message
    read, errors = outcome(path, check=False)
    assert [len(data) for data in read] == [len(data) for data in records]
    assert not errors


def test_a_false_length_asks_for_no_memory(tmp_path: Path) -> None:
    for claimed in (1 << 62, (1 << 31) - 1):
        length = struct.pack("<Q", claimed)
        path = tmp_path / "huge.record"
        path.write_bytes(length + _masked_checksum(length) + b"short")
        read, (error,) = outcome(path)
        assert not read
        assert error.place == "record 1, byte 0"


def _masked_checksum(content: bytes) -> bytes:
    from google_crc32c import value

    crc = value(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0 an image, not records", b"short", bytes(100), b"\x1f\x8b\x08"])
def test_what_is_no_record_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.record"
    path.write_bytes(content)
    read, (error,) = outcome(path)
    assert not read
    assert str(path) in error.message
    assert error.remedy


def test_damaged_gzip(data: Path, tmp_path: Path) -> None:
    packed = (data / "tensorflow.record.gz").read_bytes()
    whole = gzip.decompress(packed)
    path = tmp_path / "x.record.gz"
    for end in (5, 15, len(packed) // 2, len(packed) - 9):
        path.write_bytes(packed[:end])
        assert len(outcome(path)[1]) == 1, end
    for position in range(10, len(packed), 7):  # after GZIP's own header, whose time and system say nothing
        damaged = bytearray(packed)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        assert outcome(path)[1], position
    assert whole == (data / "tensorflow.record").read_bytes()


def test_counting_without_reading(data: Path) -> None:
    path = str(data / "tensorflow.record")
    assert count_records([path]) == 2
    assert count_records([path, path]) == 4
    assert count_records([str(data / "tensorflow.record.gz")]) is None


def test_is_header_is_particular() -> None:
    assert not is_header(b"")
    assert not is_header(bytes(12))
