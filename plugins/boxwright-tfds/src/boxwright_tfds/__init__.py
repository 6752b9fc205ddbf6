"""TensorFlow Datasets for boxwright: read."""

boxwright_api = (1, 1)
