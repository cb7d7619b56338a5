"""Files that are broken are read all the same: nothing raises, and no secret is missed."""

from pathlib import Path

import pytest

from node.lenient import find_at, parse_tree, read_text, secret_values

PEM_LINE = "MC4CAQAwBQYDK2VwBCIEIHRoaXNpc2E"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('a = "one-secret"\n[b]\nc = ["two-secret", 3]\n', {"one-secret", "two-secret", "3"}),
        ('oops = \na = "one-secret" # x\n', {"one-secret"}),
        (f'oops = \na = """\n-----BEGIN KEY-----\n{PEM_LINE}\n"""\n', {PEM_LINE}),
        ("", set()),
    ],
    ids=["TOML", "not TOML", "not TOML, over several lines", "empty"],
)
def test_every_value_is_found(text: str, values: set[str]) -> None:
    assert values <= set(secret_values(text))


def test_what_is_not_there_is_nothing(tmp_path: Path) -> None:
    assert read_text(tmp_path / "none") == ""
    assert read_text(tmp_path) == ""
    assert parse_tree("[") == {}
    assert parse_tree("a = " + "[" * 100_000) == {}
    assert find_at({"a": {"b": 1}}, "a", "b") == 1
    assert find_at({"a": 1}, "a", "b") is None
    assert find_at([], "a") is None


def test_bytes_that_are_no_text_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\xff\xfea = 1")
    assert "a = 1" in read_text(path)
