"""Running text: documents from a file, held out by order, and on their way to the trainer as ids."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from regard.batch import BOS, EOS
from regard.errors import DataError
from regard.text.lines import read_text_file
from regard.text.running import parts_of
from regard.text.tokenizer import Tokenizer

MARK = re.compile(r"^<\|endoftext\|>(?:\n|\Z)", re.MULTILINE)
"""The usual mark: a line of it ends a document."""

Documents = Literal["file", "line"]


def read_text(path: Path, documents: Documents) -> list[str]:
    """Return the documents of a text file: the whole of it, cut at lines that mark an end, or each line.

    Raises DataError if the file cannot be read, is no UTF-8, or holds no text.
    """
    text = read_text_file(path)
    if documents == "line":
        found = [line for line in text.split("\n") if line.strip()]
    else:
        found = [document for document in MARK.split(text) if document.strip()]
    if not found:
        raise DataError(f"{path} holds no text, only blank lines and marks; expected running text.")
    return found


def split_by_order(documents: Sequence[str], share: float) -> tuple[list[str], list[str]]:
    """Return the beginning of the text for training and its last `share` for validation, counted in characters.

    A document in which the border lies is cut there. Raises DataError if a side would be empty.
    """
    ends = list(accumulate(map(len, documents)))
    border = int(ends[-1] * (1 - share))
    if not 0 < border < ends[-1]:
        raise DataError(
            f"The text has {ends[-1]:,} characters; a share of {share:g} for validation leaves one side empty. "
            "Give more text, another data.validation_share, or a text of its own with --valid."
        )
    before, after = [], []
    for document, end in zip(documents, ends, strict=True):
        n_before = min(max(border - (end - len(document)), 0), len(document))
        before += [document[:n_before]] if n_before else []
        after += [document[n_before:]] if n_before < len(document) else []
    return before, after


def encode_documents(documents: Sequence[str], tokenizer: Tokenizer) -> list[NDArray[np.int32]]:
    """Return the ids of each document between BOS and EOS."""
    begin, end = (np.array([mark], dtype=np.int32) for mark in (BOS, EOS))
    ids = [[begin] for _ in documents]
    parts = [(i, part) for i, document in enumerate(documents) for part in parts_of(document)]
    for start in range(0, len(parts), 64):  # the library holds all that it is given at once
        some = parts[start : start + 64]
        for (i, _), encoded in zip(some, tokenizer.encode_many([part for _, part in some]), strict=True):
            ids[i].append(np.array(encoded, dtype=np.int32))
    return [np.concatenate([*of_document, end]) for of_document in ids]


def fingerprint_text(documents: Iterable[str]) -> str:
    """Return a short name for exactly these documents in this order."""
    digest = hashlib.sha256()
    for document in documents:
        digest.update(f"{len(document)}:{document}".encode())
    return digest.hexdigest()[:16]
