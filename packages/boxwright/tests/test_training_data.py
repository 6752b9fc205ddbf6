"""Data, label maps and settings of trainings: what is refused before a run folder is made, and what is reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxwright import (
    BackendSpec,
    BoxwrightError,
    DataError,
    LabelMap,
    LabelMapItem,
    MissingLibraryError,
    PluginNotFoundError,
    RunError,
    UsageError,
    train,
)
from boxwright.plugins.manager import LoadedPlugins
from boxwright.plugins.registry import Registry


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "error", "text"),
        [
            ({"backend": "averge"}, PluginNotFoundError, "did you mean 'average'"),
            ({"preset": "huge"}, UsageError, "no preset 'huge'"),
            ({"preset": ""}, UsageError, "no preset"),
            ({"settings": {"rat": 1}}, UsageError, "did you mean 'rate'"),
            ({"settings": {"rate": "fast"}}, UsageError, "is not a number"),
            ({"trainer": "cluster"}, PluginNotFoundError, "cluster"),
            ({"trainer": "mirrored:2"}, PluginNotFoundError, "pip install boxwright-trainers"),
            ({"epochs": 0}, UsageError, "the number of epochs is 0"),
            ({"eval_every": 0}, UsageError, "the number of epochs between evaluations is 0"),
            ({"model": object()}, UsageError, "has no object 'model'"),
            ({"batch_size": -1}, UsageError, "batch size is -1"),
            ({"image_size": (64, 31)}, UsageError, "64x31"),
            ({"image_size": (0, 0)}, UsageError, "0x0"),
            ({"label_map": "nowhere.pbtxt"}, DataError, r"nowhere\.pbtxt: file not found"),
            ({"label_map": LabelMap.from_names(["fig"])}, DataError, "not in the label map: 'date'"),
            ({"val": "lines:nowhere.jsonl"}, DataError, "nowhere"),
            ({"val": "nothing:x"}, PluginNotFoundError, "nothing"),
            ({"on_error": "ignore"}, UsageError, "ignore"),
        ],
    )  # fmt: skip
    def test_before_a_folder_is_made(
        self,
        arguments: dict[str, Any],
        error: type[BoxwrightError],
        text: str,
        ground_truth: str,
        tmp_path: Path,
        plugins: Registry,
    ) -> None:
        with pytest.raises(error, match=text):
            train(ground_truth, out=tmp_path / "run", registry=plugins, **arguments)
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            ("", "it contains no images"),
            ('{"name": "a.jpg", "size": [10, 8], "boxes": []}\n', "no box to learn from"),
            ('{"name": "a.jpg"}\n', "line 1: KeyError"),
        ],
    )
    def test_data_from_which_nothing_can_be_learnt(
        self, content: str, text: str, tmp_path: Path, plugins: Registry
    ) -> None:
        path = tmp_path / "data.jsonl"
        path.write_text(content, "utf-8")
        with pytest.raises(DataError, match=text) as caught:
            train(f"lines:{path}", out=tmp_path / "run", registry=plugins)
        assert str(path) in caught.value.message
        assert not (tmp_path / "run").exists()

    def test_data_whose_every_line_is_skipped(self, tmp_path: Path, plugins: Registry) -> None:
        path = tmp_path / "data.jsonl"
        path.write_text("{}\n{}\n", "utf-8")
        with pytest.raises(DataError, match="every one of its 2 items was skipped.*line 1"):
            train(f"lines:{path}", out=tmp_path / "run", on_error="skip", registry=plugins)

    def test_no_backend_at_all(self, ground_truth: str, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="no backend is installed") as caught:
            train(ground_truth, out=tmp_path / "run", registry=Registry(LoadedPlugins()))
        assert "pip install" in caught.value.remedy

    def test_a_backend_without_its_library(
        self, ground_truth: str, tmp_path: Path, make_registry: Callable[..., Registry]
    ) -> None:
        spec = BackendSpec(name="heavy", load="toys:Heavy", requires=("no_such_library",), install="pip install it")
        with pytest.raises(MissingLibraryError, match="no_such_library") as caught:
            train(ground_truth, out=tmp_path / "run", backend="heavy", registry=make_registry(spec))
        assert caught.value.remedy == "run: pip install it"
        assert not (tmp_path / "run").exists()

    def test_a_foreign_folder(self, ground_truth: str, tmp_path: Path, plugins: Registry) -> None:
        with pytest.raises(RunError, match="is not a run"):
            train(ground_truth, out=tmp_path, registry=plugins)


class TestLabelMap:
    def test_its_order_and_its_unused_classes_are_kept(
        self, ground_truth: str, tmp_path: Path, plugins: Registry
    ) -> None:
        path = tmp_path / "classes.pbtxt"
        given = LabelMap.from_names(["fig", "kiwi", "date"], sort=False)
        path.write_text(given.to_pbtxt(), "utf-8")
        assert train(ground_truth, out=tmp_path / "a", label_map=path, registry=plugins).label_map == given
        assert train(ground_truth, out=tmp_path / "b", label_map=given, registry=plugins).label_map == given

    def test_ids_that_no_label_map_file_can_have_are_counted_from_1(
        self, ground_truth: str, tmp_path: Path, plugins: Registry, reports: Any
    ) -> None:
        given = LabelMap(items=tuple(LabelMapItem(id=i, name=name) for i, name in enumerate(["fig", "date"])))
        run = train(ground_truth, out=tmp_path / "a", label_map=given, registry=plugins, reporter=reports)
        assert [(item.id, item.name) for item in run.label_map.items] == [(1, "fig"), (2, "date")]
        assert "numbered from 1" in reports.messages[0]

    def test_held_out_images_of_another_class(
        self, ground_truth: str, tmp_path: Path, plugins: Registry, reports: Any
    ) -> None:
        val = tmp_path / "val.jsonl"
        val.write_text('{"name": "v.jpg", "size": [10, 8], "boxes": [["kiwi", 1, 2, 3, 4]]}\n', "utf-8")
        with pytest.raises(DataError, match="not in the label map: 'kiwi'") as caught:
            train(ground_truth, out=tmp_path / "run", val=f"lines:{val}", registry=plugins)
        assert str(val) in caught.value.message
        run = train(ground_truth, out=tmp_path / "run", val=f"lines:{val}", on_error="skip", registry=plugins)
        assert run.status == "done"

    def test_held_out_data_without_images(self, ground_truth: str, tmp_path: Path, plugins: Registry) -> None:
        val = tmp_path / "val.jsonl"
        val.write_text("", "utf-8")
        with pytest.raises(DataError, match="no images to hold out"):
            train(ground_truth, out=tmp_path / "run", val=f"lines:{val}", registry=plugins)
