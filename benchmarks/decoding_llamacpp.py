"""llama.cpp: conversion to GGUF and decoding by its C interface. Runs in its environment, without torch and regard."""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import llama_cpp
import numpy as np
from decoding_jobs import BOS, EOS, PAD, Ids, Job, main, shape_of

TYPES = {
    "float32": gguf.GGMLQuantizationType.F32,
    "float16": gguf.GGMLQuantizationType.F16,
    "bfloat16": gguf.GGMLQuantizationType.BF16,
    "q8_0": gguf.GGMLQuantizationType.Q8_0,
}


def convert(folder: Path) -> None:
    """Write the model with matrices of every precision; vectors and positions are float32, as llama.cpp has them."""
    shape, weights = shape_of(folder), dict(np.load(folder / "weights.npz"))
    model = shape["model"]
    for name, kind in TYPES.items():
        writer = gguf.GGUFWriter(folder / f"{name}.gguf", "gpt2")
        writer.add_context_length(shape["n_positions"])
        writer.add_embedding_length(model["width"])
        writer.add_block_count(model["n_layers"])
        writer.add_feed_forward_length(shape["inner_width"])
        writer.add_head_count(model["n_heads"])
        writer.add_layer_norm_eps(1e-5)
        writer.add_vocab_size(shape["target_vocabulary"])
        writer.add_tokenizer_model("no_vocab")  # ids go in and out
        for there, here in tensors_of(shape).items():
            array = np.ascontiguousarray(weights[here], np.float32)
            stored = kind if array.ndim == 2 and here != "positions" else TYPES["float32"]
            if stored == TYPES["float32"]:
                writer.add_tensor(there, array)
            else:
                writer.add_tensor(there, gguf.quants.quantize(array, stored), raw_dtype=stored)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def tensors_of(shape: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of tensors in GGUF's GPT-2 and in regard."""
    names = {"token_embd.weight": "embeddings.target.weight", "position_embd.weight": "positions"}
    if not shape["model"]["tied"]:
        names["output.weight"] = "output"  # without it, llama.cpp takes the embeddings
    layers = {"attn_norm": "attention_norm", "attn_qkv": "attention.qkv", "attn_output": "attention.output"}
    layers |= {"ffn_norm": "feed_forward_norm", "ffn_up": "feed_forward.inner", "ffn_down": "feed_forward.outer"}
    pairs = {"output_norm": "norm"}
    for i in range(shape["model"]["n_layers"]):
        pairs |= {f"blk.{i}.{there}": f"layers.{i}.{here}" for there, here in layers.items()}
    return names | {f"{there}.{x}": f"{here}.{x}" for there, here in pairs.items() for x in ("weight", "bias")}


def load(job: Job) -> Callable[[Ids, Sequence[int]], Ids]:
    """Return the function that continues prompts greedily, all of a call side by side."""
    shape = shape_of(job.model)
    vocabulary = shape["target_vocabulary"]
    silence()
    model = llama_cpp.llama_model_load_from_file(
        str(Path(job.model) / f"{job.precision}.gguf").encode(), llama_cpp.llama_model_default_params()
    )
    assert model, "llama.cpp has loaded the model"
    n_sequences = 1 if job.one_by_one else len(job.ids)
    length = max(len(prompt) + n for prompt, n in zip(job.ids, job.longest, strict=True))
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx, settings.n_seq_max = n_sequences * length, n_sequences
    settings.n_batch = max(512, sum(map(len, job.ids)))
    settings.n_threads = settings.n_threads_batch = job.threads
    if job.precision == "float32":
        settings.type_k = settings.type_v = llama_cpp.GGML_TYPE_F32
    context = llama_cpp.llama_init_from_model(model, settings)
    assert context, "llama.cpp has made a context"
    batch = llama_cpp.llama_batch_init(settings.n_batch, 0, 1)
    never = [PAD, BOS, EOS, *range(*shape["control"])]

    def read(cells: Sequence[tuple[int, int, int, bool]], n_rows: int) -> list[int]:
        """Return the likeliest token after each row. cells: token, position, sequence, and whether its logits count."""
        batch.n_tokens = len(cells)
        for i, (token, position, sequence, counts) in enumerate(cells):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, position, 1, counts
            batch.seq_id[i][0] = sequence
        if code := llama_cpp.llama_decode(context, batch):
            raise RuntimeError(f"llama_decode returned {code}")
        logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits(context), (n_rows, vocabulary))
        logits[:, never] = -np.inf
        return logits.argmax(-1).tolist()

    def continued(ids: Ids, longest: Sequence[int]) -> Ids:
        assert len(set(longest)) == 1, "all rows have equally many tokens"
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        n_rows = len(ids)
        cells = [
            (token, position, row, position == len(prompt) - 1)
            for row, prompt in enumerate(ids)
            for position, token in enumerate(prompt)
        ]
        written: Ids = [[] for _ in ids]
        for step in range(longest[0]):
            for row, token in enumerate(read(cells, n_rows)):
                written[row].append(token)
            cells = [(written[row][-1], len(ids[row]) + step, row, True) for row in range(n_rows)]
        return written

    return continued


@llama_cpp.llama_log_callback
def no_log(_level: int, _text: bytes, _data: ctypes.c_void_p) -> None:
    """Print nothing."""


def silence() -> None:
    """Keep llama.cpp from printing what it loads."""
    llama_cpp.llama_log_set(no_log, ctypes.c_void_p(0))


if __name__ == "__main__":
    main(llama_cpp.__version__, convert, load)
