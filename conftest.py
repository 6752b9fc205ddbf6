"""What the tests of all packages share."""

from hypothesis import settings

# The first example imports what is imported on demand, and the machine may be busy with other things.
settings.register_profile("boxwright", deadline=None)
settings.load_profile("boxwright")
