"""The rules of the house that no linter holds."""

import ast
import importlib
import re
import subprocess
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck

from node.cli.lazy import VERBS

ROOT = Path(__file__).parents[2]
PACKAGES = ("alerts", "election", "exchange", "node", "strategy")
LINES_MAX = 400

# Modules that decide: values in, values out, `now` is a parameter.
PURE = (
    "alerts/changes.py",
    "alerts/codec.py",
    "alerts/commands.py",
    "alerts/kinds.py",
    "alerts/model.py",
    "alerts/outbox.py",
    "alerts/pace.py",
    "alerts/render.py",
    "alerts/words.py",
    "election/calls.py",
    "election/contest.py",
    "election/control_record.py",
    "election/epoch_memory.py",
    "election/holding.py",
    "election/instants.py",
    "election/machine.py",
    "election/member_record.py",
    "election/model.py",
    "election/observation.py",
    "election/observed.py",
    "election/peer.py",
    "election/peer_auth.py",
    "election/promise.py",
    "election/promises.py",
    "election/resp.py",
    "election/signals.py",
    "election/standing.py",
    "election/tenure.py",
    "election/world.py",
    "exchange/answers.py",
    "exchange/balances.py",
    "exchange/findings.py",
    "exchange/identity.py",
    "exchange/intents.py",
    "exchange/journal.py",
    "exchange/journal_codec.py",
    "exchange/model.py",
    "exchange/placements.py",
    "exchange/plan.py",
    "exchange/positions.py",
    "exchange/reconcile.py",
    "exchange/risk.py",
    "exchange/steps.py",
    "exchange/wanted.py",
    "node/backup/manifest.py",
    "node/backup/members.py",
    "node/backup/pack.py",
    "node/doctor/findings.py",
    "node/doctor/losses.py",
    "node/doctor/outside.py",
    "node/doctor/report.py",
    "node/doctor/samples.py",
    "node/drill/history.py",
    "node/drill/keeper_facts.py",
    "node/drill/model.py",
    "node/drill/placements.py",
    "node/drill/report.py",
    "node/drill/rules.py",
    "node/drill/schedule.py",
    "node/drill/track.py",
    "node/drill/verdict.py",
    "node/durations.py",
    "node/board_model.py",
    "node/board_rates.py",
    "node/box_limits.py",
    "node/box_warnings.py",
    "node/crashes.py",
    "node/deadman.py",
    "node/eligibility.py",
    "node/latches.py",
    "node/peer_picture.py",
    "node/peer_rules.py",
    "node/replacing.py",
    "node/role.py",
    "node/status.py",
    "node/status_render.py",
    "node/succession.py",
    "node/topology.py",
    "node/watch.py",
    "strategy/grid.py",
    "strategy/hold.py",
    "strategy/model.py",
    "strategy/trend.py",
    "strategy/validation.py",
)
IMPURE_MODULES = frozenset(
    {"asyncio", "logging", "loguru", "os", "random", "socket", "subprocess", "threading", "time"}
)


def tracked(pattern: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", pattern],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("package", PACKAGES)
def test_house_package_resolves_inside_this_tree(package: str) -> None:
    """Foreign distributions are called `node`, `exchange`, `alerts`: none may shadow ours."""
    module = importlib.import_module(package)
    assert module.__file__ is not None
    assert Path(module.__file__).parent == ROOT / package


def test_house_every_test_folder_is_a_package() -> None:
    """A bare tests/election/__init__.py would shadow the real package."""
    folders = {path.parent for path in tracked("tests/**/*.py")} | {ROOT / "tests"}
    assert [f for f in folders if not (f / "__init__.py").is_file()] == []


def test_house_files_stay_small() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in tracked("*.py")
        if (count := len(path.read_text().splitlines())) > LINES_MAX and "tests" not in path.parts
    }
    assert long == {}


@pytest.mark.parametrize("name", PURE)
def test_house_pure_module_cannot_do_io(name: str) -> None:
    """The part that decides gets the time as a value and touches nothing."""
    tree = ast.parse((ROOT / name).read_text())
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            imported.add(node.module.split(".")[0])
    assert imported & IMPURE_MODULES == set()


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("an unfinished part", r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError"),
        ("a path of one machine", r"(?<![\w.])/(?:work|farm)/\w|/tmp/hs"),
        ("an address of a package index", r"--?index-url|find-links|https?://\S+/simple\b"),
    ],
)
def test_house_text_is_nowhere(what: str, pattern: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked("*")
        if path.suffix in {".py", ".md", ".toml", ".lock", ".lua", ""} and path != Path(__file__)
        for number, line in enumerate(path.read_text("utf-8", "replace").splitlines(), start=1)
        if re.search(pattern, line)
    ]
    assert found == [], f"{what} was found"


def test_house_markdown_links_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in tracked("*.md")
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_house_every_verb_that_is_named_exists() -> None:
    """A message at night must not say "type this" of a command that is not there."""
    pages = [path for path in tracked("*.md") if path.name != "CHANGELOG.md"]
    sources = [path for package in PACKAGES for path in tracked(f"{package}/*.py")]
    unknown = [
        f"{path.relative_to(ROOT)}: nodectl {verb}"
        for path in (*pages, *sources)
        for verb in re.findall(r"\bnodectl ([a-z][a-z-]*)", path.read_text())
        if verb not in VERBS
    ]
    assert unknown == []


def test_house_every_make_target_that_is_named_exists() -> None:
    """The same for `make`."""
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = [path for path in tracked("*.md") if path.name != "CHANGELOG.md"]
    sources = [path for package in (*PACKAGES, "deploy") for path in tracked(f"{package}/*.py")]
    unknown = [
        f"{path.relative_to(ROOT)}: make {target}"
        for path in (*pages, *sources)
        for target in re.findall(r"`make ([a-z][a-z-]*)", path.read_text())
        if target not in targets
    ]
    assert unknown == []


def test_house_property_tests_have_no_time_limit() -> None:
    """A slow machine must not turn a correct example into a failure."""
    limits = hypothesis.settings.default
    assert limits is not None
    assert limits.deadline is None
    assert HealthCheck.too_slow in limits.suppress_health_check
