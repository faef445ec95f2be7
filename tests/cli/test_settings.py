import io
import sys

import pytest
from rich.console import Console
from tests.conftest import assert_refused

from regard.cli.settings import lines, print_table, run_settings
from regard.settings_reference import all_settings, find_settings


def test_in_a_pipe_each_setting_is_a_line(regard):
    done = regard("settings", "training.r_drop")
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    name, of, default, values, meaning = line.split("\t")
    assert (name, of, default, values) == ("training.r_drop", "all", "0.0", "number from 0 to 1,000")
    assert "Liang et al. 2021" in meaning


def test_a_name_that_several_have_gives_all_of_them():
    found = [line.split("\t")[:2] for line in lines(find_settings("width"))]
    assert found == [["model.width", family] for family in ("rnn", "bahdanau", "transformer", "gpt")]


def test_a_name_that_is_unknown_ends_with_the_nearest_and_code_2(regard):
    assert_refused(
        regard("settings", "training.minuts"), "training.minuts is not a setting. Did you mean training.minutes?"
    )


@pytest.mark.parametrize("group", all_settings(), ids=lambda group: group.title)
def test_a_table_fits_into_80_columns_and_says_everything(group):
    console = Console(width=80, file=io.StringIO())
    print_table(group, console)
    shown = console.file.getvalue()
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "…" not in shown
    words = set(shown.split())
    for setting in group.settings:
        said = f"{setting.key} {setting.default} {setting.values} {setting.meaning}"
        assert set(said.split()) <= words


def test_a_terminal_gets_tables_and_a_pipe_lines(monkeypatch, capsysbinary):
    run_settings(" tokenizer ", markdown=False)
    assert capsysbinary.readouterr().out.count(b"\t") == 4 * len(find_settings("tokenizer")[0].settings)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    run_settings("tokenizer", markdown=False)
    shown = capsysbinary.readouterr().out.decode()
    assert "How text is split into subword pieces." in shown and "n_control_ids" in shown and "\t" not in shown


def test_as_markdown_a_section_has_its_table(capsysbinary):
    run_settings("training.minutes", markdown=True)
    page = capsysbinary.readouterr().out.decode()
    assert "\n## training\n" in page
    assert "\n| `training.minutes` | not set | number from 0.001 to 10^6 | The maximum training time in minutes" in page
