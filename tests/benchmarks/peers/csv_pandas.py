"""labelImg XML to CSV with ElementTree and pandas, the way the tutorials do it.

``python csv_pandas.py FOLDER OUT.csv LABEL_MAP``
"""

import glob
import sys
from xml.etree import ElementTree

import pandas as pd

COLUMNS = ["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"]


def main(folder, out, label_map):
    rows = []
    for path in sorted(glob.glob(f"{folder}/*.xml")):
        root = ElementTree.parse(path).getroot()
        size = root.find("size")
        for item in root.findall("object"):
            box = item.find("bndbox")
            rows.append(
                (
                    root.find("filename").text,
                    int(size.findtext("width", "")),
                    int(size.findtext("height", "")),
                    item.find("name").text,
                    *(int(box.findtext(edge, "")) for edge in COLUMNS[4:]),
                )
            )
    table = pd.DataFrame(rows, columns=COLUMNS)
    table.to_csv(out, index=False)
    with open(label_map, "w", encoding="utf-8") as file:
        names = sorted(table["class"].unique())
        items = [f"item {{\n    id: {i}\n    name: '{name}'\n}}" for i, name in enumerate(names, start=1)]
        file.write("\n\n".join(items))


if __name__ == "__main__":
    main(*sys.argv[1:])
