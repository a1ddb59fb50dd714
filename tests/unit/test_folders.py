from __future__ import annotations

import os
from pathlib import Path

import pytest

from embeddings.errors import InvalidInput
from service.folders import Choice, Patterns, find, is_gone, path_of_uri
from service.naming import document_id_of_path, is_made_of_path


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"A lamp.")
    return folder


def found(folder: Path, **chosen: object) -> list[str]:
    return ["/".join(one.parts) for one in find([str(folder)], Choice(**chosen)).files]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pattern", "fits", "fits_not"),
    [
        ("*.md", ["a.md", "x/y/a.md"], ["a.mdx", "a.txt"]),
        ("drafts", ["drafts/a.md", "x/drafts/y/a.md"], ["mydrafts/a.md", "drafts.md"]),
        ("drafts/", ["drafts/a.md", "x/drafts/a.md"], ["drafty/a.md"]),
        ("/drafts", ["drafts/a.md"], ["x/drafts/a.md"]),
        ("x/*.md", ["x/a.md"], ["x/y/a.md", "y/x/a.md"]),
        ("x/**/*.md", ["x/a.md", "x/y/z/a.md"], ["y/a.md"]),
        ("**/y/*", ["y/a.md", "x/y/a.md"], ["a.md"]),
        ("a?.md", ["ab.md"], ["a.md", "a/.md"]),
        ("[a-c]1.md", ["b1.md"], ["d1.md"]),
        ("[!a]1.md", ["b1.md"], ["a1.md"]),
        ("a+(b).md", ["a+(b).md"], ["aab.md"]),
    ],
)
def test_patterns_mean_what_they_mean_in_gitignore(pattern: str, fits: list[str], fits_not: list[str]) -> None:
    patterns = Patterns([pattern])
    assert [path for path in fits if not patterns.match(path)] == []
    assert [path for path in fits_not if patterns.match(path)] == []
    assert not Patterns([]).match("a.md")


def test_what_is_no_pattern_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"\[z-a\]"):
        Patterns(["[z-a].md"])
    assert Patterns(["[a"]).match("[a")


def test_what_is_hidden_or_junk_is_no_document(tmp_path: Path) -> None:
    names = (".git/config.txt", ".hidden.md", "node_modules/x/README.md", "~$report.docx", "a.md~", "a.md", "x/b.txt")
    folder = make(tmp_path, *names)
    assert found(folder) == ["a.md", "x/b.txt"]
    assert found(folder, hidden=True) == [".git/config.txt", ".hidden.md", "a.md", "x/b.txt"]


def test_kinds_that_are_read_are_taken_and_others_counted(tmp_path: Path) -> None:
    folder = make(tmp_path, "a.md", "README", "style.css", "logo.png", "menu.css")
    (folder / "program").write_bytes(b"\x7fELF\0")
    looked = find([str(folder)], Choice())
    assert [one.path.name for one in looked.files] == ["README", "a.md"]
    assert looked.skipped == {".css": 2, ".png": 1, "without an ending": 1}
    assert found(folder, include=Patterns(["*.css", "a.*"])) == ["a.md", "menu.css", "style.css"]
    assert found(folder, exclude=Patterns(["README"])) == ["a.md"]


def test_the_folder_of_the_data_is_never_walked(tmp_path: Path) -> None:
    folder = make(tmp_path, "a.md", "data/b.md")
    assert found(folder, never=(tmp_path / "data",)) == ["a.md"]


def test_files_patterns_and_folders_are_told_each_once(tmp_path: Path) -> None:
    folder = make(tmp_path, "docs/a.md", "docs/x/b.md", "style.css")
    named = [f"{folder}/docs/**/*.md", f"{folder}/docs/a.md", f"{folder}/docs", f"{folder}/style.css"]
    looked = find(named, Choice())
    assert [one.path for one in looked.files] == [folder / "docs/a.md", folder / "docs/x/b.md", folder / "style.css"]
    assert looked.files[1].parts == ("x", "b.md")
    assert looked.unreadable == ()


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    looked = find([f"{tmp_path}/none", f"{tmp_path}/*.md"], Choice())
    assert [path for path, _ in looked.unreadable] == [f"{tmp_path}/none", f"{tmp_path}/*.md"]
    assert looked.files == ()


def test_an_id_is_readable_and_tells_the_whole_path() -> None:
    first, second = document_id_of_path(("Guides", "Été 1.md")), document_id_of_path(("Guides", "Ete 1.md"))
    assert first.startswith("Guides-Ete-1.md-")
    assert first != second
    assert len(document_id_of_path(("x" * 200, "鳥" * 60 + ".md"))) <= 200
    for parts in (("a", "b.md"), ("c", "a", "b.md"), ("b.md",)):
        assert is_made_of_path(document_id_of_path(parts), Path("/c/a/b.md"))
    assert not is_made_of_path("b.md", Path("/c/a/b.md"))
    assert not is_made_of_path(document_id_of_path(("a.md",)), Path("/c/a/b.md"))


def test_a_uri_leads_back_to_its_file(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"50% of \xff #1?.md")
    assert path_of_uri(odd.as_uri()) == odd
    assert path_of_uri("https://example.org/a.md") is None
    assert path_of_uri("file://elsewhere/a.md") is None
    assert path_of_uri(None) is None
    assert is_gone(odd)
    odd.touch()
    assert not is_gone(odd)
    assert is_gone(odd / "below-a-file.md")
