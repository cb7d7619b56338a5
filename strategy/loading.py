"""Finds a strategy file, reads it, and refuses it with every problem at once.

The file is read and parsed here, never run: its code runs in the worker only. What was read is
kept as text, so that a file that changes on disk while the node runs changes nothing.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strategy.declaration import declaration_line, read_declaration
from strategy.errors import StrategyRefused
from strategy.fingerprint import fingerprint
from strategy.lint import lint
from strategy.model import Declaration, ParameterValue, Problem
from strategy.parameters import resolve_parameters, suggest

SHIPPED = ("hold", "trend", "grid")
# A strategy is a page or two; a larger file is a wrong path.
FILE_BYTES_MAX = 512 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedStrategy:
    """A strategy file that may be run: what it declares, its text, and its parameters.

    `file` is the path as it is shown to people.
    """

    file: str
    text: str
    declaration: Declaration
    parameters: Mapping[str, ParameterValue]

    def fingerprint(self, limits: Mapping[str, Any] | None = None) -> str:
        """Return the fingerprint of text and parameters (and the caller's limits)."""
        return fingerprint(self.text, self.parameters, limits)


def load_strategy(
    source: str | Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    base: Path | None = None,
) -> LoadedStrategy:
    """Read a strategy by shipped name or by path, and check it.

    Args:
        source: `hold`, `trend`, `grid`, or the path of a file.
        parameters: values to use instead of the declared defaults.
        base: directory that a relative path starts from; default is the current one.

    Raises:
        StrategyRefused: with every problem found, each as `file:line: what, use this instead`.
    """
    path = find_strategy(source, base=base)
    file = path.name if is_shipped(source) else str(source)
    return parse_strategy(read_source(path, file), file, parameters or {})


def is_shipped(source: str | Path) -> bool:
    """Return whether the source is the name of a strategy that comes with the package."""
    return isinstance(source, str) and source in SHIPPED


def find_strategy(source: str | Path, *, base: Path | None = None) -> Path:
    """Return the path of a shipped name or of a file; raises StrategyRefused."""
    if is_shipped(source):
        return Path(__file__).with_name(f"{source}.py")
    path = Path(source).expanduser()
    if base is not None and not path.is_absolute():
        path = base / path
    if path.is_file():
        return path
    if path.suffix != ".py" and len(path.parts) > 0 and "/" not in str(source):
        what, instead = f"no shipped strategy {str(source)!r}", suggest(str(source), SHIPPED)
        instead = f"{instead}; an own one is given by its path, ending in .py"
    else:
        what, instead = "no such file", "`nodectl strategy new NAME` writes one that runs"
    raise StrategyRefused([Problem(file=str(source), line=1, what=what, instead=instead)])


def read_source(path: Path, file: str) -> str:
    """Return the text of a strategy file; raises StrategyRefused."""
    try:
        content = path.read_bytes()
    except OSError as error:
        problem = Problem(file=file, line=1, what=f"cannot be read: {error.strerror}")
        raise StrategyRefused([problem]) from error
    if len(content) > FILE_BYTES_MAX:
        what = f"has {len(content)} bytes, more than {FILE_BYTES_MAX}"
        raise StrategyRefused([Problem(file=file, line=1, what=what, instead="check the path")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        problem = Problem(file=file, line=line, what="is not UTF-8", instead="save it as UTF-8")
        raise StrategyRefused([problem]) from error


def parse_source(text: str, file: str) -> ast.Module:
    """Return the syntax tree; raises StrategyRefused."""
    try:
        return ast.parse(text, filename=file)
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None) or 1
        what = getattr(error, "msg", None) or str(error)
        raise StrategyRefused([Problem(file=file, line=line, what=what)]) from error


def parse_strategy(
    text: str,
    file: str,
    parameters: Mapping[str, Any],
) -> LoadedStrategy:
    """Check the text of a strategy file; raises StrategyRefused with every problem."""
    tree = parse_source(text, file)
    declaration, problems = read_declaration(tree, file)
    problems += lint(tree, file)
    resolved: dict[str, ParameterValue] = {}
    if declaration is not None:
        try:
            line = declaration_line(tree)
            resolved = resolve_parameters(declaration, parameters, file=file, line=line)
        except StrategyRefused as error:
            problems += error.problems
    if declaration is None or problems:
        raise StrategyRefused(sorted(problems, key=lambda problem: problem.line))
    return LoadedStrategy(file=file, text=text, declaration=declaration, parameters=resolved)
