"""JoeyNMT: its Transformer with given weights, and its search. Runs in the environment of JoeyNMT, without regard.

Its beam search divides by ((5 + length) / 6) ** alpha, and continues until no hypothesis in the beam is open, so that a
target may differ from regard's. Neither search stores keys and values: each step computes all positions anew.
"""

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from decoding_jobs import BOS, EOS, PAD, Ids, Job, before_end, in_batches, main, shape_of
from decoding_layers import copy, split
from joeynmt.batch import Batch
from joeynmt.decoders import TransformerDecoder
from joeynmt.embeddings import Embeddings
from joeynmt.encoders import TransformerEncoder
from joeynmt.model import Model
from joeynmt.search import search
from torch import nn

WEIGHTS = "joeynmt.pt"


def convert(folder: Path) -> None:
    """Write the weights by the names of JoeyNMT's modules."""
    model = shape_of(folder)["model"]
    weights = {name: torch.from_numpy(array) for name, array in np.load(folder / "weights.npz").items()}
    named = {"src_embed.lut.weight": weights["embeddings.source.weight"]}
    named |= {"trg_embed.lut.weight": weights["embeddings.target.weight"]}
    named |= {"decoder.output_layer.weight": weights["output"], "positions": weights["positions"][None]}
    for stack, attention, norm in (
        ("encoder", "src_src_att", "layer_norm"),
        ("decoder", "trg_trg_att", "x_layer_norm"),
    ):
        if model["norm"] == "pre":
            copy(named, f"{stack}.layer_norm", weights, f"{stack}_norm")
        for i in range(model[f"n_{stack}_layers"]):
            there, here = f"{stack}.layers.{i}", f"{stack}.{i}"
            copy(named, f"{there}.{norm}", weights, f"{here}.attention_frame.norm")
            split(named, f"{there}.{attention}.*_layer", "qkv", weights, f"{here}.attention.qkv")
            copy(named, f"{there}.{attention}.output_layer", weights, f"{here}.attention.output")
            copy(named, f"{there}.feed_forward.layer_norm", weights, f"{here}.feed_forward_frame.norm")
            copy(named, f"{there}.feed_forward.pwff_layer.0", weights, f"{here}.feed_forward.inner")
            copy(named, f"{there}.feed_forward.pwff_layer.3", weights, f"{here}.feed_forward.outer")
            if stack == "decoder":
                copy(named, f"{there}.dec_layer_norm", weights, f"{here}.cross_frame.norm")
                copy(named, f"{there}.src_trg_att.q_layer", weights, f"{here}.cross.query")
                split(named, f"{there}.src_trg_att.*_layer", "kv", weights, f"{here}.cross.key_value")
                copy(named, f"{there}.src_trg_att.output_layer", weights, f"{here}.cross.output")
    torch.save({name: tensor.clone() for name, tensor in named.items()}, folder / WEIGHTS)


def filled_model(folder: Path, shape: Mapping[str, Any]) -> Model:
    """Return the model with its weights, those that regard shares stored once."""
    settings = shape["model"]
    width, sizes = settings["width"], (shape["source_vocabulary"], shape["target_vocabulary"])
    both = {"hidden_size": width, "ff_size": settings["feed_forward"], "num_heads": settings["n_heads"]}
    both |= {"layer_norm": settings["norm"], "activation": "relu"}
    # Its search never writes the separator and the tags of languages: padding and control ids here.
    symbols = SimpleNamespace(pad_index=PAD, bos_index=BOS, eos_index=EOS, sep_index=PAD, unk_index=PAD)
    symbols.specials, symbols.lang_tags, symbols.lookup = [], list(range(*shape["control"])), int
    with torch.device("meta"):
        model = Model(
            TransformerEncoder(num_layers=settings["n_encoder_layers"], **both),
            TransformerDecoder(num_layers=settings["n_decoder_layers"], vocab_size=sizes[1], **both),
            *(Embeddings(embedding_dim=width, scale=True, vocab_size=size, padding_idx=PAD) for size in sizes),
            symbols,
            symbols,
        )
    weights = torch.load(folder / WEIGHTS, mmap=True, weights_only=True)
    for tied in ("src_embed.lut.weight", "trg_embed.lut.weight"):
        if torch.equal(weights[tied], weights["decoder.output_layer.weight"]):
            weights[tied] = weights["decoder.output_layer.weight"]
    positions = weights.pop("positions")
    for stack in ("encoder", "decoder"):
        getattr(model, stack).pe.pe = weights[f"{stack}.pe.pe"] = positions
    model.load_state_dict(weights, assign=True)
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-5
    return model.eval()


def load(job: Job) -> Callable[[Ids, Sequence[int]], Ids]:
    """Return the function that decodes, in regard's batches."""
    torch.set_num_threads(job.threads)
    model = filled_model(Path(job.model), shape_of(job.model))

    @torch.inference_mode()
    def decode(ids: Ids, longest: list[int]) -> Ids:
        sources = [[*source, EOS] for source in ids]
        width = max(map(len, sources))
        batch = Batch(
            src=torch.tensor([[*source, *[PAD] * (width - len(source))] for source in sources]),
            src_length=torch.tensor([len(source) for source in sources]),
            src_prompt_mask=None,
            trg=None,
            trg_prompt_mask=None,
            indices=torch.arange(len(sources)),
            device=torch.device("cpu"),
            pad_index=PAD,
            eos_index=EOS,
            is_train=False,
        )
        n_least = max(longest) if job.forced else 0
        written, _, _ = search(model, batch, max(longest), job.beam, job.length_penalty, min_output_length=n_least)
        return [before_end(row)[:most] for row, most in zip(written.tolist(), longest, strict=True)]

    return lambda ids, longest: in_batches(job, ids, longest, decode)


if __name__ == "__main__":
    main(importlib.metadata.version("joeynmt"), convert, load)
