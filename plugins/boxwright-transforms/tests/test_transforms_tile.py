"""The step ``tile``: tiles, boxes, pixels as in Pillow's crop, and that tiles cover the image."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image, ImageOps

import boxwright
import boxwright_transforms.tile
from boxwright import Boxes, DataError, Dataset, ImageRef, Sample
from boxwright.datasets import SampleReader
from boxwright.images import decode_sample
from boxwright_transforms.tile import Tile

ORIENTATION = 0x0112


def noise(size: tuple[int, int], seed: int = 0) -> Image.Image:
    return Image.frombytes("RGB", size, random.Random(seed).randbytes(size[0] * size[1] * 3))


def encoded(image: Image.Image, form: str = "PNG", orientation: int | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    if orientation is not None:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        options["exif"] = exif
    image.save(buffer, form, **options)
    return buffer.getvalue()


def sample_of(
    data: bytes,
    size: tuple[int, int],
    edges: Sequence[Any] = (),
    rows: Any = None,
    name: str = "photo.png",
    **fields: Any,
) -> Sample:
    image = ImageRef(name=name, width=size[0], height=size[1], data=data)
    labels = [f"box {n}" for n in range(1, len(edges) + 1)]
    return Sample(image=image, boxes=Boxes(labels, edges, rows), **fields)


def plain(size: tuple[int, int], edges: Sequence[Any] = (), rows: Any = None, **fields: Any) -> Sample:
    return sample_of(encoded(Image.new("RGB", size)), size, edges, rows, **fields)


def tiles(sample: Sample, *arguments: Any, **options: Any) -> dict[str, Sample]:
    """Returns the tiles by their position: ``"x640_y0"``."""
    found = list(Tile(*arguments, **options)([sample]))
    return {tile.image.name.rpartition("photo_")[2].partition(".")[0]: tile for tile in found}


def pixels(sample: Sample) -> Image.Image:
    return Image.open(io.BytesIO(sample.image.read()))


@pytest.mark.parametrize(
    ("size", "step", "expected"),
    [
        # 100 - 40 = 60 is the last start; steps of 40 - 8 = 32
        ((100, 40), {"size": "40"}, ["x0_y0", "x32_y0", "x60_y0"]),
        ((100, 40), {"size": "40", "overlap": 0}, ["x0_y0", "x40_y0", "x60_y0"]),
        ((120, 40), {"size": "40", "overlap": 0}, ["x0_y0", "x40_y0", "x80_y0"]),
        ((100, 40), {"size": "40", "overlap": 10}, ["x0_y0", "x30_y0", "x60_y0"]),
        ((41, 40), {"size": "40"}, ["x0_y0", "x1_y0"]),
        ((60, 70), {"size": "50x40", "overlap": 0.5}, ["x0_y0", "x10_y0", "x0_y20", "x10_y20", "x0_y30", "x10_y30"]),
    ],
)
def test_positions_of_tiles(size: tuple[int, int], step: dict[str, Any], expected: list[str]) -> None:
    found = tiles(plain(size), **step)
    assert list(found) == expected
    width, height = Tile(**step).size
    assert {(tile.image.width, tile.image.height) for tile in found.values()} == {(width, height)}


def test_an_image_narrower_than_a_tile_has_narrow_tiles() -> None:
    found = tiles(plain((30, 100)), "50", overlap=0)
    assert {position: (tile.image.width, tile.image.height) for position, tile in found.items()} == {
        "x0_y0": (30, 50),
        "x0_y50": (30, 50),
    }


def test_boxes_of_tiles() -> None:
    """100x40 in tiles of 50x40 that do not overlap; a tile must contain 30% of a box."""
    edges = [
        (10, 10, 30, 30),  # in the left one
        (40, 10, 60, 30),  # half in each
        (45, 0, 95, 40),  # a tenth in the left one: in the right one alone
        (44, 5, 64, 25),  # 30% in the left one, 70% in the right one
        (50, 0, 100, 40),  # all of the right one
    ]
    found = tiles(plain((100, 40), edges), "50x40", overlap=0)
    assert found["x0_y0"].boxes.labels == ("box 1", "box 2", "box 4")
    assert found["x0_y0"].boxes.coordinates == ((10, 10, 30, 30), (40, 10, 50, 30), (44, 5, 50, 25))
    assert found["x50_y0"].boxes.labels == ("box 2", "box 3", "box 4", "box 5")
    assert found["x50_y0"].boxes.coordinates == ((0, 10, 10, 30), (0, 0, 45, 40), (0, 5, 14, 25), (0, 0, 50, 40))


@pytest.mark.parametrize(("visible", "left"), [(0, 3), (0.1, 3), (0.11, 2), (0.5, 2), (0.51, 1), (1, 1)])
def test_the_minimum_fraction_of_a_box(visible: float, left: int) -> None:
    """The left tile contains the first box, half of the second, a tenth of the third, and only touches the fourth."""
    edges = [(10, 0, 20, 10), (45, 0, 55, 10), (49, 0, 59, 10), (50, 0, 60, 10)]
    found = tiles(plain((100, 40), edges), "50x40", overlap=0, visible=visible)
    assert len(found["x0_y0"].boxes) == left


def test_only_the_part_of_a_box_inside_the_image_counts() -> None:
    """The image contains 20x10 of (-100, 0, 20, 10), all of it in the left tile, and nothing of the other."""
    step = Tile("50x40", overlap=0, visible=0.9)
    left, right = step([plain((100, 40), [(-100, 0, 20, 10), (200, 0, 210, 10)])])
    assert left.boxes.coordinates == ((0, 0, 20, 10),)
    assert not right.boxes
    assert "1 box in no tile, because none contains enough (visible=0.9)" in step.notes()


def test_lines_and_points_are_in_the_tile_of_their_center() -> None:
    edges = [(50, 10, 50, 20), (40, 5, 58, 5), (100, 40, 100, 40), (0, 0, 0, 0)]
    found = tiles(plain((100, 40), edges), "50x40", overlap=0)
    assert found["x0_y0"].boxes.labels == ("box 2", "box 4")
    assert found["x0_y0"].boxes.coordinates[0] == (40, 5, 50, 5)
    assert found["x50_y0"].boxes.labels == ("box 1", "box 3")
    assert found["x50_y0"].boxes.coordinates == ((0, 10, 0, 20), (50, 40, 50, 40))


def test_attributes_are_kept_or_clipped() -> None:
    square = [[10.0, 10.0, 60.0, 10.0, 60.0, 30.0, 10.0, 30.0]]
    rows = [
        {"id": 7, "difficult": 1, "segmentation": square, "area": 1000.0},
        {"segmentation": {"counts": [1], "size": [1, 1]}, "area": 3.0, "iscrowd": 1},
        {"area": 400.0},
    ]
    edges = [(10, 10, 60, 30), (40, 0, 60, 20), (40, 20, 60, 40)]
    step = Tile("50x40", overlap=0, visible=0)
    sample = plain((100, 40), edges, rows, attributes={"source_id": "3", "camera": "left"}, split="train")
    left, right = step([sample.replace(source="photo.xml")])
    (outline,) = left.boxes.attributes[0]["segmentation"]
    assert sorted(zip(outline[::2], outline[1::2], strict=True)) == [(10, 10), (10, 30), (50, 10), (50, 30)]
    assert left.boxes.attributes[0] == {"difficult": 1, "segmentation": [outline], "area": 800.0}
    assert left.boxes.attributes[1] == {"iscrowd": 1}
    assert left.boxes.attributes[2] == {"area": 200.0}
    assert right.boxes.attributes[0]["area"] == 200.0
    assert {(tile.split, tile.source, *tile.attributes.items()) for tile in (left, right)} == {
        ("train", "photo.xml", ("camera", "left"))
    }
    assert step.notes()[-2:] == [
        "2 boxes without the mask (segmentation), because only polygons can be clipped",
        "2 boxes without the area, which is unknown after clipping",
    ]


@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
def test_tiles_have_the_pixels_of_pillow_s_crop(orientation: int | None) -> None:
    image = noise((90, 70))
    data = encoded(image, "PNG", orientation)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    for position, tile in tiles(sample_of(data, upright.size), "40x30").items():
        left, top = (int(part[1:]) for part in position.split("_"))
        found = pixels(tile)
        assert (found.format, found.mode, found.size) == ("PNG", "RGB", (40, 30))
        assert found.getexif().get(ORIENTATION) is None
        assert np.array_equal(np.asarray(found), np.asarray(upright.crop((left, top, left + 40, top + 30))))


def test_boxes_of_the_stored_pixels_are_rotated() -> None:
    """Stored 60x40 with a red box at (30, 10)-(40, 20), displayed rotated by 90 degrees clockwise."""
    image = Image.new("RGB", (60, 40))
    image.paste((255, 0, 0), (30, 10, 40, 20))
    data = encoded(image, "PNG", 6)
    outline = [[30.0, 10.0, 40.0, 10.0, 40.0, 20.0, 30.0, 20.0]]
    step = Tile("40x30", overlap=0, visible=0)
    found = list(step([sample_of(data, (60, 40), [(30, 10, 40, 20)], [{"segmentation": outline}])]))
    (tile,) = (tile for tile in found if tile.boxes)
    assert tile.image.name == "photo_x0_y30.png"
    rows, columns = np.nonzero(np.asarray(pixels(tile))[..., 0])
    assert tile.boxes.coordinates == ((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1),)
    (polygon,) = tile.boxes.attributes[0]["segmentation"]
    xmin, ymin, xmax, ymax = tile.boxes.coordinates[0]
    assert set(zip(polygon[::2], polygon[1::2], strict=True)) == {(x, y) for x in (xmin, xmax) for y in (ymin, ymax)}
    assert "1 image rotated by their EXIF orientation, pixels and boxes" in step.notes()


@pytest.mark.parametrize(
    ("form", "name", "expected"),
    [
        ("JPEG", "cam.1/photo.JPG", "cam.1/photo_x0_y0.JPG"),
        ("PNG", "photo.png", "photo_x0_y0.png"),
        ("BMP", "photo.bmp", "photo_x0_y0.jpg"),
        ("WEBP", "photo", "photo_x0_y0.jpg"),
        ("PNG", "photo.b.jpg", "photo.b_x0_y0.png"),
    ],
)
def test_names_and_formats(form: str, name: str, expected: str) -> None:
    data = encoded(noise((60, 40)), form)
    first = next(iter(Tile("40", quality=30)([sample_of(data, (60, 40), name=name)])))
    assert first.image.name == expected
    assert pixels(first).format == ("PNG" if form == "PNG" else "JPEG")
    assert first.image.format == ("png" if form == "PNG" else "jpeg")


def test_lower_quality_produces_smaller_files() -> None:
    sample = sample_of(encoded(noise((200, 100)), "JPEG", quality=95), (200, 100), name="photo.jpg")
    sizes = [len(next(iter(Tile("100", quality=quality)([sample]))).image.read()) for quality in (20, 90)]
    assert sizes[0] < sizes[1] / 2


def test_an_image_not_larger_than_a_tile_is_unchanged() -> None:
    sample = plain((40, 30), [(1, 1, 9, 9)])
    step = Tile("40")
    assert list(step([sample])) == [sample]
    assert step.notes() == ["1 image unchanged, not larger than a tile"]


def test_an_image_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    monkeypatch.setattr(
        boxwright_transforms.tile, "decode_sample", lambda sample: opened.append(sample) or decode_sample(sample)
    )
    assert len(list(Tile("10", overlap=0)([plain((100, 100))]))) == 100
    assert len(opened) == 1


def test_empty_tiles_are_dropped_if_requested() -> None:
    sample = plain((100, 40), [(0, 0, 10, 10)])
    assert list(tiles(sample, "50x40", overlap=0)) == ["x0_y0", "x50_y0"]
    step = Tile("50x40", overlap=0, empty="drop")
    assert [tile.image.name for tile in step([sample])] == ["photo_x0_y0.png"]
    assert step.notes() == ["1 image cut into 2 tiles of 50x40", "1 tile without boxes dropped"]


def test_notes_count_each_image_once() -> None:
    samples = [
        plain((100, 40), [(0, 0, 60, 40), (10, 10, 20, 20), (48, 0, 53, 9)], name=f"{n}/photo.png") for n in range(8)
    ]
    step = Tile("50x40", overlap=0, visible=0.7)
    dataset = Dataset(SampleReader(samples)).through(step, workers=4)
    for _ in range(2):
        assert len(list(dataset)) == 16
        assert step.notes() == [
            "8 images cut into 16 tiles of 50x40",
            "8 boxes clipped to a tile, counted once per tile",
            "8 boxes in no tile, because none contains enough (visible=0.7)",
        ]


def test_too_many_tiles_are_a_data_error() -> None:
    with pytest.raises(DataError, match=r"photo\.xml: the image of 300x300 would become 22,500 tiles") as caught:
        list(Tile("2", overlap=0)([plain((300, 300), source="photo.xml")]))
    assert caught.value.remedy


def test_a_wrong_size_and_a_damaged_image_are_data_errors() -> None:
    data = encoded(noise((60, 40)))
    with pytest.raises(DataError, match="61x40.*60x40"):
        tiles(sample_of(data, (61, 40)), "40")
    with pytest.raises(DataError, match="damaged"):
        tiles(sample_of(data[: len(data) // 2], (60, 40)), "40")


edge = st.floats(-5, 45, allow_nan=False, width=32)


@settings(max_examples=60)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.sampled_from([0, 0.2, 0.5]),
    st.lists(st.tuples(edge, edge, edge, edge), max_size=4),
)
def test_tiles_cover_the_image_and_their_boxes_cover_each_box(
    size: tuple[int, int], tile_size: tuple[int, int], overlap: float, rows: list[tuple[float, float, float, float]]
) -> None:
    edges = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in rows]
    step = Tile("{}x{}".format(*tile_size), overlap=overlap, visible=0)
    found = list(step([plain(size, edges)]))
    if len(found) == 1 and found[0].image.name == "photo.png":
        assert size[0] <= tile_size[0]
        assert size[1] <= tile_size[1]
        return
    seen = np.zeros((size[1], size[0]), dtype=int)
    parts: dict[str, list[tuple[float, ...]]] = {}
    for tile in found:
        left, top = (int(part[1:]) for part in tile.image.name[6:-4].split("_"))
        seen[top : top + tile.image.height, left : left + tile.image.width] += 1
        for label, (x1, y1, x2, y2) in zip(tile.boxes.labels, tile.boxes.coordinates, strict=True):
            assert 0 <= x1 <= x2 <= tile.image.width
            assert 0 <= y1 <= y2 <= tile.image.height
            parts.setdefault(label, []).append((x1 + left, y1 + top, x2 + left, y2 + top))
    assert seen.min() >= 1
    for number, (x1, y1, x2, y2) in enumerate(edges, start=1):
        inside = (max(x1, 0.0), max(y1, 0.0), min(x2, size[0]), min(y2, size[1]))
        if inside[0] >= inside[2] or inside[1] >= inside[3]:
            continue
        pieces = np.array(parts[f"box {number}"])
        hull = (*pieces[:, :2].min(axis=0), *pieces[:, 2:].max(axis=0))
        assert hull == pytest.approx(inside, abs=1e-4)
        # Every point of a grid in the box is in a piece.
        for x in np.linspace(inside[0], inside[2], 7):
            for y in np.linspace(inside[1], inside[3], 7):
                near = (pieces[:, 0] <= x + 1e-4) & (x <= pieces[:, 2] + 1e-4)
                assert (near & (pieces[:, 1] <= y + 1e-4) & (y <= pieces[:, 3] + 1e-4)).any()


def test_from_a_folder_to_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    noise((100, 40)).save(folder / "photo.png")
    rows = "filename,width,height,class,xmin,ymin,xmax,ymax\nphotos/photo.png,100,40,fig,40,10,60,30\n"
    (tmp_path / "in.csv").write_text(rows)
    report = boxwright.convert(
        f"csv:{tmp_path}/in.csv", f"labelimg:{tmp_path}/out", steps=["tile:50x40,overlap=0"], on_error="skip"
    )
    found = {sample.image.name: sample.boxes.coordinates for sample in boxwright.open(f"labelimg:{tmp_path}/out")}
    assert found == {"photos/photo_x0_y0.png": ((40, 10, 50, 30),), "photos/photo_x50_y0.png": ((0, 10, 10, 30),)}
    assert report.notes[0] == "1 image cut into 2 tiles of 50x40"
