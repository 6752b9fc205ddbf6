r"""Measures what ``boxwright annotate`` saves, with a simulated annotator.

    python scripts/annotating_proof.py edits out --set bccd --photos 20 60 --tune 20
    python scripts/annotating_proof.py errors out --set bccd --photos 60
    python scripts/annotating_proof.py order out --set bccd --photos 20 28 40 --seed 0 1 2
    python scripts/annotating_proof.py order out --set bccd --photos 10 28 --seed 0 1 --known
    python scripts/annotating_proof.py order out --set bccd --classes Platelets --photos 20 28 40 --seed 0 1 2
    python scripts/annotating_proof.py order out --set long-tail --photos 20 28 40 --seed 0 1 2 --steps 150 \
        --preset efficientnet_lite0_imagenet

``edits`` trains on the first photos of a data set, and counts the edits that the others take with the proposals of the
model, and from scratch; with ``--tune``, the score of each class is tuned on some of the others, which then do not
count. ``errors`` plants faults in 5 % of the boxes of the others (missing, shifted by 30 % of the sides, of another
class), and prints the share that is among twice as many suspects. ``order`` adds the photos that
``boxwright annotate`` shows first to the training, and random ones for comparison, and prints AP50 and AP on the photos
held out after each training. The set ``long-tail`` has drawn images, most without an object, as those of a camera that
waits for something: of 300, 75 have a mug and no key, and 15 a key. Trainings are kept in the folder: a call continues
where the last one ended.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from label_errors_proof import measure as share_found, plant

import boxwright
from boxwright import Detections, LabelMap, Run, Sample
from boxwright.annotation.order import learning_order, look
from boxwright.annotation.simulation import simulate
from boxwright.models.inference import predicted_pairs

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("BOXWRIGHT_SHARED_DATA", ROOT.parent / "shared" / "data"))


def main() -> None:
    """Trains what is missing in the folder, and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("edits", "errors", "order"))
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--set", default="bccd", help="long-tail, or a folder of the shared data with train and val or test"
    )
    parser.add_argument("--classes", nargs="+", help="Find these alone")
    parser.add_argument("--photos", type=int, nargs="+", default=[20])
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--tune", type=int, default=0, help="photos on which the scores are tuned")
    parser.add_argument("--known", action="store_true", help="Order by the true boxes, too, as of a perfect model")
    parser.add_argument("--plantings", type=int, default=3, help="how often faults are planted")
    arguments = parser.parse_args()
    photos, held_out = long_tail() if arguments.set == "long-tail" else shared(SHARED / arguments.set)
    if arguments.classes:
        photos, held_out = (of_classes(some, arguments.classes) for some in (photos, held_out))
        arguments.set += "-" + "-".join(arguments.classes)
    measure = {"edits": edits, "errors": errors, "order": order}[arguments.what]
    for seed in arguments.seed:
        chance = np.random.default_rng(seed)
        measure(arguments, [photos[n] for n in chance.permutation(len(photos))], held_out, seed)


def shared(folder: Path) -> tuple[list[Sample], list[Sample]]:
    """Returns the photos of a set, and those held out."""
    parts = "train", "val" if (folder / "val").is_dir() else "test"
    photos, held_out = (list(boxwright.open(f"labelimg:{folder / part}", on_error="skip")) for part in parts)
    return photos, held_out


def long_tail() -> tuple[list[Sample], list[Sample]]:
    """Returns drawn images in which mugs are few and keys are rare, and 210 to test on; leaves are of no interest."""
    drawn: dict[str, list[Sample]] = {"key": [], "mug": [], "": []}
    for sample in boxwright.open("demo:train?images=3000&seed=17"):
        rarest = next((name for name in ("key", "mug") if name in sample.boxes.labels), "")
        drawn[rarest].append(of_classes([sample], ["key", "mug"])[0])
    nothing, mugs, keys = drawn[""], drawn["mug"], drawn["key"]
    return nothing[:210] + mugs[:75] + keys[:15], nothing[210:260] + mugs[75:155] + keys[15:95]


def of_classes(photos: Sequence[Sample], names: Sequence[str]) -> list[Sample]:
    """Returns photos with the boxes of some classes alone."""
    return [photo.replace(boxes=photo.boxes.select(label in names for label in photo.boxes.labels)) for photo in photos]


def trained(
    arguments: argparse.Namespace, photos: Sequence[Sample], name: str, seed: int, label_map: LabelMap | None = None
) -> Run:
    """Returns the model of some photos, trained unless it is in the folder."""
    out = arguments.folder / f"{arguments.set}-{arguments.preset}-{arguments.steps}-{name}-{len(photos)}-{seed}"
    if (out / "run.json").is_file() and Run(out).status == "done":
        return Run(out)
    return boxwright.train(
        boxwright.from_samples(photos),
        out=out,
        preset=arguments.preset,
        settings={"steps": arguments.steps},
        seed=seed,
        label_map=label_map,
        log=[],
        overwrite=True,
    )


def edits(arguments: argparse.Namespace, photos: Sequence[Sample], held_out: Sequence[Sample], seed: int) -> None:
    """Prints the edits of the photos that the model was not trained on."""
    for count in arguments.photos:
        run = trained(arguments, photos[:count], "random", seed)
        if arguments.tune:
            boxwright.tune(run, boxwright.from_samples(photos[count : count + arguments.tune]))
        model = boxwright.load_model(run)
        rest = boxwright.from_samples(photos[count + arguments.tune :])
        counts = json.dumps(simulate(model, predicted_pairs(model, rest)).to_dict())
        print(arguments.set, arguments.preset, count, seed, f"tuned on {arguments.tune}", counts, flush=True)


def errors(arguments: argparse.Namespace, photos: Sequence[Sample], held_out: Sequence[Sample], seed: int) -> None:
    """Prints the share of planted faults that are found in photos that the model was not trained on."""
    for count in arguments.photos:
        model = boxwright.load_model(trained(arguments, photos[:count], "random", seed))
        pairs = list(predicted_pairs(model, boxwright.from_samples(photos[count:])))
        found = {place: detections for place, (_, detections) in enumerate(pairs)}
        for chance in range(arguments.plantings):
            samples, faults = plant([sample for sample, _ in pairs], 0.05, chance, each=False, shift=0.3)
            shares = json.dumps(share_found(samples, found, faults))
            print(arguments.set, arguments.preset, count, seed, chance, shares, flush=True)


def order(arguments: argparse.Namespace, photos: Sequence[Sample], held_out: Sequence[Sample], seed: int) -> None:
    """Prints AP50 and AP after each training, in random order and in that of ``boxwright annotate``."""
    photos = with_each_class(photos, arguments.photos[0])
    label_map = LabelMap.from_names(sorted({label for photo in photos for label in photo.boxes.labels}))
    for name in ("random", "chosen", *(["known"] if arguments.known else [])):
        labeled = list(photos[: arguments.photos[0]])
        run: Run | None = None
        for count in arguments.photos:
            names = {photo.image.name for photo in labeled}
            rest = [photo for photo in photos if photo.image.name not in names]
            if run is not None and name != "random":
                if name == "known":
                    found = [known(photo) for photo in rest]
                else:
                    model = boxwright.load_model(run)
                    found = [found for _, found in predicted_pairs(model, boxwright.from_samples(rest))]
                boxes = Counter(label for photo in labeled for label in photo.boxes.labels)
                looks = [[look(photo) for photo in some] for some in (rest, labeled)]
                chosen = learning_order(found, looks[0], boxes, looks[1])[: count - len(labeled)]
                labeled += [rest[each] for each in chosen]
            else:
                labeled = list(photos[:count])
            first = "random" if count == arguments.photos[0] else name
            run = trained(arguments, labeled, first, seed, label_map)
            values = boxwright.evaluate(run, boxwright.from_samples(held_out)).values
            print(arguments.set, name, count, seed, f"AP50 {values['AP50']:.3f} AP {values['AP']:.3f}", flush=True)


def known(photo: Sample) -> Detections:
    """Returns what a perfect model would find."""
    boxes = photo.boxes
    return Detections.from_arrays(photo.image, boxes.labels, boxes.xyxy, np.ones(len(boxes)))


def with_each_class(photos: Sequence[Sample], count: int) -> list[Sample]:
    """Returns photos of which the first ones contain each class, as those do with which a person begins."""
    photos = list(photos)
    for name in sorted({label for photo in photos for label in photo.boxes.labels}):
        place = next(place for place, photo in enumerate(photos) if name in photo.boxes.labels)
        if place >= count:
            photos[count - 1], photos[place] = photos[place], photos[count - 1]
    return photos


if __name__ == "__main__":
    main()
