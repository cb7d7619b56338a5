"""`python -m deploy VERB`: what the Makefile's targets for boxes run.

Options come as variables, as make gives them: CLUSTER= (folder of cluster.toml), HOST=, PROFILE=,
DRY_RUN=1, FORCE=1, PYTHON_ARCHIVE=.

Exit codes: 0 done (or nothing to do) · 1 could not be done · 4 mend configuration or secrets ·
64 wrong usage.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.deployer import Wish, deploy, open_cluster
from deploy.errors import DeployError
from node.config import Config
from node.config_model import Topology
from node.errors import NodeError

DONE, FAILED, MEND, USAGE = 0, 1, 4, 64


def main(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one verb and return its exit code."""
    if not words or words[0] not in VERBS:
        _say(f"usage: python -m deploy {' | '.join(VERBS)}")
        return USAGE
    try:
        wish = _wish(environ)
        VERBS[words[0]](wish, words[1:])
    except DeployError as error:
        sys.stderr.write(f"hotspare: {error}\n")
        return FAILED
    except NodeError as error:
        sys.stderr.write(f"hotspare: {error}\n")
        return MEND
    return DONE


def _wish(environ: Mapping[str, str]) -> Wish:
    folder = Path(environ.get("CLUSTER") or ".")
    cache = environ.get("HOTSPARE_CACHE")
    wish = Wish(
        config=open_cluster(folder, environ.get("PROFILE") or None),
        host=environ.get("HOST", ""),
        is_dry=_is_on(environ, "DRY_RUN"),
        is_forced=_is_on(environ, "FORCE"),
        python_archive=environ.get("PYTHON_ARCHIVE", ""),
    )
    if cache:
        from dataclasses import replace  # noqa: PLC0415

        wish = replace(wish, cache=Path(cache))
    return wish


def _is_on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "") not in {"", "0", "no", "false"}


def _primary(wish: Wish, words: Sequence[str]) -> None:
    del words
    deploy(wish.config.cluster.preferred_node, wish, _say)


def _standby(wish: Wish, words: Sequence[str]) -> None:
    del words
    deploy(_standby_of(wish.config), wish, _say)


def _witness(wish: Wish, words: Sequence[str]) -> None:
    del words
    if wish.config.cluster.topology is not Topology.THREE_STORES:
        raise DeployError(
            f"topology is {wish.config.cluster.topology}: it has no witness\n    → see "
            "docs/deploying.md#adding-a-witness"
        )
    witness = next(s.name for s in wish.config.stores if s.name not in wish.config.nodes)
    deploy(witness, wish, _say)


def _standby_of(config: Config) -> str:
    others = [n for n in config.nodes if n != config.cluster.preferred_node]
    if not others:
        raise DeployError("the cluster has one node only: there is no standby")
    return others[0]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


VERBS = {"primary": _primary, "standby": _standby, "witness": _witness}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], os.environ))
