"""One function with some of its text changed while a `with` lasts: how a defect comes back.

As `edited.py` for a single function of a loaded module: an edit that does not fit any more is an
error, never a silent no-op.
"""

import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from tests.support.edited import EditDoesNotFitError


@contextmanager
def edited_function(owner: Any, name: str, old: str, new: str) -> Iterator[None]:
    """Let `owner.name` (a module's function or a class's method) have `new` in place of `old`.

    Raises:
        EditDoesNotFitError: `old` does not occur exactly once in its text.
    """
    function = inspect.unwrap(inspect.getattr_static(owner, name))
    text = textwrap.dedent(inspect.getsource(function))
    if text.count(old) != 1:
        raise EditDoesNotFitError(
            f"{owner.__name__}.{name}: this text occurs {text.count(old)} times, once is needed: "
            f"{old!r}; the code moved on: say what its broken form is now"
        )
    scope: dict[str, Any] = {}
    # With the module's own names around it, which later patches of them still reach.
    exec(
        compile(text.replace(old, new), function.__code__.co_filename, "exec"),
        function.__globals__,
        scope,
    )
    with patch.object(owner, name, scope[name]):
        yield
