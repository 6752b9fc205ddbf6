"""D-FINE with random weights, from a preset folder as KerasHub writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxwright import Boxes, DataError, Dataset, export, load_model, train
from boxwright.datasets import SampleReader
from boxwright.images import decode_sample

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def preset(keras_hub: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small D-FINE for the 80 classes of COCO, and images of 128x128."""
    import keras

    keras.utils.set_random_seed(0)
    hgnet = keras_hub.models.HGNetV2Backbone(
        stem_channels=[3, 8, 8],
        stackwise_stage_filters=[
            [8, 8, 16, 1, 1, 3],
            [16, 8, 32, 1, 1, 3],
            [32, 16, 64, 1, 1, 5],
            [64, 16, 64, 1, 1, 5],
        ],
        apply_downsample=[False, True, True, True],
        use_lightweight_conv_block=[False, False, True, True],
        depths=[1, 1, 1, 1],
        hidden_sizes=[16, 32, 64, 64],
        embedding_size=8,
        use_learnable_affine_block=True,
        hidden_act="relu",
        image_shape=(None, None, 3),
        out_features=["stage3", "stage4"],
    )
    backbone = keras_hub.models.DFineBackbone(
        backbone=hgnet,
        decoder_in_channels=[32, 32],
        encoder_hidden_dim=32,
        num_denoising=0,
        num_labels=80,
        hidden_dim=32,
        learn_initial_query=False,
        num_queries=40,
        anchor_image_size=(128, 128),
        feat_strides=[16, 32],
        num_feature_levels=2,
        encoder_in_channels=[64, 64],
        encode_proj_layers=[1],
        num_attention_heads=4,
        encoder_ffn_dim=64,
        num_encoder_layers=1,
        hidden_expansion=0.34,
        depth_multiplier=0.5,
        eval_idx=-1,
        num_decoder_layers=2,
        decoder_attention_heads=4,
        decoder_ffn_dim=64,
        decoder_n_points=[3, 3],
        lqe_hidden_dim=16,
        num_lqe_layers=2,
        out_features=["stage3", "stage4"],
        image_shape=(None, None, 3),
        seed=0,
    )
    converter = keras_hub.layers.DFineImageConverter(image_size=(128, 128), scale=1 / 255)
    detector = keras_hub.models.DFineObjectDetector(
        backbone,
        num_classes=80,
        bounding_box_format="xyxy",
        preprocessor=keras_hub.models.DFineObjectDetectorPreprocessor(image_converter=converter),
    )
    for weight in detector.weights:
        if weight.path.endswith(("class_embed_0/kernel", "class_embed_1/kernel")):
            weight.assign(60 * weight)  # else all scores are near 0.01
    folder = tmp_path_factory.mktemp("dfine") / "preset"
    detector.save_to_preset(str(folder))
    return folder


def labelled(drawn: Dataset, *labels: str) -> Dataset:
    samples = list(drawn)[:2]
    return Dataset(
        SampleReader(
            [
                sample.replace(boxes=Boxes([label], [(5, 5, 40, 40)]))
                for sample, label in zip(samples, labels, strict=True)
            ]
        )
    )


def test_the_run_has_the_pretrained_detector_for_the_classes_of_the_data(
    keras_hub: Any, preset: Path, drawn: Dataset, tmp_path: Path
) -> None:
    data = labelled(drawn, "orange", "apple")
    settings: dict[str, Any] = {"weights": str(preset), "score_threshold": 0.0}
    run = train(data, out=tmp_path / "run", backend="kerashub", preset="dfine_nano_coco", settings=settings)
    assert run.status == "done"
    # Apples and oranges have the categories 53 and 55 in COCO, of which 11 up to there are unused: they are the
    # 48th and the 50th class.
    assert json.loads(run.file("model/network.json").read_text())["columns"] == [47, 49]
    model: Any = load_model(run)
    sample = next(iter(drawn))
    pixels = model.inputs(decode_sample(sample.replace(boxes=())).image)[None]
    boxes, scores = model.forward(pixels)
    detector = keras_hub.models.DFineObjectDetector.from_preset(str(preset))
    expected = detector(pixels / 255)
    center, sides = np.split(np.asarray(expected["pred_boxes"]) * 128, 2, axis=-1)
    np.testing.assert_allclose(boxes, np.concatenate([center - sides / 2, center + sides / 2], axis=-1), atol=1e-2)
    logits = np.asarray(expected["logits"], np.float64)[..., [47, 49]]
    np.testing.assert_allclose(scores, 1 / (1 + np.exp(-logits)), atol=1e-4)
    (found,) = model.predict([sample], score=0.0)
    assert set(found.boxes.labels) <= {"apple", "orange"}
    pytest.importorskip("boxwright_litert")
    made = export(run, "litert", tmp_path / "exported", data=data)  # fails unless it finds what the run finds
    assert made.parity.total.compared > 0


def test_a_class_outside_coco_is_named(preset: Path, drawn: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no class 'fig'"):
        train(
            labelled(drawn, "apple", "fig"),
            out=tmp_path / "run",
            backend="kerashub",
            preset="dfine_nano_coco",
            settings={"weights": str(preset)},
        )
