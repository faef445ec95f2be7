"""Translation with models that were trained on pairs: a sentence in, its translations out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Self, cast, overload

import torch

from regard.arguments import pairs_of, path_of, string_of, strings_of
from regard.batch import collate, to_device
from regard.bundle import Bundle
from regard.decoding.engine import Engine
from regard.decoding.request import Chooser, Hypothesis, Sampled
from regard.decoding.sampling import MOST_SAMPLES, SamplingConfig, reseeded
from regard.decoding.scoring import TextScore, pairs_nll
from regard.decoding.search import DecodingConfig
from regard.errors import ConfigError, DataError, shown
from regard.inspection.capture import EXPLAIN_BYTES, capture, refuse_large
from regard.inspection.explanation import Explanation, explanation_of
from regard.models.protocol import Model
from regard.pipeline.loading import changed, device_of, load_for, n_parameters, settings_of
from regard.pipeline.notes import notes_on
from regard.pipeline.spans import in_words, spans_of_ids
from regard.text.reading.lines import LONGEST


@dataclass(frozen=True, slots=True)
class Translation:
    """A target text, its ids, its log-probability in nats with the end counted, and the score it is ranked by.

    problem: why one of several texts was not translated; its translation is empty. notes: what the text does not show,
    such as that it was cut, in sentences without a subject ("has numbers that are missing from its translation: 7").
    """

    text: str
    ids: list[int]
    log_probability: float
    score: float
    problem: str | None = None
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text


class Translator:
    """A translation model on a device: raw text in, raw text out."""

    def __init__(
        self, bundle: Bundle, device: torch.device | str = "auto", decoding: DecodingConfig | None = None
    ) -> None:
        """decoding: how to search; by default the bundle's own. Raises BundleError if that cannot be used."""
        self.bundle, self.device = bundle, device_of(device)
        # The bundle's own model, not a copy: a training that validates sets it back to training mode.
        bundle.model.to(self.device).eval()
        self.decoding = decoding or settings_of(bundle, DecodingConfig)

    @classmethod
    def load(cls, path: str | PathLike[str], device: torch.device | str = "auto") -> Self:
        """Return the translator of a run or a bundle directory. Raises BundleError, or ConfigError if it is none."""
        return cls(load_for("pairs", path_of(path, "path")), device)

    def __repr__(self) -> str:
        source, target = (shown(language or "?") for language in self.bundle.card.languages)
        return f"Translator({self.bundle.family}, {source} -> {target}, {n_parameters(self.bundle)} on {self.device})"

    @property
    def model(self) -> Model:
        return cast(Model, self.bundle.model)

    # A string is an iterable of strings as well, so the overload for one text stands first.
    @overload
    def translate(self, text: str, *, beam: int | None = None) -> Translation: ...  # type: ignore[overload-overlap]
    @overload
    def translate(self, text: Iterable[str], *, beam: int | None = None) -> list[Translation]: ...
    def translate(self, text: str | Iterable[str], *, beam: int | None = None) -> Translation | list[Translation]:
        """Return the best translation of a text, or of each of several, in order; an empty text has an empty one.

        beam: the beam size; by default the run's. A single text that is too long raises DataError; one of several gets
        an empty translation that names the `problem`.
        """
        config = changed(self.decoding, {"beam": beam})
        texts = [text] if isinstance(text, str) else strings_of(text, "text")
        best = [hypotheses[0] for hypotheses in self._search(texts, config, 1)]
        return self._only(best) if isinstance(text, str) else best

    @overload
    def n_best(  # type: ignore[overload-overlap]
        self, text: str, n: int | None = None, *, beam: int | None = None
    ) -> list[Translation]: ...
    @overload
    def n_best(
        self, text: Iterable[str], n: int | None = None, *, beam: int | None = None
    ) -> list[list[Translation]]: ...
    def n_best(
        self, text: str | Iterable[str], n: int | None = None, *, beam: int | None = None
    ) -> list[Translation] | list[list[Translation]]:
        """Return the best translations of a text, or of each of several, by decreasing score and without repetitions.

        n: the maximum number; by default the beam size. Raises ConfigError if n is more than that, and DataError as
        `translate` does.
        """
        config = changed(self.decoding, {"beam": beam})
        if n is not None and (type(n) is not int or not 1 <= n <= config.beam):
            raise ConfigError(
                f"{shown(ascii(n))} translations per text were requested; with a beam of {config.beam} there are 1 to "
                f"{config.beam}. Choose another number, or another beam."
            )
        texts = [text] if isinstance(text, str) else strings_of(text, "text")
        found = [hypotheses[:n] for hypotheses in self._search(texts, config, n)]
        if isinstance(text, str):
            self._only(found[0])
            return found[0]
        return found

    @overload
    def sample(self, text: str, n: int = 1, **options: Any) -> list[Translation]: ...
    @overload
    def sample(self, text: Iterable[str], n: int = 1, **options: Any) -> list[list[Translation]]: ...
    def sample(
        self, text: str | Iterable[str], n: int = 1, **options: Any
    ) -> list[Translation] | list[list[Translation]]:
        """Return n translations of a text, or of each of several, whose tokens are drawn and not searched for.

        options: settings of `SamplingConfig` by name (temperature, top_k, top_p, min_p, seed, ...); by default tokens
        are drawn from the model's own distribution (temperature 1). The seed of the first is `seed`, that of the next
        one more. Raises ConfigError for an option that is unknown or out of range, and DataError as `translate` does.
        """
        if type(n) is not int or not 1 <= n <= MOST_SAMPLES:
            raise ConfigError(f"n is {shown(ascii(n))}; expected a number from 1 to {MOST_SAMPLES:,}.")
        config = changed(SamplingConfig(temperature=1.0, precision=self.decoding.precision), options)
        texts = [text] if isinstance(text, str) else strings_of(text, "text")
        found = self._decode(texts, self.decoding, [Sampled(reseeded(config, i)) for i in range(n)])
        if isinstance(text, str):
            self._only(found[0])
            return found[0]
        return found

    def _only(self, translations: Sequence[Translation]) -> Translation:
        """Return the first of the translations of a single text. Raises DataError if it was not translated."""
        if translations[0].problem is not None:
            raise DataError(f"The text {translations[0].problem}.")
        return translations[0]

    def _search(self, texts: Sequence[str], config: DecodingConfig, n: int | None) -> list[list[Translation]]:
        return [distinct(found) for found in self._decode(texts, config, [config.chooser(n)])]

    def _decode(
        self, texts: Sequence[str], config: DecodingConfig, choosers: Sequence[Chooser]
    ) -> list[list[Translation]]:
        """Return for every text the hypotheses of all choosers, the first with notes."""
        problems = [f"has {len(text):,} characters; the limit is {LONGEST:,}" * (len(text) > LONGEST) for text in texts]
        # What is too long is not even tokenised, which can take minutes for one word.
        kept = ["" if problem else text for text, problem in zip(texts, problems, strict=True)]
        sources = self.bundle.source_tokenizer.encode_many(kept)
        for i, ids in enumerate(sources):
            if problem := self._problem(ids, config):
                problems[i], sources[i] = problem, []  # an empty source costs nothing, and keeps the order
        found = self._run(sources, config, choosers)
        return [
            [Translation("", [], 0.0, 0.0, problem)] * (len(choosers) if choosers[0].beam == 1 else 1)
            if problem
            else self._noted(text, ids, hypotheses, config)
            for text, ids, hypotheses, problem in zip(texts, sources, found, problems, strict=True)
        ]

    def _run(
        self, sources: Sequence[Sequence[int]], config: DecodingConfig, choosers: Sequence[Chooser]
    ) -> list[list[Hypothesis]]:
        """Return for every source the hypotheses of all choosers; an empty one has empty ones."""
        precision = choosers[0].config.precision if isinstance(choosers[0], Sampled) else config.precision
        engine = Engine(self.model, self.device, precision, config.batch_tokens)
        found = [[] if source else [Hypothesis([], 0.0, 0.0)] * len(choosers) for source in sources]
        asked = [(i, chooser) for i, source in enumerate(sources) if source for chooser in choosers]
        answers = engine.run(config.request(sources[i], chooser, self.model.n_positions) for i, chooser in asked)
        for (i, _), hypotheses in zip(asked, answers, strict=True):
            found[i] += hypotheses
        return found

    def _problem(self, ids: Sequence[int], config: DecodingConfig, n_target: int = 1) -> str | None:
        """Return why a source cannot be translated, or not into n_target tokens; None if it can be."""
        if len(ids) > config.max_source_tokens:
            return f"has {len(ids):,} tokens; decoding.max_source_tokens is {config.max_source_tokens:,}"
        if n_target > config.max_target_tokens:
            return f"has {n_target:,} target tokens; decoding.max_target_tokens is {config.max_target_tokens:,}"
        positions = self.model.n_positions
        if positions is not None and len(ids) + n_target + 2 > positions:  # EOS and BOS
            return f"has {len(ids):,} tokens; this model has learned {positions:,} positions, for both sides"
        return None

    def _noted(
        self, text: str, ids: Sequence[int], hypotheses: Sequence[Hypothesis], config: DecodingConfig
    ) -> list[Translation]:
        """Return hypotheses as texts, the first one with notes."""
        decode = self.bundle.target_tokenizer.decode
        first, *others = (Translation(decode(h.ids), h.ids, h.log_probability, h.score) for h in hypotheses)
        longest = self.bundle.card.longest_source, config.longest(len(ids), self.model.n_positions)
        notes = notes_on((text, ids), (first.text, first.ids), self.bundle.source_tokenizer, *longest)
        return [replace(first, notes=tuple(notes)), *others]

    def score(self, pairs: Iterable[tuple[str, str]]) -> list[TextScore]:
        """Return the log-probability of each target, given its source, the end counted."""
        given = list(pairs_of(pairs, "pairs"))
        for i, pair in enumerate(given, start=1):
            if (longest := max(map(len, pair))) > LONGEST:
                raise DataError(f"Pair {i:,} has a side of {longest:,} characters; the limit is {LONGEST:,}.")
        sources = self.bundle.source_tokenizer.encode_many([source for source, _ in given])
        targets = self.bundle.target_tokenizer.encode_many([target for _, target in given])
        encoded = list(zip(sources, targets, strict=True))
        for i, (source, target) in enumerate(encoded, start=1):
            if problem := self._problem(source, self.decoding, len(target)):
                raise DataError(f"Pair {i:,} {problem}.")
        nats = pairs_nll(self.model, encoded, self.device)
        return [TextScore(-n, len(target) + 1) for n, (_, target) in zip(nats, encoded, strict=True)]

    def explain(
        self, text: str, target: str | None = None, *, beam: int | None = None, max_bytes: int = EXPLAIN_BYTES
    ) -> Explanation:
        """Return the attention between a text and its translation, or the target that is given.

        The ids of the target are forced once through the explain path, whichever search found them. max_bytes: the
        memory limit for the attention weights. Raises DataError if the text is empty, or if more memory is needed, and
        ConfigError if the family has no attention.
        """
        if target is not None and beam is not None:
            raise ConfigError("A beam is for searching a translation, and a target was given. Leave one out.")
        if target is not None:
            string_of(target, "target")
        if (longest := max(len(string_of(text, "text")), len(target or ""))) > LONGEST:
            raise DataError(f"A sentence has {longest:,} characters; the limit is {LONGEST:,}. Shorten it.")
        text = self.bundle.source_tokenizer.normalise(text)
        tokenizer = self.bundle.target_tokenizer
        best = self.translate(text, beam=beam) if target is None else None  # refuses what is too long
        source_ids, source_offsets = self.bundle.source_tokenizer.encode_with_offsets(text)
        if not source_ids:
            raise DataError("The sentence is empty, so there is no attention to show. Give at least one word.")
        # For a translation, the ids that search found: encoding its text may give others.
        target_ids = tokenizer.encode(target or "") if best is None else best.ids
        if len(target_ids) > (most := self.decoding.max_target_tokens):
            raise DataError(f"The target has {len(target_ids):,} tokens; decoding.max_target_tokens is {most:,}.")
        target_text, target_offsets = spans_of_ids(tokenizer, target_ids)
        source_words, source_index = in_words(text, source_offsets)
        target_words, target_index = in_words(target_text, target_offsets)
        batch = to_device(collate([source_ids], [target_ids]), self.device)
        refuse_large(self.model, batch, max_bytes)
        captured = capture(self.model, batch)
        if not captured:
            raise ConfigError(
                f"The family {self.bundle.family} has no attention, so there is nothing to inspect. Use a run of "
                "another family."
            )
        title = f"{text} → {target_text}"
        return explanation_of(captured, source_words, source_index, target_words, target_index, title)


def distinct(translations: Sequence[Translation]) -> list[Translation]:
    """Return translations without repetitions: of those with the same text, the first and best."""
    by_text: dict[str, Translation] = {}
    for translation in translations:
        by_text.setdefault(translation.text, translation)
    return list(by_text.values())
