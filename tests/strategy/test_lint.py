"""What makes a strategy impure is found before it runs, with its line and a way out."""

import ast

import pytest

from strategy.lint import lint
from strategy.template import TEMPLATE

DECIDE = "def decide(market, portfolio, state):\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        pytest.param("import time\n", 1, "open_ms", id="the clock"),
        pytest.param("import json\nfrom time import sleep\n", 2, "open_ms", id="a part of it"),
        pytest.param("import random\n", 1, "candles", id="chance"),
        pytest.param("import ccxt\n", 1, "market and portfolio", id="the venue"),
        pytest.param("import ccxt.async_support as c\n", 1, "market", id="a part of the venue"),
        pytest.param("import requests, math\n", 1, "sockets", id="the web"),
        pytest.param("from urllib import request\n", 1, "sockets", id="the web by the library"),
        pytest.param("import socket\n", 1, "sockets", id="sockets"),
        pytest.param("import os\n", 1, "process", id="the system"),
        pytest.param("import threading\n", 1, "budget", id="threads"),
        pytest.param("from pathlib import Path\n", 1, "state", id="files"),
        pytest.param("from . import other\n", 1, "this file", id="a file beside it"),
        pytest.param("from node import wiring\n", 1, "strategy.model", id="the node"),
        pytest.param("import exchange.fenced\n", 1, "exchange.model", id="the write path"),
        pytest.param("import datetime\nx = datetime.datetime.now()\n", 2, "open_ms", id="now"),
        pytest.param("import pandas as pd\nx = pd.Timestamp.utcnow()\n", 2, "open_ms",
                     id="the clock of pandas"),
        pytest.param("from datetime import date\nx = date.today()\n", 2, "open_ms", id="today"),
        pytest.param("import numpy as np\nx = np.random.rand(3)\n", 2, "seed", id="numpy chance"),
        pytest.param("import numpy as np\nx = np.random.default_rng()\n", 2, "seed",
                     id="numpy chance without a seed"),
        pytest.param(f"{DECIDE}    return open('x').read()\n", 2, "state", id="open"),
        pytest.param(f"{DECIDE}    return eval('1')\n", 2, "code", id="eval"),
        pytest.param(f"{DECIDE}    return id(market)\n", 2, "values", id="addresses"),
        pytest.param(f"COUNT = 0\n{DECIDE}    global COUNT\n    COUNT += 1\n", 3, "state",
                     id="a global"),
        pytest.param(f"SEEN = []\n{DECIDE}    SEEN.append(1)\n", 3, "SEEN", id="a list that grows"),
        pytest.param(f"SEEN = {{}}\n{DECIDE}    SEEN['a'] = 1\n", 3, "SEEN", id="a growing dict"),
        pytest.param(f"SEEN = {{}}\n{DECIDE}    SEEN['a']['b'] += 1\n", 3, "SEEN", id="a deep one"),
        pytest.param(f"SEEN = {{}}\n{DECIDE}    del SEEN['a']\n", 3, "SEEN", id="one that shrinks"),
        pytest.param(f"class C:\n    x = 0\n{DECIDE}    C.x += 1\n", 4, "C,", id="a class field"),
        pytest.param(f"{DECIDE}    decide.calls = 1\n", 2, "decide", id="a function attribute"),
        pytest.param("def f(x, seen=[]):\n    return x\n", 1, "default", id="a default list"),
        pytest.param(f"{DECIDE}    state['n'] = 1\n    return state\n", 2, "dict(state)",
                     id="the state that was given"),
        pytest.param(f"{DECIDE}    state.update(n=1)\n", 2, "dict(state)", id="its update"),
        pytest.param(f"{DECIDE}    market.parameters['a'] = 1\n", 2, "market", id="the parameters"),
    ],
)  # fmt: skip
def test_lint_finds(text: str, line: int, says: str) -> None:
    """Exactly one problem, at its line, with what to use instead."""
    (problem,) = lint(ast.parse(text), "mine.py")
    assert problem.line == line
    assert problem.instead
    assert says in str(problem)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(TEMPLATE, id="the example"),
        pytest.param("import numpy as np\nimport pandas as pd\nimport talib\n", id="libraries"),
        pytest.param("import math, statistics, itertools, json\n", id="the computing library"),
        pytest.param("from datetime import datetime, UTC\nx = datetime.fromtimestamp(1, UTC)\n",
                     id="reading a candle's time"),
        pytest.param("import numpy as np\nx = np.random.default_rng(7)\n", id="seeded chance"),
        pytest.param(f"{DECIDE}    state = dict(state)\n    state['n'] = 1\n    return state\n",
                     id="a copy of the state"),
        pytest.param(f"{DECIDE}    seen = []\n    seen.append(1)\n", id="a local list"),
        pytest.param(f"SEEN = []\n{DECIDE}    SEEN = []\n    SEEN.append(1)\n", id="a local twin"),
        pytest.param("def f(seen):\n    seen.append(1)\n", id="a helper that fills its argument"),
        pytest.param(f"{DECIDE}    print(market)\n", id="printing"),
        pytest.param("TABLE = {}\nTABLE['a'] = 1\n", id="a table built once at the top"),
        pytest.param(f"{DECIDE}    return [s.pop() for s in [[1]]]\n", id="a loop variable"),
    ],
)  # fmt: skip
def test_lint_allows(text: str) -> None:
    """Computing is free; only what outlives a call or comes from outside is not."""
    assert lint(ast.parse(text), "mine.py") == []
