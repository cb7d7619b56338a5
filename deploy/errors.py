"""What can go wrong while deploying, named by what the owner should do."""

# ruff: noqa: N818  (named by the state of the box, as in the other packages)


class DeployError(Exception):
    """Base of all: says what, where and how to mend it."""


class BoxUnreachable(DeployError):
    """SSH did not get through; nothing was changed. Try again: a deployment resumes."""


class BoxUnfit(DeployError):
    """The box cannot run what it should; nothing was changed on it."""


class StepFailed(DeployError):
    """A step on the box failed; the ones before it are done, a second run resumes there."""


class InventoryRefused(DeployError):
    """The inventory or the cluster's folder is not what it should be."""


class NodeUnhealthy(DeployError):
    """A node did not come up as it should after a change; it was put back as it was."""
