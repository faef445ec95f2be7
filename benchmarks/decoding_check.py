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
from decoding_peers import PEERS

from regard.batch import BOS, EOS, PAD, collate_prompts
from regard.bundle import Bundle, load_bundle, save_bundle
from regard.bundle.card import Card
from regard.decoding.search import DecodingConfig, search
from regard.models.gpt import GPT, GPTConfig
from regard.models.transformer import Transformer, TransformerConfig
from regard.text.tokens.tokenizer import Tokenizer, TokenizerConfig

SYLLABLES = [consonant + vowel for consonant in "bdfgklmnrst" for vowel in "aeiou"]
N_SENTENCES, N_PROMPTS, N_READ, N_WRITTEN, N_LONGEST = 40, 16, 12, 48, 16


def random_pairs(norm: str = "pre", **settings: Any) -> Bundle:
    """Return a random Transformer."""
    config = TransformerConfig(n_encoder_layers=2, n_decoder_layers=2, **{"norm": norm, **settings})
    tokenizer = Tokenizer.train(some_texts(), TokenizerConfig(kind="bpe"), 600)
    size = tokenizer.vocabulary
    model = randomised(Transformer(config, size, size, n_control=tokenizer.n_control))
    return Bundle(model, "transformer", tokenizer, tokenizer, Card())


def random_text(*, tied: bool) -> Bundle:
    """Return a random GPT of the shape of GPT-2."""
    config = GPTConfig(
        n_layers=3, context=128, positions="learned", norm="layer", activation="gelu", qk_norm=False, bias=True,
        mix=False, tied=tied,
    )  # fmt: skip
    tokenizer = Tokenizer.train_running(some_texts(), "bpe", 600, 0 if tied else 32)
    model = randomised(GPT(config, tokenizer.vocabulary, tokenizer.vocabulary, n_control=tokenizer.n_control))
    return Bundle(model, "gpt", tokenizer, tokenizer, Card(job="text"))


def some_texts() -> list[str]:
    """Return lines of made-up words, to learn pieces from."""
    random = torch.Generator().manual_seed(0)
    chosen = torch.randint(len(SYLLABLES), (2000, 24), generator=random).tolist()
    words = [["".join(SYLLABLES[i] for i in row[n : n + 3]) for n in range(0, 24, 3)] for row in chosen]
    return [" ".join(line) for line in words]


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """Return the model with all parameters random, so that none is zero or one and hides a mistake."""
    random = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=random)
        if parameter.dim() == 1:
            parameter.data += 0.2 * noise
        else:
            # Large enough that sub-layers, not the embedding of the last token, decide what is written.
            parameter.data = 2 * noise * parameter.shape[-1] ** -0.5
    return model.eval()


def random_ids(vocabulary: int, first: int, lengths: Sequence[int]) -> Ids:
    """Return sequences of random ids that are not special."""
    random = torch.Generator().manual_seed(2)
    return [torch.randint(first, vocabulary, (n,), generator=random).tolist() for n in lengths]


@torch.inference_mode()
def continued(model: Any, prompts: Ids, n: int) -> Ids:
    """Return regard's greedy continuations of n tokens, in which EOS is not allowed."""
    state = model.begin(collate_prompts([prompt[:-1] for prompt in prompts]))
    last = torch.tensor([prompt[-1] for prompt in prompts])
    written = []
    for _ in range(n):
        logits, state = model.step(last, state)
        logits[:, [PAD, BOS, EOS]] = float("-inf")
        last = logits.argmax(-1)
        written.append(last)
    return torch.stack(written, dim=1).tolist()


@torch.inference_mode()
def largest_gap(model: Any, prompts: Ids, found: Ids, expected: Ids) -> str:
    """Return by how much regard's logits of two tokens differ where texts part, at most: a near tie, or a mistake."""
    gaps = [0.0]
    for prompt, text, own in zip(prompts, found, expected, strict=True):
        if text != own:
            n = next(i for i, (x, y) in enumerate(zip(text, own, strict=True)) if x != y)
            read = [*prompt, *own[:n]]
            logits, _ = model.step(torch.tensor(read[-1:]), model.begin(collate_prompts([read[:-1]])))
            gaps.append(float(logits[0, own[n]] - logits[0, text[n]]))
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
