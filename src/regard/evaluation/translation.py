"""Scores of translations against references, by sacreBLEU, each with the signature that says how it was made.

BLEU is given twice, because the two forms are not comparable and papers use both: on the text as it is (13a
tokenisation, cased), and in the form of the older literature (lower-cased, punctuation normalised, tokenised as Moses
does). The second is computed here from plain text, so that nobody has to keep tokenised files.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any
from unicodedata import normalize

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from regard.arguments import language_of, strings_of
from regard.errors import DataError
from regard.text.languages import code_of, recognise, unspaced
from regard.text.numbers import numbers_of


@dataclass(frozen=True, slots=True)
class Score:
    """One figure between 0 and 100, what it is called, and sacreBLEU's signature of it."""

    name: str
    value: float
    signature: str


@dataclass(frozen=True, slots=True)
class TranslationScores:
    """The scores of one set of translations, and how they were found. Iterating gives them in the order of a table.

    bleu_literature: None for a language that is not known, or has no such form. n_numbers: the numbers in the
    references, of which n_numbers_kept are in the translations.
    """

    bleu: Score
    bleu_literature: Score | None
    chrf: Score
    n_sentences: int
    n_numbers: int
    n_numbers_kept: int
    how: str | None = None

    def __iter__(self) -> Iterator[Score]:
        values = (getattr(self, field.name) for field in fields(self))
        return (value for value in values if isinstance(value, Score))

    def as_dict(self) -> dict[str, Any]:
        """Return the scores as they are written to JSON."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def score_translations(
    hypotheses: Iterable[str], references: Iterable[str], *, language: str | None = None
) -> TranslationScores:
    """Return cased BLEU, the literature's lower-cased tokenised BLEU, and chrF.

    hypotheses, references: plain text, one sentence each, in the same order; both are compared in NFC, so that an
    accent counts alike however it is spelt. language: code of the target language, such as "de" or "fr-CA"; if it is
    not given, it is recognised from the references where that is safe. It determines the tokenisation of both BLEUs:
    13a and Moses' rules for most languages. Chinese is tokenised by zh, a language without spaces between words by
    characters; these, and a language that is not known, have no lower-cased form of the literature.
    Raises DataError if the counts differ or if there is nothing to score.
    """
    hypotheses = [normalize("NFC", text) for text in strings_of(hypotheses, "hypotheses")]
    references = [normalize("NFC", text) for text in strings_of(references, "references")]
    given = language_of(language)
    language = code_of(given) if given is not None else recognise(references)
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
    tokenisation = bleu_tokenisation(references, language)
    return TranslationScores(
        bleu=_score("BLEU, cased", BLEU(tokenize=tokenisation), hypotheses, references),
        bleu_literature=_literature(hypotheses, references, language) if tokenisation == "13a" and language else None,
        chrf=_score("chrF", CHRF(), hypotheses, references),
        n_sentences=len(references),
        n_numbers=sum(numbers_of(reference).total() for reference in references),
        n_numbers_kept=sum(
            (numbers_of(found) & numbers_of(wanted)).total()
            for found, wanted in zip(hypotheses, references, strict=True)
        ),
    )


def _literature(hypotheses: Sequence[str], references: Sequence[str], language: str) -> Score:
    # force: sacreBLEU warns of text that is already tokenised, which is intended here.
    lowered = BLEU(tokenize="none", lowercase=True, force=True)
    tokenised = (moses_lower(side, language=language) for side in (hypotheses, references))
    return _score(f"BLEU, lower-cased, Moses {moses_language(language)}", lowered, *tokenised)


def quick_scores(hypotheses: Sequence[str], references: Sequence[str], tokenisation: str) -> dict[str, float]:
    """Return cased BLEU and chrF by name, for a validation. tokenisation: sacreBLEU's name of it."""
    texts = list(hypotheses), [list(references)]
    return {
        "bleu": float(BLEU(tokenize=tokenisation).corpus_score(*texts).score),
        "chrf": float(CHRF().corpus_score(*texts).score),
    }


BY_CHARACTER = frozenset({"ja", "th", "lo", "km", "my", "bo"})
"""Languages without spaces between words, for which sacreBLEU has no tokenisation of its own or needs another tool."""


def bleu_tokenisation(texts: Sequence[str], language: str | None = None) -> str:
    """Return sacreBLEU's tokenisation for texts of a language: "13a", "zh" for Chinese, or "char".

    language: recognised from the texts where it is not given.
    """
    code = (language or recognise(texts) or "").partition("-")[0]
    if code == "zh":
        return "zh"
    return "char" if code in BY_CHARACTER or (not code and unspaced(texts)) else "13a"


def n_bleu_tokens(texts: Sequence[str], tokenisation: str) -> list[int]:
    """Return how many tokens each text has for BLEU."""
    tokenise = BLEU(tokenize=tokenisation).tokenizer
    return [len(tokenise(text).split()) for text in texts]


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
    """Return the code by which Moses knows a language: "de" for "de-AT" or "German", "en" for none.

    For a language that it does not know, Moses uses the abbreviations of English.
    """
    from sacremoses.corpus import NonbreakingPrefixes

    code = (language or "en").lower().replace("_", "-").partition("-")[0]
    return str(NonbreakingPrefixes().available_langs.get(code, code))


def _score(name: str, metric: BLEU | CHRF, hypotheses: Sequence[str], references: Sequence[str]) -> Score:
    value = metric.corpus_score(list(hypotheses), [list(references)]).score
    return Score(name, float(value), str(metric.get_signature()))
