"""CTranslate2: conversion and decoding. Runs in the environment of CTranslate2, without torch and without regard."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from ctranslate2.specs import common_spec, transformer_spec
from decoding_jobs import BOS, EOS, PAD, Ids, Job, main, shape_of

NEVER = -1e9
"""The output bias of ids that are never written."""

SPECIAL = {PAD: "<pad>", BOS: "<s>", EOS: "</s>"}

Weights = Mapping[str, Any]


def tokens_of(ids: Sequence[int]) -> list[str]:
    """Return the names of ids in CTranslate2's vocabulary."""
    return [SPECIAL.get(i) or str(i) for i in ids]


def convert(folder: Path) -> None:
    """Write a model in float32, and one in int8, whose file is smaller and takes less memory to load."""
    shape = shape_of(folder)
    for quantization in ("float32", "int8"):
        # Anew for each: saving replaces a spec's arrays by aliases and rounded ones.
        weights = dict(np.load(folder / "weights.npz"))
        spec = text_spec(shape, weights) if shape["kind"] == "text" else pairs_spec(shape, weights)
        config = spec.config
        config.bos_token, config.eos_token, config.unk_token = SPECIAL[BOS], SPECIAL[EOS], SPECIAL[PAD]
        config.layer_norm_epsilon = 1e-5
        spec.validate()
        spec.optimize(quantization=quantization)
        place = folder / quantization
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        spec.save(str(place))


def pairs_spec(shape: Mapping[str, Any], weights: Weights) -> transformer_spec.TransformerSpec:
    """Return the specification of an encoder-decoder."""
    model = shape["model"]
    spec = transformer_spec.TransformerSpec.from_config(
        (model["n_encoder_layers"], model["n_decoder_layers"]),
        model["n_heads"],
        pre_norm=model["norm"] == "pre",
        activation=common_spec.Activation.RELU,
    )
    spec.config.decoder_start_token = SPECIAL[BOS]
    stacks = {
        "encoder": (spec.encoder, spec.encoder.embeddings[0], "source"),
        "decoder": (spec.decoder, spec.decoder.embeddings, "target"),
    }
    for name, (stack, embeddings, side) in stacks.items():
        embeddings.weight = weights[f"embeddings.{side}.weight"]
        stack.position_encodings.encodings = weights["positions"]
        if model["norm"] == "pre":
            set_layer_norm(stack.layer_norm, weights, f"{name}_norm")
        for i, layer in enumerate(stack.layer):
            set_layer(layer, weights, f"{name}.{i}", ("attention_frame.norm", "feed_forward_frame.norm"))
            if name == "decoder":
                set_linear(layer.attention.linear[0], weights, f"{name}.{i}.cross.query")
                set_linear(layer.attention.linear[1], weights, f"{name}.{i}.cross.key_value")
                set_linear(layer.attention.linear[2], weights, f"{name}.{i}.cross.output")
                set_layer_norm(layer.attention.layer_norm, weights, f"{name}.{i}.cross_frame.norm")
    spec.register_source_vocabulary(tokens_of(range(shape["source_vocabulary"])))
    spec.register_target_vocabulary(tokens_of(range(shape["target_vocabulary"])))
    set_output(spec.decoder, shape, weights, [PAD, BOS])
    return spec


def text_spec(shape: Mapping[str, Any], weights: Weights) -> transformer_spec.TransformerDecoderModelSpec:
    """Return the specification of a GPT-2, which never ends a text."""
    model = shape["model"]
    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        model["n_layers"], model["n_heads"], pre_norm=True, activation=common_spec.Activation.GELUTanh
    )
    spec.decoder.embeddings.weight = weights["embeddings.target.weight"]
    spec.decoder.scale_embeddings = False
    spec.decoder.position_encodings.encodings = weights["positions"]
    set_layer_norm(spec.decoder.layer_norm, weights, "norm")
    for i, layer in enumerate(spec.decoder.layer):
        set_layer(layer, weights, f"layers.{i}", ("attention_norm", "feed_forward_norm"))
    spec.register_vocabulary(tokens_of(range(shape["target_vocabulary"])))
    set_output(spec.decoder, shape, weights, [PAD, BOS, EOS])
    return spec


def set_layer(layer: Any, weights: Weights, name: str, norms: tuple[str, str]) -> None:
    """Set the self-attention, the feed-forward layer and the norms of each."""
    set_linear(layer.self_attention.linear[0], weights, f"{name}.attention.qkv")
    set_linear(layer.self_attention.linear[1], weights, f"{name}.attention.output")
    set_layer_norm(layer.self_attention.layer_norm, weights, f"{name}.{norms[0]}")
    set_linear(layer.ffn.linear_0, weights, f"{name}.feed_forward.inner")
    set_linear(layer.ffn.linear_1, weights, f"{name}.feed_forward.outer")
    set_layer_norm(layer.ffn.layer_norm, weights, f"{name}.{norms[1]}")


def set_output(decoder: Any, shape: Mapping[str, Any], weights: Weights, never: Sequence[int]) -> None:
    """Set the output layer, with a bias that excludes control ids and those of `never`."""
    decoder.projection.weight = weights["output"]
    bias = np.zeros(shape["target_vocabulary"], np.float32)
    bias[[*never, *range(*shape["control"])]] = NEVER
    decoder.projection.bias = bias


def set_linear(spec: Any, weights: Weights, name: str) -> None:
    spec.weight, spec.bias = weights[f"{name}.weight"], weights[f"{name}.bias"]


def set_layer_norm(spec: Any, weights: Weights, name: str) -> None:
    spec.gamma, spec.beta = weights[f"{name}.weight"], weights[f"{name}.bias"]


def load(job: Job) -> Callable[[Ids, Sequence[int]], Ids]:
    """Return the function that decodes: it pads, sorts and splits as CTranslate2 does."""
    kind = shape_of(job.model)["kind"]
    place = str(Path(job.model) / ("int8" if job.precision.startswith("int8") else "float32"))
    settings: dict[str, Any] = {"compute_type": job.precision, "inter_threads": job.workers}
    settings["intra_threads"] = job.threads
    if kind == "text":
        generator = ctranslate2.Generator(place, device="cpu", **settings)
        assert job.beam == 1, "text is continued greedily"

        def continued(ids: Ids, longest: Sequence[int]) -> Ids:
            assert len(set(longest)) == 1, "CTranslate2 writes equally many tokens in all rows"
            results = generator.generate_batch(
                [tokens_of(prompt) for prompt in ids],
                max_batch_size=-(-len(ids) // job.workers),
                min_length=longest[0],
                max_length=longest[0],
                include_prompt_in_result=False,
            )
            return [list(result.sequences_ids[0]) for result in results]

        return continued
    translator = ctranslate2.Translator(place, device="cpu", **settings)

    def translated(ids: Ids, longest: Sequence[int]) -> Ids:
        assert not job.forced or len(set(longest)) == 1, "CTranslate2 writes equally many tokens in all rows"
        results = translator.translate_batch(
            [[*tokens_of(source), SPECIAL[EOS]] for source in ids],
            max_batch_size=max(1, job.batch_tokens // job.beam),
            batch_type="tokens",
            beam_size=job.beam,
            length_penalty=job.length_penalty,
            max_input_length=0,
            max_decoding_length=max(longest),
            min_decoding_length=max(longest) if job.forced else 1,
        )
        targets = [[int(token) for token in result.hypotheses[0]] for result in results]
        # Greedy search does not depend on the limit, so a target can be cut at its own.
        return [t[:most] if job.beam == 1 else t for t, most in zip(targets, longest, strict=True)]

    return translated


if __name__ == "__main__":
    main(ctranslate2.__version__, convert, load)
