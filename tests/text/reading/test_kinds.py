"""What is no plain text is named, and the command that the message gives makes text of it that can be read."""

import bz2
import gzip
import lzma
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from regard.errors import DataError
from regard.text.reading.kinds import FORMATS
from regard.text.reading.lines import read_lines
from regard.text.reading.pairs import read_pairs

PAIRS = [("a cat", "eine Katze"), ("two, three", "zwei; drei")]
TSV = "".join(f"{source}\t{target}\n" for source, target in PAIRS)


def refused(path: Path) -> str:
    with pytest.raises(DataError) as found:
        read_pairs([path])
    return str(found.value)


def converted(message: str, folder: Path) -> Path:
    """Run the command that a message ends with, and return the file that it wrote."""
    before = set(folder.iterdir())
    subprocess.run(["bash", "-c", message.rpartition(": ")[2]], check=True, cwd=folder)
    (made,) = set(folder.iterdir()) - before
    return made


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_format_is_named_by_the_ending_of_its_name(tmp_path, suffix):
    (tmp_path / f"x{suffix}").write_text("anything")
    what, _ = FORMATS[suffix]
    assert refused(tmp_path / f"x{suffix}").startswith(f"{tmp_path}/x{suffix} is {what}; expected plain text in UTF-8.")


def test_the_command_for_csv_gives_the_pairs(tmp_path):
    (tmp_path / "my pairs.csv").write_text('a cat,eine Katze\n"two, three","zwei; drei"\n', encoding="utf-8")
    assert list(read_pairs([converted(refused(tmp_path / "my pairs.csv"), tmp_path)])) == PAIRS


def test_the_command_for_a_translation_memory_gives_the_pairs(tmp_path):
    units = "".join(
        f"<tu><tuv xml:lang='en'><seg>{source}</seg></tuv><tuv xml:lang='de'><seg>{target}</seg></tuv></tu>"
        for source, target in PAIRS
    )
    (tmp_path / "x.tmx").write_text(f"<?xml version='1.0'?><tmx><body>{units}</body></tmx>", encoding="utf-8")
    assert list(read_pairs([converted(refused(tmp_path / "x.tmx"), tmp_path)])) == PAIRS


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")
def test_the_command_for_json_lines_gives_the_pairs(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"source": "a cat", "target": "eine Katze"}\n', encoding="utf-8")
    message = refused(tmp_path / "x.jsonl").partition(", with your file's")[0]
    assert list(read_pairs([converted(message, tmp_path)])) == PAIRS[:1]


def test_old_mac_line_ends_are_named_and_the_command_mends_them(tmp_path):
    (tmp_path / "mac.tsv").write_text(TSV.replace("\n", "\r"), encoding="utf-8", newline="")
    message = refused(tmp_path / "mac.tsv")
    assert "the lines end in a carriage return alone, as on old Macs" in message
    made = converted(message, tmp_path)
    assert list(read_pairs([made.rename(tmp_path / "new.tsv")])) == PAIRS


def test_utf_16_is_named_and_the_command_converts_it(tmp_path):
    (tmp_path / "x.tsv").write_text(TSV, encoding="utf-16")
    message = refused(tmp_path / "x.tsv")
    assert "is UTF-16; expected UTF-8" in message
    made = converted(message, tmp_path)
    assert list(read_pairs([made.rename(tmp_path / "new.tsv")])) == PAIRS


def test_three_columns_are_cut_to_two_by_the_command(tmp_path):
    (tmp_path / "deu.tsv").write_text(TSV.replace("\n", "\tCC-BY\n"), encoding="utf-8")
    message = refused(tmp_path / "deu.tsv")
    assert "line 1: 3 columns; expected 2 (source, tab, target) (and 1 more)" in message
    assert list(read_pairs([converted(message, tmp_path)])) == PAIRS


def test_commas_for_tabs_are_taken_for_csv(tmp_path):
    (tmp_path / "x.tsv").write_text("a cat,eine Katze\na dog,ein Hund\n")
    message = refused(tmp_path / "x.tsv")
    assert "line 1: 1 column; expected 2" in message and "If it is CSV, convert it: " in message
    assert list(read_pairs([converted(message, tmp_path)])) == [("a cat", "eine Katze"), ("a dog", "ein Hund")]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_compressed_files_are_read_by_what_they_are(tmp_path, pack, suffix):
    (tmp_path / f"pairs.tsv.{suffix}").write_bytes(pack(TSV.encode()))  # a wrong ending misleads nobody
    assert list(read_pairs([tmp_path / f"pairs.tsv.{suffix}"])) == PAIRS


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("cut", [lambda content: content[:-7], lambda content: content[:20] + b"?" + content[21:]])
def test_a_compressed_file_that_is_damaged_is_refused(tmp_path, pack, cut):
    (tmp_path / "pairs.tsv.gz").write_bytes(cut(pack(TSV.encode() * 50)))
    assert "pairs.tsv.gz is damaged: " in refused(tmp_path / "pairs.tsv.gz")


def test_archives_are_named_whatever_they_are_called(tmp_path):
    (tmp_path / "x.txt").write_text("text")
    with zipfile.ZipFile(tmp_path / "a.tsv", "w") as archive:
        archive.write(tmp_path / "x.txt")
    with tarfile.open(tmp_path / "b.tsv.gz", "w:gz") as archive:
        archive.add(tmp_path / "x.txt")
    (tmp_path / "c.txt").write_bytes(b"%PDF-1.7\n")
    (tmp_path / "d.docx").write_bytes((tmp_path / "a.tsv").read_bytes())
    found = {
        "a.tsv": "is a ZIP archive; expected plain text in UTF-8. Convert it: unzip ",
        "b.tsv.gz": "is a tar archive; expected plain text in UTF-8. Convert it: tar xf ",
        "c.txt": "is a PDF; expected plain text in UTF-8. Convert it: pdftotext ",
        "d.docx": "is a Word document; expected plain text in UTF-8. Convert it: pandoc ",
    }
    for name, message in found.items():
        with pytest.raises(DataError) as error:
            read_lines(tmp_path / name)
        assert message in str(error.value)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_several_members_are_read_and_damage_behind_the_first_is_refused(tmp_path, pack):
    path, whole = tmp_path / "pairs.tsv.gz", pack(TSV.encode())
    path.write_bytes(whole + whole)
    assert list(read_pairs([path])) == PAIRS * 2
    for damaged in (whole + whole[:20] + b"?" + whole[21:], whole + b"plain text\n", whole + whole[:-9]):
        path.write_bytes(damaged)
        assert "pairs.tsv.gz is damaged: " in refused(path)


def test_the_command_for_a_compressed_file_unpacks_it(tmp_path):
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"a cat,eine Katze\n"))
    assert list(read_pairs([converted(refused(tmp_path / "x.csv.gz"), tmp_path)])) == PAIRS[:1]
