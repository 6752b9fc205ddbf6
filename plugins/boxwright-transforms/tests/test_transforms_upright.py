"""The step ``upright``: pixels as Pillow rotates them, and nothing else changes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from boxwright import Boxes, DataError, ImageRef, Sample
from boxwright.images import decode_image, read_header
from boxwright_transforms.upright import Upright

STORED = (40, 30)
BOX = (2.0, 3.0, 12.0, 9.0)


def photo(orientation: int, form: str = "JPEG") -> bytes:
    image = Image.new("RGB", STORED, (114, 114, 114))
    image.paste((255, 0, 0), tuple(map(int, BOX)))  # type: ignore[arg-type]
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, form, exif=exif, **({"quality": 95, "subsampling": 0} if form == "JPEG" else {}))
    return buffer.getvalue()


def sample_of(data: bytes, size: tuple[int, int], name: str = "a.jpg", attributes: object = None) -> Sample:
    image = ImageRef(name=name, width=size[0], height=size[1], data=data)
    return Sample(image=image, boxes=Boxes(["fig"], [BOX], [attributes or {}]), source=name)  # type: ignore[list-item]


def red_rectangle(image: Image.Image) -> list[int]:
    levels = np.asarray(image).astype(int)
    rows, columns = np.nonzero(levels[..., 0] - levels[..., 1] > 127)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_pixels_and_boxes_are_rotated_together(orientation: int, form: str) -> None:
    data = photo(orientation, form)
    step = Upright()
    stored = sample_of(data, STORED, f"a.{form.lower()}")
    (result,) = step([stored])
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    encoded = result.image.read()
    header = read_header(encoded, "a")
    assert (header.orientation, header.format) == (1, form.lower())
    assert (result.image.width, result.image.height) == expected.size == (header.width, header.height)
    assert result.image.name == stored.image.name
    assert np.abs(np.asarray(decode_image(encoded, "a")).astype(int) - np.asarray(expected)).mean() < 3
    if orientation >= 5:  # the size shows that the boxes refer to the stored pixels
        np.testing.assert_allclose(result.boxes.xyxy[0], red_rectangle(expected))
        assert step.notes() == [
            "1 image rotated by their EXIF orientation",
            "1 box rotated with them, because they referred to the stored pixels",
        ]
    else:
        assert result.boxes == stored.boxes


def test_boxes_in_the_upright_image_stay() -> None:
    upright = sample_of(photo(6), STORED[::-1])
    (result,) = Upright()([upright])
    assert result.boxes == upright.boxes
    assert (result.image.width, result.image.height) == STORED[::-1]


def test_an_image_without_orientation_is_the_same_object() -> None:
    plain = sample_of(photo(1), STORED)
    step = Upright()
    assert next(iter(step([plain]))) is plain
    assert step.notes() == ["no EXIF orientation in 1 image"]


def test_polygons_rotate_and_masks_are_dropped() -> None:
    polygon = sample_of(photo(6), STORED, attributes={"segmentation": [[2, 3, 12, 3, 12, 9]], "area": 30.0})
    mask = sample_of(photo(6), STORED, "b.jpg", {"segmentation": {"size": [30, 40], "counts": "x"}})
    step = Upright()
    one, two = step([polygon, mask])
    # Orientation 6 rotates clockwise: (x, y) moves to (30 - y, x).
    assert one.boxes.attributes[0]["segmentation"] == [[27, 2, 27, 12, 21, 12]]
    assert one.boxes.attributes[0]["area"] == 30.0
    assert "segmentation" not in two.boxes.attributes[0]
    assert "1 box of them without their mask" in step.notes()[2]


def test_a_wrong_size_is_an_error() -> None:
    with pytest.raises(DataError, match="40x31"):
        list(Upright()([sample_of(photo(6), (40, 31))]))


def test_a_tiff_becomes_a_jpeg() -> None:
    (result,) = Upright()([sample_of(photo(6, "TIFF"), STORED, "a.tif")])
    assert (result.image.name, result.image.format) == ("a.jpg", "jpeg")
