"""Bundles and runs as somebody would make them who means harm: every file damaged in its own way, manifests correct."""

import json
import os
import shutil
import socket
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from regard.bundle.files import entry_of

Damage = Callable[[Path], None]

DEEP = "[" * 100_000
NUMBERS: list[Any] = [0, -1, 10**9, 10**12, 10**400, 1e308, 0.5, "8", True, None, [8], {"a": 1}]


def reseal(directory: Path) -> None:
    """Make the manifest true again after a change, as somebody who means it would."""
    path = directory / "manifest.json"
    manifest = json.loads(path.read_text())
    for part in ("files", "extra"):
        manifest[part] = {name: entry_of(directory / name).model_dump() for name in manifest[part]}
    path.write_text(json.dumps(manifest))


def sealed(change: Damage) -> Damage:
    """Return the damage with a manifest that confirms it."""

    def damage(directory: Path) -> None:
        change(directory)
        reseal(directory)

    return damage


def written(name: str, content: str | bytes) -> Damage:
    """Write something else into a file."""

    def change(directory: Path) -> None:
        (directory / name).write_bytes(
            content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        )

    return sealed(change)


def edited(name: str, edit: Callable[[dict[str, Any]], Any]) -> Damage:
    """Change what a JSON file says."""

    def change(directory: Path) -> None:
        content = json.loads((directory / name).read_text(encoding="utf-8"))
        content = edit(content) or content
        (directory / name).write_text(json.dumps(content), encoding="utf-8")

    return sealed(change)


def put(name: str, *path: str, value: Any) -> Damage:
    """Set one value of a JSON file."""

    def edit(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content.setdefault(key, {})
        content[path[-1]] = value

    return edited(name, edit)


def tensors_of(name: str, change: Callable[[dict[str, torch.Tensor]], Any]) -> Damage:
    """Change the tensors in a file, or give others."""

    def damage(directory: Path) -> None:
        tensors = load_file(directory / name)
        changed = change(tensors)
        save_file(changed if isinstance(changed, dict) else tensors, directory / name)

    return sealed(damage)


weights = partial(tensors_of, "model.safetensors")
state = partial(tensors_of, "train_state.safetensors")


def first(tensors: dict[str, torch.Tensor]) -> str:
    return min(tensors)


def wide(tensors: dict[str, torch.Tensor]) -> str:
    return min(name for name, tensor in tensors.items() if tensor.ndim > 1)


def header(content: bytes, length: int | None = None) -> Damage:
    """Write a safetensors file with a list of tensors of one's own."""
    n_bytes = len(content) if length is None else length
    return written("model.safetensors", struct.pack("<Q", n_bytes) + content + b"\0" * 64)


def replaced(name: str, make: Callable[[Path], None]) -> Damage:
    """Put something else than a regular file in the place of one; the manifest is that of the file."""

    def damage(directory: Path) -> None:
        (directory / name).rename(directory.parent / f"{directory.name}-{name}")
        make(directory / name)

    return damage


def a_socket(path: Path) -> None:
    os.chdir(path.parent)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as here:
        here.bind(path.name)


def of_manifest(edit: Callable[[dict[str, Any]], Any]) -> Damage:
    def damage(directory: Path) -> None:
        content = json.loads((directory / "manifest.json").read_text())
        content = edit(content) or content
        (directory / "manifest.json").write_text(json.dumps(content))

    return damage


def text_damages(name: str) -> Iterator[tuple[str, Damage]]:
    """Yield what can be wrong with any file of JSON."""
    for what, content in {
        "empty": "",
        "half": '{"format": 2, ',
        "deep": DEEP,
        "deep objects": '{"a":' * 50_000,
        "a list": "[1, 2]",
        "a word": '"x"',
        "a number": "1e999",
        "no UTF-8": b"\xff\xfe{}",
        "huge": '{"x": "' + "y" * 3_000_000 + '"}',
        "many lists": "[" + "[]," * 1_000_000 + "[]]",
    }.items():
        yield f"{name} is {what}", written(name, content)


def config_damages(settings: dict[str, Any]) -> Iterator[tuple[str, Damage]]:
    """Yield what can be wrong with config.json, of a model with these settings."""
    name = "config.json"
    for key in ("format", "regard", "family", "weights", "model"):
        for value in (None, [], 10**400, -1, "\x1b[31mred", "x" * 100_000):
            yield f"config {key}={str(value)[:12]!r}", put(name, key, value=value)
    for value in ("int8", "complex64", "float16"):
        yield f"config weights={value}", put(name, "weights", value=value)
    yield "config of another format", edited(name, lambda c: c.update(format=3 - c["format"]))
    yield "config with a further key", put(name, "code", value="import os")
    for key, value in settings.items():
        if isinstance(value, int) and not isinstance(value, bool):
            for number in NUMBERS:
                if number != value and not (number is None and key == "n_kv_heads"):
                    yield f"model {key}={str(number)[:12]}", put(name, "model", key, value=number)
        elif isinstance(value, str):
            yield f"model {key} unknown", put(name, "model", key, value="\x1b]0;x\x07")
        elif isinstance(value, float):
            yield f"model {key}=2", put(name, "model", key, value=2.0)
    if "n_heads" in settings:
        yield "width 10^12 and 7 heads", edited(name, lambda c: c["model"].update(width=10**12, n_heads=7))
    yield "an unknown setting", put(name, "model", "eyes", value=3)


def card_damages(job: str) -> Iterator[tuple[str, Damage]]:
    """Yield what can be wrong with card.json."""
    name = "card.json"
    yield from text_damages(name)
    for path, values in {
        ("job",): [7, None, "perceive", "\x1b[2J", ["pairs"]],
        ("data",): [[], "x"],
        ("data", "fingerprint"): [7, "x" * 100],
        ("data", "documents"): ["many", -1, 10**400, 1.5],
        ("languages",): ["de", [1, 2], ["a", "b", "c"]],
        ("decoding",): [[], "fast", {"speed": 1}],
        ("trained", "step"): ["x", -1, 10**400],
        ("trained", "best_score"): ["x", [1]],
        ("validation",): [[1], {"bleu": "high"}],
        ("parent",): ["x", {"path": 3, "weights": "y"}],
        ("arithmetic", "threads"): [0, "two"],
    }.items():
        for value in values:
            yield f"card {'.'.join(path)}={str(value)[:12]!r}", put(name, *path, value=value)
    options = {
        "pairs": ("beam", "max_extra", "max_ratio", "batch_tokens", "length_penalty"),
        "text": ("max_tokens", "top_k"),
    }
    for option in options[job]:
        for value in (-1, 10**12, "x", [1], 1e308):
            yield f"card decoding.{option}={str(value)[:12]}", put(name, "decoding", option, value=value)
    yield "card with NaN", written(name, '{"trained": {"best_score": NaN}}')


def tokenizer_damages(name: str) -> Iterator[tuple[str, Damage]]:
    """Yield what can be wrong with a tokenizer of format 2."""
    yield from text_damages(name)
    for key, values in {
        "kind": ["words", 3],
        "running": ["yes", None],
        "normalisation": [7, "1"],
        "digits": ["in Roman numbers", "grouped"],
        "n_control_ids": [-1, 10**9, 31, "x"],
        "pieces": [[], "abc", [1, 2], ["a"] * 400],
        "merges": [[["zz", "qq"]], [["a"]], "ab", [["a", "b"]] * 5000],
        "scores": [[1.0], ["x"], [1e400]],
        "padding": [{"strategy": {"Fixed": 4096}}],
    }.items():
        for value in values:
            yield f"tokenizer {key}={str(value)[:16]}", put(name, key, value=value)
    for what, piece in {"newline": "a\nb", "carriage return": "\r", "nothing": "", "a huge one": "x" * 20_000}.items():
        yield f"tokenizer piece {what}", edited(name, lambda c, piece=piece: c["pieces"].__setitem__(-1, piece))
    yield "tokenizer piece of a surrogate", edited(name, lambda c: c["pieces"].__setitem__(-1, "\ud800"))
    yield "tokenizer without a byte", edited(name, lambda c: c["pieces"].__setitem__(0, "<0xZZ>"))
    yield "tokenizer with a piece too few", edited(name, lambda c: c["pieces"].pop())
    yield "tokenizer with a piece too many", edited(name, lambda c: c["pieces"].append("東"))


def first_format_damages(name: str) -> Iterator[tuple[str, Damage]]:
    """Yield what can be wrong with a tokenizer of format 1, which was a pipeline of a library."""
    fixed = {"direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "<pad>", "pad_to_multiple_of": None}
    fixed["strategy"] = {"Fixed": 4096}
    expanding = [{"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaa"} for _ in range(4)]
    cut = {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0}
    added = {"id": 3, "content": "hello", "single_word": False, "lstrip": False, "rstrip": False}
    added |= {"normalized": False, "special": False}
    for key, value in {
        "padding": fixed,
        "truncation": cut,
        "normalizer": {"type": "Sequence", "normalizers": expanding},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}},
        "decoder": {"type": "Replace", "pattern": {"String": "a"}, "content": "\n\n\n"},
        "added_tokens": [added],
    }.items():
        yield f"first format with {key}", put(name, key, value=value)
    for key, value in {"dropout": 0.5, "unk_token": "a", "type": "WordLevel", "byte_fallback": False}.items():
        yield f"first format, model {key}={value}", put(name, "model", key, value=value)
    yield "first format with gaps", edited(name, lambda c: c["model"]["vocab"].update({"far": 10**6}))
    yield "first format without specials", edited(name, lambda c: c["model"]["vocab"].pop("</s>"))
    yield "first format, ids of words", edited(name, lambda c: c["model"].update(vocab={"a": "b"}))
    yield from text_damages(name)


def weight_damages() -> Iterator[tuple[str, Damage]]:
    """Yield what can be wrong with model.safetensors."""
    name = "model.safetensors"
    for dtype in (
        torch.float16,
        torch.float64,
        torch.int32,
        torch.int8,
        torch.bool,
        torch.float8_e4m3fn,
        torch.complex64,
    ):
        yield f"weights of {dtype}", weights(lambda t, dtype=dtype: {key: x.to(dtype) for key, x in t.items()})
    for value in (float("nan"), float("inf"), float("-inf")):
        yield f"a weight of {value}", weights(lambda t, value=value: t[first(t)].view(-1).__setitem__(0, value))
    yield "one tensor of another type", weights(lambda t: t.update({first(t): t[first(t)].double()}))
    yield "a tensor too few", weights(lambda t: t.pop(first(t)) is None)
    yield "a tensor too many", weights(lambda t: t.update({"more": torch.zeros(3)}))
    yield "a name with escape codes", weights(lambda t: t.update({"\x1b[31m\x07red\n": torch.zeros(3)}))
    yield "a name of 100,000 letters", weights(lambda t: t.update({"x" * 100_000: torch.zeros(3)}))
    yield "a matrix laid flat", weights(lambda t: t.update({wide(t): t[wide(t)].flatten()}))
    yield "no tensors", weights(lambda t: {"none": torch.zeros(0)})
    yield "no safetensors", written(name, b"\x80\x04pickled?")
    yield "nothing", written(name, b"")
    yield "a header of 2^60 bytes", header(b"{}", 2**60)
    yield "a header longer than the file", header(b"{}", 10_000)
    yield "a header of nothing", header(b"", 0)
    yield "a deep header", header(DEEP.encode())
    yield "a header of 3 MB", header(b" " * 3_000_000)
    yield "a header that is a list", header(b"[]")
    far = {"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 2**62]}}
    yield "sizes that overflow", header(json.dumps(far).encode())
    negative = {"a": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}}
    yield "offsets that run backwards", header(json.dumps(negative).encode())


def manifest_damages() -> Iterator[tuple[str, Damage]]:
    """Yield what can be wrong with the manifest itself, and with what lies at its names."""
    for what, content in {"empty": "", "deep": DEEP, "a list": "[]", "huge": " " * 2_000_000, "{}": "{}"}.items():
        yield f"manifest {what}", lambda d, content=content: (d / "manifest.json").write_text(content) and None
    for value in (0, 3, 99, -1, 10**400, "2", None, True):
        yield f"manifest format {str(value)[:12]}", of_manifest(lambda m, value=value: m.update(format=value))
    for extra in ("../x", "/etc/passwd", "a/b", "", ".", "..", "C:\\x", "manifest.json", "config.json", "a\x1bb"):
        entry = {"size": 1, "sha256": "0" * 64}
        yield (
            f"manifest names {extra!r}",
            of_manifest(lambda m, extra=extra, entry=entry: m["extra"].update({extra: entry})),
        )
    for size in (-1, 2**70, "9", 1.5):
        yield f"manifest size {size}", of_manifest(lambda m, size=size: m["files"]["card.json"].update(size=size))
    yield (
        "manifest sum of capitals",
        of_manifest(lambda m: m["files"]["card.json"].update(sha256=m["files"]["card.json"]["sha256"].upper() + "x")),
    )
    yield "manifest without the card", of_manifest(lambda m: m["files"].pop("card.json") and None)
    yield "manifest with code", of_manifest(lambda m: m.update(run="rm"))
    for name in ("manifest.json", "config.json", "card.json", "model.safetensors"):
        aside = lambda path: path.parent.parent / f"{path.parent.name}-{path.name}"  # noqa: E731
        yield f"{name} is a link", replaced(name, lambda path, aside=aside: path.symlink_to(aside(path)))
        yield f"{name} is a link to nowhere", replaced(name, lambda path: path.symlink_to("/nowhere"))
        yield f"{name} is a device", replaced(name, lambda path: path.symlink_to("/dev/zero"))
        yield f"{name} is a pipe", replaced(name, os.mkfifo)
        yield f"{name} is a socket", replaced(name, a_socket)
        yield f"{name} is a directory", replaced(name, Path.mkdir)
        yield f"{name} is gone", replaced(name, lambda path: None)


def of_checkpoint(damage: Damage, step: int = 12) -> Damage:
    """Do it to a checkpoint of a run."""
    return lambda run: damage(run / "checkpoints" / f"step-{step}")


def momentum(tensors: dict[str, torch.Tensor]) -> str:
    return min(name for name in tensors if name.endswith("momentum"))


def state_damages() -> Iterator[tuple[str, Damage]]:
    """Yield what can be wrong with the train state of the newest checkpoint."""
    numbers = "train_state.json"
    yield from text_damages(numbers)
    for key in ("step", "epoch", "pool", "batch", "seconds", "saved_step", "planned_step", "n_worse"):
        for value in (-1, 10**400, "x", [1]):
            yield f"state {key}={str(value)[:12]}", put(numbers, key, value=value)
    yield "state best_score=x", put(numbers, "best_score", value="x")
    yield "state budget of words", put(numbers, "budget", value={"steps": "many"})
    yield "state seconds NaN", written(numbers, '{"step": 12, "seconds": NaN}')
    for dtype in (torch.float64, torch.int8, torch.complex64):
        yield f"momentum of {dtype}", state(lambda t, d=dtype: t.update({momentum(t): t[momentum(t)].to(d)}))
    yield "momentum NaN", state(lambda t: t[momentum(t)].view(-1).__setitem__(0, float("nan")))
    yield "momentum of another shape", state(lambda t: t.update({momentum(t): torch.zeros(3)}))
    yield "momentum of another name", state(lambda t: t.update({"\x1b[31m": t.pop(momentum(t))}))
    yield "momentum of no number", state(lambda t: t.update({"x.y.z": torch.zeros(3)}))
    yield "half an AdamW", state(lambda t: t.pop(min(n for n in t if n.endswith("exp_avg"))) is None)
    for random in (torch.zeros(3, dtype=torch.uint8), torch.zeros(5056), torch.full((5056,), 255, dtype=torch.uint8)):
        yield (
            f"random numbers {tuple(random.shape)} {random.dtype}",
            state(lambda t, r=random: t.update({"random.0": r})),
        )
    yield "random numbers of rank ²", state(lambda t: t.update({"random.²": torch.zeros(3)}))
    yield "state that is no safetensors", written("train_state.safetensors", b"pickle?")
    yield "state with a header of 2^60", written("train_state.safetensors", struct.pack("<Q", 2**60))
    yield "state is a pipe", replaced("train_state.safetensors", os.mkfifo)
    yield "state is a link", replaced(numbers, lambda path: path.symlink_to("/etc/passwd"))
    yield "card of the checkpoint is a list", written("card.json", "[]")
    yield "config of the checkpoint is deep", written("config.json", DEEP)
    yield "weights of the checkpoint NaN", weights(lambda t: t[first(t)].view(-1).__setitem__(0, float("nan")))


def instead(name: str, make: Callable[[Path], Any]) -> Damage:
    """Put something else in the place of a part of a run."""

    def damage(run: Path) -> None:
        path = run / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        make(path)

    return damage


def run_damages() -> Iterator[tuple[str, Damage]]:
    """Yield what can be wrong with a run beside its checkpoints."""
    for what, content in {
        "empty": "",
        "no TOML": "[[[",
        "deep": f"x = {DEEP}",
        "huge": "x = 1\n" * 100_000,
        "no UTF-8": b"\xff",
        "a family unknown": 'family = "\x1b[31m"\npreset = "tiny"\n[decoding]\nbeam = 5\n',
        "without a family": "[decoding]\nbeam = 5\n",
        "of numbers": "family = 3\n",
        "a step of 400 digits": f'family = "bahdanau"\npreset = "tiny"\n[training]\nsteps = {10**400}\n',
        "unknown rules": 'family = "bahdanau"\npreset = "tiny"\n[rules]\nsplit = 99\n',
    }.items():
        raw = content if isinstance(content, bytes) else content.encode()
        yield f"recipe {what}", instead("recipe.toml", lambda path, raw=raw: path.write_bytes(raw))
    for name in ("recipe.toml", "log.jsonl", "best", "last", "checkpoints", "tokens", "data", ".lock", ".owner.json"):
        yield f"{name} is a link", instead(name, lambda path: path.symlink_to(path.parent.parent / "elsewhere"))
        yield f"{name} is a link to a device", instead(name, lambda path: path.symlink_to("/dev/full"))
    for name in ("best", "last", "checkpoints"):
        yield f"{name} is a file", instead(name, lambda path: path.write_text("x"))
    for name in ("recipe.toml", "log.jsonl"):
        yield f"{name} is a directory", instead(name, Path.mkdir)
    yield "log without a line end", instead("log.jsonl", lambda path: path.write_bytes(b"x" * 3_000_000))
    yield "log that is no JSON", instead("log.jsonl", lambda path: path.write_bytes(b"\xff\n[[[\n"))
    yield "owner that is a list", instead(".owner.json", lambda path: path.write_text("[1]"))
    for name in ("step-²", "step-1e9", "step--3", "step-010", "step-" + "9" * 200, "step-", "\x1b[31m"):
        yield f"a checkpoint {name[:12]!r}", lambda run, name=name: (run / "checkpoints" / name).mkdir()
    yield "a checkpoint that is a link", lambda run: (run / "checkpoints" / "step-99").symlink_to("/")
    yield "a checkpoint that is a file", lambda run: (run / "checkpoints" / "step-99").write_text("x") and None
    yield "an empty checkpoint of a million steps", lambda run: (run / "checkpoints" / "step-1000000").mkdir()
    yield "a tokens folder of nonsense", instead("tokens", lambda path: (path / "shard-00000").mkdir(parents=True))
    yield "best without its card", lambda run: (run / "best" / "card.json").unlink()


def copied(source: Path, target: Path, damage: Damage) -> Path:
    """Return a damaged copy of a bundle or a run."""
    shutil.copytree(source, target)
    here = Path.cwd()
    try:
        damage(target)
    finally:
        os.chdir(here)
    return target
