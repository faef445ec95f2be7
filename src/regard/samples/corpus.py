"""The embedded parallel corpus, English to German: how it is drawn, and split into train, valid and test."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from random import Random

from regard.samples.phrases import bare_phrase
from regard.samples.templates_joined import JOINED
from regard.samples.templates_simple import SIMPLE

Pair = tuple[str, str]
WORD = re.compile(r"\w+")
N_TRAIN, N_VALID, N_TEST = 16_000, 300, 500
BARE_WEIGHT = 22  # beside 99 of the templates: 18 % of what is drawn
ENOUGH = 25  # each word of valid and test is in train at least this often
LONGEST = 22  # white-space words on either side
LONGEST_HELD_OUT = 18  # in valid and test, so that train has plenty of every length in them

# Sentences to show to a user; none of them is in the three parts.
SHOWCASE: list[Pair] = [
    (
        "On Monday the teacher bought three red chairs.",
        "Am Montag hat die Lehrerin drei rote Stühle gekauft.",
    ),
    (
        "On Friday, August 28, my brother wants to travel to Switzerland.",
        "Am Freitag, dem 28. August, will mein Bruder in die Schweiz reisen.",
    ),
    (
        "The man who sold the green bicycle comes from Greece.",
        "Der Mann, der das grüne Fahrrad verkauft hat, kommt aus Griechenland.",
    ),
    (
        "If it rains, my sister must pick up the children.",
        "Wenn es regnet, muss meine Schwester die Kinder abholen.",
    ),
    (
        "I know that the neighbor wants to learn Dutch, Polish, and Greek.",
        "Ich weiß, dass der Nachbar Niederländisch, Polnisch und Griechisch lernen will.",
    ),
    (
        "We bought the blue lamp because it was cheap.",
        "Wir haben die blaue Lampe gekauft, weil sie billig war.",
    ),
]


@dataclass(frozen=True)
class DemoCorpus:
    """Pairs of source and target; no source of one part is in another."""

    train: list[Pair]
    valid: list[Pair]
    test: list[Pair]
    showcase: list[Pair]


def words_of(pair: Pair) -> set[tuple[int, str]]:
    """Return the words and numbers of both sides, each with its side."""
    return {(side, word) for side, text in enumerate(pair) for word in WORD.findall(text)}


def length(pair: Pair) -> int:
    """Return the number of white-space words of the longer side."""
    return max(len(text.split()) for text in pair)


def drawn(rng: Random, n_pairs: int, taken: Iterable[str]) -> list[Pair]:
    """Return pairs with different sources, none of them among those taken."""
    seen = set(taken)
    makers: list[tuple[Callable[[Random], Pair], int]] = [(bare_phrase, BARE_WEIGHT), *SIMPLE, *JOINED]
    makes, weights = [make for make, _ in makers], [weight for _, weight in makers]
    pairs: list[Pair] = []
    # One draw more or less anywhere in the templates gives another corpus, which must be proof-read again.
    while len(pairs) < n_pairs:
        pair = rng.choices(makes, weights)[0](rng)
        if pair[0] not in seen and length(pair) <= LONGEST:
            seen.add(pair[0])
            pairs.append(pair)
    return pairs


def demo_corpus(seed: int = 0) -> DemoCorpus:
    """Return the embedded corpus: a pure function of the seed and of Babel's CLDR data.

    Every word of valid and test is frequent in train, so what is new in them is only the combination.
    """
    rng = Random(seed)
    pairs = drawn(rng, N_TRAIN + N_VALID + N_TEST, (source for source, _ in SHOWCASE))
    words = [words_of(pair) for pair in pairs]
    counts = Counter(chain.from_iterable(words))
    held_out: list[Pair] = []
    train: list[Pair] = []
    for pair, inside in zip(pairs, words, strict=True):
        known = all(counts[word] > ENOUGH for word in inside) and length(pair) <= LONGEST_HELD_OUT
        if known and len(held_out) < N_VALID + N_TEST:
            held_out.append(pair)
            counts.subtract(inside)  # it is no longer in train
        else:
            train.append(pair)
    return DemoCorpus(train, held_out[:N_VALID], held_out[N_VALID:], list(SHOWCASE))
