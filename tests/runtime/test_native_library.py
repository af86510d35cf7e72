"""C++ that is compiled once, and what is said where it cannot be."""

import ctypes
import shutil
from pathlib import Path

import pytest

from seqvision.runtime import native_library
from seqvision.runtime.native_library import NoLibraryError

pytestmark = pytest.mark.skipif(not native_library.compiler(), reason="there is no C++ compiler")


def load(source: Path) -> ctypes.CDLL:
    """As a new process would."""
    return native_library.load_library.__wrapped__(source)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(native_library, "user_cache", lambda: tmp_path / "cache")
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    path = tmp_path / "source" / "answer.cc"
    path.parent.mkdir()
    path.write_text('extern "C" int answer() { return 42; }\n')
    return path


def test_it_is_compiled_once(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert load(source).answer() == 42
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("compiling answer.cc with ")
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert load(source).answer() == 42
    assert capsys.readouterr() == ("", "")
    # Another text is another library.
    source.write_text('extern "C" int answer() { return 43; }\n')
    with pytest.raises(NoLibraryError, match=r"no C\+\+ compiler is on the PATH \(no-such-compil"):
        load(source)
    # What an editor leaves beside it is no part of it.
    (source.parent / ".answer.cc.swp").write_bytes(b"\xff")
    monkeypatch.setenv("CXX", f"{shutil.which('c++') or shutil.which('g++')} -DNOTHING=1")
    assert load(source).answer() == 43
    assert "compiling" in capsys.readouterr().err
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "compiled"))
    assert load(source).answer() == 43
    assert len(list((tmp_path / "compiled" / "native").iterdir())) == 1


def test_what_does_not_compile_leaves_nothing(source: Path, tmp_path: Path) -> None:
    source.write_text("int answer( {\n")
    with pytest.raises(NoLibraryError, match=r"cannot compile answer\.cc: .*error: .+"):
        load(source)
    assert list((tmp_path / "cache" / "native").iterdir()) == []


def test_no_place_for_the_library(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(NoLibraryError, match=r"cache.*: (Not a directory|File exists)"):
        load(source)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(native_library, "user_cache", lambda: None)
    with pytest.raises(NoLibraryError, match="set HOME"):
        load(source)


def test_a_damaged_library(source: Path, tmp_path: Path) -> None:
    load(source)
    source.write_text('extern "C" int answer() { return 44; }\n')
    load(source)
    (library,) = [
        path
        for path in (tmp_path / "cache" / "native").iterdir()
        if ctypes.CDLL(str(path)).answer() == 44
    ]
    copy = tmp_path / "cut" / library.name
    copy.parent.mkdir()
    copy.write_bytes(library.read_bytes()[:100])
    with pytest.raises(NoLibraryError, match="delete that file to compile it again"):
        native_library._loaded(copy)
