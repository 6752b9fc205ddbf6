"""The step ``resize``: images and boxes at another size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from PIL import Image

from boxwright import ImageRef, Sample
from boxwright.images import Header, decode_sample, read_header, rotate_boxes, size_mismatch
from boxwright_transforms.encoding import check_quality, encode_image, name_for, parse_size, target_format
from boxwright_transforms.notes import Ledger, Merging, amount
from boxwright_transforms.outlines import Points, rotate_points, transform_boxes

_GRAY = (114, 114, 114)
"""The padding of ``fit=pad``: the gray that is common for letterboxed training images."""


class Resize(Merging[tuple[str, ...]]):
    """The step ``resize:800x600``.

    A JPEG is decoded at a half, a quarter or an eighth of its size if that is sufficient. PNG remains PNG, and all
    other images become JPEG with the suffix ``.jpg``; both in 8-bit RGB. The EXIF orientation is applied to pixels and
    boxes, and the written image has no EXIF. A JPEG or PNG without an EXIF orientation that already has the size is
    copied byte for byte.

    Args:
        size: ``"WIDTHxHEIGHT"`` in pixels, of the rotated image.
        fit: ``"stretch"`` to exactly ``size``; ``"inside"`` to the largest size with the same aspect ratio that fits;
            ``"pad"`` to the same, with gray padding on both sides up to ``size``.
        only_larger: Whether to leave images that are not larger than ``size`` unchanged.
        quality: JPEG quality, 1 to 95, as in Pillow.

    Raises:
        UsageError: An option is out of range.
    """

    per_sample = True
    keeps_labels = True

    def __init__(self, size: str, fit: str = "stretch", only_larger: bool = False, quality: int = 90) -> None:
        self.size = parse_size(size, "resize")
        self.fit = fit
        self.only_larger = only_larger
        self.quality = check_quality(quality, "resize")
        self._ledger = Ledger()

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields each sample with its image resized and in memory.

        Raises:
            DataError: An image is missing, damaged, or its size differs from the annotation.
        """
        return map(self._resized, samples)

    def notes(self) -> list[str]:
        """Returns what was done, and what deserves attention."""
        counts = Counter(action for actions in self._ledger.entries() for action in actions)
        size = "{}x{}".format(*self.size)
        notes = [
            f"{amount(counts[action], 'image')} {text}"
            for action, text in (
                ("resized", f"resized to {({'inside': 'within ', 'pad': 'exactly '}).get(self.fit, '')}{size}"),
                ("kept", "unchanged"),
                ("rotated", "rotated by their EXIF orientation, pixels and boxes"),
                ("renamed", "written as JPEG with the suffix .jpg"),
            )
            if counts[action]
        ]
        if counts["mask"]:
            notes.append(f"the mask (segmentation) of {amount(counts['mask'], 'box')} was dropped: only polygons scale")
        return notes

    def _resized(self, sample: Sample) -> Sample:
        data = sample.image.read()
        header = read_header(data, sample.image.location or sample.source or sample.image.name)
        rotate = _in_stored_pixels(sample, header)
        upright = header.upright_size
        inner, outer = self._sizes(upright)
        fits = upright == outer or (self.only_larger and upright[0] <= self.size[0] and upright[1] <= self.size[1])
        keeps = header.orientation == 1 and header.format in ("jpeg", "mpo", "png")
        if fits and (keeps or self.only_larger):
            self._ledger.enter(sample.image.name, ("kept",))
            return sample
        loaded = sample.replace(image=sample.image.model_copy(update={"data": data}))
        image = decode_sample(loaded, at_least=inner).image
        if image.size != inner:
            image = image.resize(inner, Image.Resampling.LANCZOS, reducing_gap=3.0)
        left, top = (outer[0] - inner[0]) // 2, (outer[1] - inner[1]) // 2
        if outer != inner:
            padded = Image.new("RGB", outer, _GRAY)
            padded.paste(image, (left, top))
            image = padded

        def transformed(points: Points) -> Points:
            if rotate:
                points = rotate_points(points, header.orientation, (header.width, header.height))
            # Multiply before dividing: coordinates at the image's edge must remain exactly there.
            return points * inner / upright + (left, top)

        xyxy = sample.boxes.xyxy
        if rotate:
            xyxy = rotate_boxes(xyxy, header.orientation, (header.width, header.height))
        xyxy = xyxy * (inner * 2) / (upright * 2) + (left, top, left, top)
        area_factor = inner[0] * inner[1] / (upright[0] * upright[1])
        boxes, masks = transform_boxes(sample.boxes, xyxy, transformed, area_factor)
        form = target_format(header)
        name = name_for(sample.image.name, form)
        actions = ["resized"] + ["rotated"] * (header.orientation != 1) + ["renamed"] * (name != sample.image.name)
        self._ledger.enter(sample.image.name, (*actions, *["mask"] * masks))
        data = encode_image(image, form, self.quality)
        reference = ImageRef(name=name, width=outer[0], height=outer[1], data=data, format=form)
        return sample.replace(image=reference, boxes=boxes)

    def _sizes(self, upright: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Returns the sizes of the scaled image, and of the result with its padding."""
        if self.fit == "stretch":
            return self.size, self.size
        (width, height), (max_width, max_height) = upright, self.size
        if width * max_height >= height * max_width:
            inner = (max_width, max(1, round(height * max_width / width)))
        else:
            inner = (max(1, round(width * max_height / height)), max_height)
        return inner, self.size if self.fit == "pad" else inner


def _in_stored_pixels(sample: Sample, header: Header) -> bool:
    """Returns whether the boxes refer to the stored pixels, by the rule of :mod:`boxwright.images`.

    Raises:
        DataError: The annotated size differs from both sizes of the image.
    """
    annotated = (sample.image.width, sample.image.height)
    if annotated == header.upright_size:
        return False
    if annotated == (header.width, header.height):
        return True
    raise size_mismatch(sample, header)
