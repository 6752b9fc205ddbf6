"""Reads datasets that TensorFlow Datasets has prepared, with the pictures' bytes as they are stored.

A detection dataset has a picture and a sequence of objects, each with a ``BBoxFeature``: ``ymin, xmin, ymax, xmax`` as
shares of the picture (https://www.tensorflow.org/datasets/api_docs/python/tfds/features/BBoxFeature).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from boxwright import Boxes, DataError, DatasetInfo, ImageRef, LabelMap, Sample
from boxwright.images import read_header
from boxwright.pictures import safe_filename
from boxwright.protocols import OnProblem
from boxwright_tf.quiet import quiet_import

with quiet_import():
    import tensorflow_datasets as tfds

_RENAMED = {"is_difficult": "difficult", "is_truncated": "truncated", "is_crowd": "iscrowd", "is_occluded": "occluded"}
_FLAGS = frozenset({"difficult", "truncated", "iscrowd", "occluded"})
_DEFAULT_POSES = ("Unspecified", "")
_PREPARE = "prepare it with TFDS, from the archives in DATA_DIR/downloads/manual or by ?download=true"


class TfdsReader:
    """One sample an example, in the order of TFDS's own files, split after split.

    Edges are the shares of the file times the picture's width and height; TFDS takes 1 from VOC's xmin and ymin when
    it prepares that dataset, so that they count from 0 here. The name is the feature ``image/filename`` where there is
    one, else the split and the number of the example.

    Args:
        location: A name, ``voc/2007`` or ``voc/2007:5.0.0``, or the folder of a prepared builder.
        split: A split as TFDS writes it; ``None`` for all of them.
        data_dir: Where prepared datasets are.
        download: Whether a dataset that is not prepared may be downloaded and prepared.
        objects: The feature with the boxes.

    Raises:
        DataError: TFDS knows no such dataset, it is not prepared, or it has no boxes.
    """

    def __init__(
        self,
        location: str,
        split: str | None = None,
        data_dir: str | None = None,
        download: bool = False,
        objects: str | None = None,
    ) -> None:
        self._location = location
        self._builder = _builder(location, data_dir, download)
        info = self._builder.info
        splits = tuple(info.splits)
        if split is not None and split.partition("[")[0].partition("+")[0] not in (*splits, "all"):
            raise DataError(location, f"it has no split {split!r}", f"it has: {', '.join(splits)}")
        self._splits = splits if split is None else (split,)
        self._objects, self._label = _objects_of(location, info.features, objects)
        names = getattr(info.features[self._objects].feature[self._label], "names", None) if self._label else None
        self._names = names
        self.info = DatasetInfo(
            format="tfds",
            location=location,
            label_map=None if names is None else LabelMap.from_names(names, sort=False),
            num_samples=sum(info.splits[name].num_examples for name in self._splits),
            splits=splits,
        )

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples; see :class:`boxwright.protocols.Reader`."""
        seen: set[str] = set()
        for split in self._splits:
            read = tfds.ReadConfig(try_autocache=False, shuffle_seed=None)
            examples = self._builder.as_dataset(
                split=split, shuffle_files=False, read_config=read, decoders={"image": tfds.decode.SkipDecoding()}
            )
            for number, example in enumerate(tfds.as_numpy(examples)):
                place = f"split {split}, example {number}"
                try:
                    sample = self._sample(example, split, number, place)
                    if sample.image.name in seen:
                        problem = f"a picture named {sample.image.name!r} came before"
                        raise DataError(self._location, problem, "read one split at a time: ?split=", place)
                except DataError as error:
                    on_problem(error)
                    continue
                seen.add(sample.image.name)
                yield sample

    def _sample(self, example: dict[str, Any], split: str, number: int, place: str) -> Sample:
        data: bytes = example["image"]
        where = f"{self._location}, {place}"
        header = read_header(data, where)
        width, height = header.width, header.height
        plain = split.partition("[")[0]
        filename = example.get("image/filename")
        ending = "jpg" if header.format in ("jpeg", "mpo") else header.format
        name = filename.decode() if filename else f"{plain}-{number:06d}.{ending}"
        name = safe_filename(name, self._location, place)
        objects = example[self._objects]
        edges = [
            (xmin * width, ymin * height, xmax * width, ymax * height)
            for ymin, xmin, ymax, xmax in objects["bbox"].astype("float64").tolist()
        ]
        try:
            boxes = Boxes(self._labels(objects, len(edges)), edges, self._attributes(objects, len(edges)))
        except ValueError as error:
            raise DataError(self._location, str(error), "leave it out with --on-error skip", place) from None
        attributes = {"source_id": str(example["image/id"])} if "image/id" in example else {}
        return Sample(
            image=ImageRef(name=name, width=width, height=height, data=data, format=header.format),
            boxes=boxes,
            split=plain if plain in self._builder.info.splits else None,
            attributes=attributes,
            source=where,
        )

    def _labels(self, objects: dict[str, Any], count: int) -> list[str]:
        if not self._label:
            return ["object"] * count
        values = objects[self._label].tolist()
        if self._names is not None:
            return [self._names[value] for value in values]
        return [value.decode() if isinstance(value, bytes) else str(value) for value in values]

    def _attributes(self, objects: dict[str, Any], count: int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = [{} for _ in range(count)]
        for key, column in objects.items():
            if key in ("bbox", self._label):
                continue
            name = _RENAMED.get(key, key)
            feature = self._builder.info.features[self._objects].feature[key]
            for row, value in zip(rows, column.tolist(), strict=True):
                plain = _plain(value, feature)
                if name in _FLAGS:
                    plain = int(bool(plain)) if isinstance(plain, bool) else plain
                    if not plain:
                        continue
                elif name == "pose" and plain in _DEFAULT_POSES:
                    continue
                row[name] = plain
        return rows


def _builder(location: str, data_dir: str | None, download: bool) -> Any:
    try:
        if tfds.core.Path(location).is_dir() and (tfds.core.Path(location) / "features.json").exists():
            return tfds.builder_from_directory(location)
        builder = tfds.builder(location, data_dir=data_dir)
    except Exception as error:  # TFDS raises errors of many kinds, with pages of text
        problem = str(error).strip().partition("\n")[0] or type(error).__name__
        raise DataError(location, f"TFDS knows no such dataset: {problem}", "write NAME or NAME/CONFIG") from None
    if download:
        builder.download_and_prepare()
    if not builder.data_path.exists():
        raise DataError(location, f"it is not prepared: {builder.data_path} is not there", _PREPARE)
    return builder


def _objects_of(location: str, features: Any, given: str | None) -> tuple[str, str]:
    """The feature with the boxes, and the one in it with the labels; the latter is empty where there is none."""
    if "image" not in features:
        raise DataError(location, f"it has no feature image; it has: {', '.join(features)}", "choose another dataset")
    for name in (given,) if given else ("objects", *features):
        inner = getattr(features[name], "feature", None) if name in features else None
        if inner is not None and hasattr(inner, "keys") and "bbox" in inner:
            return name, "label" if "label" in inner else ""
    raise DataError(
        location, "it has no boxes: no sequence with a bbox", "choose a detection dataset, or name ?objects="
    )


def _plain(value: Any, feature: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    names = getattr(feature, "names", None)
    return names[value] if names and isinstance(value, int) else value
