"""Reading: exports as each tool writes them, values calculated manually, and invalid files."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from PIL import Image

import boxwright
from boxwright import DataError, Sample
from boxwright.datasets import open_dataset

pytest.importorskip("panlabel")


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """``put(name, content)``: a file of the test's folder, with text, JSON, or an image of ``(width, height)``."""

    def write(name: str, content: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, tuple):
            exif = Image.Exif()
            exif[0x0112] = content[2] if len(content) > 2 else 1
            Image.new("RGB", content[:2], (90, 120, 60)).save(path, exif=exif)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return path

    return write


def read(uri: str, **options: Any) -> list[Sample]:
    return list(open_dataset(uri, **options))


def boxes(sample: Sample) -> list[tuple[Any, ...]]:
    return [(box.label, *box.coordinates, box.attributes) for box in sample.boxes]


def test_sagemaker(put: Callable[..., Path]) -> None:
    # The example of the manual, https://docs.aws.amazon.com/sagemaker/latest/dg/sms-data-output.html, shortened.
    edges = {"left": 111, "top": 134, "width": 61, "height": 128}
    row = {
        "source-ref": "s3://bucket/prefix/example_image.png",
        "box": {
            "annotations": [
                {"class_id": 0, **edges},
                {"class_id": 5, "left": 161, "top": 250, "width": 30, "height": 30},
            ],
            "image_size": [{"width": 500, "height": 400, "depth": 3}],
        },
        "box-metadata": {
            "objects": [{"confidence": 0.8}, {"confidence": 0.9}],
            "class-map": {"0": "dog", "5": "bone"},
            "type": "groundtruth/object-detection",
            "human-annotated": "yes",
            "creation-date": "2018-10-18T22:18:13.527256",
            "job-name": "identify-dogs-and-toys",
        },
    }
    dataset = boxwright.open(f"sagemaker:{put('output.manifest', row)}")
    (sample,) = dataset
    assert boxes(sample) == [("dog", 111, 134, 172, 262, {"score": 0.8}), ("bone", 161, 250, 191, 280, {"score": 0.9})]
    assert sample.attributes == {
        "path": "s3://bucket/prefix/example_image.png",
        "creation_date": "2018-10-18T22:18:13.527256",
        "job_name": "identify-dogs-and-toys",
    }
    assert dataset.info.attributes == {"label_attribute_name": "box"}
    assert dataset.label_map.names == ("dog", "bone")


def test_supervisely(put: Callable[..., Path], tmp_path: Path) -> None:
    def ann(edges: list[list[int]]) -> dict[str, Any]:
        shape = {"geometryType": "rectangle", "points": {"exterior": edges, "interior": []}}
        figure = {"id": 497489555, "classTitle": "car", "classId": 2, "tags": [], **shape}
        return {"description": "", "tags": [], "size": {"height": 30, "width": 40}, "objects": [figure]}

    put("p/meta.json", {"classes": [{"title": "car", "shape": "rectangle", "color": "#123456"}], "tags": []})
    put("p/ds0/ann/a.jpg.json", ann([[1, 2], [30, 20]]))
    put("p/ds1/ann/a.jpg.json", ann([[0, 0], [40, 30]]))
    put("p/ds1/img/a.jpg", (40, 30))
    one, two = read(f"supervisely:{tmp_path / 'p'}")
    assert (one.image.name, boxes(one)) == ("ds0/a.jpg", [("car", 1, 2, 30, 20, {"id": 497489555})])
    assert (two.image.name, two.image.location) == ("ds1/a.jpg", str(tmp_path / "p" / "ds1" / "img" / "a.jpg"))


BDD = [
    {
        "name": "b1c66a42.jpg",
        "attributes": {"weather": "clear", "timeofday": "daytime"},
        "labels": [
            {
                "category": "car",
                "attributes": {"occluded": True, "truncated": False, "trafficLightColor": "none"},
                "box2d": {"x1": 10.5, "y1": 20, "x2": 30.5, "y2": 25},
            }
        ],
    }
]


def test_bdd100k_has_no_sizes(put: Callable[..., Path], tmp_path: Path) -> None:
    path = put("labels.json", BDD)
    with pytest.raises(DataError, match=r"size, 31x25, may be guessed\D*\n.*images=FOLDER.*guessed=accept"):
        read(f"bdd100k:{path}")
    (sample,) = read(f"bdd100k:{path}?guessed=accept")
    assert (sample.image.width, sample.image.height) == (31, 25)
    put("photos/b1c66a42.jpg", (1280, 720))
    (sample,) = read(f"bdd100k:{path}?images={tmp_path / 'photos'}")
    assert (sample.image.width, sample.image.height) == (1280, 720)
    assert boxes(sample) == [("car", 10.5, 20, 30.5, 25, {"occluded": 1, "trafficLightColor": "none"})]
    assert sample.attributes == {"weather": "clear", "timeofday": "daytime"}
    (sample,) = read(f"bdd100k:{path}?guessed=accept&inclusive=true")
    assert sample.boxes.coordinates == ((10.5, 20, 31.5, 26),)


def test_v7_darwin_has_one_file_per_image(put: Callable[..., Path], tmp_path: Path) -> None:
    # As `darwin dataset pull` leaves it, shortened.
    slot = {"type": "image", "slot_name": "0", "width": 1920, "height": 1080, "source_files": [{"file_name": "a.jpg"}]}
    box = {
        "bounding_box": {"h": 50.5, "w": 100.0, "x": 10.0, "y": 20.0},
        "id": "3c1f-uuid",
        "name": "car",
        "slot_names": ["0"],
    }
    for name, path in (("a.jpg", "/"), ("b.jpg", "/cam1")):
        item = {"name": name, "path": path, "source_info": {"item_id": "x"}, "slots": [slot]}
        put(f"d/{name}.json", {"version": "2.0", "item": item, "annotations": [box]})
    one, two = read(f"v7-darwin:{tmp_path / 'd'}")
    assert (one.image.name, one.image.width, one.image.height) == ("a.jpg", 1920, 1080)
    assert boxes(one) == [("car", 10, 20, 110, 70.5, {})]
    assert two.image.name == "cam1/b.jpg"
    put(
        "d/c.json",
        {"version": "2.0", "annotations": [{"polygon": {}, "name": "car"}], "item": {"name": "c.jpg", "slots": [slot]}},
    )
    with pytest.raises(DataError, match="darwin_unsupported_annotations_skipped: 1"):
        read(f"v7-darwin:{tmp_path / 'd'}")


def test_superannotate_scores_of_a_hundred(put: Callable[..., Path], tmp_path: Path) -> None:
    points = {"x1": 1, "x2": 30, "y1": 2, "y2": 20}
    instances = [{"type": "bbox", "className": "car", "points": points, "probability": p, "id": 3} for p in (100, 29)]
    put("d/a.jpg.json", {"metadata": {"name": "a.jpg", "width": 40, "height": 30}, "instances": instances})
    (sample,) = read(f"superannotate:{tmp_path / 'd'}")
    assert boxes(sample) == [
        ("car", 1, 2, 30, 20, {"id": 3, "score": 1.0}),
        ("car", 1, 2, 30, 20, {"id": 3, "score": 0.29}),
    ]
    boxwright.convert(f"superannotate:{tmp_path / 'd'}", f"superannotate:{tmp_path / 'e'}?pictures=false")
    (file,) = (tmp_path / "e" / "annotations").iterdir()
    assert [instance["probability"] for instance in json.loads(file.read_text())["instances"]] == [100.0, 29.0]


def test_openlabel_keeps_the_order_of_its_numbers(put: Callable[..., Path]) -> None:
    boxed = {str(n): {"object_data": {"bbox": [{"name": "b", "val": [10 * n, 10, 4, 6]}]}} for n in (2, 10, 1)}
    frame = {"frame_properties": {"file_name": "a.jpg", "width": 200, "height": 90}, "objects": boxed}
    content = {"openlabel": {"frames": {"0": frame}, "objects": {n: {"type": "car"} for n in boxed}, "metadata": {}}}
    (sample,) = read(f"openlabel:{put('o.json', content)}")
    assert [(box[0], *box[1:5], box[5]["id"]) for box in boxes(sample)] == [
        ("car", 8, 7, 12, 13, 1),
        ("car", 18, 7, 22, 13, 2),
        ("car", 98, 7, 102, 13, 10),
    ]


def test_cityscapes_has_the_bounding_boxes_of_polygons(put: Callable[..., Path], tmp_path: Path) -> None:
    def polygon(label: str, *points: list[int]) -> dict[str, Any]:
        return {"label": label, "polygon": list(points)}

    objects = [
        polygon("car", [10, 20], [100, 25], [60, 90]),
        polygon("persongroup", [200, 100], [250, 180], [210, 170]),
        polygon("road", [0, 0], [2048, 0], [2048, 1024]),
    ]
    for name in ("aachen_000000_000019", "aachen_000001_000019", "aachen_000002_000019"):
        put(
            f"c/gtFine/val/aachen/{name}_gtFine_polygons.json",
            {"imgHeight": 1024, "imgWidth": 2048, "objects": objects},
        )
    first, *_ = samples = read(f"cityscapes:{tmp_path / 'c'}")
    assert len(samples) == 3
    assert first.image.name == "leftImg8bit/val/aachen/aachen_000000_000019_leftImg8bit.png"
    assert (first.split, first.attributes) == ("val", {"city": "aachen"})
    assert [box[:5] for box in boxes(first)] == [("car", 10, 20, 100, 90), ("person", 200, 100, 250, 180)]
    assert boxes(first)[1][5] == {"iscrowd": 1, "original_label": "persongroup"}


def test_marmot_measures_y_from_the_bottom(put: Callable[..., Path], tmp_path: Path) -> None:
    def numbers(*values: float) -> str:
        return " ".join(struct.pack(">d", value).hex() for value in values)

    page = f'<Page CropBox="{numbers(0, 792, 612, 0)}"><Contents><Composites Label="Table">' + "".join(
        f'<Composite BBox="{numbers(*edges)}" LID="{number}"/>'
        for number, edges in ((2, (61.2, 396, 306, 198)), (1, (0, 792, 612, 0)))
    )
    for name in ("p1", "p2", "p3"):
        put(f"m/{name}.xml", page + "</Composites></Contents></Page>")
        put(f"m/{name}.png", (100, 200))
    sample, *_ = read(f"marmot:{tmp_path / 'm'}")
    assert [box[:5] for box in boxes(sample)] == [("Table", 0, 0, 100, 200), ("Table", 10, 100, 50, 150)]


@pytest.mark.parametrize("name", ["yolo-keras", "yolov4-pytorch"])
def test_yolo_keras_and_its_habit(put: Callable[..., Path], tmp_path: Path, name: str) -> None:
    put("images/a.jpg", (40, 30))
    path = put("train.txt", "a.jpg 1,1,40,30,1 5,6,7,8,0\n")
    uri = f"{name}:{path}?images={tmp_path / 'images'}"
    assert boxes(read(uri)[0]) == [("class_1", 1, 1, 40, 30, {}), ("class_0", 5, 6, 7, 8, {})]
    put("classes.txt", "fig\nnut\n")
    assert boxes(read(f"{uri}&one_based=true")[0]) == [("nut", 0, 0, 40, 30, {}), ("fig", 4, 5, 7, 8, {})]
    put("classes.txt", "fig\n")
    with pytest.raises(DataError, match=r"classes\.txt: classes without a name: class_1\n.*one name per line"):
        read(uri)


WIDER = """0--Parade/0_Parade_Parade_0_452.jpg
0
0 0 0 0 0 0 0 0 0 0
0--Parade/0_Parade_Parade_0_904.jpg
2
361 98 263 339 0 0 0 0 0 0
1 2 3 4 0 1 0 1 2 0
0--Parade/0_Parade_marchingband_1_849.jpg
1
449 330 122 149 2 0 1 0 1 1
"""


def test_the_official_lists_of_wider_face(put: Callable[..., Path], tmp_path: Path) -> None:
    path = put("wider_face_split/wider_face_train_bbx_gt.txt", WIDER)
    for line in WIDER.splitlines():
        if line.endswith(".jpg"):
            put(f"WIDER_train/images/{line}", (1024, 768))
    uri = f"wider-face:{path}?images={tmp_path / 'WIDER_train' / 'images'}"
    none, two, one = read(uri)
    assert boxes(one) == [
        ("face", 449, 330, 571, 479, {"blur": 2, "illumination": 1, "occluded": 1, "atypical_pose": 1})
    ]
    assert (none.image.name, boxes(none)) == ("0--Parade/0_Parade_Parade_0_452.jpg", [])
    assert [box[:5] for box in boxes(two)] == [("face", 361, 98, 624, 437), ("face", 1, 2, 4, 6)]
    boxwright.convert(uri, f"wider-face:{tmp_path / 'again.txt'}")
    assert (tmp_path / "again.txt").read_text() == WIDER


def test_hugging_face_image_folder(put: Callable[..., Path], tmp_path: Path) -> None:
    row = {"file_name": "a.jpg", "objects": {"bbox": [[1, 2, 29, 18]], "categories": [1]}}
    put("h/train/metadata.jsonl", json.dumps(row))
    put("h/train/a.jpg", (40, 30))
    put("h/test/metadata.jsonl", json.dumps(row))
    put("h/test/a.jpg", (40, 30))
    categories = put("names.json", {"0": "fig", "1": "nut"})
    (sample,) = read(f"hf:{tmp_path / 'h'}?split=train&category_map={categories}")
    assert boxes(sample) == [("nut", 1, 2, 30, 20, {})]
    assert (sample.image.width, sample.image.height) == (40, 30)
    (sample,) = read(f"hf:{tmp_path / 'h'}?split=train&bbox=xyxy")
    assert boxes(sample) == [("1", 1, 2, 29, 18, {})]


def test_photos_with_exif_orientation_have_the_displayed_size(put: Callable[..., Path], tmp_path: Path) -> None:
    # 40x30 as stored, shown as 30x40.
    put("d/a.jpg", (40, 30, 6))
    rows = "image,xmin,ymin,xmax,ymax,label\na.jpg,3,4,30,40,fig\n"
    (sample,) = read(f"vott-csv:{put('d/export.csv', rows)}")
    assert (sample.image.width, sample.image.height, sample.boxes.coordinates) == (30, 40, ((3, 4, 30, 40),))
    (sample,) = read(f"automl-vision:{put('d/a.csv', 'TRAIN,a.jpg,fig,0.1,0.1,,,1.0,1.0,,')}")
    assert (sample.image.width, sample.image.height, sample.split) == (30, 40, "train")
    assert sample.boxes.coordinates == ((3, 4, 30, 40),)


def test_the_whole_dataset_in_panlabels_json(put: Callable[..., Path]) -> None:
    content = {
        "info": {"name": "figs", "year": 2026, "attributes": {"season": "autumn", "count": "3"}},
        "licenses": [{"id": 1, "name": "CC BY 4.0"}],
        "images": [
            {"id": 9, "file_name": "b.jpg", "width": 40, "height": 30, "license_id": 1, "date_captured": "2026-10-01"},
            {"id": 4, "file_name": "é.jpg", "width": 50, "height": 20, "attributes": {"camera": "left"}},
        ],
        "categories": [{"id": 3, "name": "nut"}, {"id": 1, "name": "fig", "supercategory": "fruit"}],
        "annotations": [
            # Not in the order of the images.
            {"id": 1, "image_id": 4, "category_id": 1, "bbox": {"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4}},
            {"id": 2, "image_id": 9, "category_id": 3, "bbox": {"xmin": 0, "ymin": 0, "xmax": 40, "ymax": 30}},
            {"id": 3, "image_id": 4, "category_id": 3, "bbox": {"xmin": 5, "ymin": 6, "xmax": 7, "ymax": 8}},
        ],
    }
    dataset = boxwright.open(f"ir-json:{put('x.json', content)}")
    one, two = dataset
    assert (one.image.name, boxes(one)) == ("b.jpg", [("nut", 0, 0, 40, 30, {})])
    assert one.attributes == {"license_id": 1, "date_captured": "2026-10-01"}
    assert (two.image.name, boxes(two)) == ("é.jpg", [("fig", 1, 2, 3, 4, {}), ("nut", 5, 6, 7, 8, {})])
    assert two.attributes == {"camera": "left"}
    assert dataset.label_map.names == ("nut", "fig")
    assert dataset.info.attributes == {
        "name": "figs",
        "year": 2026,
        "season": "autumn",
        "count": 3,
        "licenses": [{"id": 1, "name": "CC BY 4.0"}],
        "supercategories": {"fig": "fruit"},
    }


IR: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 40, "height": 30}],
    "categories": [{"id": 1, "name": "fig"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": {"xmin": 1, "ymin": 2, "xmax": 30, "ymax": 20}}],
}


def ir(part: str = "", **changes: Any) -> dict[str, Any]:
    return IR | ({part: [IR[part][0] | changes]} if part else {})


INVERTED = {"xmin": 9, "ymin": 2, "xmax": 3, "ymax": 4}
DUPLICATE = [IR["images"][0], IR["images"][0] | {"id": 2}]
NONE: dict[str, Any] = {"images": [], "categories": [], "annotations": []}
BAD: dict[str, tuple[object, str]] = {
    "nothing": ("", r"x\.json: the file is empty"),
    "not JSON": ("hello", r"x\.json: panlabel: .*expected value at line 1 column 1"),
    "cut": (json.dumps(IR)[:-20], r"x\.json: panlabel: .*EOF while parsing"),
    "a byte-order mark": ("\ufeff" + json.dumps(IR), r"x\.json: panlabel: .*expected value"),
    "too deep": ("[" * 5000, r"x\.json: panlabel: .*(recursion limit|invalid type)"),
    "no image": (NONE, "finds no images of the format ir-json"),
    "another file": ({"figs": 3}, "missing field `images`"),
    "inverted": (ir("annotations", bbox=INVERTED), r"a\.jpg \(fig\): xmin 9 is greater than xmax 3\n.*inverted=swap"),
    "infinite": (json.dumps(ir("annotations", bbox=INVERTED)).replace("9,", "1e999,"), "number out of range"),
    "another image": (ir("annotations", image_id=7), "1 annotations belong to no image"),
    "another class": (ir("annotations", category_id=7), r"a\.jpg: a box has the unknown class 7"),
    "no class name": (ir("categories", name=""), r"a\.jpg: box 1 has an empty label"),
    "no name": (ir("images", file_name=""), r"x\.json, 1: an image has no file name"),
    "outside": (ir("images", file_name="../../secret.jpg"), r"secret\.jpg', which leads out of the folder"),
    "absolute": (ir("images", file_name="/etc/a.jpg"), "leads out of the folder"),
    "a drive": (ir("images", file_name="C:\\a.jpg"), "leads out of the folder"),
    "no size": (ir("images", width=0), r"the image a\.jpg is missing"),
    "the same id": (IR | {"images": [IR["images"][0]] * 2}, "duplicate image id"),
    "the same name": (IR | {"images": DUPLICATE}, r"a\.jpg: duplicate image name"),
}


@pytest.mark.parametrize("case", BAD)
def test_invalid_files_are_errors(put: Callable[..., Path], case: str) -> None:
    content, says = BAD[case]
    with pytest.raises(DataError, match=says) as caught:
        read(f"ir-json:{put('x.json', content)}")
    assert caught.value.remedy


def test_files_that_panlabel_skips_are_reported(put: Callable[..., Path], tmp_path: Path) -> None:
    instance = {"type": "bbox", "className": "fig", "points": {"x1": 1, "y1": 2, "x2": 3, "y2": 4}}
    content = {"metadata": {"name": "a.jpg", "width": 40, "height": 30}, "instances": [instance]}
    put("d/annotations/a.json", content)
    put("d/annotations/b.json", {"images": []})
    with pytest.raises(DataError, match=r"panlabel skipped 1 of 2 files \(.*b\.json\)") as caught:
        read(f"superannotate:{tmp_path / 'd'}")
    assert "on-error skip" in caught.value.remedy
    dataset = open_dataset(f"superannotate:{tmp_path / 'd'}", on_error="skip")
    assert [sample.image.name for sample in dataset] == ["a.jpg"]


def test_locations_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"memory://nowhere/a\.json: file not found\n.*check the URL"):
        read("scale-ai:memory://nowhere/a.json")
    with pytest.raises(DataError, match=r"file not found"):
        read(f"scale-ai:{tmp_path / 'gone.json'}")


def test_images_in_another_folder(put: Callable[..., Path], tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    files.pipe_file("/images-elsewhere/sub/a.jpg", put("a.jpg", (40, 30)).read_bytes())
    path = put("d/export.csv", "image,xmin,ymin,xmax,ymax,label\nsub/a.jpg,3,4,30,20,fig\n")
    (sample,) = read(f"vott-csv:{path}?images=memory://images-elsewhere")
    assert (sample.image.width, sample.image.height) == (40, 30)
    assert sample.image.location == "memory://images-elsewhere/sub/a.jpg"
    assert sample.image.read() == (tmp_path / "a.jpg").read_bytes()


def test_a_location_that_looks_like_an_option(put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    put("-x.json", IR)
    monkeypatch.chdir(put("-y.json", IR).parent)
    assert len(read("ir-json:-x.json")) == 1


def test_nothing_stays_in_the_temporary_folder(
    put: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    workplace = tmp_path / "tmp"
    workplace.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(workplace))
    dataset = boxwright.open(f"ir-json:{put('x.json', IR)}")
    assert len(list(dataset)) == 1
    assert len(os.listdir(workplace)) == 1
    del dataset
    with pytest.raises(DataError):
        read(f"ir-json:{put('y.json', 'hello')}")
    boxwright.convert(f"ir-json:{tmp_path / 'x.json'}", f"openlabel:{tmp_path / 'z.json'}")
    assert os.listdir(workplace) == []
