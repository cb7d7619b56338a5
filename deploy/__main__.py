"""`python -m deploy VERB`: what the Makefile's targets for boxes run.

Options come as variables, as make gives them: CLUSTER= (folder of cluster.toml), HOST=, ADDRESS=,
BOX=, PROFILE=, NAME=, YES=1, DRY_RUN=1, FORCE=1, KEEP_STATE=1, PYTHON_ARCHIVE=,
FILE= (a backup), WITH_SECRETS=1.

Exit codes: 0 done (or nothing to do) · 1 could not be done · 4 mend configuration or secrets ·
64 wrong usage; `status`, `logs` and `drill` pass on those of the box.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.asking import confirm
from deploy.backup import back_up, restore
from deploy.deployer import DEFAULT_CACHE, Wish, deploy, open_cluster
from deploy.errors import DeployError, StepFailed
from deploy.growing import deploy_witness
from deploy.inventory import box_names
from deploy.remote import drill, logs, node_names, status, uninstall
from deploy.rolling import change_both, roll_back
from node.errors import NodeError

DONE, FAILED, USAGE = 0, 1, 64
AGAIN = "\n    → mend what is said there, then run the same command again: it resumes"


def main(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one verb and return its exit code."""
    if not words or words[0] not in VERBS:
        _say(f"usage: python -m deploy {' | '.join(VERBS)}")
        return USAGE
    try:
        return VERBS[words[0]](_wish(environ), environ, words[1:])
    except DeployError as error:
        # what a program on the box said last has no advice of its own
        is_bare = isinstance(error, StepFailed) and "→" not in str(error)
        sys.stderr.write(f"hotspare: {error}{AGAIN if is_bare else ''}\n")
        return FAILED
    except NodeError as error:
        sys.stderr.write(f"hotspare: {error.render()}\n")
        return error.exit_code


def _wish(environ: Mapping[str, str]) -> Wish:
    folder = Path(environ.get("CLUSTER") or ".")
    return Wish(
        config=open_cluster(folder, environ.get("PROFILE") or None),
        host=environ.get("HOST", ""),
        is_dry=_is_on(environ, "DRY_RUN"),
        is_forced=_is_on(environ, "FORCE"),
        name=environ.get("NAME", ""),
        is_profile_said=bool(environ.get("PROFILE")),
        python_archive=environ.get("PYTHON_ARCHIVE", ""),
        cache=Path(environ.get("HOTSPARE_CACHE") or DEFAULT_CACHE),
    )


def _is_on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "") not in {"", "0", "no", "false"}


def _primary(wish: Wish, _environ: Mapping[str, str], _words: Sequence[str]) -> int:
    deploy(wish.config.cluster.preferred_node, wish, _say)
    return DONE


def _standby(wish: Wish, _environ: Mapping[str, str], _words: Sequence[str]) -> int:
    others = node_names(wish.config)[1:]
    if not others:
        raise DeployError("the cluster has one node only: there is no standby")
    deploy(others[0], wish, _say)
    return DONE


def _witness(wish: Wish, environ: Mapping[str, str], _words: Sequence[str]) -> int:
    def ask(question: str) -> None:
        confirm(question, is_said=_is_on(environ, "YES"))

    deploy_witness(wish, environ.get("ADDRESS", ""), ask, _say)
    return DONE


def _upgrade(wish: Wish, _environ: Mapping[str, str], _words: Sequence[str]) -> int:
    change_both(wish, _say)
    return DONE


def _rollback(wish: Wish, _environ: Mapping[str, str], _words: Sequence[str]) -> int:
    roll_back(wish, _say)
    return DONE


def _status(wish: Wish, _environ: Mapping[str, str], _words: Sequence[str]) -> int:
    return status(wish, _say)


def _logs(wish: Wish, environ: Mapping[str, str], words: Sequence[str]) -> int:
    return logs(wish, _box(wish, environ), words, _say)


def _drill(wish: Wish, environ: Mapping[str, str], words: Sequence[str]) -> int:
    return drill(wish, _box(wish, environ), words, _say)


def _backup(wish: Wish, environ: Mapping[str, str], _words: Sequence[str]) -> int:
    back_up(wish, environ, _say, with_secrets=_is_on(environ, "WITH_SECRETS"))
    return DONE


def _restore(wish: Wish, environ: Mapping[str, str], _words: Sequence[str]) -> int:
    file = environ.get("FILE")
    restore(_named_box(wish, environ), wish, _say, Path(file) if file else None)
    return DONE


def _uninstall(wish: Wish, environ: Mapping[str, str], _words: Sequence[str]) -> int:
    name = _named_box(wish, environ)
    is_kept = _is_on(environ, "KEEP_STATE")
    changed = uninstall(wish, name, is_state_kept=is_kept, say=_say)
    _say(f"{environ['BOX']}: {changed} changes" if changed else "nothing to change")
    return DONE


def _named_box(wish: Wish, environ: Mapping[str, str]) -> str:
    if not environ.get("BOX"):
        raise DeployError(f"which box?\n    → BOX= one of: {', '.join(box_names(wish.config))}")
    return environ["BOX"]


def _box(wish: Wish, environ: Mapping[str, str]) -> str:
    return environ.get("BOX") or node_names(wish.config)[-1]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


VERBS: Mapping[str, Callable[[Wish, Mapping[str, str], Sequence[str]], int]] = {
    "primary": _primary,
    "standby": _standby,
    "witness": _witness,
    "upgrade": _upgrade,
    "rollback": _rollback,
    "status": _status,
    "logs": _logs,
    "drill": _drill,
    "backup": _backup,
    "restore": _restore,
    "uninstall": _uninstall,
}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:], os.environ))
