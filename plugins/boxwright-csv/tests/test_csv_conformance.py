from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from boxwright_testing import BadInput, ReaderTests, WriterTests

HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
GOOD = "a.jpg,40,30,fig,1,2,30,20\n"


class TestCsv(ReaderTests, WriterTests):
    format = "csv"

    def bad_inputs(self, folder: Path) -> Sequence[BadInput]:
        """Files with one valid image, followed by the invalid row in line 3."""
        invalid = {
            "too few fields": ("b.jpg,40,30,fig,1,2,30\n", r"line 3: it has 7 fields, but the header has 8"),
            "comma without quotes": ("b.jpg,40,30,red, ripe,1,2,30,20\n", r"line 3: it has 9 fields"),
            "open quote": ('b.jpg,40,30,"fig,1,2,30,20\n', r"line 3: it cannot be read as CSV"),
            "not a number": ("b.jpg,40,30,fig,left,2,30,20\n", r"line 3 \(fig\): xmin is 'left'"),
            "not finite": ("b.jpg,40,30,fig,1,nan,30,20\n", r"line 3 \(fig\): ymin is 'nan'"),
            "infinite": ("b.jpg,40,30,fig,1,2,1e999,20\n", r"line 3 \(fig\): xmax is '1e999'"),
            "a missing coordinate": ("b.jpg,40,30,fig,1,2,30,\n", r"line 3 \(fig\): ymax is empty"),
            "inverted": ("b.jpg,40,30,fig,31,2,30,20\n", r"line 3 \(fig\): xmin 31 is greater than xmax 30\n.*swap"),
            "no class": ("b.jpg,40,30, ,1,2,30,20\n", r"line 3: the class is empty"),
            "no file name": (",40,30,fig,1,2,30,20\n", r"line 3: the file name is empty"),
            "no size": ("b.jpg,,,fig,1,2,30,20\n", r"line 3: it does not contain the image's size.*\n.*images=FOLDER"),
            "size 0": ("b.jpg,0,30,fig,1,2,30,20\n", r"line 3: it does not contain the image's size"),
            "size in words": ("b.jpg,wide,30,fig,1,2,30,20\n", r"line 3: width is 'wide'"),
            "outside": ("../b.jpg,40,30,fig,1,2,30,20\n", r"line 3: the file name is '\.\./b\.jpg', which leads out"),
            "absolute": ("/b.jpg,40,30,fig,1,2,30,20\n", r"line 3: the file name is '/b\.jpg', which leads out"),
            "drive": ("C:\\b.jpg,40,30,fig,1,2,30,20\n", r"line 3: the file name .* leads out"),
            "two sizes": (
                "b.jpg,40,30,fig,1,2,30,20\nb.jpg,40,31,fig,1,2,30,20\nb.jpg,40,30,fig,1,2,30,20\n",
                r"line 4: b\.jpg is 40 x 31 here and 40 x 30 in line 3",
            ),
        }
        inputs = []
        for number, (what, (rows, says)) in enumerate(invalid.items()):
            place = folder / f"{number}.csv"
            place.write_text(HEADER + GOOD + rows)
            inputs.append(BadInput(what, place, rf"{number}\.csv, {says}", skipped=1, good=1))
        apart = folder / "apart.csv"
        apart.write_text(HEADER + GOOD + "b.jpg,40,30,fig,1,2,30,20\n" + GOOD)
        says = r"apart\.csv, line 4: the rows of a\.jpg are not consecutive\n.*grouped=false"
        inputs.append(BadInput("rows apart", apart, says, skipped=1, good=2))
        return inputs
