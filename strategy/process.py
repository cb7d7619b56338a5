"""How a worker process is started: the same way by the node and by `nodectl strategy check`."""

import sys
from pathlib import Path

# Address space, not resident memory: numpy and pandas reserve several hundred MiB at import.
MEMORY_LIMIT_MB = 1024
# One answer; a decision with all it may hold stays below half of it.
ANSWER_BYTES_MAX = 256 * 1024


def worker_command(*, parent_pid: int, memory_limit_mb: int = MEMORY_LIMIT_MB) -> list[str]:
    """Return the argument vector of a worker.

    -P and -s: only what is installed can be imported, not what lies in some directory.
    -B: the worker may not write, also no byte code.
    """
    interpreter = [sys.executable, "-P", "-s", "-B", "-m", "strategy.worker_main"]
    return [*interpreter, str(parent_pid), str(memory_limit_mb)]


def worker_environment(*, hash_seed: int = 0) -> dict[str, str]:
    """Return the whole environment of a worker: nothing of the node's, so no keys.

    Args:
        hash_seed: order of sets of text; the same on every node, and varied by `check` to find
            strategies that depend on it.
    """
    return {
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
        "PYTHONHASHSEED": str(hash_seed),
        "PYTHONUNBUFFERED": "1",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        # One thread per library: threads reserve memory, and the boards have other work.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "NUMEXPR_NUM_THREADS": "1",
    }
