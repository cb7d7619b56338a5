"""What patches put in the place of what, and whether it can still be called as that was.

A replacement that has not followed a new parameter does not break its rule: it crashes at the first
call, minutes into a simulation. Here that is seen when the patch is entered.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock


@dataclass(frozen=True, slots=True, kw_only=True)
class Patched:
    """One name, what stood there and what stands there now."""

    name: str
    original: Any
    replacement: Any

    def misfit(self) -> str:
        """Return in words why the replacement cannot stand for the original, "" if it can."""
        if not inspect.isroutine(self.original):
            return ""  # a constant or a property: nobody calls it
        if not callable(self.replacement):
            return f"{self.name} is called, and {self.replacement!r} is put in its place"
        if isinstance(self.replacement, mock.Mock):
            return ""  # made to take every call, and awaited where the original is
        if _kind(self.original) != _kind(self.replacement):
            return f"{self.name} is {_kind(self.original)}, its replacement is not"
        takes = inspect.signature(self.replacement)
        for positional, by_name in _calls(inspect.signature(self.original)):
            try:
                takes.bind(*positional, **by_name)
            except TypeError as error:
                given = inspect.signature(self.original)
                return f"{self.name}{given} became {takes}: {error}"
        return ""


@contextmanager
def noted_patches() -> Iterator[list[Patched]]:
    """Collect every patch of `unittest.mock` that is entered while this lasts."""
    entered: list[Patched] = []
    enter = mock._patch.__enter__

    def noting(patch: Any) -> Any:
        replacement = enter(patch)
        entered.append(
            Patched(name=patch.attribute, original=patch.temp_original, replacement=replacement)
        )
        return replacement

    mock._patch.__enter__ = noting  # type: ignore[method-assign]
    try:
        yield entered
    finally:
        mock._patch.__enter__ = enter  # type: ignore[method-assign]


def _kind(function: Callable[..., Any]) -> str:
    if inspect.iscoroutinefunction(function):
        return "awaited"
    return "a generator" if inspect.isgeneratorfunction(function) else "called"


def _calls(signature: inspect.Signature) -> Iterator[tuple[list[None], dict[str, None]]]:
    """Return the shortest and the longest call that fit: (positional, by name)."""
    for is_whole in (False, True):
        positional: list[None] = []
        by_name: dict[str, None] = {}
        for name, parameter in signature.parameters.items():
            if parameter.default is not parameter.empty and not is_whole:
                continue
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                positional.append(None)
            elif parameter.kind is parameter.KEYWORD_ONLY:
                by_name[name] = None
        yield positional, by_name
