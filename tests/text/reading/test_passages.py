import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regard.errors import DataError
from regard.text.reading import lines, passages
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
        patch.setattr(lines, "BLOCK", 7)
        yield


@pytest.mark.usefixtures("small")
@given(found=CONTENT)
def test_passages_are_the_documents_wherever_blocks_end(tmp_path_factory, found):
    content = "".join(line + end for line, end in found)
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
def test_a_passage_ends_at_the_first_line_end_behind_its_length():
    assert list(Passages.of(["ab\ncd\n\nef\n", "a"])) == ["ab\ncd", "\n\nef", "\n", "a"]
    assert list(Passages.of(["ab\ncd \ne"])) == ["ab\ncd \ne"]
    assert "".join(Passages.of(["a\nb", "c"]).apart()) == "a\nb\nc"


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
