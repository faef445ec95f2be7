"""Print BLEU by the length of the source, to see where a model breaks down.

    python benchmarks/by_length.py test.en test.de rnn=rnn.de bahdanau=bahdanau.de --bins 10 20 30 40 50

Each NAME=FILE is a file of translations, as `regard translate` writes it. The length of a source is its number of words
between white space. The bins are 1-9, 10-19, ..., and the last one has no upper limit. The table is in Markdown.
"""

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from sacrebleu.metrics.bleu import BLEU

from regard.text.reading.lines import read_lines


def main() -> None:
    """Read the files and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("translations", nargs="+", metavar="NAME=FILE")
    parser.add_argument("--bins", type=int, nargs="+", default=[10, 20, 30, 40, 50])
    arguments = parser.parse_args()
    sources, references = read_lines(arguments.source), read_lines(arguments.reference)
    named = dict(item.split("=", 1) for item in arguments.translations)
    systems = {name: read_lines(Path(file)) for name, file in named.items()}
    lengths = [len(source.split()) for source in sources]
    print(f"| words | sentences | {' | '.join(systems)} |")
    print(f"|{'---|' * (2 + len(systems))}")
    for label, low, high in bins(arguments.bins):
        chosen = [i for i, length in enumerate(lengths) if low <= length < high]
        scores = (bleu([lines[i] for i in chosen], [references[i] for i in chosen]) for lines in systems.values())
        print(f"| {label} | {len(chosen)} | {' | '.join(f'{score:.2f}' for score in scores)} |")


def bins(borders: Sequence[int]) -> list[tuple[str, int, float]]:
    """Return the label, the first length and the length after the last one of every bin, and of all bins together."""
    edges: list[float] = [1, *borders, float("inf")]
    found = [
        (f"{int(a)}-{b - 1:.0f}" if b < float("inf") else f"{int(a)} and more", int(a), b) for a, b in pairwise(edges)
    ]
    return [*found, ("all", 0, float("inf"))]


def bleu(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """Return cased BLEU with 13a tokenisation, or NaN if there is nothing to score."""
    if not hypotheses:
        return float("nan")
    return float(BLEU(tokenize="13a").corpus_score(list(hypotheses), [list(references)]).score)


if __name__ == "__main__":
    main()
