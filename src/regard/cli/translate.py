"""`regard translate`: lines in, lines out."""

import sys
from pathlib import Path

from regard.cli.saying import out, say
from regard.errors import RunError
from regard.pipeline import Translator
from regard.runtime import prepare_process
from regard.text.reading.lines import STDIN, lines_of, read_lines

LINES_AT_ONCE = 10_000
"""What is written before more is translated: enough that sentences of one length fill their batches."""


def run_translate(run: Path, file: Path | None, beam: int | None, n_best: int, device: str) -> None:
    """Translate a file or stdin to stdout; the exit code is 2 if a line could not be translated."""
    prepare_process()
    stream = out()
    translator = Translator.load(run, device)
    lines = read_input(file)
    n_problems = 0
    for start in range(0, len(lines), LINES_AT_ONCE):
        found = translator.n_best(lines[start : start + LINES_AT_ONCE], n_best, beam=beam)
        for i, translations in enumerate(found, start=start + 1):
            if (problem := translations[0].problem) is not None:
                say(f"warning: line {i} {problem}. Its translation is empty.")
                n_problems += 1
            for t in translations:
                text = f"{i}\t{t.score:.4f}\t{t.text}\n" if n_best > 1 else f"{t.text}\n"
                stream.write(text.encode())
        stream.flush()
    if n_problems:
        say(f"regard: {n_problems:,} of {len(lines):,} lines could not be translated; each is an empty line.")
        sys.exit(2)


def read_input(file: Path | None) -> list[str]:
    """Return the lines of a file, or of stdin for - or nothing, however long they are."""
    if file is not None and str(file) != "-":
        # A line that is too long costs only itself: the translator names it and translates the others.
        return read_lines(file, longest=sys.maxsize)
    if sys.stdin is None:
        raise RunError("Standard input is closed, so there is nothing to read. Name a file.")
    # Read to its end first: nothing is translated while a pipe stays open.
    return lines_of(sys.stdin.buffer.read(), STDIN, longest=sys.maxsize)
