"""Finds in a strategy's source what would make it impure, and names what to use instead.

Static and cheap: it reads the syntax tree and runs nothing. It catches honest mistakes early and
with their line; it is not a wall against a hostile file (the worker's guard is the second line,
and no strategy of a stranger should be run at all).
"""

import ast
from collections.abc import Iterator

from strategy.model import Problem

CLOCK = "use market.candles[-1].open_ms: the time is an input"
RANDOM = "derive it from market.candles, so that both nodes decide the same"
NETWORK = "use market and portfolio: the node talks to the venue, a strategy has no sockets"
FILES = "keep what must last in Decision.state, put what is fixed into parameters"
PARALLEL = "compute in decide(): the node runs it apart, under a time budget"
PROCESS = "leave it out: a strategy has no process of its own to steer"
STATE = "return it in Decision.state: the next call and the next holder get it back"

BANNED_MODULES = {
    **dict.fromkeys(("time", "sched"), CLOCK),
    **dict.fromkeys(("random", "secrets", "uuid"), RANDOM),
    **dict.fromkeys(
        (
            *("socket", "ssl", "http", "urllib", "ftplib", "smtplib", "xmlrpc", "socketserver"),
            *("requests", "httpx", "aiohttp", "urllib3", "websocket", "websockets", "redis"),
            *("ccxt", "binance", "krakenex", "pybit", "telegram"),
        ),
        NETWORK,
    ),
    **dict.fromkeys(("pathlib", "shutil", "tempfile", "sqlite3", "shelve", "dbm", "io"), FILES),
    **dict.fromkeys(("threading", "_thread", "multiprocessing", "concurrent", "asyncio"), PARALLEL),
    **dict.fromkeys(
        ("os", "sys", "subprocess", "signal", "ctypes", "resource", "gc", "importlib", "atexit"),
        PROCESS,
    ),
    **dict.fromkeys(("election", "alerts", "node"), "use strategy.model and exchange.model only"),
}
BANNED_CALLS = {
    "open": FILES,
    "input": "use a parameter: nobody sits at the box",
    "breakpoint": "use `nodectl strategy check`, it shows what was decided and why",
    "exec": "write the code itself",
    "eval": "write the code itself",
    "__import__": "use an import statement",
    "globals": STATE,
    "id": "compare values: addresses differ between the nodes",
}
CLOCK_METHODS = frozenset({"now", "utcnow", "today"})
SEEDED = frozenset({"default_rng", "RandomState", "Generator", "PCG64", "SeedSequence"})
MUTATORS = frozenset(
    (
        *("append", "appendleft", "extend", "insert", "add", "update", "setdefault"),
        *("pop", "popleft", "popitem", "clear", "remove", "discard", "sort", "reverse"),
    ),
)
OWN_MODULES = {"exchange": "exchange.model", "strategy": "strategy.model"}

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def lint(tree: ast.Module, file: str) -> list[Problem]:
    """Return the problems of a parsed strategy file, by line."""
    found: list[tuple[int, str, str]] = []
    for node in ast.walk(tree):
        found += _check_imports(node)
        found += _check_calls(node)
    found += _check_state(tree)
    unique = dict.fromkeys(sorted(found))
    return [Problem(file=file, line=line, what=what, instead=hint) for line, what, hint in unique]


def _check_imports(node: ast.AST) -> Iterator[tuple[int, str, str]]:
    match node:
        case ast.Import(names=names):
            modules = [alias.name for alias in names]
        case ast.ImportFrom(module=str() as module, level=0):
            modules = [module]
        case ast.ImportFrom(level=level) if level:
            yield node.lineno, "imports a file beside it", "put that code into this file"
            return
        case _:
            return
    for module in modules:
        root = module.split(".", maxsplit=1)[0]
        if root in BANNED_MODULES:
            yield node.lineno, f"imports {module}", BANNED_MODULES[root]
        elif root in OWN_MODULES and module != OWN_MODULES[root]:
            yield node.lineno, f"imports {module}", f"use {OWN_MODULES[root]} only"


def _check_calls(node: ast.AST) -> Iterator[tuple[int, str, str]]:
    if not isinstance(node, ast.Call):
        return
    match node.func:
        case ast.Name(id=name) if name in BANNED_CALLS:
            yield node.lineno, f"calls {name}()", BANNED_CALLS[name]
        case ast.Attribute(attr=name) if name in CLOCK_METHODS:
            yield node.lineno, f"calls {ast.unparse(node.func)[:60]}()", CLOCK
        case ast.Attribute(attr=name, value=ast.Attribute(attr="random")):
            is_seeded = name in SEEDED and bool(node.args or node.keywords)
            if not is_seeded:
                yield node.lineno, f"calls {ast.unparse(node.func)[:60]}() without a seed", RANDOM
        case _:
            return


def _check_state(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    shared = {name for statement in tree.body for name in _bound_names(statement)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield node.lineno, f"changes the global {', '.join(node.names)}", STATE
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _check_function(node, shared)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "decide":
            yield from _check_inputs(node)


def _check_function(
    node: ast.FunctionDef | ast.AsyncFunctionDef,
    shared: set[str],
) -> Iterator[tuple[int, str, str]]:
    for default in (*node.args.defaults, *node.args.kw_defaults):
        if isinstance(default, ast.List | ast.Dict | ast.Set):
            yield default.lineno, f"{node.name}() has a default that it can change", STATE
    kept = shared - _local_names(node)
    for line, name in _mutations(node):
        if name in kept:
            yield line, f"changes {name}, which outlives the call", STATE


def _check_inputs(decide: ast.FunctionDef) -> Iterator[tuple[int, str, str]]:
    # A name that is bound anew (`state = dict(state)`) is a copy, and may be changed.
    inputs = _argument_names(decide) - _assigned_names(decide)
    for line, name in _mutations(decide):
        if name in inputs:
            yield line, f"changes {name}, which was given", f"change a copy: dict({name})"


def _mutations(root: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(root):
        match node:
            case (
                ast.Subscript(ctx=ast.Store() | ast.Del())
                | ast.Attribute(ctx=ast.Store() | ast.Del())
            ):
                name = _root_name(node)
            case ast.Call(func=ast.Attribute(attr=attribute, value=value)) if attribute in MUTATORS:
                name = _root_name(value)
            case _:
                continue
        if name:
            yield node.lineno, name


def _root_name(node: ast.AST) -> str:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _argument_names(node: Function) -> set[str]:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [item for item in (arguments.vararg, arguments.kwarg) if item is not None]
    return {argument.arg for argument in every}


def _assigned_names(root: ast.AST) -> set[str]:
    return {
        node.id
        for node in ast.walk(root)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _local_names(node: ast.AST) -> set[str]:
    names = _assigned_names(node)
    for inner in ast.walk(node):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            names |= _argument_names(inner)
    return names


def _bound_names(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        # A function is an object too: counting in an attribute of it is hidden state.
        return {statement.name}
    if isinstance(statement, ast.ClassDef):
        return {statement.name}
    return _assigned_names(statement)
