"""A real node process that breaks at one chosen line: changed at its start, from outside.

The production code knows nothing of this: the interpreter runs the test's `sitecustomize`, which
wraps one method. It strikes while the file `trigger` exists.
"""

import os
from collections.abc import Mapping
from pathlib import Path

_SPOILER = """
import importlib, inspect, os, signal

place, what, trigger = (os.environ[f"TEST_SPOIL_{{n}}"] for n in ("PLACE", "WHAT", "TRIGGER"))
module, owner, name = place.split(":")
held = getattr(importlib.import_module(module), owner)
real = getattr(held, name)
assert inspect.iscoroutinefunction(real)


async def spoiled(*args, **options):
    if os.path.exists(trigger):
        os.unlink(trigger)
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise LookupError("broken by the test")
    return await real(*args, **options)


setattr(held, name, spoiled)
""".replace("{{", "{").replace("}}", "}")


class Spoiler:
    """Breaks `module:Class:method` of the nodes that are started with `environ`."""

    def __init__(self, folder: Path, place: str, what: str) -> None:
        """Write the change; `what` is "kill" (SIGKILL) or "raise" (LookupError)."""
        self._folder, self._place, self._what = folder / "spoiler", place, what
        self._folder.mkdir()
        (self._folder / "sitecustomize.py").write_text(_SPOILER)
        self._trigger = self._folder / "trigger"

    def arm(self) -> None:
        """Let the next call of the method break."""
        self._trigger.touch()

    @property
    def has_struck(self) -> bool:
        """True once the armed call came."""
        return not self._trigger.exists()

    @property
    def environ(self) -> Mapping[str, str]:
        """What a node must be started with."""
        path = [str(self._folder), os.environ.get("PYTHONPATH", "")]
        return {
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "TEST_SPOIL_PLACE": self._place,
            "TEST_SPOIL_WHAT": self._what,
            "TEST_SPOIL_TRIGGER": str(self._trigger),
        }
