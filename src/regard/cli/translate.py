"""`regard translate`: lines in, lines out."""

import sys
from pathlib import Path

from regard.errors import ConfigError
from regard.pipeline import Translator, refuse_overlong
from regard.runtime import prepare_runtime
from regard.text.reading.lines import STDIN, lines_of, read_lines

LINES_AT_ONCE = 10_000
"""What is written before more is translated: enough that sentences of one length fill their batches."""


def run_translate(run: Path, file: Path | None, beam: int | None, n_best: int, device: str) -> None:
    """Translate a file or stdin to stdout."""
    translator = load_translator(run, beam, device)
    if n_best > translator.decoding.beam:
        raise ConfigError(f"--n-best {n_best} needs a beam of at least {n_best}; it is {translator.decoding.beam}.")
    lines = read_input(file)
    refuse_overlong(lines)
    out = sys.stdout.buffer
    for start in range(0, len(lines), LINES_AT_ONCE):
        for i, translations in enumerate(translator.n_best(lines[start : start + LINES_AT_ONCE]), start=start + 1):
            for t in translations[:n_best]:
                out.write(
                    f"{i}\t{t.log_probability:.4f}\t{t.text}\n".encode() if n_best > 1 else f"{t.text}\n".encode()
                )
        out.flush()


def load_translator(run: Path, beam: int | None, device: str) -> Translator:
    """Return the translator of a run with the given beam, or the one it was trained for."""
    return with_beam(Translator.load(run, prepare_runtime(device).device), beam)


def with_beam(translator: Translator, beam: int | None) -> Translator:
    """Return the translator set to a beam, if one is given. Raises ConfigError if it is out of range."""
    if beam is not None:
        if not 1 <= beam <= 100:
            raise ConfigError(f"--beam is {beam}; it must be between 1 and 100.")
        translator.decoding = translator.decoding.model_copy(update={"beam": beam})
    return translator


def read_input(file: Path | None) -> list[str]:
    """Return the lines of a file, or of stdin for - or nothing."""
    if file is None or str(file) == "-":
        return lines_of(sys.stdin.buffer.read(), STDIN)
    return read_lines(file)
