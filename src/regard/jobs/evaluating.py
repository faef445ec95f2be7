"""How good a trained model is on data that it was handed: translations against references, running text by its cost."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from regard.bundle import Bundle
from regard.display import Display
from regard.errors import ConfigError, DataError
from regard.evaluation.language import LanguageScores, language_scores
from regard.evaluation.translation import TranslationScores, score_translations
from regard.jobs.given import Given
from regard.pipeline import TextGenerator, Translator, changed
from regard.text.languages import code_of
from regard.text.reading.pairs import Pair, names_columns


def evaluate_pairs(
    bundle: Bundle, data: Given, device: torch.device, options: Mapping[str, Any], display: Display
) -> TranslationScores:
    """Return the scores of the translations of the source sides against the target sides.

    options: beam, language. Raises ConfigError for others.
    """
    refuse_others(options, ("beam", "language"), "pairs of sentences")
    pairs = data.read_pairs()
    if pairs.report.dropped:
        display.say(f"test data: {pairs.report.summary()}")
    sources, targets = zip(*pairs, strict=True)  # never empty: reading refuses that
    translator = Translator(bundle, device)
    if look_swapped(translator, list(pairs[:COMPARED])):
        display.say(
            "warning: the sides look swapped: to the model, the sources are likelier as translations of the targets. "
            "Give the source first."
        )
    translator.decoding = changed(translator.decoding, {"beam": options.get("beam")})
    translations = translator.translate(sources)
    if problems := [(i, t.problem) for i, t in enumerate(translations, start=1) if t.problem]:
        line, problem = problems[0]
        display.say(f"warning: pair {line:,} {problem}; it counts as an empty translation ({len(problems):,} in all)")
    language = options.get("language") or language_of(bundle)
    if names_columns(pairs[0]):
        display.say(f"warning: test data: line 1, {' and '.join(map(repr, pairs[0]))}, looks like column names")
    references = [bundle.target_tokenizer.normalise(target) for target in targets]  # as translations are
    scores = score_translations([t.text for t in translations], references, language=language)
    if scores.bleu_literature is None and "tok:13a" in scores.bleu.signature:
        display.say("note: the target language is not known; name it (language) for the literature's form of BLEU")
    return replace(scores, how=f"beam {translator.decoding.beam}")


def language_of(bundle: Bundle) -> str | None:
    """Return the code of a bundle's target language; None if it has none, or one that an earlier release accepted."""
    try:
        return code_of(bundle.card.languages[1] or "")
    except ConfigError:
        return None


COMPARED, LIKELIER = 32, 0.75
"""Pairs by which swapped sides are detected, and the ratio of the costs per token below which sides are swapped."""


def look_swapped(translator: Translator, pairs: Sequence[Pair]) -> bool:
    """Return whether the model's loss is clearly lower with the sides swapped."""
    costs = []
    for way in (pairs, [(target, source) for source, target in pairs]):
        try:
            scores = translator.score(way)
        except DataError:  # too long for the model; the evaluation reports it
            return False
        costs.append(-sum(score.log_probability for score in scores) / sum(score.n_tokens for score in scores))
    return costs[1] < LIKELIER * costs[0]


OPTIONS = {
    "beam": "A beam is for translations",
    "language": "A target language is for translations",
    "trained_on": "The text that a model was trained on is for running text",
}
"""What each option of an evaluation is for."""


def refuse_others(options: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    """Raise ConfigError if an option was given that is for other data."""
    for name, value in options.items():
        if value is not None and name not in known:
            raise ConfigError(f"{OPTIONS[name]}, and the data are {what}. Leave it out.")


def evaluate_text(
    bundle: Bundle, data: Given, device: torch.device, options: Mapping[str, Any], display: Display
) -> LanguageScores:
    """Return the cost of a text for a language model, beside its cost for two baselines.

    options: trained_on, the training text, so that the baselines know it, too. Raises ConfigError for others.
    """
    refuse_others(options, ("trained_on",), "running text")
    # Cut into documents as the training text was, since the model has learnt where those end.
    generator, kind = TextGenerator(bundle, device), bundle.card.data.kind or "file"
    text = data.read_text(kind)
    trained_on = options.get("trained_on")
    if trained_on is not None and trained_on.job != "text":
        raise ConfigError("trained_on is the text that the model was trained on, one .txt file; pairs were given.")
    known = "".join(trained_on.read_text(kind).apart()) if trained_on is not None else None
    display.say(f"test data: {text.n_characters:,} characters of running text")
    cost = generator.score_passages(text)
    return language_scores(-cost.log_probability, cost.n_tokens, "".join(text.apart()), known)
