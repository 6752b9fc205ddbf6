"""The conformance tests of the format; imported by ``boxwright plugins check tfds`` only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from boxwright.plugins import FormatSpec, Registry
from boxwright_testing import ReaderTests, draw_image, encode_image


def prepare(
    folder: Path,
    features: Mapping[str, Any],
    splits: Mapping[str, Sequence[Mapping[str, Any]]],
    shards: int = 1,
    name: str = "tiny",
) -> Path:
    """Writes a dataset in the layout of TFDS, with the functions of TFDS.

    See https://www.tensorflow.org/datasets/external_tfrecord.

    Args:
        folder: The folder of the dataset.
        features: The features by name.
        splits: The examples of each split.
        shards: Number of files per split.
        name: Name of the dataset.

    Returns:
        The folder.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

    folder.mkdir(parents=True)
    all_features = tfds.features.FeaturesDict(dict(features))
    infos = []
    for split, examples in splits.items():
        parts = [list(examples[number::shards]) for number in range(shards)]
        for number, part in enumerate(parts):
            path = folder / f"{name}-{split}.tfrecord-{number:05d}-of-{shards:05d}"
            with tf.io.TFRecordWriter(str(path)) as writer:
                for example in part:
                    writer.write(all_features.serialize_example(all_features.encode_example(example)))
        lengths = [len(part) for part in parts]
        template = tfds.core.ShardedFileTemplate(
            dataset_name=name, data_dir=folder, split=split, filetype_suffix="tfrecord"
        )
        infos.append(tfds.core.SplitInfo(name=split, shard_lengths=lengths, num_bytes=1, filename_template=template))
    tfds.folder_dataset.write_metadata(data_dir=str(folder), features=all_features, split_infos=infos, check_data=False)
    return folder


class TestTfds(ReaderTests):
    """``tfds``."""

    format: ClassVar[str] = "tfds"
    remote: ClassVar[bool] = False

    def make_dataset(self, registry: Registry, spec: FormatSpec, folder: Path) -> str:
        """Creates four images with zero to three boxes."""
        import tensorflow_datasets as tfds

        f = tfds.features
        objects = f.Sequence({"label": f.ClassLabel(names=["apple", "вишня"]), "bbox": f.BBoxFeature()})
        features = {"image": f.Image(), "image/filename": f.Text(), "objects": objects}
        box = {"label": 1, "bbox": f.BBox(0.1, 0.2, 0.5, 1.0)}
        image = encode_image(draw_image(40, 30), "image.png")
        examples = [{"image": image, "image/filename": f"{n}.jpg", "objects": [box] * n} for n in range(4)]
        return str(prepare(folder / "dataset", features, {"train": examples}))
