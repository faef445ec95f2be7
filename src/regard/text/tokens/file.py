"""A vocabulary as a file: plain data that is checked, from which everything else is rebuilt.

In format 1 the file was that of the library `tokenizers`: a pipeline that could contain anything, such as padding,
truncation, or normalisers that turn one letter into four thousand. Such files are still read, for their pieces. A file
is refused if its pipeline differs from the one that is rebuilt from the pieces.
"""

import json
from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from regard.errors import BundleError, shown
from regard.text.tokens.pipeline import pipeline_of
from regard.text.tokens.vocabulary import ALL_BYTES, BYTES, MOST_CONTROL, SPECIALS, Kind, Vocabulary, refuse_unfit

FORMAT = 2


class VocabularyFile(BaseModel):
    """The content of `tokenizer.json`.

    normalisation: the version of the rule by which text is normalised. digits: whether each is a piece of its own, as
    for sentences and characters, or several may form a piece, as in byte-level BPE.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    format: Literal[2]
    kind: Kind
    running: bool
    normalisation: Literal[1, 2]
    digits: Literal["apart", "in runs"]
    n_control_ids: int = Field(ge=0, le=MOST_CONTROL)
    pieces: list[str]
    merges: list[tuple[str, str]] = []
    scores: list[float] = []


def written(vocabulary: Vocabulary) -> str:
    """Return a vocabulary as JSON."""
    content: dict[str, Any] = {
        "format": FORMAT,
        "kind": vocabulary.kind,
        "running": vocabulary.running,
        "normalisation": vocabulary.normalisation,
        "digits": digits_of(vocabulary),
        "n_control_ids": vocabulary.n_control,
        "pieces": list(vocabulary.pieces),
    }
    if vocabulary.merges:
        content["merges"] = list(vocabulary.merges)
    if vocabulary.scores:
        content["scores"] = list(vocabulary.scores)
    # Fingerprints are hashes of this text: in another layout every tokenizer would count as changed.
    return json.dumps(content, ensure_ascii=False, indent=0) + "\n"


def read(content: bytes, name: str) -> Vocabulary:
    """Return the vocabulary in a file. name: of the file, for messages.

    Raises BundleError if it is not a vocabulary, or one that regard could not have written.
    """
    try:
        loaded = json.loads(content)
    except (ValueError, RecursionError) as error:  # the second if brackets are nested thousands deep
        raise BundleError(f"{name} is not a tokenizer, or is damaged: {error}. Train or copy it again.") from error
    if not isinstance(loaded, dict):
        raise BundleError(f"{name} is not a tokenizer, or is damaged: it is not a JSON object. Train or copy it again.")
    understood: Callable[[dict[str, Any], bytes, str], Vocabulary] = _second if "format" in loaded else _first
    try:
        vocabulary = understood(loaded, content, name)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]  # the input may be megabytes of anything
        where = shown(".".join(map(str, first["loc"]))) or "the file"
        raise BundleError(f"{name} is not a tokenizer, or is damaged: {where}: {shown(first['msg'], 200)}.") from error
    # Before the library sees any of it: `pipeline_of` checks nothing.
    refuse_unfit(vocabulary, name)
    if understood is _first:
        _refuse_other_pipeline(loaded, json.loads(pipeline_of(vocabulary).to_str()), name)
    return vocabulary


def _second(loaded: dict[str, Any], content: bytes, name: str) -> Vocabulary:  # noqa: ARG001
    file = VocabularyFile.model_validate_json(content)  # not from `loaded`: merges are tuples, which JSON lacks
    pieces = file.pieces, file.merges, file.scores
    vocabulary = Vocabulary(file.kind, file.running, file.n_control_ids, *pieces, file.normalisation)
    if file.digits != digits_of(vocabulary):
        raise BundleError(f"{name} says digits are {file.digits!r}; its kind has others. Train or copy it again.")
    return vocabulary


def digits_of(vocabulary: Vocabulary) -> str:
    """Return how digits are cut by the pipeline of a vocabulary."""
    return "in runs" if vocabulary.byte_level else "apart"


class FirstModel(BaseModel):
    """What is used of the pieces' model in the first format; the rest of it is compared."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)

    type: Literal["BPE", "Unigram"]
    vocab: dict[str, int] | list[tuple[str, float]]
    merges: list[tuple[str, str]] = []


class FirstFile(BaseModel):
    """The part of a file of the first format that is used."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    model: FirstModel
    normalizer: dict[str, Any] | None = None


def _first(loaded: dict[str, Any], content: bytes, name: str) -> Vocabulary:  # noqa: ARG001
    file = FirstFile.model_validate_json(content)
    scores: list[float] = []
    if isinstance(file.model.vocab, dict):
        ids = file.model.vocab
        names = sorted(ids, key=ids.__getitem__)
        if [ids[name] for name in names] != list(range(len(ids))):
            names = []  # gaps: the first ids are wrong, too
    else:
        names, scores = [name for name, _ in file.model.vocab], [score for _, score in file.model.vocab]
    known, n = set(names), len(SPECIALS)
    if names[:n] != SPECIALS:
        raise BundleError(
            f"{name} must begin with the pieces {', '.join(SPECIALS)}, without gaps. Train or copy it again."
        )
    # The first format did not store this. For running text, characters have all bytes as pieces and byte-level BPE has
    # none; for sentences, a vocabulary has those beyond ASCII.
    running = known >= set(ALL_BYTES) or not known & set(BYTES)
    kind: Kind = "unigram" if file.model.type == "Unigram" else "bpe"
    # Characters were stored as a BPE without merges. Those for sentences put no space before the text.
    if kind == "bpe" and (file.normalizer is None if not running else known >= set(ALL_BYTES)):
        kind = "characters"
    return Vocabulary(kind, running, 0, names[n:], file.model.merges, scores[n:], normalisation=1)


def _refuse_other_pipeline(found: dict[str, Any], rebuilt: dict[str, Any], name: str) -> None:
    """Raise BundleError if the steps of a file of the first format differ from those rebuilt from its pieces."""
    for step in ("truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder"):
        if not _agree(found.get(step), rebuilt.get(step)):
            raise BundleError(
                f"{name} is not a tokenizer of regard: its {step} is {shown(found.get(step))}. Train or copy it again."
            )
    model, ours = dict(found["model"]), dict(rebuilt["model"])
    # Ours was rebuilt from these two.
    for part in ("vocab", "merges"):
        model.pop(part, None)
        ours.pop(part, None)
    if not _agree(model, ours):
        raise BundleError(f"{name} is not a tokenizer of regard: its model has other settings. Train or copy it again.")


def _agree(found: Any, expected: Any) -> bool:
    """Return whether two steps agree in the fields that both have; releases of the library may differ in fields."""
    if isinstance(found, dict) and isinstance(expected, dict):
        common = found.keys() & expected.keys()
        return found.get("type") == expected.get("type") and all(_agree(found[k], expected[k]) for k in common)
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(_agree, found, expected))
    # One release writes null where another writes false or an empty list.
    return (found or None) == (expected or None) if not found or not expected else bool(found == expected)
