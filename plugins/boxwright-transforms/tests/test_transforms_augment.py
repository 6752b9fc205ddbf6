"""The step ``augment``, with augmenters made for the tests, and splits that keep copies with their image."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import boxwright
from boxwright import AugmenterSpec, Boxes, DataError, Dataset, ImageRef, Option, Sample, UsageError, hookimpl
from boxwright.datasets import Problems, SampleReader
from boxwright.images import load_pixels
from boxwright_testing import registry_of
from boxwright_transforms import augment as augment_module
from boxwright_transforms.augment import Augment
from boxwright_transforms.kfold import KFold
from boxwright_transforms.split import Split


class Mirror:
    """Always mirrors; drops the first box if asked."""

    def __init__(self, drop: bool = False) -> None:
        self.drop = drop

    def augment(self, example: dict[str, Any], random: np.random.Generator) -> dict[str, Any]:
        width = example["images"].shape[1]
        xmin, ymin, xmax, ymax = example["boxes"].T
        changed = example | {
            "images": np.ascontiguousarray(example["images"][:, ::-1]),
            "boxes": np.stack([width - xmax, ymin, width - xmin, ymax], axis=1),
        }
        return {name: value if name == "images" or not self.drop else value[1:] for name, value in changed.items()}


class Noise:
    """Replaces the first pixel by a random level."""

    def augment(self, example: dict[str, Any], random: np.random.Generator) -> dict[str, Any]:
        image = example["images"].copy()
        image[0, 0] = random.integers(256, size=3)
        return example | {"images": image}


class Average:
    """Adds the boxes of another image of the same size, and averages both."""

    def weights(self, classes: Sequence[Any]) -> Any:
        return None

    def mix(self, example: dict[str, Any], random: np.random.Generator, draw: Any) -> dict[str, Any]:
        other = draw()
        rows = {name: np.concatenate([example[name], other[name]]) for name in example if name != "images"}
        return rows | {"images": example["images"] // 2 + other["images"] // 2}


class Plugin:
    __name__ = "made_for_tests"

    @hookimpl
    def boxwright_augmenters(self) -> list[AugmenterSpec]:
        options = {"mirror": (Option("drop", bool),)}
        names = {"mirror": "Mirror", "noise": "Noise", "average": "Average"}
        return [
            AugmenterSpec(name, load=f"{__name__}:{attribute}", options=options.get(name, ()))
            for name, attribute in names.items()
        ]


@pytest.fixture(autouse=True)
def made_augmenters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the augmenters of this file available, and no others."""
    registry = registry_of(Plugin())  # type: ignore[arg-type]
    make = augment_module.make_augmenters
    monkeypatch.setattr(augment_module, "make_augmenters", lambda steps: make(steps, plugins=registry))


def sample(name: str, labels: Sequence[str] = ("fig", "plum"), **fields: Any) -> Sample:
    """Returns a gray PNG of 40x30 with a red rectangle in its first box."""
    image = Image.new("RGB", (40, 30), (114, 114, 114))
    image.paste((255, 0, 0), (2, 3, 12, 9))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    boxes = [(2.0, 3.0, 12.0, 9.0), (20.0, 10.0, 30.0, 25.0)][: len(labels)]
    outline = [[1, 1, 2, 2, 3, 3]]
    attributes: list[dict[str, Any]] = [{"difficult": 1, "id": 7}, {"pose": "Left", "segmentation": outline}]
    rows = attributes[: len(labels)]
    reference = ImageRef(name=name, width=40, height=30, data=buffer.getvalue())
    return Sample(image=reference, boxes=Boxes(labels, boxes, rows), source=name, **fields)


def test_a_copy_follows_its_image_computed_manually() -> None:
    """(2, 3)-(12, 9) in 40x30 becomes (28, 3)-(38, 9)."""
    step = Augment("mirror")
    original = sample("cam/a.png", attributes={"camera": 3, "source_id": "x"})
    first, copy = step([original])
    assert first is original
    assert copy.image.name == "cam/a_augmented1.png"
    assert copy.attributes == {"origin": "cam/a.png", "camera": 3}
    assert copy.boxes.coordinates == ((28.0, 3.0, 38.0, 9.0), (10.0, 10.0, 20.0, 25.0))
    assert copy.boxes.labels == original.boxes.labels
    assert [dict(each) for each in copy.boxes.attributes] == [{"difficult": 1}, {"pose": "Left"}]
    pixels, _ = load_pixels(copy)
    np.testing.assert_array_equal(pixels, load_pixels(original)[0][:, ::-1])
    assert step.notes()[0].startswith("1 augmented image added")
    assert step.notes()[1].startswith("1 box in copies without segmentation")


def test_a_copy_of_a_copy_has_the_first_origin() -> None:
    *_, twice = Augment("mirror")(Augment("mirror", originals=False)([sample("a.png")]))
    assert twice.attributes["origin"] == "a.png"


def test_dropped_boxes_are_counted_and_the_others_keep_their_attributes() -> None:
    step = Augment("mirror(drop=true)", originals=False)
    (copy,) = step([sample("a.png")])
    assert copy.boxes.labels == ("plum",)
    assert copy.boxes.attributes[0] == {"pose": "Left"}
    assert any(note.startswith("1 box not in a copy") for note in step.notes())


def test_copies_depend_on_seed_name_and_number_only() -> None:
    def first_pixels(samples: Sequence[Sample], seed: int = 0) -> dict[str, tuple[int, ...]]:
        copies = Augment("noise", copies=3, originals=False, seed=seed)(samples)
        return {copy.image.name: tuple(load_pixels(copy)[0][0, 0]) for copy in copies}

    both = first_pixels([sample("a.png"), sample("b.png")])
    assert both == first_pixels([sample("b.png"), sample("a.png")])
    assert len(set(both.values())) == 6
    assert both != first_pixels([sample("a.png"), sample("b.png")], seed=1)


def test_only_chosen_splits_are_augmented() -> None:
    names = [
        each.image.name
        for each in Augment("mirror", splits="train+extra", originals=False)(
            [sample("a.png", split="train"), sample("b.png", split="val"), sample("c.png")]
        )
    ]
    assert names == ["a_augmented1.png", "b.png", "c.png"]


def test_other_images_add_their_boxes_with_labels_and_attributes() -> None:
    """The class numbers of a fig and a kiwi differ; the kiwi comes from the other image only."""
    images = [sample("a.png", ("fig",)), sample("b.png", ("kiwi",))]
    step = Augment("average", copies=8, originals=False)
    copies = list(step.apply(images, Problems()))
    found = {copy.boxes.labels for copy in copies}
    assert found == {("fig", "fig"), ("fig", "kiwi"), ("kiwi", "fig"), ("kiwi", "kiwi")}
    assert all([dict(each) for each in copy.boxes.attributes] == [{"difficult": 1}] * 2 for copy in copies)


def test_an_unreadable_image_is_reported_and_the_others_are_augmented() -> None:
    broken = sample("b.png")
    broken = broken.replace(image=broken.image.model_copy(update={"data": b"nothing"}))
    for steps in ("mirror", "average"):
        problems: list[DataError] = []
        step = Augment(steps)
        names = [each.image.name for each in step.apply([broken, sample("a.png")], problems.append)]
        assert names == ["a.png", "a_augmented1.png"]
        assert [error.file for error in problems] == ["b.png"]
        with pytest.raises(DataError):
            list(step([broken]))


@pytest.mark.parametrize("steps", [{"parts": {"train": "0.5", "test": "0.5"}}, {"folds": 3}])
def test_splits_keep_copies_with_their_image(steps: dict[str, Any]) -> None:
    """Also if the image itself is not in the dataset."""
    originals = [sample(f"{number}.png") for number in range(9)]
    everything = list(Augment("mirror", copies=2)(originals))[1:]
    step = Split(**steps) if "parts" in steps else KFold(**steps)
    split_of: dict[str, set[str | None]] = {}
    for each in step.apply(everything, Problems()):
        origin = each.attributes.get("origin", each.image.name)
        split_of.setdefault(origin, set()).add(each.split)
    assert len(split_of) == 9
    assert all(len(splits) == 1 for splits in split_of.values())
    assert len(set().union(*split_of.values())) > 1
    assert any("26 images with a common origin, in 9 groups" in note for note in step.notes())


def test_a_conversion_writes_images_and_boxes(tmp_path: Path) -> None:
    data = Dataset(SampleReader([sample("a.png"), sample("b.png")]))
    report = boxwright.convert(data, f"labelimg:{tmp_path / 'out'}", steps=[Augment("mirror", copies=2)])
    assert report.samples == {f"labelimg:{tmp_path / 'out'}": 6}
    written = {each.image.name: each for each in boxwright.open(f"labelimg:{tmp_path / 'out'}")}
    assert set(written) == {f"{name}{suffix}.png" for name in "ab" for suffix in ("", "_augmented1", "_augmented2")}
    assert written["b_augmented2.png"].boxes.coordinates[0] == (28.0, 3.0, 38.0, 9.0)


@pytest.mark.parametrize(
    "options",
    [{"steps": ""}, {"steps": "mirror+"}, {"steps": "mirror", "copies": 0}, {"steps": "mirror", "quality": 0}],
)
def test_invalid_options_are_usage_errors(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        Augment(**options)
    assert caught.value.remedy


class Shifted:
    """An augmenter on tensors, in NumPy's terms: eager tensors behave like arrays."""

    def __call__(self, example: dict[str, Any], seed: Any) -> dict[str, Any]:
        assert seed.shape == (2,)
        return example | {"images": example["images"] * 0.5, "boxes": example["boxes"] + 1.0}


def test_augmenters_on_tensors_are_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow is replaced by what is used of it, which is tested with the real one in `boxwright-kerascv`."""
    fake = SimpleNamespace(
        constant=lambda value, dtype=None: np.asarray(value, dtype),
        cast=lambda value, dtype: value.astype(dtype),
        float32=np.float32,
        int32=np.int32,
    )
    monkeypatch.setitem(__import__("sys").modules, "tensorflow", fake)
    monkeypatch.setattr(augment_module, "make_augmenters", lambda steps: [Shifted()])
    (copy,) = Augment("shifted", originals=False)([sample("a.png")])
    assert copy.boxes.coordinates[0] == (3.0, 4.0, 13.0, 10.0)
    assert dict(copy.boxes.attributes[0]) == {"difficult": 1}
    assert load_pixels(copy)[0][0, 0].tolist() == [57, 57, 57]
