"""Whether a cluster has ever had a leader, remembered beside cluster.toml on the laptop.

`nodectl init` writes the marker `new-cluster`, which lets a node whose card is empty begin the
cluster where no store knows it. That is right once. Later it would be wrong: a fresh card, stores
that began empty and a peer that is away look just like a first start, and a pause that only the
peer's card remembers would not count (S6). So what was seen once is kept, and from then on a card
without memory is told that its cluster is not new.
"""

from pathlib import Path

from deploy import places
from deploy.board import script
from deploy.box import Box, Say
from election.durable import write_all
from node.config_model import Config

FILE = "begun-clusters"


def has_begun(config: Config) -> bool:
    """Tell whether a leader of this cluster (name and profile) was ever seen from this folder."""
    return config.cluster_id in _known(config.directory / FILE)


def remember(config: Config, say: Say) -> None:
    """Note that this cluster has begun; says so where the folder cannot be written."""
    path = config.directory / FILE
    known = _known(path)
    if config.cluster_id in known:
        return
    try:
        write_all({path: ("".join(f"{c}\n" for c in (*known, config.cluster_id)), 0o644)})
    except OSError as error:
        say(
            f"note: {path} cannot be written ({error.strerror}): later it could not be told that "
            f"{config.cluster_id} has begun; mend that, then run this again"
        )


def tell_card(box: Box) -> None:
    """Say to a card on which no node has run that its cluster is not new; others are left alone."""
    if not box.is_dry:
        state = f"{places.STATE}/{box.place.name}"
        box.shell.as_root(script("returning.sh"), state, places.USER)


def _known(path: Path) -> tuple[str, ...]:
    try:
        return tuple(path.read_text(encoding="utf-8").split())
    except FileNotFoundError:
        return ()
