"""The least that can be done in Python: labelImg XML by one regular expression, records by struct.

Checks nothing, handles no error, knows only this layout: the floor against which boxwright is measured.
``python tfrecord_bare.py FOLDER OUT.record``
"""

import glob
import re
import struct
import sys

from google_crc32c import value

SIZE = re.compile(r"<filename>(.*?)</filename>.*?<width>(\d+)</width>\s*<height>(\d+)</height>", re.S)
OBJECT = re.compile(
    r"<object>\s*<name>(.*?)</name>.*?<xmin>(\d+)</xmin>\s*<ymin>(\d+)</ymin>\s*<xmax>(\d+)</xmax>\s*<ymax>(\d+)</ymax>",
    re.S,
)


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(tag, content):
    return tag + varint(len(content)) + content


def feature(key, kind, content):
    return field(b"\x0a", field(b"\x0a", key) + field(b"\x12", field(kind, content)))


def texts(key, values):
    return feature(key, b"\x0a", b"".join(field(b"\x0a", value) for value in values))


def floats(key, values):
    return feature(key, b"\x12", field(b"\x0a", struct.pack(f"<{len(values)}f", *values)))


def integers(key, values):
    return feature(key, b"\x1a", field(b"\x0a", b"".join(map(varint, values))))


def masked(data):
    crc = value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def main(folder, out):
    paths = sorted(glob.glob(f"{folder}/*.xml"))
    labels = sorted({match[0] for path in paths for match in OBJECT.findall(read(path))})
    ids = {label: number for number, label in enumerate(labels, start=1)}
    with open(out, "wb") as target:
        for path in paths:
            text = read(path)
            name, width, height = SIZE.search(text).groups()
            width, height, name = int(width), int(height), name.encode()
            boxes = OBJECT.findall(text)
            with open(path[:-3] + "jpg", "rb") as file:
                image = file.read()
            body = b"".join(
                (
                    texts(b"image/encoded", [image]),
                    texts(b"image/filename", [name]),
                    texts(b"image/format", [b"jpeg"]),
                    integers(b"image/height", [height]),
                    floats(b"image/object/bbox/xmax", [int(box[3]) / width for box in boxes]),
                    floats(b"image/object/bbox/xmin", [int(box[1]) / width for box in boxes]),
                    floats(b"image/object/bbox/ymax", [int(box[4]) / height for box in boxes]),
                    floats(b"image/object/bbox/ymin", [int(box[2]) / height for box in boxes]),
                    integers(b"image/object/class/label", [ids[box[0]] for box in boxes]),
                    texts(b"image/object/class/text", [box[0].encode() for box in boxes]),
                    texts(b"image/source_id", [name]),
                    integers(b"image/width", [width]),
                )
            )
            record = field(b"\x0a", body)
            length = struct.pack("<Q", len(record))
            target.write(length + masked(length) + record + masked(record))


if __name__ == "__main__":
    main(*sys.argv[1:])
