"""What a location means, for writing and for reading."""

import os
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from boxwright import DataError, Sample, UsageError
from boxwright.storage import AtomicOutput
from boxwright_tfrecord.reader import TFRecordReader, detect
from boxwright_tfrecord.shards import find_files, parse_sharded
from boxwright_tfrecord.writer import TFRecordWriter

TEN = [f"x.record-0000{number}-of-00010" for number in range(10)]


def read(location: str, **options: str) -> list[str]:
    def fail(error: DataError) -> None:
        raise error

    return [sample.image.name for sample in TFRecordReader(location, **options).read(fail)]  # type: ignore[arg-type]


@pytest.fixture
def five(make_sample: Callable[..., Sample]) -> list[Sample]:
    return [make_sample(f"{number}.jpg") for number in range(5)]


@pytest.mark.parametrize("target", ["x.record@10", "x.record-?????-of-00010", "x.record-*-of-00010", TEN[0]])
def test_ten_shards_are_named_as_tensorflow_names_them(
    write: Callable[..., str], five: list[Sample], tmp_path: Path, target: str
) -> None:
    location = write(five, target)
    assert sorted(os.listdir(tmp_path)) == ["images", *TEN]
    assert sorted(read(location)) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    assert [read(str(tmp_path / name)) for name in TEN[1:5]] == [["1.jpg"], ["2.jpg"], ["3.jpg"], ["4.jpg"]]
    assert read(str(tmp_path / "x.record")) == read(location)
    assert detect(location).matches
    assert detect(str(tmp_path)).matches


def test_records_go_to_the_shards_in_turn(write: Callable[..., str], five: list[Sample], tmp_path: Path) -> None:
    write(five, "x.record", shards=2)
    assert read(str(tmp_path / "x.record-0000[0]-of-00002")) == ["0.jpg", "2.jpg", "4.jpg"]
    assert read(str(tmp_path / "x.record-00001-of-00002")) == ["1.jpg", "3.jpg"]


def test_a_missing_shard_is_an_error(write: Callable[..., str], five: list[Sample], tmp_path: Path) -> None:
    write(five, "x.record@3")
    (tmp_path / "x.record-00001-of-00003").unlink()
    for location in ("x.record@3", "x.record-?????-of-00003", "x.record-00000-of-00003", "x.record", ""):
        with pytest.raises(DataError, match="00001-of-00003") as caught:
            find_files(str(tmp_path / location))
        assert caught.value.remedy
    # but a pattern may leave some out on purpose
    assert len(find_files(str(tmp_path / "x.record-0000[0-2]-of-00003"))) == 2


def test_two_sets_under_one_name_are_not_mixed(write: Callable[..., str], five: list[Sample], tmp_path: Path) -> None:
    write(five, "x.record@2")
    write(five, "x.record@3")
    for location in ("x.record", "", "x.record-*"):
        with pytest.raises(DataError, match=r"x.record@2, .*x.record@3"):
            find_files(str(tmp_path / location))
    assert len(read(str(tmp_path / "x.record@2"))) == 5


def test_folders_and_patterns_are_sorted(
    write: Callable[..., str], make_sample: Callable[..., Sample], tmp_path: Path
) -> None:
    for name in ("b.tfrecord", "a.record.gz", "c.tfrecords"):
        write([make_sample(f"{name}.jpg")], name)
    (tmp_path / ".d.record.boxwright-partial-1-0").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no records")
    assert read(str(tmp_path)) == ["a.record.gz.jpg", "b.tfrecord.jpg", "c.tfrecords.jpg"]
    assert read(str(tmp_path / "*.tfrecord*")) == ["b.tfrecord.jpg", "c.tfrecords.jpg"]


def test_locations_without_records(tmp_path: Path) -> None:
    for location in ("nothing.record", "*.record", ""):
        with pytest.raises(DataError) as caught:
            find_files(str(tmp_path / location))
        assert caught.value.remedy
        assert not detect(str(tmp_path / location)).matches


def test_more_shards_than_samples(write: Callable[..., str], five: list[Sample]) -> None:
    assert len(read(write(five[:1], "x.record@4"))) == 1


@pytest.mark.parametrize("location", ["x.record@0", "x.record@1001", "x.record-?????-of-00000"])
def test_senseless_numbers_of_shards(location: str) -> None:
    with pytest.raises(UsageError, match="shards"):
        parse_sharded(location)


def test_contradictions_are_usage_errors(write: Callable[..., str], five: list[Sample], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="shards=3"):
        write(five, "x.record@2", shards=3)
    with pytest.raises(UsageError, match="shards"):
        write(five, "x.record", shards=0)
    whole = write(five, "y.record")
    with AtomicOutput(whole, overwrite=True) as output, pytest.raises(UsageError, match="one file"):
        TFRecordWriter(output, None, shards=2)
    assert read(whole) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg"]


def test_a_file_may_be_named_like_a_set(write: Callable[..., str], five: list[Sample], tmp_path: Path) -> None:
    write(five, "x.record")
    os.rename(tmp_path / "x.record", tmp_path / "x@2")
    assert len(read(str(tmp_path / "x@2"))) == 5


def test_compression_by_name_and_by_option(write: Callable[..., str], five: list[Sample], tmp_path: Path) -> None:
    assert Path(write(five, "x.record.gz")).read_bytes()[:2] == b"\x1f\x8b"
    write(five, "y.record.gz@2")
    assert (tmp_path / "y.record.gz-00001-of-00002").read_bytes()[:2] == b"\x1f\x8b"
    packed = write(five, "z.record", compression="gzip")
    assert Path(packed).read_bytes() == Path(tmp_path / "x.record.gz").read_bytes()
    assert read(packed) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    assert sorted(read(str(tmp_path / "y.record.gz@2"))) == read(packed)


def test_remote_locations(write: Callable[..., str], five: list[Sample]) -> None:
    fs = fsspec.filesystem("memory")
    try:
        location = write(five, "memory://tfr/x.record@2")
        assert sorted(read(location)) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg"]
        for other in ("memory://tfr/x.record", "memory://tfr", "memory://tfr/x.record-*"):
            assert read(other) == read(location)
            assert detect(other).matches
        packed = write(five, "memory://tfr/one.record.gz")
        assert read(packed) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg"]
        with pytest.raises(DataError, match="file not found"):
            find_files("memory://tfr/other.record")
    finally:
        fs.rm("/tfr", recursive=True)
