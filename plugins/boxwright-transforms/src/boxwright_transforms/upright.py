"""The step ``upright``: images with an EXIF orientation, rotated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from boxwright import ImageRef, Sample
from boxwright.images import decode_image, read_header, rotate_boxes, size_mismatch
from boxwright_transforms.encoding import check_quality, encode_image, name_for, target_format
from boxwright_transforms.notes import Ledger, Merging, amount
from boxwright_transforms.outlines import rotate_points, transform_boxes


class Upright(Merging[tuple[str, ...]]):
    """The step ``upright``.

    Images without an EXIF orientation are copied byte for byte. The others are decoded and rotated, and so are the
    boxes that refer to the stored pixels. PNG remains PNG, and all other rotated images become JPEG with the suffix
    ``.jpg``, both in 8-bit RGB and without EXIF.

    Args:
        quality: JPEG quality, 1 to 95, as in Pillow.

    Raises:
        UsageError: The quality is out of range.
    """

    per_sample = True
    keeps_labels = True

    def __init__(self, quality: int = 95) -> None:
        self.quality = check_quality(quality, "upright")
        self._ledger = Ledger()

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yields each sample with its image upright.

        Raises:
            DataError: An image is missing or damaged, or the size of a rotated one differs from the annotation.
        """
        return map(self._upright, samples)

    def notes(self) -> list[str]:
        """Returns the numbers of rotated images and boxes."""
        entries = self._ledger.entries()
        if entries and not any(entries):
            return [f"no EXIF orientation in {amount(len(entries), 'image')}"]
        counts = Counter(action for actions in entries for action in actions)
        texts = (
            ("image", "rotated by their EXIF orientation"),
            ("box", "rotated with them, because they referred to the stored pixels"),
            ("mask", "of them without their mask (segmentation), because only polygons can be rotated"),
            ("renamed", "written as JPEG with the suffix .jpg"),
        )
        words = {"mask": "box", "renamed": "image"}
        return [f"{amount(counts[key], words.get(key, key))} {text}" for key, text in texts if counts[key]]

    def _upright(self, sample: Sample) -> Sample:
        place = sample.image.location or sample.source or sample.image.name
        data = sample.image.read()
        header = read_header(data, place)
        if header.orientation == 1:
            self._ledger.enter(sample.image.name, ())
            return sample
        stored, annotated = (header.width, header.height), (sample.image.width, sample.image.height)
        boxes, actions = sample.boxes, ["image"]
        if annotated != header.upright_size:
            if annotated != stored:
                raise size_mismatch(sample, header)
            xyxy = rotate_boxes(boxes.xyxy, header.orientation, stored)
            boxes, masks = transform_boxes(
                boxes, xyxy, lambda points: rotate_points(points, header.orientation, stored), 1.0
            )
            actions += ["box"] * len(boxes) + ["mask"] * masks
        form = target_format(header)
        name = name_for(sample.image.name, form)
        actions += ["renamed"] * (name != sample.image.name)
        self._ledger.enter(sample.image.name, tuple(actions))
        width, height = header.upright_size
        encoded = encode_image(decode_image(data, place), form, self.quality)
        return sample.replace(
            image=ImageRef(name=name, width=width, height=height, data=encoded, format=form), boxes=boxes
        )
