"""What readers and writers have in common: the format's spec, ways to write and read the standard samples."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import fsspec
import pytest

from boxwright import ConversionReport, Dataset, DatasetURI, Sample, UsageError, convert
from boxwright.datasets import SampleReader, open_dataset
from boxwright.plugins import IMAGES, Detection, FormatSpec, Option, Registered, Registry, convert_options
from boxwright_testing.comparison import differences, observed_losses
from boxwright_testing.samples import ANY_ATTRIBUTES, BOX_EXAMPLES, LABELS, many_samples, standard_samples
from boxwright_testing.specs import SpecTests

_ATTRIBUTE = re.compile(r"(box|image|dataset)\.[A-Za-z_][A-Za-z0-9_.:/-]*")
_CARRIES = re.compile(rf"images|empty|subpixel|split|(box|image|dataset)\.\*|-?{_ATTRIBUTE.pattern}")
_CHANGE = re.compile(rf"[+-]({_CARRIES.pattern})")


class FormatTests(SpecTests):
    """The rules for every format, whether it is read, written or both.

    Set in the subclass:

    - ``format``: the format's name.
    - ``file_name``: of the dataset that is written in tests; by default ``dataset`` with the first of the suffixes.
    - ``tolerance``: the format's precision, in pixels, where it stores edges as rounded fractions; 0 by default.
    - ``labels``: five class names, where the format cannot hold the default ones (with commas, quotes, other scripts).
    - ``subfolders``: false if an image's name cannot have a folder.
    - ``attribute_examples``: a value other than the default for attributes that the format declares to carry,
      ``{"box.quality": 3, "image.camera": "left", "dataset.info": {"year": 2024}}``.
    - ``memory_per_image``: bytes that reading or writing may keep for an image that is done (its name, say).
    - ``box_order``: false if the boxes of an image may be returned in another order.
    - ``remote``: false if the format works on this machine's files only; it must then say so for a URL.
    - ``write_options`` and ``read_options``: options to write and read with, as in a URI.
    """

    kind: ClassVar[str] = "format"
    format: ClassVar[str] = ""
    file_name: ClassVar[str] = ""
    tolerance: ClassVar[float] = 0.0
    labels: ClassVar[Sequence[str]] = LABELS
    subfolders: ClassVar[bool] = True
    attribute_examples: ClassVar[Mapping[str, Any]] = {}
    memory_per_image: ClassVar[int] = 700
    box_order: ClassVar[bool] = True
    remote: ClassVar[bool] = True
    _tried = MappingProxyType[str, str]({})
    """Options that a test writes with, in addition to those of :meth:`write_options`."""

    @property
    def spec_name(self) -> str:
        """The format's name."""
        return self.format

    def write_options(self, images: Path) -> Mapping[str, str]:
        """Options of the writer; ``images`` is the folder that contains the images of the samples."""
        return {}

    def read_options(self, images: Path) -> Mapping[str, str]:
        """Options to read back what was written: a format without images may need their folder."""
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
    def spec(self, entry: Registered[Any], tmp_path: Path) -> FormatSpec:
        """The format's spec, its ``carries`` being that of a dataset written with :meth:`write_options`."""
        return self.written_with(entry.spec, self.write_options(tmp_path / "pictures"))

    @pytest.fixture
    def elsewhere(self) -> Iterator[str]:
        """The URL of an empty folder."""
        url = f"memory://boxwright-{os.getpid()}"
        files, root = fsspec.core.url_to_fs(url)
        files.makedirs(root, exist_ok=True)
        yield url
        files.rm(root, recursive=True)

    def written_with(self, spec: FormatSpec, options: Mapping[str, str]) -> FormatSpec:
        """The spec of a dataset that is written with these options, given as in a URI."""
        return spec.written_with(convert_options(options, spec.write_options, self.format))

    def location(self, spec: FormatSpec, folder: Path) -> str:
        """Where a test's dataset is written inside a folder."""
        suffix = (spec.suffixes or ("",))[0] if spec.target == "file" else ""
        return str(folder / (self.file_name or f"dataset{suffix}"))

    def attributes(self, spec: FormatSpec, prefix: str) -> dict[str, Any]:
        """A value for every attribute that the format carries of boxes (``"box."``), ``"image."`` or ``"dataset."``."""
        found: dict[str, Any] = {}
        for name in sorted(spec.carries):
            if name == f"{prefix}*":
                found |= (dict(BOX_EXAMPLES) if prefix == "box." else {}) | dict(ANY_ATTRIBUTES)
            elif name.startswith(prefix):
                short = name.removeprefix(prefix)
                default = BOX_EXAMPLES.get(short, "something") if prefix == "box." else "something"
                found[short] = self.attribute_examples.get(name, default)
        return found

    def adapted(self, sample: Sample) -> Sample:
        """A sample of the suite as the format can hold it; override it for a format with narrower names or labels."""
        return sample

    def standard(self, images: Path, carries: frozenset[str] = frozenset(), **attributes: Any) -> list[Sample]:
        """The standard samples, adapted; see :func:`boxwright_testing.samples.standard_samples`."""
        samples = standard_samples(images, carries, labels=self.labels, subfolders=self.subfolders, **attributes)
        return [self.adapted(sample) for sample in samples]

    def many(self, images: Path, count: int) -> Iterator[Sample]:
        """Many samples, made one by one and adapted, for the tests of memory."""
        return map(self.adapted, many_samples(images, count))

    def samples(self, spec: FormatSpec, images: Path) -> list[Sample]:
        """The standard samples, with everything that the format says it carries."""
        box, image = self.attributes(spec, "box."), self.attributes(spec, "image.")
        return self.standard(images, spec.carries, box_attributes=box, image_attributes=image)

    def differences(
        self,
        before: Iterable[Sample],
        after: Iterable[Sample],
        *,
        adds: frozenset[str] = frozenset(),
        tolerance: float | None = None,
    ) -> str:
        """The differences between samples before and after, one per line; empty if there are none."""
        one, two = self._comparable(before), self._comparable(after)
        within = self.tolerance if tolerance is None else tolerance
        return "\n".join(differences(one, two, tolerance=within, adds=adds))

    def losses(self, before: Iterable[Sample], after: Iterable[Sample], tolerance: float) -> dict[str, int]:
        """What is missing in ``after``, in the words in which a conversion counts losses."""
        return dict(observed_losses(self._comparable(before), self._comparable(after), tolerance))

    def _comparable(self, samples: Iterable[Sample]) -> list[Sample]:
        if self.box_order:
            return list(samples)
        return [
            sample.replace(boxes=sorted(sample.boxes, key=lambda box: [round(edge, 6) for edge in box.coordinates]))
            for sample in samples
        ]

    def make_dataset(self, registry: Registry, spec: FormatSpec, folder: Path) -> str:
        """Puts a dataset of three images or more into a folder and returns its location."""
        assert spec.write, "a format that is only read overrides make_dataset"
        location = self.location(spec, folder)
        images = folder / "pictures"
        given = self.attributes(spec, "dataset.")
        self.write(registry, self.samples(spec, images), location, images, dataset_attributes=given)
        return location

    def write(
        self,
        registry: Registry,
        samples: Iterable[Sample] | Dataset,
        location: str,
        images: Path | None = None,
        *,
        dataset_attributes: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> ConversionReport:
        """Writes samples in this format as ``boxwright convert`` does.

        Args:
            registry: The plugins.
            samples: What to write.
            location: Where to.
            images: The folder of the samples' images; by default that of ``location``.
            dataset_attributes: What the source says of the dataset as a whole.
            options: As :func:`boxwright.convert` takes them.
        """
        if isinstance(samples, Dataset):
            source = samples
        else:
            reader = SampleReader(list(samples))
            reader.info = reader.info.model_copy(update={"attributes": dict(dataset_attributes or {})})
            source = Dataset(reader)
        chosen = {**self.write_options(images or Path(location).parent), **self._tried}
        target = DatasetURI(location, self.format, chosen)
        return convert(source, target, registry=registry, **options)

    def open(self, registry: Registry, location: str, images: Path | None = None, on_error: str = "fail") -> Dataset:
        """Opens a dataset of this format as ``boxwright`` does."""
        folder = images or Path(location).parent
        chosen = dict(self.read_options(folder))
        spec: FormatSpec = registry.get("format", self.format).spec
        known = {option.name for option in spec.options}
        chosen |= {name: value for name, value in self._tried.items() if name in known and name != IMAGES.name}
        if IMAGES.name in self._tried:  # the copies are found
            chosen.pop(IMAGES.name, None)
        elif self._tried and "images" in known and "images" not in self.written_with(spec, self._tried).carries:
            chosen.setdefault("images", str(folder))
        return open_dataset(DatasetURI(location, self.format, chosen), on_error=on_error, registry=registry)

    def need(self, spec: FormatSpec, *fields: str) -> None:
        """Skips a test if the format has no reader (``load``), a writer (``write``) or ``detect``."""
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
            assert _CARRIES.fullmatch(name), (
                f"carries {name!r}: images, empty, subpixel, split, box.NAME, image.NAME or dataset.NAME"
            )
        for option in spec.write_options:
            for value, changes in option.carries.items():
                convert_options({option.name: value}, spec.write_options, f"carries of the option {option.name}")
                for change in changes.split():
                    assert _CHANGE.fullmatch(change), (
                        f"the option {option.name!r} says that with {value} a dataset carries {change!r}: write"
                        " +NAME or -NAME, as in FormatSpec.carries"
                    )
        for name in spec.adds:
            addable = _ATTRIBUTE.fullmatch(name) and not name.startswith("dataset.")
            assert addable, f"adds {name!r}: give box.NAME or image.NAME"
        assert "/" not in spec.label_map_file, "label_map_file is a name next to the dataset, without folders"

    def test_unknown_options_in_a_uri_are_usage_errors(
        self, registry: Registry, spec: FormatSpec, tmp_path: Path
    ) -> None:
        """``?no_such_option=1`` is refused before anything is read or written."""
        location = self.location(spec, tmp_path)
        uri = DatasetURI(location, self.format, {"no_such_option": "1"})
        if spec.load:
            with pytest.raises(UsageError, match="no_such_option"):
                open_dataset(uri, registry=registry)
        if spec.write:
            with pytest.raises(UsageError, match="no_such_option"):
                convert(Dataset(SampleReader([])), uri, registry=registry)
            assert list(tmp_path.iterdir()) == [], "something was written"

    def test_detection_states_a_reason_for_other_datasets(
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
