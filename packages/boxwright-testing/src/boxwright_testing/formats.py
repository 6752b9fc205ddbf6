"""What readers and writers have in common: the format's spec, ways to write and read the standard samples."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from boxwright import ConversionReport, Dataset, DatasetURI, Sample, convert
from boxwright.dataset import open_dataset
from boxwright.errors import UsageError
from boxwright.losses import BOOKKEEPING, BOX_BOOKKEEPING
from boxwright.prediction import SampleReader
from boxwright.registry import Registered, Registry
from boxwright.specs import Detection, FormatSpec, Option
from boxwright_testing.pictures import BOX_EXAMPLES, LABELS, standard_samples
from boxwright_testing.specs import SpecTests

_CARRIES = re.compile(r"images|empty|subpixel|split|(box|image|dataset)\.(\*|[A-Za-z_][A-Za-z0-9_.:/-]*)")


@dataclass(frozen=True)
class BadInput:
    """A dataset with something wrong in it, and the answer that is expected.

    Args:
        what: What is wrong, for the failure message.
        location: Where the dataset is.
        says: Regular expression that the error has to match: the file's name, the line, the problem.
        skipped: How many items are left out under ``on_error="skip"``; 0 where reading cannot go on at all.
        good: How many samples are read all the same under ``on_error="skip"``.
        options: The reader's options.
    """

    what: str
    location: str | Path
    says: str = ""
    skipped: int = 1
    good: int = 0
    options: Mapping[str, str] = field(default_factory=dict)


class FormatTests(SpecTests):
    """What every format has to keep, whether it is read, written or both.

    Set in the subclass:

    - ``format``: the format's name.
    - ``file_name``: of the dataset that is written in tests; by default ``dataset`` with the first of the suffixes.
    - ``tolerance``: the format's precision, in pixels, where it stores edges as rounded fractions; 0 by default.
    - ``labels``: five class names, where the format cannot hold the default ones (with commas, quotes, other scripts).
    - ``subfolders``: false where a picture's name cannot have a folder.
    - ``attribute_examples``: a value other than the default for attributes that the format declares to carry,
      ``{"box.quality": 3, "image.camera": "left"}``.
    - ``memory_per_picture``: bytes that reading or writing may keep for a picture that is done (its name, say).
    - ``write_options`` and ``read_options``: options to write and read with, as in a URI.
    """

    kind: ClassVar[str] = "format"
    format: ClassVar[str] = ""
    file_name: ClassVar[str] = ""
    tolerance: ClassVar[float] = 0.0
    labels: ClassVar[Sequence[str]] = LABELS
    subfolders: ClassVar[bool] = True
    attribute_examples: ClassVar[Mapping[str, Any]] = {}
    memory_per_picture: ClassVar[int] = 700

    @property
    def spec_name(self) -> str:
        """The format's name."""
        return self.format

    def write_options(self, pictures: Path) -> Mapping[str, str]:
        """Options of the writer; ``pictures`` is the folder that the samples' pictures lie in."""
        return {}

    def read_options(self, pictures: Path) -> Mapping[str, str]:
        """Options to read back what was written: a format without pictures may need to be told their folder."""
        return {}

    def _roles(self, entry: Registered[Any]) -> list[tuple[str, tuple[Option, ...]]]:
        spec: FormatSpec = entry.spec
        roles = [("load", spec.options)] if spec.load else []
        if spec.write:
            roles.append(("write", spec.write_options))
        if spec.detect:
            roles.append(("detect", ()))
        return roles

    @pytest.fixture
    def spec(self, entry: Registered[Any]) -> FormatSpec:
        """The format's spec."""
        spec: FormatSpec = entry.spec
        return spec

    def location(self, spec: FormatSpec, folder: Path) -> str:
        """Where a test's dataset is written inside a folder."""
        suffix = (spec.suffixes or ("",))[0] if spec.target == "file" else ""
        return str(folder / (self.file_name or f"dataset{suffix}"))

    def attributes(self, spec: FormatSpec, prefix: str) -> dict[str, Any]:
        """A value for every attribute of boxes (``"box."``) or pictures (``"image."``) that the format carries."""
        found: dict[str, Any] = {}
        for name in sorted(spec.carries):
            if name == f"{prefix}*":
                found |= (dict(BOX_EXAMPLES) if prefix == "box." else {}) | {"remark": "ripe", "count": 3}
            elif name.startswith(prefix):
                short = name.removeprefix(prefix)
                default = BOX_EXAMPLES.get(short, "something") if prefix == "box." else "something"
                found[short] = self.attribute_examples.get(name, default)
        return found

    def samples(self, spec: FormatSpec, pictures: Path) -> list[Sample]:
        """The standard samples, with everything that the format says it carries."""
        return standard_samples(
            pictures,
            spec.carries,
            labels=self.labels,
            subfolders=self.subfolders,
            box_attributes=self.attributes(spec, "box."),
            image_attributes=self.attributes(spec, "image."),
        )

    def write(
        self,
        registry: Registry,
        samples: Iterable[Sample] | Dataset,
        location: str,
        pictures: Path | None = None,
        **options: Any,
    ) -> ConversionReport:
        """Writes samples in this format as ``boxwright convert`` does."""
        source = samples if isinstance(samples, Dataset) else Dataset(SampleReader(list(samples)))
        target = DatasetURI(location, self.format, dict(self.write_options(pictures or Path(location).parent)))
        return convert(source, target, registry_=registry, **options)

    def open(self, registry: Registry, location: str, pictures: Path | None = None, on_error: str = "fail") -> Dataset:
        """Opens a dataset of this format."""
        uri = DatasetURI(location, self.format, dict(self.read_options(pictures or Path(location).parent)))
        return open_dataset(uri, on_error=on_error, registry_=registry)

    def need(self, spec: FormatSpec, *fields: str) -> None:
        """Skips a test where the format lacks a reader (``load``), a writer (``write``) or ``detect``."""
        for name in fields:
            if not getattr(spec, name):
                what = {"load": "is not read", "write": "is not written", "detect": "is not detected"}[name]
                pytest.skip(f"the format {self.format} {what}")

    def test_the_format_is_described(self, spec: FormatSpec) -> None:
        """Target, suffixes, where it is defined, and what it carries, in the words that boxwright counts by."""
        assert spec.load or spec.write, "a format is read, written, or both: give load or write"
        assert spec.target in ("file", "folder"), f"target is {spec.target!r}; give file or folder"
        for suffix in spec.suffixes:
            assert re.fullmatch(r"\.[a-z0-9.]+", suffix), f"suffix {suffix!r}: a dot and lower case letters"
        assert re.match(r"https?://", spec.docs), "docs must be the address of the format's definition"
        for name in spec.carries:
            assert _CARRIES.fullmatch(name), f"carries {name!r}: images, empty, subpixel, split, box.NAME or image.NAME"
        assert "/" not in spec.label_map_file, "label_map_file is a name beside the dataset, without folders"

    def test_unknown_options_in_a_uri_are_usage_errors(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path
    ) -> None:
        """``?no_such_option=1`` is refused before anything is read or written."""
        location = self.location(spec, tmp_path)
        uri = DatasetURI(location, self.format, {"no_such_option": "1"})
        if spec.load:
            with pytest.raises(UsageError, match="no_such_option"):
                open_dataset(uri, registry_=registry)
        if spec.write:
            with pytest.raises(UsageError, match="no_such_option"):
                convert(Dataset(SampleReader([])), uri, registry_=registry)
            assert list(tmp_path.iterdir()) == []

    def test_detection_gives_a_reason_for_what_is_not_its_own(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path
    ) -> None:
        """``detect`` says no, with a reason, to what is missing, empty, or a text about something else."""
        self.need(spec, "detect")
        detect = registry.resolve("format", self.format, "detect")
        (tmp_path / "empty").mkdir()
        (tmp_path / "notes.txt").write_text("milk\nbread\n", "utf-8")
        for location in (tmp_path / "missing", tmp_path / "empty", tmp_path / "notes.txt"):
            answer = detect(str(location))
            assert isinstance(answer, Detection), f"detect returned {answer!r}; return a Detection"
            assert not answer.matches, f"detect takes {location.name} for its own: {answer.reason}"
            assert answer.reason, f"detect refuses {location.name} without a reason"


def differences(
    before: Sequence[Sample],
    after: Sequence[Sample],
    *,
    tolerance: float = 0.0,
    adds: frozenset[str] = frozenset(),
) -> list[str]:
    """What differs between samples and what came back of them, matched by the pictures' names, one line each.

    Where the pictures are stored and where the annotation came from may differ, and so may the order; attributes in
    ``adds`` (``"image.NAME"``, ``"box.NAME"``) may be there more.
    """
    found: list[str] = []
    names = [sample.image.name for sample in after]
    found += [f"{name} came back {names.count(name)} times" for name in sorted(set(names)) if names.count(name) > 1]
    by_name = {sample.image.name: sample for sample in after}
    found += [f"{name} was not written and came back" for name in by_name if name not in {s.image.name for s in before}]
    for sample in before:
        name = sample.image.name
        other = by_name.get(name)
        if other is None:
            found.append(f"{name} is gone (there are: {', '.join(sorted(by_name))})")
            continue
        for what, one, two in (
            ("size", (sample.image.width, sample.image.height), (other.image.width, other.image.height)),
            ("split", sample.split, other.split),
            ("labels", sample.boxes.labels, other.boxes.labels),
            ("box attributes", [*map(dict, sample.boxes.attributes)], _boxes_without(other, sample, adds)),
            ("image attributes", sample.attributes, _without(other.attributes, sample.attributes, adds, "image.")),
        ):
            if one != two:
                found.append(f"{name}: {what} {one!r} became {two!r}")
        for position, (edges, others) in enumerate(zip(sample.boxes.edges, other.boxes.edges, strict=False), start=1):
            if max(abs(a - b) for a, b in zip(edges, others, strict=True)) > tolerance:
                found.append(f"{name}, box {position}: edges {edges} became {others}")
    return found


def _boxes_without(after: Sample, before: Sample, adds: frozenset[str]) -> list[dict[str, Any]]:
    if len(after.boxes) != len(before.boxes):
        return [*map(dict, after.boxes.attributes)]
    pairs = zip(after.boxes.attributes, before.boxes.attributes, strict=True)
    return [_without(other, one, adds, "box.") for other, one in pairs]


def _without(after: Mapping[str, Any], before: Mapping[str, Any], adds: frozenset[str], prefix: str) -> dict[str, Any]:
    added = {name.removeprefix(prefix) for name in adds if name.startswith(prefix)}
    ignored = {name for name in added | BOOKKEEPING | BOX_BOOKKEEPING if name not in before}
    return {name: value for name, value in after.items() if name not in ignored}
