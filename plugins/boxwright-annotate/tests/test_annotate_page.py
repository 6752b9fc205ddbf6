"""A browser draws, moves, resizes, relabels and deletes boxes, and the files have exactly those."""

from __future__ import annotations

import random
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import boxwright
from boxwright import Detections, LabelMap, LogReporter
from boxwright.annotation import AnnotationSession, Proposals
from boxwright.models.decoder import DecoderSettings
from boxwright.plugins import default_registry
from boxwright_annotate.annotator import PageAnnotator
from boxwright_testing import drawn_samples

Start = Callable[..., Any]
CLASSES = ("apple", "pear", "<img src=x onerror=alert(1)>")
Box = tuple[str, tuple[float, ...]]


class Driver:
    """Uses the page as a person does; ``boxes`` is what the files must have, by name.

    Args:
        page: The page of the browser.
    """

    def __init__(self, page: Any) -> None:
        self.page = page
        self.problems: list[str] = []
        page.on("console", lambda message: self.problems.append(message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("dialog", lambda dialog: self.problems.append(f"dialog {dialog.message}"))

    def open(self, address: str, image: int = 0) -> None:
        self.page.goto("about:blank")
        self.page.goto(f"{address}#{image + 1}")
        self.ready(image)

    def ready(self, image: int) -> None:
        self.page.wait_for_selector(f"#stage svg[data-image='{image}'][data-ready=true]")
        self.settle()

    def settle(self) -> None:
        """Waits until every edit has reached the server, and the page is drawn."""
        self.page.evaluate(
            "async () => { const { call } = await import('./api.js'); await call('dataset');"
            " await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))); }"
        )

    def key(self, keys: str, times: int = 1) -> None:
        for _ in range(times):
            self.page.keyboard.press(keys)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Returns the place of a pixel of the image on the screen."""
        frame = self.page.locator("#stage").bounding_box()
        view = self.page.evaluate("({...document.querySelector('#stage svg').dataset})")
        scale, left, top = (float(view[name]) for name in ("scale", "x", "y"))
        return frame["x"] + left + x * scale, frame["y"] + top + y * scale

    def drag(self, x1: float, y1: float, x2: float, y2: float) -> None:
        mouse = self.page.mouse
        mouse.move(*self.at(x1, y1))
        mouse.down()
        mouse.move(*self.at((x1 + x2) / 2, y2))
        mouse.move(*self.at(x2, y2))
        mouse.up()
        self.settle()

    def click(self, x: float, y: float) -> None:
        self.page.mouse.click(*self.at(x, y))
        self.settle()

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).inner_text())


def annotated(uri: str) -> dict[str, list[Box]]:
    return {
        sample.image.name: list(zip(sample.boxes.labels, sample.boxes.coordinates, strict=True))
        for sample in boxwright.open(uri)
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["labelimg", "yolo", "coco"])
def test_twenty_edits_of_five_images_are_what_the_files_have(
    name: str, tmp_path: Path, start: Start, browser: Any
) -> None:
    """With kill -9 in the middle: 4 edits of each image, of every kind."""
    pytest.importorskip(f"boxwright_{ {'labelimg': 'voc'}.get(name, name) }")
    samples = drawn_samples(tmp_path / "source", 6, size=(317, 241), labels=CLASSES[:1])
    place = tmp_path / "data" / ("x.json" if name == "coco" else "")
    uri = f"{name}:{place}" + (f"?images={tmp_path / 'source'}" if name == "coco" else "")
    boxwright.convert(
        boxwright.from_samples([*(each.replace(boxes=[]) for each in samples[:5]), samples[5]]), f"{name}:{place}"
    )
    before = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()}
    program = start(uri, "--classes", ",".join(CLASSES))
    driver = Driver(browser.new_page(viewport={"width": 1100, "height": 760}))
    expected: dict[str, list[Box]] = {each.image.name: [] for each in samples}
    expected[samples[5].image.name] = annotated(uri)[samples[5].image.name]
    random_ = random.Random(5)
    driver.open(program.address)
    for image in range(5):
        if image == 3:  # nothing was saved yet
            program.end(signal.SIGKILL)
            program = start(uri, "--classes", ",".join(CLASSES))
            driver.open(program.address, 3)
        boxes = expected[samples[image].image.name]
        first = (20, 20 + image, 120, 100)
        driver.drag(*first)  # draw
        boxes.append((CLASSES[0], first))
        second = (150, 40, 240 + random_.randrange(20), 180)
        driver.drag(*second)
        boxes.append((CLASSES[0], second))
        if image == 0:  # move
            driver.drag(180, 100, 190, 95)
            boxes[1] = (CLASSES[0], tuple(value + by for value, by in zip(second, (10, -5, 10, -5), strict=True)))
            driver.key("ArrowLeft", 2)
            boxes[1] = (CLASSES[0], (boxes[1][1][0] - 2, boxes[1][1][1], boxes[1][1][2] - 2, boxes[1][1][3]))
        elif image == 1:  # resize
            driver.drag(second[2], second[3], 300, 230)
            driver.drag(150, 100, 140, 100)
            boxes[1] = (CLASSES[0], (140, 40, 300, 230))
        elif image == 2:  # relabel
            driver.key("3")
            driver.click(30, 30)
            driver.key("2")
            boxes[:] = [(CLASSES[1], first), (CLASSES[2], second)]
        elif image == 3:  # delete, and undo one
            driver.key("Delete")
            driver.key("Control+z")
            driver.settle()
            driver.click(30, 30)
            driver.key("Delete")
            del boxes[0]
        else:  # duplicate, undo and redo
            driver.key("Control+d")
            driver.key("Control+z")
            driver.key("Control+Shift+z")
            boxes.append((CLASSES[0], tuple(value + 10 for value in second)))
        driver.settle()
        driver.key("d")
        driver.ready(image + 1)
    assert driver.text("#counts") == "6 done · 0 left"
    assert {path: path.read_bytes() for path in before} == before
    driver.key("Control+s")
    driver.page.wait_for_selector("#save:text('Saved')")
    assert annotated(uri) == {
        image: [(label, pytest.approx(box, abs=1e-3)) for label, box in boxes] for image, boxes in expected.items()
    }
    sixth = [path for path in before if path.stem == samples[5].image.name.removesuffix(".png")]
    assert len(sixth) == {"coco": 0, "labelimg": 2, "yolo": 2}[name]
    assert {path: path.read_bytes() for path in sixth} == {path: before[path] for path in sixth}
    assert driver.problems == []
    driver.page.close()


def test_a_first_box_asks_for_its_class(tmp_path: Path, start: Start, browser: Any) -> None:
    pytest.importorskip("boxwright_voc", reason="the format labelimg")
    drawn_samples(tmp_path, 2, size=(320, 240))
    program = start(str(tmp_path))
    driver = Driver(browser.new_page())
    driver.open(program.address)
    driver.drag(20, 20, 120, 100)
    driver.page.keyboard.type("fig")
    driver.key("Enter")
    driver.page.wait_for_selector("#boxes li:has-text('fig')")
    driver.settle()
    driver.key("Control+s")
    driver.page.wait_for_selector("#save:text('Saved')")
    assert annotated(f"labelimg:{tmp_path}") == {"0-000.png": [("fig", (20, 20, 120, 100))]}
    assert driver.problems == []
    driver.page.close()


@pytest.mark.parametrize("size", [(1280, 800), (400, 800)])
def test_nothing_covers_the_image(size: tuple[int, int], tmp_path: Path, start: Start, browser: Any) -> None:
    pytest.importorskip("boxwright_voc", reason="the format labelimg")
    drawn_samples(tmp_path, 1, size=(320, 240))
    driver = Driver(browser.new_page(viewport={"width": size[0], "height": size[1]}))
    driver.open(start(str(tmp_path)).address)
    assert "Drag to draw" in driver.text("#hint")
    left, top = driver.at(0, 0)
    right, bottom = driver.at(320, 240)
    for name in ("header", "#hint", "#tools", "aside"):
        box = driver.page.locator(name).bounding_box()
        apart = box["x"] >= right or box["x"] + box["width"] <= left
        assert apart or box["y"] >= bottom or box["y"] + box["height"] <= top, name
    driver.page.close()


def test_many_classes_leave_room_for_the_boxes(tmp_path: Path, start: Start, browser: Any) -> None:
    pytest.importorskip("boxwright_voc", reason="the format labelimg")
    drawn_samples(tmp_path, 1, size=(320, 240))
    program = start(str(tmp_path), "--classes", ",".join(f"class {number}" for number in range(80)))
    driver = Driver(browser.new_page(viewport={"width": 1280, "height": 800}))
    driver.open(program.address)
    driver.drag(20, 20, 120, 100)
    driver.page.locator("#boxes select").select_option("class 79")
    driver.settle()
    for name in ("#classes .current", "#boxes .current"):
        box = driver.page.locator(name).bounding_box()
        assert 0 < box["y"] < box["y"] + box["height"] < 800, name
    assert driver.text("#classes .current .label") == "class 79"
    driver.page.evaluate("document.querySelector('#classes').scrollTop = 0")
    driver.page.locator("#stage").focus()
    driver.key("ArrowRight")
    driver.settle()
    assert driver.page.evaluate("document.querySelector('#classes').scrollTop") == 0, "where a person scrolled to"
    driver.page.close()


def test_two_windows_notice_each_other(tmp_path: Path, start: Start, browser: Any) -> None:
    pytest.importorskip("boxwright_voc", reason="the format labelimg")
    drawn_samples(tmp_path, 1, size=(320, 240))
    program = start(str(tmp_path), "--classes", "fig")
    one, other = Driver(browser.new_page()), Driver(browser.new_page())
    one.open(program.address)
    other.open(program.address)
    one.drag(20, 20, 120, 100)
    other.drag(150, 20, 220, 100)
    other.page.wait_for_selector("dialog[open]:has-text('edited in another window')")
    other.key("Enter")
    other.drag(150, 20, 220, 100)
    program.call("save")
    assert annotated(f"labelimg:{tmp_path}") == {
        "0-000.png": [("fig", (20, 20, 120, 100)), ("fig", (150, 20, 220, 100))]
    }
    for driver in (one, other):
        driver.page.close()


def test_a_changed_file_is_asked_about(tmp_path: Path, start: Start, browser: Any) -> None:
    pytest.importorskip("boxwright_voc", reason="the format labelimg")
    boxwright.convert(
        boxwright.from_samples(drawn_samples(tmp_path / "s", 1, size=(320, 240))), f"labelimg:{tmp_path / 'l'}"
    )
    program = start(f"labelimg:{tmp_path / 'l'}", "--classes", "fig")
    driver = Driver(browser.new_page())
    driver.open(program.address)
    driver.key("w")
    driver.drag(20, 20, 120, 100)
    path = tmp_path / "l/0-000.xml"
    theirs = path.read_text("utf-8").replace("<name>", "<name>their ")
    path.write_text(theirs, "utf-8")
    driver.key("Control+s")
    driver.page.click("dialog button[value=theirs]")
    driver.page.wait_for_selector("#save:text('Saved')")
    assert path.read_text("utf-8") == theirs
    driver.page.close()


class Known:
    """A model that finds what it was given, in every image the same."""

    label_map = LabelMap.from_names(["fig", "nut"])
    decoder = DecoderSettings(score=(0.6, 0.2))

    def predict(self, samples: Any, *, batch_size: int = 8, score: float = 0.0) -> Any:
        found = [("fig", (20, 20, 90, 80), 0.9), ("fig", (100, 20, 150, 80), 0.5), ("nut", (160, 20, 230, 80), 0.3)]
        found += [("nut", (22, 20, 92, 80), 0.12)]  # at the place of the first
        labels, boxes, scores = zip(*found, strict=True)
        for sample in samples:
            yield Detections.from_arrays(sample.image, labels, np.array(boxes, float), scores)

    def with_decoder(self, decoder: DecoderSettings) -> Any:
        raise NotImplementedError

    is_raw = False


class Address(LogReporter):
    def __init__(self) -> None:
        self.found = threading.Event()

    def message(self, text: str) -> None:
        if match := re.search(r"http://\S+", text):
            self.address = match[0]
            self.found.set()


@pytest.fixture
def proposing(tmp_path: Path, browser: Any) -> Iterator[tuple[AnnotationSession, Driver]]:
    """A page with a model, in a thread of this process."""
    pytest.importorskip("boxwright_voc", reason="the format labelimg")
    drawn_samples(tmp_path, 3, size=(320, 240))
    page, reporter = PageAnnotator(browser=False), Address()
    with AnnotationSession(str(tmp_path)) as session:
        session.proposals = Proposals(Known(), session.samples, default_registry())  # type: ignore[arg-type]
        session.proposals.start()
        thread = threading.Thread(target=page.annotate, args=(session, reporter))
        thread.start()
        assert reporter.found.wait(20)
        driver = Driver(browser.new_page())
        driver.open(reporter.address)
        driver.page.wait_for_selector("#proposal-count:has-text('to decide')")
        yield session, driver
        assert driver.problems == []
        driver.page.close()
        page.stop()
        thread.join(20)
        session.proposals.stop()


def rows(session: AnnotationSession, image: int = 0) -> list[tuple[Any, ...]]:
    boxes = session.samples[image].boxes
    who = [attributes["annotator"] for attributes in boxes.attributes]
    return list(zip(boxes.labels, boxes.coordinates, who, strict=True))


def test_a_proposal_is_a_label_only_after_a_person_accepted_it(
    proposing: tuple[AnnotationSession, Driver],
) -> None:
    """The score of 0.5 is below that of its class, 0.6; the nut with 0.3 is above 0.2."""
    session, driver = proposing
    assert driver.text("#proposal-count") == "2 to decide"
    assert driver.page.locator("#stage rect[stroke-dasharray='6 4']").count() == 4  # two lines each
    assert session.unsaved == []
    driver.click(40, 40)  # rejects
    assert driver.text("#proposal-count") == "1 to decide"
    driver.key("Space")
    driver.settle()
    assert rows(session) == [("nut", (160, 20, 230, 80), "model")]
    driver.page.evaluate("document.activeElement.blur()")
    driver.page.locator("#score").fill("0.4")
    assert driver.text("#proposal-count") == "1 to decide"
    driver.page.locator("#restore").click()
    assert driver.text("#proposal-count") == "2 to decide"
    driver.page.locator("#stage").focus()
    driver.key("Shift+Space")
    driver.settle()
    assert sorted(rows(session)) == [
        ("fig", (20, 20, 90, 80), "model"),
        ("fig", (100, 20, 150, 80), "model"),
        ("nut", (160, 20, 230, 80), "model"),
    ]
    driver.key("Control+z")
    driver.settle()
    assert len(rows(session)) == 1
    driver.key("d")
    driver.ready(1)
    assert rows(session, 1) == []


def test_proposals_are_accepted_and_rejected_by_keys_and_the_rest_is_left(
    proposing: tuple[AnnotationSession, Driver],
) -> None:
    session, driver = proposing
    driver.page.locator("#score").fill("0.3")
    driver.page.locator("#stage").focus()
    assert driver.text("#proposal-count") == "3 to decide"
    driver.key("Delete")
    assert driver.text("#proposal-count") == "2 to decide"
    driver.key("Space")
    driver.settle()
    driver.key("d")
    driver.ready(1)
    assert rows(session) == [("fig", (100, 20, 150, 80), "model")]
    driver.key("a")
    driver.ready(0)
    driver.key("Tab")
    driver.key("Delete")  # the selected box, not a proposal
    driver.settle()
    assert rows(session) == []
    assert driver.text("#proposal-count") == "2 to decide"


def test_all_proposals_are_accepted_as_if_one_by_one(proposing: tuple[AnnotationSession, Driver]) -> None:
    session, driver = proposing
    driver.page.locator("#score").fill("0.1")
    assert driver.text("#proposal-count") == "4 to decide"
    driver.page.locator("#stage").focus()
    driver.key("Shift+Space")
    driver.settle()
    assert [label for label, _, _ in rows(session)] == ["fig", "fig", "nut"]
    assert driver.text("#proposal-count") == "0 to decide"


def test_all_images_are_shown_in_the_order_of_what_to_look_at_next(
    proposing: tuple[AnnotationSession, Driver],
) -> None:
    """Three images that the model finds the same in, of which one misses the box of its surest detection."""
    session, driver = proposing
    found = [("fig", (20, 20, 90, 80), None), ("fig", (100, 20, 150, 80), None), ("nut", (160, 20, 230, 80), None)]
    for image in range(3):
        session.edit(image, found[image == 1 :], revision=0)
    while session.proposals.done < 3:
        driver.page.wait_for_timeout(50)
    driver.page.reload()
    driver.ready(0)
    driver.key("g")
    driver.page.select_option("#filters select >> nth=-1", "suspects")
    driver.page.wait_for_selector("figure .reason")
    assert driver.page.locator("figure .label").all_inner_texts() == ["0-001.png"]
    assert driver.text("figure .reason") == "fig found with 0.90, not annotated"
    driver.page.click("figure")
    driver.ready(1)
    assert driver.text("#hint") == "fig found with 0.90, not annotated"
    marked = driver.page.locator("#stage .place").bounding_box()
    middle = (marked["x"] + marked["width"] / 2, marked["y"] + marked["height"] / 2)
    assert middle == pytest.approx(driver.at(55, 50), abs=2), "the middle of the box that is missing"
    session.edit(2, [], revision=session.revisions[2])
    driver.key("g")
    driver.page.select_option("#filters select >> nth=-1", "learn")
    driver.page.wait_for_selector("figure .label:text('0-002.png')")
    assert driver.text("figure .reason").startswith("expected: ")
    driver.page.fill("#filters input >> nth=-1", "0.95")
    driver.key("Enter")
    driver.page.wait_for_selector("#bulk:has-text('0 images')")


def test_a_button_continues_with_the_next_step(proposing: tuple[AnnotationSession, Driver]) -> None:
    session, driver = proposing
    session.next_step = "Train"
    driver.page.reload()
    driver.ready(0)
    driver.key("w")
    driver.drag(20, 100, 120, 180)
    driver.page.click("#next-step")
    driver.page.wait_for_selector("dialog:has-text('Everything is saved')")
    assert session.unsaved == []


def test_boxes_of_many_images_change_after_a_preview_and_are_undone_as_one(
    proposing: tuple[AnnotationSession, Driver],
) -> None:
    session, driver = proposing
    old = [("fig", (0, 0, 2, 90), None), ("fig", (9, 9, 40, 40), None), ("nut", (0, 50, 2, 52), None)]
    for image in range(3):
        session.edit(image, old[: image + 1], revision=session.revisions[image])
    driver.page.reload()
    driver.ready(0)
    driver.key("g")
    driver.page.wait_for_selector("figure:nth-child(3) svg")
    drawn = "[...document.querySelectorAll('figure')].map((each) => each.querySelectorAll('svg rect').length)"
    assert driver.page.evaluate(drawn) == [1, 2, 3]
    driver.page.click("text=Delete boxes …")
    driver.page.fill("dialog input", "3")
    driver.key("Enter")
    driver.page.click("dialog .primary")
    driver.page.wait_for_selector("dialog:has-text('Deletes 4 boxes in 3 images')")
    assert [len(sample.boxes) for sample in session.samples] == [1, 2, 3]
    driver.page.click("dialog .primary")
    driver.settle()
    assert [len(sample.boxes) for sample in session.samples] == [0, 1, 1]
    driver.key("Control+z")
    driver.settle()
    assert [len(sample.boxes) for sample in session.samples] == [1, 2, 3]
    driver.page.select_option("#filters select >> nth=0", "nut")
    assert driver.page.locator("figure").count() == 1
    driver.page.click("text=Change a class …")
    driver.page.select_option("dialog select", "fig")
    driver.page.fill("dialog input >> nth=0", "date")
    driver.page.click("dialog .primary")
    driver.page.wait_for_selector("dialog:has-text('Changes 2 boxes in 1 image')")
    driver.page.click("dialog .primary")
    driver.settle()
    assert [sample.boxes.labels for sample in session.samples] == [("fig",), ("fig", "fig"), ("date", "date", "nut")]


def test_fingers_draw_and_zoom(tmp_path: Path, start: Start, browser: Any) -> None:
    pytest.importorskip("boxwright_voc", reason="the format labelimg")
    drawn_samples(tmp_path, 1, size=(320, 240))
    program = start(str(tmp_path), "--classes", "fig")
    context = browser.new_context(viewport={"width": 820, "height": 1180}, has_touch=True, is_mobile=True)
    driver = Driver(context.new_page())
    driver.open(program.address)
    touch = context.new_cdp_session(driver.page)

    def fingers(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", driver.at(40, 40))
    fingers("touchMove", driver.at(100, 90))
    fingers("touchMove", driver.at(200, 150))
    fingers("touchEnd")
    driver.settle()
    scale = float(driver.page.locator("#stage svg").get_attribute("data-scale"))
    (x, y) = driver.at(160, 120)
    fingers("touchStart", (x - 50, y), (x + 50, y))
    for by in (60, 80, 100):
        fingers("touchMove", (x - by, y), (x + by, y))
    fingers("touchEnd")
    driver.settle()
    assert float(driver.page.locator("#stage svg").get_attribute("data-scale")) == pytest.approx(2 * scale, rel=0.02)
    state = program.call("image", {"image": 0}).json["images"][0]
    assert [row[:5] for row in state["boxes"]] == [["fig", 40, 40, 200, 150]]
    context.close()


def test_an_edit_of_what_another_window_changed_meanwhile_is_not_applied(
    tmp_path: Path, start: Start, browser: Any
) -> None:
    """Also if the page learns of the other edit between drawing and sending."""
    pytest.importorskip("boxwright_voc", reason="the format labelimg")
    drawn_samples(tmp_path, 1, size=(320, 240))
    program = start(str(tmp_path), "--classes", "fig")
    driver = Driver(browser.new_page())
    driver.open(program.address)
    program.call("edit", {"image": 0, "revision": 0, "boxes": [["fig", 200, 200, 220, 220, None]]})
    driver.page.evaluate("window.dispatchEvent(new Event('focus'))")  # asks for the image
    mouse = driver.page.mouse
    mouse.move(*driver.at(20, 20))
    mouse.down()
    mouse.move(*driver.at(120, 100))
    mouse.up()
    driver.settle()
    boxes = [row[1:5] for row in program.call("image", {"image": 0}).json["images"][0]["boxes"]]
    assert boxes[0] == [200, 200, 220, 220]
    driver.page.close()


@pytest.fixture
def three(tmp_path: Path, start: Start, browser: Any) -> Iterator[tuple[Any, Driver]]:
    """A page with three images, of which the first has a box."""
    pytest.importorskip("boxwright_voc", reason="the format labelimg")
    drawn_samples(tmp_path, 3, size=(320, 240))
    program = start(str(tmp_path), "--classes", "fig,nut")
    program.call("edit", {"image": 0, "revision": 0, "boxes": [["fig", 20, 20, 120, 100, None]]})
    driver = Driver(browser.new_page())
    driver.open(program.address)
    yield program, driver
    assert driver.problems == []
    driver.page.close()


def delay(driver: Driver, name: str, milliseconds: int) -> None:
    """Makes a request take longer."""
    driver.page.evaluate(
        "([name, time]) => { const send = window.fetch; window.fetch = async (url, options) => {"
        " if (String(url).includes(name)) await new Promise((done) => setTimeout(done, time));"
        " return send(url, options); }; }",
        [f"api/{name}", milliseconds],
    )


def keys(driver: Driver, *names: str) -> None:
    """Presses keys without any time between them."""
    driver.page.evaluate(
        "(names) => names.forEach((name) => document.getElementById('stage').dispatchEvent(new KeyboardEvent('keydown',"
        " { key: name.replace('^', ''), ctrlKey: name.startsWith('^'), bubbles: true })))",
        list(names),
    )


def boxes_of(program: Any, image: int) -> list[list[Any]]:
    return [row[:5] for row in program.call("image", {"image": image}).json["images"][0]["boxes"]]


def shown(driver: Driver) -> list[str]:
    return [each.get_attribute("title") for each in driver.page.locator("#boxes li").all()]


def test_edits_during_a_save_are_kept_and_shown(three: tuple[Any, Driver]) -> None:
    program, driver = three
    driver.key("Tab")
    delay(driver, "save", 200)
    keys(driver, "^s", "^d")
    driver.settle()
    assert boxes_of(program, 0) == [["fig", 20, 20, 120, 100], ["fig", 30, 30, 130, 110]]
    assert shown(driver) == ["20, 20, 120, 100", "30, 30, 130, 110"]
    keys(driver, "ArrowRight")
    driver.settle()
    assert boxes_of(program, 0)[1] == ["fig", 31, 30, 131, 110]


def test_edits_that_wait_are_kept_when_another_image_is_shown(three: tuple[Any, Driver]) -> None:
    program, driver = three
    driver.key("Tab")
    delay(driver, "edit", 40)
    keys(driver, *["ArrowRight"] * 10, "d", "a")
    driver.ready(0)
    assert boxes_of(program, 0) == [["fig", 30, 20, 130, 100]]
    assert shown(driver) == ["30, 20, 130, 100"]


def test_a_box_that_is_drawn_before_the_others_are_known_is_added(three: tuple[Any, Driver]) -> None:
    program, driver = three
    program.call("edit", {"image": 1, "revision": 0, "boxes": [["nut", 200, 100, 300, 200, None]]})
    delay(driver, "image", 400)
    driver.key("d")
    driver.page.wait_for_selector("#stage svg[data-image='1'][data-ready=true]")
    mouse = driver.page.mouse
    mouse.move(*driver.at(20, 20))
    mouse.down()
    mouse.move(*driver.at(90, 90))
    mouse.up()
    driver.key("d")
    driver.ready(2)
    driver.settle()
    assert boxes_of(program, 1) == [["nut", 200, 100, 300, 200], ["fig", 20, 20, 90, 90]]


def test_an_edit_right_after_an_undo_keeps_what_that_brought_back(three: tuple[Any, Driver]) -> None:
    program, driver = three
    delay(driver, "undo", 100)
    keys(driver, "Tab", "^d", "Delete", "^z", "Tab", "ArrowRight")
    driver.settle()
    driver.settle()
    assert boxes_of(program, 0) == [["fig", 20, 20, 120, 100], ["fig", 30, 30, 130, 110]]
    assert shown(driver) == ["20, 20, 120, 100", "30, 30, 130, 110"]
    assert not driver.page.locator("dialog[open]").count()


def test_a_drag_ends_when_another_image_is_shown(three: tuple[Any, Driver]) -> None:
    program, driver = three
    mouse = driver.page.mouse
    mouse.move(*driver.at(200, 30))
    mouse.down()
    mouse.move(*driver.at(230, 60))
    driver.key("d")
    driver.ready(1)
    mouse.move(*driver.at(240, 80))
    mouse.up()
    driver.settle()
    assert boxes_of(program, 1) == []


def test_space_marks_an_image_as_checked_and_never_takes_the_mark_away(three: tuple[Any, Driver]) -> None:
    program, driver = three
    for _ in range(2):
        driver.key("Space")
        driver.settle()
        assert program.call("dataset").json["images"][0]["verified"]


def test_the_list_of_classes_stays_open_while_the_page_is_drawn_again(three: tuple[Any, Driver]) -> None:
    program, driver = three
    driver.key("Tab")
    driver.page.focus("#boxes select")
    driver.page.evaluate("window.dispatchEvent(new Event('focus'))")  # asks for the image
    driver.settle()
    assert driver.page.evaluate("document.activeElement.tagName") == "SELECT"
    driver.page.select_option("#boxes select", "nut")
    driver.settle()
    assert boxes_of(program, 0) == [["nut", 20, 20, 120, 100]]


def test_a_question_that_another_one_replaces_is_answered_with_nothing(three: tuple[Any, Driver]) -> None:
    _, driver = three
    asked = (
        "async () => { const { ask } = await import('./page.js'); const first = ask('a', '', { ok: 'OK' });"
        " ask('b', '', { ok: 'OK' });"
        " return Promise.race([first, new Promise((done) => setTimeout(done, 200, 'none'))]); }"
    )
    assert driver.page.evaluate(asked) is None


def test_keys_in_a_slider_are_its_own(proposing: tuple[AnnotationSession, Driver]) -> None:
    session, driver = proposing
    driver.key("Space")
    driver.settle()
    driver.key("Tab")
    before = rows(session)
    driver.page.locator("#score").focus()
    driver.key("ArrowRight", 3)
    driver.settle()
    assert rows(session) == before
    driver.key("Tab")
    assert driver.page.evaluate("document.activeElement.id") != "score"


def test_proposals_that_are_hidden_are_not_accepted(proposing: tuple[AnnotationSession, Driver]) -> None:
    session, driver = proposing
    driver.key("h")
    driver.key("Space")
    driver.settle()
    assert rows(session) == []
    driver.key("h")
    driver.key("Space")
    driver.settle()
    assert len(rows(session)) == 1


def test_the_command_line_of_the_browser_has_an_address_that_works_once(
    tmp_path: Path, browser: Any, monkeypatch: Any
) -> None:
    pytest.importorskip("boxwright_voc", reason="the format labelimg")
    drawn_samples(tmp_path, 1, size=(320, 240))
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    page, reporter = PageAnnotator(), Address()
    with AnnotationSession(str(tmp_path)) as session:
        thread = threading.Thread(target=page.annotate, args=(session, reporter))
        thread.start()
        assert reporter.found.wait(20)
        driver = Driver(browser.new_page())
        while not opened:
            driver.page.wait_for_timeout(20)
        driver.page.goto(opened[0])
        driver.ready(0)
        assert driver.page.url.startswith(reporter.address)
        assert driver.page.request.get(opened[0]).status == 403
        driver.page.close()
        page.stop()
        thread.join(20)
    assert reporter.address.rstrip("/").rpartition("/")[2] not in opened[0]
