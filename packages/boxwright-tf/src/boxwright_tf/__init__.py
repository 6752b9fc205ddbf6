"""Samples to tf.data and back: what the TensorFlow plugins of boxwright share."""

boxwright_api = (1, 1)
