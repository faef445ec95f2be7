"""Measure the loss of a language model by nanoGPT's protocol: the mean over random windows, short contexts included.

    python benchmarks/random_windows.py RUN validation.txt --windows 2400 --context 128

`regard evaluate` scores each token of a text once, with at least half a context before it. Its loss is lower, so never
compare the two. nanoGPT's GPU recipe uses 200 batches of 64 windows of 256 tokens; its CPU recipe uses 20 batches of 12
windows of 64 tokens.
"""

import argparse
from pathlib import Path

import torch

from regard.decoding.scoring import windows_nll
from regard.pipeline import TextGenerator
from regard.text.reading.passages import Passages


def main() -> None:
    """Draw the windows and print the mean loss in nats per token, with its standard error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--windows", type=int, default=2400)
    parser.add_argument("--context", type=int, default=None, help="tokens of a window [the model's context]")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    device = torch.device("cpu")
    generator = TextGenerator.load(arguments.run, device)
    context = arguments.context or generator.model.config.context
    ids = generator.tokenizer.encode("".join(Passages.read(arguments.text, "file")))
    random = torch.Generator().manual_seed(arguments.seed)
    starts = torch.randint(len(ids) - context, (arguments.windows,), generator=random).tolist()
    losses = [
        windows_nll(generator.model, [(ids[s : s + context + 1], context) for s in starts[i : i + 24]], 4096, device)
        / (context * len(starts[i : i + 24]))
        for i in range(0, len(starts), 24)
    ]
    means = torch.tensor(losses)
    print(f"{means.mean():.4f} nats per token (standard error {means.std() / len(losses) ** 0.5:.4f}), ", end="")
    print(f"{len(starts):,} random windows of {context} tokens")


if __name__ == "__main__":
    main()
