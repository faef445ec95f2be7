import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard.errors import DataError
from regard.text.reading import files, passages
from regard.text.reading.passages import Passages
from regard.text.tokens.normalise import normalise_running


def written(tmp_path, content: bytes):
    (tmp_path / "x.txt").write_bytes(content)
    return tmp_path / "x.txt"


def documents_of(tmp_path, content: bytes, kind: passages.Documents = "file") -> list[str]:
    return Passages.read(written(tmp_path, content), kind).documents()


def test_a_file_is_one_document_with_all_its_lines(tmp_path):
    assert documents_of(tmp_path, b"a\r\n\n  b\n") == ["a\n\n  b\n"]


def test_the_usual_mark_ends_a_document(tmp_path):
    content = b"<|endoftext|>\none\n<|endoftext|>\ntwo <|endoftext|> still\n\n<|endoftext|>\n<|endoftext|>\n"
    assert documents_of(tmp_path, content) == ["one\n", "two <|endoftext|> still\n\n"]
    assert documents_of(tmp_path, b"\xef\xbb\xbf<|endoftext|>\r\none\r\n<|endoftext|>\rtwo\r<|endoftext|>") == [
        "one\n",
        "two\n",
    ]


def test_a_line_can_be_a_document(tmp_path):
    assert documents_of(tmp_path, b"\xef\xbb\xbfemma\n\n  \r\nolivia\rava", "line") == ["emma", "olivia", "ava"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\n \n", "only blank lines"),
        (b"fine\na\xff", "line 2, byte 2: byte 0xFF is not UTF-8"),
        (b"a\0", "NUL"),
        (b"\xff\xfea", "UTF-16"),
    ],
)
@pytest.mark.parametrize("kind", ["file", "line"])
def test_what_is_no_text_is_refused(tmp_path, content, message, kind):
    with pytest.raises(DataError, match=message):
        Passages.read(written(tmp_path, content), kind)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"none\.txt does not exist; expected a text file"):
        Passages.read(tmp_path / "none.txt", "file")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    assert documents_of(tmp_path, b"\xef\xbb\xbfa\rb") == ["a\nb"]


@pytest.mark.parametrize("now", [b"a" * 60, b"\xff" * 60, b""])
def test_a_file_that_is_changed_while_it_is_read_is_noticed(tmp_path, now):
    path = written(tmp_path, "ä\n".encode() * 20)
    text = Passages.read(path, "file")
    path.write_bytes(now)
    with pytest.raises(DataError, match="was changed while it was read"):
        list(text)


LINE = st.text(st.sampled_from("ab  <ä\t\u3000\u0085"), max_size=6) | st.just("<|endoftext|>")
CONTENT = st.lists(st.tuples(LINE, st.sampled_from(["\n", "\r\n", "\r"])), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def small():
    """Passages and blocks of some bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passages, "LENGTH", 3)
        patch.setattr(files, "BLOCK", 16)  # a line with a mark fits into one
        yield


@pytest.mark.usefixtures("small")
@given(found=CONTENT)
def test_passages_are_the_documents_wherever_blocks_end(tmp_path_factory, found):
    content = "".join(line + end for line, end in [*found, ("", "\n"), ("a", "\n")])  # the last line makes it no table
    path = written(tmp_path_factory.mktemp("text"), content.encode())
    mark = re.compile(r"^<\|endoftext\|>(?:\n|\Z)", re.MULTILINE)
    text = normalise_running(content)
    for kind, expected in (("file", mark.split(text)), ("line", text.split("\n"))):
        expected = [document for document in expected if document.strip()]
        if not expected:
            with pytest.raises(DataError, match="holds no text"):
                Passages.read(path, kind)
            continue
        read = Passages.read(path, kind)
        assert read.documents() == expected and read.n_documents == len(expected)
        assert read.sizes.tolist() == [len(passage) for passage in read]
        if kind == "file":
            assert Passages.of(expected).documents() == expected


@pytest.mark.usefixtures("small")
def test_a_passage_ends_at_the_first_white_space_behind_its_length():
    assert list(Passages.of(["ab\ncd\n\nef\n", "a"])) == ["ab\ncd", "\n\nef", "\n", "a"]
    assert list(Passages.of(["ab\ncd \ne"])) == ["ab\ncd", " \ne"]
    assert list(Passages.of(["今日は。\n明"])) == ["今日", "は。", "\n明"]
    assert "".join(Passages.of(["a\nb", "c"]).apart()) == "a\nb\nc"


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("abcdefghij", ["abcdef", "ghij"]),
        ("aäääää", ["aää", "äää"]),  # at a character
        ("ab\u3000\u3000\n cd", ["ab\u3000", "\u3000\n c", "d"]),  # white space is no end, of whatever kind
        ("     \r\nb", ["     ", "\nb"]),  # a line end stays whole
    ],
)
def test_a_text_without_white_space_is_cut_at_a_character(tmp_path, content, expected):
    text = Passages.read(written(tmp_path, content.encode()), "file")
    assert list(text) == expected and text.n_documents == 1
    assert Passages.read(written(tmp_path, content.encode()), "file", 1).documents() == text.documents()


def test_a_line_longer_than_a_block_is_not_held_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 1000)
    content = "语" * 5000 + "\r\n" + "é" * 4000 + "\r" + "x" * 3000
    path = written(tmp_path, content.encode())
    blocks = [block for _, block in files.TextFile.at(path).blocks()]
    assert max(map(len, blocks)) <= 2000 and b"".join(blocks) == content.encode()
    assert Passages.read(path, "file").documents() == [normalise_running(content)]


def test_a_file_whose_lines_all_have_tabs_is_no_running_text(tmp_path):
    path = written(tmp_path, b"Go.\tGeh.\tCC-BY\n" * 3)
    with pytest.raises(DataError, match=r"has a tab in every line \(3 columns in the first\), as pairs have"):
        Passages.read(path, "file")
    assert Passages.read(written(tmp_path, b"\tan indented line\n" * 3 + b"a\tb\n"), "file").n_documents == 1


@pytest.mark.usefixtures("small")
@given(documents=st.lists(st.text(st.sampled_from("ab \n\r\té\ud800\ufeff"), max_size=9), min_size=1, max_size=6))
def test_documents_from_memory_and_spooled_ones_are_those_that_were_given(tmp_path_factory, documents):
    contents = [normalise_running(document) for document in documents]
    expected = [content for content in contents if content.strip()]
    if not expected or "".join(contents) == "\ufeff":  # a byte order mark alone is no text
        return
    path = written(tmp_path_factory.mktemp("text"), "".join(contents).encode())
    ends = [len("".join(contents[:i]).encode()) for i in range(len(contents) + 1)]
    here, there = Passages.of(documents), Passages.spooled(path, ends)
    assert here.documents() == there.documents() == expected
    assert list(here) == list(there) and here.sizes.tolist() == there.sizes.tolist()


@pytest.mark.parametrize("documents", [[], [""], ["", ""], ["\ufeff"], [" "], ["\n", " \t"]])
def test_documents_without_any_text_are_refused(documents):
    with pytest.raises(DataError):
        Passages.of(documents)


def test_spooled_documents_that_were_changed_are_noticed(tmp_path):
    path = written(tmp_path, "ä\nö\n".encode())
    text = Passages.spooled(path, [0, 3, 6])
    path.write_bytes(b"abcdef")
    with pytest.raises(DataError, match="was changed while it was read"):
        list(text)
