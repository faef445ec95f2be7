"""The families, one per file, behind one protocol. A new family is one file and one line in MODELS."""

from typing import Any

from regard.models.bahdanau import Bahdanau, BahdanauConfig
from regard.models.gpt import GPT, GPTConfig
from regard.models.rnn import RNN, RNNConfig
from regard.models.transformer import Transformer, TransformerConfig

# Bundles and recipes name their family by these keys, so a renamed key could not load older bundles.
MODELS: dict[str, tuple[type[Any], type[Any]]] = {
    "rnn": (RNNConfig, RNN),
    "bahdanau": (BahdanauConfig, Bahdanau),
    "transformer": (TransformerConfig, Transformer),
    "gpt": (GPTConfig, GPT),
}
"""Name -> (its settings, its class). A class is built from its settings and the two vocabulary sizes. Its `jobs` are
what it can be trained for: "pairs" of sentences, running "text". Its `in_one_graph` says whether torch.compile can
compile the whole forward pass, since no loop runs over positions."""
