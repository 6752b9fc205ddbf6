from __future__ import annotations

import pytest

from boxwright_myplugin.conformance import TestConformance as TestConformance


def test_all_values_are_multiplied_by_one_number() -> None:
    tf = pytest.importorskip("tensorflow")
    from boxwright_myplugin.augmenter import MyPluginAugmenter

    images = tf.constant([[[10.0, 20.0, 40.0], [0.0, 80.0, 100.0]]])
    example = {"images": images, "boxes": tf.zeros((0, 4)), "classes": tf.zeros((0,))}
    for number in range(5):
        changed = MyPluginAugmenter(0.2)(example, tf.constant([number, 7]))["images"].numpy()
        factor = changed[0, 0, 0] / 10
        assert 0.8 <= factor <= 1.2
        assert changed == pytest.approx(images.numpy() * factor, rel=1e-5)
