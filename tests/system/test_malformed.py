"""Nothing that is loaded is trusted: whatever a bundle or a run holds, it is refused soon and in little memory."""

import json
import multiprocessing
import shutil
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from tests.conftest import TINY, forking
from tests.system import malformed

from regard.recipe import read_value

MEMORY = 100 * 2**20
"""Bytes that a refusal may take above an idle process."""

CPU_SECONDS = 5
"""What the kernel gives a refusal before it ends the process."""


def attempt_each(intact: str, paths: "Connection", results: "Connection") -> None:
    """Load what lies at each path that comes, use it once, and report how that ended and by how much memory it grew."""
    import regard

    regard.load(intact, "cpu")  # pages PyTorch in
    while path := paths.recv():
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins anew
        before = status("VmRSS")
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)  # of CPU time; ends the process
        found = attempt(path)
        signal.setitimer(signal.ITIMER_PROF, 0)
        results.send((*found, status("VmHWM") - before))


def attempt(path: str) -> tuple[str, str]:
    """Load what lies at a path, and use it once."""
    import regard

    try:
        model = regard.load(path, "cpu")
        return "loaded", str(
            model.translate("The book is red.") if isinstance(model, regard.Translator) else model.generate("A")
        )
    except regard.RegardError as error:
        return "refused", str(error)
    except BaseException as error:  # noqa: BLE001 (this is what is being looked for)
        return "broke", f"{type(error).__name__}: {error}"


def status(name: str) -> int:
    """Return one of the kernel's figures of this process's memory, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name))) * 1024


class Loader:
    """Loads bundles in a process of its own, and in another one when that breaks."""

    def __init__(self, intact: Path) -> None:
        self.intact, self.process = str(intact), None

    def __call__(self, path: Path) -> tuple[str, str, int]:
        """Return how loading ended, what came of it, and by how much memory grew."""
        if self.process is None:
            theirs, self.paths = multiprocessing.Pipe(duplex=False)
            self.results, back = multiprocessing.Pipe(duplex=False)
            self.process = forking.Process(target=attempt_each, args=(self.intact, theirs, back), daemon=True)
            self.process.start()
        self.paths.send(str(path))
        while not self.results.poll(0.05):
            if not self.process.is_alive():
                code, self.process = self.process.exitcode, None
                return "broke", f"ended with {code}; {-signal.SIGPROF} is {CPU_SECONDS} seconds of CPU time", 0
        return self.results.recv()

    def close(self) -> None:
        """Let the process end."""
        if self.process is not None:
            self.paths.send("")
            self.process.join()


@pytest.fixture(scope="module")
def bases(trained, written, regard, corpus, tmp_path_factory) -> dict[str, Path]:
    """Intact bundles of several families."""
    folder = tmp_path_factory.mktemp("bases")
    found = {"bahdanau": trained / "best", "gpt": written / "best"}
    more = ["--set", "model.n_heads=2", "--set", "model.feed_forward=16"]
    for family in ("rnn", "transformer"):
        options = more if family == "transformer" else []
        done = regard("train", *corpus, "--to", folder / family, "--model", family, *TINY, *options)
        assert done.returncode == 0, done.stderr
        found[family] = folder / family / "best"
    found["first format"] = Path(__file__).parents[1] / "golden" / "format-1" / "pairs" / "best"
    return found


def damages_of(base: str, bundle: Path) -> dict[str, malformed.Damage]:
    """Return what is done to a bundle, by name."""
    settings = json.loads((bundle / "config.json").read_text())["model"]
    job = json.loads((bundle / "card.json").read_text())["job"]
    of_tokenizer = malformed.first_format_damages if base == "first format" else malformed.tokenizer_damages
    found = [
        *malformed.text_damages("config.json"),
        *malformed.config_damages(settings),
        *malformed.card_damages(job),
        *of_tokenizer("tokenizer.json"),
        *malformed.weight_damages(),
        *malformed.manifest_damages(),
    ]
    return dict(found)


HARMLESS = {
    "": ("config regard='\\x1b", "model n_heads=8", "model n_heads=True", "model n_layers=True", "model ngrams=True"),
    "gpt": ("model context=8", "tokenizer piece newline", "tokenizer piece carriage return"),
}
"""What may be loaded, since it is as good as another value; and running text has line ends."""


@pytest.mark.parametrize("base", ["bahdanau", "gpt", "rnn", "transformer", "first format"])
def test_a_malicious_bundle_is_refused(bases, tmp_path, base):
    load, found = Loader(bases[base]), {}
    assert load(bases[base])[0] == "loaded"
    for i, (name, damage) in enumerate(damages_of(base, bases[base]).items()):
        bundle = malformed.copied(bases[base], tmp_path / f"{i}", damage)
        found[name] = load(bundle)
        shutil.rmtree(bundle)
    load.close()
    harmless = HARMLESS[""] + HARMLESS.get(base, ())
    wrong = [
        f"{name}: {how}, {grown / 2**20:.0f} MiB, {message[:200]}"
        for name, (how, message, grown) in found.items()
        if grown > MEMORY
        or (how != "refused" and not name.startswith(harmless))
        or (how == "refused" and not message.isprintable())
    ]
    assert not wrong, "\n".join(wrong)
    assert len(found) > 200


def train_each(data: list[str], settings: dict[str, object], paths: "Connection", results: "Connection") -> None:
    """Continue each run that comes, and report how that ended and what was said."""
    import regard

    class Saying(regard.display.Silent):
        def say(self, message: str) -> None:
            said.append(message)

    while path := paths.recv():
        said: list[str] = []
        signal.setitimer(signal.ITIMER_PROF, 3 * CPU_SECONDS)
        try:
            run = regard.train(data, to=path, model="bahdanau", settings=settings, device="cpu", display=Saying())
            found = "trained", f"{run.steps}"
        except regard.RegardError as error:
            found = "refused", str(error)
        except BaseException as error:  # noqa: BLE001 (this is what is being looked for)
            found = "broke", f"{type(error).__name__}: {error}"
        signal.setitimer(signal.ITIMER_PROF, 0)
        results.send((*found, said))


@pytest.fixture(scope="module")
def go_on(corpus):
    """Continue a run in a process of its own, and return how that ended."""
    theirs, paths = multiprocessing.Pipe(duplex=False)
    results, back = multiprocessing.Pipe(duplex=False)
    settings = {name: read_value(value) for name, _, value in (s.partition("=") for s in TINY if "=" in s)}
    arguments = (list(map(str, corpus)), settings, theirs, back)
    process = forking.Process(target=train_each, args=arguments, daemon=True)
    process.start()

    def go(run: Path) -> tuple[str, str, list[str]]:
        paths.send(str(run))
        while not results.poll(0.05):
            assert process.is_alive(), f"{run.name} ended it with {process.exitcode}"
        return results.recv()

    yield go
    paths.send("")
    process.join()


def test_a_tampered_train_state_means_that_an_older_checkpoint_is_tried(trained, go_on, tmp_path):
    wrong = []
    for i, (name, damage) in enumerate(malformed.state_damages()):
        run = malformed.copied(trained, tmp_path / f"{i}", malformed.of_checkpoint(damage))
        how, message, said = go_on(run)
        if (how, message) != ("trained", "12") or not any("Trying an older checkpoint" in line for line in said):
            wrong.append(f"{name}: {how}, {message[:200]}, {said}")
        shutil.rmtree(run)
    assert not wrong, "\n".join(wrong)


def test_a_tampered_run_is_refused_or_trained_as_if_nothing_had_been_there(trained, go_on, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious.txt").write_text("mine")
    wrong = []
    for i, (name, damage) in enumerate(malformed.run_damages()):
        run = malformed.copied(trained, tmp_path / f"{i}", damage)
        how, message, _ = go_on(run)
        if how not in ("trained", "refused") or (
            "link" in name and not name.startswith("a checkpoint") and how != "refused"
        ):
            wrong.append(f"{name}: {how}, {message[:200]}")
        assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["precious.txt"]
        shutil.rmtree(run)
    assert not wrong, "\n".join(wrong)
