"""Wrong uses that people make: each is named in one clear sentence, with the way out, before anything is lost."""

import gzip
import zipfile
from pathlib import Path

import pytest
from tests.conftest import TINY, TINY_TEXT

PAIRS = [(f"The house {i} is red.", f"Das Haus {i} ist rot.") for i in range(40)]
TSV = "".join(f"{source}\t{target}\n" for source, target in PAIRS)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with a good corpus in it."""
    (tmp_path / "pairs.tsv").write_text(TSV, encoding="utf-8")
    (tmp_path / "a.en").write_text("".join(f"{source}\n" for source, _ in PAIRS), encoding="utf-8")
    (tmp_path / "a.de").write_text("".join(f"{target}\n" for _, target in PAIRS), encoding="utf-8")
    return tmp_path


def written(path: Path, content: str | bytes) -> None:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


WRONG_FILES = {
    "a spreadsheet": ("x.xlsx", b"PK\x03\x04", "x.xlsx is a spreadsheet; expected plain text", "soffice "),
    "CSV": ("x.csv", "a,b\n", "x.csv is CSV; expected plain text", "import csv"),
    "JSON": ("x.json", "[]", "x.json is JSON; expected plain text", "jq -r"),
    "a translation memory": ("x.tmx", "<tmx/>", "x.tmx is a translation memory (TMX)", "iter('tu')"),
    "a catalogue": ("x.po", 'msgid ""\n', "x.po is a gettext catalogue (PO)", "po2csv "),
    "a Word document": ("x.docx", b"PK\x03\x04", "x.docx is a Word document", "pandoc -t plain"),
    "a PDF called text": ("x.txt", b"%PDF-1.7\nx", "x.txt is a PDF", "pdftotext "),
    "an archive called pairs": ("x.tsv", b"PK\x03\x04", "x.tsv is a ZIP archive", "unzip "),
    "UTF-16": ("x.tsv", TSV.encode("utf-16"), "x.tsv is UTF-16; expected UTF-8", "iconv -f UTF-16"),
    "Latin-1": ("x.tsv", b"a\tb\ncaf\xe9\tb\n", "x.tsv, line 2, byte 4: byte 0xE9", "iconv -f LATIN1"),
    "old Mac line ends": ("x.tsv", TSV.replace("\n", "\r"), "as on old Macs", r"tr '\r' '\n' <"),
    "a damaged gzip file": ("x.tsv.gz", gzip.compress(TSV.encode())[:-9], "x.tsv.gz is damaged", "download it again"),
    "three columns": ("x.tsv", TSV.replace("\n", "\tCC-BY\n"), "line 1: 3 columns; expected 2", "cut -f1,2"),
    "commas for tabs": ("x.tsv", "a cat,eine Katze\n" * 9, "line 1: 1 column; expected 2", "If it is CSV"),
    "pairs called text": ("x.txt", TSV, "x.txt has a tab in every line", "cut -f1,2"),
    "an empty file": ("x.tsv", "", "x.tsv is empty; expected text", "empty"),
    "blank lines only": ("x.txt", "\n \n", "holds no text, only blank lines", "expected running text"),
    "one pair": ("x.tsv", "a\tb\n", "at least 2 are needed", "1 distinct source"),
    "another ending": ("x.md", "some text\n", "x.md; expected two files", "running text is one .txt"),
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_a_wrong_file_is_named_with_what_helps(regard, tmp_path, name):
    file, content, *words = WRONG_FILES[name]
    written(tmp_path / file, content)
    done = regard("train", tmp_path / file, "--to", tmp_path / "run", *TINY)
    assert done.returncode == 2 and all(word in done.stderr for word in words), done.stderr
    assert done.stderr.count("regard: ") == 1 and not (tmp_path / "run").exists()


WRONG_CALLS = {
    "a missing file": (["none.tsv"], "none.tsv does not exist; expected a text file", "Check the spelling"),
    "a missing text": (["none.txt"], "none.txt does not exist; expected a text file", "Check the spelling"),
    "one file of two": (["a.en"], "a.en; expected two files (source and target, line by line) or one .tsv", "one .txt"),
    "three files": (["a.en", "a.de", "pairs.tsv"], "expected two files", "or one .tsv"),
    "two tables": (["pairs.tsv", "pairs.tsv"], "are two .tsv files", "Give one of them"),
    "files of other lengths": (["a.en", "short.de"], "Line counts differ", "Look near line 40"),
    "a folder without text": (["empty"], "empty is a directory without a .txt file", "expected running text"),
    "an unknown setting": (["pairs.tsv", "--set", "training.epoch=3"], "training.epoch is not a setting", "epochs"),
    "an unknown preset": (["pairs.tsv", "--preset", "medium"], "preset: medium is not a preset", "tiny"),
    "an unknown model": (["pairs.tsv", "--model", "lstm"], "model: lstm is not a family", "rnn"),
    "a model for other data": (["book.txt", "--model", "rnn"], "rnn is trained on pairs", "gpt"),
    "an unknown language": (["pairs.tsv", "--target-language", "germn"], "germn", "did you mean German (de)"),
    "no language": (["pairs.tsv", "--source-language", "zzz"], "zzz", "not a language code"),
    "no recipe": (["pairs.tsv", "--recipe", "a.en"], "a.en is not a TOML file", "line 1"),
    "pairs to validate a text": (["book.txt", "--valid", "pairs.tsv"], "validation data are pairs", "running text"),
}


@pytest.mark.parametrize("name", WRONG_CALLS)
def test_a_wrong_call_is_named_with_what_helps(regard, folder, monkeypatch, name):
    words, *expected = WRONG_CALLS[name]
    (folder / "empty").mkdir()
    written(folder / "short.de", "".join(f"{target}\n" for _, target in PAIRS[:-1]))
    written(folder / "book.txt", "It was a day like any other.\n" * 20)
    files = [str(folder / word) if (folder / word).exists() or word.startswith("none") else word for word in words]
    done = regard("train", *files, "--to", folder / "run")
    assert done.returncode == 2 and all(word in done.stderr for word in expected), done.stderr
    assert not (folder / "run").exists()


@pytest.mark.parametrize(
    "setting", [["--preset", "medium"], ["--set", "model.widht=3"], ["--set", "training.steps=0"], ["--model", "lstm"]]
)
def test_settings_are_checked_before_a_corpus_is_read(regard, tmp_path, setting):
    written(tmp_path / "x.tsv", "one column\n")  # which reading would refuse
    done = regard("train", tmp_path / "x.tsv", "--to", tmp_path / "run", *setting)
    assert done.returncode == 2 and "column" not in done.stderr and setting[1].partition("=")[0] in done.stderr


NOTICED = {
    "names of columns": (
        {"pairs.tsv": f"English\tGerman\n{TSV}"},
        ["pairs.tsv"],
        "line 1, 'English' and 'German', looks like column names",
    ),
    "repeated pairs": ({"pairs.tsv": TSV * 3}, ["pairs.tsv"], "80 repeated pairs"),
    "a validation set from the training set": (
        {"pairs.tsv": TSV, "valid.tsv": "".join(TSV.splitlines(True)[:9])},
        ["pairs.tsv", "--valid", "valid.tsv"],
        "validation pairs have a source that is ",
    ),
    "too few updates": ({"pairs.tsv": TSV}, ["pairs.tsv"], "12 steps are too few to learn from"),
}


@pytest.mark.parametrize("name", NOTICED)
def test_what_is_odd_about_pairs_is_noticed(regard, tmp_path, name):
    files, words, expected = NOTICED[name]
    for file, content in files.items():
        written(tmp_path / file, content)
    arguments = [str(tmp_path / word) if word in files else word for word in words]
    done = regard("train", *arguments, "--to", tmp_path / "run", "--model", "rnn", *TINY)
    assert done.returncode == 0 and expected in done.stderr, done.stderr


def test_two_texts_that_may_be_translations_of_each_other_are_noticed(regard, tmp_path):
    written(tmp_path / "en.txt", "".join(f"{source}\n" for source, _ in PAIRS))
    written(tmp_path / "de.txt", "".join(f"{target}\n" for _, target in PAIRS))
    arguments = (tmp_path / "en.txt", "--valid", tmp_path / "de.txt", "--to", tmp_path / "run", *TINY_TEXT)
    done = regard("train", *arguments)
    assert done.returncode == 0 and "if they are translations of each other, give both as data" in done.stderr


@pytest.mark.parametrize("name", ["text.txt.gz", "folder"])
def test_a_compressed_text_and_a_folder_of_texts_are_running_text(regard, tmp_path, name):
    (tmp_path / "folder").mkdir()
    for i in range(3):
        written(tmp_path / "folder" / f"{i}.txt", f"It was day {i} of the sea and the sky.\n" * 9)
    written(tmp_path / "text.txt.gz", gzip.compress(b"It was a day of the sea and the sky.\n" * 30))
    done = regard("train", tmp_path / name, "--to", tmp_path / "run", *TINY_TEXT)
    assert done.returncode == 0, done.stderr
    assert ("in 3 documents" in done.stderr) == (name == "folder")


def test_what_a_reader_cannot_see_in_a_translation_is_said_with_the_line(regard, trained, tmp_path):
    written(tmp_path / "in.txt", f"The book is red.\n{'The book is red and old. ' * 30}\n☃ 1847\n")
    done = regard("translate", trained, tmp_path / "in.txt")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 3
    assert "note: line 2 has " in done.stderr and "more than any sentence in training" in done.stderr
    assert "note: line 3 has characters that " in done.stderr and "☃" in done.stderr and "1847" in done.stderr


def test_an_archive_of_archives_is_refused_with_its_own_name(regard, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("pairs.tsv", TSV)
    written(tmp_path / "y.zip.gz", gzip.compress((tmp_path / "x.zip").read_bytes()))
    done = regard("train", tmp_path / "y.zip.gz", "--to", tmp_path / "run")
    assert done.returncode == 2 and "y.zip.gz is a ZIP archive" in done.stderr
