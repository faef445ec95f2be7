import subprocess
import sys
from pathlib import Path

import pytest

from regard.errors import RunError
from regard.replacing import replacing, standing

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
