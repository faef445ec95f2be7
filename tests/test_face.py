"""What the library's own calls refuse before anything is read or written."""

import pytest

import regard
from regard.errors import ConfigError


def test_a_seed_that_is_given_twice_must_be_the_same(tmp_path):
    with pytest.raises(ConfigError, match=r"seed is 3, and training\.seed is 4\. Give one of them"):
        regard.train([("a", "b")], to=tmp_path / "run", seed=3, settings={"training.seed": 4})
    assert not (tmp_path / "run").exists()
