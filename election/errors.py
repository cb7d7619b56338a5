"""The exception tree of election/, named by what the caller should do.

ElectionError
├── TimingRefused      mend the configuration; the message has the numbers
├── IdentityRefused    another process uses this node id or state directory; stop it first
│   └── StateDirUnusable   no process has it, but it cannot be written; mend the disk
├── StoreUnreachable   no usable answer from this store; whether it wrote is unknown
├── FenceUnavailable   the kernel fence cannot be armed; this node is not eligible
├── EpochFileUnusable  the epoch could not be made durable; this node is not eligible
├── PromiseFileUnusable  the promise could not be made durable; nobody may rely on it
└── PeerUnreachable    the other node gave no answer that can be believed; it proves nothing
"""


class ElectionError(Exception):
    """Something went wrong about who may act."""


class TimingRefused(ElectionError, ValueError):  # noqa: N818  (named by what the caller does)
    """Timing that does not add up."""


class IdentityRefused(ElectionError):  # noqa: N818
    """This node id or state directory is in use by a living process."""


class StateDirUnusable(IdentityRefused):
    """The state directory is missing or cannot be written: nothing in it can be claimed."""


class StoreUnreachable(ElectionError):  # noqa: N818
    """No usable answer; a write may or may not have been done."""


class FenceUnavailable(ElectionError):  # noqa: N818
    """The kernel timer could not be created or armed."""


class EpochFileUnusable(ElectionError):  # noqa: N818
    """The epoch file could not be read or written durably."""


class PromiseFileUnusable(ElectionError):  # noqa: N818
    """The promise could not be written durably: nobody may rely on it."""


class PeerUnreachable(ElectionError):  # noqa: N818
    """The other node gave no answer that can be believed."""
