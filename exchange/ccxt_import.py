"""Import one exchange class of ccxt without the other hundred.

`import ccxt.async_support` costs 94 MiB and seconds on a small board; one class costs 45 MiB.
The package's own `__init__` is replaced by an empty stand-in, so that the sub-modules, which
import each other by full name, load alone. That relies on internals, so any failure falls back to
the plain import. After the bypass no other exchange can be imported in this process by name.
"""

import importlib
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any, Final

_PACKAGES: Final = (("ccxt", ""), ("ccxt.async_support", "async_support"))


def import_exchange(exchange_id: str) -> type[Any]:
    """Return ccxt's asynchronous class of one exchange.

    Raises:
        ImportError: ccxt is missing or has no such exchange, by either way.
    """
    if "ccxt" in sys.modules:
        return _exchange_class(exchange_id)
    try:
        _seed()
        return _exchange_class(exchange_id)
    except Exception:  # noqa: BLE001  any failure inside ccxt's internals means: the plain way
        _forget()
        return _exchange_class(exchange_id)


def errors_module() -> types.ModuleType:
    """Return ccxt's exception classes; call it only after `import_exchange`."""
    return importlib.import_module("ccxt.base.errors")


def is_bypassed() -> bool:
    """True when the stand-in for ccxt's package is in use."""
    package = sys.modules.get("ccxt")
    return package is not None and getattr(package, "__file__", None) is None


def _exchange_class(exchange_id: str) -> type[Any]:
    module = importlib.import_module(f"ccxt.async_support.{exchange_id}")
    found = getattr(module, exchange_id)
    if not isinstance(found, type):
        raise ImportError(f"ccxt has no class {exchange_id}")  # noqa: TRY004  what callers expect
    return found


def _seed() -> None:
    spec = importlib.util.find_spec("ccxt")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("ccxt is not installed")
    root = Path(next(iter(spec.submodule_search_locations)))
    for name, folder in _PACKAGES:
        package = types.ModuleType(name)
        package.__path__ = [str(root / folder)]
        sys.modules[name] = package
    top = sys.modules["ccxt"]
    errors = importlib.import_module("ccxt.base.errors")
    for name in dir(errors):
        if not name.startswith("_"):
            setattr(top, name, getattr(errors, name))
    # The websocket helpers ask the top package for it.
    base: Any = importlib.import_module("ccxt.base.exchange")
    top.Exchange = base.Exchange  # type: ignore[attr-defined]  # a stand-in module has any attribute


def _forget() -> None:
    for name in [n for n in sys.modules if n == "ccxt" or n.startswith("ccxt.")]:
        del sys.modules[name]
