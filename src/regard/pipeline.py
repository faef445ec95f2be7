"""The whole story in one file: text -> ids -> batch -> model -> ids -> text, and the attention between the two.

A `Translator` serves models that were trained on pairs, a `TextGenerator` those that were trained on running text.
"""

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from regard.batch import BOS, EOS, collate, collate_text, to_device
from regard.bundle import Bundle, load_bundle, run_bundle
from regard.decoding.sampling import SamplingConfig, generate
from regard.decoding.scoring import windows_nll
from regard.decoding.search import DecodingConfig, search
from regard.errors import ConfigError, DataError
from regard.inspection.capture import capture
from regard.inspection.explanation import END, Explanation, explain
from regard.text.batching.windows import scoring_windows
from regard.text.encoded.documents import encode_passages
from regard.text.reading.lines import LONGEST
from regard.text.reading.passages import Passages
from regard.text.tokens.normalise import normalise
from regard.text.tokens.tokenizer import Tokenizer
from regard.text.tokens.words import word_of_token, words


@dataclass(frozen=True, slots=True)
class Translation:
    """A target text, its ids, and its log-probability with the end counted."""

    text: str
    ids: list[int]
    log_probability: float


class Translator:
    """A bundle at work on a device: raw text in, raw text out."""

    def __init__(self, bundle: Bundle, device: torch.device, decoding: DecodingConfig | None = None) -> None:
        self.bundle, self.device = bundle, device
        self.model: Any = bundle.model.to(device).eval()  # a module that obeys the protocol of models
        self.decoding = decoding or DecodingConfig(**bundle.card.get("decoding", {}))

    @classmethod
    def load(cls, directory: Path, device: torch.device, decoding: DecodingConfig | None = None) -> "Translator":
        """Return the translator of a run or a bundle directory. Raises BundleError, and ConfigError if it is none."""
        return cls(load_for("pairs", directory), device, decoding)

    def translate(self, texts: Sequence[str]) -> list[Translation]:
        """Return the best translation of each text, in order; an empty text has an empty one.

        Raises DataError if a text is longer than a sentence may be.
        """
        return [hypotheses[0] for hypotheses in self.n_best(texts)]

    def n_best(self, texts: Sequence[str]) -> list[list[Translation]]:
        """Return what the search found for each text, best first: one with beam 1, up to `beam` otherwise."""
        refuse_overlong(texts)
        sources = self.bundle.source_tokenizer.encode_many(texts)
        found = search(self.model, sources, self.decoding, self.device)
        decode = self.bundle.target_tokenizer.decode
        return [[Translation(decode(h.ids), h.ids, h.log_probability) for h in hypotheses] for hypotheses in found]

    def explain(self, text: str, target: str | None = None) -> Explanation:
        """Return the attention between a text and its translation, or the target that is given.

        The ids of the target are forced once through the explaining path, whatever search found them.
        Raises DataError if the text is empty.
        """
        refuse_overlong([text])
        source_ids, source_offsets = self.bundle.source_tokenizer.encode_with_offsets(text)
        if not source_ids:
            raise DataError("The sentence is empty, so there is no attention to show. Give at least one word.")
        tokenizer = self.bundle.target_tokenizer
        target_ids = self.translate([text])[0].ids if target is None else tokenizer.encode(target)
        target_text, target_offsets = spans_of_ids(tokenizer, target_ids)
        source_words, source_index = in_words(normalise(text), source_offsets)
        target_words, target_index = in_words(target_text, target_offsets)
        captured = capture(self.model, to_device(collate([source_ids], [target_ids]), self.device))
        if not captured:
            raise ConfigError(
                f"The family {self.bundle.family} has no attention, so there is nothing to look into. Inspect a run of "
                "another family."
            )
        title = f"{normalise(text)} → {target_text}"
        return explain(captured, source_words, source_index, target_words, target_index, title)


class TextGenerator:
    """A bundle of a language model at work on a device: a beginning in, its continuation out."""

    def __init__(self, bundle: Bundle, device: torch.device) -> None:
        self.bundle, self.device = bundle, device
        self.model: Any = bundle.model.to(device).eval()
        self.tokenizer = bundle.target_tokenizer
        self.sampling = SamplingConfig(**bundle.card.get("decoding", {}))

    @classmethod
    def load(cls, directory: Path, device: torch.device) -> "TextGenerator":
        """Return the generator of a run or a bundle directory. Raises BundleError, and ConfigError if it is none."""
        return cls(load_for("text", directory), device)

    def generate(
        self, prompt: str | None, sampling: SamplingConfig | None = None, stop: Sequence[str] = ()
    ) -> Iterator[str]:
        """Yield the continuation of a prompt, or of nothing, as it is written; no piece ends inside a character.

        It ends at the end of the document, after the tokens that sampling allows, or before the first of the `stop`
        strings. A prompt begins a document if the model was trained on many, and else stands in the middle of one.
        Raises DataError if the prompt is empty or longer than the model's context.
        """
        if prompt == "":
            raise DataError("The prompt is empty. Give some text to go on from, or no prompt to begin a document.")
        begins = prompt is None or self.bundle.card["data"]["documents"] > 1
        ids = [*([BOS] if begins else []), *self.tokenizer.encode(prompt or "")]
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        held = ""
        for token, _ in generate(self.model, ids, sampling or self.sampling, self.device):
            held += decoder.decode(self.tokenizer.token_bytes(token))
            if found := [at for text in stop if (at := held.find(text)) >= 0]:
                held = held[: min(found)]
                break
            n_safe = len(held) - longest_beginning(held, stop)
            if n_safe:
                yield held[:n_safe]
            held = held[n_safe:]
        else:
            held += decoder.decode(b"", final=True)
        if held:
            yield held

    def nll(self, documents: Sequence[str], batch_tokens: int = 4096) -> tuple[float, int]:
        """Return the negative log-likelihood of documents, in nats, and the number of tokens it is the sum over.

        Windows of the model's context advance by half of it, so a token has at least so much before it where its
        document has.
        """
        context = self.model.config.context
        ids = encode_passages(Passages.of(documents), self.tokenizer)
        windows = list(scoring_windows(ids, context, context // 2))
        return windows_nll(self.model, windows, batch_tokens, self.device), sum(n for _, n in windows)

    def explain(self, text: str) -> Explanation:
        """Return how each word of a text attended to the ones before it. Raises DataError if it does not fit."""
        text = self.tokenizer.normalise(text)
        ids, offsets = self.tokenizer.encode_with_offsets(text)
        if not words(text):
            raise DataError("The text is empty, so there is no attention to show. Give at least one word.")
        if len(ids) >= self.model.config.context:
            raise DataError(
                f"The text has {len(ids):,} tokens; the model's context has {self.model.config.context:,}, the mark of "
                "the beginning included. Shorten it."
            )
        target, index = in_words(text, offsets)
        captured = capture(self.model, to_device(collate_text([[BOS, *ids, EOS]]), self.device))
        return explain(captured, [], [], target, index, text)


def load_for(job: str, directory: Path) -> Bundle:
    """Return the bundle of a run or a bundle directory. Raises ConfigError if it was trained for another job."""
    bundle = load_bundle(run_bundle(directory))
    found = bundle.card.get("job", "pairs")
    if found != job:
        what = {
            "text": "was trained on running text. It fits `regard generate`, and `evaluate` and `inspect` with text",
            "pairs": "was trained to translate. It fits `regard translate`, and `evaluate` and `inspect` with pairs",
        }
        raise ConfigError(f"{directory} {what[found]}.")
    return bundle


def longest_beginning(text: str, stops: Sequence[str]) -> int:
    """Return the length of the longest end of a text that may be the beginning of one of the stop strings."""
    lengths = (n for stop in stops for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n]))
    return max(lengths, default=0)


def refuse_overlong(texts: Sequence[str]) -> None:
    """Raise DataError for texts that are longer than a sentence may be."""
    for i, text in enumerate(texts, start=1):
        if len(text) > LONGEST:
            raise DataError(
                f"Line {i} has {len(text):,} characters; a sentence may have {LONGEST:,}. Put one sentence on a line."
            )


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
    ends = [len(text)] * len(ids)
    for i in range(len(ids) - 2, -1, -1):  # bytes that are no character yet look longer than they are
        ends[i] = min(len(tokenizer.decode(ids[: i + 1])), ends[i + 1])
    starts = [max(0, min(before, end - 1)) for before, end in zip([0, *ends], ends, strict=False)]
    return text, list(zip(starts, ends, strict=True))
