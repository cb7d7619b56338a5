"""Small wrong changes of a module's text: compare, negate, off by one, delete, swap.

Rules of this file: pure; a mutant is the whole text of one file with one place changed. Assertions
(they state what only our own bug can break), messages, annotations, imports and docstrings are left
alone: a change there is no change of behaviour that a test could be asked to notice. Neither is
None in place of False (no reader of ours compares with `is`; mypy refuses it), nor `<` for `<=`
between durations (names that end in `_s`): no clock ever shows exactly the limit.
"""

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass

_COMPARE: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_BOUNDARIES = ({ast.Lt, ast.LtE}, {ast.Gt, ast.GtE})
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
}
_SMALL = 10
_SWAPPED_NAMES = {"max": "min", "min": "max", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One changed text: where, how, and the whole of it."""

    path: str
    line: int
    how: str
    text: str
    original: str

    @property
    def key(self) -> str:
        """Name it independently of line numbers: path, change, old and new text of the place."""
        lines = [line[1:].strip() for line in self.diff().splitlines()[2:] if line[0] in "+-"]
        return f"{self.path}: {self.how}: " + " -> ".join(lines)

    def diff(self, context: int = 0) -> str:
        """Return the change as a unified diff."""
        return "\n".join(
            difflib.unified_diff(
                self.original.splitlines(),
                self.text.splitlines(),
                self.path,
                self.path,
                lineterm="",
                n=context,
            )
        )


def mutants_of(path: str, text: str) -> list[Mutant]:
    """Return every mutant of one module, in the order of its lines."""
    tree = ast.parse(text)
    ends = _offsets(text)
    found: dict[str, Mutant] = {}
    for node in _changeable(tree):
        for how, new in _changes(node):
            changed = _replaced(text, ends, node, new)
            if changed != text and changed not in found:
                found[changed] = Mutant(
                    path=path,
                    line=getattr(node, "lineno", 0),
                    how=how,
                    text=changed,
                    original=text,
                )
    return sorted(found.values(), key=lambda mutant: mutant.line)


def _changeable(node: ast.AST) -> Iterator[ast.AST]:
    """Walk the tree, leaving out what is no behaviour."""
    if isinstance(node, ast.Assert | ast.Import | ast.ImportFrom | ast.JoinedStr | ast.Raise):
        return
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id="assert_never"))):
            return
        case _:
            yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "args") and not isinstance(
            node, ast.Call
        ):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _changeable(child)


def _changes(node: ast.AST) -> Iterator[tuple[str, str]]:  # noqa: C901, PLR0912
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            for other in _COMPARE.get(type(op), ()):
                if {type(op), other} in _BOUNDARIES and _is_duration(node):
                    continue
                yield "compare", ast.unparse(ast.Compare(left, [other()], [right]))
        case ast.BoolOp(op=op, values=values):
            swapped = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield "and/or", f"({ast.unparse(ast.BoolOp(swapped, values))})"
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "drop not", f"({ast.unparse(operand)})"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            yield "arithmetic", f"({ast.unparse(ast.BinOp(left, _ARITHMETIC[type(op)](), right))})"
        case ast.Constant(value=bool() as value):
            yield "flip", str(not value)
        case ast.Constant(value=int() | float() as number):
            if abs(number) < _SMALL:
                yield "off by one", str(number + 1)
            else:  # one more among a thousand is no error that a test should be asked to see
                yield "doubled", str(number * 2)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if (
            name in _SWAPPED_NAMES
        ):
            yield (
                "swap call",
                ast.unparse(ast.Call(ast.Name(_SWAPPED_NAMES[name]), args, keywords)),
            )
        case ast.Return(value=value) if value is not None and not _is_nothing(value):
            yield "return None", "return None"
        case ast.Expr(value=ast.Call()) | ast.Assign() | ast.AugAssign() | ast.Delete():
            yield "delete", "pass"
        case ast.Continue() | ast.Return():
            yield "delete", "pass"
        case _:
            pass


def _is_nothing(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value in (None, False)


def _is_duration(comparison: ast.Compare) -> bool:
    names = (getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(comparison))
    return any(name.endswith("_s") for name in names)


def _offsets(text: str) -> list[int]:
    """Return the byte offset at which each line begins."""
    offsets, total = [], 0
    for line in text.encode().splitlines(keepends=True):
        offsets.append(total)
        total += len(line)
    return offsets


def _replaced(text: str, offsets: list[int], node: ast.AST, new: str) -> str:
    data = text.encode()
    line, column = node.lineno, node.col_offset  # type: ignore[attr-defined]
    end_line, end_column = node.end_lineno, node.end_col_offset  # type: ignore[attr-defined]
    start, end = offsets[line - 1] + column, offsets[end_line - 1] + end_column
    return (data[:start] + new.encode() + data[end:]).decode()
