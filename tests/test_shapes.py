import jaxtyping
import pytest
import torch

from regard.nn.positions import sinusoids


def test_shapes_in_signatures_are_checked_under_pytest():
    with pytest.raises(jaxtyping.TypeCheckError):
        sinusoids(torch.tensor([0.5]), 8)  # positions are counts
