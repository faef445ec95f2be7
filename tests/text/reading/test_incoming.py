import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard.errors import DataError
from regard.text.reading.incoming import Line, incoming, lines_of_file
from regard.text.reading.lines import split_lines


class Pieces(io.BytesIO):
    """A file that gives its content in pieces of some bytes, as a pipe may."""

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__(content)
        self.size = size

    def read1(self, size: int = -1) -> bytes:
        return super().read1(self.size)


def all_lines(file) -> list[Line]:
    return [line for group in incoming(file) for line in group]


@given(lines=st.lists(st.text(st.characters(exclude_characters="\n\0\ufeff\r", codec="utf-8"))), size=st.integers(4, 9))
def test_lines_are_those_of_the_text_however_it_comes(lines, size):
    content = "".join(f"{line}\r\n" for line in lines)
    expected = split_lines(content) if content else []
    assert [line.text for line in all_lines(Pieces(f"\ufeff{content}".encode(), size))] == expected


def test_a_line_is_there_before_the_pipe_ends():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as file, os.fdopen(writing, "wb", buffering=0) as pipe:
        groups = incoming(file)
        pipe.write(b"one\ntw")
        assert next(groups) == [Line("one")]
        pipe.write(b"o\nthree")
        assert next(groups) == [Line("two")]
        pipe.close()
        assert list(groups) == [[Line("three")]]


def test_a_line_that_is_no_text_costs_only_itself():
    lines = all_lines(io.BytesIO(b"one\ncaf\xe9\n\0\nfour"))
    assert [line.text for line in lines] == ["one", "", "", "four"]
    assert lines[1].problem == "has byte 0xE9 at place 4, which is not UTF-8"
    assert lines[2].problem == "has a NUL byte, which is not text"


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xff\xfea\0", "standard input is UTF-16"), (b"one\rtwo\rthree", "carriage return alone, as on old Macs")],
)
def test_what_is_in_no_line_text_is_refused_as_a_whole(content, message):
    with pytest.raises(DataError, match=message):
        all_lines(io.BytesIO(content))


def test_an_empty_file_is_refused_and_an_empty_pipe_has_no_lines(tmp_path):
    assert all_lines(io.BytesIO(b"")) == []
    (tmp_path / "x.txt").write_bytes(b"")
    with pytest.raises(DataError, match=r"x\.txt is empty; expected text"):
        list(lines_of_file(tmp_path / "x.txt"))


def test_a_line_that_holds_several_old_ones_is_no_line():
    first, second = all_lines(io.BytesIO(b"a b\rc d\re f\nsecond\r\n"))
    assert first == Line("", "has 2 carriage returns, which end lines on old Macs; expected line feeds")
    assert second == Line("second")


def test_what_cannot_be_read_is_said():
    class Broken(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            raise OSError(9, "Bad file descriptor")

    with pytest.raises(DataError, match=r"standard input cannot be read: Bad file descriptor\."):
        all_lines(Broken())
