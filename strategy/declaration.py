"""Reads `STRATEGY = Declaration(...)` out of a file without running it.

The node must know symbols, history and parameters before it starts a worker, and the file's
code may only run in that worker, where there are no keys. So the declaration is written with
literals: text, numbers, Decimal("..."), True/False, tuples, dicts, Parameter(...), and names
given one of these at the top of the file.
"""

import ast
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from strategy.model import Declaration, Parameter, Problem
from strategy.parameters import parse_parameter, suggest

NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
SYMBOL = re.compile(r"[A-Z0-9]+/[A-Z0-9]+(:[A-Z0-9]+)?")
# The timeframes that every venue in the table serves.
TIMEFRAMES = ("1m", "5m", "15m", "30m", "1h", "4h", "1d")
# One request gives at most this many candles at the stingiest venue of the table (Kraken: 720).
HISTORY_MAX = 720
DECLARATION_FIELDS = tuple(Declaration.__dataclass_fields__)
PARAMETER_FIELDS = tuple(Parameter.__dataclass_fields__)
REQUIRED = ("name", "version", "symbols", "timeframe", "history")
DECIDE_ARGUMENTS = 3
SHOULD = "STRATEGY = Declaration(name=..., version=..., symbols=..., timeframe=..., history=...)"


class NotLiteral(Exception):  # noqa: N818  (internal: becomes a Problem)
    """A part of the declaration that cannot be read without running the file."""

    def __init__(self, node: ast.AST, what: str, instead: str = "") -> None:
        """Keep the line."""
        super().__init__(what)
        self.line = getattr(node, "lineno", 1)
        self.what = what
        self.instead = instead


def read_declaration(tree: ast.Module, file: str) -> tuple[Declaration | None, list[Problem]]:
    """Return the declaration, or None with the problems that keep it from being one."""
    constants = _module_values(tree)
    node = constants.get("STRATEGY")
    if node is None:
        what = "the file declares no strategy"
        return None, [Problem(file=file, line=1, what=what, instead=f"add {SHOULD}")]
    problems = _check_decide(tree, file)
    try:
        fields = _read_declaration_fields(node, constants)
    except NotLiteral as error:
        problem = Problem(file=file, line=error.line, what=error.what, instead=error.instead)
        return None, [*problems, problem]
    return (Declaration(**fields) if not problems else None), problems


def _read_declaration_fields(node: ast.expr, constants: dict[str, ast.expr]) -> dict[str, Any]:
    if not isinstance(node, ast.Call) or _called_name(node) != "Declaration":
        raise NotLiteral(node, "STRATEGY is not a Declaration", f"write {SHOULD}")
    fields = _read_keywords(node, DECLARATION_FIELDS, constants)
    _check_fields(node, fields)
    return fields


def declaration_line(tree: ast.Module) -> int:
    """Return the line of STRATEGY, 1 when there is none."""
    node = _module_values(tree).get("STRATEGY")
    return 1 if node is None else node.lineno


def decide_line(tree: ast.Module) -> int:
    """Return the line of `def decide`, 1 when there is none."""
    node = _find_decide(tree)
    return 1 if node is None else node.lineno


def _module_values(tree: ast.Module) -> dict[str, ast.expr]:
    values: dict[str, ast.expr] = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=targets, value=value):
                names = [target.id for target in targets if isinstance(target, ast.Name)]
                values.update(dict.fromkeys(names, value))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                values[name] = value
            case _:
                continue
    return values


def _find_decide(tree: ast.Module) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    for statement in tree.body:
        match statement:
            case ast.FunctionDef(name="decide") | ast.AsyncFunctionDef(name="decide"):
                return statement
            case _:
                continue
    return None


def _check_decide(tree: ast.Module, file: str) -> list[Problem]:
    node = _find_decide(tree)
    should = "def decide(market, portfolio, state):"
    if node is None:
        what = "the file has no function decide()"
        return [Problem(file=file, line=1, what=what, instead=f"add {should}")]
    if isinstance(node, ast.AsyncFunctionDef):
        what = "decide() is async, and there is nothing to wait for"
        return [Problem(file=file, line=node.lineno, what=what, instead=f"use {should}")]
    arguments = node.args
    names = [*arguments.posonlyargs, *arguments.args]
    required_keywords = sum(1 for default in arguments.kw_defaults if default is None)
    if len(names) != DECIDE_ARGUMENTS or required_keywords:
        what = f"decide() takes {len(names) + required_keywords} arguments"
        return [Problem(file=file, line=node.lineno, what=what, instead=f"use {should}")]
    return []


def _called_name(node: ast.Call) -> str:
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _read_keywords(
    node: ast.Call,
    known: tuple[str, ...],
    constants: dict[str, ast.expr],
) -> dict[str, Any]:
    if node.args:
        raise NotLiteral(node.args[0], "a value without a name", f"use one of {', '.join(known)}=")
    fields: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg not in known:
            name = keyword.arg or "**"
            raise NotLiteral(keyword.value, f"unknown field {name!r}", suggest(name, known))
        fields[keyword.arg] = _read_literal(keyword.value, constants, depth=0)
    return fields


def _read_literal(  # noqa: PLR0911  (a table of node kinds)
    node: ast.expr,
    constants: dict[str, ast.expr],
    depth: int,
) -> Any:
    if depth > len(constants) + 20:
        raise NotLiteral(node, "names that lead in a circle")
    match node:
        case ast.Constant(value=float() as number):
            instead = f'use Decimal("{number}"), or a whole number'
            raise NotLiteral(node, f"the float {number}", instead)
        case ast.Constant(value=str() | int() | None):
            return node.value
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return tuple(_read_literal(item, constants, depth + 1) for item in items)
        case ast.Dict(keys=keys, values=values):
            return {
                _read_literal(key, constants, depth + 1): _read_literal(value, constants, depth + 1)
                for key, value in zip(keys, values, strict=True)
                if key is not None
            }
        case ast.UnaryOp(op=ast.USub(), operand=ast.expr() as operand):
            return -_read_literal(operand, constants, depth + 1)
        case ast.Name(id=name) if name in constants:
            return _read_literal(constants[name], constants, depth + 1)
        case ast.Call() if _called_name(node) == "Parameter":
            return _read_parameter(node, constants)
        case ast.Call(args=[ast.expr() as argument]) if _called_name(node) == "Decimal":
            return _read_decimal(node, _read_literal(argument, constants, depth + 1))
        case _:
            raise NotLiteral(
                node,
                f"the declaration is read without running the file: {ast.unparse(node)[:40]}",
                'write a literal value: "text", 12, Decimal("0.5"), (..., ...)',
            )


def _read_decimal(node: ast.AST, value: Any) -> Decimal:
    try:
        return Decimal(value)
    except (InvalidOperation, TypeError, ValueError) as error:
        raise NotLiteral(node, f"{value!r} is not a number", 'use Decimal("0.5")') from error


def _read_parameter(node: ast.Call, constants: dict[str, ast.expr]) -> Parameter:
    fields = _read_keywords(node, PARAMETER_FIELDS, constants)
    for name in ("default", "doc"):
        if name not in fields:
            raise NotLiteral(node, f"the parameter has no {name}", f"add {name}=...")
    default, low, high = fields["default"], fields.get("minimum"), fields.get("maximum")
    if not isinstance(default, Decimal | int | str | bool):
        raise NotLiteral(node, "the default has no usable type", "use a number, text or True/False")
    if isinstance(default, bool | str) and not (low is None and high is None):
        raise NotLiteral(node, "bounds on something that is not a number", "drop them")
    for bound in (low, high):
        if bound is not None and (isinstance(bound, bool) or not isinstance(bound, Decimal | int)):
            raise NotLiteral(node, f"the bound {bound!r} is not a number", "use 1 or Decimal")
    parameter = Parameter(**fields)
    try:
        parse_parameter(parameter, default)
    except ValueError as error:
        raise NotLiteral(node, f"the default {error}") from error
    return parameter


def _check_fields(node: ast.Call, fields: dict[str, Any]) -> None:
    missing = [name for name in REQUIRED if name not in fields]
    if missing:
        raise NotLiteral(node, f"the declaration has no {', '.join(missing)}", f"write {SHOULD}")
    lines = {keyword.arg: keyword.value for keyword in node.keywords}
    for name, is_good, instead in (
        ("name", _is_name(fields["name"]), "use a-z 0-9 _ -, at most 32"),
        ("version", _is_text(fields["version"]), 'use text such as "1"'),
        ("symbols", _are_symbols(fields["symbols"]), 'use a tuple such as ("BTC/USDT",)'),
        ("timeframe", fields["timeframe"] in TIMEFRAMES, f"use one of {', '.join(TIMEFRAMES)}"),
        ("history", _is_history(fields["history"]), f"use a number from 1 to {HISTORY_MAX}"),
        ("parameters", _are_parameters(fields.get("parameters", {})), "use {name: Parameter(...)}"),
        ("wants_fills", isinstance(fields.get("wants_fills", False), bool), "use True or False"),
        ("doc", isinstance(fields.get("doc", ""), str), "use text"),
    ):
        if not is_good:
            raise NotLiteral(lines[name], f"{name} is {str(fields[name])[:40]!r}", instead)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _are_symbols(value: Any) -> bool:
    if not isinstance(value, tuple) or not value or len(set(value)) != len(value):
        return False
    return all(isinstance(item, str) and SYMBOL.fullmatch(item) for item in value)


def _is_history(value: Any) -> bool:
    return type(value) is int and 1 <= value <= HISTORY_MAX


def _are_parameters(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return all(
        isinstance(name, str) and name.isidentifier() and isinstance(item, Parameter)
        for name, item in value.items()
    )
