"""Deploying one box: look, refuse what cannot work, bring, switch, check, and say what it means."""

import dataclasses
import getpass
import os
import shlex
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.begun import has_begun, remember, tell_card
from deploy.box import Box, Say
from deploy.desired import (
    STORE_SERVERS,
    Target,
    backup_wants,
    base_wants,
    paper_wants,
    settings_wants,
    store_wants,
)
from deploy.errors import BoxUnfit, DeployError, InventoryRefused, StepFailed
from deploy.facts import BoxFacts
from deploy.inventory import BoxPlace, find_place
from deploy.meant import why_another, why_elsewhere
from deploy.prod import approve
from deploy.python_archive import VERSION, PythonArchive, archive_for
from deploy.release import Release, build, release_id
from deploy.settings import read_secrets, read_settings, strategy_lock
from deploy.ssh import Shell
from deploy.switching import POLL_S, Patience, sees_no_majority, switch
from deploy.wheels import Target as WheelTarget
from node.config import Config, load_config
from node.topology import topology_sentence

LEADER_S = 60.0
"""Two fresh nodes wait one ttl and ask each other before one leads."""
SSH_VARIABLE = "HOTSPARE_SSH"
DEFAULT_CACHE = Path.home() / ".cache" / "hotspare"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the owner asked for."""

    config: Config
    host: str = ""
    is_dry: bool = False
    is_forced: bool = False
    cache: Path = DEFAULT_CACHE
    python_archive: str = ""
    name: str = ""
    """What the owner typed as the cluster's name: prod asks for it."""
    is_profile_said: bool = False
    text: bytes | None = None
    """What cluster.toml will say, where that is not written yet."""


def open_cluster(folder: Path, profile: str | None) -> Config:
    """Load the cluster's folder as boxes will.

    Raises:
        InventoryRefused: there is no such folder.
        ConfigRefused: its cluster.toml cannot be used.
    """
    if not (folder / "cluster.toml").exists():
        raise InventoryRefused(
            f"{folder.resolve()}: has no cluster.toml\n    → CLUSTER= names the folder that "
            "`nodectl init --directory FOLDER` wrote"
        )
    return load_config(folder / "cluster.toml", profile=profile, environ={})


@contextmanager
def connected(place: BoxPlace, wish: Wish, say: Say, *, needs_root: bool = True) -> Iterator[Box]:
    """Open a way to a box; asks for the sudo password where one is needed, and tries it.

    Raises:
        BoxUnreachable: ssh did not get through.
        BoxUnfit: another node of ours is deployed there.
        DeployError: sudo does not take the password, or nobody can be asked for it.
    """
    try:
        command = tuple(shlex.split(os.environ.get(SSH_VARIABLE) or "ssh"))
    except ValueError as error:
        raise DeployError(f"{SSH_VARIABLE} is no command: {error}\n    → mend its quotes") from None
    with Shell(target=place.ssh, command=command) as shell:
        box = Box(place=place, shell=shell, say=say, is_dry=wish.is_dry)
        if another := why_another(box.facts, place):
            raise BoxUnfit(another)
        match box.facts.sudo:
            case "root":
                shell.is_root = True
            case "password" if needs_root:
                shell.sudo_password = _ask_password(place)
                if wrong := shell.why_no_sudo():
                    raise DeployError(
                        f"{place.name}: sudo does not take this password: {wrong}\n    → type it "
                        "again; nothing was changed"
                    )
        yield box


def _ask_password(place: BoxPlace) -> str:
    try:
        with warnings.catch_warnings(action="error", category=getpass.GetPassWarning):
            return getpass.getpass(f"sudo password on {place.ssh}: ")
    except (EOFError, getpass.GetPassWarning):
        raise DeployError(
            f"{place.name}: sudo wants a password there, and nobody is here to type it\n    → run "
            "it in a terminal, or let that user use sudo without one (docs/jetson-nano.md, step 5)"
        ) from None


def deploy(
    name: str,
    wish: Wish,
    say: Say,
    patience: Patience | None = None,
    *,
    before_start: Callable[[Box, Target], None] | None = None,
) -> int:
    """Bring one box to what the cluster's folder says and return how many things changed.

    `before_start` is called when everything lies on a node's box and nothing is switched yet.

    Raises:
        DeployError: it could not be done, with what mends it; a second run resumes.
    """
    config, patience = wish.config, patience or Patience()
    place = find_place(config, name, host=wish.host)
    say(f"{name}: {place.ssh}")
    with connected(place, wish, say) as box:
        box.refuse_unfit()
        refuse_other_profile(box, wish)
        if (elsewhere := why_elsewhere(box.facts, place, config)) and not wish.is_forced:
            raise BoxUnfit(elsewhere)
        target, release, python = prepare(box, wish)
        approve_prod(wish, {name: target.release_id} if place.is_node else {}, say)
        ready = bring(box, target, release, python)
        if place.is_node and before_start is not None:
            before_start(box, ready)
        elif place.is_node and has_begun(config):
            tell_card(box)
        if place.is_node:
            switch(box, ready, patience, may_stop_trading=True)
        _conclude(box, ready, wish, patience)
        return box.changes


def approve_prod(wish: Wish, releases: Mapping[str, str], say: Say) -> None:
    """Where real money is meant: show it all, have it confirmed (prod.py). Raises DeployError."""
    secrets = {node_id: read_secrets(wish.config, node_id).values for node_id in wish.config.nodes}
    approve(
        wish.config,
        secrets,
        releases,
        name=wish.name,
        is_forced=wish.is_forced,
        is_dry=wish.is_dry,
        say=say,
    )


def refuse_empty(box: Box) -> None:
    """Raise BoxUnfit where no node is deployed on this box."""
    if not box.facts.node:
        raise BoxUnfit(
            f"{box.place.name}: no node is deployed there\n    → make deploy-primary, "
            "make deploy-standby"
        )


def refuse_other_profile(box: Box, wish: Wish) -> None:
    """Refuse to change by the way what a running node trades: paper or money, and whose.

    Raises:
        StepFailed: it runs another profile, and PROFILE= was not said; or it is another cluster's.
    """
    if not box.place.is_node or not box.facts.settings:
        return
    running = str(box.node_state().status.get("cluster_id") or "")
    profile, _, name = running.partition("-")
    if running and name != wish.config.cluster.name:
        raise StepFailed(
            f"{box.place.name} belongs to cluster {name}, this folder is of cluster "
            f"{wish.config.cluster.name}\n    → look at CLUSTER=, HOST= and inventory.toml; to "
            f"give the box to this cluster, first run: make uninstall BOX={box.place.name} with "
            "the other one's folder; nothing was changed"
        )
    if running and running != wish.config.cluster_id and not wish.is_profile_said:
        raise StepFailed(
            f"{box.place.name} runs {running}, cluster.toml says {wish.config.cluster_id}\n"
            f"    → say PROFILE={profile} to keep that, PROFILE={wish.config.cluster.profile} to "
            "change it; nothing was changed"
        )


def prepare(
    box: Box, wish: Wish, *, is_built: bool = True
) -> tuple[Target, Release | None, PythonArchive | None]:
    """Work out what a box gets; builds the release on this machine. Raises DeployError.

    With `is_built` False it keeps the release that it has.
    """
    config, place = wish.config, box.place
    secrets = {node_id: read_secrets(config, node_id) for node_id in config.nodes}
    release = python = None
    wanted_id = "-"
    if place.is_node and not is_built:
        wanted_id = box.facts.release or "-"
    elif place.is_node:
        python = _python_for(box.facts, wish)
        wheels = _wheel_target(box.facts, python)
        own_lock = strategy_lock(config)
        if wish.is_dry:
            wanted_id = release_id(wheels, own_lock)
            release = Release(release_id=wanted_id, files={})
        else:
            release = build(wheels, own_lock, wish.cache)
            wanted_id = release.release_id
    target = Target(
        place=place,
        config=config,
        facts=box.facts,
        settings=read_settings(config, wish.text),
        release_id=wanted_id,
        secrets=secrets,
    )
    return target, release, python


def bring(
    box: Box, target: Target, release: Release | None, python: PythonArchive | None
) -> Target:
    """Put everything on the box beside what runs, and run its store and paper exchange.

    Returns the target with what is known of the store's server now. Raises DeployError.
    """
    box.apply(base_wants(target))
    if target.place.has_store and not target.facts.store_server:
        # the packages have just brought it
        facts = dataclasses.replace(
            target.facts, store_server=STORE_SERVERS[0], store_version=_store_version(box)
        )
        target = dataclasses.replace(target, facts=facts)
    box.apply(store_wants(target))
    box.apply(settings_wants(target))
    if release is not None:
        box.bring(release, python)
        if target.place.has_paper:
            # the paper exchange runs out of the release too, and is there before any node
            box.apply(paper_wants(target))
        box.apply(backup_wants(target))
    return target


def _store_version(box: Box) -> str:
    if box.is_dry:
        return ""
    said = box.shell.look(f"{STORE_SERVERS[0]} --version")
    found = [w for w in said.split() if w.startswith("v=")]
    return found[0].removeprefix("v=") if found else ""


def _python_for(facts: BoxFacts, wish: Wish) -> PythonArchive | None:
    """Return the Python to bring; None when the box has one that fits.

    One that was brought before does where no newer one can be had.
    """
    if facts.python:
        return None
    brought = PythonArchive(
        path=Path("/"), sha256=facts.brought_python, version=facts.brought_version
    )
    if facts.brought_python and not wish.python_archive and brought.version == VERSION:
        return brought
    architecture = facts.wheel_architecture
    assert architecture is not None  # refused before
    wish.cache.mkdir(parents=True, exist_ok=True)
    try:
        return archive_for(architecture, wish.cache, named=wish.python_archive)
    except StepFailed:
        if facts.brought_python and not wish.python_archive:
            return brought
        raise


def _wheel_target(facts: BoxFacts, python: PythonArchive | None) -> WheelTarget:
    architecture = facts.wheel_architecture
    assert architecture is not None
    version = (
        python.version if python is not None else ".".join(facts.python_version.split(".")[:2])
    )
    if len(facts.glibc) < 2:  # noqa: PLR2004
        raise StepFailed("the box did not say its glibc\n    → is it a Debian or Ubuntu?")
    return WheelTarget(
        architecture=architecture, glibc=(facts.glibc[0], facts.glibc[1]), python=version
    )


def _conclude(box: Box, target: Target, wish: Wish, patience: Patience) -> None:
    say = box.say
    if wish.is_dry:
        said = f"{box.changes} changes would be made" if box.changes else "nothing would change"
        say(f"{box.place.name}: {said}; nothing was touched (DRY_RUN)")
        return
    say(f"{box.place.name}: {f'{box.changes} changes' if box.changes else 'nothing to change'}")
    say(topology_sentence(target.config))
    if not box.place.is_node:
        return
    others = [n for n in target.config.nodes if n != box.place.name]
    state = box.node_state()
    if sees_no_majority(state) or not any(state.is_seen(other) for other in others):
        other = others[0] if others else ""
        is_primary = other == target.config.cluster.preferred_node
        verb = "deploy-primary" if is_primary else "deploy-standby"
        for error in state.store_errors:
            say(f"  note: {error}")
        profile = f" PROFILE={target.config.cluster.profile}" if wish.is_profile_said else ""
        say(f"fine so far, waiting for the other: make {verb}{profile}")
        return
    until_s = patience.now_s() + LEADER_S
    while state.holder is None and patience.now_s() < until_s:
        patience.sleep(POLL_S)
        state = box.node_state()
    if state.holder is not None:
        remember(target.config, say)
    say(state.leads or "see make status")
