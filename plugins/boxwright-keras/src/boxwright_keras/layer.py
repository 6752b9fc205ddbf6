"""The layer of an exported detector. Its source is part of ``detect.py``, so it uses no boxwright."""

from __future__ import annotations

from typing import Any


def detector_layer(keras: Any) -> Any:
    """Returns the class of the layer: a TensorFlow graph whose large constants are the weights."""
    import tensorflow as tf

    class Detector(keras.layers.Layer):
        def __init__(self, graph: str, inputs: Any, outputs: Any, labels: Any, **options: Any) -> None:
            super().__init__(**options | {"trainable": False})
            self.settings = {"graph": graph, "inputs": inputs, "outputs": outputs, "labels": labels}
            self.parameters = [self.add_weight(size, name=name) for name, size in inputs.items() if name != "images"]
            content, names = tf.compat.v1.GraphDef.FromString(bytes.fromhex(graph)), list(outputs.values())

            def run(*given: Any) -> Any:
                return tf.graph_util.import_graph_def(content, dict(zip(inputs, given, strict=True)), names)

            self.run = tf.compat.v1.wrap_function(run, [tf.TensorSpec(size, tf.float32) for size in inputs.values()])

        def call(self, images: Any) -> Any:
            values = self.run(images, *map(tf.convert_to_tensor, self.parameters))
            return dict(zip(self.settings["outputs"], values, strict=True))

        def get_config(self) -> Any:
            return super().get_config() | self.settings

    return Detector
