from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """``encode(width, height, format)``: a picture's bytes."""

    def make(width: int, height: int, format: str = "PNG") -> bytes:
        buffer = io.BytesIO()
        Image.linear_gradient("L").resize((width, height)).convert("RGB").save(buffer, format)
        return buffer.getvalue()

    return make


@pytest.fixture
def prepare(tmp_path: Path) -> Callable[..., Path]:
    """``prepare(folder, features, {split: examples}, shards=1, called="tiny")``: a dataset in TFDS's own layout.

    It is made by TFDS's own functions:
    https://www.tensorflow.org/datasets/external_tfrecord
    """
    tfds = pytest.importorskip("tensorflow_datasets")
    tf = pytest.importorskip("tensorflow")

    def make(
        name: str,
        features: Mapping[str, Any],
        splits: Mapping[str, Sequence[Mapping[str, Any]]],
        shards: int = 1,
        called: str = "tiny",
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        of_all = tfds.features.FeaturesDict(dict(features))
        infos = []
        for split, examples in splits.items():
            each = [list(examples[number::shards]) for number in range(shards)]
            for number, part in enumerate(each):
                path = folder / f"{called}-{split}.tfrecord-{number:05d}-of-{shards:05d}"
                with tf.io.TFRecordWriter(str(path)) as writer:
                    for example in part:
                        writer.write(of_all.serialize_example(of_all.encode_example(example)))
            lengths = [len(part) for part in each]
            template = tfds.core.ShardedFileTemplate(
                dataset_name=called, data_dir=folder, split=split, filetype_suffix="tfrecord"
            )
            infos.append(
                tfds.core.SplitInfo(name=split, shard_lengths=lengths, num_bytes=1, filename_template=template)
            )
        tfds.folder_dataset.write_metadata(data_dir=str(folder), features=of_all, split_infos=infos, check_data=False)
        return folder

    return make
