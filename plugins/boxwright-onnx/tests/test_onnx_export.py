"""ONNX: the conformance tests, and what only this exporter has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from onnx import helper, numpy_helper

from boxwright import Run, UsageError
from boxwright.models import DecoderSettings
from boxwright.plugins import Registry
from boxwright_onnx.convert import _halve_weights, convert
from boxwright_testing import NetworkExporterTests
from boxwright_testing.networks import BOXES, ColorsBackend

pytestmark = pytest.mark.tensorflow


class TestONNX(NetworkExporterTests):
    exporter = "onnx"

    def test_a_batch_of_any_size(self, plugins: Registry, run: Run, tmp_path: Path) -> None:
        import onnxruntime

        _, artifact = next(self.exported(plugins, run, tmp_path))
        session = onnxruntime.InferenceSession(artifact, providers=["CPUExecutionProvider"])
        images = np.zeros((2, 16, 32, 3), np.float32)
        images[1, :, :, 0] = 255
        boxes, scores, classes, positions = session.run(["boxes", "scores", "classes", "positions"], {"images": images})
        assert positions.tolist() == [1, 1], "the first image is black"
        assert classes.tolist() == [0, 0]
        assert scores.tolist() == pytest.approx([1, 0.5])
        assert boxes.tolist() == BOXES[[0, 2]].tolist()
        properties = session.get_modelmeta().custom_metadata_map
        assert properties == {"names": '["first", "second"]', "image_size": "32x16"}

    def test_only_the_best_scores_of_each_image_enter_the_suppression(self, run: Run, tmp_path: Path) -> None:
        """Of the scores 1, 0.9 and 0.5 of one class, and half of them of the other, two are left of each image."""
        import onnxruntime

        network = ColorsBackend().write_network(run, tmp_path)
        decoder = replace(network.decoder, pre_nms=2)
        model = convert(replace(network, decoder=decoder), "fp32")
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        images = np.zeros((2, 16, 32, 3), np.float32)
        images[0, :, :, 0] = 255
        images[1, :, :, 1] = 127.5
        boxes, scores, classes, positions = session.run(["boxes", "scores", "classes", "positions"], {"images": images})
        assert positions.tolist() == [0, 1]
        assert classes.tolist() == [0, 1]
        assert scores.tolist() == pytest.approx([1, 0.5])
        assert boxes.tolist() == BOXES[[0, 0]].tolist()

    @pytest.mark.parametrize(("clips_first", "kept"), [(True, 1), (False, 2)])
    def test_boxes_are_clipped_before_the_suppression_or_after_it(
        self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clips_first: bool, kept: int
    ) -> None:
        """The visible parts of the first two are the same box; as a whole they have an IoU of 200 / 400."""
        import onnxruntime

        boxes = np.array([[-30, 0, 10, 10], [-10, 0, 10, 10], [20, 1, 30, 9]], np.float32)
        monkeypatch.setattr("boxwright_testing.networks.BOXES", boxes)
        network = ColorsBackend().write_network(run, tmp_path)
        decoder = replace(network.decoder, iou_threshold=0.6, clips_first=clips_first)
        model = convert(replace(network, decoder=decoder), "fp32")
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        images = np.full((1, 16, 32, 3), (255, 0, 0), np.float32)
        found, scores = session.run(["boxes", "scores"], {"images": images})
        assert found.tolist() == [[0, 0, 10, 10]] * kept + [[20, 1, 30, 9]]
        assert scores.tolist() == pytest.approx([1, 0.9, 0.5] if kept == 2 else [1, 0.5])

    def test_half_precision_is_for_weights_only(self) -> None:
        """Anchors stay float32: float16 has steps of 0.25 between 256 and 512."""
        values = {"kernel": np.full((64, 3, 3, 3), 0.1), "anchors": np.full((1, 500, 4), 300.1)}
        graph = helper.make_graph(
            [
                helper.make_node("Conv", ["images", "kernel"], ["found"]),
                helper.make_node("Add", ["d", "anchors"], ["b"]),
            ],
            "network",
            [],
            [],
            [numpy_helper.from_array(value.astype(np.float32), name) for name, value in values.items()],
        )
        _halve_weights(graph)
        stored = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        assert {name: value.dtype for name, value in stored.items()} == {
            "kernel_half": np.float16,
            "anchors": np.float32,
        }
        assert (graph.node[0].op_type, list(graph.node[0].output)) == ("Cast", ["kernel"])

    def test_soft_nms_is_an_error(self, run: Run, tmp_path: Path) -> None:
        network = ColorsBackend().write_network(run, tmp_path)
        with pytest.raises(UsageError, match="Soft-NMS"):
            convert(replace(network, decoder=DecoderSettings(soft_nms_sigma=0.5)), "fp32")
