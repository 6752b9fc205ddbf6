"""Drawings: lines where the boxes are, labels that can be read, pages that nothing can be smuggled into."""

from __future__ import annotations

import base64
import io
from html.parser import HTMLParser
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from boxwright.images.decode import to_rgb
from boxwright.render import boxes as drawing, text as letters
from boxwright.render.boxes import contrast_ratio, draw_boxes, palette, text_color
from boxwright.render.pages import html_page
from boxwright.render.sheets import contact_sheet, side_by_side

GREY = (128, 128, 128)
RED = (200, 30, 30)


def _grey(width: int = 480, height: int = 480) -> Image.Image:
    return Image.new("RGB", (width, height), GREY)


def _is(image: Image.Image, color: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
    return np.asarray((np.asarray(image) == color).all(axis=2))


def _wcag(first: tuple[int, ...], second: tuple[int, ...]) -> float:
    """The contrast formula of WCAG 2.2, written out from its definition."""

    def light(color: tuple[int, ...]) -> float:
        channels = []
        for value in color:
            s = value / 255
            channels.append(s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4)
        return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]

    high, low = sorted((light(first), light(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


# Colours


def test_a_palette_is_decided_by_place() -> None:
    names = [f"class {number}" for number in range(40)]
    whole = palette(names)
    assert list(whole) == names
    assert palette(names[:5]) == {name: whole[name] for name in names[:5]}
    assert palette(["a", "b", "a", "c"]) == palette(["a", "b", "c"])
    assert palette([]) == {}


def test_colors_of_a_palette_are_far_apart() -> None:
    colors = list(palette([str(number) for number in range(20)]).values())
    assert all(isinstance(channel, int) and 0 <= channel <= 255 for color in colors for channel in color)
    assert min(np.linalg.norm(np.subtract(a, b)) for a, b in combinations(colors, 2)) > 40


def test_a_palette_never_runs_out() -> None:
    assert len(palette([str(number) for number in range(1500)])) == 1500


def test_text_on_any_color_can_be_read() -> None:
    steps = range(0, 256, 15)
    for color in [(r, g, b) for r in steps for g in steps for b in steps]:
        assert _wcag(text_color(color), color) >= 4.5


def test_contrast_ratio_of_black_and_white() -> None:
    assert contrast_ratio((0, 0, 0), (255, 255, 255)) == pytest.approx(21.0)
    assert contrast_ratio(RED, GREY) == pytest.approx(_wcag(RED, GREY))


# Modes


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (4, 4), 77), (77, 77, 77)),
        (Image.new("1", (4, 4), 1), (255, 255, 255)),
        (Image.new("RGBA", (4, 4), (200, 10, 10, 0)), (255, 255, 255)),
        (Image.new("RGBA", (4, 4), (200, 10, 10, 255)), (200, 10, 10)),
        (Image.new("LA", (4, 4), (40, 0)), (255, 255, 255)),
        (Image.new("CMYK", (4, 4), (0, 0, 0, 0)), (255, 255, 255)),
        (Image.new("CMYK", (4, 4), (0, 255, 255, 0)), (255, 0, 0)),
        (Image.new("RGB", (4, 4), RED).quantize(4), RED),
        (Image.new("I", (4, 4), 90), (90, 90, 90)),
        (Image.new("F", (4, 4), float("nan")), (0, 0, 0)),
    ],
    ids=lambda value: value.mode if isinstance(value, Image.Image) else "",
)
def test_every_mode_becomes_rgb(image: Image.Image, expected: tuple[int, int, int]) -> None:
    converted = to_rgb(image)
    assert converted.mode == "RGB"
    assert converted.getpixel((1, 1)) == expected
    assert draw_boxes(image, [(0, 0, 3, 3)], ["thing"]).mode == "RGB"


def test_twelve_bits_fill_the_range() -> None:
    values = np.array([[0, 2048, 4095]], np.uint16)
    image = Image.fromarray(values)
    assert image.mode == "I;16"
    assert np.asarray(to_rgb(image))[0, :, 0].tolist() == [0, 128, 255]


def test_a_transparent_palette_entry_is_white() -> None:
    image = Image.new("RGB", (4, 4), RED).quantize(4)
    image.info["transparency"] = image.getpixel((0, 0))
    assert to_rgb(image).getpixel((0, 0)) == (255, 255, 255)


# Boxes


def test_lines_lie_on_the_edges() -> None:
    """4 pixels round (100, 120, 200, 240) are columns 98 to 101 and 198 to 201, rows 118 to 121 and 238 to 241."""
    drawn = draw_boxes(
        _grey(), np.array([(100, 120, 200, 240)]), ["x"], colors={"x": RED}, line_width=4, show_labels=False
    )
    expected = np.zeros((480, 480), bool)
    expected[118:242, 98:202] = True
    expected[122:238, 102:198] = False
    assert (_is(drawn, RED) == expected).all()
    changed = ~_is(drawn, GREY)
    assert changed[117, 97], "the halo is one pixel wide outside"
    assert changed[122, 102], "and one inside"
    assert not changed[:117].any()
    assert not changed[123:237, 103:197].any()


def test_the_original_is_left_alone() -> None:
    image = _grey()
    draw_boxes(image, [(10, 10, 50, 50)], ["x"])
    assert _is(image, GREY).all()


def test_a_box_over_the_whole_image_shows_all_of_its_line() -> None:
    drawn = _is(draw_boxes(_grey(), [(-9, -9, 480, 500)], ["x"], colors={"x": RED}, show_labels=False), RED)
    assert drawn[0].all()
    assert drawn[-1].all()
    assert drawn[:, 0].all()
    assert drawn[:, -1].all()


def test_tiny_images_are_enlarged_with_their_boxes() -> None:
    drawn = draw_boxes(_grey(120, 60), [(30, 15, 60, 45)], ["x"], colors={"x": RED}, line_width=2, show_labels=False)
    assert drawn.size == (480, 240)
    rows, columns = np.nonzero(_is(drawn, RED))
    assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (119, 59, 241, 181)


def test_huge_images_are_reduced() -> None:
    assert draw_boxes(_grey(3000, 1500), [], []).size == (2048, 1024)
    assert draw_boxes(_grey(3000, 1), [], [], max_side=500).size == (500, 1)


def test_what_cannot_be_seen_is_left_out() -> None:
    outside = [(-50, -50, -10, -10), (500, 10, 600, 60), (10, 500, 20, 600), (float("nan"), 0, 10, 10)]
    drawn = draw_boxes(_grey(), outside, ["a", "b", "c", "d"], [0.5, 0.5, 0.5, 0.5])
    assert _is(drawn, GREY).all()
    assert _is(draw_boxes(_grey(), np.empty((0, 4)), []), GREY).all()


@pytest.mark.parametrize(
    "box", [(5, 5, 5, 5), (480, 480, 480, 480), (0, 7, 480, 7), (90, 90, 20, 20), (-np.inf, -np.inf, np.inf, np.inf)]
)
def test_degenerate_boxes_are_drawn(box: tuple[float, ...]) -> None:
    assert _is(draw_boxes(_grey(), [box], ["x"], colors={"x": RED}), RED).any()


def test_small_boxes_are_not_hidden_by_large_ones() -> None:
    boxes = [(200, 200, 240, 240), (200, 100, 400, 400)]
    colors = {"small": RED, "large": (0, 0, 200)}
    drawn = _is(draw_boxes(_grey(), boxes, ["small", "large"], colors=colors, line_width=3, show_labels=False), RED)
    assert drawn[205:235, 200].all()


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(n, 4\)"):
        draw_boxes(_grey(), [(1, 2, 3)], ["x"])
    with pytest.raises(ValueError, match="2 boxes, 1 labels"):
        draw_boxes(_grey(), np.ones((2, 4)), ["x"])
    with pytest.raises(ValueError, match="1 scores"):
        draw_boxes(_grey(), np.ones((2, 4)), ["x", "y"], [0.5])
    with pytest.raises(ValueError, match="min_side"):
        draw_boxes(_grey(), [], [], min_side=500, max_side=400)


# Labels


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 200, 200),
        (280, 0, 480, 200),
        (0, 280, 200, 480),
        (280, 280, 480, 480),
        (0, 0, 480, 480),
        (470, 0, 480, 9),
    ],
)
def test_a_chip_is_inside_the_image(box: tuple[int, ...]) -> None:
    """At the border as many pixels of the label can be seen as in the middle, up to its round corners."""

    def label_pixels(where: tuple[int, ...]) -> int:
        common = {"colors": {"mug": RED}, "font_size": 18}
        with_label = draw_boxes(_grey(), [where], ["mug"], [0.97], **common)  # type: ignore[arg-type]
        white_letters = _is(with_label, (255, 255, 255))
        return int(white_letters.sum())

    # White appears only in the letters: the halo is translucent.
    assert label_pixels((150, 150, 350, 350)) > 40
    assert label_pixels(box) == pytest.approx(label_pixels((150, 150, 350, 350)), rel=0.05)


def test_chips_keep_clear_of_each_other() -> None:
    outlines = np.array([(100, 100, 300, 300), (100, 100, 299, 299), (101, 101, 250, 290), (90, 300, 200, 400)], float)
    chips = drawing._place_chips([("thing", "97%")] * 4, [RED] * 4, outlines, 16, (480, 480))
    assert len(chips) == 4
    for a, b in combinations(chips, 2):
        apart_x = a.left + a.width <= b.left or b.left + b.width <= a.left
        apart_y = a.top + a.height <= b.top or b.top + b.height <= a.top
        assert apart_x or apart_y


def test_chips_never_leave_the_image() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 300, (80, 2))
    outlines = np.concatenate([corners, np.minimum(corners + rng.uniform(1, 200, (80, 2)), 300)], axis=1)
    texts = [("x" * int(rng.integers(0, 80)), "5%") for _ in outlines]
    for chip in drawing._place_chips(texts, [RED] * 80, outlines, 14, (300, 300)):
        assert 0 <= chip.left < chip.left + chip.width <= 300
        assert 0 <= chip.top < chip.top + chip.height <= 300


def test_a_chip_says_name_and_percent() -> None:
    chips = drawing._place_chips([("mug", drawing._percent(0.974))], [RED], np.ones((1, 4)), 14, (300, 300))
    assert chips[0].text == "mug 97%"
    assert drawing._percent(float("nan")) == ""
    assert drawing._percent(1.5) == "100%"


def test_names_on_a_page_can_be_read_at_a_third_of_their_size() -> None:
    def chip_height(emphasis: float) -> int:
        box = [[300, 400, 700, 800]]
        drawn = draw_boxes(_grey(1024, 1024), box, ["fig"], colors={"fig": RED}, emphasis=emphasis)
        return int(_is(drawn, RED)[:395].any(axis=1).sum())

    assert chip_height(drawing.ON_A_PAGE) / 3 >= 12  # letters of 9 pixels, with the chip's border
    assert chip_height(1.0) / 3 < 10


def test_a_long_name_is_shortened_and_its_percentage_kept() -> None:
    text = letters.shortened("a very long name of a class" * 20, 14, 150, keep=" 97%")
    assert text.endswith("... 97%")
    assert letters.text_width(text, 14) <= 150


@pytest.mark.parametrize("name", ["", " ", "яблоко", "苹果", "تفاح", "🍎", "a\nb\tc\x00", "\udc80bad", "é" * 300])
def test_any_class_name_can_be_drawn(name: str) -> None:
    drawn = draw_boxes(_grey(), [(100, 100, 300, 300)], [name], [0.5], colors={name: RED})
    assert _is(drawn, RED).any()
    contact_sheet([(_grey(40, 40), name)], title=name, legend={name: RED})


def test_other_scripts_come_from_a_font_that_has_them() -> None:
    if not any(letters._can_draw(font, "я") for font in letters._FALLBACK_FONTS):
        pytest.skip("no font of this system has Cyrillic letters")
    font = letters._font_for("яблоко", 24)
    assert bytes(font.getmask("я")) != bytes(font.getmask("л"))


# Several images


def test_side_by_side_shows_both_at_one_height() -> None:
    sheet = side_by_side(Image.new("RGB", (100, 50), RED), Image.new("RGB", (100, 100), (0, 0, 200)))
    bar = sheet.height - 100
    assert sheet.getpixel((100, bar + 50)) == RED
    assert sheet.getpixel((sheet.width - 50, bar + 50)) == (0, 0, 200)
    assert not _is(sheet.crop((0, 0, 200, bar)), (255, 255, 255)).all(), "a title above the left image"


def test_a_contact_sheet_keeps_aspect_ratios() -> None:
    items = [(Image.new("RGB", size, RED), "") for size in [(640, 320), (50, 100)]]
    red = _is(contact_sheet(items, columns=2, tile=200), RED)
    for half, size in ((red[:, :210], (200, 100)), (red[:, 210:], (100, 200))):
        rows, columns = np.nonzero(half)
        assert (int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1) == size


def test_a_contact_sheet_has_the_columns_asked_for() -> None:
    items = [(Image.new("RGB", (10, 10), RED), "caption")] * 5
    narrow, wide = contact_sheet(items, columns=1, tile=100), contact_sheet(items, columns=5, tile=100)
    assert narrow.height > 500 > narrow.width
    assert wide.width > 500 > wide.height


def test_title_and_legend_take_room_and_are_drawn() -> None:
    items = [(Image.new("RGB", (10, 10), GREY), "a")]
    plain = contact_sheet(items)
    full = contact_sheet(items, title="Demo", legend={f"class {n} (7)": RED for n in range(12)})
    assert full.height > plain.height
    assert _is(full, RED).sum() > 12 * 60


def test_a_contact_sheet_may_be_dark_or_empty() -> None:
    assert contact_sheet([], title="nothing", background=(20, 20, 20)).getpixel((0, 0)) == (20, 20, 20)
    with pytest.raises(ValueError, match="tile"):
        contact_sheet([], tile=3)
    with pytest.raises(ValueError, match="columns"):
        contact_sheet([], columns=0)


# The page


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def _jpeg() -> bytes:
    stream = io.BytesIO()
    _grey(16, 16).save(stream, "JPEG")
    return stream.getvalue()


def test_a_page_contains_its_images() -> None:
    page = _Page(html_page([("first", _jpeg()), ("second", b"\x89PNG...")], "Images", {"mug (2)": RED}, ["a note"]))
    sources = [attributes["src"] or "" for tag, attributes in page.tags if tag == "img"]
    assert base64.b64decode(sources[0].removeprefix("data:image/jpeg;base64,")) == _jpeg()
    assert sources[1].startswith("data:image/png;base64,")
    for shown in ("Images", "first", "second", "mug (2)", "a note"):
        assert shown in page.text


def test_a_page_loads_nothing() -> None:
    text = html_page([("first", _jpeg())], "Images")
    assert "http:" not in text
    assert "https:" not in text
    assert "default-src 'none'" in text


EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)></title></style>\udc80\x00"


def test_nothing_can_be_smuggled_into_a_page() -> None:
    text = html_page([(EVIL, _jpeg())], EVIL, {EVIL: RED}, [EVIL])
    text.encode("utf-8")
    assert "<script" not in text.lower()
    page = _Page(text)
    assert [tag for tag, _ in page.tags if tag == "img"] == ["img"]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    image = next(attributes for tag, attributes in page.tags if tag == "img")
    assert (image["alt"] or "").startswith("<script>alert(1)</script>\"'>")


def test_targets_of_a_page_exist_once() -> None:
    page = _Page(html_page([("same", _jpeg())] * 3, "Images"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    opened = [attributes["href"] for tag, attributes in page.tags if tag == "a" and attributes["class"] == "open"]
    assert opened == [f"#{name}" for name in ids]
    assert len(set(ids)) == 3
