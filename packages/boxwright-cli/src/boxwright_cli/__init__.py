"""The command line of boxwright."""

import gc

# A run makes many small objects that live to its end, and few cycles: looking for cycles at every 700 new objects, as
# Python does by default, costs a twentieth of a conversion.
gc.set_threshold(50_000, 20, 20)
