"""Fakes with known behaviour, and the small models and tokenizers that many tests share."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from regard.batch import BOS, EOS, Batch
from regard.bundle import Bundle
from regard.bundle.card import Card
from regard.bundle.files import entry_of
from regard.display import Record, Silent
from regard.models.transformer import Transformer, TransformerConfig
from regard.nn.state import State
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig

CPU = torch.device("cpu")
SMALL = TransformerConfig(width=8, n_heads=2, n_encoder_layers=1, n_decoder_layers=1, feed_forward=8)


class Heard(Silent):
    """A display that remembers what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.shown: list[Record] = []
        self.n_closed = 0

    def say(self, message: str) -> None:
        self.said.append(message)

    def show(self, record: Record) -> None:
        self.shown.append(record)

    def close(self) -> None:
        self.n_closed += 1


class TableModel(nn.Module):
    """A model whose logits depend on the last two tokens by a table, so that every search can be checked by hand.

    Its hidden states are the logits, and its output layer is the identity.
    """

    n_positions: int | None = None
    context_length: int | None = None

    def __init__(self, logits: Tensor, never_written: slice = slice(3, 3)) -> None:
        super().__init__()
        self.table, self.never_written = logits.double(), never_written
        self.table[..., never_written] = float("-inf")
        self.output_weight = torch.eye(logits.shape[-1], dtype=torch.float64)
        self.begun: list[list[int]] = []
        """The sources in the order in which they were read."""
        self.n_rows: list[int] = []
        """How many rows each call of `read` had."""

    def forward(self, batch: Batch, trace: object = None) -> Tensor:
        raise AssertionError("decoding reads step by step")

    def logits(self, hidden: Tensor) -> Tensor:
        logits = hidden @ self.output_weight.T
        logits[..., self.never_written] = float("-inf")
        return logits

    def begin(self, batch: Batch) -> State:
        sources = [row[keep].tolist() for row, keep in zip(batch.source, batch.source_keep, strict=True)]
        self.begun += sources
        state = State(len(sources), self.output_weight)
        state.rows["before"] = torch.full((len(sources),), BOS)
        if self.context_length is not None:  # a source is a prompt, which counts as read
            state.rows["before"] = torch.tensor([source[-1] if source else BOS for source in sources])
            state.read = [len(source) for source in sources]
        return state

    def read(self, ids: Tensor, state: State) -> Tensor:
        self.n_rows.append(len(ids))
        before = torch.cat([state.rows["before"][:, None], ids[:, :-1]], dim=1)
        state.rows["before"] = ids[:, -1]
        state.read = [n + ids.shape[1] for n in state.read]
        return self.table[before, ids].clamp(min=-1e30)  # minus infinity times zero is no number

    def next_log_probabilities(self, ids: list[int]) -> list[float]:
        """Return what the table gives every token after ids, the first of which follows BOS."""
        before, last = [BOS, BOS, *ids][-2:]
        return self.table[before, last].log_softmax(-1).tolist()

    def log_probability(self, ids: list[int], *, ended: bool = True) -> float:
        """Return what the table gives the ids, and EOS if they have ended."""
        tokens = [*ids, *([EOS] if ended else [])]
        return sum(self.next_log_probabilities(tokens[:t])[token] for t, token in enumerate(tokens))


def random_table(seed: int, vocabulary: int = 5, never_written: slice = slice(3, 3)) -> TableModel:
    """Return a model of random tables."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(vocabulary, vocabulary, vocabulary, generator=generator, dtype=torch.float64) * 2
    return TableModel(logits, never_written)


def steady(
    probabilities: dict[int, float], context: int = 16, never_written: slice = slice(3, 3), vocabulary: int = 10
) -> TableModel:
    """Return a model of running text whose next token depends on nothing."""
    logits = torch.full((vocabulary,), -1e9, dtype=torch.float64)
    for token, probability in probabilities.items():
        logits[token] = math.log(probability)
    model = TableModel(logits.expand(vocabulary, vocabulary, vocabulary).clone(), never_written)
    model.context_length = context
    return model


def letters(*texts: str, n_control: int = 0) -> Tokenizer:
    """Return a tokenizer that cuts sentences into characters; those of the texts that are not ASCII are known."""
    config = TokenizerConfig(kind="characters", n_control_ids=n_control)
    return Tokenizer.train([text for text in texts or ["ab"] for _ in range(2)], config, 400)


def small_bundle(tokenizer: Tokenizer | None = None, **card: Any) -> Bundle:
    """Return a small untrained Transformer, always the same."""
    tokenizer = tokenizer or letters()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Transformer(SMALL, tokenizer.vocabulary, tokenizer.vocabulary, n_control=tokenizer.n_control)
    return Bundle(model, "transformer", tokenizer, tokenizer, Card(**card))


def flip_bit(path: Path, bit: int) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def reseal(directory: Path) -> None:
    """Make the manifest of a bundle true again after a change, as somebody who means it would."""
    manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    for part in ("files", "extra"):
        manifest[part] = {name: entry_of(directory / name).model_dump() for name in manifest[part]}
    (directory / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def change_json(path: Path, **changes: Any) -> None:
    """Change values in a file of a bundle, and make the manifest true again."""
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | changes), encoding="utf-8")
    if path.name != "manifest.json":
        reseal(path.parent)


def names_in(directory: Path) -> list[str]:
    """Return the names in a directory, hidden ones too."""
    return sorted(path.name for path in directory.iterdir())
