"""The page in headless Chromium: what it shows, and what it must never do."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from boxwright import LabelMap

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
TOKEN = "a-token-of-this-test"
HOSTILE = "<img src=x onerror=document.title='hacked'>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as driver:
        own = driver.chromium.executable_path
        path = own if os.path.isfile(own) else next(filter(None, map(shutil.which, _PROGRAMS)), None)
        if path is None:
            pytest.skip("needs Chromium or Chrome: apt-get install chromium")
        # Chromium's sandbox needs namespaces, which root and containers often do not have.
        chromium = driver.chromium.launch(executable_path=path, args=["--disable-gpu", "--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """``opened(server)`` opens the page; at the end, nothing of another server was requested and nothing failed."""
    pages: list[Any] = []
    problems: list[str] = []

    def start(server: Any, path: str = "/", **options: Any) -> Any:
        page = browser.new_context(**options).new_page()
        address = f"http://127.0.0.1:{server.port}"
        page.on("pageerror", lambda error: problems.append(str(error)))
        own = (address, "data:", "blob:")
        page.on("console", lambda message: problems.append(message.text) if "Policy" in message.text else None)
        page.on("request", lambda asked: None if asked.url.startswith(own) else problems.append(asked.url))
        page.goto(address + path)
        pages.append(page)
        return page

    yield start
    for page in pages:
        page.context.close()
    assert problems == []


def says(page: Any, text: str) -> None:
    sync_api.expect(page.locator("#status")).to_contain_text(text)


def drop(page: Any, name: str, data: bytes) -> None:
    """Drops a file on the page, as a browser reports it."""
    page.evaluate(
        """([name, bytes]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], name));
          const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
          document.body.dispatchEvent(new DragEvent("drop", options));
        }""",
        [name, list(data)],
    )


def test_boxes_are_drawn_where_they_are(serve: Any, opened: Any, encoded: Any) -> None:
    page = opened(serve())
    says(page, "Ready")
    assert page.title() == "toy"
    assert page.locator("#classes").inner_text() == "night, noon"
    page.set_input_files("#file", {"name": "a.png", "mimeType": "image/png", "buffer": encoded(900, 600, 204)})
    says(page, "1 object in a.png")
    assert '"score": 0.8' in page.locator("#json").text_content()
    canvas = page.evaluate(
        """() => {
          const canvas = document.getElementById("canvas");
          const at = (x, y) => [...canvas.getContext("2d").getImageData(x, y, 1, 1).data.slice(0, 3)];
          return { size: [canvas.width, canvas.height], inside: at(450, 360), right: at(899, 360) };
        }"""
    )
    assert canvas["size"] == [900, 600]
    assert canvas["inside"] == [204, 204, 204]
    assert canvas["right"] != [204, 204, 204]
    # The slider hides what is below it, without another request.
    page.locator("#score").fill("81")
    says(page, "Nothing in a.png")
    assert page.locator("#threshold").inner_text() == "81 %"
    page.locator("#reset").click()
    says(page, "1 object in a.png")
    assert page.locator("#threshold").inner_text() == "30 %"
    page.get_by_role("button", name="1 noon").click()
    says(page, "Nothing in a.png")
    assert '"detections": []' in page.locator("#json").text_content()


def test_images_are_dropped_and_chosen_again(serve: Any, opened: Any, encoded: Any) -> None:
    page = opened(serve())
    says(page, "Ready")
    drop(page, HOSTILE, encoded(30, 20, 204))
    says(page, f"1 object in {HOSTILE}")
    drop(page, "not an image.jpg", b"hello")
    says(page, "not an image.jpg: image: it cannot be read as an image")
    assert "wrong" in page.locator("#status").get_attribute("class")
    drop(page, "b.png", encoded(30, 20, 102))
    says(page, "1 object in b.png")
    kept = "state.images.map(({ bitmap }) => Boolean(bitmap)).join()"
    assert page.evaluate(kept) == "false,false,true"
    page.get_by_role("button", name=HOSTILE, exact=True).click()
    says(page, f"1 object in {HOSTILE}")
    page.wait_for_function(f"{kept} === 'true,false,false'")
    inside = "[...canvas.getContext('2d').getImageData(400, 400, 1, 1).data].join()"
    page.wait_for_function(f"{inside} === '204,204,204,255'")
    assert page.title() == "toy"
    assert page.locator("img").count() == 0


def test_the_tuned_score_is_not_rounded(serve: Any, opened: Any, encoded: Any, toy: Any) -> None:
    page = opened(serve(other=toy(score=0.504)))
    says(page, "Ready")
    drop(page, "a.png", encoded(30, 20, 128))  # 0.50196
    says(page, "Nothing in a.png")
    page.locator("#score").fill("50")
    page.locator("#score").dispatch_event("input")
    says(page, "1 object in a.png")


def test_labels_are_text(serve: Any, opened: Any, encoded: Any, toy: Any) -> None:
    model = toy(score=(0.3, 0.6))
    model.label_map = LabelMap.from_names(["night", HOSTILE], sort=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(type(model).predict.__globals__, "LABELS", model.label_map.names)
        page = opened(serve(other=model))
        says(page, "Ready")
        assert page.locator("#threshold").inner_text() == "as tuned"
        drop(page, "a.png", encoded(30, 20, 150))  # 0.588, below the score of its class
        says(page, "Nothing in a.png")
        page.locator("#score").fill("50")
        says(page, "1 object in a.png")
        assert page.locator("#counts").inner_text() == f"1 {HOSTILE}"
        assert page.title() == "toy"
        assert page.locator("img").count() == 0


def test_the_token_is_asked_for(serve: Any, opened: Any, encoded: Any) -> None:
    server = serve(token=TOKEN)
    page = opened(server)
    says(page, "The server needs a token")
    page.locator("#token").fill("wrong")
    page.keyboard.press("Enter")
    says(page, "the token is wrong")
    page.locator("#token").fill(TOKEN)
    page.keyboard.press("Enter")
    says(page, "Ready")
    drop(page, "a.png", encoded(30, 20, 204))
    says(page, "1 object in a.png")
    assert TOKEN not in page.content()
    says(opened(server, "/#token=%"), "the token is wrong")
    early = opened(server)
    says(early, "The server needs a token")
    drop(early, "b.png", encoded(30, 20, 204))
    early.locator("#token").fill(TOKEN)
    early.keyboard.press("Enter")
    says(early, "1 object in b.png")
    linked = opened(server, f"/#token={TOKEN}")
    says(linked, "Ready")
    assert linked.url == f"http://127.0.0.1:{server.port}/"


def test_a_photo_that_is_stored_rotated(serve: Any, opened: Any, encoded: Any) -> None:
    page = opened(serve())
    says(page, "Ready")
    drop(page, "a.jpg", encoded(40, 24, 204, "JPEG", orientation=6))
    says(page, "1 object")
    assert page.evaluate("[canvas.width, canvas.height]") == [480, 800]
    assert page.evaluate("[state.current.bitmap.width, state.current.bitmap.height]") == [24, 40]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_on_a_phone(serve: Any, opened: Any, scheme: str, tmp_path: Path) -> None:
    page = opened(serve(), viewport={"width": 400, "height": 800}, color_scheme=scheme)
    says(page, "Ready")
    buffer = io.BytesIO()
    Image.new("RGB", (1600, 900), "gray").save(buffer, "PNG")
    drop(page, "a name that is as long as those of some cameras " * 4, buffer.getvalue())
    says(page, "1 object")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
