"""Datasets made to harm: every reader refuses them with an error that names the file, and in time."""

import json
import os
import shutil
import signal
import struct
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

import boxwright
from boxwright import DataError
from boxwright.datasets import detection_reasons
from boxwright.plugins import default_registry
from boxwright.storage import follow_links, parse_json, read_file
from boxwright_cli.main import app

WIDTH, HEIGHT = 64, 48


@pytest.fixture(autouse=True)
def _no_hang():
    """Ends a test that blocks in the system, as opening a pipe without a writer does."""

    def expired(number, frame):
        raise AssertionError("blocked")

    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def photo(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT), "gray").save(path, "JPEG")
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def coco(box: Any = (1, 2, 3, 4), file_name: str = "a.jpg", **image: Any) -> str:
    images = [{"id": 1, "file_name": file_name, "width": WIDTH, "height": HEIGHT} | image]
    annotations = [{"id": 1, "image_id": 1, "category_id": 1, "bbox": list(box)}]
    return json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "fig"}]})


def voc(box: Any = (1, 2, 4, 6)) -> str:
    edges = "".join(f"<{n}>{v}</{n}>" for n, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    return (
        f"<annotation><filename>a.jpg</filename>{size}"
        f"<object><name>fig</name><bndbox>{edges}</bndbox></object></annotation>"
    )


def createml(x: Any = 2, y: Any = 4, width: Any = 2, height: Any = 4) -> str:
    coordinates = {"x": x, "y": y, "width": width, "height": height}
    return json.dumps([{"image": "a.jpg", "annotations": [{"label": "fig", "coordinates": coordinates}]}])


TUTORIAL = f"filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,{WIDTH},{HEIGHT},fig,1,2,4,6\n"
VIA = (
    "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"
    'a.jpg,9,"{}",1,0,"{""name"":""rect"",""x"":1,""y"":2,""width"":3,""height"":4}","{""class"":""fig""}"\n'
)

ANNOTATIONS = {
    "coco": ("a.json", coco()),
    "createml": ("_annotations.createml.json", createml()),
    "csv": ("a.csv", TUTORIAL),
    "labelimg": ("a.xml", voc()),
    "openimages": ("a.csv", "ImageID,LabelName,XMin,XMax,YMin,YMax\na,fig,0,0.5,0,0.5\n"),
    "retinanet": ("a.csv", "a.jpg,1,2,4,6,fig\n"),
    "via": ("a.csv", VIA),
    "yolo": ("a.txt", "0 0.5 0.5 0.5 0.5\n"),
    "labelme": (
        "a.json",
        json.dumps(
            {
                "imagePath": "a.jpg",
                "imageData": None,
                "imageWidth": WIDTH,
                "imageHeight": HEIGHT,
                "shapes": [{"label": "fig", "shape_type": "rectangle", "points": [[1, 2], [4, 6]]}],
            }
        ),
    ),
    "cvat": ("a.xml", "<annotations/>"),
}
"""A small dataset in each format, next to ``a.jpg``: the name of the annotation, and its content."""

IN_FOLDER = {"labelimg", "yolo", "createml", "labelme"}


def dataset(folder: Path, name: str) -> str:
    """Writes the annotation, and returns the dataset's URI."""
    file, content = ANNOTATIONS[name]
    write(folder / file, content)
    if name == "yolo":
        write(folder / "classes.txt", "fig\n")
    return f"{name}:{folder if name in IN_FOLDER else folder / file}"


NATIVE = sorted(set(ANNOTATIONS) - {"cvat"})


@pytest.mark.parametrize("name", NATIVE)
def test_datasets_of_this_module_are_valid(tmp_path, name):
    photo(tmp_path / "a.jpg")
    (sample,) = boxwright.open(dataset(tmp_path, name))
    assert sample.boxes.labels == ("fig",)
    assert sample.image.read()[:2] == b"\xff\xd8"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes in the file system")
class TestPipes:
    @pytest.mark.parametrize("name", sorted(ANNOTATIONS))
    def test_a_pipe_as_annotation_is_an_error(self, tmp_path, name):
        photo(tmp_path / "a.jpg")
        uri = dataset(tmp_path, name)
        (tmp_path / ANNOTATIONS[name][0]).unlink()
        os.mkfifo(tmp_path / ANNOTATIONS[name][0])
        with pytest.raises(DataError, match="not a regular file|no image|file not found"):
            list(boxwright.open(uri))

    @pytest.mark.parametrize("name", NATIVE)
    def test_a_pipe_as_image_is_an_error(self, tmp_path, name):
        uri = dataset(tmp_path, name)
        os.mkfifo(tmp_path / "a.jpg")
        with pytest.raises(DataError):
            boxwright.convert(uri, f"yolo:{tmp_path / 'out'}")
        assert not (tmp_path / "out").exists()

    def test_no_detection_of_a_format_waits_for_a_pipe(self, tmp_path):
        for name in ("a.jpg", "a.xml", "a.json", "a.csv", "a.txt", "a.record", "labels/a.txt", "Annotations/a.xml"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            os.mkfifo(tmp_path / name)
        found = [detection_reasons(str(each), default_registry()) for each in (tmp_path, *tmp_path.iterdir())]
        assert [name for reasons in found for name, answer in reasons.items() if answer.matches] == []

    def test_a_pipe_at_a_file_url_is_an_error(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(DataError, match="not a regular file"):
            read_file(f"file://{tmp_path}/pipe")

    @pytest.mark.parametrize("given", ["images", "label map", "sidecar"])
    def test_a_pipe_elsewhere_is_an_error(self, tmp_path, given):
        photo(tmp_path / "in" / "a.jpg")
        uri = dataset(tmp_path / "in", "csv")
        os.mkfifo(tmp_path / "pipe.jpg")
        with pytest.raises(DataError, match="not a regular file") if given != "sidecar" else _nothing():
            if given == "images":
                os.rename(tmp_path / "pipe.jpg", tmp_path / "in" / "pipe.jpg")
                list(boxwright.open(f"pictures:{tmp_path / 'in'}"))
            elif given == "label map":
                boxwright.convert(uri, f"tfrecord:{tmp_path / 't.record'}", label_map=tmp_path / "pipe.jpg")
            else:
                os.mkfifo(tmp_path / "in" / "a.csv.sidecar.jsonl")
                list(boxwright.open(uri))


@contextmanager
def _nothing():
    yield


class TestLinks:
    @pytest.fixture
    def secret(self, tmp_path: Path) -> Path:
        return write(tmp_path / "secret" / "key.txt", "the secret")

    @pytest.mark.parametrize("name", NATIVE)
    @pytest.mark.parametrize("workers", [1, 2])
    def test_an_image_that_is_a_link_out_of_the_dataset_is_not_copied(self, tmp_path, secret, name, workers):
        uri = dataset(tmp_path / "in", name)
        (tmp_path / "in" / "a.jpg").symlink_to(secret)
        with pytest.raises(DataError, match=r"a\.jpg: it is a link out of the dataset|cannot be read as an image"):
            boxwright.convert(uri, f"yolo:{tmp_path / 'out'}", workers=workers)
        assert not (tmp_path / "out").exists()

    def test_an_annotation_that_is_a_link_out_of_the_dataset_is_not_read(self, tmp_path):
        uri = dataset(tmp_path / "in", "labelimg")
        photo(tmp_path / "in" / "a.jpg")
        shutil.move(tmp_path / "in" / "a.xml", tmp_path / "a.xml")
        (tmp_path / "in" / "a.xml").symlink_to(tmp_path / "a.xml")
        with pytest.raises(DataError, match=r"in/a\.xml: it is a link out of the dataset, to .*a\.xml"):
            list(boxwright.open(uri))
        with follow_links():
            assert len(list(boxwright.open(uri))) == 1

    def test_a_folder_that_is_a_link_out_of_the_dataset_is_refused(self, tmp_path):
        uri = dataset(tmp_path / "in", "labelimg")
        photo(tmp_path / "elsewhere" / "a.jpg")
        (tmp_path / "in" / "images").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(DataError, match="images: it is a link out of the dataset, to .*elsewhere"):
            list(boxwright.open(uri))
        with follow_links():
            (sample,) = boxwright.open(uri)
        assert sample.image.name == "images/a.jpg" or sample.image.location is None

    def test_links_inside_the_dataset_and_to_the_dataset_are_followed(self, tmp_path):
        dataset(tmp_path / "real", "labelimg")
        photo(tmp_path / "real" / "raw" / "1.jpg")
        (tmp_path / "real" / "a.jpg").symlink_to("raw/1.jpg")
        (tmp_path / "in").symlink_to(tmp_path / "real")
        (sample,) = boxwright.open(f"labelimg:{tmp_path / 'in'}")
        assert len(sample.image.read()) == (tmp_path / "real" / "raw" / "1.jpg").stat().st_size

    def test_an_image_folder_that_the_user_names_may_be_a_link(self, tmp_path):
        uri = dataset(tmp_path / "in", "coco")
        photo(tmp_path / "photos" / "a.jpg")
        (tmp_path / "link").symlink_to(tmp_path / "photos")
        (sample,) = boxwright.open(f"{uri}?images={tmp_path / 'link'}")
        assert sample.image.read()

    @pytest.mark.parametrize("flag", [[], ["--follow-links"]])
    def test_the_flag_of_the_program_follows_links(self, tmp_path, flag):
        uri = dataset(tmp_path / "in", "coco")
        (tmp_path / "in" / "a.jpg").symlink_to(photo(tmp_path / "photo.jpg"))
        result = CliRunner().invoke(app, ["convert", uri, f"yolo:{tmp_path / 'out'}", *flag])
        assert result.exit_code == (0 if flag else 1)
        assert (tmp_path / "out" / "images").exists() == bool(flag)
        assert ("--follow-links" in result.stderr) == (not flag)

    def test_a_link_out_can_be_skipped(self, tmp_path, secret):
        uri = dataset(tmp_path / "in", "coco")
        (tmp_path / "in" / "a.jpg").symlink_to(secret)
        data = boxwright.open(uri, on_error="skip")
        assert list(data) == []
        assert [error.file for error in data.problems.skipped] == [str(tmp_path / "in" / "a.jpg")]


class TestArchives:
    @pytest.fixture
    def bomb(self, tmp_path):
        def make(name: str, head: bytes = b"", mebibytes: int = 1100) -> str:
            with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                archive.writestr("classes.txt", "fig\n")
                with archive.open(name, "w", force_zip64=True) as file:
                    file.write(head)
                    for _ in range(mebibytes):
                        file.write(b" " * (1 << 20))
            return f"zip://{name}::{tmp_path / 'bomb.zip'}"

        return make

    @pytest.mark.parametrize("name", ["labelimg", "yolo", "labelme"])
    def test_an_annotation_of_more_than_64_mib_is_refused(self, tmp_path, bomb, name):
        file = ANNOTATIONS[name][0]
        bomb(file, mebibytes=65)
        with pytest.raises(DataError, match="larger than 64 MiB"):
            list(boxwright.open(f"{name}:zip://::{tmp_path / 'bomb.zip'}"))

    def test_a_line_without_end_is_refused(self, bomb):
        url = bomb("a.csv", TUTORIAL.encode() + b"a.jpg,", 17)
        with pytest.raises(DataError, match=r"line 3: it has more than 16,777,216 characters"):
            list(boxwright.open(f"csv:{url}"))

    def test_an_image_of_more_than_256_mib_is_refused(self, bomb):
        with pytest.raises(DataError, match="larger than 256 MiB"):
            boxwright.ImageRef(name="a.jpg", width=1, height=1, location=bomb("a.jpg", mebibytes=257)).read()

    def test_a_record_of_more_than_an_image_is_refused(self, tmp_path):
        from google_crc32c import value

        length = struct.pack("<Q", (1 << 31) - 1)
        crc = value(length)
        mask = (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
        (tmp_path / "a.record").write_bytes(length + struct.pack("<I", mask) + b"x")
        with pytest.raises(DataError, match=r"2,147,483,647 bytes, more than 320 MiB"):
            list(boxwright.open(f"tfrecord:{tmp_path / 'a.record'}"))


class TestNumbers:
    @pytest.mark.parametrize("value", [1e308, -1e308, 1e301])
    def test_a_coordinate_beyond_every_image_is_an_error_of_its_item(self, tmp_path, value):
        small, large = sorted((1.0, value))
        sources = {
            "coco": coco((value, 1, 1, 1)),
            "csv": TUTORIAL.replace("1,2,4,6", f"{small},2,{large},6"),
            "createml": createml(x=value),
            "labelimg": voc((small, 2, large, 6)),
            "openimages": f"ImageID,LabelName,XMin,XMax,YMin,YMax\na,fig,{small},{large},0,0.5\n",
            "retinanet": f"a.jpg,{small:.0f},2,{large:.0f},6,fig\n",
            "via": VIA.replace('""x"":1', f'""x"":{value}'),
            "yolo": f"0 {value} 0.5 0.5 0.5\n",
        }
        for name, content in sources.items():
            folder = tmp_path / name
            photo(folder / "a.jpg")
            uri = dataset(folder, name)
            write(folder / ANNOTATIONS[name][0], content)
            data = boxwright.open(uri, on_error="skip")
            assert list(data) == [], name
            assert len(data.problems.skipped) == 1, name

    def test_all_boxes_of_a_coco_file_that_overflow_are_named(self, tmp_path):
        write(tmp_path / "a.json", coco((547.0, 1e308, 93.0, 0.0)))
        with pytest.raises(DataError, match=r"annotations\[0\] \(id 1\).*: a coordinate is too large"):
            list(boxwright.open(f"coco:{tmp_path / 'a.json'}"))

    def test_an_id_of_5000_digits_in_a_label_map_is_an_error(self, tmp_path):
        write(tmp_path / "m.pbtxt", f"item {{ id: {'9' * 5000} name: 'fig' }}")
        with pytest.raises(DataError, match=r"m\.pbtxt, line 1: ") as caught:
            boxwright.find_label_map(str(tmp_path / "m.pbtxt"), "")
        assert len(str(caught.value)) < 500


class TestNames:
    @pytest.mark.parametrize("name", [".", "./", "/", "./."])
    def test_a_file_name_without_a_name_is_an_error_of_its_item(self, tmp_path, name):
        sources = {
            "coco": coco(file_name=name),
            "createml": createml().replace('"a.jpg"', json.dumps(name)),
            "csv": TUTORIAL.replace("a.jpg", name),
            "labelimg": voc().replace("a.jpg", name),
            "retinanet": f"{name},1,2,4,6,fig\n",
        }
        for form, content in sources.items():
            uri = dataset(tmp_path / form, form)
            write(tmp_path / form / ANNOTATIONS[form][0], content)
            data = boxwright.open(uri, on_error="skip")
            assert list(data) == [], form
            assert len(data.problems.skipped) == 1, form


class TestSidecars:
    @pytest.fixture
    def source(self, tmp_path: Path) -> tuple[str, Path]:
        photo(tmp_path / "in" / "a.jpg")
        uri = dataset(tmp_path / "in", "labelimg")
        boxwright.convert(uri, f"labelimg:{tmp_path / 'set'}", sidecar=True)
        photo(tmp_path / "secret.jpg")
        return f"labelimg:{tmp_path / 'set'}", tmp_path / "set" / "boxwright.sidecar.jsonl"

    def empty_image(self, path: Path, **changes: Any) -> None:
        record: dict[str, Any] = {
            "read": None,
            "name": "b.jpg",
            "size": [8, 8],
            "split": None,
            "attributes": {},
            "labels": [],
            "edges": [],
            "box_attributes": None,
        }
        with path.open("a") as file:
            file.write(json.dumps(record | changes) + "\n")
        lines = path.read_text().splitlines()
        head = json.loads(lines[0])
        path.write_text("\n".join([json.dumps(head | {"carries": []}), *lines[1:]]) + "\n")

    def test_an_image_without_boxes_is_restored(self, source):
        uri, path = source
        self.empty_image(path)
        assert [sample.image.name for sample in boxwright.open(uri)] == ["a.jpg", "b.jpg"]

    @pytest.mark.parametrize(
        "changes",
        [
            {"name": "../secret.jpg"},
            {"name": "/etc/passwd"},
            {"name": ["b.jpg"]},
            {"name": ""},
            {"size": [10**30, 8]},
            {"size": [8]},
            {"size": [-1, 8]},
            {"split": 7},
            {"attributes": [1]},
            {"labels": ["fig"], "edges": [[1e308, 1e308, 1e308, 1e308]]},
            {"edges": 7},
        ],
    )
    def test_a_record_with_hostile_values_is_an_error(self, source, changes):
        uri, path = source
        self.empty_image(path, **changes)
        with pytest.raises(DataError, match=r"boxwright\.sidecar\.jsonl, line 3: the sidecar is damaged"):
            list(boxwright.open(uri))

    @pytest.mark.parametrize("changes", [{"label_map": [7]}, {"label_map": [{"id": -(10**30)}]}, {"dataset": 7}])
    def test_a_first_line_with_hostile_values_is_an_error(self, source, changes):
        uri, path = source
        lines = path.read_text().splitlines()
        path.write_text("\n".join([json.dumps(json.loads(lines[0]) | changes), *lines[1:]]) + "\n")
        with pytest.raises(DataError, match=r"boxwright\.sidecar\.jsonl, line 1: the sidecar is damaged"):
            list(boxwright.open(uri))


class TestTexts:
    @pytest.mark.parametrize("length", [10, 4000, 4900, 8000, 20_000, 70_000])
    @pytest.mark.parametrize("name", ["csv", "openimages", "retinanet", "via"])
    def test_a_latin_1_byte_anywhere_in_a_csv_file_names_its_line(self, tmp_path, name, length):
        photo(tmp_path / "a.jpg")
        file, content = ANNOTATIONS[name]
        *head, row = content.splitlines(keepends=True)
        rows = max(1, length // len(row))
        text = "".join([*head, row * rows, row.replace("fig", "féig").replace("a,fig", "a,féig")])
        (tmp_path / file).write_bytes(text.encode("latin-1"))
        with pytest.raises(DataError, match=rf"a\.csv, line {len(head) + rows + 1}: it is not UTF-8"):
            list(boxwright.open(f"{name}:{tmp_path / file}"))

    def test_deep_json_is_an_error(self):
        with pytest.raises(DataError, match="nested too deeply"):
            parse_json(b"[" * 200_000, "a.json")
