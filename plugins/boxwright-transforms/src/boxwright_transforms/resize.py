"""The step ``resize``: pictures and boxes at another size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from PIL import Image

from boxwright import ImageRef, Sample
from boxwright.images import Header, decode_sample, read_header, size_mismatch, turn_boxes
from boxwright_transforms.encoding import check_quality, encode_picture, name_for, parse_size, written_format
from boxwright_transforms.notes import Ledger, amount
from boxwright_transforms.outlines import Points, move, turn_points
from boxwright_transforms.values import check_choice

_GREY = (114, 114, 114)
"""What ``fit=pad`` fills up with: the grey that letterboxed training pictures commonly have."""


class Resize:
    """The step ``resize:800x600``.

    A JPEG photo is decoded at a half, a quarter or an eighth of its size where that is enough. PNG stays PNG, all else
    becomes JPEG and gets the ending ``.jpg``; both in 8-bit RGB. EXIF orientation is applied to pixels and boxes, and
    the written picture has no EXIF. A picture that has the wanted size already, and is upright, is handed on byte for
    byte.

    Args:
        size: ``"WIDTHxHEIGHT"`` in pixels, of the upright picture.
        fit: ``"stretch"`` to exactly ``size``, ``"inside"`` to the largest size of the same shape within it, ``"pad"``
            to that with grey added evenly on both sides up to ``size``.
        only_larger: Whether pictures that are within ``size`` already are handed on as they are.
        quality: Of JPEG, 1 to 95, as Pillow counts it.

    Raises:
        UsageError: An option is out of range.
    """

    per_sample = True
    keeps_labels = True

    def __init__(self, size: str, fit: str = "stretch", only_larger: bool = False, quality: int = 90) -> None:
        self.size = parse_size(size, "resize")
        self.fit = check_choice(fit, ("stretch", "inside", "pad"), "resize: fit")
        self.only_larger = only_larger
        self.quality = check_quality(quality, "resize")
        self._done: Ledger[tuple[str, ...]] = Ledger()

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields each sample with its picture resized and in memory.

        Raises:
            DataError: A picture is missing, damaged, or not of the size that its annotation says.
        """
        return map(self._resized, samples)

    def notes(self) -> list[str]:
        """What was done, and what a person may want to know of it."""
        counts = Counter(what for done in self._done.entries() for what in done)
        said = []
        for what, text in (
            ("resized", "resized to {}"),
            ("kept", "left as they were"),
            ("turned", "turned upright, pixels and boxes, as their EXIF orientation says"),
            ("renamed", "written as JPEG under a name that ends in .jpg"),
        ):
            if counts[what]:
                how = {"stretch": "", "inside": "within ", "pad": "exactly "}[self.fit] + "{}x{}".format(*self.size)
                said.append(f"{amount(counts[what], 'picture')} {text.format(how)}")
        if counts["mask"]:
            said.append(f"the mask (segmentation) of {amount(counts['mask'], 'box')} was left out: only polygons scale")
        return said

    def _resized(self, sample: Sample) -> Sample:
        data = sample.image.read()
        header = read_header(data, sample.image.location or sample.source or sample.image.name)
        turned = _in_stored_frame(sample, header)
        upright = header.upright_size
        inner, outer = self._sizes(upright)
        fits = upright == outer or (self.only_larger and upright[0] <= self.size[0] and upright[1] <= self.size[1])
        if fits and (header.orientation == 1 or self.only_larger):
            self._done.enter(sample.image.name, ("kept",))
            return sample
        held = sample.replace(image=sample.image.model_copy(update={"data": data}))
        image = decode_sample(held, at_least=inner).image
        if image.size != inner:
            image = image.resize(inner, Image.Resampling.LANCZOS, reducing_gap=3.0)
        left, top = (outer[0] - inner[0]) // 2, (outer[1] - inner[1]) // 2
        if outer != inner:
            framed = Image.new("RGB", outer, _GREY)
            framed.paste(image, (left, top))
            image = framed

        def moved(points: Points) -> Points:
            if turned:
                points = turn_points(points, header.orientation, (header.width, header.height))
            # Times before through: an edge at the picture's border must come out exactly there.
            return points * inner / upright + (left, top)

        edges = sample.boxes.xyxy
        if turned:
            edges = turn_boxes(edges, header.orientation, (header.width, header.height))
        edges = edges * (inner * 2) / (upright * 2) + (left, top, left, top)
        growth = inner[0] * inner[1] / (upright[0] * upright[1])
        boxes, masks = move(sample.boxes, edges, moved, growth)
        form = written_format(header)
        name = name_for(sample.image.name, form)
        done = ["resized"] + ["turned"] * (header.orientation != 1) + ["renamed"] * (name != sample.image.name)
        self._done.enter(sample.image.name, (*done, *["mask"] * masks))
        data = encode_picture(image, form, self.quality)
        reference = ImageRef(name=name, width=outer[0], height=outer[1], data=data, format=form)
        return sample.replace(image=reference, boxes=boxes)

    def _sizes(self, upright: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """The sizes of the scaled picture, and of the result with its frame."""
        if self.fit == "stretch":
            return self.size, self.size
        (width, height), (most_wide, most_high) = upright, self.size
        if width * most_high >= height * most_wide:
            inner = (most_wide, max(1, round(height * most_wide / width)))
        else:
            inner = (max(1, round(width * most_high / height)), most_high)
        return inner, self.size if self.fit == "pad" else inner


def _in_stored_frame(sample: Sample, header: Header) -> bool:
    """Whether the boxes are those of the stored pixels, by the rule of :mod:`boxwright.images.decode`.

    Raises:
        DataError: The annotation's size is none of the picture's.
    """
    annotated = (sample.image.width, sample.image.height)
    if annotated == header.upright_size:
        return False
    if annotated == (header.width, header.height):
        return True
    raise size_mismatch(sample, header)
