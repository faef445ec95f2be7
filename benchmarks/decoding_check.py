"""Check that other engines decode what regard decodes, greedily, with the weights of small random models.

    python benchmarks/decoding_check.py [ctranslate2 transformers llama.cpp joeynmt] [--bundle BUNDLE [--sources FILE]]

Prints for every engine, model and precision how many of the targets are regard's, greedily and with a beam of 5, and
how many of their tokens are equal up to the first that differs. --bundle: check a trained model instead, on the first
lines of --sources. It is no measurement of speed: it takes a minute or two after the environments exist.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from decoding_jobs import Ids, Job
from decoding_models import random_ids, random_pairs, random_text
from decoding_peers import PEERS

from regard.batch import EOS, collate_prompts
from regard.bundle import load_bundle, save_bundle
from regard.decoding.engine import Engine
from regard.decoding.sampling import SamplingConfig
from regard.decoding.search import DecodingConfig, search
from regard.decoding.text import text_request

N_SENTENCES, N_PROMPTS, N_READ, N_WRITTEN, N_LONGEST = 40, 16, 12, 48, 16


def continued(model: Any, prompts: Ids, n: int) -> Ids:
    """Return regard's greedy continuations of n tokens, in which EOS is not allowed."""
    engine = Engine(model)
    config = SamplingConfig(greedy=True, max_tokens=n, logit_bias={EOS: -1e9})
    return [hypotheses[0].ids for hypotheses in engine.run(text_request(engine, ids, config) for ids in prompts)]


@torch.inference_mode()
def largest_gap(model: Any, prompts: Ids, found: Ids, expected: Ids) -> str:
    """Return by how much regard's logits of two tokens differ where texts part, at most: a near tie, or a mistake."""
    gaps = [0.0]
    for prompt, text, own in zip(prompts, found, expected, strict=True):
        if text != own:
            n = next(i for i, (x, y) in enumerate(zip(text, own, strict=True)) if x != y)
            read = [*prompt, *own[:n]]
            hidden = model.read(torch.tensor([read[-1:]]), model.begin(collate_prompts([read[:-1]])))
            logits = model.logits(hidden)[0, 0]
            gaps.append(float(logits[own[n]] - logits[text[n]]))
    return f"; they part at a gap of {max(gaps):.4f}" if max(gaps) else ""


def compare(name: str, found: Ids, expected: Ids, remark: str = "") -> None:
    """Print how far targets agree."""
    n_same = sum(a == b for a, b in zip(found, expected, strict=True))
    n_prefix = sum(
        next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        for a, b in zip(found, expected, strict=True)
    )
    n_tokens = sum(map(len, expected))
    n_kinds = len({i for ids in expected for i in ids})
    agreed = f"{n_same:3} of {len(expected)} equal; {n_prefix:,} of {n_tokens:,} tokens, of {n_kinds} kinds{remark}"
    print(f"{name:60} {agreed}", flush=True)


def check(peer_name: str, what: str, place: Path, lines: Sequence[str]) -> None:
    """Compare one engine with regard on one bundle. lines: what to translate; none means random ids."""
    peer, bundle = PEERS[peer_name](), load_bundle(place)
    kind = "text" if bundle.family == "gpt" else "pairs"
    if kind not in peer.kinds:
        return
    model, tokenizer = cast(Any, bundle.model), bundle.source_tokenizer
    with tempfile.TemporaryDirectory() as folder:
        peer.convert(place, Path(folder))
        for precision in peer.precisions:
            for beam in (1, 5) if kind == "pairs" else (1,):
                prompts: Ids = []
                job: dict[str, Any] = {"model": folder, "beam": beam, "precision": precision}
                if kind == "text":
                    prompts = random_ids(tokenizer.vocabulary, 3 + tokenizer.n_control, [N_READ] * N_PROMPTS)
                    job |= {"ids": prompts, "longest": [N_WRITTEN] * N_PROMPTS}
                    expected = continued(model, prompts, N_WRITTEN)
                else:
                    # One maximum for all sources: CTranslate2 has only one for a call.
                    config = DecodingConfig(beam=beam, max_target_tokens=N_LONGEST)
                    lengths = [3 + i % 20 for i in range(N_SENTENCES)]
                    sources = random_ids(tokenizer.vocabulary, 3 + tokenizer.n_control, lengths)
                    if lines:
                        config, sources = DecodingConfig(beam=beam), tokenizer.encode_many(list(lines))
                    longest = [config.longest(len(source)) for source in sources]
                    job |= {"ids": sources, "longest": longest, "batch_tokens": 500}
                    expected = [hypotheses[0].ids for hypotheses in search(model, sources, config)]
                for one_by_one in (False, True):
                    found = peer.run(Job(**job, one_by_one=one_by_one))
                    label = f"{peer.name} {what} {precision} beam {beam}{' one by one' * one_by_one}"
                    remark = largest_gap(model, prompts, found.ids, expected) if kind == "text" else ""
                    compare(label, found.ids, expected, remark)


def main() -> None:
    """Make the models and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", metavar="PEER", help=", ".join(PEERS))
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--sources", type=Path)
    arguments = parser.parse_args()
    lines = arguments.sources.read_text(encoding="utf-8").splitlines()[:100] if arguments.sources else []
    with tempfile.TemporaryDirectory() as folder:
        places = {"of the bundle": arguments.bundle} if arguments.bundle else {}
        if not places:
            made = {"pre-norm": random_pairs(), "post-norm": random_pairs("post", tied="none")}
            made |= {"tied GPT": random_text(tied=True), "untied GPT": random_text(tied=False)}
            for what, bundle in made.items():
                places[what] = Path(folder) / what
                save_bundle(bundle, places[what])
        for peer in arguments.peers or PEERS:
            for what, place in places.items():
                check(peer, what, place, lines)


if __name__ == "__main__":
    main()
