import random

import pytest

from regard.text.reading.mismatch import first_misfit


def parallel(n: int) -> tuple[list[str], list[str]]:
    """Made sentences whose translations are a fifth longer, give or take."""
    lengths = [random.Random(i).randint(10, 120) for i in range(n)]
    return ["x" * length for length in lengths], ["y" * round(length * 1.2 + i % 5) for i, length in enumerate(lengths)]


@pytest.mark.parametrize("at", [0, 7, 150, 298])
@pytest.mark.parametrize("n_missing", [1, 3])
@pytest.mark.parametrize("side", [0, 1])
def test_missing_lines_are_found_to_the_line_or_its_neighbour(at, n_missing, side):
    sides = parallel(300 + n_missing)
    del sides[side][at : at + n_missing]
    line, what = first_misfit(*sides)
    assert abs(line - (at + 1)) <= 1
    if line <= 300:
        assert what.endswith(f"from there on the files match better when shifted by {n_missing}")


def test_both_lengths_of_the_line_are_said():
    sources, targets = ["one", "two words", "three", "a long line of text"], ["eins", "drei", "eine lange Zeile Text"]
    line, what = first_misfit(sources, targets)
    assert line == 2
    assert what.startswith("it has 9 and 4 characters")


def test_a_file_that_was_cut_off_is_recognised():
    sources, targets = parallel(50)
    assert first_misfit(sources, targets[:40]) == (41, "the lines before it match, and the shorter file ends there")


def test_an_empty_line_too_much_is_found():
    sources, targets = parallel(50)
    targets.insert(20, "")
    line, what = first_misfit(sources, targets)
    assert line == 21
    assert "and 0 characters" in what
