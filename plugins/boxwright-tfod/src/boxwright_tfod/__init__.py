"""The TensorFlow Object Detection API as a backend of boxwright."""

boxwright_api = (1, 1)
