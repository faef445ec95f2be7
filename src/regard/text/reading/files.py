"""The text of files, as bytes. Any span of a file can be read by itself, so a file may be larger than memory.

A file that is compressed (gzip, bzip2, xz), or comes through a pipe, is first copied into a temporary file, unpacked.
"""

import bz2
import gzip
import lzma
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from typing import IO, Any, cast
from weakref import finalize

from regard.errors import DataError
from regard.text.reading.kinds import HEAD, command, refuse_binary

BLOCK = 2**24
"""How many bytes are read at a time; at most twice as many where lines are long."""
PACKED = 2**20
"""Bytes of a compressed file that are unpacked at once."""
STDIN = "standard input"
"""The name of what comes through a pipe."""

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class TextFile:
    """A file of UTF-8 of which any span of bytes can be read, also by several threads."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        """name: for error messages. Raises DataError if there is no text."""
        self.name = name
        self._file, self._lock = file, Lock()
        # Sequences share the file, so none of them can close it: it closes when the last one is gone.
        finalize(self, file.close)
        self.first = len(BYTE_ORDER_MARK) if self.read(0, len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK else 0
        """Where the text begins."""
        if not self.read(self.first, self.first + 1):
            raise DataError(f"{name} is empty; expected text.")

    @classmethod
    def at(cls, path: Path) -> "TextFile":
        """Return the file of that name. Raises DataError if it cannot be read, is empty or is not text."""
        return cls(opened(path), str(path))

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes between two places, fewer at the end of the file."""
        with self._lock:
            # Seek and read must stay together: `encode_pairs` reads in two threads at once.
            self._file.seek(start)
            return self._file.read(stop - start)

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """Yield the whole file in blocks, each preceded by the place where it begins.

        A block ends where a line ends, or otherwise between two characters. Raises DataError, with the place, for what
        is not text.
        """
        # First, because `decoded` would only say that a byte is NUL, or is not UTF-8.
        refuse_utf_16(self.read(0, 2), self.name)
        at = n_lines = 0
        while block := self._block(at):
            decoded(block, self.name, n_lines)  # only checked; a part is decoded again when it is needed
            yield at, block
            at, n_lines = at + len(block), n_lines + block.count(b"\n")

    def _block(self, at: int) -> bytes:
        with self._lock:
            self._file.seek(at)
            # Up to the end of a line, so that no character and no "\r\n" is split.
            block = self._file.read(BLOCK) + self._file.readline(BLOCK)
            ends = block.endswith(b"\n") or not self._file.read(1)
        return block if ends else block[: _last_border(block)]

    def changed(self) -> DataError:
        """Return the error to raise if the file has changed since its places were found."""
        return DataError(f"{self.name} was changed while it was read. Start again when no program writes to it.")


def _last_border(block: bytes) -> int:
    """Return where a block that ends within a line is cut: after its last line end, otherwise before a character."""
    # The last byte is left out: a "\n" might follow a "\r".
    line_end = max(block.rfind(b"\n"), block.rfind(b"\r", 0, -1)) + 1
    return line_end or before_character(block, len(block) - 1)


def before_character(content: bytes, at: int) -> int:
    """Return where the UTF-8 character begins to which the byte at a place belongs."""
    for place in range(at, max(at - 4, -1), -1):
        if content[place] & 0xC0 != 0x80:  # bytes that continue a character are 0b10......
            return place
    return at  # not UTF-8, which decoding will report


def text_of(content: bytes, name: str) -> str:
    """Return UTF-8 bytes as text, without byte order mark. Raises DataError, with the place, for what is not text."""
    refuse_utf_16(content, name)
    # The mark is removed last, so that places count the bytes as they are in the file.
    return decoded(content, name).removeprefix("\ufeff")


def refuse_utf_16(content: bytes, name: str) -> None:
    """Raise DataError for the beginning of a file that says it is UTF-16."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{name} is UTF-16; expected UTF-8. Convert it: {conversion('UTF-16', name)}")


def decoded(content: bytes, name: str, n_before: int = 0) -> str:
    """Return UTF-8 bytes as text. n_before: lines before them. Raises DataError, with the place, if it is not text."""
    # NUL is valid UTF-8 and never text. UTF-16 without a byte order mark and binary files are full of it.
    if (at := content.find(b"\0")) >= 0:
        place = _place(content, at, name, n_before)
        raise DataError(f"{place}: a NUL byte; expected text. {name} may be binary or UTF-16.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        place = _place(content, error.start, name, n_before)
        found = f"byte 0x{content[error.start]:02X} is not UTF-8"
        hint = f"If it is Latin-1, convert it: {conversion('LATIN1', name)}"
        raise DataError(f"{place}: {found} ({error.reason}). {hint}") from error


def conversion(encoding: str, name: str) -> str:
    """Return the command that converts a file, or what comes through a pipe, to UTF-8."""
    convert = f"iconv -f {encoding} -t UTF-8"
    # Quoted, since the user will paste this into a shell, and a file may have any name.
    return convert if name == STDIN else command(f"{convert} {{file}} > {{new}}", Path(name))


def _place(content: bytes, at: int, name: str, n_before: int) -> str:
    """Return file, line and byte in the line, both counted from 1."""
    line = n_before + content.count(b"\n", 0, at) + 1
    # In the first line rfind finds nothing and returns -1, which counts from 1 as well.
    byte = at - content.rfind(b"\n", 0, at)
    return f"{name}, line {line}, byte {byte}"


def opened(path: Path) -> IO[bytes]:
    """Return a file that can be read at any place; one that is compressed or comes through a pipe is copied first.

    Raises DataError if it cannot be read, or is not plain text.
    """
    try:
        file: IO[bytes] = path.open("rb")
        if not file.seekable():
            with file as stream:
                file = _aside(_pieces(stream))
        head = _head(file)
        if (unpack := next((UNPACK[mark] for mark in UNPACK if head.startswith(mark)), None)) is not None:
            with file as packed:
                file = _unpacked(unpack(packed), path)
            head = _head(file)
        try:
            refuse_binary(head, path)
        except DataError:
            file.close()
            raise
        return file
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist; expected a text file. Check the spelling.") from error
    except IsADirectoryError as error:
        raise DataError(f"{path} is a directory; expected a text file. Name a file in it.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def _head(file: IO[bytes]) -> bytes:
    """Return the first bytes of a file, and rewind it."""
    head = file.read(HEAD)
    file.seek(0)
    return head


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the content of a file that can be read only once."""
    return iter(lambda: file.read(PACKED), b"")


def _members(packed: IO[bytes], new: Callable[[], Any]) -> Iterator[bytes]:
    """Yield the content of bzip2 or xz data, of which a file may hold several one after the other.

    The `open` of these libraries ignores damaged data behind the first.
    """
    decompressor = new()
    for piece in _pieces(packed):
        block = piece
        while block:
            if decompressor.eof:
                block = block.lstrip(b"\0")  # the padding of xz
                if not block:
                    break
                decompressor = new()
            yield decompressor.decompress(block)
            block = decompressor.unused_data if decompressor.eof else b""
    if not decompressor.eof:
        raise EOFError("it ends before its end marker")


UNPACK: dict[bytes, Callable[[IO[bytes]], Iterator[bytes]]] = {
    b"\x1f\x8b": lambda packed: _pieces(cast(IO[bytes], gzip.open(packed))),  # noqa: SIM115
    b"BZh": lambda packed: _members(packed, bz2.BZ2Decompressor),
    b"\xfd7zXZ\x00": lambda packed: _members(packed, lzma.LZMADecompressor),
}
"""What unpacks a file, by its first bytes."""


def _unpacked(pieces: Iterator[bytes], path: Path) -> IO[bytes]:
    """Return the unpacked content of a compressed file. Raises DataError if it is damaged or cut short."""
    try:
        return _aside(pieces)
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is damaged: {error}. Copy or download it again.") from error
    except OSError as error:
        # bz2 raises a plain OSError, without a number, for data that are not bzip2.
        if error.errno is None:
            raise DataError(f"{path} is damaged: {error}. Copy or download it again.") from error
        raise


def _aside(pieces: Iterator[bytes]) -> IO[bytes]:
    """Return a temporary file with this content and without a name, so that a kill leaves nothing behind."""
    aside: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        aside.writelines(pieces)
    except BaseException:
        aside.close()
        raise
    aside.seek(0)
    return aside
