"""Apple's CreateML JSON for boxwright: read and write."""

boxwright_api = (1, 1)
