"""Converts CSV and images to TFRecord with pandas, Pillow and TensorFlow, like the tutorials.

``python tfrecord_tensorflow.py LABELS.csv IMAGES OUT.record``
"""

import io
import sys

import pandas as pd
import tensorflow as tf
from PIL import Image


def texts(*values):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def floats(values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def integers(*values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def example(name, boxes, folder, ids):
    with tf.io.gfile.GFile(f"{folder}/{name}", "rb") as file:
        data = file.read()
    width, height = Image.open(io.BytesIO(data)).size
    rows = [row for _, row in boxes.iterrows()]
    features = {
        "image/height": integers(height),
        "image/width": integers(width),
        "image/filename": texts(name.encode()),
        "image/source_id": texts(name.encode()),
        "image/encoded": texts(data),
        "image/format": texts(b"jpeg"),
        "image/object/bbox/xmin": floats([row["xmin"] / width for row in rows]),
        "image/object/bbox/xmax": floats([row["xmax"] / width for row in rows]),
        "image/object/bbox/ymin": floats([row["ymin"] / height for row in rows]),
        "image/object/bbox/ymax": floats([row["ymax"] / height for row in rows]),
        "image/object/class/text": texts(*(row["class"].encode() for row in rows)),
        "image/object/class/label": integers(*(ids[row["class"]] for row in rows)),
    }
    return tf.train.Example(features=tf.train.Features(feature=features))


def main(labels, folder, out):
    table = pd.read_csv(labels)
    ids = {name: number for number, name in enumerate(sorted(table["class"].unique()), start=1)}
    groups = table.groupby("filename")
    images = [(name, groups.get_group(name)) for name in groups.groups]
    with tf.io.TFRecordWriter(out) as writer:
        for name, boxes in images:
            writer.write(example(name, boxes, folder, ids).SerializeToString())


if __name__ == "__main__":
    main(*sys.argv[1:])
