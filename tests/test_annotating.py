"""`predict --to FORMAT:PLACE`: the first model annotates the images of the second dataset."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import boxwright
from boxwright import DataError, Detections, LabelMap, OutputError, UsageError, predict


class OneWhitePatch:
    """Finds the white patch in a black image, a fig with score 0.75, and a date of score 0.2."""

    label_map = LabelMap.from_names(["fig", "date"], sort=False)  # not in alphabetical order

    def predict(self, samples, *, batch_size=8, score=0.0):
        from boxwright.images import decode_sample

        for sample in samples:
            rows, columns = np.nonzero(np.asarray(decode_sample(sample).image.convert("L")) > 127)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            boxes = np.array([box, [0, 0, 5, 5]], float)
            yield Detections.from_arrays(sample.image, ["fig", "date"], boxes, [0.75, 0.2])


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        patch(folder, number)
    return folder


def patch(folder: Path, number: int) -> None:
    image = Image.new("RGB", (40, 30))
    image.paste((255, 255, 255), (10 + number, 8, 20 + number, 18))
    image.save(folder / f"{number}.png")


def boxes_of(xml: Path) -> list[tuple[object, ...]]:
    return [
        (each.findtext("name"), *(int(float(edge.text or "")) for edge in each.iterfind("bndbox/*")))
        for each in ElementTree.parse(xml).iter("object")
    ]


def test_labelimg_corrections_stay_and_new_images_are_added(photos, tmp_path):
    target = tmp_path / "to-correct"
    found = predict(OneWhitePatch(), photos, to=f"labelimg:{target}")
    assert boxes_of(target / "1.xml") == [("fig", 11, 8, 21, 18)]
    assert (target / "1.png").read_bytes() == (photos / "1.png").read_bytes()
    assert ElementTree.parse(target / "1.xml").findtext("object/score") == "0.75"
    assert (found.files, found.kept) == ([target], 0)
    with pytest.raises(OutputError, match="exists already"):
        predict(OneWhitePatch(), photos, to=f"labelimg:{target}")

    corrected = (target / "1.xml").read_text().replace(">fig<", ">ripe fig<").replace("\n", "\n\n")
    (target / "1.xml").write_text(corrected)
    patch(photos, 3)
    again = predict(OneWhitePatch(), photos, to=f"labelimg:{target}", only_new=True, score=0.1)
    assert (target / "1.xml").read_text() == corrected, "byte for byte"
    assert boxes_of(target / "3.xml") == [("fig", 13, 8, 23, 18), ("date", 0, 0, 5, 5)]
    assert [each.image.name for each in again.detections] == ["3.png"]
    assert again.kept == 3
    before = {path: path.stat().st_mtime_ns for path in target.iterdir()}
    nothing = predict(OneWhitePatch(), photos, to=f"labelimg:{target}", only_new=True)
    assert (nothing.detections, nothing.kept) == ([], 4)
    assert {path: path.stat().st_mtime_ns for path in target.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "to-correct"], "nothing temporary"


def test_annotations_next_to_the_images_themselves(photos):
    (photos / "notes.txt").write_text("mine")
    before = {path.name: path.read_bytes() for path in photos.iterdir()}
    predict(OneWhitePatch(), photos, to=f"labelimg:{photos}", only_new=True)
    assert {name: (photos / name).read_bytes() for name in before} == before
    assert boxes_of(photos / "2.xml") == [("fig", 12, 8, 22, 18)]
    # Something else that would be replaced.
    patch(photos, 5)
    patch(photos, 6)
    (photos / "6.xml").mkdir()
    with pytest.raises(OutputError, match=r"6\.xml exists already"):
        predict(OneWhitePatch(), photos, to=f"labelimg:{photos}", only_new=True)
    assert not (photos / "5.xml").exists(), "all or nothing"


def test_one_file_keeps_the_class_ids_of_the_run_and_the_corrections(photos, tmp_path):
    target = tmp_path / "found.json"
    uri = f"coco:{target}"
    predict(OneWhitePatch(), photos, to=uri)
    content = json.loads(target.read_text())
    assert {each["name"]: each["id"] for each in content["categories"]} == {"fig": 1, "date": 2}
    assert [each["bbox"] for each in content["annotations"]] == [[10 + n, 8, 10, 10] for n in range(3)]
    content["annotations"][0]["category_id"] = 2
    target.write_text(json.dumps(content))
    patch(photos, 3)
    predict(OneWhitePatch(), photos, to=uri, only_new=True)
    again = json.loads(target.read_text())
    assert [each["file_name"] for each in again["images"]] == ["0.png", "1.png", "2.png", "3.png"]
    assert [each["category_id"] for each in again["annotations"]] == [2, 1, 1, 1]

    (photos / "4.png").write_bytes(b"not an image")
    kept = target.read_bytes()
    with pytest.raises(DataError, match=r"4\.png"):
        predict(OneWhitePatch(), photos, to=uri, only_new=True, on_error="fail", out=tmp_path / "drawn")
    assert target.read_bytes() == kept
    assert not (tmp_path / "drawn").exists()


def test_scores_where_the_format_has_them(photos, tmp_path, caplog):
    found = predict(OneWhitePatch(), photos, to=f"yolo:{tmp_path / 'yolo'}?scores=true", score=0.1)
    assert not found.losses
    (labels,) = tmp_path.glob("yolo/**/1.txt")
    rows = [[float(word) for word in line.split()] for line in labels.read_text().splitlines()]
    # Class, center, size, all as a fraction of 40 x 30 pixels, score.
    expected = [[0, 16 / 40, 13 / 30, 10 / 40, 10 / 30, 0.75], [1, 2.5 / 40, 2.5 / 30, 5 / 40, 5 / 30, 0.2]]
    assert rows == [pytest.approx(row, abs=1e-5) for row in expected]
    patch(photos, 7)
    predict(OneWhitePatch(), photos, to=f"yolo:{tmp_path / 'yolo'}?scores=true", score=0.1, only_new=True)
    assert len([*tmp_path.glob("yolo/**/*.png")]) == 4
    lossy = predict(OneWhitePatch(), photos, to=f"csv:{tmp_path / 'd.csv'}", score=0.1)
    assert lossy.losses.dropped == {"score": 8}
    assert "csv cannot hold everything that was found; left out: score: 8 boxes" in caplog.text
    predict(OneWhitePatch(), photos, to=f"coco:{tmp_path / 'd.json'}?kind=detections")
    assert [each["score"] for each in json.loads((tmp_path / "d.json").read_text())] == [0.75] * 4


def test_places_that_are_refused(photos, tmp_path):
    for arguments, error in (
        ({"to": "labelimg"}, "needs a place"),
        ({"to": "labelimg", "out": tmp_path / "o", "only_new": True}, "only_new adds to a dataset"),
        ({"only_new": True}, "only_new adds to a dataset"),
        ({"to": f"labelimg:{tmp_path}/{{split}}", "only_new": True}, "is not one local dataset"),
        ({"to": f"labelimg:{tmp_path}/a?scores=true"}, "scores"),
    ):
        with pytest.raises(UsageError, match=error):
            predict(OneWhitePatch(), photos, **arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class NotAsked:
    label_map = LabelMap.from_names(["fig"])

    def predict(self, samples, **options):
        raise AssertionError("refused too late")


def test_inputs_are_never_replaced(photos, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    patch(other, 7)
    (tmp_path / "link").symlink_to(photos)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "linked.png").symlink_to(photos / "0.png")
    (tmp_path / "sub" / "clip.mp4").write_bytes((photos / "0.png").read_bytes())
    (photos / "bad.png").write_bytes(b"not an image")
    predict(OneWhitePatch(), photos, to=f"coco:{tmp_path / 'd.json'}", on_error="skip")
    copies = tmp_path / "e_images" / "sub"
    copies.mkdir(parents=True)
    patch(copies, 1)
    monkeypatch.chdir(photos)
    before = contents(tmp_path)
    image, array = photos / "0.png", np.full((9, 9, 3), 255, np.uint8)
    dataset = f"coco:{tmp_path / 'd.json'}"
    for inputs, out in (
        (photos, photos),
        (photos, tmp_path / "link"),
        (".", photos),
        ([other, photos], photos),
        ([other, image], photos),
        (photos / "*.png", photos),
        ([image, array], photos),
        (dataset, photos),
        (tmp_path / "link", photos),
        (tmp_path / "sub" / "linked.png", tmp_path / "sub"),
        (tmp_path / "sub" / "linked.png", photos),
    ):
        for arguments in ({"out": out}, {"to": f"labelimg:{out}"}):
            with pytest.raises(UsageError, match="would be replaced"):
                predict(NotAsked(), inputs, overwrite=True, on_error="skip", **arguments)
            assert contents(tmp_path) == before
    with pytest.raises(UsageError, match="is the source, which would be replaced"):
        predict(NotAsked(), dataset, to=dataset, overwrite=True)
    with pytest.raises(UsageError, match="e_images contains the source"):
        predict(NotAsked(), copies, to=f"coco:{tmp_path / 'e.json'}?images=copy", overwrite=True)
    # Each would be removed by the other.
    found = tmp_path / "found"
    for place in (found / "c.json", found, tmp_path, found / "{split}.json"):
        to = f"{'coco' if place.suffix else 'labelimg'}:{place}"
        with pytest.raises(UsageError, match=f"(?s)would replace each other.*--to {to[:4]}[a-z]* for a dataset"):
            predict(NotAsked(), array, out=found, to=to, overwrite=True)
    assert contents(tmp_path) == before
    predict(OneWhitePatch(), array, out=found, to="coco", overwrite=True)
    assert sorted(path.name for path in found.iterdir()) == ["annotations.json", "detections.json", "image-0000.jpg"]


def test_a_file_of_another_tool_keeps_what_it_has(photos, tmp_path):
    target = tmp_path / "theirs.json"
    content = {
        "info": {"description": "figs", "year": 2020},
        "licenses": [{"id": 1, "name": "CC0", "url": ""}],
        "images": [{"id": 7, "file_name": "0.png", "width": 40, "height": 30, "license": 1}],
        "categories": [
            {"id": 5, "name": "olive", "supercategory": "fruit"},
            {"id": 9, "name": "fig", "supercategory": "fruit"},
            {"id": 12, "name": "unused", "supercategory": "none"},
        ],
        "annotations": [
            {"id": 3, "image_id": 7, "category_id": 5, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0},
        ],
    }
    target.write_text(json.dumps(content))
    (tmp_path / "0.png").write_bytes((photos / "0.png").read_bytes())
    patch(tmp_path, 4)
    found = predict(OneWhitePatch(), [tmp_path / "0.png", tmp_path / "4.png"], to=f"coco:{target}", only_new=True)
    again = json.loads(target.read_text())
    assert (again["info"], again["licenses"]) == (content["info"], content["licenses"])
    assert again["categories"][:3] == content["categories"]
    assert [(each["name"], each["id"]) for each in again["categories"][3:]] == [("date", 2)]
    assert again["images"][0]["license"] == 1
    assert [(each["category_id"], each["bbox"]) for each in again["annotations"]] == [
        (5, [1, 2, 3, 4]),
        (9, [14, 8, 10, 10]),
    ]
    assert (found.kept, found.losses.dropped) == (1, {})


@pytest.mark.parametrize("uri", ["csv:{}/d.csv", "coco:{}/d.json", "cvat:{}/d.xml", "yolo:{}/yolo", "labelimg:{}/x"])
def test_a_second_run_keeps_everything_and_adds_one(uri, photos, tmp_path):
    uri = uri.format(tmp_path)
    predict(OneWhitePatch(), photos, to=uri)
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "renamed.png"
    before = [(sample.image.name, sample.boxes.labels) for sample in boxwright.open(uri)]
    patch(photos, 3)
    assert predict(OneWhitePatch(), photos, to=uri, only_new=True).kept == 3
    after = [(sample.image.name, sample.boxes.labels) for sample in boxwright.open(uri)]
    assert [(Path(name).name, labels) for name, labels in after] == [
        *((Path(name).name, labels) for name, labels in before),
        ("3.png", ("fig",)),
    ]
    assert all(sample.image.read() for sample in boxwright.open(uri)), "the images are found"
    # The same name is not the same image, and the same image may have another path.
    copy.write_bytes((photos / "0.png").read_bytes())
    copy = copy.rename(copy.with_name("0.png"))
    assert predict(OneWhitePatch(), copy, to=uri, only_new=True).kept == 1
    patch(copy.parent, 9)
    (copy.parent / "9.png").rename(copy)
    kept = contents(tmp_path)
    with pytest.raises(UsageError, match=r"0\.png: the dataset contains another image of the name"):
        predict(NotAsked(), copy, to=uri, only_new=True)
    copy = copy.rename(copy.with_name("new.png"))
    if Path(uri).suffix:  # the file has no place for two folders
        with pytest.raises(UsageError, match=r"new\.png: the dataset finds its images in .*photos alone"):
            predict(NotAsked(), copy, to=uri, only_new=True)
        assert {name: kept[name] for name in kept if "elsewhere" not in name} == {
            name: content for name, content in contents(tmp_path).items() if "elsewhere" not in name
        }


def test_a_corrected_class_that_the_model_does_not_know(photos, tmp_path):
    for name in ("d.csv", "d.json"):
        target = tmp_path / name
        uri = f"{'csv' if name == 'd.csv' else 'coco'}:{target}"
        predict(OneWhitePatch(), photos, to=uri)
        target.write_text(target.read_text().replace("fig", "ripe fig", 1))
        labels = [sample.boxes.labels for sample in boxwright.open(uri)]
        assert ("ripe fig",) in labels
        patch(photos, 5)
        predict(OneWhitePatch(), photos, to=uri, only_new=True)
        assert [sample.boxes.labels for sample in boxwright.open(uri)] == [*labels, ("fig",)]
        (photos / "5.png").unlink()


def test_datasets_that_nothing_can_be_added_to(photos, tmp_path):
    for name in ("voc", "createml", "datumaro"):
        uri = f"{name}:{tmp_path / name}"
        predict(OneWhitePatch(), photos, to=uri)
        with pytest.raises(UsageError, match="lists the images or the classes, and --only-new changes no file"):
            predict(NotAsked(), photos, to=uri, only_new=True)
    predict(OneWhitePatch(), photos, to=f"yolo:{tmp_path / 'yolo'}")
    yaml = tmp_path / "yolo" / "data.yaml"
    described = yaml.read_text()
    yaml.write_text(described + "# mine\n")
    with pytest.raises(UsageError, match=r"data\.yaml lists"):
        predict(NotAsked(), photos, to=f"yolo:{tmp_path / 'yolo'}", only_new=True)

    class Another(OneWhitePatch):
        label_map = LabelMap.from_names(["fig", "date", "olive"], sort=False)

        def predict(self, samples, **options):
            raise AssertionError("refused too late")

    yaml.write_text(described)
    with pytest.raises(UsageError, match=r"data\.yaml lists"):
        predict(Another(), photos, to=f"yolo:{tmp_path / 'yolo'}", only_new=True)
    yaml.unlink()  # now it cannot be read, which is not the same as no annotations
    with pytest.raises(DataError, match="the class names are unknown"):
        predict(NotAsked(), photos, to=f"yolo:{tmp_path / 'yolo'}", only_new=True)
    predict(OneWhitePatch(), photos, to=f"coco:{tmp_path / 'd.json'}?images=copy")
    with pytest.raises(UsageError, match="copies of its images"):
        predict(NotAsked(), photos, to=f"coco:{tmp_path / 'd.json'}?images=copy", only_new=True)


def test_a_full_disk_leaves_nothing(photos, tmp_path, monkeypatch):
    from boxwright.storage import output

    target = tmp_path / "x"
    predict(OneWhitePatch(), photos, to=f"labelimg:{target}")
    patch(photos, 3)
    before = contents(tmp_path)
    copy = output.shutil.copyfileobj

    def full(source, file, length=0):
        copy(source, file)
        if source.name.endswith(".xml"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(output.shutil, "copyfileobj", full)
    with pytest.raises(OutputError, match="cannot be written: No space left"):
        predict(OneWhitePatch(), photos, to=f"labelimg:{target}", only_new=True)
    assert contents(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "x"]
