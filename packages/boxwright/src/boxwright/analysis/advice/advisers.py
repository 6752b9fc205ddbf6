"""The advisers: each looks at the same evidence for one problem, and says what to do about it.

An adviser is a function that yields tips. The gains are rough: they decide which advice comes first.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from boxwright.analysis.advice.commands import command, train_again
from boxwright.analysis.advice.evidence import Evidence
from boxwright.analysis.advice.tip import Tip

Adviser = Callable[[Evidence], Iterator[Tip]]

_SMALL: Final = 16.0
"""The side of an object in the network's input, in pixels, below which detectors often miss it: the first features of
a RetinaNet have a stride of 8."""
_TILE_FROM = 1280
"""The input from which tiles are better than a larger input."""
_SEEN = 10
"""The number of objects from which a share of them means something."""
_USUAL_RECALL = 0.8
"""The share of objects that is expected to be found, if there are no larger ones to compare with."""
_FEW = 50
"""The number of training boxes of a class below which more of them nearly always help."""
_SUSPICION = 0.5
_WRONG_LABELS = 0.03
"""The share of suspected labels from which they matter."""
_CONFUSED = 0.15
_WIDE_GAP = 0.15
_LATE = 0.75
"""The part of a training after which it should no longer become much better."""
_BETTER_SCORE = 0.03
_MORE = 20
"""The number of images of a forecast."""
_LEAST_GAIN = 0.005
"""The forecast gain below which there is nothing to advise: it would be shown as 0.00."""


def check_labels(evidence: Evidence) -> Iterator[Tip]:
    """Labels that confident detections contradict, if there are many of one class."""
    report = evidence.report
    suspects = [each for each in evidence.suspects if each.suspicion >= _SUSPICION and each.kind != "not found"]
    objects = dict(zip(evidence.names, report.measures.tally.objects.tolist(), strict=True))
    counts = Counter(each.label for each in suspects)
    many = {
        name: number / max(objects.get(name, 0) + number, 1)
        for name, number in counts.items()
        if number >= 2 and number / max(objects.get(name, 0) + number, 1) >= _WRONG_LABELS
    }
    if not many:
        return
    name, share = max(many.items(), key=lambda item: item[1])
    own = [each for each in suspects if each.label == name]
    kinds = Counter(each.kind for each in own)
    images = len({each.image for each in own})
    texts = {"missing": "without a box", "class": "with another class", "place": "with a box in another place"}
    counted = ", ".join(f"{number} {texts[kind]}" for kind, number in kinds.most_common())
    yield Tip(
        "labels",
        f"Check the labels of {name} first, in {images} image{'' if images == 1 else 's'}.",
        f"About {share:.0%} of the objects of {name} seem to have a wrong label: {counted}."
        " A model that learns and is measured on them looks worse than it is.",
        command("evaluate", report.measures.model, "--data", evidence.data, "--suspects", "coco:check.json"),
        gain=share,
        figures={"class": name, "share": round(share, 4), "objects": objects.get(name, 0), "kinds": dict(kinds)},
    )


def collect_images(evidence: Evidence) -> Iterator[Tip]:
    """Classes with few training boxes and a low average precision, or what a learning curve forecasts."""
    measured = evidence.measured
    if evidence.learning is not None:
        yield from _forecasts(evidence)
        return
    counts = {name: evidence.training_boxes.get(name, 0) for name in measured}
    if not evidence.training_boxes:
        return
    usual = float(np.median(list(counts.values())))
    for name, precision in measured.items():
        others = [value for other, value in measured.items() if other != name and counts[other] > counts[name]]
        best = float(np.median(others)) if others else max(precision, min(0.5, precision + 0.1))
        if best <= precision or counts[name] >= max(_FEW, usual / 4):
            continue
        compared = f", while classes with more have {best:.2f}" if others else ""
        yield Tip(
            "images",
            f"Photograph and annotate more of {name}.",
            f"{name} has {counts[name]} training box{'' if counts[name] == 1 else 'es'} and an AP of {precision:.2f}"
            f"{compared}. `advise --curve` measures what more images bring.",
            command("predict", evidence.report.measures.model, "NEW/PHOTOS", "--to", "labelimg:NEW/LABELS"),
            gain=(best - precision) / len(measured),
            figures={"class": name, "training_boxes": counts[name], "AP": round(precision, 4)},
        )


def _forecasts(evidence: Evidence) -> Iterator[Tip]:
    assert evidence.learning is not None
    last = evidence.learning.points[-1]
    rows = [("", evidence.average_precision, last.images)]
    rows += [(name, value, last.class_images.get(name, 0)) for name, value in evidence.measured.items()]
    for name, _, images in rows:
        now = evidence.learning.forecast(images, name)
        more = evidence.learning.forecast(images + _MORE, name)
        if now is None or more is None:
            continue
        gain = more.value - now.value
        if gain < _LEAST_GAIN:
            continue
        error = math.hypot(more.error, now.error)
        points = ", ".join(
            f"{point.class_images[name] if name else point.images}: {point.values[name]:.2f}"
            for point in evidence.learning.points
        )
        what = f"images of {name}" if name else "images"
        yield Tip(
            "images",
            f"{_MORE} more {what}: {gain:+.2f} ± {error:.2f} AP{'' if not name else f' of {name}'}.",
            f"AP by the number of training images: {points}.",
            command("predict", evidence.report.measures.model, "NEW/PHOTOS", "--to", "labelimg:NEW/LABELS"),
            gain=gain / (len(evidence.measured) if name else 1),
            figures={
                "class": name or None, "images": images, "more": _MORE, "gain": round(gain, 4), "error": round(error, 4)
            },
        )  # fmt: skip


def enlarge_input(evidence: Evidence) -> Iterator[Tip]:
    """Objects that are too small in the network's input."""
    sizes, found = evidence.sizes_in_input(), evidence.are_found()
    small = sizes < _SMALL
    number = int(small.sum())
    if number < _SEEN or small.mean() < 0.05:
        return
    recall = float(found[small].mean())
    others = found[~small]
    reference = float(others.mean()) if len(others) >= _SEEN else _USUAL_RECALL
    gain = float(small.mean()) * (reference - recall)
    if gain < 0.02:
        return
    typical = float(np.median(sizes[small]))
    factor = _SMALL / max(typical, 1.0)
    size = evidence.input_size
    run = evidence.run
    wanted = None if size is None else tuple(math.ceil(each * factor / 32) * 32 for each in size)
    if wanted is not None and max(wanted) <= _TILE_FROM:
        advice = f"Train with a larger input: {wanted[0]}x{wanted[1]} instead of {size[0]}x{size[1]} pixels."  # type: ignore[index]
        typed = train_again(run, "larger", "--image-size", f"{wanted[0]}x{wanted[1]}")
    else:
        advice = "Cut the images into tiles, for the training and for predictions."
        source = (run.config.get("data") if run is not None else None) or "URI"
        tile = f"{size[0]}x{size[1]}" if size is not None else "512x512"
        typed = command("convert", source, "labelimg:TILES", "--with", f"tile:{tile}")
    compared = f", and {reference:.0%} of the larger ones" if len(others) >= _SEEN else ""
    yield Tip(
        "input",
        advice,
        f"{number} of {len(sizes)} objects are smaller than {_SMALL:g} pixels in the input (median {typical:.1f}):"
        f" {recall:.0%} of them are found{compared}.",
        typed,
        gain=gain,
        figures={"small": number, "objects": len(sizes), "median_side": round(typical, 2), "found": round(recall, 4)},
    )


def match_cameras(evidence: Evidence) -> Iterator[Tip]:
    """Evaluated images that do not look like the training images."""
    likeness = evidence.report.likeness
    different = [each for each in likeness.features() if each.differs]
    gap = evidence.gap
    if not different or (math.isfinite(gap) and gap < 0.05):
        return
    sentences = "; ".join(
        f"{each.name.lower()}: median {each.medians[0]:.3g} {each.unit}, in the training data {each.medians[1]:.3g}"
        for each in different
    )
    measured = f" AP is {evidence.training_ap:.2f} on training images, and {evidence.average_precision:.2f} here."
    yield Tip(
        "camera",
        "Add images like these to the training data: the model was trained on others.",
        f"They differ clearly in {sentences}.{measured if math.isfinite(gap) else ''}",
        command("convert", evidence.data, "labelimg:MORE", "--with", "split:train=0.7,test=0.3"),
        gain=gap if math.isfinite(gap) else 0.05,
        figures={each.name: [round(value, 4) for value in each.medians] for each in different}
        | _known({"training_AP": evidence.training_ap, "AP": evidence.average_precision}),
    )


def fight_overfitting(evidence: Evidence) -> Iterator[Tip]:
    """A model that is much better on its training images than on others that look alike."""
    if any(each.differs for each in evidence.report.likeness.features()):
        return
    curves = evidence.report.training
    worse = _rise(curves.get("val_loss", []))
    gap = evidence.gap if math.isfinite(evidence.gap) else 0.0
    if gap < _WIDE_GAP and not (worse > 0.2 and gap > 0.05):
        return
    rising = f" The validation loss rose by {worse:.0%} after its minimum." if worse > 0.05 else ""
    augmented = evidence.run is None or evidence.run.config.get("augment") != []
    changes = ("--set", "early_stopping=5") if worse > 0.05 else ("--augment", "flip", "--augment", "color")
    if augmented and worse <= 0.05:
        advice, typed = "Collect more images: the model is much better on those that it was trained on.", ""
        if evidence.learning is None:
            model = evidence.report.measures.model
            typed = command("advise", model, "--data", evidence.data, "--curve")
    else:
        advice = "Stop the training earlier, or collect more images." if worse > 0.05 else "Augment the images."
        typed = train_again(evidence.run, "again", *changes)
    yield Tip(
        "overfit",
        advice,
        f"AP is {evidence.training_ap:.2f} on {evidence.training_images} training images, and"
        f" {evidence.average_precision:.2f} on these, which look alike.{rising}",
        typed,
        gain=gap / 2,
        figures=_known({"training_AP": evidence.training_ap, "AP": evidence.average_precision, "rise": worse}),
    )


def train_longer(evidence: Evidence) -> Iterator[Tip]:
    """A training that ended while the model was still becoming better."""
    curves = evidence.report.training
    scores = [value for value in curves.get("val_AP", []) if value is not None]
    losses = [value for value in curves.get("loss", []) if value is not None]
    if len(scores) >= 4:
        early = max(scores[: math.ceil(len(scores) * _LATE)])
        gain = scores[-1] - early
        noise = float(np.std(np.diff(scores[len(scores) // 2 :]))) if len(scores) >= 8 else 0.0
        if gain <= max(0.02, noise):
            return
        evidence_text = f"In the last quarter of the training, AP rose from {early:.2f} to {scores[-1]:.2f}."
        figures = {"before": round(early, 4), "end": round(scores[-1], 4)}
    elif len(losses) >= 8:
        early = losses[math.ceil(len(losses) * _LATE) - 1]
        drop = (early - losses[-1]) / max(early, 1e-9)
        if drop < 0.1:
            return
        gain = 0.02
        evidence_text = f"In the last quarter of the training, the loss fell by {drop:.0%}."
        figures = {"before": round(early, 4), "end": round(losses[-1], 4)}
    else:
        return
    epochs = int(evidence.run.state.get("epochs_done", 0)) if evidence.run is not None else 0
    settings = evidence.run.config.get("settings", {}) if evidence.run is not None else {}
    changes = ("--set", f"steps={2 * int(settings['steps'])}") if "steps" in settings else ("--epochs", 2 * epochs)
    yield Tip(
        "underfit",
        "Train longer.",
        evidence_text,
        train_again(evidence.run, "longer", *changes),
        gain=min(gain, 0.1),
        figures=figures,
    )


def augment_less(evidence: Evidence) -> Iterator[Tip]:
    """Augmentation so strong that the model is worse on changed training images than on unchanged new ones."""
    curves = evidence.report.training
    pairs = [
        (loss, held_out)
        for loss, held_out in zip(curves.get("loss", []), curves.get("val_loss", []), strict=False)
        if loss is not None and held_out is not None
    ]
    if len(pairs) < 2 or (evidence.run is not None and evidence.run.config.get("augment") == []):
        return
    last = pairs[-max(2, len(pairs) // 4) :]
    loss, held_out = (float(np.mean(column)) for column in zip(*last, strict=True))
    if held_out >= 0.7 * loss or not evidence.training_ap < 0.6:
        return
    yield Tip(
        "augmentation",
        "Augment less, and compare: the changed training images seem to be harder than those of the real task.",
        f"At the end, the loss is {loss:.3g} on augmented training images, and only {held_out:.3g} on validation"
        f" images; AP on plain training images is {evidence.training_ap:.2f}.",
        train_again(evidence.run, "plain", "--augment", "none"),
        gain=min(0.1, (1 - held_out / loss) * 0.1),
        figures=_known({"loss": loss, "val_loss": held_out, "training_AP": evidence.training_ap}),
    )


def merge_classes(evidence: Evidence) -> Iterator[Tip]:
    """Classes that are often taken for each other."""
    confusion, names = evidence.report.measures.tally.confusion, evidence.names
    objects = evidence.report.measures.tally.objects
    for one in range(len(names)):
        for two in range(one + 1, len(names)):
            mixed = int(confusion[one, two] + confusion[two, one])
            fewer = int(min(objects[one], objects[two]))
            if mixed < 5 or not fewer or mixed / fewer < _CONFUSED:
                continue
            pair = f"{names[one]} and {names[two]}"
            together = f"{names[one]}-{names[two]}"
            data = (evidence.run.config.get("data") if evidence.run is not None else None) or "URI"
            yield Tip(
                "classes",
                f"Merge {pair}, if the difference does not matter; otherwise, collect images that show it.",
                f"{int(confusion[one, two])} of {objects[one]} {names[one]} are taken for {names[two]}, and"
                f" {int(confusion[two, one])} of {objects[two]} the other way round.",
                command(
                    "convert", data, "labelimg:MERGED", "--with",
                    f"remap:{names[one]}={together},{names[two]}={together}",
                ),
                gain=0.5 * mixed / max(int(objects[one] + objects[two]), 1) * 2 / max(len(evidence.measured), 1),
                figures={"classes": [names[one], names[two]], "confused": mixed},
            )  # fmt: skip


def choose_score(evidence: Evidence) -> Iterator[Tip]:
    """A better score for what is shown."""
    curves = [curve for curve in evidence.report.measures.curves if curve.name == ""]
    if not curves or not len(curves[0].scores):
        return
    curve = curves[0]
    best = int(curve.f1.argmax())
    tally = evidence.report.measures.tally
    right, wrong, objects = int(tally.found.sum()), int(tally.false_alarms.sum()), int(tally.objects.sum())
    now = 2 * right / max(right + wrong + objects, 1)
    gain = float(curve.f1[best]) - now
    if gain < _BETTER_SCORE:
        return
    yield Tip(
        "score",
        f"Choose another score: at {curve.scores[best]:.2f}, F1 is {curve.f1[best]:.2f} instead of {now:.2f}.",
        f"Now {right} of {objects} objects are found, with {wrong} false alarms. This needs no training.",
        command("tune", evidence.report.measures.model, "--data", evidence.data),
        gain=gain / 4,
        figures=_known({"score": float(curve.scores[best]), "F1": float(curve.f1[best]), "now": now}),
    )


ADVISERS: Final[tuple[Adviser, ...]] = (
    check_labels,
    match_cameras,
    enlarge_input,
    collect_images,
    fight_overfitting,
    train_longer,
    augment_less,
    merge_classes,
    choose_score,
)
"""All advisers; of advice with the same gain, that of the earlier one comes first."""


def _rise(values: list[float | None]) -> float:
    """Returns by which share a loss rose after its minimum."""
    known = [value for value in values if value is not None]
    return known[-1] / min(known) - 1 if len(known) >= 3 and min(known) > 0 else 0.0


def _known(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in figures.items() if math.isfinite(value)}
