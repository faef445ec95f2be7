"""Scores of translations against references, by sacreBLEU, each with the signature that says how it was made.

BLEU is given twice, because the two forms are not comparable and papers use both: on the text as it stands (13a
tokenisation, cased), and in the form of the older literature (lower-cased, punctuation normalised, tokenised as Moses
does). The second is made here from plain text, so that nobody has to keep tokenised files.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from regard.arguments import language_of, strings_of
from regard.errors import DataError


@dataclass(frozen=True, slots=True)
class Score:
    """One figure between 0 and 100, what it is called, and sacreBLEU's signature of it."""

    name: str
    value: float
    signature: str


@dataclass(frozen=True, slots=True)
class TranslationScores:
    """The scores of one set of translations, and how they were found. Iterating gives them in the order of a table."""

    bleu: Score
    bleu_literature: Score
    chrf: Score
    n_sentences: int
    how: str | None = None

    def __iter__(self) -> Iterator[Score]:
        values = (getattr(self, field.name) for field in fields(self))
        return (value for value in values if isinstance(value, Score))

    def as_dict(self) -> dict[str, Any]:
        """Return the scores in the shape in which they are written as JSON."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def score_translations(
    hypotheses: Iterable[str], references: Iterable[str], *, language: str | None = None
) -> TranslationScores:
    """Return 13a cased BLEU, the literature's lower-cased tokenised BLEU, and chrF.

    hypotheses, references: plain text, one sentence each, in the same order. language: code of the target language,
    such as "de" or "fr-CA"; it chooses Moses' rules, and without it those of English are used.
    Raises DataError if the counts differ or if there is nothing to score.
    """
    hypotheses, references = strings_of(hypotheses, "hypotheses"), strings_of(references, "references")
    language = language_of(language)
    if len(hypotheses) != len(references):
        raise DataError(
            f"There are {len(hypotheses):,} translations and {len(references):,} references; every translation needs "
            "exactly one reference. Check that both come from the same file of sentences."
        )
    if not any(reference.strip() for reference in references):
        raise DataError(
            f"There is nothing to score against: {len(references):,} references, all of them empty. "
            "Give at least one sentence with its reference."
        )
    code = moses_language(language)
    tokenised = moses_lower(hypotheses, language=language), moses_lower(references, language=language)
    # force: sacreBLEU warns of text that is tokenised already, which is meant here.
    cased, lowered = BLEU(tokenize="13a"), BLEU(tokenize="none", lowercase=True, force=True)
    return TranslationScores(
        bleu=_score("BLEU, cased", cased, hypotheses, references),
        bleu_literature=_score(f"BLEU, lower-cased, Moses {code}", lowered, *tokenised),
        chrf=_score("chrF", CHRF(), hypotheses, references),
        n_sentences=len(references),
    )


def moses_lower(sentences: Sequence[str], *, language: str | None = None) -> list[str]:
    """Return the sentences lower-cased, punctuation normalised and tokenised as Moses does, with its `&quot;` escapes.

    This is the form called `lc.norm.tok` in the WMT multimodal tasks, in which Multi30k is scored.
    """
    from sacremoses import MosesPunctNormalizer, MosesTokenizer

    code = moses_language(language)
    normaliser, tokeniser = MosesPunctNormalizer(lang=code), MosesTokenizer(lang=code)
    return [
        # In the order of the name: lc, norm, tok.
        tokeniser.tokenize(normaliser.normalize(sentence.lower()), return_str=True, escape=True)
        for sentence in sentences
    ]


def moses_language(language: str | None) -> str:
    """Return the two or three letters by which Moses knows a language: "de" for "de-AT" or "German", "en" for none.

    Of one that it does not know, it takes the abbreviations of English.
    """
    from sacremoses.corpus import NonbreakingPrefixes

    code = (language or "en").lower().replace("_", "-").partition("-")[0]
    return str(NonbreakingPrefixes().available_langs.get(code, code))


def _score(name: str, metric: BLEU | CHRF, hypotheses: Sequence[str], references: Sequence[str]) -> Score:
    value = metric.corpus_score(list(hypotheses), [list(references)]).score
    return Score(name, float(value), str(metric.get_signature()))
