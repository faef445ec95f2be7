"""What the README says of results is what the page of results says, and its commands are commands."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from regard.cli.app import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return README.split(f"## {title}\n")[1].split("\n## ")[0]


FIGURES = sorted(set(re.findall(r"\d+\.\d+", section("Results") + section("Which model"))) - {"2.3.0", "0.6.4"})


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_stands_in_the_results(figure):
    assert len(FIGURES) > 10 and re.search(rf"(?<![\d.]){re.escape(figure)}(?!\d)", RESULTS)


@pytest.mark.parametrize("line", re.findall(r"^regard (.*?)(?:  +#.*)?$", section("On the command line"), re.MULTILINE))
def test_every_command_is_one_with_options_that_it_has(line):
    verb, *words = line.split()
    known = {name for parameter in get_command(app).commands[verb].params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_what_the_readme_links_to_is_there():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(links) > 10 and all((ROOT / link).exists() for link in links)
