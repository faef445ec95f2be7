"""The families, one a file, behind one protocol. A new family is one file and one line in MODELS."""

from typing import Any

from regard.models.bahdanau import Bahdanau, BahdanauConfig
from regard.models.gpt import GPT, GPTConfig
from regard.models.rnn import RNN, RNNConfig
from regard.models.transformer import Transformer, TransformerConfig

# Bundles and recipes name their family by these keys, so one that is renamed loads no older bundle.
MODELS: dict[str, tuple[type[Any], type[Any]]] = {
    "rnn": (RNNConfig, RNN),
    "bahdanau": (BahdanauConfig, Bahdanau),
    "transformer": (TransformerConfig, Transformer),
    "gpt": (GPTConfig, GPT),
}
"""Name -> (its settings, its class). A class is built from its settings and the two vocabulary sizes, and says
in `jobs` what it can be trained for: "pairs" of sentences, running "text"; and in `in_one_graph` whether torch.compile
can take its forward pass whole, since no loop runs over positions."""
