import io
import os
import sys

import pytest

from regard.stderr import tell


def test_a_message_is_a_line_on_stderr(capsys):
    tell("größe: 3")
    tell("two\nlines\tand a tab")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "größe: 3\ntwo\nlines\tand a tab\n")


def test_what_a_name_brought_into_a_message_does_nothing_to_the_terminal(capsys):
    tell("runs/\x1b[2J\x07\r\u202e\x9b31m")
    assert capsys.readouterr().err == "runs/\\x1b[2J\\x07\\r\\u202e\\x9b31m\n"


def test_where_stderr_was_closed_nothing_is_written_elsewhere(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    tell("hello")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("number", [28, 32])  # no space left on device, broken pipe
def test_where_nobody_reads_on_the_work_continues_in_silence(tmp_path, monkeypatch, number):
    path = tmp_path / "stderr"

    class Gone(io.TextIOWrapper):
        def write(self, text: str) -> int:
            raise OSError(number, os.strerror(number))

    with path.open("wb") as file:
        gone = Gone(file, "utf-8")
        monkeypatch.setattr(sys, "stderr", gone)
        tell("hello")
        monkeypatch.undo()
        os.write(gone.fileno(), b"into nothing")
        gone.detach()
    assert path.read_bytes() == b""


def test_a_character_that_the_locale_has_not_is_no_error(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(written, "ascii", errors="backslashreplace"))
    tell("größe")
    assert written.getvalue() == rb"gr\xf6\xdfe" + b"\n"
