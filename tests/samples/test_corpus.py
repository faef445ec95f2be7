"""The embedded corpus as a whole: split, determinism, coverage."""

from __future__ import annotations

import re
from collections import Counter, defaultdict

import pytest

from regard.samples import DemoCorpus, demo_corpus
from regard.samples.corpus import N_TEST, N_TRAIN, N_VALID

Pairs = list[tuple[str, str]]


@pytest.fixture(scope="module")
def corpus() -> DemoCorpus:
    return demo_corpus(0)


@pytest.fixture(scope="module")
def other() -> DemoCorpus:
    return demo_corpus(1)


def everything(corpus: DemoCorpus) -> Pairs:
    return corpus.train + corpus.valid + corpus.test + corpus.showcase


def test_the_parts_have_their_sizes(corpus: DemoCorpus) -> None:
    assert (len(corpus.train), len(corpus.valid), len(corpus.test)) == (N_TRAIN, N_VALID, N_TEST)
    assert len(corpus.showcase) == 6


def test_the_same_seed_gives_the_same_corpus(corpus: DemoCorpus) -> None:
    assert demo_corpus(0) == corpus


def test_another_seed_gives_other_pairs_and_the_same_showcase(corpus: DemoCorpus, other: DemoCorpus) -> None:
    assert other.train != corpus.train
    assert other.showcase == corpus.showcase


def test_no_source_has_two_targets_whatever_the_seed(corpus: DemoCorpus, other: DemoCorpus) -> None:
    targets = defaultdict(set)
    for source, target in [*everything(corpus), *everything(other)]:
        targets[source].add(target)
    assert {source: found for source, found in targets.items() if len(found) > 1} == {}


def test_no_source_stands_twice(corpus: DemoCorpus) -> None:
    sources = Counter(source for source, _ in everything(corpus))
    assert max(sources.values()) == 1


def test_every_word_of_the_held_out_parts_is_frequent_in_train(corpus: DemoCorpus) -> None:
    for side in (0, 1):
        counts = Counter(word for pair in corpus.train for word in re.findall(r"\w+", pair[side]))
        held_out = corpus.valid + corpus.test + corpus.showcase
        words = {word for pair in held_out for word in re.findall(r"\w+", pair[side])}
        assert {word: counts[word] for word in words if counts[word] < 20} == {}


@pytest.mark.parametrize("side", [0, 1])
def test_train_covers_the_lengths_of_the_held_out_parts(corpus: DemoCorpus, side: int) -> None:
    lengths = Counter(len(pair[side].split()) for pair in corpus.train)
    for pair in corpus.valid + corpus.test + corpus.showcase:
        assert lengths[len(pair[side].split())] >= 10
    assert max(lengths) <= 22
    assert 7.5 <= sum(length * count for length, count in lengths.items()) / len(corpus.train) <= 10


def test_text_is_clean(corpus: DemoCorpus) -> None:
    for text in (text for pair in everything(corpus) for text in pair):
        assert text == " ".join(text.split(" ")).strip()
        assert re.search(r"[^\S ]|  | [.,?]|,,|,\.|,\?", text) is None, text


def test_a_sentence_ends_with_the_same_mark_on_both_sides(corpus: DemoCorpus) -> None:
    for source, target in everything(corpus):
        if source[-1] in ".?":
            assert target[-1] == source[-1]
            assert source[0] == source[0].upper()
            assert target[0] == target[0].upper()


def test_most_pairs_are_sentences_and_the_rest_bare_phrases(corpus: DemoCorpus) -> None:
    for part in (corpus.train, corpus.test):
        share = sum(source[-1] in ".?" for source, _ in part) / len(part)
        assert 0.7 <= share <= 0.9
