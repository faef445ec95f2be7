"""Which settings suit which amount of text. Plain data, and the reason in words."""

from typing import Any

BUDGET_KEYS = frozenset({"steps", "epochs", "minutes"})

Settings = dict[str, dict[str, Any]]

PRESETS: dict[str, dict[str, Settings]] = {
    "tiny": {
        "transformer": {"model": {"dropout_rate": 0.2}, "training": {"epochs": 24, "batch_tokens": 2048}},
        "bahdanau": {
            "model": {"embedding_width": 192, "attention_width": 192, "dropout_rate": 0.2},
            "training": {"epochs": 16, "batch_tokens": 2048},
        },
    },
    "small": {
        "transformer": {
            "model": {"width": 256, "feed_forward": 1024, "n_heads": 4, "dropout_rate": 0.2},
            "training": {"epochs": 16, "batch_tokens": 8192, "muon_learning_rate": 0.015},
        },
        "bahdanau": {
            "model": {"width": 512, "embedding_width": 384, "attention_width": 384, "dropout_rate": 0.2},
            "training": {"epochs": 10, "batch_tokens": 4096},
        },
    },
    "base": {
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
        "bahdanau": {
            "model": {"width": 1000, "embedding_width": 620, "attention_width": 1000, "dropout_rate": 0.1},
            "training": {"epochs": 6, "batch_tokens": 8192, "muon_learning_rate": 0.01, "warmup_steps": 1000},
        },
    },
}
"""Preset -> family -> what differs from the family's and the trainer's defaults."""

DEMO: Settings = {
    "tokenizer": {"vocabulary": 1500},
    "model": {"width": 128, "embedding_width": 128, "attention_width": 128, "dropout_rate": 0.05},
    "training": {
        "batch_tokens": 512,
        "warmup_steps": 50,
        "label_smoothing": 0.05,
        "validation_steps": 500,
        "checkpoint_steps": 500,
    },
    "decoding": {"beam": 4},
}
"""What the demo trains with: small enough to be right after three minutes on two cores."""

LIMITS = (("tiny", 100_000), ("small", 1_000_000))
"""The most pairs for which a preset is chosen; `base` has no limit."""


def choose_preset(n_pairs: int) -> tuple[str, str]:
    """Return the name of the preset for a corpus, and one sentence with the reason."""
    for name, limit in LIMITS:
        if n_pairs <= limit:
            return name, f"preset {name}: {n_pairs:,} pairs are at most {limit:,}, where bigger models learn less well"
    return "base", f"preset base: {n_pairs:,} pairs are enough for the sizes of the papers"
