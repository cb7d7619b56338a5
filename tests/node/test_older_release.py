"""What one release writes, the other one reads: journal, latches, members, outbox (scenario 32).

The older release is taken from the history and run as it was; the same script runs on both trees.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import release_script
from tests.support.older_release import HistoryMissing, older_tree, run_script

HERE = Path(__file__).parents[2]
SCRIPT = Path(release_script.__file__)
NEWS = {"from_a_later_release": {"deep": [1, None, "text"]}}


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of the release before this one."""
    try:
        return older_tree(tmp_path_factory.mktemp("older"))
    except HistoryMissing as error:
        pytest.skip(str(error))


def written_by(root: Path) -> dict[str, Any]:
    texts: dict[str, Any] = json.loads(run_script(SCRIPT, "write", root=root))
    return texts


def read_by(root: Path, texts: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        run_script(SCRIPT, "read", root=root, text=json.dumps(texts))
    )
    return found


def with_news(texts: dict[str, Any]) -> dict[str, Any]:
    """The same texts, as a later release with further fields might write them."""

    def added(text: str, *path: str) -> str:
        value = json.loads(text)
        place = value
        for name in path:
            place = place[name]
        place.update(NEWS)
        return json.dumps(value)

    return {
        **texts,
        "documents": {k: added(added(t), "body") for k, t in texts["documents"].items()},
        "controls": {k: added(added(t), "value") for k, t in texts["controls"].items()},
        "member": added(added(texts["member"]), "body"),
        "outbox": [added(added(line), "event") for line in texts["outbox"]],
    }


def without_news(documents: dict[str, str]) -> dict[str, str]:
    """The documents without what only a strategy's state and a takeover's report pass on whole."""
    bodies = {key: json.loads(text) for key, text in documents.items()}
    for envelope in bodies.values():
        for name in NEWS:
            envelope["body"].pop(name, None)
    return {
        key: json.dumps(envelope, sort_keys=True, separators=(",", ":"))
        for key, envelope in bodies.items()
    }


@pytest.mark.parametrize("change", [lambda texts: texts, with_news], ids=["as-is", "with-news"])
@pytest.mark.parametrize("direction", ["older-to-newer", "newer-to-older"])
def test_what_one_release_writes_the_other_understands(
    older: Path, direction: str, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """Unknown fields are ignored; no document, latch or member is lost over them."""
    writer, reader = (older, HERE) if direction == "older-to-newer" else (HERE, older)
    texts = written_by(writer)
    read = read_by(reader, change(texts))
    assert not read["damages"]
    assert set(read["documents"]) == set(texts["documents"])
    assert without_news(read["documents"]) == read_by(writer, texts)["documents"]
    assert set(read["controls"]) == set(texts["controls"])
    assert read["is_paused"]
    assert read["account"] == "1001"
    assert {name: read["member"][name] for name in release_script.BODY} == release_script.BODY
    # A message of a kind that only a later release can tell is set aside there, no other.
    known = set(written_by(reader)["kinds"])
    expected = [kind in known for kind in texts["kinds"]]
    assert [line.startswith("{") for line in read["outbox"]] == expected


@pytest.mark.parametrize("direction", ["older-to-newer", "newer-to-older"])
def test_latches_pass_through_a_release_that_knows_less(older: Path, direction: str) -> None:
    """S6: a latch of a kind that nobody knows yet, and what a value says beyond, are passed on."""
    writer, reader = (older, HERE) if direction == "older-to-newer" else (HERE, older)
    texts = with_news(written_by(writer))
    passed = read_by(reader, texts)["controls"]
    for kind, text in texts["controls"].items():
        assert json.loads(passed[kind])["value"] == json.loads(text)["value"]
    assert "not_known_to_anybody" in passed
