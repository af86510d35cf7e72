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
    assert load(source).answer() == 42
    assert capsys.readouterr() == ("", "")
    # Another text is another library.
    source.write_text('extern "C" int answer() { return 43; }\n')
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(NoLibraryError, match="CXX names no-such-compiler, which is not on the PA"):
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


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_library_that_was_cut_short_is_compiled_again(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], size: int
) -> None:
    source.write_text(f'extern "C" int answer() {{ return {size + 1}; }}\n')
    (tmp_path / "cache" / "native").mkdir(parents=True)
    assert native_library._compile(source, tmp_path / "cache" / "native", "other").exists()
    load(source)
    for library in (tmp_path / "cache" / "native").iterdir():
        library.unlink()  # The one that is loaded stays as it was.
        library.write_bytes(b"\x7fELF" + bytes(size))
    capsys.readouterr()
    assert load(source).answer() == size + 1
    assert "compiling" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo boom >&2; exit 1", "cannot compile answer.cc: boom"),
        ("exit 3", "exit code 3"),
        ("exit 0", "wrote no library"),
        ("echo 'ld: link failed: no space'; echo 'c: error: ld' >&2; exit 1", "c: error: ld"),
        (
            "echo 'ld: link failed: no space' >&2; echo 'c: error: ld' >&2; exit 1",
            "link failed: no space",
        ),
    ],
)
def test_compilers_that_fail(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    compiler = tmp_path / "compiler"
    compiler.write_text(f"#!/bin/sh\n{script}\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    with pytest.raises(NoLibraryError, match=reason):
        load(source)
    assert list((tmp_path / "cache" / "native").iterdir()) == []
    compiler.write_text("#!/bin/sh\nkill -INT $$\n")
    with pytest.raises(KeyboardInterrupt):
        load(source)


def test_what_cannot_be_loaded(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", f"{native_library.compiler()[0]} -c")
    with pytest.raises(NoLibraryError, match=r"cannot be loaded: .*; CXX names another compiler"):
        load(source)
    (library,) = (tmp_path / "cache" / "native").iterdir()
    library.unlink()
    library.mkdir()
    monkeypatch.setenv("CXX", "path with/spaces")
    with pytest.raises(NoLibraryError, match="PATH, or needs quotation marks around its spaces"):
        load(source)
