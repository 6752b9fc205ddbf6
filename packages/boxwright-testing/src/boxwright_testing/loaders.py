"""Tests of a loader: a dataset handed to a framework."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from boxwright import BoxFormat, Dataset, DatasetInfo, ImageRef, LabelMap, Sample, UsageError
from boxwright.datasets import OnProblem
from boxwright.plugins import Registered, Registry, convert_options
from boxwright_testing.samples import make_sample, many_samples
from boxwright_testing.sandbox import Survivors
from boxwright_testing.specs import SpecTests, check_answer

_LABELS = ("apple", "red, ripe", "вишня")
_IMAGES = 60


@dataclass(frozen=True)
class Loaded:
    """One image as a framework got it.

    Args:
        image: Shape (height, width, 3), 0..255; ``None`` if the loader returns no pixels.
        boxes: Shape (N, 4), in the ``bounding_box_format`` that was asked for.
        classes: Shape (N,), 0-based.
    """

    image: Any
    boxes: Any
    classes: Any


class LoaderTests(SpecTests):
    """The rules for every loader. Override :meth:`examples` if it returns something else than KerasCV's dicts.

    Set in the subclass:

    - ``loader``: the loader's name.
    - ``options``: options to call it with, as strings.
    - ``edge_tolerance``: how far edges may be off, in pixels; float32 is enough for 1e-3.
    - ``level_tolerance``: how far a pixel's level may be off; the images are PNG.
    - ``buffered``: how many images it may hold at once, made ahead for a framework that is quicker.
    """

    kind: ClassVar[str] = "loader"
    loader: ClassVar[str] = ""
    options: ClassVar[Mapping[str, str]] = {}
    edge_tolerance: ClassVar[float] = 1e-3
    level_tolerance: ClassVar[float] = 1.0
    buffered: ClassVar[int] = 32

    @property
    def spec_name(self) -> str:
        """The loader's name."""
        return self.loader

    def examples(self, loaded: Any) -> Iterable[Loaded]:
        """Yields what the framework's object contains, image by image.

        By default, the object returns ``{"images", "bounding_boxes": {"boxes", "classes"}}`` for each image.
        """
        for example in loaded:
            boxes = example["bounding_boxes"]
            yield Loaded(example["images"], boxes["boxes"], boxes["classes"])

    def samples(self, folder: Path) -> list[Sample]:
        """What is loaded: images of several sizes, one of them without boxes."""
        return [
            make_sample(folder, "001.png", (64, 48), _LABELS[:2], [(3, 5, 20, 30), (30.25, 8.5, 60, 40)]),
            make_sample(folder, "empty.png", (30, 20)),
            make_sample(folder, "cam1/фото.png", (48, 64), [_LABELS[2]], [(0, 0, 48, 64)]),
        ]

    def load(self, registry: Registry, samples: Iterable[Sample] | Dataset, **options: Any) -> Any:
        """The framework's object, as ``dataset.to_NAME(**options)`` returns it."""
        spec = registry.get("loader", self.loader).spec
        made = convert_options(dict(self.options), spec.options, self.loader)
        dataset = samples if isinstance(samples, Dataset) else Dataset(_Making(list(samples)), plugins=registry)
        return getattr(dataset.with_label_map(LabelMap.from_names(_LABELS)), f"to_{self.loader}")(**(made | options))

    def test_the_name_can_be_called(self, entry: Registered[Any]) -> None:
        """A loader is the method ``dataset.to_NAME()``, so its name has letters, digits and underscores only."""
        assert f"to_{entry.spec.name}".isidentifier(), f"nobody can write dataset.to_{entry.spec.name}()"

    @pytest.mark.parametrize("box_format", [member.value for member in BoxFormat])
    def test_boxes_come_in_the_format_asked_for(
        self, registry: Registry, entry: Registered[Any], tmp_path: Path, box_format: str
    ) -> None:
        """Each of the eight ``bounding_box_format``, with classes counted from 0 in the order of the label map."""
        import numpy as np

        from boxwright import convert_format

        samples = self.samples(tmp_path)
        loaded = list(self.examples(self.load(registry, samples, bounding_box_format=box_format)))
        assert len(loaded) == len(samples), f"{len(samples)} images went in and {len(loaded)} came out"
        label_map = LabelMap.from_names(_LABELS)
        for sample, example in zip(samples, loaded, strict=True):
            boxes, classes = np.asarray(example.boxes), np.asarray(example.classes)
            assert boxes.shape == (len(sample.boxes), 4), f"{sample.image.name}: boxes of shape {boxes.shape}"
            assert classes.shape == (len(sample.boxes),), f"{sample.image.name}: classes of shape {classes.shape}"
            assert classes.tolist() == [label_map.index(label) for label in sample.boxes.labels], sample.image.name
            size = (sample.image.width, sample.image.height)
            expected = convert_format(sample.boxes.xyxy, "xyxy", box_format, image_size=size)
            assert np.allclose(boxes, expected, rtol=0, atol=self.edge_tolerance), (
                f"{sample.image.name}: {boxes.tolist()}, expected {expected.tolist()}"
            )

    def test_images_are_what_the_files_show(self, registry: Registry, entry: Registered[Any], tmp_path: Path) -> None:
        """Height, width and levels are those of the image; RGB, 0..255."""
        import numpy as np
        from PIL import Image

        samples = self.samples(tmp_path)
        for sample, example in zip(samples, self.examples(self.load(registry, samples)), strict=True):
            if example.image is None:
                pytest.skip(f"the loader {self.loader} returns no pixels")
            expected = np.asarray(Image.open(str(sample.image.location)).convert("RGB"), np.float64)
            image = np.asarray(example.image, np.float64)
            assert image.shape == expected.shape, f"{sample.image.name}: shape {image.shape}, not {expected.shape}"
            assert abs(image - expected).max() <= self.level_tolerance, f"{sample.image.name} has other levels"

    def test_reading_again_returns_the_same(self, registry: Registry, entry: Registered[Any], tmp_path: Path) -> None:
        """The object can be iterated for every epoch, and a new one returns the same; no network is needed."""
        samples = self.samples(tmp_path)
        with self.offline():
            loaded = self.load(registry, samples)
            first, second, again = (
                _plain(self.examples(one)) for one in (loaded, loaded, self.load(registry, samples))
            )
        assert second == first, "the second iteration returned something else"
        assert again == first, "a new object returned something else"

    def test_an_unknown_box_format_is_a_usage_error(
        self, registry: Registry, entry: Registered[Any], tmp_path: Path
    ) -> None:
        """It names the formats that there are."""
        with pytest.raises(UsageError, match="yxyx") as caught:
            list(self.examples(self.load(registry, self.samples(tmp_path), bounding_box_format="xyxyx")))
        check_answer(caught.value)

    def test_a_missing_image_is_named(self, registry: Registry, entry: Registered[Any], tmp_path: Path) -> None:
        """Whatever the framework makes of the error, it contains the image's name."""
        gone = Sample(image=ImageRef(name="gone.png", width=8, height=8, location=str(tmp_path / "gone.png")))
        said = ""
        try:
            examples = list(self.examples(self.load(registry, [gone])))
        except Exception as error:
            said = str(error)
        else:
            if examples and examples[0].image is None:
                pytest.skip(f"the loader {self.loader} returns no pixels")
        assert said, "an image that is not there was loaded as if it were, or left out"
        assert "gone.png" in said, f"the error does not name the image: {said}"

    def test_images_are_not_kept(self, registry: Registry, entry: Registered[Any], tmp_path: Path) -> None:
        """Samples are read when they are needed; at most :attr:`buffered` of them are held at once."""
        survivors = Survivors()

        class Stream(_Making):
            def read(self, on_problem: OnProblem) -> Iterator[Sample]:
                # Without boxes, since their classes are not in the label map.
                return survivors.watch(many_samples(tmp_path, _IMAGES, boxes=0))

        for example in self.examples(self.load(registry, Dataset(Stream([]), plugins=registry))):
            del example
        assert survivors.seen == _IMAGES, f"{survivors.seen} of {_IMAGES} images were read"
        assert survivors.most <= self.buffered, f"{survivors.most} of {_IMAGES} samples were in memory at once"


class _Making:
    """A reader of samples that are in memory."""

    info = DatasetInfo(format="samples", location="memory")

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def read(self, on_problem: OnProblem) -> Iterator[Sample]:
        return iter(self._samples)


def _plain(examples: Iterable[Loaded]) -> list[list[bytes | None]]:
    import numpy as np

    return [
        [None if part is None else np.asarray(part).tobytes() for part in (one.image, one.boxes, one.classes)]
        for one in examples
    ]
