"""What a session shows next, what proposals save, and annotating and training in turns."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import boxwright
from boxwright import Boxes, DataError, Detections, ImageRef, LabelMap, Sample
from boxwright.annotation import (
    AnnotationSession,
    Drawn,
    Proposals,
    annotation_loop,
    relabeled,
    simulate,
    without_boxes,
)
from boxwright.annotation.order import expected_objects, learning_order, look, suspected_errors
from boxwright.models.decoder import DecoderSettings
from boxwright.plugins import PluginRecord, default_registry
from boxwright_testing import drawn_samples
from boxwright_testing.probe import PROBE, with_probe

LABELS = LabelMap.from_names(["fig", "nut"])
IMAGE = ImageRef(name="a.jpg", width=200, height=100)


def detections(*found: tuple[str, tuple[float, ...], float]) -> Detections:
    labels, boxes, scores = zip(*found, strict=True) if found else ((), np.zeros((0, 4)), ())
    return Detections.from_arrays(IMAGE, labels, np.array(boxes, float).reshape(-1, 4), scores)


class Model:
    label_map = LABELS
    decoder = DecoderSettings(score=(0.5, 0.2))
    is_raw = False

    def predict(self, samples: Any, *, batch_size: int = 8, score: float = 0.0) -> Any:
        for sample in samples:
            yield Detections.from_arrays(sample.image, ["fig"], np.array([[1.0, 1, 9, 9]]), [0.5])

    def with_decoder(self, decoder: DecoderSettings) -> Any:
        raise NotImplementedError


def labeled(*boxes: tuple[str, Any]) -> Sample:
    return Sample(image=IMAGE, boxes=Boxes([label for label, _ in boxes], [box for _, box in boxes]))


def test_a_simulated_annotator_edits_what_is_wrong() -> None:
    """By hand: one right, one to move (IoU 0.6), one to relabel, one to delete, one to draw; 0.4 of a fig is hidden."""
    truth = labeled(
        ("fig", (0, 0, 20, 20)), ("fig", (40, 0, 60, 20)), ("nut", (80, 0, 100, 20)), ("nut", (120, 0, 140, 20))
    )
    found = detections(
        ("fig", (0, 0, 20, 20), 0.9),
        ("fig", (45, 0, 65, 20), 0.8),
        ("fig", (80, 0, 100, 20), 0.7),
        ("nut", (0, 60, 20, 80), 0.3),
        ("fig", (120, 0, 140, 20), 0.4),
    )
    assert 15 * 20 / (25 * 20) == 0.6  # below 0.7, above 0.3
    result = simulate(Model(), [(truth, found), (labeled(), detections(("fig", (0, 0, 9, 9), 0.9)))])  # type: ignore[arg-type]
    assert result.to_dict() == {
        "images": 2,
        "boxes": 4,
        "accepted": 1,
        "drawn": 1,
        "moved": 1,
        "relabeled": 1,
        "deleted": 2,
        "edits": 5,
        "one_by_one": 3,  # nothing comes after the two that are wrong
        "saved": -0.25,
    }


def test_of_proposals_at_one_place_only_the_best_is_accepted() -> None:
    """The IoU of two boxes of 20x20 that are 4 apart is 16/24, above 0.5; of those that are 10 apart 10/30."""
    truth = labeled(("fig", (0, 0, 20, 20)))
    found = detections(("fig", (0, 0, 20, 20), 0.9), ("nut", (4, 0, 24, 20), 0.8), ("fig", (10, 0, 30, 20), 0.7))
    result = simulate(Model(), [(truth, found)])  # type: ignore[arg-type]
    assert (result.accepted, result.deleted, result.edits) == (1, 1, 1)


def test_of_wrong_proposals_only_those_before_a_right_one_are_rejected_one_by_one() -> None:
    """Two come before the last right one, one after it."""
    truth = labeled(("fig", (0, 0, 20, 20)), ("fig", (40, 0, 60, 20)))
    boxes = [(0, 60, 20, 80), (0, 0, 20, 20), (40, 60, 60, 80), (40, 0, 60, 20), (80, 60, 100, 80)]
    found = detections(*(("fig", box, 0.99 - n / 20) for n, box in enumerate(boxes)))
    result = simulate(Model(), [(truth, found)])  # type: ignore[arg-type]
    assert (result.deleted, result.edits, result.rejected, result.one_by_one) == (3, 3, 2, 2)


def test_without_proposals_every_object_is_drawn() -> None:
    truth = labeled(("fig", (0, 0, 20, 20)), ("nut", (40, 0, 60, 20)))
    assert simulate(Model(), [(truth, detections())]).to_dict()["drawn"] == 2  # type: ignore[arg-type]


def test_images_with_rare_classes_come_first_and_those_without_objects_last() -> None:
    """With 9 figs, the first half nut is worth log(1.5) = 0.41, the next ones 0.29 and 0.22, three figs log(1.3)."""
    nut = detections(("nut", (0, 0, 9, 9), 0.3), ("nut", (20, 0, 29, 9), 0.2))
    figs = detections(*(("fig", (20 * n, 0, 20 * n + 9, 9), 1.0) for n in range(3)))
    found = [nut, detections(), nut, figs, nut]
    assert expected_objects(nut) == pytest.approx({"nut": 0.5})
    apart = list(np.eye(5))
    assert learning_order(found, apart, {"fig": 9}, []) == [0, 2, 3, 4, 1]
    assert learning_order(found, apart, {"fig": 9, "nut": 90}, [])[0] == 3
    assert learning_order([], [], {}, []) == []
    assert learning_order([nut], apart[:1], {}, apart) == [0]


def test_near_duplicates_of_images_with_labels_or_chosen_before_come_late() -> None:
    """The nearest other image is 5 away in the median; 0 and 1 are 0.01 apart, which leaves 0.002 of the gain."""
    nut = detections(("nut", (0, 0, 9, 9), 0.5))
    looks = [np.array([each]) for each in (0.0, 0.01, 5.0, 10.0, 15.0)]
    assert learning_order([nut] * 5, looks, {}, []) == [0, 2, 3, 4, 1]
    assert learning_order([nut] * 5, looks, {}, [np.array([10.02])]) == [0, 2, 4, 3, 1]


def test_the_look_of_an_image_has_its_colors_and_not_their_places() -> None:
    """A third of the pixels is red, so 4 of 12 quantiles of red are 1 up to the blur of resizing."""
    left, right = (Image.new("RGB", (96, 64)) for _ in range(2))
    left.paste((255, 0, 0), (0, 0, 32, 64))
    right.paste((255, 0, 0), (64, 0, 96, 64))
    looks = []
    for image in (left, right):
        content = BytesIO()
        image.save(content, "PNG")
        ref = ImageRef(name="a.png", width=96, height=64, data=content.getvalue())
        looks.append(look(Sample(image=ref, boxes=Boxes())).reshape(12, 3))
    assert looks[0] == pytest.approx(looks[1], abs=0.02)
    assert looks[0][:, 0] == pytest.approx([0] * 8 + [1] * 4, abs=0.1)
    assert not looks[0][:, 1:].any()


def test_suspected_errors_name_the_object_and_leave_out_images_without_boxes() -> None:
    right = [("fig", (10.0 * n, 0.0, 10.0 * n + 9, 9.0)) for n in range(12)]
    scored = [(label, box, 0.95) for label, box in right]
    samples = [labeled(*right), labeled(*right[1:]), labeled()]
    found = {n: detections(*scored) for n in range(3)}
    reasons = suspected_errors(samples, found, LABELS, DecoderSettings(score=0.3))
    assert reasons == [(1, "fig found with 0.95, not annotated", right[0][1])]


def test_boxes_of_many_images_are_relabeled_and_removed() -> None:
    samples = [labeled(("fig", (0, 0, 2, 90)), ("nut", (0, 0, 20, 20))), labeled(("nut", (0, 0, 3, 3)))]
    assert {n: each.boxes.labels for n, each in relabeled(samples, [0, 1], "fig", "date").items()} == {
        0: ("date", "nut")
    }
    assert {n: each.boxes.labels for n, each in without_boxes(samples, [0, 1], side=3).items()} == {0: ("nut",)}
    removed = without_boxes(samples, [0, 1], label="nut", side=10)
    assert {n: each.boxes.labels for n, each in removed.items()} == {1: ()}
    assert without_boxes(samples, [1], label="fig") == {}


def test_proposals_of_a_requested_image_come_first_and_a_failure_is_reported(tmp_path: Path) -> None:
    samples = drawn_samples(tmp_path, 3)
    proposals = Proposals(Model(), samples, default_registry())  # type: ignore[arg-type]
    proposals.start()
    assert proposals.wait(2, 20) == [("fig", (1.0, 1.0, 9.0, 9.0), 0.5, True)]
    proposals.stop()
    failing = Proposals(tmp_path / "absent", samples, default_registry())
    failing.start()
    assert failing.wait(0, 20) is None
    assert "absent" in failing.problem


def with_annotator(person: Any) -> Any:
    """The installed plugins, the probe, and an annotator with the name ``person``."""
    registry = with_probe(default_registry())
    sys.modules["person_of_the_test"] = SimpleNamespace(make=lambda: person)  # type: ignore[assignment]
    spec = boxwright.AnnotatorSpec(name="person", load="person_of_the_test:make")
    plugin = SimpleNamespace(boxwright_annotators=boxwright.hookimpl(lambda: [spec]))
    registry.plugins.register(plugin, PluginRecord("person", "tests", "0", "tests"))
    return registry


class Person:
    """Annotates two more images in each session, as an annotator plugin."""

    def __init__(self) -> None:
        self.had_model: list[bool] = []

    def annotate(self, session: AnnotationSession, reporter: Any) -> None:
        self.had_model.append(session.proposals is not None)
        empty = [n for n, sample in enumerate(session.samples) if not sample.boxes]
        for image in empty[:2]:
            session.edit(image, [Drawn("fig", (4, 4, 40, 40))], revision=session.revisions[image])
        session.save()


def test_a_folder_of_runs_proposes_what_the_run_finds_that_has_not_seen_the_image(tmp_path: Path) -> None:
    pytest.importorskip("boxwright_voc", reason="the format labelimg")
    boxes = {"left": (0.0, 0.0, 20.0, 40.0), "right": (20.0, 0.0, 60.0, 40.0)}
    for number, (name, box) in enumerate(boxes.items()):
        path = tmp_path / f"{name}.png"
        Image.new("RGB", (60, 40), (90 * number, 0, 0)).save(path)
        sample = Sample(
            image=ImageRef(name=path.name, location=str(path), width=60, height=40), boxes=Boxes(["fig"], [box])
        )
        boxwright.convert(boxwright.from_samples([sample]), f"labelimg:{tmp_path / name}")
    found: list[Any] = []

    class Looking:
        def annotate(self, session: AnnotationSession, reporter: Any) -> None:
            assert session.proposals is not None
            found.extend(tuple(map(round, each.coordinates)) for each in session.proposals.wait(0, 20) or ())

    registry = with_annotator(Looking())
    for name in boxes:
        boxwright.train(f"labelimg:{tmp_path / name}", out=tmp_path / "runs" / name, backend=PROBE, registry=registry)
    for name in boxes:
        uri, runs = f"labelimg:{tmp_path / name}", tmp_path / "runs"
        boxwright.annotation.annotate(uri, model=runs, annotator="person", registry=registry)
    assert found == [boxes["right"], boxes["left"]]


def test_each_round_trains_on_what_is_annotated_and_measures_the_model_before(tmp_path: Path) -> None:
    pytest.importorskip("boxwright_voc", reason="the format labelimg")
    person = Person()

    drawn_samples(tmp_path / "photos", 6)
    registry = with_annotator(person)
    ended: list[int] = []
    arguments: dict[str, Any] = {"backend": PROBE, "annotator": "person", "registry": registry}
    uri, out = str(tmp_path / "photos"), tmp_path / "runs"
    annotation_loop(uri, out, rounds=2, ended=lambda this, last: ended.append(this.number), **arguments)
    rounds = annotation_loop(uri, out, rounds=3, ended=lambda this, last: ended.append(this.number), **arguments)
    assert ended == [1, 2, 3]
    assert [(each.images, each.added) for each in rounds] == [(2, 2), (4, 2), (6, 2)]
    assert person.had_model == [False, True, True]
    # The probe proposes the mean box, which is that of every image.
    assert [each.unseen.get("AP50") for each in rounds] == [None, 1.0, 1.0]
    assert [each.unseen.get("AP") for each in rounds] == [None, 1.0, 1.0]
    assert [boxwright.Run(each.run).status for each in rounds] == ["done"] * 3


def test_a_round_without_annotations_says_what_to_do(tmp_path: Path) -> None:
    pytest.importorskip("boxwright_voc", reason="the format labelimg")
    drawn_samples(tmp_path / "photos", 1)

    class Nobody:
        def annotate(self, session: AnnotationSession, reporter: Any) -> None:
            pass

    registry = with_annotator(Nobody())
    with pytest.raises(DataError, match="annotat"):
        annotation_loop(
            str(tmp_path / "photos"), tmp_path / "runs", rounds=1, backend=PROBE, annotator="person", registry=registry
        )


def test_a_round_with_edits_that_are_not_saved_trains_on_nothing(tmp_path: Path) -> None:
    pytest.importorskip("boxwright_voc", reason="the format labelimg")
    drawn_samples(tmp_path / "photos", 2)

    class Hurried:
        def annotate(self, session: AnnotationSession, reporter: Any) -> None:
            session.edit(0, [Drawn("fig", (4, 4, 40, 40))], revision=0)
            session.save()
            session.edit(1, [Drawn("fig", (4, 4, 40, 40))], revision=0)

    uri, registry = str(tmp_path / "photos"), with_annotator(Hurried())
    with pytest.raises(DataError, match="edits that are not saved: 1"):
        annotation_loop(uri, tmp_path / "runs", rounds=1, backend=PROBE, annotator="person", registry=registry)
    assert not (tmp_path / "runs/round-1").exists()
