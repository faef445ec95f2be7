"""The whole story in one file: text -> ids -> batch -> model -> ids -> text, and the attention between the two."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from regard.batch import collate, to_device
from regard.bundle import Bundle, load_bundle, run_bundle
from regard.decoding.search import DecodingConfig, search
from regard.errors import DataError
from regard.inspection.capture import capture
from regard.inspection.explanation import END, Explanation, explain
from regard.text.normalise import normalise
from regard.text.readers import LONGEST
from regard.text.tokenizer import Tokenizer
from regard.text.words import word_of_token, words


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
        """Return the translator of a run or a bundle directory. Raises BundleError."""
        return cls(load_bundle(run_bundle(directory)), device, decoding)

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
        title = f"{normalise(text)} → {target_text}"
        return explain(captured, source_words, source_index, target_words, target_index, title)


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
