"""Bundles of random weights, on which engines are compared: no training is needed to decode, only to decode well."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from decoding_jobs import BOS, EOS, PAD, Ids

from regard.bundle import Bundle, load_bundle
from regard.bundle.card import Card
from regard.models.gpt import GPT, GPTConfig
from regard.models.transformer import Transformer, TransformerConfig
from regard.text.tokens.running import RunningKind
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig

SYLLABLES = [consonant + vowel for consonant in "bdfgklmnrst" for vowel in "aeiou"]

IDEOGRAPHS = (range(0x4E00, 0xA000), range(0xAC00, 0xD7A4), range(0x20000, 0x2A6E0))
"""Characters of which each is a piece, for as large a vocabulary as is wanted: Chinese and Korean ones."""

GPT2: dict[str, Any] = {
    "positions": "learned", "norm": "layer", "activation": "gelu", "qk_norm": False, "bias": True, "mix": False,
}  # fmt: skip
"""The settings of a GPT that is computed as GPT-2 is."""


def random_pairs(norm: str = "pre", **settings: Any) -> Bundle:
    """Return a small random Transformer."""
    config = TransformerConfig(n_encoder_layers=2, n_decoder_layers=2, **{"norm": norm, **settings})
    tokenizer = Tokenizer.train(some_texts(), TokenizerConfig(kind="bpe"), 600)
    return Bundle(pairs_model(config, tokenizer), "transformer", tokenizer, tokenizer, Card())


def random_text(*, tied: bool) -> Bundle:
    """Return a small random GPT of the shape of GPT-2."""
    config = GPTConfig(n_layers=3, context=128, tied=tied, **GPT2)
    tokenizer = Tokenizer.train_running(some_texts(), "bpe", 600, 0 if tied else 32)
    return Bundle(text_model(config, tokenizer), "gpt", tokenizer, tokenizer, Card(job="text"))


def base_pairs(trained: Path) -> Bundle:
    """Return a random Transformer of base size that never ends a target. trained: the bundle of its vocabulary."""
    tokenizer = load_bundle(trained).source_tokenizer
    config = TransformerConfig(width=512, n_heads=8, n_encoder_layers=6, n_decoder_layers=6, feed_forward=2048)
    model = endless(pairs_model(config, tokenizer), "decoder_norm")
    return Bundle(model, "transformer", tokenizer, tokenizer, Card())


def gpt2_text(width: int, n_layers: int, n_heads: int, vocabulary: int) -> Bundle:
    """Return a random GPT of the shape of GPT-2 that never ends a text; its vocabulary has as many ids or a few more.

    Fewer than 300 are byte-level pieces, more are characters.
    """
    config = GPTConfig(width=width, n_layers=n_layers, n_heads=n_heads, context=1024, tied=True, **GPT2)
    kind: RunningKind = "bpe" if vocabulary < 300 else "characters"
    texts = some_texts() if kind == "bpe" else ideographs(vocabulary)
    tokenizer = Tokenizer.train_running(texts, kind, max(vocabulary, 260))
    return Bundle(endless(text_model(config, tokenizer), "norm"), "gpt", tokenizer, tokenizer, Card(job="text"))


def pairs_model(config: TransformerConfig, tokenizer: Tokenizer) -> torch.nn.Module:
    """Return a random Transformer for a vocabulary."""
    size = tokenizer.vocabulary
    return randomised(Transformer(config, size, size, n_control=tokenizer.n_control))


def text_model(config: GPTConfig, tokenizer: Tokenizer) -> torch.nn.Module:
    """Return a random GPT for a vocabulary."""
    return randomised(GPT(config, tokenizer.vocabulary, tokenizer.vocabulary, n_control=tokenizer.n_control))


def some_texts() -> list[str]:
    """Return lines of made-up words, to learn pieces from."""
    random = torch.Generator().manual_seed(0)
    chosen = torch.randint(len(SYLLABLES), (2000, 24), generator=random).tolist()
    words = [["".join(SYLLABLES[i] for i in row[n : n + 3]) for n in range(0, 24, 3)] for row in chosen]
    return [" ".join(line) for line in words]


def ideographs(n: int) -> Iterator[str]:
    """Yield texts of n different characters, each of which occurs twice."""
    characters = [chr(i) for script in IDEOGRAPHS for i in script][:n]
    for start in range(0, n, 1000):
        yield "".join(characters[start : start + 1000]) * 2


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """Return the model with all parameters random, so that none is zero or one and hides a mistake."""
    random = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=random)
        if parameter.dim() == 1:
            parameter.data += 0.2 * noise
        else:
            # Large enough that sub-layers, not the embedding of the last token, decide what is written.
            parameter.data = 2 * noise * parameter.shape[-1] ** -0.5
    return model.eval()


def endless(model: torch.nn.Module, norm: str) -> torch.nn.Module:
    """Return the model with weights by which EOS is never among the best tokens. norm: the name of the last norm.

    The first number of every hidden vector is one, and only the logit of EOS depends on it: that is -2, where the
    logits of a random model have a standard deviation of 2 and the best of thousands are far above zero. The row of EOS
    is no longer than others, because engines bound rounding errors by the longest.
    """
    last, weight = cast(torch.nn.LayerNorm, model.get_submodule(norm)), cast(Any, model).output_weight.data
    last.weight.data[0], last.bias.data[0] = 0.0, 1.0
    weight[:, 0], weight[EOS] = 0.0, 0.0
    weight[EOS, 0] = -2.0
    return model


def random_ids(vocabulary: int, first: int, lengths: Sequence[int]) -> Ids:
    """Return sequences of random ids that are not special."""
    assert first > max(PAD, BOS, EOS), "the first ids are special"
    random = torch.Generator().manual_seed(2)
    return [torch.randint(first, vocabulary, (n,), generator=random).tolist() for n in lengths]
