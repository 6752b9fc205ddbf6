"""train, evaluate and predict, with a backend that finds the average box everywhere."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from PIL import Image

from boxwright import Run

# The average of both boxes, relative to the image: (0.2, 0.3, 0.5, 0.6).
ONE = "a.jpg 100 50 mug 10 10 40 25"
TWO = "b.jpg 200 100 mug 60 40 120 70"


@pytest.fixture
def trained(boxwright, lines, tmp_path):
    uri = lines(ONE, TWO)
    run = tmp_path / "run"
    result = boxwright("train", "--data", uri, "--out", run, "--backend", "average")
    assert result.exit_code == 0, result.output
    return uri, run


def test_train_says_where_everything_lies_and_what_comes_next(boxwright, lines, tmp_path):
    run = tmp_path / "run"
    result = boxwright("train", "--data", lines(ONE, TWO), "--out", run, "--backend", "average")
    assert f"{run}: done, 1 epoch" in result.stdout
    assert "loss 0.25" in result.stdout
    for name in ("model", "label_map.pbtxt", "config.json", "metrics.jsonl"):
        assert str(run / name) in result.stdout
        assert (run / name).exists()
    assert f"boxwright evaluate {run} --data" in result.stdout


def test_train_passes_every_option_on(boxwright, lines, tmp_path):
    run = tmp_path / "run"
    label_map = tmp_path / "classes.pbtxt"
    label_map.write_text("item {\n  id: 1\n  name: 'key'\n}\nitem {\n  id: 2\n  name: 'mug'\n}\n")
    uri = lines(ONE, TWO)
    words = ["--epochs", 3, "--batch-size", 4, "--image-size", "320x256", "--seed", 5, "--preset", "fancy"]
    words += [
        "--allow-overlap",
        "--augment",
        "flip",
        "--augment",
        "crop:0.5",
        "--set",
        "rate=0.25",
        "--label-map",
        label_map,
    ]
    content = boxwright.json("train", "--data", uri, "--val", uri, "--out", run, "--backend", "average", *words)
    assert content["status"] == "done"
    assert content["classes"] == ["key", "mug"]
    config = json.loads((run / "config.json").read_text())
    asked = {name: config[name] for name in ("epochs", "batch_size", "image_size", "seed", "preset", "augment")}
    assert asked == {
        "epochs": 3,
        "batch_size": 4,
        "image_size": [320, 256],
        "seed": 5,
        "preset": "fancy",
        "augment": ["flip", "crop:0.5"],
    }
    assert config["settings"] == {"rate": 0.25}


def test_augment_none_is_no_augmentation(boxwright, lines, tmp_path):
    uri = lines(ONE)
    for name, words, expected in (("none", ["--augment", "none"], []), ("default", [], None)):
        boxwright.json("train", "--data", uri, "--out", tmp_path / name, "--backend", "average", *words)
        assert json.loads((tmp_path / name / "config.json").read_text())["augment"] == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "raet=1"], "did you mean 'rate'?"),
        (["--set", "rate=fast"], "is not a number"),
        (["--preset", "huge"], "plain, fancy"),
        (["--backend", "averag"], "did you mean 'average'?"),
        (["--trainer", "cluster"], "local"),
        (["--image-size", "640"], "640x480"),
        (["--epochs", "0"], "at least 1"),
        (["--set", "rate=1", "--set", "rate=2"], "duplicate setting"),
    ],
)
def test_train_answers_mistakes(boxwright, lines, tmp_path, words, said):
    given = words if "--backend" in words else ["--backend", "average", *words]
    result = boxwright("train", "--data", lines(ONE), "--out", tmp_path / "run", *given)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "run").exists()


def test_train_keeps_a_run_by_default(boxwright, trained):
    uri, run = trained
    again = boxwright("train", "--data", uri, "--out", run, "--backend", "average")
    assert again.exit_code == 1
    assert "--resume" in again.stderr
    assert boxwright("train", "--data", uri, "--out", run, "--backend", "average", "--overwrite").exit_code == 0


def test_interrupted_training_says_how_to_go_on_and_does(boxwright, lines, tmp_path):
    run = tmp_path / "my run"
    uri = lines(ONE, TWO)
    stopped = boxwright("train", "--data", uri, "--out", run, "--backend", "average", "--set", "stop=true")
    assert stopped.exit_code == 130
    assert stopped.stderr == f"interrupted; resume with: boxwright train --out '{run}' --resume\n"
    config = json.loads((run / "config.json").read_text())
    config["settings"]["stop"] = False
    (run / "config.json").write_text(json.dumps(config))
    content = boxwright.json("train", "--out", run, "--resume")
    assert content["status"] == "done"
    assert content["data"] == uri


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_training_that_sigterm_ends_can_be_resumed(boxwright, lines, tmp_path):
    """As of a system that stops services or takes back a machine."""
    run, uri = tmp_path / "run", lines(ONE, TWO)
    words = ("train", "--data", uri, "--out", run, "--backend", "average", "--set", "wait=true")
    process = boxwright.start(*words)
    while not (run / "waiting").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert errors == f"terminated; resume with: boxwright train --out {run} --resume\n"
    assert process.returncode == 143
    assert Run(run).status == "interrupted"


def test_training_interrupted_before_there_is_a_run_says_so(boxwright, monkeypatch, tmp_path):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("boxwright.models.training.prepare", interrupt)
    stopped = boxwright("train", "--data", "endless:x", "--out", tmp_path / "run", "--backend", "average")
    assert stopped.exit_code == 130
    assert stopped.stderr == "interrupted; nothing was changed.\n"
    assert not (tmp_path / "run").exists()


def test_train_lists_what_was_left_out(boxwright, lines, tmp_path):
    words = ["--out", tmp_path / "run", "--backend", "average", "--on-error", "skip"]
    content = boxwright.json("train", "--data", lines(ONE, "x.jpg wide"), *words)
    assert len(content["skipped"]) == 1
    assert "line 2: this is not an annotation" in content["skipped"][0]


def test_evaluate_prints_the_numbers(boxwright, trained):
    uri, run = trained
    content = boxwright.json("evaluate", run, "--data", uri, "--metric", "found")
    assert content["values"]["found"] == 1.0
    assert (content["samples"], content["truths"], content["detections"]) == (2, 2, 2)
    result = boxwright("evaluate", run, "--data", uri, "--metric", "found")
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["found", "1.000"] in rows
    assert ["nothing", "-"] in rows
    assert ["mug", "1.000"] in rows


def test_evaluate_passes_the_options_of_a_metric(boxwright, trained):
    pytest.importorskip("hotcoco")
    uri, run = trained
    result = boxwright("evaluate", run, "--data", uri, "--metric", "coco:max_detections=300")
    rows = {line.split()[0]: line.split()[2:] for line in result.stdout.splitlines() if line.strip()}
    assert rows["AR300"] == ["0.000", "to", "0.000", "recall", "with", "300"]
    refused = boxwright("evaluate", run, "--data", uri, "--metric", "coco:max_detections=3")
    assert refused.exit_code == 2
    assert "max_detections=3 is out of range" in refused.stderr


def test_evaluate_with_coco_explains_its_twelve_numbers(boxwright, trained):
    pytest.importorskip("hotcoco")
    uri, run = trained
    result = boxwright("evaluate", run, "--data", uri)
    assert result.exit_code == 0, result.output
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line.strip()}
    # IoU of the average with each annotated box: (0.2, 0.3, 0.5, 0.6) against (0.1, 0.2, 0.4, 0.5) and
    # (0.3, 0.4, 0.6, 0.7):
    # 0.2 * 0.2 / (2 * 0.3 * 0.3 - 0.2 * 0.2) = 0.286, under 0.5 both times.
    assert rows["AP50"][0] == "0.000"
    assert rows["AP"][0] == "0.000"
    assert rows["CLASS"] == ["BOXES", "AP", "AP50"]
    assert rows["mug"] == ["2", "0.000", "0.000"]
    numbers = [name for name in rows if name.startswith(("AP", "AR"))]
    assert len(numbers) == 12
    assert all(len(rows[name]) > 2 for name in numbers)  # the number and what it means


def test_report_is_a_page_with_the_most_mistakes_first(boxwright, lines, tmp_path):
    right = "good.jpg 100 100 mug 20 20 60 60"
    uri = lines(right, right.replace("good", "fine"), name="train.lines")
    run, page = tmp_path / "run", tmp_path / "report.html"
    assert boxwright("train", "--data", uri, "--out", run, "--backend", "average").exit_code == 0
    # The model predicts (20, 20, 60, 60) everywhere: right once; wrong with two missed in the other image.
    test = lines(right, "bad.jpg 100 100 mug 70 70 90 90 mug 0 0 10 10", name="test.lines")
    table = tmp_path / "report.csv"
    content = boxwright.json("evaluate", run, "--data", test, "--metric", "found", "--report", page, "--csv", table)
    assert (content["report"], content["csv"]) == (str(page), str(table))
    assert content["details"]["confusion"] == {"classes": ["mug", "background"], "matrix": [[1, 2], [1, 0]]}
    text = page.read_text("utf-8")
    assert "2 objects: 0 found, 2 missed, 1 false alarm" in text
    assert "1 object: 1 found" in text
    assert text.index("bad.jpg") < text.index("good.jpg")
    assert "confusion,mug,background,2,," in table.read_text("utf-8").splitlines()
    assert list((run / "evaluation").glob("*.json"))
    again = boxwright("evaluate", run, "--data", test, "--metric", "found", "--report", page)
    assert again.exit_code == 1
    assert "exists already" in again.stderr


def test_suspected_label_errors_are_a_dataset_to_view(boxwright, lines, tmp_path):
    uri = lines(*(f"{number}.jpg 100 100 mug 20 20 60 60" for number in range(6)), name="train.lines")
    run, check = tmp_path / "run", tmp_path / "check.json"
    assert boxwright("train", "--data", uri, "--out", run, "--backend", "average").exit_code == 0
    # The model predicts (20, 20, 60, 60) everywhere, and in the last image nothing is annotated there.
    rows = [f"{number}.jpg 100 100 mug 20 20 60 60" for number in range(5)]
    test = lines(*rows, "5.jpg 100 100 mug 70 70 90 90", name="test.lines")
    command = ("evaluate", run, "--data", test, "--metric", "found", "--suspects", f"coco:{check}")
    content = boxwright.json(*command)
    found = {(each["image"], each["kind"]) for each in content["details"]["suspects"]}
    assert ("5.jpg", "missing") in found
    assert ("5.jpg", "not found") in found
    sheet = tmp_path / "sheet.png"
    result = boxwright("view", f"coco:{check}?images={tmp_path / 'photos'}", "--out", sheet)
    assert result.exit_code == 0, result.output
    assert "missing: mug 1" in result.stdout
    again = boxwright(*command)
    assert again.exit_code == 1
    assert "exists" in again.stderr


@pytest.fixture
def folds(boxwright, lines, tmp_path):
    """Two runs: one of three images with the left half as a box, one of three others with the right half."""
    halves = ("mug 0 0 50 100", "mug 50 0 100 100")
    rows = [f"{number}.png 100 100 {halves[number // 3]}" for number in range(6)]
    uris = [lines(*part, name=f"{place}.lines") for place, part in enumerate((rows[:3], rows[3:], rows))]
    for number in range(6):
        Image.new("RGB", (100, 100), (0, 0, 40 * number)).save(tmp_path / "photos" / f"{number}.png")
    for place, uri in enumerate(uris[:2]):
        done = boxwright("train", "--data", uri, "--out", tmp_path / "folds" / str(place), "--backend", "average")
        assert done.exit_code == 0, done.output
    return uris


def test_labels_are_checked_by_runs_that_were_not_trained_on_them(boxwright, folds, tmp_path):
    check = tmp_path / "check.json"
    command = ("evaluate", tmp_path / "folds", "--data", folds[2], "--metric", "f1", "--suspects", f"coco:{check}")
    content = boxwright.json(*command)
    assert (content["samples"], content["detections"]) == (6, 6)
    assert content["values"]["F1"] == 0  # the run of the left halves says left where the right half is annotated
    assert {each["image"] for each in content["details"]["suspects"]} == {f"{number}.png" for number in range(6)}
    for model in ("0", "1"):
        alone = boxwright.json("evaluate", tmp_path / "folds" / model, "--data", folds[int(model)], "--metric", "f1")
        assert alone["values"]["F1"] == 1


def test_another_name_is_the_same_image_and_a_new_image_any_run_may_predict(folds, tmp_path):
    from boxwright import DataError, RunError, Sample, open
    from boxwright.models import CrossValidated

    model = CrossValidated(tmp_path / "folds")
    samples = list(open(folds[2]))
    renamed = [each.replace(image=each.image.model_copy(update={"name": "x.png"})) for each in samples]
    assert [found.boxes.coordinates[0][0] for found in model.predict(renamed, batch_size=4)] == [50] * 3 + [0] * 3
    Image.new("RGB", (100, 100), "red").save(tmp_path / "new.png")
    new = Sample.model_validate(
        {"image": {"name": "new.png", "location": str(tmp_path / "new.png"), "width": 100, "height": 100}}
    )
    assert [found.boxes.coordinates[0][0] for found in model.predict([new])] == [0]

    (tmp_path / "folds" / "1").rename(tmp_path / "other")
    with pytest.raises(DataError, match="all runs in .* were trained on this image"):
        list(CrossValidated(tmp_path / "folds").predict(samples[:1]))
    state = tmp_path / "folds" / "0" / "run.json"
    state.write_text(state.read_text("utf-8").replace('"done"', '"interrupted"'), "utf-8")
    with pytest.raises(RunError, match="0 is interrupted"):
        CrossValidated(tmp_path / "folds")
    state.write_text(state.read_text("utf-8").replace('"interrupted"', '"done"'), "utf-8")
    (tmp_path / "folds" / "0" / "manifest.json").unlink()
    with pytest.raises(RunError, match="which images it was trained on"):
        CrossValidated(tmp_path / "folds")


def test_the_runs_of_a_folder_are_compared(boxwright, lines, tmp_path):
    here = "{}.jpg 100 100 mug 20 20 60 60"
    there = "{}.jpg 100 100 mug 40 40 90 90"
    for name, box in (("right", here), ("wrong", there)):
        uri = lines(*(box.format(number) for number in range(3)), name="train.lines")
        done = boxwright("train", "--data", uri, "--out", tmp_path / "runs" / name, "--backend", "average")
        assert done.exit_code == 0
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / "failed").mkdir()
    (tmp_path / "runs" / "failed" / "run.json").write_text("{}")
    test = lines(*(here.format(number) for number in range(3, 9)), name="test.lines")
    page, table = tmp_path / "runs.html", tmp_path / "runs.csv"
    command = ("evaluate", tmp_path / "runs", "--data", test, "--metric", "f1")
    content = boxwright.json(*command, "--report", page, "--csv", table)
    assert [Path(each["model"]).name for each in content["models"]] == ["right", "wrong"]
    assert [each["values"]["F1"] for each in content["models"]] == [1, 0]
    assert content["differences"][0]["difference"] == -1
    assert content["differences"][0]["clear"] is True
    assert content["notes"][0].startswith("failed could not be evaluated: ")
    text = page.read_text("utf-8")
    assert "wrong and right: clearly different, F1 -1.000 (-1.000 to -1.000)." in text
    assert "<script" not in text
    assert "right: overall,,F1,1.0,1.0,1.0" in table.read_text("utf-8").splitlines()
    shown = boxwright(*command)
    assert shown.exit_code == 0
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert [row[:2] for row in rows if row and row[0] in ("right", "wrong")][:2] == [
        ["right", "1.000"],
        ["wrong", "0.000"],
    ]
    refused = boxwright(*command, "--suspects", f"coco:{tmp_path / 'check.json'}")
    assert refused.exit_code == 1
    assert f"{tmp_path / 'runs' / 'failed' / 'run.json'} is damaged" in refused.stderr


def test_report_must_be_a_page(boxwright, trained, tmp_path):
    uri, run = trained
    result = boxwright("evaluate", run, "--data", uri, "--metric", "found", "--report", tmp_path / "report.pdf")
    assert result.exit_code == 2
    assert ".html" in result.stderr


def test_predict_draws_and_tells(boxwright, trained, tmp_path):
    _, run = trained
    out = tmp_path / "found"
    result = boxwright("predict", run, tmp_path / "photos", "--out", out)
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["a.jpg", "1", "mug", "(50%)"] in rows
    assert f"images with boxes: {out}" in result.stdout
    for name in ("a.jpg", "b.jpg"):
        with Image.open(out / name) as image:
            image.load()
    found = json.loads((out / "detections.json").read_text())
    box = {Path(p["picture"]).name: p["detections"][0]["box"] for p in found["pictures"]}
    assert box == {"a.jpg": pytest.approx([20, 15, 50, 30]), "b.jpg": pytest.approx([40, 30, 100, 60])}


def test_predict_leaves_out_what_is_below_the_score(boxwright, trained, tmp_path):
    _, run = trained
    content = boxwright.json("predict", run, tmp_path / "photos" / "a.jpg", "--out", tmp_path / "o", "--score", 0.6)
    assert [image["detections"] for image in content["pictures"]] == [[]]
    text = boxwright("predict", run, tmp_path / "photos" / "a.jpg", "--out", tmp_path / "p", "--score", 0.6).stdout
    assert ["a.jpg", "nothing"] in [line.split() for line in text.splitlines()]
    wrong = boxwright("predict", run, tmp_path / "photos", "--out", tmp_path / "q", "--score", 30)
    assert wrong.exit_code == 2


def test_predict_writes_a_dataset_too(boxwright, trained, tmp_path):
    _, run = trained
    out = tmp_path / "found"
    assert boxwright("predict", run, tmp_path / "photos", "--out", out, "--to", "lines").exit_code == 0
    assert (out / "detections.lines").read_text().splitlines() == [
        "a.jpg 100 50 mug 20 15 50 30",
        "b.jpg 200 100 mug 40 30 100 60",
    ]


def test_predict_with_a_damaged_image(boxwright, trained, tmp_path):
    _, run = trained
    (tmp_path / "photos" / "z.jpg").write_bytes(b"not an image")
    stopped = boxwright("predict", run, tmp_path / "photos", "--out", tmp_path / "found")
    assert stopped.exit_code == 1
    assert "z.jpg" in stopped.stderr
    assert not (tmp_path / "found").exists()
    listed = boxwright("predict", run, tmp_path / "photos", "--out", tmp_path / "found", "--on-error", "skip")
    assert listed.exit_code == 0
    assert "Skipped: 1 item" in listed.stdout
    assert "z.jpg" in listed.stdout


def test_tune_says_what_it_found_and_predict_uses_it(boxwright, trained, tmp_path):
    """The average box has an IoU of 2/7 with each of the two, and a score of 0.5: nothing can be found."""
    uri, run = trained
    result = boxwright("tune", run, "--data", uri, "--allow-overlap")
    assert result.exit_code == 0, result.output
    assert "of 2 objects 0 found" in result.stdout
    assert "before: 0 found, 2 false alarms" in result.stdout
    assert f"written: {run}/tuned.svg" in result.stdout
    content = boxwright.json("tune", run, "--data", uri, "--allow-overlap", "--for", "count", "--dry-run")
    assert (content["for"], content["found"], content["files"]) == ("count", 0, [])
    assert content["decoder"]["score"] <= 0.5, "one detection in each image, as there are objects"
    boxwright.json("tune", run, "--set", "score=0.6")
    out = boxwright.json("predict", run, uri, "--out", tmp_path / "found")
    assert not any(each["detections"] for each in out["pictures"])
    assert boxwright.json("tune", run, "--reset") == {"reset": True}
    assert boxwright("tune", run).exit_code == 2
    assert "is not a goal" in boxwright("tune", run, "--data", uri, "--allow-overlap", "--for", "best").stderr


def test_simulated_edits_are_counted(boxwright, trained, lines):
    """The average box has an IoU of 2/7 with each object: it is deleted, and the object is drawn."""
    uri, run = trained
    result = boxwright("annotate", uri, "--model", run, "--simulate")
    assert result.exit_code == 0, result.output
    assert "4 edits with proposals instead of 2: -100% saved" in result.stdout
    assert "boxwright tune" not in result.stdout
    result = boxwright("annotate", lines(ONE, "c.jpg 100 50", "d.jpg 100 50"), "--model", run, "--simulate")
    assert "4 edits with proposals instead of 1: -300% saved" in result.stdout
    assert "1 edit if you accept or reject one by one until only wrong ones are left: 0% saved" in result.stdout
    assert f"Most edits delete wrong proposals. boxwright tune {run} --data URI chooses better scores." in result.stdout
    assert boxwright("annotate", uri, "--simulate").exit_code == 2
