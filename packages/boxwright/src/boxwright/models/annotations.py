"""Detections as annotations, which people correct: the first model annotates the images of the second."""

from __future__ import annotations

import filecmp
import hashlib
import io
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path

from PIL import Image

from boxwright.datasets.conversion import convert
from boxwright.datasets.dataset import Dataset, SampleReader, open_dataset
from boxwright.datasets.destination import Destination
from boxwright.datasets.image_places import copies_path, folder_of
from boxwright.datasets.losses import Losses
from boxwright.datasets.merged import merged_classes
from boxwright.datasets.outputs import refuse_to_swallow
from boxwright.datasets.protocols import OnProblem, ShapeReader
from boxwright.datasets.sidecar import sidecar_path
from boxwright.errors import DataError, NotAnnotatedError, OutputError, UsageError
from boxwright.label_map import LabelMap
from boxwright.plugins.options import IMAGES
from boxwright.plugins.registry import Registry
from boxwright.plugins.specs import FormatSpec
from boxwright.schemas import Boxes, ImageRef, Sample
from boxwright.storage.filesystem import is_file
from boxwright.storage.output import AtomicOutput, commit_together
from boxwright.storage.uri import DatasetURI, base_name, is_remote

_MERGE = "write to another place without --only-new, and merge both: boxwright convert A B C"


class Annotations:
    """A dataset that detections are written to, with the class ids of the model.

    Args:
        uri: The dataset.
        plugins: The plugins to use.
        overwrite: Whether an existing dataset may be replaced.
        only_new: Whether the images that the dataset contains stay unchanged, and others are added.

    Attributes:
        uri: The dataset.
        losses: What the format cannot store of what was written.

    Raises:
        UsageError: The format cannot be written, an option is unknown, or ``only_new`` is impossible there.
        DataError: The dataset cannot be read.
    """

    def __init__(self, uri: DatasetURI, plugins: Registry, *, overwrite: bool, only_new: bool) -> None:
        self.uri = uri
        self.losses = Losses()
        self._plugins = plugins
        self._overwrite = overwrite
        self._destination = Destination(uri, plugins, overwrite=overwrite)
        if only_new and (is_remote(uri.location) or uri.has_split):
            raise UsageError(f"{uri} is not one local dataset", _MERGE)
        place = Path(uri.location)
        self._existing = only_new and place.exists() and not (place.is_dir() and not any(place.iterdir()))
        if self._existing and self._destination.copies_images:
            raise UsageError(f"{uri.location} has copies of its images, to which --only-new adds none", _MERGE)
        self._annotated = self._opened() if self._existing else None
        if self._annotated is None:
            self.new = OnlyNew()
        else:
            self.new = OnlyNew(self._annotated, one_folder=self._destination.remembers)
            self._check_addable(self._classes())

    def _opened(self) -> Dataset | None:
        """Returns the dataset that is there; ``None`` for images without annotations, which are added."""
        known = {option.name for option in self._destination.spec.options}
        options = {name: value for name, value in self.uri.options.items() if name in known and name != IMAGES.name}
        try:
            return open_dataset(replace(self.uri, options=options), registry=self._plugins)
        except NotAnnotatedError:
            return None

    def _classes(self, label_map: LabelMap | None = None) -> LabelMap:
        """Returns the classes of the dataset with their ids, and then those of a model."""
        assert self._annotated is not None
        known = self._annotated.known_label_map
        labels = LabelMap.from_names(self.new.labels)
        classes = merged_classes([each for each in (known, label_map, labels) if each is not None])
        assert classes is not None
        return classes

    def check_classes(self, label_map: LabelMap) -> None:
        """Checks that the classes of a model can be added to the dataset.

        Raises:
            UsageError: A file of the dataset lists the classes, and would change.
        """
        if self._annotated is not None:
            self._check_addable(self._classes(label_map))

    def _check_addable(self, classes: LabelMap) -> None:
        """Adds an image on trial, in another place, and raises a UsageError if a file of the dataset would change."""
        if not self.is_folder:
            return
        image = io.BytesIO()
        Image.new("L", (8, 8)).save(image, "PNG")
        boxes = Boxes(classes.names[:1], [(1, 1, 5, 5)][: len(classes)])
        trial = [
            Sample(
                image=ImageRef(name=f"boxwright-trial-{number}.png", width=8, height=8, data=image.getvalue()),
                boxes=boxes,
                split=split,
            )
            for number, split in enumerate(sorted(self.new.splits, key=str) or [None])
        ]
        with self._made(Dataset(SampleReader(trial)), classes) as new:
            clash = next((place for _, place in _files(new, Path(self.uri.location)) if place is not None), None)
        self.losses = Losses()
        if clash is not None:
            raise UsageError(f"{clash} lists the images or the classes, and --only-new changes no file", _MERGE)

    @property
    def is_folder(self) -> bool:
        """Whether the dataset is a folder."""
        return self._destination.spec.target == "folder"

    def check_places(self, out: str | None, sources: Sequence[str]) -> None:
        """Checks that nothing is replaced that is needed.

        Args:
            out: The folder of the drawings, if there is one.
            sources: Where the images are read from.

        Raises:
            UsageError: The dataset would replace a source, or it and ``out`` would replace each other.
        """
        location = self.uri.location
        for place in (location, copies_path(location)) if self._destination.copies_images else (location,):
            if out is not None and not is_remote(place):
                own, other = Path(os.path.realpath(place)), Path(os.path.realpath(out))
                if own == other or own in other.parents or other in own.parents:
                    raise UsageError(
                        f"the annotations in {place} and the drawings in {out} would replace each other",
                        f"choose places apart, or write --to {self._destination.spec.name} for a dataset inside {out}",
                    )
            if not (self._existing and self.is_folder):  # to which files are added
                for source in sources:
                    refuse_to_swallow(source, place, "choose another place, or add to it by --only-new")

    def write(self, data: Dataset, label_map: LabelMap) -> None:
        """Writes images with their detections, completely or not at all.

        Args:
            data: The images, each with its detections as boxes; it is read once.
            label_map: The classes of the model.

        Raises:
            OutputError: The dataset exists already, or, with ``only_new``, contains a file that would change.
            DataError: An image cannot be read, the format cannot store it, or there is none.
        """
        if not self._existing:
            self._convert(data, self.uri, label_map, overwrite=self._overwrite)
        elif self.is_folder:
            self._add(data, label_map if self._annotated is None else self._classes(label_map))
        else:
            assert self._annotated is not None
            both = Dataset(_Both(self._annotated, data), problems=data.problems)
            self._convert(both, self.uri, self._classes(label_map), overwrite=True)

    def _convert(self, data: Dataset, uri: DatasetURI, label_map: LabelMap, *, overwrite: bool) -> None:
        sidecar = self._existing and not self.is_folder and is_file(sidecar_path(self._destination.spec, uri.location))
        report = convert(data, uri, label_map=label_map, overwrite=overwrite, sidecar=sidecar, registry=self._plugins)
        self.losses = report.losses

    @contextmanager
    def _made(self, data: Dataset, label_map: LabelMap) -> Iterator[Path]:
        """Writes a dataset next to the existing one, and removes it after use."""
        parent, name = os.path.split(os.path.abspath(self.uri.location))
        made = AtomicOutput(os.path.join(parent, f"{name}.added"), "folder", overwrite=True)
        try:
            assert made.workplace is not None
            new = os.path.join(made.workplace, "new")
            self._convert(data, replace(self.uri, location=new), label_map, overwrite=False)
            yield Path(new)
        finally:
            made.abort()

    def _add(self, data: Dataset, label_map: LabelMap) -> None:
        """Writes a dataset next to the existing one, and moves its files into that one together."""
        outputs: dict[Path, AtomicOutput] = {}
        with self._made(data, label_map) as new:
            try:
                for path, clash in _files(new, Path(os.path.abspath(self.uri.location))):
                    if clash is not None:
                        raise OutputError(f"{clash} exists already, with other content", _MERGE)
                    place = Path(os.path.abspath(self.uri.location)) / path.relative_to(new)
                    if os.path.lexists(place):
                        continue
                    if place.parent not in outputs:
                        outputs[place.parent] = AtomicOutput(str(place))
                    outputs[place.parent].copy(path, place.name)
                if outputs:
                    commit_together(list(outputs.values()))
            finally:
                for output in outputs.values():
                    output.abort()


class _Both:
    """Reads a dataset, and images that are added to it; what the dataset says as a whole stays."""

    def __init__(self, annotated: Dataset, new: Dataset) -> None:
        self._annotated = annotated
        self._new = new
        self.info = annotated.info.model_copy(update={"num_samples": None, "label_map": None})
        if isinstance(annotated.reader, ShapeReader):
            self.shapes = annotated.reader.shapes  # what it left out is counted

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        """Yields the samples of both."""
        return chain(self._annotated, self._new)


def _files(new: Path, target: Path) -> Iterator[tuple[Path, Path | None]]:
    """Yields the files of a new folder, each with what there is of other content at its place in the target."""
    for path in sorted(path for path in new.rglob("*") if path.is_file()):
        place = target / path.relative_to(new)
        same = not os.path.lexists(place) or (place.is_file() and filecmp.cmp(path, place, shallow=False))
        yield path, None if same else place


class OnlyNew:
    """A transform that keeps images that are not annotated yet.

    An image is annotated if the dataset contains the same file, or one of this name and content. Of the frame of a
    video, whose content changes as it is encoded, the name and the size count.

    Args:
        annotated: The images that the dataset contains.
        one_folder: Whether the dataset finds its images in one folder alone.

    Attributes:
        labels: The classes of the dataset.
        splits: The splits of the dataset.
        kept: How many images were annotated.

    Raises:
        UsageError: Another image has the same name, or is in another folder.
    """

    per_sample = False

    def __init__(self, annotated: Iterable[Sample] = (), *, one_folder: bool = False) -> None:
        self.labels: set[str] = set()
        self.splits: set[str | None] = set()
        self.kept = 0
        self._one_folder = one_folder
        self._folders: set[str] = set()
        self._files: set[str] = set()
        self._images: dict[str, list[ImageRef]] = defaultdict(list)
        self._digests: dict[tuple[str, str | None], str] = {}
        for sample in annotated:
            self.labels.update(sample.boxes.labels)
            self.splits.add(sample.split)
            image = sample.image
            if image.data is not None:
                self._digests[image.name, image.location] = _digest(image)
                image = image.model_copy(update={"data": None})
            elif image.location is not None:
                self._files.add(os.path.realpath(image.location))
                if folder := folder_of(image):
                    self._folders.add(os.path.realpath(folder))
            self._images[base_name(image.name)].append(image)

    def __bool__(self) -> bool:
        """Whether any image is annotated."""
        return bool(self._images)

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields the images that are not annotated yet."""
        self.kept = 0
        for sample in samples:
            if self._contains(sample):
                self.kept += 1
            else:
                yield sample

    def _contains(self, sample: Sample) -> bool:
        image = sample.image
        if image.data is None and image.location is not None and os.path.realpath(image.location) in self._files:
            return True
        others = self._images.get(base_name(image.name), [])
        named = [each for each in others if each.name == image.name]
        if "video" in sample.attributes:
            if any((each.width, each.height) == (image.width, image.height) for each in named):
                return True
        elif others:
            digest = _digest(image)
            found = {each.name: self._digest_of(each) for each in others}
            if digest in found.values() or not all(found[each.name] for each in named):  # or it cannot be compared
                return True
        place = sample.source or image.name
        if named:
            raise UsageError(f"{place}: the dataset contains another image of the name {image.name}", "rename one")
        folder = folder_of(image) if self._one_folder else None
        if folder and self._folders and {os.path.realpath(folder)} != self._folders:
            known = ", ".join(sorted(self._folders))
            raise UsageError(f"{place}: the dataset finds its images in {known} alone", "copy the image there")
        return False

    def _digest_of(self, image: ImageRef) -> str:
        key = (image.name, image.location)
        if key not in self._digests:
            self._digests[key] = _digest(image)
        return self._digests[key]


def _digest(image: ImageRef) -> str:
    """Returns the digest of the file of an image; empty if it cannot be read."""
    try:
        return hashlib.sha256(image.read()).hexdigest()
    except DataError:
        return ""


def annotations_uri(to: str, out: str | None, plugins: Registry) -> DatasetURI | None:
    """Returns the dataset of ``FORMAT:LOCATION``; ``None`` if it is one inside the folder ``out``, of ``FORMAT``.

    Raises:
        UsageError: There is neither a location nor ``out``.
        PluginNotFoundError: The format is unknown.
    """
    uri = DatasetURI.parse(to)
    plugins.get("format", uri.format or to)
    if uri.format is None and out is None:
        raise UsageError(f"writing {to} needs a place", f"give {to}:PLACE, or --out DIR")
    return None if uri.format is None else uri


def name_inside(spec: FormatSpec, taken: str) -> str:
    """Returns the name of a dataset of a format inside the folder of a prediction, other than the one taken."""
    if spec.target == "folder":
        return spec.name
    suffix = (spec.suffixes or ("",))[0]
    return f"annotations{suffix}" if taken == f"detections{suffix}" else f"detections{suffix}"
