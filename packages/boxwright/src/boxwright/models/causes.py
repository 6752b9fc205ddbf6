"""The likely cause if an artifact does not detect what its run detects: the known mistakes of conversions, tried out.

Mistakes after the network are visible in the detections. Mistakes before it are found by changing the images until the
artifact detects what the run detects.
"""

from __future__ import annotations

import io
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from boxwright.boxes import BoxFormat, convert_format, iou, scale
from boxwright.errors import RunError
from boxwright.images.decode import decode_sample
from boxwright.models.difference import Difference
from boxwright.models.parity import EXACT, Pair, Parity, compare, lowest_score, match, predictions
from boxwright.models.portable import PortableModel, Suppressed
from boxwright.models.protocols import Model
from boxwright.schemas import Boxes, Detections, ImageRef, Sample

_IMAGES = 8
"""The number of images that are tried."""
_OVERLAPS = 0.3
_SAME_BOX = 0.9
_MOST = 0.9
_ROUNDING = 1e-5
"""How much a score differs in another runtime in float32, at most."""

Floats = NDArray[np.float64]


def likely_cause(
    parity: Parity, pairs: Sequence[Pair], run: Model, artifact: Model, difference: Difference | None = None
) -> str:
    """Returns the likely cause of the differences, as a clause.

    Args:
        parity: The comparison.
        pairs: Its images.
        run: The model of the run.
        artifact: The exported model.
        difference: The difference of the AP, if it was measured.
    """
    pairs = pairs[:_IMAGES]
    if parity.differs_little:
        return _rounding(parity, pairs, run) or _images(parity, pairs, run, artifact) or _little(parity, difference)
    return (
        _rounding(parity, pairs, run)
        or _classes(pairs)
        or _coordinates(pairs, _size(artifact))
        or _scores(pairs)
        or _suppression(parity, pairs)
        or _shift(parity)
        or _images(parity, pairs, run, artifact)
        or _arithmetic(parity)
    )


def invalid_output(message: str) -> str:
    """Returns the likely cause of detections that are invalid."""
    if "score" in message:
        return "the network returns scores without the sigmoid"
    return _ORDER.format("not xyxy") if "box" in message else "the model cannot be run"


_ORDER = "the coordinates of the boxes are in another order: {}"


def _rounding(parity: Parity, pairs: Sequence[Pair], run: Model) -> str:
    """Whether the run detects something else if its scores are changed by as little as rounding does."""
    if not (isinstance(run, PortableModel) and isinstance(run.detect, Suppressed)):
        return ""
    network, random = run.detect.network, np.random.default_rng(0)

    def rounded(images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        boxes, scores = network(images)
        return [boxes, np.clip(scores - random.uniform(0, _ROUNDING, scores.shape).astype(np.float32), 0, 1)]

    model = PortableModel(run.label_map, run.inputs, Suppressed(rounded, run.detect.inputs, run.detect.decoder))
    found = predictions(model, [pair.sample for pair in pairs])
    again = [pair._replace(found=each) for pair, each in zip(pairs, found, strict=True)]
    if not compare(again, parity.limits).problems:
        return ""
    return (
        "many detections of the run have almost the same score, so that rounding decides which of them remain, as in a"
        " network that was trained too little"
    )


def _classes(pairs: Sequence[Pair]) -> str:
    """Whether the detections are right if the classes are exchanged."""
    seen: Counter[tuple[str, str]] = Counter()
    for pair in pairs:
        ones, others = pair.expected.boxes.labels, pair.found.boxes.labels
        for first, second in np.argwhere(iou(pair.expected.boxes.xyxy, pair.found.boxes.xyxy) >= _SAME_BOX):
            if abs(pair.expected.scores[first] - pair.found.scores[second]) <= EXACT.score:
                seen[others[second], ones[first]] += 1
    names: dict[str, str] = {}
    for (found, expected), _ in seen.most_common():
        names.setdefault(found, expected)
    exchanged = {found: expected for found, expected in names.items() if found != expected}
    if not exchanged or len(set(names.values())) < len(names):
        return ""
    renamed = [pair._replace(found=_renamed(pair.found, names)) for pair in pairs]
    if compare(renamed, EXACT).matched < _MOST:
        return ""
    changes = ", ".join(f"{expected} is detected as {found}" for found, expected in exchanged.items())
    return f"the classes are in another order: {changes}"


def _renamed(detections: Detections, names: Mapping[str, str]) -> Detections:
    boxes = detections.boxes
    labels = [names.get(label, label) for label in boxes.labels]
    return Detections(image=detections.image, boxes=Boxes(labels, boxes.coordinates, boxes.attributes))


def _coordinates(pairs: Sequence[Pair], size: tuple[int, int] | None) -> str:
    """Whether most boxes are right if their coordinates are read in another order."""
    shares = {format.value: _overlapping(pairs, format.value, size) for format in BoxFormat if not format.relative}
    best = max(shares, key=lambda name: shares[name])
    return _ORDER.format(best) if best != "xyxy" and shares[best] > max(0.5, 1.5 * shares["xyxy"]) else ""


def _overlapping(pairs: Sequence[Pair], format: str, size: tuple[int, int] | None) -> float:
    """Returns the share of the run's detections that overlap one of the artifact, if that has boxes in this format."""
    hits = count = 0
    for pair in pairs:
        width, height = pair.sample.image.width, pair.sample.image.height
        factors = (size[0] / width, size[1] / height) if size else (1.0, 1.0)
        ones, others = (scale(each.above(_OVERLAPS).boxes.xyxy, *factors) for each in (pair.expected, pair.found))
        count += len(ones)
        if len(ones) and len(others):
            others = convert_format(others, format, "xyxy")
            hits += int((iou(ones, others).max(axis=1) >= 0.8).sum())
    return hits / count if count else 0.0


def _scores(pairs: Sequence[Pair]) -> str:
    """Whether the scores are those of the run after another function."""
    ones, others = [], []
    for pair in pairs:
        matches, _, _ = match(pair.expected, pair.found, lowest_score(each.expected for each in pairs), EXACT)
        ones += [pair.expected.scores[first] for first, _ in matches]
        others += [pair.found.scores[second] for _, second in matches]
    if not ones:
        return ""
    expected, found = np.clip(ones, 1e-6, 1 - 1e-6), np.asarray(others)
    functions: dict[str, Floats] = {
        "the network returns scores without the sigmoid": np.clip(np.log(expected / (1 - expected)), 0, 1),
        "the sigmoid is applied to the scores twice": 1 / (1 + np.exp(-expected)),
    }
    if np.abs(expected - found).max() > 0.02:
        for cause, values in functions.items():
            if np.abs(values - found).max() <= 0.02:
                return cause
    return ""


def _suppression(parity: Parity, pairs: Sequence[Pair]) -> str:
    """Whether missing detections overlap one of another class, or added ones one of their class."""
    sure = lowest_score(pair.expected for pair in pairs)
    missing, added = [], []
    for pair in pairs:
        _, lost, new = match(pair.expected, pair.found, sure, parity.limits)
        missing += [_overlaps(pair.expected, position, pair.found, same=False) for position in lost]
        added += [_overlaps(pair.found, position, pair.expected, same=True) for position in new]
    if parity.total.rescored * 10 > len(missing) + len(added):
        return ""
    if sum(missing) > _MOST * (len(missing) + len(added)):
        return "the suppression is over all classes, not for each class"
    if sum(added) > _MOST * (len(missing) + len(added)):
        return "the suppression is missing, or has another threshold"
    return ""


def _overlaps(detections: Detections, position: int, others: Detections, *, same: bool) -> bool:
    """Whether a detection overlaps another one with a better score, of the same class or of another."""
    box, label = detections.boxes.xyxy[position], detections.boxes.labels[position]
    overlap = iou(box[None], others.boxes.xyxy)[0]
    return any(
        each >= _OVERLAPS and (other == label) is same and score >= detections.scores[position]
        for each, other, score in zip(overlap, others.boxes.labels, others.scores, strict=True)
    )


def _shift(parity: Parity) -> str:
    return "the boxes are shifted" if max(map(abs, parity.offset)) > parity.limits.offset else ""


def _images(parity: Parity, pairs: Sequence[Pair], run: Model, artifact: Model) -> str:
    """Whether the artifact is right on changed images, and nearer to the run than on these."""
    size, limits = _size(artifact), parity.limits
    before = _distance(pairs)

    def agrees(change: Callable[[Image.Image], Image.Image], *, of_both: bool) -> bool:
        originals = [decode_sample(pair.sample.replace(boxes=())).image for pair in pairs]
        changed = [sample_of(change(image)) for image in originals]
        plain = changed if of_both else [sample_of(image) for image in originals]
        try:
            found = [list(run.predict(plain)), predictions(artifact, changed)]
        except RunError:
            return False
        again = [Pair(*each) for each in zip(plain, *found, strict=True)]
        return not compare(again, limits).problems and _distance(again) < before / 2

    if agrees(lambda image: Image.merge("RGB", image.split()[::-1]), of_both=False):
        return "the channels are in the order BGR, not RGB"
    if size is not None and agrees(lambda image: image.resize(size), of_both=True):
        return "images are resized in another way"
    return ""


def _distance(pairs: Sequence[Pair]) -> float:
    """Returns the mean difference between the scores of the same boxes, infinite without any."""
    sure = lowest_score(pair.expected for pair in pairs)
    apart = [
        abs(pair.expected.scores[first] - pair.found.scores[second])
        for pair in pairs
        for first, second in match(pair.expected, pair.found, sure, EXACT)[0]
    ]
    return float(np.mean(apart)) if apart else math.inf


def _arithmetic(parity: Parity) -> str:
    if parity.limits.matched >= EXACT.matched or parity.total.rescored > parity.total.missing:
        return "pixel values are normalized in another way (mean, scale), or the conversion changed the arithmetic"
    return "the precision is too low for this network"


def _little(parity: Parity, difference: Difference | None) -> str:
    """The detections are the same except for rounding; only the AP is outside its limit."""
    text = (
        f"rounding changes scores by up to {parity.largest_difference:.4f} and boxes a little, and with them the order"
        " of detections, on which the AP depends"
    )
    if difference is None:
        return text
    value, low, high = (100 * each for each in (difference.value, *difference.interval))
    chance = "more than chance" if difference.is_clear else f"{difference.images} images are too few to tell it from 0"
    return f"{text}; its difference is {value:+.2f} points (95 % interval {low:+.2f} to {high:+.2f}), {chance}"


def _size(model: Model) -> tuple[int, int] | None:
    """Returns the width and height of a model's input, if they are known."""
    return (model.inputs.width, model.inputs.height) if isinstance(model, PortableModel) else None


def sample_of(image: Image.Image) -> Sample:
    """Returns an image without boxes, as a sample."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return Sample(image=ImageRef(name="image.png", width=image.width, height=image.height, data=buffer.getvalue()))
