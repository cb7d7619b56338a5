"""Strategy files are found, read without being run, and refused with every problem."""

from decimal import Decimal
from pathlib import Path

import pytest

from strategy.errors import StrategyRefused
from strategy.loading import FILE_BYTES_MAX, SHIPPED, load_strategy
from strategy.model import Problem
from strategy.template import new_strategy
from tests.strategy.sources import GOOD, HEAD, source, write

DECIDE = "\n\ndef decide(market, portfolio, state):\n    return None\n"
OPENING = (
    "from decimal import Decimal\nfrom strategy.model import Declaration, Parameter\n\n"
    "FAST = 3\nSTRATEGY = Declaration(\n"
)
GOOD_FIELDS = {
    "name": '"mine"',
    "version": '"1"',
    "symbols": '("ETH/USDT",)',
    "timeframe": '"1m"',
    "history": "10",
    "parameters": "{}",
}


def declared(decide: str = DECIDE, **fields: str) -> str:
    lines = "".join(f"    {name}={text},\n" for name, text in {**GOOD_FIELDS, **fields}.items())
    return f"{OPENING}{lines})\n{decide}"


def refused(path: Path) -> tuple[Problem, ...]:
    with pytest.raises(StrategyRefused) as error:
        load_strategy(path)
    return error.value.problems


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_strategy_loads(name: str) -> None:
    """hold, trend and grid pass their own rules and are named as their files."""
    loaded = load_strategy(name)
    assert loaded.declaration.name == name
    assert loaded.file == f"{name}.py"
    assert loaded.declaration.doc
    assert all(parameter.doc for parameter in loaded.declaration.parameters.values())


def test_file_is_read_and_not_run(tmp_path: Path) -> None:
    """The node has the keys, so a strategy's code never runs in it."""
    path = tmp_path / "mine.py"
    path.write_text(declared() + "\n1 / 0\n", encoding="utf-8")
    assert load_strategy(path).declaration.history == 10


def test_declaration_reads_literals_and_names(tmp_path: Path) -> None:
    """Numbers, Decimals, text, tuples, parameters, negative numbers, and names of such values."""
    parameters = (
        '{"fast": Parameter(default=FAST, minimum=1, maximum=9, doc="d"), '
        '"gap": Parameter(default=Decimal("-0.5"), doc="g"), '
        '"low": Parameter(default=-2, doc="l"), "on": Parameter(default=True, doc="o")}'
    )
    path = tmp_path / "mine.py"
    path.write_text(declared(parameters=parameters, wants_fills="True"), encoding="utf-8")
    loaded = load_strategy(path, {"fast": 4})
    assert loaded.parameters == {"fast": 4, "gap": Decimal("-0.5"), "low": -2, "on": True}
    assert loaded.declaration.wants_fills
    assert loaded.declaration.symbols == ("ETH/USDT",)


@pytest.mark.parametrize(
    ("fields", "line", "says"),
    [
        pytest.param({"name": '"My Bot"'}, 6, "a-z", id="a name with a blank"),
        pytest.param({"version": "1"}, 7, "version", id="a version that is no text"),
        pytest.param({"symbols": '"ETH/USDT"'}, 8, "tuple", id="symbols that are text"),
        pytest.param({"symbols": "()"}, 8, "symbols", id="no symbol"),
        pytest.param({"symbols": '("ETHUSDT",)'}, 8, "BTC/USDT", id="a symbol without a slash"),
        pytest.param({"symbols": '("A/B", "A/B")'}, 8, "symbols", id="a symbol twice"),
        pytest.param({"timeframe": '"7m"'}, 9, "15m", id="an unknown timeframe"),
        pytest.param({"history": "0"}, 10, "1 to", id="no history"),
        pytest.param({"history": "5000"}, 10, "720", id="more history than a venue gives"),
        pytest.param({"history": '"10"'}, 10, "history", id="history as text"),
        pytest.param({"history": "FAST * 2"}, 10, "literal", id="arithmetic"),
        pytest.param({"history": "len('x')"}, 10, "literal", id="a call"),
        pytest.param({"parameters": "{'a': 1}"}, 11, "Parameter", id="a bare parameter"),
        pytest.param({"parameters": "{'a b': Parameter(default=1, doc='')}"}, 11, "parameters",
                     id="a parameter name with a blank"),
        pytest.param({"parameters": "{'a': Parameter(default=0.5, doc='')}"}, 11, 'Decimal("0.5")',
                     id="a float default"),
        pytest.param({"parameters": "{'a': Parameter(default=1)}"}, 11, "doc", id="no doc"),
        pytest.param({"parameters": "{'a': Parameter(default=1, doc='', minimum=2)}"}, 11,
                     "at least 2", id="a default out of its bounds"),
        pytest.param({"parameters": "{'a': Parameter(default='x', doc='', minimum=2)}"}, 11,
                     "bounds", id="bounds on text"),
        pytest.param({"parameters": "{'a': Parameter(default=1, doc='', max=2)}"}, 11,
                     "maximum", id="a misspelt bound"),
        pytest.param({"timeframes": '"1m"'}, 12, "'timeframe'", id="a misspelt field"),
    ],
)  # fmt: skip
def test_declaration_is_refused_at_its_line(
    tmp_path: Path, fields: dict[str, str], line: int, says: str
) -> None:
    """`file:line: what, use this instead`."""
    path = tmp_path / "mine.py"
    path.write_text(declared(**fields), encoding="utf-8")
    (problem,) = refused(path)
    assert (problem.file, problem.line) == (str(path), line)
    assert says in str(problem)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        pytest.param("x = 1\n", 1, "STRATEGY", id="no declaration"),
        pytest.param(declared(decide=""), 1, "decide", id="no decide"),
        pytest.param(declared(decide="def decide(market): pass\n"), 13, "1 arg", id="one argument"),
        pytest.param(
            declared(decide="async def decide(a, b, c): pass\n"), 13, "async", id="an async decide"
        ),
        pytest.param("STRATEGY = 5\n" + DECIDE, 1, "Declaration", id="STRATEGY is a number"),
        pytest.param(HEAD + "def decide(market:\n", 11, "'('", id="a syntax error"),
        pytest.param(declared() + "x = '\0'", 1, "null", id="a zero byte"),
    ],
)
def test_file_is_refused(tmp_path: Path, text: str, line: int, says: str) -> None:
    """What is missing or broken is named with its line."""
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    problem = refused(path)[0]
    assert problem.line == line
    assert says in str(problem)


def test_every_problem_is_reported_at_once_by_line(tmp_path: Path) -> None:
    """Declaration and purity are checked together."""
    path = tmp_path / "mine.py"
    text = declared(history="0", decide="def decide(market, portfolio, state):\n    open('x')\n")
    path.write_text("import time\n" + text, encoding="utf-8")
    assert [problem.line for problem in refused(path)] == [1, 11, 15]


def test_file_that_is_absent_or_unreadable_is_refused(tmp_path: Path) -> None:
    """A wrong path, a directory, other encodings, a file far too large."""
    (tmp_path / "latin.py").write_bytes(b"x = 1\ny = '\xe4'\n")
    (tmp_path / "large.py").write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    assert refused(tmp_path / "none.py")[0].line == 1
    assert refused(tmp_path)[0].line == 1
    assert refused(tmp_path / "latin.py")[0].line == 2
    assert "bytes" in str(refused(tmp_path / "large.py")[0])


def test_misspelt_shipped_name_names_the_nearest() -> None:
    """`gird` is not a file."""
    with pytest.raises(StrategyRefused, match="'grid'"):
        load_strategy("gird")


def test_relative_path_starts_from_the_given_base(tmp_path: Path) -> None:
    """A node reads paths relative to its configuration, not to where it was started."""
    write(tmp_path, GOOD)
    assert load_strategy("mine.py", base=tmp_path).text == source(GOOD)


def test_windows_line_ends_and_mark_are_read(tmp_path: Path) -> None:
    """A file saved on Windows is the same strategy."""
    path = tmp_path / "mine.py"
    path.write_bytes(b"\xef\xbb\xbf" + source(GOOD).replace("\n", "\r\n").encode())
    plain = write(tmp_path, GOOD, "plain.py")
    assert load_strategy(path).fingerprint() == load_strategy(plain).fingerprint()


def test_new_strategy_writes_a_file_that_loads(tmp_path: Path) -> None:
    """The example is a strategy of its own name; directories are made."""
    path = new_strategy("first-one", tmp_path / "strategies")
    assert load_strategy(path).declaration.name == "first-one"


@pytest.mark.parametrize("name", ["", "Dip", "a/b", "../x", "9lives", "x" * 33, "grid"])
def test_new_strategy_refuses_the_name(tmp_path: Path, name: str) -> None:
    """Names that are no names, lead elsewhere, or belong to what is shipped."""
    with pytest.raises(StrategyRefused):
        new_strategy(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_new_strategy_never_overwrites(tmp_path: Path) -> None:
    """A person's file is left as it is."""
    path = write(tmp_path, GOOD)
    with pytest.raises(StrategyRefused):
        new_strategy("mine", tmp_path)
    assert path.read_text(encoding="utf-8") == source(GOOD)
