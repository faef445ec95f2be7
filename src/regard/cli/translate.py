"""`regard translate`: lines in, lines out."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from regard.cli.saying import out, say
from regard.errors import RunError
from regard.pipeline import Translation, Translator
from regard.replacing import replacing_file
from regard.runtime import prepare_process
from regard.text.reading.files import STDIN, conversion
from regard.text.reading.incoming import Line, incoming, lines_of_file

LINES_AT_ONCE = 10_000
"""How many lines are translated before they are written: enough to fill batches of sentences of similar length."""

TABLE_LINES = 2
"""More lines than these, all with a tab, look like a table."""

MOST_NOTES = 20
"""Lines whose notes are printed; further ones are only counted."""


def run_translate(
    run: Path, file: Path | None, to: Path | None, beam: int | None, n_best: int, device: str, force: bool
) -> None:
    """Translate a file or stdin to stdout or a file; the exit code is 2 if a line could not be translated."""
    prepare_process()
    report = Report()
    with written(to, force) as stream:
        translator = Translator.load(run, device)
        for lines in in_parts(read_input(file)):
            found = translator.n_best([line.text for line in lines], n_best, beam=beam)
            for line, translations in zip(lines, found, strict=True):
                report.see(line, translations[0])
                for t in translations:
                    text = f"{report.n_lines}\t{t.score:.4f}\t{t.text}\n" if n_best > 1 else f"{t.text}\n"
                    stream.write(text.encode())
            stream.flush()
    report.end(STDIN if file is None else str(file))
    if report.n_problems:
        sys.exit(2)


class Report:
    """Counts lines, and reports those that could not be translated, or whose translation has notes."""

    def __init__(self) -> None:
        self.n_lines = self.n_problems = self.n_unreadable = self.n_noted = self.n_tabs = 0

    def see(self, line: Line, best: Translation) -> None:
        """Count a line, and report the problem or the notes of its best translation."""
        self.n_lines += 1
        self.n_unreadable += line.problem is not None
        self.n_tabs += "\t" in line.text
        if problem := line.problem or best.problem:
            self.n_problems += 1
            say(f"warning: line {self.n_lines:,} {problem}. Its translation is empty.")
        elif best.notes:
            self.n_noted += 1
            if self.n_noted <= MOST_NOTES:
                say(f"note: line {self.n_lines:,} {'; '.join(best.notes)}.")

    def end(self, name: str) -> None:
        """Report the counts. name: of the file."""
        if self.n_noted > MOST_NOTES:
            say(f"note: {self.n_noted - MOST_NOTES:,} more lines have notes like these.")
        if self.n_tabs == self.n_lines > TABLE_LINES:
            say("warning: every line has a tab; of a table, translate the column of the sources: cut -f1")
        if self.n_problems:
            hint = f" If the text is Latin-1, convert it: {conversion('LATIN1', name)}" if self.n_unreadable else ""
            say(
                f"regard: {self.n_problems:,} of {self.n_lines:,} lines could not be translated; each is an empty "
                f"line.{hint}"
            )


@contextmanager
def written(to: Path | None, force: bool) -> Iterator[IO[bytes]]:
    """Give the stream for translations: stdout, or a file that is written whole or not at all."""
    if to is None or str(to) == "-":
        yield out()
        return
    if to.exists() and not force:
        raise RunError(f"{to} exists.", ways=["force"])
    with replacing_file(to, None) as file:
        yield file


def in_parts(groups: Iterator[list[Line]]) -> Iterator[list[Line]]:
    """Yield the lines of each group, at most LINES_AT_ONCE at a time."""
    for group in groups:
        for start in range(0, len(group), LINES_AT_ONCE):
            yield group[start : start + LINES_AT_ONCE]


def read_input(file: Path | None) -> Iterator[list[Line]]:
    """Return the lines of a file, or of stdin for - or no file, as they arrive."""
    if file is not None and str(file) != "-":
        return lines_of_file(file)
    if sys.stdin is None:
        raise RunError("Standard input is closed, so there is nothing to read. Name a file.")
    return incoming(sys.stdin.buffer)
