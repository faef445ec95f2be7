"""The weights and settings of a bundle as plain arrays, from which every engine makes its own files."""

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from regard.bundle import load_bundle
from regard.nn.positions import sinusoids

N_SINUSOIDS = 2560  # for 2,048 target tokens, which is regard's limit


def export(bundle: Path, place: Path) -> None:
    """Write `weights.npz` and `shape.json`. Raises ValueError for a model that the engines cannot compute.

    The arrays have the names of regard's parameters; besides, `output` is the output weight, and `positions` the table
    of positions, whether computed or learned.
    """
    loaded = load_bundle(bundle)
    model = cast(Any, loaded.model)
    if problem := problem_of(loaded.family, model.config):
        raise ValueError(f"{bundle}: {problem}")
    weights = {name: tensor.float().numpy() for name, tensor in model.state_dict().items()}
    weights["output"] = model.output_weight.detach().float().numpy()
    if loaded.family == "gpt":
        weights["positions"] = weights.pop("positions.weight")
    else:
        weights["positions"] = sinusoids(torch.arange(N_SINUSOIDS), model.config.width).numpy()
    shape = {
        "n_positions": len(weights["positions"]),
        "kind": "text" if loaded.family == "gpt" else "pairs",
        "model": model.config.model_dump(mode="json"),
        "source_vocabulary": loaded.source_tokenizer.vocabulary,
        "target_vocabulary": loaded.target_tokenizer.vocabulary,
        "control": [model.never_written.start, model.never_written.stop],
    }
    if loaded.family == "gpt":
        shape["inner_width"] = model.config.inner_width
    place.mkdir(parents=True, exist_ok=True)
    np.savez(place / "weights.npz", **weights)
    (place / "shape.json").write_text(json.dumps(shape, indent=2), encoding="utf-8")


def problem_of(family: str, config: Any) -> str | None:
    """Return why the engines cannot compute a model with these settings, or None if they can."""
    if family not in ("transformer", "gpt"):
        return f"the family is {family}; the engines compute transformer and gpt"
    wanted: dict[str, Any] = {"qk_norm": False}
    if family == "transformer":
        wanted["activation"] = "relu"
    else:
        wanted |= {"positions": "learned", "norm": "layer", "activation": "gelu", "bias": True, "mix": False}
        wanted |= {"attention_span": None, "ngrams": 1, "kv_heads": config.n_heads}
    differing = [f"{name} is {getattr(config, name)}" for name in wanted if getattr(config, name) != wanted[name]]
    return f"{', '.join(differing)}; the engines compute only {wanted}" if differing else None
