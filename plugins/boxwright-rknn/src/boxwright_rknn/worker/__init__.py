"""The code that runs in the environment of rknn-toolkit2, called by :mod:`boxwright_rknn` through its worker process.

Nothing here imports boxwright, or is imported by it.
"""
