"""The trainers that regard is compared with, each in its own environment with the version of torch that regard uses."""

import argparse
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from environments import environment
from measuring import (
    DROPOUT_RATE,
    FEED_FORWARD,
    LABEL_SMOOTHING,
    N_HEADS,
    N_LAYERS,
    SOURCE,
    STEPS_A_RECORD,
    TARGET,
    WIDTHS,
    Corpus,
    Run,
    mean_speed,
    watch,
)


class Rival(ABC):
    """Another trainer."""

    name: ClassVar[str]
    version: ClassVar[str]
    also: ClassVar[Sequence[str]] = ()
    """Packages that it imports but does not declare."""
    models: ClassVar[Sequence[str]]

    def __init__(self, python: str) -> None:
        """Create its environment the first time. python: the command of a Python 3.11."""
        packages = [f"{self.name.lower()}=={self.version}", *self.also]
        self.python = environment(python, f"{self.name}-{self.version}", packages, with_torch=True)

    def train(self, options: argparse.Namespace, corpus: Corpus, place: Path, seed: int, steps: int) -> Run:
        """Train a model of the size of regard's on the same ids and return what was measured."""
        recipe = place.with_suffix(".yaml")
        recipe.write_text(json.dumps(self.settings(options, corpus, place, seed, steps)), encoding="utf-8")
        peak, cores = watch(self.command(recipe), options.threads, place.with_suffix(".log"))  # JSON is YAML
        return Run(mean_speed(self.speeds(self.log(place))), peak, cores)

    def log(self, place: Path) -> str:
        """Return the log of a training."""
        return place.with_suffix(".log").read_text(encoding="utf-8")

    @abstractmethod
    def settings(
        self, options: argparse.Namespace, corpus: Corpus, place: Path, seed: int, steps: int
    ) -> dict[str, Any]:
        """Return its settings for a training."""

    @abstractmethod
    def command(self, recipe: Path) -> list[str]:
        """Return the command that trains."""

    @abstractmethod
    def speeds(self, log: str) -> list[tuple[int, float]]:
        """Return the step of each record in its log, and the target tokens per second since the previous record."""

    @abstractmethod
    def n_parameters(self, log: str) -> int:
        """Return the number of parameters of the model, as its log states it."""


class JoeyNMT(Rival):
    """JoeyNMT. Its own "plateau" schedule fails with this version of torch. It is set to never validate."""

    name, version = "JoeyNMT", "2.3.0"
    also = ("sentencepiece==0.1.99", "importlib_metadata")
    models = ("transformer", "bahdanau")

    def log(self, place: Path) -> str:
        return (place / "train.log").read_text(encoding="utf-8")

    def command(self, recipe: Path) -> list[str]:
        return [str(self.python), "-I", "-m", "joeynmt", "train", str(recipe), "--skip-test"]

    def speeds(self, log: str) -> list[tuple[int, float]]:
        records = re.findall(r"Step:\s+(\d+),.*Tokens per Sec:\s+(\d+)", log)
        return [(int(step), float(speed)) for step, speed in records]

    def n_parameters(self, log: str) -> int:
        found = re.search(r"Total params: (\d+)", log)
        assert found, "JoeyNMT logs its number of parameters"
        return int(found[1])

    def settings(
        self, options: argparse.Namespace, corpus: Corpus, place: Path, seed: int, steps: int
    ) -> dict[str, Any]:
        vocabulary = str(corpus.folder / "vocabulary.txt")
        symbols: dict[str, Any] = {
            "unk_token": str(corpus.unknown),
            "pad_token": "0",
            "bos_token": "1",
            "eos_token": "2",
        }
        symbols |= {"unk_id": 0, "pad_id": 1, "bos_id": 2, "eos_id": 3}  # JoeyNMT puts its symbols first, in this order
        side = {"level": "word", "voc_file": vocabulary}
        files = {"train": str(corpus.folder / "train"), "dev": str(corpus.folder / "val"), "dataset_type": "plain"}
        encoder, decoder = self.stacks(options.model)
        training = {"optimizer": "adamw", "adam_betas": [0.9, 0.98], "learning_rate": 0.005, "learning_rate_min": 0.0}
        training |= {"scheduling": "warmupinversesquareroot", "learning_rate_warmup": 400, "clip_grad_norm": 1.0}
        training |= {"label_smoothing": LABEL_SMOOTHING, "normalization": "tokens"}
        training |= {"batch_size": options.batch_tokens, "batch_type": "token", "epochs": 1_000_000, "updates": steps}
        training |= {"logging_freq": STEPS_A_RECORD, "validation_freq": STEPS_A_RECORD * 1_000_000}
        return {
            "name": "tiny",
            "joeynmt_version": self.version,
            "model_dir": str(place),
            "use_cuda": False,
            "random_seed": seed,
            "data": {
                **files,
                "special_symbols": symbols,
                "src": {"lang": SOURCE, **side},
                "trg": {"lang": TARGET, **side},
            },
            "model": {"tied_embeddings": True, "tied_softmax": True, "encoder": encoder, "decoder": decoder},
            "training": training,
            "testing": {},
        }

    def stacks(self, model: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the settings of the encoder and of the decoder."""
        width = WIDTHS[model]
        both: dict[str, Any] = {"hidden_size": width, "dropout": DROPOUT_RATE}
        both["embeddings"] = {"embedding_dim": width, "scale": model == "transformer", "dropout": DROPOUT_RATE}
        if model == "transformer":
            both |= {"type": "transformer", "num_layers": N_LAYERS, "num_heads": N_HEADS, "ff_size": FEED_FORWARD}
            return both | {"layer_norm": "pre"}, both | {"layer_norm": "pre"}
        both |= {"type": "recurrent", "rnn_type": "gru", "num_layers": 1}
        attention = {"attention": "bahdanau", "input_feeding": True, "init_hidden": "bridge"}
        return both | {"bidirectional": True}, both | attention | {"hidden_dropout": DROPOUT_RATE}


class Eole(Rival):
    """Eole, the successor of OpenNMT-py. It validates and saves only at its last step."""

    name, version = "Eole", "0.6.4"
    also = ("aiohttp",)
    models = ("transformer",)

    def command(self, recipe: Path) -> list[str]:
        return [str(self.python.with_name("eole")), "train", "-config", str(recipe)]

    def speeds(self, log: str) -> list[tuple[int, float]]:
        records = re.findall(r"Step\s+(\d+)/\s*\d+;.*?/\s*(\d+) tok/s", log)
        return [(int(step), float(speed)) for step, speed in records]

    def n_parameters(self, log: str) -> int:
        found = re.search(r"number of parameters: (\d+)", log)
        assert found, "Eole logs its number of parameters"
        return int(found[1])

    def settings(
        self, options: argparse.Namespace, corpus: Corpus, place: Path, seed: int, steps: int
    ) -> dict[str, Any]:
        width = WIDTHS[options.model]
        vocabulary = str(corpus.folder / "vocabulary.txt")
        text = {f"path_{side}": str(corpus.folder / f"train.{x}") for side, x in (("src", SOURCE), ("tgt", TARGET))}
        held_out = {f"path_{side}": str(corpus.folder / f"val.{x}") for side, x in (("src", SOURCE), ("tgt", TARGET))}
        model: dict[str, Any] = {"architecture": "transformer", "layers": N_LAYERS, "hidden_size": width}
        model |= {"heads": N_HEADS, "transformer_ff": FEED_FORWARD, "share_embeddings": True}
        model |= {"share_decoder_embeddings": True, "position_encoding_type": "SinusoidalInterleaved"}
        model["embeddings"] = {"word_vec_size": width, "position_encoding_type": "SinusoidalInterleaved"}
        training: dict[str, Any] = {"model_path": str(place), "world_size": 0, "gpu_ranks": [], "num_workers": 0}
        training |= {"batch_type": "tokens", "batch_size": options.batch_tokens, "normalization": "tokens"}
        training |= {"train_steps": steps, "valid_steps": steps, "save_checkpoint_steps": steps}
        training |= {"optim": "adamw", "adam_beta2": 0.98, "learning_rate": 0.005, "warmup_steps": 400}
        training |= {"decay_method": "rsqrt", "max_grad_norm": 1.0, "label_smoothing": LABEL_SMOOTHING}
        training |= {"dropout": [DROPOUT_RATE], "attention_dropout": [DROPOUT_RATE], "compute_dtype": "fp32"}
        return {
            "seed": seed,
            "report_every": STEPS_A_RECORD,
            "src_vocab": vocabulary,
            "tgt_vocab": vocabulary,
            "share_vocab": True,
            "src_vocab_size": corpus.vocabulary + 8,
            "tgt_vocab_size": corpus.vocabulary + 8,
            "data": {"train": text, "valid": held_out},
            "model": model,
            "training": training,
        }


RIVALS: dict[str, type[Rival]] = {"joeynmt": JoeyNMT, "eole": Eole}
