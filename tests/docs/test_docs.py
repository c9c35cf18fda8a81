"""The documentation against the repository: snippets run, links lead somewhere, commands and names exist."""

from __future__ import annotations

import ast
import contextlib
import io
import operator
import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

from inter2former.config import ModelConfig

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
LINK = re.compile(r"""\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)|(?:src|href)="([^"]+)\"""")
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/}])/(?:home|root|Users|work|mnt|scratch|media)/\w")


def repository_files() -> list[Path]:
    """Files under version control or about to be; a source archive without git lists what it holds."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode == 0:
        paths = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:
        paths = [path for path in ROOT.rglob("*") if not {".venv", "build", "dist"} & set(path.relative_to(ROOT).parts)]
    return sorted(path for path in paths if path.is_file())


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


FILES = repository_files()
PAGES = [path for path in FILES if path.suffix == ".md"]
each_page = pytest.mark.parametrize("page", PAGES, ids=relative)


def visible_text(page: Path) -> str:
    """What a reader sees: no HTML comments and no code blocks."""
    return FENCE.sub("", COMMENT.sub("", page.read_text(encoding="utf-8")))


def snippets(page: Path) -> list[tuple[str, str | None]]:
    """Each Python block with the `text` block right below it, which is what it prints."""
    blocks = list(FENCE.finditer(COMMENT.sub("", page.read_text(encoding="utf-8"))))
    found = []
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block[1] == "python":
            below = following if following and following[1] == "text" else None
            adjacent = below is not None and not block.string[block.end() : below.start()].strip()
            found.append((block[2], below[2] if below and adjacent else None))
    return found


README_SNIPPETS = snippets(ROOT / "README.md")


def test_readme_has_a_python_example_with_its_output() -> None:
    assert README_SNIPPETS
    assert README_SNIPPETS[0][1] is not None, "the first example should be followed by a ```text block: what it prints"


@pytest.mark.parametrize(("code", "printed"), README_SNIPPETS)
def test_readme_snippet_runs(code: str, printed: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not list((ROOT / "src" / "inter2former" / "weights").glob("*.safetensors")):
        pytest.skip("no weights in src/inter2former/weights: the README's examples cannot run")
    monkeypatch.chdir(tmp_path)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    if printed is not None:
        assert output.getvalue().split() == printed.split()


def test_package_carries_its_notices() -> None:
    package = files("inter2former")
    if not list((ROOT / "src" / "inter2former" / "weights").glob("*.safetensors")):
        pytest.skip("no weights in src/inter2former/weights")
    for name in ("MODEL_CARD.md", "NOTICE"):
        assert package.joinpath("weights", name).is_file(), f"weights are shipped without their {name}"


@each_page
def test_relative_links_lead_somewhere(page: Path) -> None:
    dead = []
    for match in LINK.finditer(visible_text(page)):
        target = (match[1] or match[2]).partition("#")[0]
        if target and not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
            dead.append(target)
    assert not dead, f"{relative(page)} links to what does not exist: {dead}"


@each_page
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`|\$ )make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert named <= targets, f"{relative(page)} names unknown make targets: {sorted(named - targets)}"


def defined_names(source: Path) -> set[str]:
    """Functions, methods, classes, and annotated fields and constants of a module."""
    names = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def test_paper_map_names_what_exists() -> None:
    """Every row that links to modules names something, and each name is defined in one of them."""
    page = ROOT / "docs" / "paper-map.md"
    wrong, rows = [], re.findall(r"^\|.*\|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    for row in rows:
        sources = [page.parent / target for target in re.findall(r"\]\(([^)]+\.py)\)", row)]
        if sources:
            defined = set().union(*map(defined_names, sources))
            named = re.findall(r"`([\w.]+)`", row.strip("|").split("|")[-1])
            wrong += [name for name in named or [row] if name not in defined]
    assert not wrong, f"docs/paper-map.md names what its files do not define: {wrong}"


def test_paper_map_has_every_file_of_the_network() -> None:
    page = (ROOT / "docs" / "paper-map.md").read_text(encoding="utf-8")
    files_ = {path.name for path in (ROOT / "src" / "inter2former" / "model").glob("*.py")} - {"__init__.py"}
    assert files_ == set(re.findall(r"\(\.\./src/inter2former/model/(\w+\.py)\)", page))


def test_paper_map_names_fields_of_the_configuration() -> None:
    """The last column of the table of differences: paths from `ModelConfig` to a field."""
    page = (ROOT / "docs" / "paper-map.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|.*\|$", page.partition("| field |")[2], re.MULTILINE)
    paths = [path for row in rows for path in re.findall(r"`([\w.]+)`", row.strip("|").split("|")[-1]) if "." in path]
    assert len(paths) > 10
    for path in paths:
        operator.attrgetter(path)(ModelConfig())


def test_every_glossary_term_says_what_it_is_not() -> None:
    text = (ROOT / "GLOSSARY.md").read_text(encoding="utf-8")
    terms = re.findall(r"^\*\*(.+?)\*\*(.*?)(?=^\*\*|^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert terms
    assert not [term for term, entry in terms if "*not:*" not in entry]


def test_no_file_names_a_machine() -> None:
    found = []
    for path in FILES:
        content = path.read_bytes()
        if b"\0" not in content[:8192]:
            for number, line in enumerate(content.decode("utf-8", errors="replace").splitlines(), start=1):
                if ABSOLUTE_PATH.search(line):
                    found.append(f"{relative(path)}:{number}")
    assert not found, f"absolute paths of somebody's machine: {found}"
