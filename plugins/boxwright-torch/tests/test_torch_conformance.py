import pytest

pytest.importorskip("torch", reason="PyTorch is an extra: python -m pip install 'boxwright-torch[torch]'")

# pytest collects the classes from here.
from boxwright_torch.conformance import *  # noqa: F403
