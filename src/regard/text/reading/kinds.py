"""What a file is that is no plain text, and the one command that makes plain text of it."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from regard.errors import DataError

COMPRESSED = frozenset({".gz", ".bz2", ".xz"})
"""Endings of files that are read as they are; what counts is the ending before."""

PLAIN = "pandoc -t plain --wrap=none {file} > {stem}.txt"
SHEET = "soffice --headless --convert-to 'csv:Text - txt - csv (StarCalc):9,34,76' {file} && mv {stem}.csv {stem}.tsv"
TWO_COLUMNS = "cut -f1,2 {file} > pairs.tsv"
CSV = (
    "python3 -c \"import csv, sys; [print(*(' '.join(c.split()) for c in r[:2]), sep='\\t') "
    'for r in csv.reader(sys.stdin)]" < {file} > {stem}.tsv'
)
TMX = (
    "python3 -c \"import sys, xml.etree.ElementTree as E; [print(*(' '.join(''.join(s.itertext()).split()) "
    "for s in u.iter('seg')), sep='\\t') for u in E.parse(sys.argv[1]).iter('tu')]\" {file} > {stem}.tsv"
)

# By the ending of the name: what such a file is, and what makes text of it.
FORMATS: Mapping[str, tuple[str, str]] = {
    ".csv": ("CSV", CSV),
    ".json": ("JSON", "jq -r '.[] | [.source, .target] | @tsv' {file} > {stem}.tsv, with the names that yours has"),
    ".jsonl": ("JSON lines", "jq -r '[.source, .target] | @tsv' {file} > {stem}.tsv, with the names that yours has"),
    ".tmx": ("a translation memory (TMX)", TMX),
    ".xlf": ("XLIFF", "xliff2csv is in the Translate Toolkit: xliff2csv {file} {stem}.csv"),
    ".xliff": ("XLIFF", "xliff2csv is in the Translate Toolkit: xliff2csv {file} {stem}.csv"),
    ".po": ("a gettext catalogue (PO)", "po2csv {file} {stem}.csv, of the Translate Toolkit"),
    ".docx": ("a Word document", PLAIN),
    ".odt": ("an OpenDocument text", PLAIN),
    ".rtf": ("RTF", PLAIN),
    ".epub": ("an e-book (EPUB)", PLAIN),
    ".html": ("HTML", PLAIN),
    ".htm": ("HTML", PLAIN),
    ".doc": ("a Word document", "soffice --headless --convert-to txt:Text:UTF8 {file}"),
    ".xlsx": ("a spreadsheet", SHEET),
    ".xls": ("a spreadsheet", SHEET),
    ".ods": ("a spreadsheet", SHEET),
    ".pdf": ("a PDF", "pdftotext {file} {stem}.txt"),
    ".zip": ("a ZIP archive", "unzip {file}"),
    ".tar": ("a tar archive", "tar xf {file}"),
    ".tgz": ("a tar archive", "tar xf {file}"),
    ".7z": ("a 7z archive", "7z x {file}"),
    ".rar": ("a RAR archive", "unrar x {file}"),
    ".zst": ("compressed with zstd", "zstd -d {file}"),
}

# By the first bytes: which of the formats above it is, where the name does not say it.
BEGINNINGS = (
    (b"PK\x03\x04", ".zip"),
    (b"%PDF-", ".pdf"),
    (b"{\\rtf", ".rtf"),
    (b"\xd0\xcf\x11\xe0", ".doc"),
    (b"7z\xbc\xaf\x27\x1c", ".7z"),
    (b"Rar!\x1a\x07", ".rar"),
    (b"\x28\xb5\x2f\xfd", ".zst"),
)
TAR_AT, TAR = 257, b"ustar"
HEAD = TAR_AT + len(TAR)
"""Bytes that are enough to tell."""


def ending(path: Path) -> str:
    """Return the ending of a file's name in lower case, without that of a compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return next((suffix for suffix in reversed(suffixes) if suffix not in COMPRESSED), "")


def refuse_format(path: Path) -> None:
    """Raise DataError for a file whose name says that it is no plain text."""
    if (suffix := ending(path)) in FORMATS:
        raise _no_text(path, suffix)


def refuse_binary(head: bytes, path: Path) -> None:
    """Raise DataError for a file whose first bytes are those of an archive or a document."""
    if head[TAR_AT:].startswith(TAR):
        raise _no_text(path, ".tar")
    for beginning, suffix in BEGINNINGS:
        if head.startswith(beginning):
            # An office file is an archive; its name knows better what is in it.
            raise _no_text(path, ending(path) if ending(path) in FORMATS else suffix)


def command(template: str, path: Path) -> str:
    """Return a command that can be pasted into a shell. {file}: the file; {stem}: its name without the ending."""
    stem = path.with_name(path.name.removesuffix("".join(path.suffixes)) or path.name)
    return template.replace("{file}", shlex.quote(str(path))).replace("{stem}", shlex.quote(str(stem)))


def _no_text(path: Path, suffix: str) -> DataError:
    what, template = FORMATS[suffix]
    return DataError(f"{path} is {what}; expected plain text in UTF-8. Convert it: {command(template, path)}")
