"""TFRecord framing: a file of byte strings with checksums.

A record is ``uint64 length``, ``uint32 masked CRC-32C of the length``, the bytes, ``uint32 masked CRC-32C of the
bytes``, all little-endian; the mask is ``((crc >> 15) | (crc << 17)) + 0xa282ead8``
(https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details). A compressed file is one
GZIP stream.
"""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from collections.abc import Iterator
from typing import IO, NamedTuple, cast

from google_crc32c import value

from boxwright import DataError
from boxwright.storage import MAX_FILE_BYTES, MAX_IMAGE_BYTES, filesystem, is_remote, open_regular

HEADER_SIZE = 12
_FOOTER_SIZE = 4
_MAX_LENGTH = MAX_IMAGE_BYTES + MAX_FILE_BYTES
_PIECE = 1 << 24
_GZIP_MAGIC = b"\x1f\x8b"
_length = struct.Struct("<Q")
_checksum = struct.Struct("<I")


def _mask(crc: int) -> int:
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


class Record(NamedTuple):
    """One record: its bytes, its number in the file, from 1, and its byte offset (uncompressed)."""

    data: bytes
    number: int
    offset: int

    @property
    def place(self) -> str:
        """``record 3, byte 1200``, for messages."""
        return _place(self.number, self.offset)


def _place(number: int, offset: int) -> str:
    return f"record {number}, byte {offset}"


def write_record(file: IO[bytes], data: bytes) -> None:
    """Appends one record."""
    length = _length.pack(len(data))
    file.write(length + _checksum.pack(_mask(value(length))))
    file.write(data)
    file.write(_checksum.pack(_mask(value(data))))


def is_header(head: bytes) -> bool:
    """Returns whether 12 bytes are a record's length with its checksum."""
    if len(head) < HEADER_SIZE:
        return False
    (checksum,) = _checksum.unpack_from(head, 8)
    return bool(checksum == _mask(value(head[:8])))


def open_records(path: str) -> IO[bytes]:
    """Opens a local file or URL, and decompresses it if it is compressed with GZIP.

    Raises:
        DataError: The file cannot be opened.
    """
    try:
        file = _open(path)
        head = file.read(HEADER_SIZE)
        file.seek(0)
    except OSError as error:
        reason = "file not found" if isinstance(error, FileNotFoundError) else (error.strerror or str(error))
        raise DataError(path, reason, "check the path and its permissions") from None
    # An uncompressed file may begin with GZIP's two bytes, as a length of 35,615, followed by its checksum.
    if head.startswith(_GZIP_MAGIC) and not is_header(head):
        return cast(IO[bytes], _OwningGzip(file))
    return file


def _open(path: str) -> IO[bytes]:
    if not is_remote(path):
        return open(path, "rb", buffering=1 << 16, opener=open_regular)
    files, inside = filesystem(path)
    file = files.open(inside, "rb")
    file.boxwright_filesystem = files  # an archive is closed with the last reference to its file system
    return cast(IO[bytes], file)


class _OwningGzip(gzip.GzipFile):
    """Closes the compressed file together with itself."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(fileobj=file, mode="rb")
        self._below = file

    def close(self) -> None:
        super().close()
        self._below.close()


def read_records(path: str, *, check: bool = True, may_be_empty: bool = False) -> Iterator[Record | DataError]:
    """Yields the records of one file, one in memory at a time.

    For a record whose bytes do not match their checksum, the error is yielded, and reading continues after it. Damage
    that hides where the next record begins is yielded as the last item.

    Args:
        path: A local path or a URL.
        check: Whether to check the checksums of the bytes; those of the lengths are always checked.
        may_be_empty: Whether a file without records is valid, as one of several shards.

    Raises:
        DataError: The file cannot be opened.
    """
    number, offset = 1, 0
    with open_records(path) as file:
        while True:
            try:
                head = file.read(HEADER_SIZE)
                if not head:
                    if number == 1 and not may_be_empty:
                        yield DataError(path, "the file is empty", "write it again")
                    return
                if not is_header(head):
                    yield _bad_header(path, head, number, offset)
                    return
                length = _length.unpack_from(head)[0]
                if length > _MAX_LENGTH:
                    yield DataError(
                        path,
                        f"the record's length is {length:,} bytes, more than {_MAX_LENGTH >> 20} MiB",
                        "write the file again",
                        _place(number, offset),
                    )
                    return
                data = _read(file, length)
                footer = file.read(_FOOTER_SIZE)
            except (EOFError, OSError, zlib.error) as error:
                # GzipFile raises EOFError for a stream that is cut off and the others for one that is damaged.
                yield DataError(
                    path, f"the file cannot be read further: {error}", "write or copy it again", _place(number, offset)
                )
                return
            if len(data) < length or len(footer) < _FOOTER_SIZE:
                yield _truncated(path, number, offset)
                return
            if check and _checksum.unpack(footer)[0] != _mask(value(data)):
                yield DataError(
                    path,
                    "its bytes do not match their checksum: the file is damaged",
                    "write or copy the file again, or skip the record: --on-error skip",
                    _place(number, offset),
                )
            else:
                yield Record(data, number, offset)
            number += 1
            offset += HEADER_SIZE + length + _FOOTER_SIZE


def _read(file: IO[bytes], length: int) -> bytes:
    if length <= _PIECE:
        return file.read(length)
    # In pieces, so that a wrong length takes no more memory than the file has bytes.
    pieces = []
    while length:
        piece = file.read(min(length, _PIECE))
        if not piece:
            break
        pieces.append(piece)
        length -= len(piece)
    return b"".join(pieces)


def _bad_header(path: str, head: bytes, number: int, offset: int) -> DataError:
    if number == 1:
        what = "it is not a TFRecord file: the first 12 bytes are not a record length with its checksum"
        return DataError(path, what, "check the location and the format", _place(number, offset))
    if len(head) < HEADER_SIZE:
        return _truncated(path, number, offset)
    what = "the record's length does not match its checksum: the rest of the file is damaged"
    return DataError(path, what, "write or copy the file again", _place(number, offset))


def _truncated(path: str, number: int, offset: int) -> DataError:
    return DataError(
        path, "the file ends in the middle of a record", "write or copy the file again", _place(number, offset)
    )


def count_records(paths: list[str]) -> int | None:
    """Returns the number of records in local, uncompressed files, read from their lengths; else ``None``."""
    count = 0
    for path in paths:
        if is_remote(path):
            return None
        try:
            with open(path, "rb", buffering=0, opener=open_regular) as file:
                size, position = os.fstat(file.fileno()).st_size, 0
                while position < size:
                    head = file.read(HEADER_SIZE)
                    if not is_header(head):
                        return None
                    position += HEADER_SIZE + _length.unpack_from(head)[0] + _FOOTER_SIZE
                    count += 1
                    if position < size:
                        file.seek(position)
                if position != size:
                    return None
        except OSError:
            return None
    return count
