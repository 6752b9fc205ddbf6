from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from boxwright_createml import conformance
from boxwright_testing import BadInput

BOX = '{"label": "fig", "coordinates": {"x": 20, "y": 15, "width": 10, "height": 8}}'
GOOD = f'{{"image": "a.jpg", "annotations": [{BOX}]}}'


class TestCreateML(conformance.TestCreateML):
    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        """Each after one image that is as it should be; the wrong entry is the second, in line 3."""
        entry = f'{{"image": "b.jpg", "annotations": [{BOX}]}}'
        wrong = {
            "no object": ("[1, 2]", r"image 2 \(line 3\): it is not an object"),
            "a number": ("12", r"image 2 \(line 3\): it is not an object"),
            "no image": (entry.replace("image", "name"), r"image 2 \(line 3\): it names no image"),
            "a number as image": (entry.replace('"b.jpg"', "7"), r"image 2 \(line 3\): it names no image"),
            "an empty name": (entry.replace("b.jpg", ""), r"image 2 \(line 3\): it names no image"),
            "no annotations": ('{"image": "b.jpg"}', r"image 2 \(line 3\): b\.jpg has no list of annotations"),
            "annotations are null": ('{"image": "b.jpg", "annotations": null}', r"b\.jpg has no list of annotations"),
            "annotations in an object": (f'{{"image": "b.jpg", "annotations": {BOX}}}', r"has no list of annotations"),
            "an annotation in words": (entry.replace(BOX, '"fig"'), r"\(line 3\), annotation 1: it is not an object"),
            "no label": (entry.replace("label", "name"), r"annotation 1: it has no label"),
            "a number as label": (entry.replace('"fig"', "3"), r"annotation 1: it has no label\n.*in quotes"),
            "no coordinates": (entry.replace("coordinates", "box"), r"annotation 1 \(fig\): it has no coordinates"),
            "coordinates as list": (
                entry.replace(BOX, '{"label": "fig", "coordinates": [1, 2, 3, 4]}'),
                r"no coordinates",
            ),
            "no width": (entry.replace('"width"', '"w"'), r"annotation 1 \(fig\): it has no width"),
            "a text as x": (entry.replace("20", '"20"'), r"annotation 1 \(fig\): x is '20', not a number"),
            "yes as x": (entry.replace("20", "true"), r"annotation 1 \(fig\): x is True, not a number"),
            "negative": (entry.replace("10", "-10"), r"annotation 1 \(fig\): width is negative: -10"),
            "infinity": (entry.replace("20", "1e999"), r"annotation 1 \(fig\): x is not a finite number"),
            "a huge number": (entry.replace("20", "1" * 400), r"annotation 1 \(fig\): x is not a finite number"),
            "outside": (entry.replace("b.jpg", "../c.jpg"), r'the "image" is \'\.\./c\.jpg\', which leads out'),
            "absolute": (entry.replace("b.jpg", "/c.jpg"), r'the "image" is \'/c\.jpg\', which leads out'),
            "not there": (entry.replace("b.jpg", "c.jpg"), r"the image c\.jpg is missing"),
            "the same image": (
                GOOD,
                r"image 2 \(line 3\): it names the image a\.jpg, as .*image 1 \(line 2\) does",
            ),
        }
        inputs = [
            BadInput(what, self._put(folder / what, f"[\n{GOOD},\n{content}\n]"), message, skipped=1, good=1)
            for what, (content, message) in wrong.items()
        ]
        # The rest of a file with a JSON error cannot be read.
        broken = {
            "a comma too many": (f"[\n{GOOD},\n]", r"a\.json, line 3: it is not valid JSON"),
            "no comma": (f"[\n{GOOD}\n{entry}]", r"a\.json, line 3: .* there is '\{' after an element, not a comma"),
            "cut off in an entry": (f"[\n{GOOD},\n{entry[:50]}", r"a\.json, line 3: it is not valid JSON"),
            "cut off after an entry": (f"[\n{GOOD}\n", r"a\.json, line 3: .* the list is incomplete"),
            "more than a list": (f"[\n{GOOD}]\n[]", r"a\.json, line 3: .* there is '\[' after the list"),
            "NaN": (f"[\n{GOOD},\n{entry.replace('20', 'NaN')}]", r"a\.json, line 3: .*NaN is not a JSON number"),
            "too many digits": (
                f"[\n{GOOD},\n{entry.replace('20', '1' * 5000)}]",
                r"a\.json, line 3: it is not valid JSON: .*digit",
            ),
            "nested too deeply": (f"[\n{GOOD},\n" + "[" * 100_000, r"a\.json, line 3: it is nested too deeply"),
            "an open text": (f'[\n{GOOD},\n{{"image": "b.jpg\n', r"a\.json, line 3: it is not valid JSON"),
        }
        inputs += [
            BadInput(what, self._put(folder / what, content), message, skipped=1, good=1)
            for what, (content, message) in broken.items()
        ]
        others: dict[str, tuple[str | bytes, str]] = {
            "COCO": ('{"images": [], "annotations": []}', r"a\.json, line 1: it is not a list: it begins with '\{'"),
            "empty": ("", r"a\.json, line 1: it is empty"),
            "not UTF-8": (b'[{"image": "\xff.jpg"}]', r"a\.json, line 1: it is not UTF-8 text"),
            "half of UTF-16": ("[]".encode("utf-16")[:-1], r"a\.json, line 1: it is not UTF-16 text"),
        }
        inputs += [
            BadInput(what, self._put(folder / what, content), message, skipped=1)
            for what, (content, message) in others.items()
        ]
        place = self._put(folder / "no json", "[]")
        (place / "a.json").unlink()
        inputs.append(BadInput("no JSON", place, r"it contains images \(2\) and no JSON file", skipped=0))
        return inputs

    def _put(self, folder: Path, content: str | bytes) -> Path:
        folder.mkdir()
        for name in ("a.jpg", "b.jpg"):
            Image.new("RGB", (40, 30)).save(folder / name)
        (folder / "a.json").write_bytes(content.encode() if isinstance(content, str) else content)
        return folder
