"""Steps for boxwright conversions: resize and split."""

boxwright_api = (1, 1)
