import os
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard.errors import DataError
from regard.text import sliced
from regard.text.reading import files as module
from regard.text.reading.files import text_of
from regard.text.reading.lines import Lines, read_lines, split_lines

CONTENTS = st.lists(st.text(st.characters(exclude_characters="\n\0\ufeff", codec="utf-8"), max_size=9), min_size=1)


@given(lines=CONTENTS, mark=st.booleans(), ends=st.booleans(), block=st.integers(4, 9), chunk=st.integers(1, 9))
def test_lines_that_stay_in_their_file_are_those_of_its_content(tmp_path_factory, lines, mark, ends, block, chunk):
    content = ("\ufeff" * mark + "\n".join(lines) + "\n" * ends).encode()
    if not content.removeprefix(module.BYTE_ORDER_MARK):
        return
    if len(lines) == 1 and content.count(b"\r") > 1:  # refused: lines that end as on old Macs
        return
    path = tmp_path_factory.mktemp("lines") / "a.txt"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        patch.setattr(sliced, "ITEMS_AT_ONCE", chunk)
        found = Lines(path)
        expected = split_lines(text_of(content, "a.txt"))
        assert list(found) == expected and len(found) == len(expected)
    assert [found[i] for i in range(-len(found), len(found))] == expected * 2
    assert all(found[i:j] == expected[i:j] for i in range(len(found) + 1) for j in range(len(found) + 2))
    with pytest.raises(IndexError):
        found[len(found)]


def test_places_of_what_is_no_text_are_counted_over_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 4)
    for content, found in (
        (b"one\ntwo\nthree\nStra\xdfe\n", "line 4, byte 5: byte 0xDF"),
        (b"a\nb\nc\n\0", "line 4, byte 1: a"),
    ):
        (tmp_path / "a.txt").write_bytes(content)
        with pytest.raises(DataError, match=found):
            Lines(tmp_path / "a.txt")


def test_what_comes_through_a_pipe_is_read_like_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_bytes, args=(b"one\ntwo\n" * 3,))
    writer.start()
    assert read_lines(pipe) == ["one", "two"] * 3
    writer.join()


@pytest.mark.parametrize("line", [b"", b"one\ntwo\n", b"\xff\n"])
def test_a_file_that_was_changed_since_its_lines_were_found_is_refused(tmp_path, line):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\n" * 20_000)
    lines = Lines(path)
    path.write_bytes(b"one\n" * 10_000 + line + b"one\n" * 9_000)
    with pytest.raises(DataError, match="was changed while it was read"):
        list(lines)
