"""The whole story in one file: text -> ids -> batch -> model -> ids -> text, and the attention between the two.

A `Translator` serves models that were trained on pairs, a `TextGenerator` those that were trained on running text. Both
only read their model, so several of them live in one process, and answer from several threads.
"""

import codecs
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, cast, overload

import torch
from pydantic import BaseModel, ValidationError

from regard.arguments import pairs_of, path_of, string_of, strings_of
from regard.batch import BOS, EOS, Batch, collate, collate_text, to_device
from regard.bundle import Bundle, load_bundle, run_bundle
from regard.bundle.files import first_problem
from regard.decoding.sampling import SamplingConfig, generate
from regard.decoding.scoring import pairs_nll, windows_nll
from regard.decoding.search import DecodingConfig, Hypothesis, search
from regard.errors import BundleError, ConfigError, DataError, shown
from regard.inspection.capture import capture, capture_bytes
from regard.inspection.explanation import END, Explanation, explanation_of
from regard.models.protocol import Model
from regard.runtime import choose_device
from regard.text.batching.windows import scoring_windows
from regard.text.encoded.documents import encode_passages
from regard.text.reading.lines import LONGEST
from regard.text.reading.passages import Passages
from regard.text.tokens.normalise import normalise
from regard.text.tokens.tokenizer import Tokenizer
from regard.text.tokens.words import word_of_token, words

EXPLAIN_BYTES = 2**30
"""The memory that attention may take to be looked at, unless more is allowed: a thousand tokens of a small model."""

Settings = TypeVar("Settings", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Translation:
    """A target text, its ids, its log-probability in nats with the end counted, and the score it is ranked by.

    problem: why a text of several was not translated; then the text is empty.
    """

    text: str
    ids: list[int]
    log_probability: float
    score: float
    problem: str | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class TextScore:
    """What a given text costs a model: the sum of its tokens' log-probabilities, in nats, and how many they are."""

    log_probability: float
    n_tokens: int


class Translator:
    """A bundle at work on a device: raw text in, raw text out."""

    def __init__(
        self, bundle: Bundle, device: torch.device | str = "auto", decoding: DecodingConfig | None = None
    ) -> None:
        """decoding: how to search; the bundle's own where none is given. Raises BundleError if that cannot be used."""
        self.bundle, self.device = bundle, device_of(device)
        # The bundle's own model and no copy: a training that validates puts it back into training mode.
        bundle.model.to(self.device).eval()
        self.decoding = decoding or settings_of(bundle, DecodingConfig)

    @classmethod
    def load(cls, path: str | PathLike[str], device: torch.device | str = "auto") -> Self:
        """Return the translator of a run or a bundle directory. Raises BundleError, and ConfigError if it is none."""
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

        beam: how many hypotheses are kept; the run's where none is given. A single text that is too long raises
        DataError; among several it has an empty translation that says its `problem`.
        """
        if isinstance(text, str):
            return self.n_best(text, beam=beam)[0]
        return [hypotheses[0] for hypotheses in self.n_best(text, beam=beam)]

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
        """Return the best translations of a text, or of each of several, by falling score; no text stands there twice.

        n: the most of them; as many as hypotheses are kept where none is given. Raises ConfigError if n is more than
        that, and DataError as `translate` does.
        """
        config = changed(self.decoding, {"beam": beam})
        if n is not None and (type(n) is not int or not 1 <= n <= config.beam):
            raise ConfigError(
                f"{shown(ascii(n))} translations per text were asked for; with a beam of {config.beam} there are 1 to "
                f"{config.beam}. Choose another number, or another beam."
            )
        texts = [text] if isinstance(text, str) else strings_of(text, "text")
        found = self._search(texts, config)
        if isinstance(text, str):
            if found[0][0].problem is not None:
                raise DataError(f"The text {found[0][0].problem}.")
            return found[0][:n]
        return [hypotheses[:n] for hypotheses in found]

    def _search(self, texts: Sequence[str], config: DecodingConfig) -> list[list[Translation]]:
        problems = [
            f"has {len(text):,} characters; a sentence may have {LONGEST:,}" * (len(text) > LONGEST) for text in texts
        ]
        # What is too long is not even tokenised, which can take minutes for one word.
        kept = ["" if problem else text for text, problem in zip(texts, problems, strict=True)]
        sources = self.bundle.source_tokenizer.encode_many(kept)
        for i, ids in enumerate(sources):
            if problem := self._problem(ids, config):
                problems[i], sources[i] = problem, []  # an empty source costs nothing, and keeps the order
        found = search(self.model, sources, config, self.device)
        if not all(hypotheses and math.isfinite(hypotheses[0].score) for hypotheses in found):
            raise BundleError("With these weights the model computes numbers that are not finite. Take another bundle.")
        return [
            [Translation("", [], 0.0, 0.0, problem)] if problem else self._distinct(hypotheses)
            for hypotheses, problem in zip(found, problems, strict=True)
        ]

    def _problem(self, ids: Sequence[int], config: DecodingConfig, n_target: int = 1) -> str | None:
        """Return why a source cannot be translated, if it cannot, or not by so many tokens."""
        if len(ids) > config.max_source_tokens:
            return f"has {len(ids):,} tokens; decoding.max_source_tokens is {config.max_source_tokens:,}"
        if n_target > config.max_target_tokens:
            return f"has {n_target:,} target tokens; decoding.max_target_tokens is {config.max_target_tokens:,}"
        positions = self.model.n_positions
        if positions is not None and len(ids) + n_target + 2 > positions:  # EOS and BOS
            return f"has {len(ids):,} tokens; this model has learned {positions:,} positions, for both sides"
        return None

    def _distinct(self, hypotheses: Sequence[Hypothesis]) -> list[Translation]:
        """Return hypotheses as texts; of those that were cut into pieces in several ways, the best."""
        by_text: dict[str, Translation] = {}
        for h in hypotheses:
            text = self.bundle.target_tokenizer.decode(h.ids)
            # They come best first, so the first of a text stays.
            by_text.setdefault(text, Translation(text, h.ids, h.log_probability, h.score))
        return list(by_text.values())

    def score(self, pairs: Iterable[tuple[str, str]]) -> list[TextScore]:
        """Return what each target costs the model, given its source, the end counted."""
        given = list(pairs_of(pairs, "pairs"))
        for i, pair in enumerate(given, start=1):
            if (longest := max(map(len, pair))) > LONGEST:
                raise DataError(f"Pair {i:,} has a side of {longest:,} characters; a sentence may have {LONGEST:,}.")
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

        The ids of the target are forced once through the explaining path, whatever search found them. max_bytes: the
        memory that the weights may take. Raises DataError if the text is empty, or if more would be needed, and
        ConfigError if the family has no attention.
        """
        if target is not None and beam is not None:
            raise ConfigError("A beam is for a translation that is looked for, and a target was given. Leave one out.")
        if target is not None:
            string_of(target, "target")
        if (longest := max(len(string_of(text, "text")), len(target or ""))) > LONGEST:
            raise DataError(f"A sentence has {longest:,} characters; it may have {LONGEST:,}. Shorten it.")
        text = normalise(text)
        tokenizer = self.bundle.target_tokenizer
        best = self.translate(text, beam=beam) if target is None else None  # refuses what is too long
        source_ids, source_offsets = self.bundle.source_tokenizer.encode_with_offsets(text)
        if not source_ids:
            raise DataError("The sentence is empty, so there is no attention to show. Give at least one word.")
        # Of a translation the ids that search found: its text may be encoded to others.
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
                f"The family {self.bundle.family} has no attention, so there is nothing to look into. Take a run of "
                "another family."
            )
        title = f"{text} → {target_text}"
        return explanation_of(captured, source_words, source_index, target_words, target_index, title)


class TextGenerator:
    """A bundle of a language model at work on a device: a beginning in, its continuation out."""

    def __init__(self, bundle: Bundle, device: torch.device | str = "auto") -> None:
        """Raises BundleError if the bundle's settings of sampling cannot be used."""
        self.bundle, self.device = bundle, device_of(device)
        bundle.model.to(self.device).eval()
        self.tokenizer = bundle.target_tokenizer
        self.sampling = settings_of(bundle, SamplingConfig)

    @classmethod
    def load(cls, path: str | PathLike[str], device: torch.device | str = "auto") -> Self:
        """Return the generator of a run or a bundle directory. Raises BundleError, and ConfigError if it is none."""
        return cls(load_for("text", path_of(path, "path")), device)

    def __repr__(self) -> str:
        return f"TextGenerator({self.bundle.family}, {n_parameters(self.bundle)} on {self.device})"

    @property
    def model(self) -> Model:
        return cast(Model, self.bundle.model)

    @property
    def context(self) -> int:
        """The most tokens that the model attends to."""
        context = self.model.context_length
        assert context is not None, "only a model with a context is trained on running text"
        return context

    @overload
    def generate(
        self,
        prompt: str | None = None,
        *,
        stream: Literal[False] = False,
        stop: str | Sequence[str] = (),
        **options: Any,
    ) -> str: ...
    @overload
    def generate(
        self, prompt: str | None = None, *, stream: Literal[True], stop: str | Sequence[str] = (), **options: Any
    ) -> Iterator[str]: ...
    @overload
    def generate(
        self, prompt: Iterable[str], *, stream: Literal[False] = False, stop: str | Sequence[str] = (), **options: Any
    ) -> list[str]: ...
    def generate(
        self,
        prompt: str | Iterable[str] | None = None,
        *,
        stream: bool = False,
        stop: str | Sequence[str] = (),
        **options: Any,
    ) -> str | Iterator[str] | list[str]:
        """Return the continuation of a prompt, or of nothing, or of each of several; the prompt is not repeated.

        It ends at the end of the document, after max_tokens, or before the first of the `stop` strings. A prompt begins
        a document if the model was trained on many, and else stands in the middle of one. stream: yield pieces of the
        text as they are written, none of which ends inside a character. options: settings of `SamplingConfig` by name
        (max_tokens, greedy, temperature, top_k, top_p, min_p, repetition_penalty, seed) over those of the run.
        Raises ConfigError for an option that is unknown or out of range, and DataError if a prompt is empty or longer
        than the model's context; at once, also where pieces are yielded later.
        """
        if not isinstance(stream, bool):
            raise ConfigError(f"stream is {type(stream).__name__}; it is True or False.")
        if prompt is not None and not isinstance(prompt, str):
            if stream:
                raise ConfigError("stream is for one prompt, and several were given.")
            # Each with the same seed, so that its text does not depend on its neighbours.
            return [self.generate(each, stop=stop, **options) for each in strings_of(prompt, "prompt")]
        stops = [stop] if isinstance(stop, str) else strings_of(stop, "stop")
        if "" in stops:
            raise ConfigError("A stop string is empty, so nothing would be written. Give the text to stop before.")
        if prompt == "":
            raise DataError("The prompt is empty. Give some text to continue, or none to begin a document.")
        begins = prompt is None or (self.bundle.card.data.documents or 1) > 1
        ids = [*([BOS] if begins else []), *self.tokenizer.encode(prompt or "")]
        # Called here and not in the generator below, so that what it refuses is refused at the call.
        tokens = generate(self.model, ids, changed(self.sampling, options), self.device)
        pieces = self._pieces((token for token, _ in tokens), stops)
        return pieces if stream else "".join(pieces)

    def _pieces(self, tokens: Iterator[int], stops: Sequence[str]) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        held = ""
        for token in tokens:
            held += decoder.decode(self.tokenizer.token_bytes(token))
            if found := [at for text in stops if (at := held.find(text)) >= 0]:
                held = held[: min(found)]
                break
            # What may begin a stop string is held back, so that none begins in what was yielded already.
            n_safe = len(held) - longest_beginning(held, stops)
            if n_safe:
                yield held[:n_safe]
            held = held[n_safe:]
        else:
            held += decoder.decode(b"", final=True)  # bytes that never became a character
        if held:
            yield held

    def score(self, texts: str | Iterable[str], batch_tokens: int = 4096) -> TextScore:
        """Return what documents cost the model together, the end of each counted.

        Windows of the model's context advance by half of it, so a token has at least so much before it where its
        document has. Raises DataError if there is no text.
        """
        return self.score_passages(
            Passages.of([texts] if isinstance(texts, str) else strings_of(texts, "texts")), batch_tokens
        )

    def score_passages(self, text: Passages, batch_tokens: int = 4096) -> TextScore:
        """Return what a text that was read costs the model, as `score` does."""
        ids = encode_passages(text, self.tokenizer)
        windows = list(scoring_windows(ids, self.context, self.context // 2))
        return TextScore(-windows_nll(self.model, windows, batch_tokens, self.device), sum(n for _, n in windows))

    def explain(self, text: str, *, max_bytes: int = EXPLAIN_BYTES) -> Explanation:
        """Return how each word of a text attended to the ones before it.

        max_bytes: the memory that the weights may take. Raises DataError if the text is empty or does not fit.
        """
        text = self.tokenizer.normalise(string_of(text, "text"))
        if not words(text):
            raise DataError("The text is empty, so there is no attention to show. Give at least one word.")
        ids, offsets = self.tokenizer.encode_with_offsets(text)
        if len(ids) >= self.context:  # BOS takes a place; EOS is written only
            raise DataError(
                f"The text has {len(ids):,} tokens; the model's context has {self.context:,}, the mark of the "
                "beginning included. Shorten it."
            )
        target, index = in_words(text, offsets)
        batch = to_device(collate_text([[BOS, *ids, EOS]]), self.device)
        refuse_large(self.model, batch, max_bytes)
        return explanation_of(capture(self.model, batch), [], [], target, index, text)


def load_for(job: str, directory: Path) -> Bundle:
    """Return the bundle of a run or a bundle directory. Raises ConfigError if it was trained for another job."""
    bundle = load_bundle(run_bundle(directory))
    if (found := bundle.card.job) != job:
        what = {"text": "trained on running text, and continues it", "pairs": "trained to translate"}
        raise ConfigError(f"{directory} was {what.get(found, shown(found))}; it is no model for {WANTED[job]}.")
    return bundle


WANTED = {"text": "running text", "pairs": "pairs of sentences"}
"""What a job's models are for, in words."""


def settings_of(bundle: Bundle, config: type[Settings]) -> Settings:
    """Return how a bundle is used unless its user says otherwise. Raises BundleError if its card cannot be used."""
    try:
        return config.model_validate(bundle.card.decoding)
    except ValidationError as error:
        raise BundleError(f"The bundle's settings of decoding cannot be used: {first_problem(error)}.") from error


def changed(config: Settings, options: dict[str, Any]) -> Settings:
    """Return settings with those that were given. Raises ConfigError with all that are unknown or do not fit."""
    given = {name: value for name, value in options.items() if value is not None}
    try:
        # Built anew: a copy with other values would check neither them nor how they fit together.
        return type(config).model_validate(config.model_dump() | given, strict=True)
    except ValidationError as error:
        raise ConfigError(" ".join(map(_problem, error.errors()))) from error


def _problem(details: Any) -> str:
    """Return one sentence about an option that does not fit."""
    if not details["loc"]:
        return f"decoding.{details['ctx']['error']}"
    name = shown(details["loc"][0])
    if details["type"] == "extra_forbidden":
        return f"{name} is no option of this kind of model."
    hint = " For the likeliest token, use greedy." if name == "temperature" else ""
    return f"{name} is {shown(details['input'])}: {details['msg'][0].lower()}{details['msg'][1:]}.{hint}"


def device_of(device: torch.device | str) -> torch.device:
    """Return a device by its name, or as it is. Raises ConfigError if it is not there."""
    return device if isinstance(device, torch.device) else choose_device(device)


def n_parameters(bundle: Bundle) -> str:
    """Return how many parameters a model has, in words."""
    return f"{sum(p.numel() for p in bundle.model.parameters()):,} parameters"


def refuse_large(model: Model, batch: Batch, max_bytes: int) -> None:
    """Raise DataError if the attention of a sentence needs more memory than may be taken."""
    needed = capture_bytes(model, batch)
    if needed > max_bytes:
        raise DataError(
            f"The attention of this text needs about {-(-needed // 2**20):,} MiB, and {max_bytes // 2**20:,} MiB are "
            "allowed. Shorten it, or allow more."
        )


def longest_beginning(text: str, stops: Sequence[str]) -> int:
    """Return the length of the longest end of a text that may be the beginning of one of the stop strings."""
    # One character less than a stop string at most: a whole one has ended the text before.
    lengths = (n for stop in stops for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n]))
    return max(lengths, default=0)


def in_words(text: str, offsets: Sequence[tuple[int, int]]) -> tuple[list[str], list[int]]:
    """Return the words of a text with END as the last, and the index of the word each token and EOS belong to."""
    spans = words(text)
    return [*(text[a:b] for a, b in spans), END], [*word_of_token(offsets, spans), len(spans)]


def spans_of_ids(tokenizer: Tokenizer, ids: Sequence[int]) -> tuple[str, list[tuple[int, int]]]:
    """Return the text of the ids, and for each id the characters [start, end) that it stands for.

    Works for any ids a model may write, also where encoding their text would give others. Each byte of a character has
    all of it.
    """
    text = tokenizer.decode(ids)
    # Every beginning is decoded anew, which takes time with the square of the length.
    ends = [len(text)] * len(ids)
    for i in range(len(ids) - 2, -1, -1):  # bytes that are no character yet look longer than they are
        ends[i] = min(len(tokenizer.decode(ids[: i + 1])), ends[i + 1])
    starts = [max(0, min(before, end - 1)) for before, end in zip([0, *ends], ends, strict=False)]
    return text, list(zip(starts, ends, strict=True))
