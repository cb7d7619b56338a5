"""Before real money: what will trade, what is unproven, what the exchange says, and a name typed.

Rules of this file: it shows and asks, and changes nothing; a secret is shown by its first
characters only.
"""

import re
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from deploy.errors import DeployError
from deploy.keys import KeysJudged, judge_keys, masked
from deploy.wheels import ROOT
from node.bench import bench_fingerprint, build_bench
from node.config_model import Config, Profile
from node.doctor.looking import look_at_venue
from node.doctor.reach import VenueLook
from node.secrets import Secrets
from node.topology import topology_sentence
from strategy.loading import LoadedStrategy
from strategy.worker import StrategyWorker

GUARANTEES = ROOT / "docs" / "guarantees.md"
Look = Callable[[Config, Secrets], VenueLook]


def approve(
    config: Config,
    secrets: Mapping[str, Secrets],
    releases: Mapping[str, str],
    *,
    name: str,
    is_forced: bool,
    is_dry: bool,
    say: Callable[[str], None],
    look: Look = look_at_venue,
) -> None:
    """Show what is about to trade real money, and have it confirmed; other profiles pass.

    Args:
        config: what the boxes will get.
        secrets: of every node.
        releases: what each box gets, by node; empty when releases stay.
        name: what was said with NAME=, empty to ask for it.
        is_forced: go on although the exchange could not be asked (never against what it said).
        is_dry: show all, ask nothing.
        say: prints.
        look: asks the exchange with one node's key.

    Raises:
        DeployError: the keys do not fit, could not be checked, or the name is not the cluster's.
    """
    if config.cluster.profile is not Profile.PROD:
        return
    say(page(config, secrets, releases))
    keys = {node: own.venue_key()[0] for node, own in secrets.items()}
    with ThreadPoolExecutor(len(secrets)) as each:  # an exchange that is away costs its time once
        looks = dict(
            zip(secrets, each.map(lambda own: look(config, own), secrets.values()), strict=True)
        )
    judged = judge_keys(keys, looks)
    for text in (*judged.notes, *judged.unasked):
        say(f"  {text}")
    _refuse(judged, is_forced=is_forced)
    if not is_dry:
        _ask_name(config.cluster.name, name)


def page(config: Config, secrets: Mapping[str, Secrets], releases: Mapping[str, str]) -> str:
    """Return what one should have read."""
    keys = ", ".join(f"{n} {masked(own.venue_key()[0])}" for n, own in secrets.items())
    limits = ", ".join(f"{n} {v}" for n, v in config.risk.model_dump(mode="json").items())
    traded = "; ".join(f"{s.use} on {', '.join(s.symbols)}" for s in config.strategies)
    fingerprint = bench_fingerprint(build_bench(config, _worker))
    lines = [
        "",
        f"REAL MONEY: cluster {config.cluster_id} at {config.venue.exchange}",
        f"  keys        {keys}",
        f"  limits      {limits}",
        f"  strategy    {traded} (fingerprint {fingerprint})",
        *(f"  release     {node}: {release}" for node, release in releases.items()),
        f"  topology    {topology_sentence(config)}",
        "  not proven, not promised (docs/guarantees.md):",
        *(f"    - {sentence}" for sentence in unproven(GUARANTEES.read_text(encoding="utf-8"))),
    ]
    return "\n".join(lines)


def unproven(guarantees: str) -> tuple[str, ...]:
    """Return the page of guarantees in short: what begins each point of what is not promised."""
    _, _, rest = guarantees.partition("## Not promised")
    not_promised, _, tried = rest.partition("## What was tried where")
    found = [" ".join(text.split()) for text in re.findall(r"(?ms)^- \*\*(.+?)\*\*", not_promised)]
    sentence = re.search(r"(?s)(Nothing has been tried.+?)[.;]", tried)
    if sentence is not None:
        found.insert(0, " ".join(sentence[1].split()))
    return tuple(found)


def _refuse(judged: KeysJudged, *, is_forced: bool) -> None:
    if judged.problems:
        said = "\n".join(f"  {problem}" for problem in judged.problems)
        raise DeployError(f"these keys must not trade real money:\n{said}\nnothing was changed")
    if judged.unasked and not is_forced:
        raise DeployError(
            "the keys could not be checked: whether they are of one account and may not withdraw\n"
            "    → look at the exchange's list of keys yourself, then say FORCE=1; "
            "nothing was changed"
        )


def _ask_name(wanted: str, said: str) -> None:
    if not said and sys.stdin.isatty():
        sys.stdout.write("type the cluster's name to go on: ")
        sys.stdout.flush()
        said = sys.stdin.readline().strip()
    if said != wanted:
        what = f"{said!r} is not the cluster's name" if said else "the cluster's name was not said"
        raise DeployError(f"{what}\n    → NAME={wanted}; nothing was changed")


def _worker(loaded: LoadedStrategy, budget_s: float) -> StrategyWorker:
    return StrategyWorker(loaded, budget_s=budget_s)  # for its fingerprint; it is never started
