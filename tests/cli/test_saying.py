import io
import sys
from types import SimpleNamespace

import pytest

from regard.cli.saying import display, is_first, out, print_text, say
from regard.display import Lines, Silent
from regard.errors import RunError


@pytest.mark.parametrize(
    ("rank", "size", "first"), [(None, None, True), ("0", "2", True), ("1", "2", False), ("1", None, True)]
)
def test_of_several_processes_the_first_one_speaks(monkeypatch, capsys, rank, size, first):
    for name, value in (("RANK", rank), ("WORLD_SIZE", size)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert is_first() == first
    assert isinstance(display(), Lines if first else Silent)
    say("hello")
    assert capsys.readouterr().err == "hello\n" * first


def test_results_are_utf_8_whatever_the_locale_is(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii"))
    print_text("größe\x1b[0m")
    assert written.getvalue() == "größe\x1b[0m\n".encode()


def test_where_standard_output_is_closed_that_is_said(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(
        RunError, match=r"^Standard output is closed, so there is nowhere to write\. Leave it open, or redirect"
    ):
        out()
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer="bytes"))
    assert out() == "bytes"
