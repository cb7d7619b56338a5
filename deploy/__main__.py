"""`python -m deploy VERB`: what the Makefile's targets for boxes run.

Options come as variables, as make gives them: CLUSTER= (folder of cluster.toml), HOST=, ADDRESS=,
BOX=, PROFILE=, NAME=, YES=1, DRY_RUN=1, FORCE=1, KEEP_STATE=1, PYTHON_ARCHIVE=,
FILE= (a backup), WITH_SECRETS=1.

Exit codes: 0 done (or nothing to do) · 1 could not be done · 4 mend configuration or secrets ·
64 wrong usage · 130 Ctrl-C; `status`, `logs` and `drill` pass on those of the box.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deploy.asking import confirm
from deploy.backup import back_up, restore
from deploy.deployer import DEFAULT_CACHE, Wish, deploy, open_cluster
from deploy.errors import DeployError, StepFailed
from deploy.growing import deploy_witness
from deploy.inventory import SSH_TARGET, box_names
from deploy.remote import drill, logs, node_names, status, uninstall
from deploy.rolling import change_both, roll_back
from node.errors import NodeError

DONE, FAILED, USAGE, STOPPED = 0, 1, 64, 130
ON, OFF = (
    frozenset({"1", "yes", "y", "true", "on"}),
    frozenset({"", "0", "no", "n", "false", "off"}),
)
WITH_BOX = frozenset({"rollback", "logs", "drill", "restore", "uninstall"})
WITH_HOST = frozenset({"primary", "standby", "witness", "logs", "drill", "restore", "uninstall"})
BARE = frozenset({"status", "logs", "drill"})
"""What changes nothing, or cannot be shown without being done."""
STOPPED_SAID = "\nhotspare: stopped; what is done stays\n    → the same command goes on\n"
AGAIN = "\n    → mend what is said there, then run the same command again: it resumes"


def main(words: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one verb and return its exit code."""
    if not words or words[0] not in VERBS:
        _say(f"usage: python -m deploy {' | '.join(VERBS)}")
        return USAGE
    try:
        _refuse_unused(words[0], environ)
        return VERBS[words[0]](_wish(environ), environ, words[1:])
    except KeyboardInterrupt:
        sys.stderr.write(STOPPED_SAID)
        return STOPPED
    except (DeployError, NodeError, OSError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"hotspare: {_in_words(error)}\n")
        return error.exit_code if isinstance(error, NodeError) else FAILED


def _in_words(error: Exception) -> str:
    match error:
        case NodeError():
            return error.render()
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            return f"{where}{error.strerror or error}, on this machine{AGAIN}"
        case subprocess.TimeoutExpired():
            what = Path(error.cmd[0]).name
            return f"{what} took longer than {error.timeout:g} s, on this machine{AGAIN}"
        case StepFailed() if "→" not in str(error):
            # what a program on the box said last has no advice of its own
            return f"{error}{AGAIN}"
        case _:
            return str(error)


def _refuse_unused(verb: str, environ: Mapping[str, str]) -> None:
    """Refuse a word said for nothing: the owner meant one box, and both would be changed."""
    for name, verbs in (
        ("HOST", WITH_HOST),
        ("BOX", WITH_BOX),
        ("DRY_RUN", frozenset(VERBS) - BARE),
    ):
        if environ.get(name) and verb not in verbs:
            known = ", ".join(sorted(map(_target, verbs)))
            said = f"make {_target(verb)} does not know {name}="
            raise DeployError(f"{said}\n    → leave it out; it is for: {known}")


def _target(verb: str) -> str:
    """Return what the Makefile calls it."""
    return f"deploy-{verb}" if verb in {"primary", "standby", "witness"} else verb


def _wish(environ: Mapping[str, str]) -> Wish:
    folder = Path(environ.get("CLUSTER") or ".").expanduser()  # not every shell does it after a =
    host = environ.get("HOST", "")
    if host and not re.fullmatch(SSH_TARGET, host):
        raise DeployError(f"HOST={host} is nothing that ssh can reach\n    → HOST=user@address")
    return Wish(
        config=open_cluster(folder, environ.get("PROFILE") or None),
        host=host,
        is_dry=_is_on(environ, "DRY_RUN"),
        is_forced=_is_on(environ, "FORCE"),
        name=environ.get("NAME", ""),
        is_profile_said=bool(environ.get("PROFILE")),
        python_archive=environ.get("PYTHON_ARCHIVE", ""),
        cache=Path(environ.get("HOTSPARE_CACHE") or DEFAULT_CACHE),
    )


def _is_on(environ: Mapping[str, str], name: str) -> bool:
    said = environ.get(name, "").strip().lower()
    if said not in ON | OFF:
        raise DeployError(
            f"{name}={environ[name]} is neither yes nor no\n    → {name}=1, or nothing"
        )
    return said in ON


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


def _rollback(wish: Wish, environ: Mapping[str, str], _words: Sequence[str]) -> int:
    roll_back(wish, _say, only=environ.get("BOX", ""))
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
    if wish.is_dry:
        said = f"{changed} changes would be made" if changed else "nothing would change"
        _say(f"{name}: {said}; nothing was touched (DRY_RUN)")
    else:
        _say(f"{name}: {f'{changed} changes' if changed else 'nothing to change'}")
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


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    for number in (signal.SIGTERM, signal.SIGHUP):  # a terminal that is closed leaves no connection
        signal.signal(number, _stop)
    raise SystemExit(main(sys.argv[1:], os.environ))
