"""One box during a deployment: what it is, what it has, and the steps that change it.

Each step can be repeated; a deployment that broke off goes on where it stopped, because a step
compares before it changes and large files are kept under their own names.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from deploy import places
from deploy.board import script
from deploy.errors import BoxUnfit
from deploy.facts import BoxFacts, read_facts, warnings_about, why_unfit
from deploy.inventory import BoxPlace
from deploy.python_archive import PythonArchive
from deploy.release import Release
from deploy.ssh import Shell
from deploy.wants import Want, to_stage
from deploy.wheels import sha256_of
from election.model import StoreName
from election.quorum import quorum_of

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """How the node of a box is."""

    is_active: bool
    restarts: int
    fingerprint: str
    release: str
    settings: str
    previous_release: str
    previous_settings: str
    status: dict[str, Any]

    def role_of(self, node_id: str) -> str:
        """Return the people's word for a node's role, empty when the stores do not say."""
        return next(
            (n["role"] for n in self.status.get("nodes", ()) if n["node_id"] == node_id), ""
        )

    def is_seen(self, node_id: str) -> bool:
        """Whether the stores have heard of a node lately."""
        return self.role_of(node_id) not in {"", "gone"}

    def reasons_of(self, node_id: str) -> tuple[str, ...]:
        """Return why a node cannot take over, as it says itself."""
        found = [n for n in self.status.get("nodes", ()) if n["node_id"] == node_id]
        return tuple(found[0].get("reasons") or ()) if found else ()

    @property
    def holder(self) -> str | None:
        """Which node the stores name."""
        found = self.status.get("holder")
        return found if isinstance(found, str) else None

    @property
    def spares(self) -> tuple[str, ...]:
        """The nodes that could take over."""
        return tuple(self.status.get("spares") or ())

    @property
    def is_paused(self) -> bool:
        """Whether a person stopped trading: then nobody hands over, and a restart stops nothing."""
        return bool(self.status.get("is_paused"))

    @property
    def store_errors(self) -> tuple[str, ...]:
        """What is wrong with each store that gives no usable answer, in words."""
        return tuple(str(s["error"]) for s in self.status.get("stores") or () if s.get("error"))

    def has_majority_without(self, lost: str = "") -> bool:
        """Tell whether the stores that answer decide, also without those of the box `lost`.

        False when nothing is known of any store.
        """
        stores = self.status.get("stores") or ()
        # an older release does not say it: it knows no store that every decision needs
        quorum = quorum_of((StoreName(s["name"]), bool(s.get("is_needed"))) for s in stores)
        left = [s["name"] for s in stores if not s.get("error") and s["name"] != lost]
        return bool(stores) and quorum.is_met(left)

    @property
    def headline(self) -> str:
        """What `nodectl status` calls the state of things, empty when it says nothing."""
        return str(self.status.get("headline", ""))

    @property
    def leads(self) -> str:
        """Who leads, and with which spare, in one sentence; empty when nothing is known."""
        paused = "PAUSED (nodectl resume): " if self.is_paused else ""
        if self.holder is None or not self.headline:
            return f"{paused}{self.headline}" if self.headline else ""
        spare = f"spare: {', '.join(self.spares)}" if self.spares else "NO SPARE"
        return f"{paused}{self.holder} leads ({self.headline}), {spare}"


@dataclass(slots=True)
class Box:
    """A box that is connected."""

    place: BoxPlace
    shell: Shell
    say: Say
    is_dry: bool = False
    changes: int = 0
    _facts: BoxFacts | None = field(init=False, default=None)

    @property
    def facts(self) -> BoxFacts:
        """What the box is; looked at once. Raises BoxUnfit where its shell speaks in between."""
        if self._facts is None:
            said = self.shell.look(script("facts.sh"))
            noise = [line for line in said.splitlines() if line.strip() and "=" not in line]
            if noise:
                raise BoxUnfit(
                    f"{self.shell.target}: its shell prints {noise[0].strip()[:60]!r} by itself, "
                    "which would stand in every answer\n    → let ~/.bashrc, or whatever prints "
                    "it, be silent where there is no terminal"
                )
            self._facts = read_facts(said)
        return self._facts

    def refuse_unfit(self) -> None:
        """Raise BoxUnfit with every reason why this box cannot be what it should."""
        reasons = why_unfit(self.facts, is_node=self.place.is_node)
        if reasons:
            told = "\n".join(f"  {reason}" for reason in reasons)
            raise BoxUnfit(
                f"{self.place.name} ({self.shell.target}) cannot be deployed to:\n{told}"
            )
        for warning in warnings_about(self.facts):
            self.say(f"  note: {warning}")

    def apply(self, wants: tuple[Want, ...]) -> int:
        """Bring the box to these wants and return how many things changed (or would)."""
        if not wants:
            return 0
        stage = to_stage(wants)
        files = {f"files/{name}": content for name, content in stage.files.items()}
        files |= {"wants": stage.lines.encode(), "apply.sh": script("apply.sh").encode()}
        words = ("dry",) if self.is_dry else ()
        return self.told(self.shell.staged("apply.sh", files, *words))

    def bring(self, release: Release, python: PythonArchive | None) -> None:
        """Send what the box has not got of a release, and make it ready beside what runs."""
        if self.is_dry:
            if release.release_id != self.facts.release:
                self.told(f"would\trelease {release.release_id}")
            return
        sums = "".join(f"{sha256_of(p)}  {name}\n" for name, p in release.files.items())
        said = self.shell.staged(
            "missing_files.sh",
            {"missing_files.sh": script("missing_files.sh").encode(), "sums": sums.encode()},
            release.release_id,
        )
        missing = said.splitlines()
        if missing == ["complete"]:
            self.told(f"same\trelease {release.release_id}")
            return
        if missing:
            size_mb = sum(release.files[n].stat().st_size for n in missing) / 1e6
            self.say(f"  sending {len(missing)} files, {size_mb:.1f} MB")
        for name in missing:
            self.shell.send(release.files[name], f"{places.CACHE}/{release.release_id}/{name}")
        interpreter = self.facts.python
        if python is not None:
            interpreter = f"brought:{python.sha256}"
            known = self.shell.as_root(f"[ -e {places.CACHE}/{python.sha256} ] && echo yes || true")
            if known.strip() != "yes":
                self.say(f"  sending Python {python.version}")
                self.shell.send(python.path, f"{places.CACHE}/{python.sha256}")
        self.say("  building the environment there (a minute on a Pi, several on a Nano)")
        self.told(self.shell.as_root(script("install_release.sh"), release.release_id, interpreter))

    def node_state(self) -> NodeState:
        """Look at the node of this box."""
        text = self.shell.as_root(script("node_state.sh"))
        said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        try:
            status = json.loads(said.get("status") or "{}")
        except ValueError:
            status = {}
        return NodeState(
            is_active=said.get("active") == "active",
            restarts=int(said.get("restarts") or 0),
            fingerprint=said.get("fingerprint", ""),
            release=said.get("release", ""),
            settings=said.get("settings", ""),
            previous_release=said.get("previous_release", ""),
            previous_settings=said.get("previous_settings", ""),
            status=status if isinstance(status, dict) else {},
        )

    def told(self, text: str) -> int:
        """Print what a script says that it changed, and return how many things that were."""
        changed = 0
        for line in text.splitlines():
            kind, _, what = line.partition("\t")
            if kind in {"changed", "would"}:
                changed += 1
                self.say(f"  {'would change' if kind == 'would' else 'changed'} {what}")
            elif kind != "same":
                self.say(f"  {line}")
        self.changes += changed
        return changed


def names(boxes: Iterable[Box]) -> str:
    """Return the boxes' names for a sentence."""
    return ", ".join(box.place.name for box in boxes)
