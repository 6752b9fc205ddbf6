"""Sessions of edits: the journal, saving in every format, and what other programs change meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import boxwright
from boxwright import Boxes, DataError, OutputError, Sample, UsageError
from boxwright.annotation import AnnotationSession, ConflictError, Drawn, is_verified
from boxwright.plugins import default_registry
from boxwright.progress import LogReporter
from boxwright_testing import drawn_samples

NEW = ("square", (1.0, 2.0, 30.0, 41.0))
PHOTOS = 5


def rows(sample: Sample) -> list[Drawn]:
    boxes = sample.boxes
    return [Drawn(label, box, n) for n, (label, box) in enumerate(zip(boxes.labels, boxes.coordinates, strict=True))]


def add(session: AnnotationSession, image: int = 0, box: tuple[Any, ...] = NEW) -> Sample:
    return session.edit(image, [*rows(session.samples[image]), Drawn(*box)], revision=session.revisions[image])


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


@pytest.fixture
def labelimg(tmp_path: Path) -> Path:
    samples = drawn_samples(tmp_path / "source", PHOTOS, empty=1)
    boxwright.convert(boxwright.from_samples(samples), f"labelimg:{tmp_path / 'photos'}")
    return tmp_path / "photos"


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("labelimg", {"0-000.xml"}),
        ("voc", {"Annotations/0-000.xml"}),
        ("yolo", {"labels/unsplit/0-000.txt"}),
        ("labelme", {"0-000.json"}),
        ("createml", {"annotations.json"}),
        ("datumaro", {"annotations/default.json"}),
        ("coco", {"x.json"}),
        ("csv", {"x.json"}),
        ("cvat", {"x.json"}),
        ("label-studio", {"x.json", "x.json.original"}),
        ("via", {"x.json"}),
    ],
)
def test_only_the_files_of_edited_images_are_written(tmp_path: Path, name: str, files: set[str]) -> None:
    if name not in default_registry().names("format"):
        pytest.skip(f"the format {name} is not installed")
    samples = drawn_samples(tmp_path / "source", PHOTOS, empty=1)
    folder = default_registry().get("format", name).spec.target == "folder"
    place = tmp_path / "data" / ("" if folder else "x.json")
    uri = f"{name}:{place}"
    boxwright.convert(boxwright.from_samples(samples), uri if folder else f"{uri}?images=copy")
    before, ground_truth = content(tmp_path / "data"), {each.image.name: each for each in boxwright.open(uri)}
    with AnnotationSession(uri) as session:
        first = next(n for n, each in enumerate(session.samples) if each.image.name.endswith("0-000.png"))
        add(session, first)
        session.save()
    assert changed(before, content(tmp_path / "data")) == files
    for sample in boxwright.open(uri):
        old = ground_truth[sample.image.name].boxes
        if sample.image.name.endswith("0-000.png"):
            assert sample.boxes.labels == (*old.labels, "square")
            assert sample.boxes.coordinates == (*old.coordinates, pytest.approx(NEW[1], abs=1e-3))
        else:
            assert (sample.boxes.labels, sample.boxes.coordinates) == (old.labels, old.coordinates)


def test_photos_without_annotations_get_xml_next_to_each(tmp_path: Path) -> None:
    drawn_samples(tmp_path, 3)
    before = content(tmp_path)
    with AnnotationSession(str(tmp_path)) as session:
        assert [each.image.name for each in session.samples] == ["0-000.png", "0-001.png", "0-002.png"]
        add(session, 1, ("apple", (1, 2, 30, 41)))
        session.save()
    assert changed(before, content(tmp_path)) == {"0-001.xml"}
    text = (tmp_path / "0-001.xml").read_text("utf-8")
    assert "<name>apple</name>" in text
    assert "<xmax>30</xmax>" in text


def test_photos_in_several_folders_are_annotated_together(tmp_path: Path) -> None:
    for folder in ("train", "test"):
        drawn_samples(tmp_path / folder, 2)
    with AnnotationSession(str(tmp_path)) as session:
        assert [each.image.name for each in session.samples][::2] == ["test/0-000.png", "train/0-000.png"]
        add(session, 1, ("apple", (1, 2, 30, 41)))
        add(session, 2, ("apple", (3, 2, 30, 41)))
        assert session.classes == ["apple"]
        session.save()
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.xml")} == {
        "test/0-001.xml",
        "train/0-000.xml",
    }
    boxes = [sample.boxes for sample in boxwright.open(f"labelimg:{tmp_path / 'train'}")]
    assert [each.coordinates for each in boxes if each] == [((3, 2, 30, 41),)]


def test_a_copy_in_another_format_is_made_once(tmp_path: Path) -> None:
    pytest.importorskip("boxwright_coco")
    drawn_samples(tmp_path / "photos", 2)
    for label in ("apple", "pear"):
        with AnnotationSession(
            str(tmp_path / "photos"), to=f"coco:{tmp_path / 'c.json'}", classes=["apple"]
        ) as session:
            assert session.spec.name == "coco"
            add(session, 0, (label, (0, 0, 9, 9)))
            session.save()
    written = json.loads((tmp_path / "c.json").read_bytes())
    assert [each["name"] for each in written["categories"]] == ["apple", "pear"]
    assert [each["bbox"] for each in written["annotations"]] == [[0, 0, 9, 9]] * 2


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("# mine\ntrain: images/train\nnames: [fig, date]  # two\nnc: 2\n", 'names: {0: "fig", 1: "date", 2: "new"}'),
        ("train: images/train\nnames:\n  0: fig\n  1: date\nval: images/train\n", '  1: "date"\n  2: "new"\nval: '),
        ("nc: 2\nnames:\n- fig\n- date\ntrain: images/train", '  0: "fig"\n  1: "date"\n  2: "new"\ntrain: '),
    ],
)
def test_a_new_class_of_yolo_is_added_to_data_yaml(tmp_path: Path, description: str, expected: str) -> None:
    yaml = pytest.importorskip("yaml")
    pytest.importorskip("boxwright_yolo")
    drawn_samples(tmp_path / "images/train", 1)
    (tmp_path / "data.yaml").write_text(description)
    with AnnotationSession(f"yolo:{tmp_path}") as session:
        add(session, 0, ("new", (16, 16, 32, 48)))
        session.save()
    text = (tmp_path / "data.yaml").read_text("utf-8")
    assert expected in text
    assert yaml.safe_load(text)["names"] == {0: "fig", 1: "date", 2: "new"}
    assert yaml.safe_load(text).get("nc", 3) == 3
    assert ("# mine" in text) == ("# mine" in description)
    image = boxwright.open(f"yolo:{tmp_path}")[0].image
    width, height = image.width, image.height
    number, *numbers = (tmp_path / "labels/train/0-000.txt").read_text().split()
    assert number == "2"
    assert [float(each) for each in numbers] == pytest.approx([24 / width, 32 / height, 16 / width, 32 / height])


def test_attributes_of_boxes_that_stay_are_kept_and_outlines_of_moved_ones_removed(tmp_path: Path) -> None:
    pytest.importorskip("boxwright_coco")
    (sample,) = drawn_samples(tmp_path / "photos", 1)
    outline = [[4.0, 4.0, 20.0, 4.0, 20.0, 24.0]]
    boxes = [
        {"bbox": [4, 4, 16, 20], "iscrowd": 0, "segmentation": outline, "area": 160.0, "note": str(n)} for n in (1, 2)
    ]
    instances = {
        "images": [
            {"id": 1, "file_name": sample.image.name, "width": sample.image.width, "height": sample.image.height}
        ],
        "annotations": [{"id": n, "image_id": 1, "category_id": 7, **each} for n, each in enumerate(boxes, start=5)],
        "categories": [{"id": 7, "name": "fig"}],
    }
    path = tmp_path / "c.json"
    path.write_text(json.dumps(instances))
    with AnnotationSession(f"coco:{path}?images={tmp_path / 'photos'}") as session:
        first, second = rows(session.samples[0])
        session.edit(0, [first, second._replace(coordinates=(6.0, 4.0, 22.0, 24.0))], revision=0)
        saved = session.save()
    assert saved.kept == [f"{path}.original"]
    assert json.loads(Path(saved.kept[0]).read_bytes()) == instances
    kept, moved = json.loads(path.read_bytes())["annotations"]
    assert (kept["segmentation"], kept["note"], kept["id"], "annotator" in kept) == (outline, "1", 5, False)
    assert (moved["segmentation"], moved["note"], moved["annotator"]) == ([], "2", "person")
    assert (moved["bbox"], moved["area"]) == ([6, 4, 16, 20], 320)


def test_undo_and_redo_reach_back_over_saving(labelimg: Path) -> None:
    before = content(labelimg)
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        old = session.samples[0].boxes
        add(session)
        session.save()
        add(session, 1)
        assert session.undo() == [1]
        assert session.undo() == [0]
        assert session.undo() == []
        assert session.samples[0].boxes == old
        assert session.unsaved == [0]
        session.save()
        assert changed(before, content(labelimg)) == {".boxwright-annotate.jsonl"}
        assert session.redo() == [0]
        assert session.unsaved == [0]
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        assert session.unsaved == [0]
        assert session.samples[0].boxes.labels == (*old.labels, "square")


def test_marks_and_names_of_those_who_drew_are_attributes(labelimg: Path) -> None:
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        boxes = [*rows(session.samples[0]), Drawn(*NEW), Drawn(*NEW, None, True)]
        session.edit(0, boxes, revision=0, verified=True)
        session.save()
        assert not session.save().images
    text = (labelimg / "0-000.xml").read_text("utf-8")
    assert text.startswith('<annotation verified="yes">')
    assert text.count("<annotator>person</annotator>") == text.count("<annotator>model</annotator>") == 1


def test_what_a_format_cannot_store_is_reported(tmp_path: Path) -> None:
    pytest.importorskip("boxwright_yolo")
    boxwright.convert(boxwright.from_samples(drawn_samples(tmp_path / "s", 2)), f"yolo:{tmp_path / 'y'}")
    with AnnotationSession(f"yolo:{tmp_path / 'y'}") as session:
        add(session)
        assert session.save().losses.describe() == "annotator: 1 box"


def test_edits_survive_a_kill_and_are_not_applied_twice(labelimg: Path) -> None:
    script = f"""
        import os, signal
        from boxwright.annotation import AnnotationSession, Drawn
        session = AnnotationSession({str(labelimg)!r})
        for image in (0, 1, 2):
            session.edit(image, [Drawn("square", (1, 2, 30, 41))], revision=0)
        session.undo()
        session.add_class("later")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -9
    before = content(labelimg)
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        assert session.recovered == 2
        assert session.unsaved == [0, 1]
        assert [session.samples[n].boxes.coordinates for n in (0, 1)] == [((1.0, 2.0, 30.0, 41.0),)] * 2
        session.redo()
        assert session.unsaved == [0, 1, 2]
        session.undo()
        session.save()
    assert changed(before, content(labelimg)) == {"0-000.xml", "0-001.xml", ".boxwright-annotate.jsonl"}
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        assert session.recovered == 0


def test_a_line_that_was_cut_off_is_ignored_and_a_damaged_one_is_not(labelimg: Path) -> None:
    session = AnnotationSession(f"labelimg:{labelimg}")
    add(session, 0)
    add(session, 1)
    session.close()
    journal = labelimg / ".boxwright-annotate.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole[:-20])
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        assert session.unsaved == [0]
    header, line, _ = whole.splitlines(keepends=True)
    journal.write_bytes(header + line[:-20] + b"\n" + line)
    with pytest.raises(DataError, match="line 2: the journal is damaged"):
        AnnotationSession(f"labelimg:{labelimg}")


def test_a_dataset_has_one_session_at_a_time(labelimg: Path) -> None:
    with AnnotationSession(f"labelimg:{labelimg}"), pytest.raises(DataError, match="is being annotated already"):
        AnnotationSession(f"labelimg:{labelimg}")


def test_an_edit_of_an_older_revision_is_refused(labelimg: Path) -> None:
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        add(session)
        with pytest.raises(ConflictError, match="edited in another window"):
            session.edit(0, [], revision=0)
        assert session.samples[0].boxes.labels[-1] == "square"


def rewrite(path: Path, old: str, new: str) -> bytes:
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
    return path.read_bytes()


def test_a_file_that_another_program_changed_is_never_overwritten_unasked(labelimg: Path) -> None:
    path = labelimg / "0-000.xml"
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        label = session.samples[0].boxes.labels[0]
        add(session, 0)
        add(session, 1)
        theirs = rewrite(path, f"<name>{label}</name>", "<name>theirs</name>")
        other = (labelimg / "0-001.xml").read_bytes()
        with pytest.raises(ConflictError, match="another program has changed") as error:
            session.save()
        assert error.value.images == [0]
        assert (path.read_bytes(), (labelimg / "0-001.xml").read_bytes()) == (theirs, other)
        session.discard([0])
        assert session.samples[0].boxes.labels[0] == "theirs"
        session.save()
        assert path.read_bytes() == theirs
        add(session, 0)
        rewrite(path, "theirs", "again")
        assert session.save(overwrite=[0]).images == 1
    assert "again" not in path.read_text("utf-8")


def test_a_change_is_noticed_before_the_first_edit_too(labelimg: Path) -> None:
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        label = session.samples[0].boxes.labels[0]
        rewrite(labelimg / "0-000.xml", f"<name>{label}</name>", "<name>theirs</name>")
        with pytest.raises(ConflictError):
            session.edit(0, [], revision=0)
        assert session.samples[0].boxes.labels[0] == "theirs"


def test_a_touched_file_with_the_same_content_is_no_conflict(labelimg: Path) -> None:
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        add(session)
        os.utime(labelimg / "0-000.xml")
        assert session.save().images == 1


def test_a_change_while_no_session_was_open_is_a_conflict(labelimg: Path) -> None:
    session = AnnotationSession(f"labelimg:{labelimg}")
    label = session.samples[0].boxes.labels[0]
    add(session)
    session.close()
    rewrite(labelimg / "0-000.xml", f"<name>{label}</name>", "<name>theirs</name>")
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        with pytest.raises(ConflictError):
            session.save()
        session.discard([0])
        assert session.unsaved == []


def test_an_annotation_that_another_program_created_is_a_conflict(tmp_path: Path) -> None:
    drawn_samples(tmp_path, 2)
    other = tmp_path.parent / "other"
    boxwright.convert(boxwright.from_samples(drawn_samples(other / "s", 2)), f"labelimg:{other / 'l'}")
    with AnnotationSession(str(tmp_path)) as session:
        add(session)
        theirs = (other / "l/0-000.xml").read_bytes()
        (tmp_path / "0-000.xml").write_bytes(theirs)
        with pytest.raises(ConflictError):
            session.save()
        assert (tmp_path / "0-000.xml").read_bytes() == theirs
        session.save(overwrite=[0])
    assert boxwright.open(f"labelimg:{tmp_path}")[0].boxes.labels == ("square",)


def test_nothing_is_written_if_one_edit_cannot_be(tmp_path: Path) -> None:
    if "kitti" not in default_registry().names("format"):
        pytest.skip("the format kitti is not installed")
    boxwright.convert(boxwright.from_samples(drawn_samples(tmp_path / "s", 3)), f"kitti:{tmp_path / 'k'}")
    with AnnotationSession(f"kitti:{tmp_path / 'k'}") as session:
        add(session, 0)
        add(session, 1, ("two words", (1, 2, 30, 41)))
        before = content(tmp_path / "k")
        with pytest.raises(DataError, match="two words"):
            session.save()
        assert content(tmp_path / "k") == before
        assert session.unsaved == [0, 1]


def test_many_images_are_written_together(labelimg: Path, monkeypatch: Any) -> None:
    from boxwright.annotation.saving import Saver

    written = []
    temporary = Saver._temporary
    monkeypatch.setattr(
        Saver,
        "_temporary",
        lambda self, samples, options: written.append(len(samples)) or temporary(self, samples, options),
    )
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        for image in range(PHOTOS):
            add(session, image)
        saved = session.save()
        assert sorted(os.path.basename(file) for file in saved.files) == [f"0-00{n}.xml" for n in range(PHOTOS)]
        assert written == [PHOTOS] * 3
        assert session.saving == (0, 0)
    for sample in boxwright.open(f"labelimg:{labelimg}"):
        assert sample.boxes.labels[-1] == "square"
        assert sample.boxes.coordinates[-1] == NEW[1]


def test_what_killed_processes_left_is_removed_once_and_not_for_each_image(labelimg: Path, monkeypatch: Any) -> None:
    from boxwright.storage.stores import HOST, LocalStorage
    from boxwright.storage.switch import MARK

    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = [labelimg / f".{name}{MARK}{HOST}-{ended.pid}-0" for name in ("0-001.xml", "another.xml")]
    mine = labelimg / f".0-002.xml{MARK}{HOST}-{os.getpid()}-999999"
    for path in (*left, mine):
        path.write_bytes(b"half")
    looked: list[str] = []
    remove = LocalStorage.remove_stale
    monkeypatch.setattr(
        LocalStorage, "remove_stale", lambda self, parent, name: (looked.append(parent), remove(self, parent, name))
    )
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        for image in range(PHOTOS):
            add(session, image)
        session.save()
    assert looked.count(str(labelimg)) == 1
    assert not any(path.exists() for path in left)
    assert mine.exists(), "of a process that lives"


def test_saving_shows_how_many_images_are_written(labelimg: Path, monkeypatch: Any) -> None:
    class Bars(LogReporter):
        @contextmanager
        def task(self, description: str, total: int | None = None) -> Iterator[Any]:
            if description == "Saving":
                bars.append(total)
            yield SimpleNamespace(advance=lambda steps=1: shown.append((description, steps)))

    bars: list[int | None] = []
    shown: list[tuple[str, int]] = []
    states: list[tuple[int, int]] = []
    monkeypatch.setattr("boxwright.annotation.saving._BATCH", 2)
    with AnnotationSession(f"labelimg:{labelimg}", reporter=Bars()) as session:
        note = session._journal.add
        monkeypatch.setattr(session._journal, "add", lambda entry: (states.append(session.saving), note(entry)))
        for image in range(3):
            add(session, image)
        session.save()
    assert bars == [3]
    assert [steps for description, steps in shown if description == "Saving" and steps] == [2, 1]
    assert (3, 3) in states  # just before the files are replaced


def test_a_label_that_an_edit_does_not_touch_stays_as_it_is(labelimg: Path) -> None:
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        odd = session.samples[0].replace(boxes=Boxes([" odd ", "a" * 300], [(1, 1, 9, 9), (2, 2, 9, 9)]))
        session.apply({0: odd})
        add(session)
        assert session.samples[0].boxes.labels == (" odd ", "a" * 300, "square")


def test_only_yes_says_that_an_image_is_verified(labelimg: Path) -> None:
    """As labelImg reads it: ``if verified == 'yes'``."""
    (sample,) = list(boxwright.open(f"labelimg:{labelimg}"))[:1]
    marked = [sample.replace(attributes={"verified": text}) for text in ("yes", "no", "")]
    assert [is_verified(each) for each in marked] == [True, False, False]


def kill(session: AnnotationSession) -> None:
    """Ends a session as a kill does: the lock is gone, and the journal stays."""
    session._journal._file.close()


def yolo_of(folder: Path, rows: str) -> str:
    pytest.importorskip("boxwright_yolo")
    drawn_samples(folder / "images/train", 2)
    (folder / "labels/train").mkdir(parents=True)
    for number in (0, 1):
        (folder / f"labels/train/0-00{number}.txt").write_text(rows)
    (folder / "data.yaml").write_text("train: images/train\nnames:\n  0: fig\n  1: nut\n")
    return f"yolo:{folder}"


def test_a_class_that_another_program_added_keeps_its_number(tmp_path: Path) -> None:
    uri = yolo_of(tmp_path, "0 0.5 0.5 0.25 0.25\n")
    with AnnotationSession(uri) as session:
        with (tmp_path / "data.yaml").open("a") as file:
            file.write("  2: other\n")
        add(session, 0, ("date", (16, 16, 32, 48)))
        session.save()
        assert "other" in session.classes
    assert (tmp_path / "labels/train/0-000.txt").read_text().split()[5] == "3"
    assert boxwright.open(uri)[0].boxes.labels == ("fig", "date")
    assert boxwright.open(uri).label_map.names == ("fig", "nut", "other", "date")


def test_a_class_that_is_added_during_a_save_keeps_its_number(tmp_path: Path, monkeypatch: Any) -> None:
    uri = yolo_of(tmp_path, "0 0.5 0.5 0.25 0.25\n")
    with AnnotationSession(uri) as session:
        add(session, 0, ("date", (16, 16, 32, 48)))
        kept = type(session._saver)._keep_unless

        def between(*args: Any) -> None:
            if "other" not in (tmp_path / "data.yaml").read_text():
                with (tmp_path / "data.yaml").open("a") as file:
                    file.write("  2: other\n")
            kept(*args)

        monkeypatch.setattr(type(session._saver), "_keep_unless", between)
        session.save()
    assert boxwright.open(uri)[0].boxes.labels == ("fig", "date")


def test_what_another_program_says_about_the_dataset_stays(tmp_path: Path) -> None:
    pytest.importorskip("boxwright_coco")
    place = tmp_path / "data/x.json"
    boxwright.convert(boxwright.from_samples(drawn_samples(tmp_path / "s", 2)), f"coco:{place}?images=copy")
    with AnnotationSession(f"coco:{place}") as session:
        add(session)
        content = json.loads(place.read_text())
        content["info"]["description"] = "theirs"
        content["categories"].append({"id": 99, "name": "other", "supercategory": "z"})
        place.write_text(json.dumps(content))
        session.save()
    written = json.loads(place.read_text())
    assert written["info"]["description"] == "theirs"
    assert {"id": 99, "name": "other", "supercategory": "z"} in written["categories"]


def test_edits_of_an_image_that_cannot_be_read_this_time_are_kept(labelimg: Path) -> None:
    session = AnnotationSession(f"labelimg:{labelimg}")
    add(session, 0)
    add(session, 1)
    kill(session)
    broken, whole = labelimg / "0-001.xml", (labelimg / "0-001.xml").read_text()
    broken.write_text(whole[:40])
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        assert any("the journal has edits of images" in str(error) for error in session.skipped[1:])
        session.undo()
        session.undo()
        session.redo()
        session.save()
    broken.write_text(whole)
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        assert [session.samples[n].image.name for n in session.unsaved] == ["0-001.png"]
        assert session.samples[1].boxes.labels[-1] == "square"
        session.save()
    assert not (labelimg / ".boxwright-annotate.jsonl").exists()


@pytest.mark.parametrize("name", ["yolo", "coco", "labelimg", "labelme", "csv"])
def test_what_was_saved_is_no_change_by_another_program(tmp_path: Path, name: str) -> None:
    if name not in default_registry().names("format"):
        pytest.skip(f"the format {name} is not installed")
    folder = default_registry().get("format", name).spec.target == "folder"
    place = tmp_path / "data" / ("" if folder else "x.json")
    samples = drawn_samples(tmp_path / "s", 3, size=(317, 241))
    boxwright.convert(boxwright.from_samples(samples), f"{name}:{place}" + ("" if folder else "?images=copy"))
    session = AnnotationSession(f"{name}:{place}")
    add(session, 0, ("square", (10.3, 10, 50.1, 61)))
    session.save()
    add(session, 0, ("square", (100, 10.7, 150, 61)))
    assert not session.changed_files()
    os.utime(session._file(session.samples[1]))
    session.refresh(1)
    assert session.can_undo
    kill(session)
    with AnnotationSession(f"{name}:{place}") as session:
        assert session.recovered == 1
        assert session.save().images == 1


@pytest.mark.parametrize("name", ["labelimg", "yolo"])
def test_a_kill_right_after_a_save_leaves_no_edits(tmp_path: Path, name: str, monkeypatch: Any) -> None:
    if name not in default_registry().names("format"):
        pytest.skip(f"the format {name} is not installed")
    boxwright.convert(
        boxwright.from_samples(drawn_samples(tmp_path / "s", 2, size=(317, 241))), f"{name}:{tmp_path / 'd'}"
    )
    session = AnnotationSession(f"{name}:{tmp_path / 'd'}")
    add(session, 0, ("square", (10.3, 10, 50.1, 61)))
    monkeypatch.setattr(session._journal, "restart", lambda: kill(session))
    session.save()
    with AnnotationSession(f"{name}:{tmp_path / 'd'}") as session:
        assert session.recovered == 0
        add(session, 0, ("square", (100, 10.7, 150, 61)))
        assert session.save().images == 1


def test_a_dataset_that_changes_during_each_save_is_left_alone(labelimg: Path, monkeypatch: Any) -> None:
    before = content(labelimg)
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        add(session)
        monkeypatch.setattr(type(session), "_is_changed", lambda self, images: True)
        with pytest.raises(OutputError, match="all the time"):
            session.save()
    assert changed(before, content(labelimg)) == {".boxwright-annotate.jsonl"}


def test_what_a_format_would_not_write_again_is_copied_first(tmp_path: Path) -> None:
    outline = "0 0.1 0.1 0.3 0.1 0.2 0.4\n1 0.500000 0.5 0.25 0.25\n"
    uri = yolo_of(tmp_path, outline)
    file = tmp_path / "labels/train/0-000.txt"
    (tmp_path / "labels/train/0-001.txt").write_text("1 0.500000 0.5 0.25 0.25\n")
    with AnnotationSession(uri) as session:
        add(session, 0)
        add(session, 1)
        assert session.save().kept == [f"{file}.original"]
        assert Path(f"{file}.original").read_text() == outline
        add(session, 0)
        assert not session.save().kept
        file.write_text(outline.replace("0.4", "0.5"))
        session.refresh(0)
        add(session, 0)
        assert session.save().kept == [f"{file}.original-2"]
    assert Path(f"{file}.original").read_text() == outline
    assert boxwright.open(uri)[0].boxes.labels == ("fig", "nut", "square")


def test_a_file_of_several_images_is_copied_before_fields_of_it_are_lost(tmp_path: Path) -> None:
    pytest.importorskip("boxwright_createml")
    drawn_samples(tmp_path, 2)
    content = [{"image": "0-000.png", "annotations": []}, {"image": "0-001.png", "imageset": "A", "annotations": []}]
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    with AnnotationSession(f"createml:{tmp_path}") as session:
        add(session, 0)
        (kept,) = session.save().kept
    assert json.loads(Path(kept).read_text()) == content


def test_a_copy_of_an_earlier_session_is_not_the_last_one(tmp_path: Path) -> None:
    pytest.importorskip("boxwright_coco")
    place = tmp_path / "data/x.json"
    boxwright.convert(boxwright.from_samples(drawn_samples(tmp_path / "s", 2)), f"coco:{place}?images=copy")
    kept = []
    for text in ("one", "two"):
        place.write_text(json.dumps({"unknown": text} | json.loads(place.read_text()) | {"unknown": text}))
        for _ in range(2):
            with AnnotationSession(f"coco:{place}") as session:
                add(session)
                kept += session.save().kept
    assert kept == [f"{place}.original", f"{place}.original-2"]
    assert [json.loads(Path(file).read_text())["unknown"] for file in kept] == ["one", "two"]


def test_a_change_between_reading_and_the_first_look_is_noticed(labelimg: Path, monkeypatch: Any) -> None:
    path = labelimg / "0-000.xml"
    label = boxwright.open(f"labelimg:{labelimg}")[0].boxes.labels[0]
    read = AnnotationSession._file

    def slow(self: AnnotationSession, sample: Sample) -> str:
        if f"<name>{label}</name>" in path.read_text():
            rewrite(path, f"<name>{label}</name>", "<name>theirs</name>")
        return read(self, sample)

    monkeypatch.setattr(AnnotationSession, "_file", slow)
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        session.refresh(0)
        assert session.samples[0].boxes.labels[0] == "theirs"


def test_an_edit_that_the_disk_refused_is_not_in_the_journal(labelimg: Path, monkeypatch: Any) -> None:
    session = AnnotationSession(f"labelimg:{labelimg}")
    add(session, 0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: os.strerror(28) and (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(OSError, match="full"):
            add(session, 1)
    add(session, 2)
    kill(session)
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        assert session.unsaved == [0, 2]


def test_a_journal_of_another_format_is_refused(labelimg: Path) -> None:
    pytest.importorskip("boxwright_labelme")
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        add(session)
    with pytest.raises(DataError, match="it has edits of labelimg:"):
        AnnotationSession(f"labelme:{labelimg}")
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        assert session.recovered == 1


def test_a_journal_that_is_a_link_is_refused(labelimg: Path, tmp_path: Path) -> None:
    (labelimg / ".boxwright-annotate.jsonl").symlink_to(tmp_path / "outside")
    with pytest.raises(DataError, match="cannot be written"):
        AnnotationSession(f"labelimg:{labelimg}")
    assert not (tmp_path / "outside").exists()


def test_edits_after_a_change_of_the_file_are_based_on_it(labelimg: Path) -> None:
    session = AnnotationSession(f"labelimg:{labelimg}")
    label = session.samples[0].boxes.labels[0]
    add(session)
    session.undo()
    rewrite(labelimg / "0-000.xml", f"<name>{label}</name>", "<name>theirs</name>")
    session.refresh(0)
    add(session)
    kill(session)
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        assert session.save().images == 1
    assert boxwright.open(f"labelimg:{labelimg}")[0].boxes.labels[0] == "theirs"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_saved_file_keeps_its_mode(labelimg: Path) -> None:
    (labelimg / "0-000.xml").chmod(0o664)
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        add(session)
        session.save()
    assert (labelimg / "0-000.xml").stat().st_mode & 0o777 == 0o664


@pytest.mark.parametrize(
    ("box", "problem"),
    [
        (("square", (5, 5, 5, 9)), "zero area"),
        (("square", (-9, 0, -1, 9)), "outside the image"),
        (("square", (9, 0, 1, 9)), "xmin"),
        (("square", (float("nan"), 0, 1, 9)), "box"),
        (("", (0, 0, 1, 9)), "name of a class"),
        (("a\nb", (0, 0, 1, 9)), "name of a class"),
        (("a" * 201, (0, 0, 1, 9)), "name of a class"),
        (("\ud800", (0, 0, 1, 9)), "name of a class"),
    ],
)
def test_an_invalid_box_changes_nothing(labelimg: Path, box: tuple[Any, ...], problem: str) -> None:
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        with pytest.raises(UsageError, match=problem):
            session.edit(0, [Drawn(*box)], revision=0)
        assert not session.can_undo


def test_a_drawn_box_ends_at_the_edge_of_the_image_and_an_old_one_stays_where_it_was(labelimg: Path) -> None:
    with AnnotationSession(f"labelimg:{labelimg}") as session:
        image = session.samples[0].image
        session.apply({0: session.samples[0].replace(boxes=Boxes(["old"], [(-3.5, 0.25, 4.0, 9.0)]))})
        session.edit(0, [*rows(session.samples[0]), Drawn("new", (-5, -5, 9999, 9999))], revision=1)
        assert session.samples[0].boxes.coordinates == ((-3.5, 0.25, 4.0, 9.0), (0.0, 0.0, image.width, image.height))


@pytest.mark.parametrize(
    ("uri", "message"),
    [("labelimg:{here}/{{split}}", "is several datasets"), ("s3://bucket/photos", "cannot be annotated")],
)
def test_a_dataset_that_is_not_in_one_local_place_is_refused(labelimg: Path, uri: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        AnnotationSession(uri.format(here=labelimg))
