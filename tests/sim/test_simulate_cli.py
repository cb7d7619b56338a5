"""`nodectl simulate`: figures, timeline, exit codes."""

import json

import pytest
from typer.testing import CliRunner

from node.cli.simulate import app
from node.sim.simulation import Simulation

RUNNER = CliRunner()


def test_figures_as_json() -> None:
    """0 and the counts, when no promise was broken."""
    result = RUNNER.invoke(app, ["--seed", "2", "--hours", "0.01", "--stores", "1", "--json"])
    assert result.exit_code == 0
    said = json.loads(result.stdout)
    assert said["violations"] == []
    assert said["counts"]["lease.granted"] >= 1
    assert said["simulated_h"] > 0.1
    assert said["cpu_s_per_hour"] > 0


def test_figures_name_the_runs_with_one_digest() -> None:
    """What a campaign was can be compared: any number of jobs, the same digest; other seeds not."""

    def digest(*options: str) -> str:
        said = RUNNER.invoke(app, ["--hours", "0.01", "--stores", "1", "--json", *options])
        return str(json.loads(said.stdout)["digest"])

    two = digest("--seed", "2", "--count", "2", "--calm")
    assert digest("--seed", "2", "--count", "2", "--calm", "--jobs", "2") == two
    assert digest("--seed", "3", "--count", "2", "--calm") != two


def test_timeline_says_who_did_what() -> None:
    """--show prints true time, who, and what in words."""
    result = RUNNER.invoke(app, ["--hours", "0.01", "--calm", "--show"])
    assert result.exit_code == 0
    assert "is active now (before: takeover)" in result.stdout
    assert "venue" in result.stdout


def test_violation_is_exit_code_1_and_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken promise ends with its timeline, its seed and code 1."""
    play = Simulation._play

    def broken(simulation: Simulation) -> None:
        play(simulation)
        simulation.world.violate("a promise was broken on purpose")

    monkeypatch.setattr(Simulation, "_play", broken)
    result = RUNNER.invoke(app, ["--seed", "5", "--hours", "0.01", "--calm"])
    assert result.exit_code == 1
    assert "VIOLATION" in result.stdout
    assert "seed 5, stores 3" in result.stdout
    again = "nodectl simulate --seed 5 --hours 0.01 --stores 3 --calm --show"
    assert f"again: {again}\n" in result.stdout
    assert "keep: Regression(seed=5, hours=0.01, stores=3, faults=()," in result.stdout
    assert "has_storms=False, showed='" in result.stdout
    repeated = RUNNER.invoke(app, again.split()[2:])
    assert repeated.exit_code == 1
    end_of_timeline = result.stdout.split("\nseed 5")[0].strip()
    assert end_of_timeline in repeated.stdout, "the command prints another run"


def test_campaign_without_storms_is_no_proof() -> None:
    """--insist: exit code 2 names what never happened, so that a green campaign means something."""
    result = RUNNER.invoke(app, ["--hours", "0.01", "--calm", "--insist"])
    assert result.exit_code == 2
    assert "fault: power cut" in result.stdout
    assert "fence kill" in result.stdout
    assert "post mortem released" in result.stdout
    assert "peer message late" in result.stdout
    assert "lease.granted" not in result.stdout.split("never seen")[1]
    assert "stand-down" not in result.stdout.split("never seen")[1], "not possible with three"


def test_campaign_with_one_store_insists_on_promises() -> None:
    """Two boxes with one store: a campaign in which nobody stood down proves nothing of it."""
    result = RUNNER.invoke(app, ["--hours", "0.01", "--calm", "--insist", "--stores", "1"])
    assert result.exit_code == 2
    missing = result.stdout.split("never seen")[1]
    assert "stand-down given" in missing
    assert "led after a forced end" in missing


def test_two_stores_are_refused() -> None:
    """Only 1 or 3 stores can be configured, so only these are simulated."""
    assert RUNNER.invoke(app, ["--stores", "2"]).exit_code != 0


@pytest.mark.parametrize("other", [["--count", "2"], ["--json"], ["--insist"]])
def test_timeline_of_one_seed_is_not_a_campaign(other: list[str]) -> None:
    """--show prints one seed as text: what asks for more is refused, not left out in silence."""
    refused = RUNNER.invoke(app, ["--hours", "0.01", "--calm", "--show", *other])
    assert refused.exit_code != 0
    assert "prints one seed" in refused.output
