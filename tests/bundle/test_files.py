import hashlib
import json
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from tests.fakes import change_json, flip_bit, small_bundle

from regard import __version__
from regard.bundle import save_bundle
from regard.bundle.files import (
    FileEntry,
    entry_of,
    first_problem,
    is_plain,
    opened,
    read_extra,
    read_manifest,
    read_verified,
    verified_extra,
    verify,
    write_json,
)
from regard.errors import BundleError

ZEROS = "0" * 64


@pytest.fixture
def saved(tmp_path) -> Path:
    save_bundle(small_bundle(), tmp_path / "model", extra={"state": b"momentum"})
    return tmp_path / "model"


@pytest.fixture
def short_path(tmp_path, monkeypatch) -> Path:
    """A place whose name is short enough for a socket."""
    monkeypatch.chdir(tmp_path)
    return Path()


def test_the_manifest_has_the_size_and_the_sum_of_every_file(saved):
    raw, manifest = read_manifest(saved)
    assert raw == (saved / "manifest.json").read_bytes()
    entries = manifest.files | manifest.extra
    assert {*entries, "manifest.json"} == {path.name for path in saved.iterdir()}
    for name, entry in entries.items():
        content = (saved / name).read_bytes()
        assert (entry.size, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize(
    "content",
    [
        *("[]", "{}", '{"format": 1}', "[" * 100_000, '{"format": 1, "files": {}, "extra": {}}'),
        *('{"format": 2', '{"format": true, "files": {}, "extra": {}}', '{"format": "2"}', '{"format": 1e400}', ""),
    ],
)
def test_a_manifest_that_says_nothing_is_damaged(saved, content):
    (saved / "manifest.json").write_text(content)
    with pytest.raises(BundleError, match=r"manifest\.json is damaged, so the other files cannot be verified\. "):
        read_manifest(saved)


@pytest.mark.parametrize("depth", [150, 300, 900, 950, 975, 1000, 5_000])
def test_a_manifest_of_many_levels_is_damaged(saved, depth):
    nested = '{"a":' * depth + "1" + "}" * depth
    (saved / "manifest.json").write_text(f'{{"format": 2, "files": {nested}, "extra": {{}}}}')
    with pytest.raises(BundleError, match=r"manifest\.json is damaged"):
        read_manifest(saved)


@pytest.mark.parametrize("entry", [{"size": -1}, {"size": "9"}, {"size": 1.5}, {"sha256": "ab"}, {"sha256": "G" * 64}])
def test_an_entry_of_another_form_is_damaged(saved, entry):
    manifest = json.loads((saved / "manifest.json").read_text())
    manifest["files"]["card.json"] |= entry
    (saved / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"manifest\.json is damaged"):
        read_manifest(saved)


ELSEWHERE = ["../elsewhere.json", "/etc/passwd", "a\\b", "C:a", ".", "..", " ", "", "a\nb", "manifest.json"]


@pytest.mark.parametrize(
    ("part", "name"), [*((part, name) for part in ("files", "extra") for name in ELSEWHERE), ("extra", "card.json")]
)
def test_a_manifest_cannot_name_a_file_elsewhere_nor_one_twice(saved, part, name):
    manifest = json.loads((saved / "manifest.json").read_text())
    manifest[part][name] = {"size": 1, "sha256": ZEROS}
    (saved / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="is damaged"):
        read_manifest(saved)


@given(st.text(st.characters()))
def test_a_plain_name_is_that_of_a_file_in_the_very_directory(name):
    if is_plain(name):
        path = Path("/bundle") / name
        assert Path(os.path.normpath(path)).parent == Path("/bundle")
        assert name.isprintable() and os.path.normpath(path) == f"/bundle/{name}"


@pytest.mark.parametrize("format_", [3, 7, 0, -1, 10**30])
def test_another_format_is_refused_with_all_numbers(saved, format_):
    (saved / "manifest.json").write_text(json.dumps({"format": format_, "something": "new"}))
    with pytest.raises(
        BundleError, match=rf"is a bundle of format {format_}; regard {__version__} reads the formats 1 and 2"
    ):
        read_manifest(saved)


def test_a_manifest_as_long_as_none_of_ours_is_not_read(saved):
    change_json(saved / "manifest.json", note="x" * 2**20)
    with pytest.raises(BundleError, match=r"manifest\.json has more than 1,048,576 bytes, so regard did not write it"):
        read_manifest(saved)


def test_a_manifest_that_cannot_be_read_is_said(saved, monkeypatch):
    def refuse(path, flags):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BundleError, match=r"manifest\.json cannot be read: Permission denied\."):
        read_manifest(saved)


def test_a_file_where_a_bundle_should_be_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="file is not a bundle: the directory does not exist"):
        read_manifest(tmp_path / "file")


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "secret").write_text("key")
    (tmp_path / "card.json").symlink_to(tmp_path / "secret")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    for name in ("card.json", "nowhere"):
        with pytest.raises(
            BundleError, match=rf"{name} is a link; a bundle must contain its files\. Copy the file there"
        ):
            opened(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with a name")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BundleError, match="pipe is not a regular file; a bundle may contain nothing else"):
        opened(tmp_path / "pipe")


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/tty", "/proc"])
def test_devices_and_directories_are_no_files_of_a_bundle(path):
    if not Path(path).exists():
        pytest.skip("this system has none")
    with pytest.raises((BundleError, OSError), match=r"is not a regular file|No such device"):
        opened(Path(path))


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no sockets with a name")
def test_a_socket_is_no_file_of_a_bundle(short_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        with pytest.raises(BundleError, match="s is not a regular file; a bundle may contain nothing else"):
            opened(short_path / "s")


def test_what_is_verified_is_what_the_manifest_says(saved):
    entry = entry_of(saved / "state")
    verify(saved / "state", entry)
    assert read_verified(saved, "state", entry, most=8) == b"momentum"
    flip_bit(saved / "state", 3)
    with pytest.raises(BundleError, match=r"state was changed: its sha256 is \w{12}…, expected \w{12}…\. Restore"):
        read_verified(saved, "state", entry, most=8)
    (saved / "state").write_bytes(b"moment")
    with pytest.raises(BundleError, match="state has 6 bytes, expected 8: it was cut short or changed"):
        verify(saved / "state", entry)
    (saved / "state").unlink()
    with pytest.raises(BundleError, match=r"state is missing, though manifest\.json lists it"):
        verify(saved / "state", entry)


def test_no_more_is_read_than_may_be(saved):
    with pytest.raises(BundleError, match="state has 8 bytes; at most 7 are allowed"):
        read_extra(saved, "state", most=7)
    lies = FileEntry(size=5, sha256=ZEROS)
    with pytest.raises(BundleError, match="state has 8 bytes, expected 5"):
        read_verified(saved, "state", lies, most=7)


def test_a_further_file_is_read_or_its_path_is_given_once_it_is_verified(saved):
    assert read_extra(saved, "state", most=100) == b"momentum"
    assert verified_extra(saved, "state") == saved / "state"
    assert read_extra(saved, "none", most=100) is verified_extra(saved, "none") is None
    flip_bit(saved / "state", 3)
    for read in (lambda: read_extra(saved, "state", most=100), lambda: verified_extra(saved, "state")):
        with pytest.raises(BundleError, match="state was changed"):
            read()


def test_a_further_file_that_was_deleted_is_kept_no_more(saved):
    (saved / "state").unlink()
    assert read_extra(saved, "state", most=100) is None
    assert verified_extra(saved, "state") is None


def test_json_is_written_as_a_person_can_read_it_and_holds_no_infinity(tmp_path):
    write_json(tmp_path / "a.json", {"größe": [1, None]})
    assert (tmp_path / "a.json").read_bytes() == '{\n  "größe": [\n    1,\n    null\n  ]\n}\n'.encode()
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "b.json", {"loss": float("inf")})


def test_the_first_problem_of_a_file_is_shown_with_its_place_and_on_one_line():
    class Inner(BaseModel):
        counts: dict[str, int]

    with pytest.raises(ValidationError) as caught:
        Inner.model_validate({"counts": {"a\x1b[31m\nb": "many"}})
    problem = first_problem(caught.value)
    assert problem.isprintable() and problem.startswith(r"counts.a\x1b[31m\nb: Input should be a valid integer")
    with pytest.raises(ValidationError) as caught:
        Inner.model_validate_json("{")
    assert first_problem(caught.value).startswith("the file: Invalid JSON")
