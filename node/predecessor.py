"""At the start: release what this node's dead predecessor held, as its stop hook would have (R16).

The claim on the state directory is this process's, so the predecessor is dead, with or without a
supervisor. Without a hook this makes a crash cost a restart instead of a ttl.
"""

from pathlib import Path

from node.logs import log_event
from node.post_mortem import Autopsy, Supervisor, examine
from node.secrets import Secrets


def release_for_predecessor(state_dir: Path, secrets: Secrets) -> None:
    """Release, note the death, and say what was done; nothing to do is the usual case."""
    autopsy = examine(
        state_dir,
        login_of=lambda left: left,
        password_of=secrets.store_password,
        supervisor=Supervisor(),
    )
    tell(autopsy)


def tell(autopsy: Autopsy) -> None:
    """Log what was released, if there was anything to release."""
    if autopsy.left is not None:
        log_event(
            "lease.post_mortem",
            lease_epoch=autopsy.left.epoch,
            reason=autopsy.reason,
            drain_ms=autopsy.drain_ms,
            stores=[f"{e.store}: {e.said}" for e in autopsy.epitaphs],
        )
