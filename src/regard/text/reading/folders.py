"""A folder of text files as one text, each file a document."""

import os
import tempfile
from pathlib import Path
from typing import IO

from regard.errors import DataError
from regard.text.reading.files import TextFile
from regard.text.reading.kinds import ending


def joined(folder: Path) -> tuple[TextFile, list[int]]:
    """Return the .txt files of a folder and its subfolders end to end; and a list of 0 and the end of each of them.

    They are copied into a temporary file in the order of their paths. Raises DataError if there is none, or if one of
    them is not text.
    """
    found = (Path(place) / name for place, _, names in os.walk(folder, onerror=_refuse) for name in names)
    # An empty file is a document without text, which is left out like one of blanks.
    paths = [path for path in sorted(found) if ending(path) == ".txt" and path.is_file() and path.stat().st_size]
    # Folders and files whose names begin with a dot belong to version control or an editor.
    paths = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    if not paths:
        raise DataError(f"{folder} is a directory without a .txt file; expected running text, one document per file.")
    aside: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
    ends = [0]
    try:
        for path in paths:
            file = TextFile.at(path)
            block = b""
            for at, block in file.blocks():
                aside.write(block[max(file.first - at, 0) :])
            if not block.endswith(b"\n"):
                aside.write(b"\n")  # if every line is a document, the last one ends here, too
            ends.append(aside.tell())
    except BaseException:
        aside.close()
        raise
    return TextFile(aside, str(folder)), ends


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename} cannot be read: {error.strerror}.") from error
