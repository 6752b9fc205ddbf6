from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import boxwright
from boxwright import Boxes, DataError, Dataset, ImageRef, OutputError, Sample
from boxwright.datasets import Problems, SampleReader
from boxwright_testing import make_sample


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "in.jpg"
    Image.new("RGB", (40, 30)).save(path)
    return path


def sample_of(
    path: Path | None,
    name: str = "1.jpg",
    labels: tuple[str, ...] = ("fig",),
    split: str | None = None,
    coordinates: tuple[float, float, float, float] = (10, 7.5, 30, 22.5),
    box: Mapping[str, Any] | None = None,
) -> Sample:
    image = ImageRef(name=name, width=40, height=30, location=None if path is None else str(path))
    boxes = Boxes(labels, [coordinates] * len(labels), [box or {}] * len(labels))
    return Sample(image=image, boxes=boxes, split=split, source=f"the source of {name}")


def write(out: Path, *samples: Sample, options: str = "", **keywords: Any) -> Any:
    return boxwright.convert(Dataset(SampleReader(list(samples))), f"yolo:{out}{options}", **keywords)


def read(out: Path, options: str = "") -> list[tuple[str, str | None, tuple[str, ...]]]:
    return [(s.image.name, s.split, s.boxes.labels) for s in boxwright.open(f"yolo:{out}{options}")]


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): "" if path.suffix == ".jpg" else path.read_text("utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_ultralytics_layout(tmp_path: Path, image: Path) -> None:
    samples = [
        sample_of(image, labels=("fig", "date"), split="train"),
        sample_of(image, "cam/2.jpg", labels=(), split="val"),
        sample_of(image, "3.jpg", labels=("apple",), split="extra"),
    ]
    write(tmp_path / "out", *samples)
    assert files(tmp_path / "out") == {
        "data.yaml": 'train: "images/train"\nval: "images/val"\n"extra": "images/extra"\nnc: 3\nnames:\n'
        '  0: "apple"\n  1: "date"\n  2: "fig"\n',
        "images/extra/3.jpg": "",
        "images/train/1.jpg": "",
        "images/val/cam/2.jpg": "",
        "labels/extra/3.txt": "0 0.5 0.5 0.5 0.5\n",
        "labels/train/1.txt": "2 0.5 0.5 0.5 0.5\n1 0.5 0.5 0.5 0.5\n",
        "labels/val/cam/2.txt": "",
    }
    assert (tmp_path / "out/images/train/1.jpg").read_bytes() == image.read_bytes()
    assert read(tmp_path / "out") == [
        ("1.jpg", "train", ("fig", "date")),
        ("cam/2.jpg", "val", ()),
        ("3.jpg", "extra", ("apple",)),
    ]


def test_images_without_a_split_are_never_named_as_held_out(tmp_path: Path, image: Path) -> None:
    write(tmp_path / "out", sample_of(image))
    first, second, *lines = files(tmp_path / "out")["data.yaml"].splitlines()
    assert first == "# The images have no split, so this file names no train and no val."
    assert second.endswith("--with split:train=0.8,val=0.2")
    assert lines == ['"unsplit": "images/unsplit"', "nc: 1", "names:", '  0: "fig"']
    assert read(tmp_path / "out") == [("1.jpg", None, ("fig",))]


def test_images_with_and_without_a_split(tmp_path: Path, image: Path) -> None:
    write(tmp_path / "out", sample_of(image, split="train"), sample_of(image, "train/1.jpg"))
    assert '"unsplit": "images/unsplit"\n' in files(tmp_path / "out")["data.yaml"]
    assert read(tmp_path / "out") == [("1.jpg", "train", ("fig",)), ("train/1.jpg", None, ("fig",))]


def test_labelimgs_layout(tmp_path: Path, image: Path) -> None:
    write(tmp_path / "out", sample_of(image), sample_of(image, "cam/1.jpg", ()), options="?layout=labelimg")
    assert files(tmp_path / "out") == {
        "1.jpg": "",
        "1.txt": "0 0.5 0.5 0.5 0.5\n",
        "cam/1.jpg": "",
        "cam/1.txt": "",
        "classes.txt": "fig\n",
    }
    assert read(tmp_path / "out") == [("1.jpg", None, ("fig",)), ("cam/1.jpg", None, ())]


def test_labelimgs_layout_keeps_a_split_by_the_folders_name(tmp_path: Path, image: Path) -> None:
    samples = sample_of(image, split="train"), sample_of(image, "2.jpg", split="test")
    with pytest.raises(DataError, match=r"the split 'train', and labelImg's layout has no splits\n.*\{split\}"):
        write(tmp_path / "out", *samples, options="?layout=labelimg")
    with pytest.raises(DataError, match="the split 'rain'"):
        write(tmp_path / "train", sample_of(image, split="rain"), options="?layout=labelimg")
    write(tmp_path / "my_train", samples[0], options="?layout=labelimg")
    write(tmp_path / "{split}", *samples, options="?layout=labelimg")
    assert read(tmp_path / "train") == [("1.jpg", None, ("fig",))]
    assert read(tmp_path / "test") == [("2.jpg", None, ("fig",))]


def test_without_images_their_names_are_listed(tmp_path: Path) -> None:
    samples = sample_of(None, split="train"), sample_of(None, "a b/2.png", split="val"), sample_of(None, "3.jpg")
    write(tmp_path / "out", *samples, options="?pictures=false")
    written = files(tmp_path / "out")
    assert written["train.txt"] == "./images/train/1.jpg\n"
    assert written["val.txt"] == "./images/val/a b/2.png\n"
    assert written["data.yaml"].startswith('train: "train.txt"\nval: "val.txt"\n"unsplit": "unsplit.txt"\n')
    assert read(tmp_path / "out", "?size=40x30") == [
        ("1.jpg", "train", ("fig",)),
        ("a b/2.png", "val", ("fig",)),
        ("3.jpg", None, ("fig",)),
    ]


def test_scores_are_written_when_asked(tmp_path: Path, image: Path) -> None:
    sample = sample_of(image, box={"score": 0.1 + 0.2})
    write(tmp_path / "plain", sample)
    write(tmp_path / "scored", sample, sample_of(image, "2.jpg", box={"score": "high"}), options="?scores=true")
    assert files(tmp_path / "plain")["labels/unsplit/1.txt"] == "0 0.5 0.5 0.5 0.5\n"
    assert files(tmp_path / "scored")["labels/unsplit/1.txt"] == "0 0.5 0.5 0.5 0.5 0.30000000000000004\n"
    assert files(tmp_path / "scored")["labels/unsplit/2.txt"] == "0 0.5 0.5 0.5 0.5\n"
    for wrong in (87.5, float("nan"), -1):
        with pytest.raises(DataError, match="a box has the score .*, not between 0 and 1"):
            write(tmp_path / "wrong", sample_of(image, box={"score": wrong}), options="?scores=true")
    (one, _) = boxwright.open(f"yolo:{tmp_path / 'scored'}")
    assert dict(one.boxes.attributes[0]) == {"score": 0.1 + 0.2}


NAMES = (
    "no",
    "1.0",
    "null",
    "~",
    "a: b # c",
    'it\'s "big"',
    "back\\slash",
    "tab\there",
    "line\nbreak\r",
    "bell\x07",
    "next\x85line",
    "line\u2028separator",
    "\ufeffmark",
    "вишня 无花果",
    "fig 🍇",
    " spaces ",
    "{a}",
    "- a",
    "*a",
    "&a",
    "!!int 1",
    "%a",
    "\x7f",
)


def test_any_class_name_is_kept_as_yaml_libraries_read_it(tmp_path: Path, image: Path) -> None:
    yaml = pytest.importorskip("yaml")
    write(tmp_path / "out", sample_of(image, labels=NAMES))
    content = yaml.safe_load((tmp_path / "out/data.yaml").read_bytes())
    assert content == {
        "unsplit": "images/unsplit",
        "nc": len(NAMES),
        "names": dict(enumerate(sorted(NAMES))),
    }
    assert read(tmp_path / "out") == [("1.jpg", None, NAMES)]


@pytest.mark.parametrize("name", [" fig", "fig\n", "a\rb", "a\u2028b"])
def test_names_that_are_not_a_line_are_refused_by_labelimgs_layout(tmp_path: Path, image: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"cannot be a line of classes\.txt\n.*layout=ultralytics"):
        write(tmp_path / "out", sample_of(image, labels=(name,)), options="?layout=labelimg")
    assert not (tmp_path / "out").exists()


def test_the_order_of_the_label_map_is_kept(tmp_path: Path, image: Path) -> None:
    classes = boxwright.LabelMap.from_names(["fig", "apple", "date"], sort=False)
    write(tmp_path / "out", sample_of(image, labels=("date", "fig")), label_map=classes)
    assert files(tmp_path / "out")["labels/unsplit/1.txt"] == "2 0.5 0.5 0.5 0.5\n0 0.5 0.5 0.5 0.5\n"
    again = boxwright.open(f"yolo:{tmp_path / 'out'}")
    assert again.info.label_map is not None
    assert again.info.label_map.names == ("fig", "apple", "date")
    boxwright.convert(again, f"yolo:{tmp_path / 'again'}")
    assert files(tmp_path / "again") == files(tmp_path / "out")


@pytest.mark.parametrize("split", ["", ".hidden", "a/b", "..", "a:b", "names", "unsplit", "path", " train", "a\nb"])
def test_splits_that_could_not_be_read_back_are_refused(tmp_path: Path, image: Path, split: str) -> None:
    with pytest.raises(DataError, match="cannot be the name of a folder") as caught:
        write(tmp_path / "out", sample_of(image, split=split))
    assert caught.value.file == "the source of 1.jpg"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("split", ["images", "labels", "my split", "валидация", "0", "yes", "train2017", "it's #1"])
def test_odd_splits_are_restored(tmp_path: Path, image: Path, split: str) -> None:
    samples = sample_of(image, split=split), sample_of(image, "images/2.jpg", split=split)
    write(tmp_path / "out", *samples)
    assert sorted(read(tmp_path / "out")) == [("1.jpg", split, ("fig",)), ("images/2.jpg", split, ("fig",))]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("1.png", r"1\.jpg and 1\.png would share the label file labels/unsplit/1\.txt"),
        ("1.jpg", r"1\.jpg and 1\.jpg would share"),
        ("2", r"YOLO would not find an image with the name '2'"),
        ("2.txt", "YOLO would not find an image"),
        (".2.jpg", "YOLO would not find an image"),
        ("a//2.jpg", "YOLO would not find an image"),
        ("a/.b/2.jpg", "YOLO would not find an image"),
        ("a\nb.jpg", "YOLO would not find an image"),
    ],
)
def test_names_that_could_not_be_read_back_are_refused(tmp_path: Path, image: Path, name: str, message: str) -> None:
    samples = [sample_of(image), sample_of(image, name)]
    with pytest.raises(DataError, match=message) as caught:
        write(tmp_path / "out", *samples)
    assert caught.value.remedy
    assert not (tmp_path / "out").exists()
    report = boxwright.convert(Dataset(SampleReader(samples), problems=Problems("skip")), f"yolo:{tmp_path / 'out'}")
    assert len(report.skipped) == 1
    assert read(tmp_path / "out") == [("1.jpg", None, ("fig",))]


def test_the_class_names_are_not_overwritten_by_a_label_file(tmp_path: Path, image: Path) -> None:
    with pytest.raises(DataError, match=r"the file of the class names and classes\.jpg would share"):
        write(tmp_path / "out", sample_of(image, "classes.jpg"), options="?layout=labelimg")
    write(tmp_path / "out", sample_of(image, "classes.jpg"))
    assert read(tmp_path / "out") == [("classes.jpg", None, ("fig",))]
    write(tmp_path / "flat", sample_of(image, "a/classes.jpg"), options="?layout=labelimg")
    assert read(tmp_path / "flat") == [("a/classes.jpg", None, ("fig",))]


def test_images_that_ultralytics_does_not_read(tmp_path: Path, image: Path) -> None:
    """Its formats of images are at https://docs.ultralytics.com/modes/predict/#images; GIF is one of videos."""
    Image.new("RGB", (40, 30)).save(tmp_path / "a.gif")
    samples = [sample_of(tmp_path / "a.gif", "a.gif"), sample_of(image, "b.jpg")]
    with pytest.raises(DataError, match="does not read GIF images, such as a.gif") as caught:
        write(tmp_path / "out", *samples)
    assert caught.value.remedy == "write the images as JPEG: --with resize:40x30,fit=inside"
    steps = ["resize:40x30,fit=inside"]
    report = boxwright.convert(Dataset(SampleReader(samples)), f"yolo:{tmp_path / 'out'}", steps=steps)
    assert report.boxes == 2
    assert (tmp_path / "out" / "images" / "unsplit" / "a.jpg").read_bytes().startswith(b"\xff\xd8\xff")
    write(tmp_path / "flat", *samples, options="?layout=labelimg")
    for suffix in ("avif", "bmp", "dng", "heic", "heif", "jp2", "jpeg", "mpo", "png", "tif", "tiff", "webp"):
        write(tmp_path / suffix, sample_of(image, f"a.{suffix.upper()}"))
        assert (tmp_path / suffix / "images" / "unsplit" / f"a.{suffix.upper()}").exists()


def test_a_box_far_outside_is_refused_before_anything_is_written(tmp_path: Path, image: Path) -> None:
    samples = [sample_of(image, coordinates=(0, 0, 100, 30)), sample_of(image, "2.jpg")]
    with pytest.raises(
        DataError, match=r"source of 1\.jpg: a box extends so far beyond .* taken for pixels: clip it first"
    ):
        write(tmp_path / "out", *samples)
    boxwright.convert(Dataset(SampleReader(samples), problems=Problems("skip")), f"yolo:{tmp_path / 'out'}")
    assert sorted(files(tmp_path / "out")) == ["data.yaml", "images/unsplit/2.jpg", "labels/unsplit/2.txt"]


def test_an_image_that_is_missing_is_an_error_before_anything_is_written(tmp_path: Path, image: Path) -> None:
    for number, missing in enumerate((tmp_path / "gone.jpg", tmp_path, None)):
        out = tmp_path / f"out{number}"
        samples = [sample_of(missing), sample_of(image, "2.jpg")]
        with pytest.raises(DataError) as caught:
            write(out, *samples)
        assert caught.value.remedy
        boxwright.convert(Dataset(SampleReader(samples), problems=Problems("skip")), f"yolo:{out}")
        assert sorted(files(out)) == ["data.yaml", "images/unsplit/2.jpg", "labels/unsplit/2.txt"]


@pytest.mark.parametrize("name", ["../1.jpg", "/1.jpg", "a\\1.jpg", "a/../../1.jpg", "C:1.jpg", "a\0.jpg"])
@pytest.mark.parametrize("layout", ["ultralytics", "labelimg"])
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path, image: Path, name: str, layout: str) -> None:
    with pytest.raises(OutputError, match="leads outside"):
        write(tmp_path / "out", sample_of(image, name=name), options=f"?layout={layout}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jpg"]


def test_a_name_that_the_system_cannot_take_is_an_error(tmp_path: Path, image: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written: File name too long"):
        write(tmp_path / "out", sample_of(image, name="x" * 300 + ".jpg"))
    assert not (tmp_path / "out").exists()


def test_images_in_memory_and_elsewhere_are_written(tmp_path: Path, image: Path) -> None:
    import fsspec

    content = image.read_bytes()
    fsspec.filesystem("memory").pipe("/yolo-writer-in/2.jpg", content)
    samples = [
        sample_of(None).replace(image=ImageRef(name="1.jpg", width=40, height=30, data=content)),
        sample_of(None).replace(
            image=ImageRef(name="2.jpg", width=40, height=30, location="memory://yolo-writer-in/2.jpg")
        ),
    ]
    write(tmp_path / "out", *samples)
    for number in (1, 2):
        assert (tmp_path / f"out/images/unsplit/{number}.jpg").read_bytes() == content


def test_remote_folders_are_written(image: Path) -> None:
    for options in ("", "?layout=labelimg", "?pictures=false"):
        target = f"memory://yolo-writer/{len(options)}"
        boxwright.convert(Dataset(SampleReader([sample_of(image)])), f"yolo:{target}{options}", overwrite=True)
        (sample,) = boxwright.open(f"yolo:{target}?size=40x30")
        assert (sample.image.name, sample.boxes.labels) == ("1.jpg", ("fig",))
        if "false" not in options:
            assert sample.image.read() == image.read_bytes()


def test_images_are_copied_where_the_system_cannot_do_it_itself(
    tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(3 << 20)
    image.write_bytes(content)

    def refuse(*arguments: object) -> int:
        raise OSError(errno.EINVAL, "no")

    monkeypatch.setattr(os, "sendfile", refuse)
    write(tmp_path / "a", sample_of(image))
    monkeypatch.delattr(os, "sendfile")
    write(tmp_path / "b", sample_of(image))
    for folder in ("a", "b"):
        assert (tmp_path / folder / "images/unsplit/1.jpg").read_bytes() == content


def test_a_full_disk_leaves_nothing(tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sendfile, calls = os.sendfile, 0

    def full(target: int, source: int, offset: None, count: int) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return sendfile(target, source, offset, 100)

    monkeypatch.setattr(os, "sendfile", full)
    with pytest.raises(OutputError, match="No space left"):
        write(tmp_path / "out", sample_of(image))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jpg"]


def test_a_conversion_imports_neither_numpy_nor_yaml(tmp_path: Path) -> None:
    """They would take longer than the conversion of a thousand images."""
    make_sample(tmp_path / "in", "1.jpg", (40, 30), ["fig"], [(1, 2, 3, 4)])
    (tmp_path / "in/1.xml").write_text(
        "<annotation><filename>1.jpg</filename><size><width>40</width><height>30</height></size></annotation>"
    )
    code = (
        f"import sys, boxwright; boxwright.convert('labelimg:{tmp_path}/in', 'yolo:{tmp_path}/out');"
        "print([name for name in ('numpy', 'PIL', 'yaml', 'fsspec') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_globox_reads_the_same_boxes(tmp_path: Path) -> None:
    globox = pytest.importorskip("globox")
    coordinates = [(3, 5, 20, 30), (0, 0, 500, 375), (1 / 3, 0.1, 63.9, 47.123456), (10, 10, 10, 40)]
    sample = make_sample(tmp_path / "in", "1.jpg", (500, 375), ["b", "a", "c", "a"], coordinates)
    write(tmp_path / "out", sample)
    folder = tmp_path / "out/labels/unsplit"
    theirs = globox.AnnotationSet.from_yolo_v5(folder, image_folder=tmp_path / "out/images/unsplit")["1.jpg"]
    assert [box.label for box in theirs.boxes] == ["1", "0", "2", "0"]
    for box, given in zip(theirs.boxes, coordinates, strict=True):
        assert (box.xmin, box.ymin, box.xmax, box.ymax) == pytest.approx(given, abs=1e-6)


def test_supervision_reads_the_same_boxes(tmp_path: Path) -> None:
    supervision = pytest.importorskip("supervision")
    coordinates = [(3, 5, 20, 30), (30.25, 8.5, 60.75, 40)]
    write(tmp_path / "out", make_sample(tmp_path / "in", "1.jpg", (64, 48), ["fig", "red, ripe"], coordinates))
    out = tmp_path / "out"
    dataset = supervision.DetectionDataset.from_yolo(
        images_directory_path=str(out / "images/unsplit"),
        annotations_directory_path=str(out / "labels/unsplit"),
        data_yaml_path=str(out / "data.yaml"),
    )
    ((_, _, found),) = dataset
    for box, given in zip(found.xyxy.tolist(), coordinates, strict=True):
        assert box == pytest.approx(given, abs=1e-4)  # it keeps 32 bits
    assert [dataset.classes[number] for number in found.class_id] == ["fig", "red, ripe"]


def test_panlabel_reads_the_same_boxes(tmp_path: Path) -> None:
    program = shutil.which("panlabel", path=str(Path(sys.executable).parent)) or shutil.which("panlabel")
    if program is None:
        pytest.skip("panlabel is not installed")
    coordinates = [(3, 5, 20, 30), (30.25, 8.5, 60.75, 40), (0, 0, 64, 48)]
    sample = make_sample(tmp_path / "in", "1.jpg", (64, 48), ["b", "red, ripe", "b"], coordinates, split="train")
    empty = make_sample(tmp_path / "in", "2.jpg", (64, 48), split="val")
    write(tmp_path / "out", sample, empty)
    made = tmp_path / "coco.json"
    command = [program, "convert", "--from", "yolo", "--to", "coco", "-i", str(tmp_path / "out"), "-o", str(made)]
    done = subprocess.run([*command, "--allow-lossy"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    coco = json.loads(made.read_bytes())
    assert sorted((Path(i["file_name"]).name, i["width"], i["height"]) for i in coco["images"]) == [
        ("1.jpg", 64, 48),
        ("2.jpg", 64, 48),
    ]
    names = {category["id"]: category["name"] for category in coco["categories"]}
    assert [names[a["category_id"]] for a in coco["annotations"]] == ["b", "red, ripe", "b"]
    for annotation, (x1, y1, x2, y2) in zip(coco["annotations"], coordinates, strict=True):
        assert annotation["bbox"] == pytest.approx((x1, y1, x2 - x1, y2 - y1), abs=1e-6)


def test_a_dataset_moved_elsewhere_is_the_same(tmp_path: Path, image: Path) -> None:
    write(tmp_path / "out", sample_of(image, split="train"), sample_of(image, "2.jpg", split="val"))
    before = read(tmp_path / "out")
    shutil.move(tmp_path / "out", tmp_path / "moved")
    assert read(tmp_path / "moved") == before


def test_a_sidecar_knows_what_the_labels_were_written_with(tmp_path: Path, image: Path) -> None:
    """A score removed from a label file with scores stays removed; from a file without scores, it is restored."""
    sample = sample_of(image, box={"score": 0.25})
    found = {}
    for options in ("?scores=true", ""):
        out = tmp_path / f"out{len(options)}"
        write(out, sample, options=options, sidecar=True)
        (out / "labels/unsplit/1.txt").write_text("0 0.5 0.5 0.5 0.51\n")
        (back,) = boxwright.open(f"yolo:{out}")
        found[options] = dict(back.boxes.attributes[0])
    assert found == {"?scores=true": {}, "": {"score": 0.25}}
