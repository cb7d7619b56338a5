"""Every test that a page, a comment or a list of proofs names is there.

A test file that is split keeps its tests and loses its name; whoever sends a reader there is in
another folder, and nobody looks.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.house.test_house import ROOT, tracked

FILES = re.compile(r"\btests/[\w/]+\.\w+(?:::\w+)?")
FOLDERS = re.compile(r"`(tests/[\w/]+)`")
BELOW_TESTS = re.compile(r"`(?!tests/)(\w+/test_\w+\.py)`")  # docs/load-bearing.md saves the folder
BARE = re.compile(r"`(test_\w+…?)`")


@cache
def functions_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


@cache
def all_functions() -> frozenset[str]:
    return frozenset().union(*(functions_of(path) for path in tracked("tests/**/test_*.py")))


def is_there(named: str) -> bool:
    """Tell whether `tests/…/file.py`, with or without `::test`, is in this tree."""
    file, _, test = named.partition("::")
    return (ROOT / file).is_file() and (not test or test in functions_of(ROOT / file))


def is_a_test(name: str) -> bool:
    if name.endswith("…"):  # several that begin alike
        return any(test.startswith(name[:-1]) for test in all_functions())
    return name in all_functions()


def lost_in(text: str) -> list[str]:
    """Return what a text names and this tree does not have."""
    return [
        *(named for named in FILES.findall(text) if not is_there(named)),
        *(named for named in FOLDERS.findall(text) if not (ROOT / named).exists()),
        *(named for named in BELOW_TESTS.findall(text) if not is_there(f"tests/{named}")),
        *(named for named in BARE.findall(text) if not is_a_test(named)),
    ]


def test_house_every_test_that_is_named_exists() -> None:
    """In the pages, in the code's own words, and in the registries of broken rules."""
    lost = [
        f"{path.relative_to(ROOT)}: {named}"
        for pattern in ("*.md", "*.py", "*.lua", "Makefile", "pyproject.toml", ".ci/*")
        for path in tracked(pattern)
        if path != Path(__file__)
        for named in lost_in(path.read_text("utf-8"))
    ]
    assert lost == []


@pytest.mark.parametrize(
    "text",
    [
        "`tests/strategy/test_gone.py`",
        'ByTests(tests=("tests/node/test_gone.py",))',
        "`tests/house/test_house.py::test_gone`",
        "`tests/gone`",
        "`strategy/test_gone.py` fails",
        "`test_gone_too`",
        "`test_gone_…`",
    ],
)
def test_house_a_test_that_is_gone_is_noticed(text: str) -> None:
    assert lost_in(text) != []
    assert lost_in("`tests/house/test_house.py::test_house_files_stay_small`, `tests/house`") == []
