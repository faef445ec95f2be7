"""`regard settings`: all settings, as tables in a terminal, as lines in a pipe, or as the page of the docs."""

import sys
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from regard.cli.saying import out, print_text
from regard.settings_reference import Group, all_settings, as_markdown, find_settings


def run_settings(name: str | None, markdown: bool) -> None:
    """Print all settings, or those that a name stands for."""
    out()  # a closed stdout is reported first
    groups = all_settings() if name is None else find_settings(name.strip())
    if markdown:
        print_text(as_markdown(groups))
    elif sys.stdout.isatty():
        for group in groups:
            print_table(group, Console())
    else:
        print_text("\n".join(lines(groups)))


def lines(groups: Sequence[Group]) -> list[str]:
    """Return a tab-separated line for each setting: name, what it is for, default, values, meaning."""
    return [
        "\t".join((setting.name, group.of or "all", setting.default, setting.values, setting.meaning))
        for group in groups
        for setting in group.settings
    ]


def print_table(group: Group, console: Console) -> None:
    """Print settings as a table that fits into 80 columns."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("setting", no_wrap=True)
    table.add_column("default", no_wrap=True)
    table.add_column("values and meaning")
    for setting in group.settings:
        table.add_row(setting.key, Text(setting.default), Text.assemble((setting.values, "dim"), "\n", setting.meaning))
    console.print(Text(group.title, "bold"))
    for paragraph in group.about:
        console.print(Text(paragraph))
    console.print(table)
