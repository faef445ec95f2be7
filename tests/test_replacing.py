import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from regard.errors import RunError
from regard.replacing import HEAD, replacing, replacing_file, standing

MARKER = "whole"

KILLED_AT_A_LINE = """
import os, sys
from pathlib import Path
from regard.replacing import replacing

left = int(sys.argv[2])

def trace(frame, event, argument):
    global left
    if Path(frame.f_code.co_filename).name not in {"replacing.py", "shutil.py", "<string>"}:
        return None
    if event == "line":
        left -= 1
        if left < 0:
            os._exit(9)
    return trace

def save():
    with replacing(Path(sys.argv[1]), "whole") as place:
        (place / "content").write_text("new")
        (place / "whole").write_text("new")

sys.settrace(trace)
save()
"""


def replace(directory: Path, content: str) -> None:
    with replacing(directory, MARKER) as place:
        (place / "content").write_text(content)
        (place / MARKER).write_text(content)


def content(directory: Path) -> str:
    """Return what a reader finds, after checking that it is whole."""
    place = standing(directory, MARKER)
    assert (place / "content").read_text() == (place / MARKER).read_text()
    return (place / MARKER).read_text()


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def killed_save(directory: Path, n_lines: int) -> bool:
    """Save "new" in another process that is killed after so many lines; tell whether it was."""
    command = [sys.executable, "-c", KILLED_AT_A_LINE, str(directory), str(n_lines)]
    return subprocess.run(command, check=False).returncode == 9


def test_a_directory_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    for generation in ("first", "second", "third"):
        replace(tmp_path / "deep" / "place", generation)
        assert content(tmp_path / "deep" / "place") == generation
    assert names(tmp_path / "deep") == ["place"]


def test_an_empty_directory_is_taken(tmp_path):
    (tmp_path / "place").mkdir()
    replace(tmp_path / "place", "new")
    assert content(tmp_path / "place") == "new"


def test_a_block_that_fails_changes_nothing(tmp_path):
    replace(tmp_path / "place", "old")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "place", MARKER) as place:
        (place / "content").write_text("new")
        raise ZeroDivisionError
    assert content(tmp_path / "place") == "old"
    assert names(tmp_path) == ["place"]


def test_a_directory_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match=r"exists and is something else \(it has no whole\)"):
        replace(tmp_path / "place", "new")
    assert names(tmp_path / "place") == ["thesis.txt"]


def test_a_file_is_left_alone(tmp_path):
    (tmp_path / "place").write_text("years of work")
    with pytest.raises(RunError, match="exists and is something else"):
        replace(tmp_path / "place", "new")
    assert (tmp_path / "place").read_text() == "years of work"


def test_a_place_that_cannot_be_written_is_an_error_of_the_user(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written: "):
        replace(tmp_path / "file" / "place", "new")


@pytest.mark.parametrize("before", ["old", None])
def test_a_kill_at_a_line_leaves_the_old_content_or_the_new(tmp_path, before):
    seen = set()
    for n_lines in range(0, 200, 3):
        directory = tmp_path / str(n_lines) / "place"
        directory.parent.mkdir()
        if before is not None:
            replace(directory, before)
        killed = killed_save(directory, n_lines)
        found = content(directory) if standing(directory, MARKER).exists() else None
        assert found in ({before, "new"} if killed else {"new"})
        seen.add(found)
        replace(directory, "newer")
        assert content(directory) == "newer"
        assert names(directory.parent) == ["place"]
        if not killed:
            break
    assert seen == {before, "new"}
    assert not killed


def test_what_was_set_aside_is_found_although_somebody_made_the_directory_anew(tmp_path):
    replace(tmp_path / "place", "old")
    (tmp_path / "place").rename(tmp_path / ".place.old")
    (tmp_path / "place").mkdir()
    assert content(tmp_path / "place") == "old"
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "place", MARKER):
        raise ZeroDivisionError
    assert content(tmp_path / "place") == "old"
    assert names(tmp_path) == ["place"]


def is_ours(head: bytes) -> bool:
    return head.startswith(b"ours")


def write_file(path: Path, content: bytes, of_ours=is_ours) -> None:
    with replacing_file(path, of_ours) as file:
        file.write(content)


def test_a_file_is_written_where_there_was_none_and_over_one_of_ours(tmp_path):
    for content in (b"ours, first", b"ours, second"):
        write_file(tmp_path / "page.html", content)
        assert (tmp_path / "page.html").read_bytes() == content
    assert names(tmp_path) == ["page.html"]


def test_an_empty_file_is_taken(tmp_path):
    (tmp_path / "page.html").touch()
    write_file(tmp_path / "page.html", b"ours")
    assert (tmp_path / "page.html").read_bytes() == b"ours"


def test_a_file_that_is_not_ours_is_left_alone_unless_any_may_be_replaced(tmp_path):
    (tmp_path / "thesis.html").write_bytes(b"years of work")
    with pytest.raises(
        RunError, match=r"thesis\.html exists and regard did not write it, so it was not replaced\."
    ) as caught:
        write_file(tmp_path / "thesis.html", b"ours")
    assert caught.value.ways == ("force",)
    assert (tmp_path / "thesis.html").read_bytes() == b"years of work" and names(tmp_path) == ["thesis.html"]
    write_file(tmp_path / "thesis.html", b"new", None)
    assert (tmp_path / "thesis.html").read_bytes() == b"new"


def test_a_file_is_known_by_its_beginning(tmp_path):
    (tmp_path / "page.html").write_bytes(b"x" * 100_000)
    seen = []
    with pytest.raises(RunError, match="regard did not write it"):
        write_file(tmp_path / "page.html", b"ours", lambda head: seen.append(len(head)))
    assert seen == [HEAD]


def test_a_block_that_fails_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path):
    write_file(tmp_path / "page.html", b"ours")
    with pytest.raises(ZeroDivisionError), replacing_file(tmp_path / "page.html", is_ours) as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert (tmp_path / "page.html").read_bytes() == b"ours" and names(tmp_path) == ["page.html"]


def test_a_directory_that_is_missing_is_said_and_not_made(tmp_path):
    with pytest.raises(RunError, match=r"cannot be written: the directory .*none does not exist\. Create it first\."):
        write_file(tmp_path / "none" / "page.html", b"ours")
    assert names(tmp_path) == []


def test_what_is_no_regular_file_is_left_alone(tmp_path):
    (tmp_path / "page.html").mkdir()
    (tmp_path / "link.html").symlink_to(tmp_path / "page.html")
    os.mkfifo(tmp_path / "pipe.html")
    for name in ("page.html", "link.html", "pipe.html"):
        with pytest.raises(RunError, match=r"\.html cannot be written: it is not a regular file\. Choose another"):
            write_file(tmp_path / name, b"ours", None)
    assert names(tmp_path) == ["link.html", "page.html", "pipe.html"]
    assert (tmp_path / "page.html").is_dir() and (tmp_path / "pipe.html").is_fifo()


def test_what_a_link_points_to_is_replaced_and_not_the_link(tmp_path):
    (tmp_path / "there").mkdir()
    write_file(tmp_path / "there" / "page.html", b"ours")
    (tmp_path / "here.html").symlink_to(tmp_path / "there" / "page.html")
    write_file(tmp_path / "here.html", b"ours, newer")
    assert (tmp_path / "here.html").is_symlink()
    assert (tmp_path / "there" / "page.html").read_bytes() == b"ours, newer"
    (tmp_path / "there" / "page.html").write_bytes(b"years of work")
    with pytest.raises(RunError, match="regard did not write it"):
        write_file(tmp_path / "here.html", b"ours")


def test_a_disk_that_is_full_is_an_error_of_the_user_and_changes_nothing(tmp_path):
    write_file(tmp_path / "page.html", b"ours")
    message = r"page\.html cannot be written: No space left on device\. Choose another name, or free space\."
    with pytest.raises(RunError, match=message), replacing_file(tmp_path / "page.html", is_ours) as file:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (tmp_path / "page.html").read_bytes() == b"ours" and names(tmp_path) == ["page.html"]


@pytest.mark.parametrize("name", ["x" * 250 + ".html", "ä" * 120 + ".html"])
def test_a_name_as_long_as_the_disk_allows_can_be_written(tmp_path, name):
    write_file(tmp_path / name, b"ours")
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("name", ["x" * 300 + ".html", "a\0b"])
def test_a_name_that_no_file_can_have_is_an_error_of_the_user(tmp_path, name):
    with pytest.raises(RunError, match=r"cannot be written: |cannot be the name of a file: it contains a NUL\. Choose"):
        write_file(tmp_path / name, b"ours")
