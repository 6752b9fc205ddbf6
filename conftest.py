"""What all tests share."""

from contextlib import suppress

with suppress(ImportError):  # the benchmarks do without it
    from hypothesis import settings

    # How long an example takes depends on what else the machine does.
    settings.register_profile("boxwright", deadline=None)
    settings.load_profile("boxwright")
