"""File formats that are not plain text, and for each the command that converts it to plain text."""

import shlex
from collections.abc import Mapping
from itertools import chain, count
from pathlib import Path

from regard.errors import DataError

COMPRESSED = frozenset({".gz", ".bz2", ".xz"})
"""Endings of compressed files, which can be read directly; the ending before tells the format."""

PLAIN = "pandoc -t plain --wrap=none {file} > {txt}"
SHEET = "soffice --headless --convert-to 'csv:Text - txt - csv (StarCalc):9,34,76' {file} && mv {stem}.csv {tsv}"
TWO_COLUMNS = "cut -f1,2 {file} > {tsv}"
CSV = (
    "python3 -c \"import csv, sys; [print(*(' '.join(c.split()) for c in r[:2]), sep='\\t') "
    'for r in csv.reader(sys.stdin)]" < {file} > {tsv}'
)
TMX = (
    "python3 -c \"import sys, xml.etree.ElementTree as E; [print(*(' '.join(''.join(s.itertext()).split()) "
    "for s in u.iter('seg')), sep='\\t') for u in E.parse(sys.argv[1]).iter('tu')]\" {file} > {tsv}"
)

# By the ending of the name: the format, and the command that converts it to text.
FORMATS: Mapping[str, tuple[str, str]] = {
    ".csv": ("CSV", CSV),
    ".json": ("JSON", "jq -r '.[] | [.source, .target] | @tsv' {file} > {tsv}, with your file's field names"),
    ".jsonl": ("JSON lines", "jq -r '[.source, .target] | @tsv' {file} > {tsv}, with your file's field names"),
    ".tmx": ("a translation memory (TMX)", TMX),
    ".xlf": ("XLIFF", "xliff2csv is in the Translate Toolkit: xliff2csv {file} {csv}"),
    ".xliff": ("XLIFF", "xliff2csv is in the Translate Toolkit: xliff2csv {file} {csv}"),
    ".po": ("a gettext catalogue (PO)", "po2csv {file} {csv}, of the Translate Toolkit"),
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
    ".pdf": ("a PDF", "pdftotext {file} {txt}"),
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
"""How many bytes are needed to recognise all of these."""


def ending(path: Path) -> str:
    """Return the ending of a file's name in lower case, without that of a compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return next((suffix for suffix in reversed(suffixes) if suffix not in COMPRESSED), "")


def refuse_format(path: Path) -> None:
    """Raise DataError for a file whose name says that it is not plain text."""
    if (suffix := ending(path)) in FORMATS:
        raise _no_text(path, suffix)


def refuse_binary(head: bytes, path: Path) -> None:
    """Raise DataError for a file whose first bytes are those of an archive or a document."""
    if head[TAR_AT:].startswith(TAR):
        raise _no_text(path, ".tar")
    for beginning, suffix in BEGINNINGS:
        if head.startswith(beginning):
            # An office document is also a ZIP archive; its name tells which kind it is.
            raise _no_text(path, ending(path) if ending(path) in FORMATS else suffix)


def command(template: str, path: Path) -> str:
    """Return a command to paste into a shell.

    {file}: the file; {stem}: its name without the ending. {tsv}, {txt}, {csv}: that with another ending, {new}: with
    its own; always of a file that does not exist yet, since a shell replaces one without asking.
    """
    plain = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    stem = plain.with_suffix("")
    names: dict[str, Path] = {"stem": stem} | {kind: _free(stem, kind) for kind in ("tsv", "txt", "csv")}
    names["new"] = _free(stem, plain.suffix.removeprefix(".") or "txt")
    unpack = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz"}.get(path.suffix.lower())
    file = f"<({unpack} -dc {shlex.quote(str(path))})" if unpack else shlex.quote(str(path))
    template = template.replace("{file}", file)
    for name, value in names.items():
        template = template.replace(f"{{{name}}}", shlex.quote(str(value)))
    return template


def _free(stem: Path, kind: str) -> Path:
    """Return a name for a new file."""
    names = (stem.with_name(f"{stem.name}{number}.{kind}") for number in chain([""], map("-{}".format, count(2))))
    return next(name for name in names if not name.exists())


def _no_text(path: Path, suffix: str) -> DataError:
    what, template = FORMATS[suffix]
    return DataError(f"{path} is {what}; expected plain text in UTF-8. Convert it: {command(template, path)}")
