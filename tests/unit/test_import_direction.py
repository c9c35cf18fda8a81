"""Imports go one way, importing only defines, and no module outgrows a sitting.

Read from the syntax tree: nothing is imported here, so the rules hold for modules whose dependencies are absent too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "inter2former"
SOURCE = Path(__file__).resolve().parents[2] / "src" / PACKAGE

# From the top down: a module may import its own layer and those below it. A new module at the top of the package gets
# a place here, deliberately.
LAYERS = (
    frozenset({"cli", "web"}),
    frozenset({PACKAGE}),  # the package's own __init__.py: the public names
    frozenset({"predictor", "sam", "training", "evaluation", "benchmark", "interchange"}),
    frozenset({"session", "project"}),
    frozenset({"model", "clicks", "data", "frame", "checkpoint", "released_checkpoint", "released_keys"}),
    frozenset({"kernels"}),
    frozenset(
        {
            "prompt",
            "config",
            "device",
            "errors",
            "files",
            "images",
            "machine",
            "masks",
            "shapes",
            "polygons",
            "user_cache",
        }
    ),
)
# Same layer, yet kept apart: what a person runs must not load what only training needs.
FORBIDDEN = frozenset({("predictor", "training"), ("sam", "training"), (PACKAGE, "training")})

MAX_LINES = 400

# Calls that act on the world when a module is imported. The last part of the dotted name decides.
ACTING_CALLS = frozenset(
    {
        "basicConfig",
        "filterwarnings",
        "getenv",
        "load",
        "load_file",
        "manual_seed",
        "open",
        "parse_args",
        "print",
        "read_bytes",
        "read_text",
        "safe_open",
        "seed",
        "setNumThreads",
        "set_num_threads",
        "simplefilter",
        "use_deterministic_algorithms",
        "warn",
    }
)

MODULES = sorted(SOURCE.rglob("*.py"))
each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())


def part_of(path: Path) -> str:
    """The name in LAYERS that a file belongs to: its folder, or its own name at the top of the package."""
    first = path.relative_to(SOURCE).parts[0]
    return PACKAGE if first == "__init__.py" else first.removesuffix(".py")


def layer_of(part: str) -> int:
    for index, parts in enumerate(LAYERS):
        if part in parts:
            return index
    raise AssertionError(f"{part!r} has no layer; give it one in LAYERS of {Path(__file__).name}")


def imported_parts(tree: ast.Module, path: Path) -> Iterator[tuple[int, str]]:
    """Line and part of every import from this package, wherever in the module it stands."""
    package = (PACKAGE, *path.relative_to(SOURCE).parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            stem = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            base = ".".join(name for name in (stem, node.module) if name)
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == PACKAGE:
                yield node.lineno, named_part(parts[1:])


def named_part(parts: list[str]) -> str:
    is_module = bool(parts) and ((SOURCE / parts[0]).is_dir() or (SOURCE / f"{parts[0]}.py").is_file())
    return parts[0] if is_module else PACKAGE


def statements_run_by_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Every statement that runs when the module is imported, class bodies included, function bodies not."""
    for statement in body:
        if isinstance(statement, ast.If) and "__main__" in ast.unparse(statement.test):
            continue
        yield statement
        for inner in ("body", "orelse", "finalbody"):
            if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from statements_run_by_import(getattr(statement, inner, []))
        for handler in getattr(statement, "handlers", []):
            yield from statements_run_by_import(handler.body)


def expressions_run_by_import(statement: ast.stmt) -> Iterator[ast.expr]:
    """The expressions of one statement that are evaluated at import; bodies of functions and lambdas are not."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        defaults = [default for default in statement.args.kw_defaults if default is not None]
        pending: list[ast.AST] = [*statement.decorator_list, *statement.args.defaults, *defaults]
    else:
        pending = [node for node in ast.iter_child_nodes(statement) if isinstance(node, ast.expr | ast.keyword)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.expr):
            yield node
        if not isinstance(node, ast.Lambda):
            pending.extend(ast.iter_child_nodes(node))


def side_effects(tree: ast.Module) -> Iterator[str]:
    for statement in statements_run_by_import(tree.body):
        where = f"line {statement.lineno}: {ast.unparse(statement).splitlines()[0]}"
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            yield f"{where} (a call for its effect)"
        if isinstance(statement, ast.Assign | ast.AugAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if any(isinstance(target, ast.Attribute | ast.Subscript) for target in targets):
                yield f"{where} (changes an object that another module may own)"
        for expression in expressions_run_by_import(statement):
            if isinstance(expression, ast.Call):
                name = ast.unparse(expression.func).rpartition(".")[2]
                if name in ACTING_CALLS:
                    yield f"{where} (calls {name})"


@each_module
def test_imports_go_one_way(path: Path) -> None:
    part = part_of(path)
    wrong = [
        f"line {line}: {part} imports {imported}"
        for line, imported in imported_parts(ast.parse(path.read_text(encoding="utf-8")), path)
        if layer_of(imported) < layer_of(part) or (part, imported) in FORBIDDEN
    ]
    assert not wrong, f"{path.relative_to(SOURCE)} imports against the direction: {wrong}"


@each_module
def test_import_only_defines(path: Path) -> None:
    effects = list(side_effects(ast.parse(path.read_text(encoding="utf-8"))))
    assert not effects, f"{path.relative_to(SOURCE)} acts when it is imported: {effects}"


@each_module
def test_what_only_unix_has_is_imported_behind_a_condition(path: Path) -> None:
    """Every command imports nearly all modules, so that one such import would end all of them on Windows."""
    imports = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.Import)]
    unix = {"fcntl", "grp", "pwd", "resource", "termios"} & {alias.name for node in imports for alias in node.names}
    assert not unix, f"{path.relative_to(SOURCE)} imports {unix}, which Windows has not; ask sys.platform first"


@each_module
def test_module_is_short(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{path.relative_to(SOURCE)} has {lines} lines; two things in it belong in two modules"


def test_direction_sees_every_way_to_import() -> None:
    code = """
import inter2former.training.loop
from inter2former import errors, Predictor
from . import codebook
from .. import config
from ..clicks.simulate import next_click
def later():
    from inter2former.cli import doctor
import torch
"""
    # Parts that do not exist yet resolve to the package itself, hence the ones used here do.
    found = [part for _, part in imported_parts(ast.parse(code), SOURCE / "model" / "attention.py")]
    assert sorted(found) == sorted(["training", "errors", PACKAGE, "model", "config", "clicks", "cli"])


@pytest.mark.parametrize(
    "code",
    [
        "state = torch.load('weights.pth')",
        "args = parser.parse_args()",
        "torch.set_num_threads(2)",
        "torch.backends.cudnn.deterministic = True",
        "os.environ['OMP_NUM_THREADS'] = '2'",
        "try:\n    import cv2\nexcept ImportError:\n    warnings.warn('slow')",
        "class Table:\n    rows = open('table.txt').read()",
        "def read(text=open('table.txt')):\n    return text",
    ],
)
def test_side_effects_are_seen(code: str) -> None:
    assert list(side_effects(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        '"""Docstring."""\nimport torch\nLIMIT = 4\nTABLE = {name: len(name) for name in ("a", "b")}',
        "def read(path):\n    print(path)\n    return open(path)",
        "@dataclass(frozen=True)\nclass Click:\n    x: int = field(default=0)\n    def show(self): print(self)",
        'if __name__ == "__main__":\n    main()',
        "read = lambda path: open(path)",
    ],
)
def test_definitions_are_not_side_effects(code: str) -> None:
    assert not list(side_effects(ast.parse(code)))
