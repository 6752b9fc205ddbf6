"""The command line of boxwright."""

import gc

# A command creates many small objects that live until its end, and few cycles: with Python's default, to look for
# cycles after every 700 new objects, a conversion takes 5 % longer.
gc.set_threshold(50_000, 20, 20)
