"""TFRecord files of the TF Object Detection API for boxwright, without TensorFlow: read and write."""

boxwright_api = (1, 1)
