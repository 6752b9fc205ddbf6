"""How the format is put to boxwright's conformance tests; imported by ``boxwright plugins check tfds`` only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from boxwright.plugins import FormatSpec, Registry
from boxwright_testing import ReaderTests
from boxwright_testing.pictures import draw_picture, encode


def prepare(
    folder: Path,
    features: Mapping[str, Any],
    splits: Mapping[str, Sequence[Mapping[str, Any]]],
    shards: int = 1,
    called: str = "tiny",
) -> Path:
    """Makes a dataset in TFDS's own layout, by TFDS's own functions.

    They are those of https://www.tensorflow.org/datasets/external_tfrecord.

    Args:
        folder: Where it is made.
        features: Its features by name.
        splits: The examples of each split.
        shards: Files of each split.
        called: The dataset's name.

    Returns:
        The folder.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

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
        infos.append(tfds.core.SplitInfo(name=split, shard_lengths=lengths, num_bytes=1, filename_template=template))
    tfds.folder_dataset.write_metadata(data_dir=str(folder), features=of_all, split_infos=infos, check_data=False)
    return folder


class TestTfds(ReaderTests):
    """``tfds``."""

    format: ClassVar[str] = "tfds"
    remote: ClassVar[bool] = False

    def make_dataset(self, registry: Registry, spec: FormatSpec, folder: Path) -> str:
        """Four pictures in two splits, with none to three boxes."""
        import tensorflow_datasets as tfds

        f = tfds.features
        objects = f.Sequence({"label": f.ClassLabel(names=["apple", "вишня"]), "bbox": f.BBoxFeature()})
        features = {"image": f.Image(), "image/filename": f.Text(), "objects": objects}
        box = {"label": 1, "bbox": f.BBox(0.1, 0.2, 0.5, 1.0)}
        picture = encode(draw_picture(40, 30), "picture.png")
        examples = [{"image": picture, "image/filename": f"{n}.jpg", "objects": [box] * n} for n in range(4)]
        return str(prepare(folder / "dataset", features, {"train": examples[:3], "test": examples[3:]}))
