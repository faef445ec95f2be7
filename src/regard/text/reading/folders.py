"""A folder of text files as one text, each file a document."""

import tempfile
from pathlib import Path
from typing import IO

from regard.errors import DataError
from regard.text.reading.files import TextFile
from regard.text.reading.kinds import ending


def joined(folder: Path) -> tuple[TextFile, list[int]]:
    """Return the .txt files of a folder and its subfolders end to end, and 0 and where each of them ends.

    They come in the order of their paths and are copied into a temporary file. Raises DataError if there is none, or
    if one of them is no text.
    """
    paths = [path for path in sorted(folder.rglob("*")) if ending(path) == ".txt" and path.is_file()]
    # A folder of a name with a dot is a version control's or an editor's, and so is such a file.
    paths = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    if not paths:
        raise DataError(f"{folder} is a directory without a .txt file; expected running text, a document a file.")
    aside: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
    ends = [0]
    try:
        for path in paths:
            file = TextFile.at(path)
            block = b""
            for at, block in file.blocks():
                aside.write(block[max(file.first - at, 0) :])
            if not block.endswith(b"\n"):
                aside.write(b"\n")  # where every line is a document, the last one ends here as well
            ends.append(aside.tell())
    except BaseException:
        aside.close()
        raise
    return TextFile(aside, str(folder)), ends
