"""The conformance tests of the format; read by pytest and by ``boxwright plugins check``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from boxwright_testing import BadInput, ReaderTests, WriterTests

GOOD = '{"picture": "a.jpg", "width": 40, "height": 30, "boxes": [{"label": "fig", "edges": [1, 2, 30.5, 20]}]}\n'


class TestConformance(ReaderTests, WriterTests):
    """What every format has to keep; `boxwright_testing` says what a subclass can set."""

    format = "myplugin"

    def read_options(self, pictures: Path) -> Mapping[str, str]:
        """Where the pictures of a test's dataset are."""
        return {"images": str(pictures)}

    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        """Files with something wrong in line 2, each with the answer that is expected."""
        wrong = {
            "no JSON": ("nonsense\n", r"line 2: Expecting value"),
            "no object": ("[1, 2]\n", r"line 2: it is no JSON object with a \"picture\""),
            "no width": (GOOD.replace('"width": 40, ', ""), r"line 2: 'width' is missing"),
            "width 0": (GOOD.replace("40", "0"), r"line 2: width is 0, which is no number of pixels"),
            "width in words": (GOOD.replace("40", '"wide"'), r"line 2: width is 'wide'"),
            "three edges": (GOOD.replace("1, 2, ", "2, "), r"line 2: .*expected 4, got 3"),
            "not finite": (GOOD.replace("30.5", "NaN"), r"line 2: .*not a finite number"),
            "inverted": (GOOD.replace("[1,", "[31,"), r"line 2: .*xmin 31 is greater than xmax 30\.5"),
            "no class": (GOOD.replace('"fig"', '""'), r"line 2: .*empty label"),
            "outside": (GOOD.replace("a.jpg", "../a.jpg"), r"line 2: .*leads out of the folder"),
        }
        inputs = []
        for number, (what, (line, says)) in enumerate(wrong.items()):
            path = folder / f"{number}.myplugin"
            path.write_text(GOOD + line, "utf-8")
            answer = rf"{number}\.myplugin, {says}"
            inputs.append(BadInput(what, path, answer, skipped=1, good=1))
        return inputs
