"""The house's one plan: which part may import which. A change of this table is a change of the design: say why."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "regard"
NO_FOLDERS = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}

TABLE = {
    "errors": "",
    "batch": "errors",
    "stderr": "",
    "display": "stderr",
    "waiting": "",
    "runtime": "errors waiting",
    "replacing": "errors",
    "text": "errors batch replacing",
    "nn": "errors",
    "arguments": "errors",
    "evaluation": "errors arguments text.languages text.numbers",
    "models": "errors batch nn",
    "bundle": "errors batch replacing text nn models",
    "samples": "errors text",
    "training": "errors batch replacing stderr display runtime nn models bundle",
    "decoding": "errors batch runtime nn models.protocol",
    "inspection": "errors batch replacing nn models.protocol",
    "pipeline": "errors arguments batch runtime text bundle models.protocol decoding inspection",
    "interop": "errors text nn models bundle",
    "proof": "errors batch nn models decoding",
    "presets": "",
    "recipe": "errors text models training presets",
    "jobs": "errors arguments display runtime replacing text models bundle training decoding evaluation pipeline "
    "presets recipe",
    "settings_reference": "errors text models training recipe jobs",
    "face": "errors arguments display runtime text bundle training evaluation pipeline recipe jobs proof",
    "serving": "errors runtime bundle decoding inspection pipeline",
}
EVERYTHING = {"cli", "__main__"}


def part(module: str) -> str:
    """Return the part a module belongs to: "nn" for "regard.nn.trace", "" for "regard" itself."""
    return [*module.split("."), ""][1]


def imports(source: str) -> Iterator[str]:
    """Yield the full name of every module of ours that a piece of source imports, wherever the import stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports inside the package are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "regard")


def violations(path: Path) -> list[str]:
    relative = path.relative_to(PACKAGE.parent).with_suffix("")
    own = part(".".join(relative.parts))
    if own in EVERYTHING or own == "__init__":
        return []
    allowed = {own, "", "__version__", *TABLE[own].split()}
    return [
        f"{relative} imports {name}"
        for name in imports(path.read_text(encoding="utf-8"))
        if part(name) not in allowed and ".".join(name.split(".")[1:3]) not in allowed
    ]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_what_the_table_allows(path):
    assert violations(path) == []


def test_every_part_of_the_package_stands_in_the_table():
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or any(path.glob("*.py"))}
    assert parts - {"__init__"} <= TABLE.keys() | EVERYTHING


def test_no_folder_or_module_has_a_name_that_says_nothing():
    places = [path for folder in ("src", "tests", "benchmarks", "examples") for path in (ROOT / folder).rglob("*")]
    assert [path for path in places if path.stem in NO_FOLDERS] == []


def test_the_face_imports_nothing_heavy_until_it_is_asked():
    program = "import sys, regard; print('torch' in sys.modules, 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.split() == ["False", "False"]


def test_every_name_of_the_face_is_there():
    import regard

    assert all(getattr(regard, name) is not None for name in regard.__all__)


def test_imports_are_found_wherever_they_stand():
    source = "import torch, regard.nn\ndef f():\n    from regard.models.protocol import Model\n    from os import path"
    assert list(imports(source)) == ["regard.nn", "regard.models.protocol.Model"]
