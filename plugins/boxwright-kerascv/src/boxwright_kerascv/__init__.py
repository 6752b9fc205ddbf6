"""KerasCV RetinaNet for boxwright: train, predict, augment."""

boxwright_api = (1, 1)
