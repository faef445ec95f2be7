"""Hugging Face transformers: conversion and decoding. Runs in the environment of transformers, without regard."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from decoding_jobs import BOS, EOS, PAD, Ids, Job, before_end, in_batches, main, shape_of
from decoding_layers import Weights, copy, split
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import (
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
)

WEIGHTS = "model.safetensors"


def convert(folder: Path) -> None:
    """Write the weights by the names of Hugging Face's modules."""
    shape = shape_of(folder)
    weights = {name: torch.from_numpy(array) for name, array in np.load(folder / "weights.npz").items()}
    named = text_weights(shape, weights) if shape["kind"] == "text" else pairs_weights(shape, weights)
    save_file({name: tensor.contiguous() for name, tensor in named.items()}, folder / WEIGHTS)


def text_weights(shape: Mapping[str, Any], weights: Weights) -> dict[str, Tensor]:
    """Return the weights of a GPT2LMHeadModel, whose linear layers are transposed."""
    named = {"transformer.wte.weight": weights["embeddings.target.weight"].clone()}
    named |= {"transformer.wpe.weight": weights["positions"], "lm_head.weight": weights["output"].clone()}
    pairs = {"transformer.ln_f": "norm"}
    for i in range(shape["model"]["n_layers"]):
        there, here = f"transformer.h.{i}", f"layers.{i}"
        pairs |= {f"{there}.ln_1": f"{here}.attention_norm", f"{there}.ln_2": f"{here}.feed_forward_norm"}
        pairs |= {f"{there}.attn.c_attn": f"{here}.attention.qkv", f"{there}.attn.c_proj": f"{here}.attention.output"}
        pairs |= {
            f"{there}.mlp.c_fc": f"{here}.feed_forward.inner",
            f"{there}.mlp.c_proj": f"{here}.feed_forward.outer",
        }
    for there, here in pairs.items():
        named[f"{there}.weight"] = weights[f"{here}.weight"].T  # a vector stays as it is
        named[f"{there}.bias"] = weights[f"{here}.bias"]
    return named


def pairs_weights(shape: Mapping[str, Any], weights: Weights) -> dict[str, Tensor]:
    """Return the weights of M2M100 or Marian."""
    model = shape["model"]
    named = {f"{stack}.embed_tokens.weight": weights[f"embeddings.{side}.weight"].clone()
             for stack, side in (("encoder", "source"), ("decoder", "target"))}  # fmt: skip
    for stack in ("encoder", "decoder"):
        if model["norm"] == "pre":
            copy(named, f"{stack}.layer_norm", weights, f"{stack}_norm")
        for i in range(model[f"n_{stack}_layers"]):
            there, here = f"{stack}.layers.{i}", f"{stack}.{i}"
            copy(named, f"{there}.self_attn_layer_norm", weights, f"{here}.attention_frame.norm")
            copy(named, f"{there}.final_layer_norm", weights, f"{here}.feed_forward_frame.norm")
            copy(named, f"{there}.fc1", weights, f"{here}.feed_forward.inner")
            copy(named, f"{there}.fc2", weights, f"{here}.feed_forward.outer")
            split(named, f"{there}.self_attn.*_proj", "qkv", weights, f"{here}.attention.qkv")
            copy(named, f"{there}.self_attn.out_proj", weights, f"{here}.attention.output")
            if stack == "decoder":
                copy(named, f"{there}.encoder_attn_layer_norm", weights, f"{here}.cross_frame.norm")
                copy(named, f"{there}.encoder_attn.q_proj", weights, f"{here}.cross.query")
                split(named, f"{there}.encoder_attn.*_proj", "kv", weights, f"{here}.cross.key_value")
                copy(named, f"{there}.encoder_attn.out_proj", weights, f"{here}.cross.output")
    named = {f"model.{name}": tensor for name, tensor in named.items()}
    return named | {"lm_head.weight": weights["output"].clone(), "positions": weights["positions"]}


def empty_model(shape: Mapping[str, Any]) -> Any:
    """Return the model without weights."""
    model = shape["model"]
    ids: dict[str, Any] = {"pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS, "tie_word_embeddings": False}
    with torch.device("meta"):
        if shape["kind"] == "text":
            sizes = {"n_positions": shape["n_positions"], "n_embd": model["width"], "n_layer": model["n_layers"]}
            sizes |= {"n_head": model["n_heads"], "n_inner": shape["inner_width"]}
            return GPT2LMHeadModel(GPT2Config(vocab_size=shape["target_vocabulary"], **sizes, **ids))
        sizes = {"d_model": model["width"], "max_position_embeddings": shape["n_positions"], "scale_embedding": True}
        for stack in ("encoder", "decoder"):
            sizes |= {f"{stack}_layers": model[f"n_{stack}_layers"], f"{stack}_attention_heads": model["n_heads"]}
            sizes |= {f"{stack}_ffn_dim": model["feed_forward"]}
        ids |= {"decoder_start_token_id": BOS, "forced_eos_token_id": None, "activation_function": "relu"}
        if model["norm"] == "post":
            ids |= {"share_encoder_decoder_embeddings": False, "decoder_vocab_size": shape["target_vocabulary"]}
            return MarianMTModel(MarianConfig(vocab_size=shape["source_vocabulary"], **sizes, **ids))
        return M2M100ForConditionalGeneration(M2M100Config(vocab_size=shape["source_vocabulary"], **sizes, **ids))


def filled_model(folder: Path, shape: Mapping[str, Any]) -> Any:
    """Return the model with its weights, those that regard shares stored once."""
    model, weights = empty_model(shape), load_file(folder / WEIGHTS)
    positions = weights.pop("positions", None)
    for tied in ("model.decoder.embed_tokens.weight", "model.encoder.embed_tokens.weight", "transformer.wte.weight"):
        if tied in weights and torch.equal(weights[tied], weights["lm_head.weight"]):
            weights[tied] = weights["lm_head.weight"]
    missing, unexpected = model.load_state_dict(weights, strict=False, assign=True)
    assert not unexpected and set(missing) <= {"model.shared.weight", "final_logits_bias"} | {
        f"model.{stack}.embed_positions.weight" for stack in ("encoder", "decoder")
    }, (missing, unexpected)
    if shape["kind"] == "pairs":
        if hasattr(model.model, "shared"):
            model.model.shared = model.model.encoder.embed_tokens  # used by neither stack
        for stack in (model.model.encoder, model.model.decoder):
            if shape["model"]["norm"] == "post":
                stack.embed_positions.weight = nn.Parameter(positions, requires_grad=False)
            else:
                # Its positions count from one, and padding has position zero.
                stack.embed_positions.weights = nn.functional.pad(positions, (0, 0, PAD + 1, 1))
        if shape["model"]["norm"] == "post":
            model.final_logits_bias = torch.zeros(1, shape["target_vocabulary"])
    return model.eval()


def load(job: Job) -> Callable[[Ids, Sequence[int]], Ids]:
    """Return the function that decodes with `generate`, in regard's batches."""
    folder, shape = Path(job.model), shape_of(job.model)
    torch.set_num_threads(job.threads)
    model = filled_model(folder, shape).to(getattr(torch, job.precision))
    text = shape["kind"] == "text"
    never = [PAD, BOS, *([EOS] if text else []), *range(*shape["control"])]
    settings: dict[str, Any] = {"num_beams": job.beam, "do_sample": False, "use_cache": True, "suppress_tokens": never}
    settings |= {"pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": None if text else EOS}
    if job.beam > 1:
        settings |= {"length_penalty": job.length_penalty, "early_stopping": True}
    if not text:
        settings |= {"decoder_start_token_id": BOS}

    @torch.inference_mode()
    def decode(ids: Ids, longest: list[int]) -> Ids:
        sources = ids if text else [[*source, EOS] for source in ids]
        width = max(map(len, sources))
        assert not text or all(len(source) == width for source in sources), "prompts are of one length"
        source = torch.tensor([[*source, *[PAD] * (width - len(source))] for source in sources])
        n_least = max(longest) if text or job.forced else 0
        config = GenerationConfig(**settings, max_new_tokens=max(longest), min_new_tokens=n_least or None)
        written = model.generate(source, attention_mask=(source != PAD).long(), generation_config=config)
        rows = written[:, width if text else 1 :].tolist()
        return [before_end(row)[:most] for row, most in zip(rows, longest, strict=True)]

    if text:
        return lambda ids, longest: decode(ids, list(longest))
    return lambda ids, longest: in_batches(job, ids, longest, decode)


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    main(transformers.__version__, convert, load)
