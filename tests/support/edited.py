"""Run this project's code with some of its text changed, in memory: the seam of broken rules.

Nothing on disk is touched and production code has no switch for tests: an `Edit` names a file, a
piece of its text that occurs exactly once, and what stands there instead. Edited modules are
compiled from that text; a mutant is the same with a whole file's text.

Rules of this file: an edit that does not fit any more is an error, never a silent no-op. Modules
loaded here are strangers to the ones that were there before (`isinstance` across the two fails),
so whoever uses them imports all he needs inside `loaded`.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

ROOT = Path(__file__).parents[2]
# The environment variable under which a test run finds the texts to use (a JSON file).
VARIABLE = "HOTSPARE_EDITED_SOURCES"


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of one file: `old` occurs exactly once and becomes `new`."""

    path: str
    old: str
    new: str


class EditDoesNotFitError(Exception):
    """The text to be changed is not there, or there more than once: mend the edit."""


def edited_texts(edits: Sequence[Edit]) -> Mapping[str, str]:
    """Return the whole text of every edited file, by its path from the root.

    Raises:
        EditDoesNotFitError: an edit's old text does not occur exactly once.
    """
    texts: dict[str, str] = {}
    for edit in edits:
        text = texts.get(edit.path) or (ROOT / edit.path).read_text("utf-8")
        count = text.count(edit.old)
        if count != 1:
            raise EditDoesNotFitError(
                f"{edit.path}: this text occurs {count} times, once is needed: {edit.old!r}; the "
                "code moved on: say what its broken form is now"
            )
        texts[edit.path] = text.replace(edit.old, edit.new)
    return texts


class EditedFinder(MetaPathFinder):
    """Finds the edited modules before anybody else does."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = {
            path.removesuffix(".py").replace("/", "."): (path, text)
            for path, text in texts.items()
            if path.endswith(".py")
        }

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        """Return the spec of an edited module, None for all others."""
        found = self._texts.get(fullname)
        if found is None:
            return None
        where = ROOT / found[0]
        return spec_from_file_location(fullname, where, loader=_Text(str(where), found[1]))


class _Text(SourceLoader):
    """Compiles one module from a text; reads and writes no bytecode."""

    def __init__(self, where: str, text: str) -> None:
        self._where, self._text = where, text

    def get_filename(self, fullname: str) -> str:
        return self._where

    def get_data(self, path: str | bytes) -> bytes:
        return self._text.encode()

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._text, self._where, "exec", dont_inherit=True)


@contextmanager
def loaded(texts: Mapping[str, str], *names: str) -> Iterator[tuple[ModuleType, ...]]:
    """Import `names` anew, with all of `election` and the named modules, over the edited texts."""

    def is_ours(name: str) -> bool:
        # Whoever stands below `tests.support` may have seen the unedited package.
        return f"{name}.".startswith(("election.", "tests.support.lease_"))

    kept = {name: module for name, module in sys.modules.items() if is_ours(name)}
    for name in kept:
        del sys.modules[name]
    finder = EditedFinder(texts)
    sys.meta_path.insert(0, finder)
    try:
        yield tuple(import_module(name) for name in names)
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if is_ours(name)]:
            del sys.modules[name]
        sys.modules.update(kept)
        for name, module in kept.items():
            parent, _, child = name.rpartition(".")
            if parent in sys.modules:
                setattr(sys.modules[parent], child, module)


# --- in another process: `pytest -p tests.support.edited` ---------------------------------------


def _take_from_environment() -> None:
    path = os.environ.get(VARIABLE)
    if not path:
        return
    texts: dict[str, str] = json.loads(Path(path).read_text("utf-8"))
    sys.meta_path.insert(0, EditedFinder(texts))
    scripts = {Path(p).stem: text for p, text in texts.items() if p.endswith(".lua")}
    if scripts:
        script_text = import_module("election.script_text")
        read = script_text.read_lua
        script_text.__dict__["read_lua"] = lambda name: scripts.get(name) or read(name)


_take_from_environment()
