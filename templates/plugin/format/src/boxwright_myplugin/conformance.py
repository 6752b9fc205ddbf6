"""The conformance tests of the format; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from boxwright_testing import BadInput, ReaderTests, WriterTests

GOOD = '{"image": "a.jpg", "width": 40, "height": 30, "boxes": [{"label": "fig", "box": [1, 2, 30.5, 20]}]}\n'


class TestConformance(ReaderTests, WriterTests):
    """What every format must do; `boxwright_testing` documents the attributes that a subclass can set."""

    format = "myplugin"

    def read_options(self, images: Path) -> Mapping[str, str]:
        """Returns the options that name the folder of a test's images."""
        return {"images": str(images)}

    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        """Returns files with a mistake in line 2, each with the expected error."""
        mistakes = {
            "not JSON": ("nonsense\n", r"line 2: Expecting value"),
            "not an object": ("[1, 2]\n", r"line 2: expected a JSON object with \"image\""),
            "no width": (GOOD.replace('"width": 40, ', ""), r"line 2: 'width' is missing"),
            "width 0": (GOOD.replace("40", "0"), r"line 2: width is 0, not a number of pixels"),
            "width in words": (GOOD.replace("40", '"wide"'), r"line 2: width is 'wide'"),
            "three coordinates": (GOOD.replace("1, 2, ", "2, "), r"line 2: .*expected 4, got 3"),
            "not finite": (GOOD.replace("30.5", "NaN"), r"line 2: .*not a finite number"),
            "inverted": (GOOD.replace("[1,", "[31,"), r"line 2: .*xmin 31 is greater than xmax 30\.5"),
            "no class": (GOOD.replace('"fig"', '""'), r"line 2: .*empty label"),
            "outside": (GOOD.replace("a.jpg", "../a.jpg"), r"line 2: .*leads out of the folder"),
        }
        inputs = []
        for number, (problem, (line, says)) in enumerate(mistakes.items()):
            path = folder / f"{number}.myplugin"
            path.write_text(GOOD + line, "utf-8")
            message = rf"{number}\.myplugin, {says}"
            inputs.append(BadInput(problem, path, message, skipped=1, good=1))
        return inputs
