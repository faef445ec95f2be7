from pathlib import Path

import pytest
import torch

from regard.bundle import Bundle
from regard.cli import train
from regard.errors import ConfigError
from regard.models.transformer import Transformer, TransformerConfig
from regard.presets import PRESETS
from regard.recipe import make_recipe
from regard.runtime import Runtime
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig

CPU = Runtime(torch.device("cpu"), 1)
SMALL = TransformerConfig(width=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, feed_forward=8)


def recipe(precision: str):
    preset = PRESETS["pairs"]["tiny"]["transformer"]
    return make_recipe("pairs", "transformer", "tiny", [preset, {"training": {"precision": precision}}])


def begun(precision: str) -> tuple[Path, Bundle]:
    """A checkpoint of a run that computed in a precision."""
    tokenizer = Tokenizer.train(["ab"], TokenizerConfig(kind="characters"), 300)
    model = Transformer(SMALL, tokenizer.vocabulary, tokenizer.vocabulary)
    return Path("step-9"), Bundle(model, "transformer", tokenizer, tokenizer, {"arithmetic": {"precision": precision}})


@pytest.mark.parametrize(
    ("before", "has_it", "taken"),
    [
        *[("bfloat16", True, "bfloat16"), ("bfloat16", False, "float32")],
        *[("float32", True, "float32"), ("float32", False, "float32")],
    ],
)
def test_a_run_goes_on_in_the_precision_it_began_with_where_that_is_to_be_had(monkeypatch, before, has_it, taken):
    monkeypatch.setattr(train, "has_bfloat16", lambda device: has_it)
    monkeypatch.setattr(train, "choose_precision", lambda device, width: ("float32", "float32, since it has no other"))
    assert train.with_precision(recipe("auto"), begun(before), CPU).precision == taken


def test_bfloat16_where_there_is_none_is_refused(monkeypatch):
    monkeypatch.setattr(train, "has_bfloat16", lambda device: False)
    with pytest.raises(ConfigError, match=r"precision is bfloat16, and this cpu has none\. Use float32"):
        train.with_precision(recipe("bfloat16"), None, CPU)
