"""Mutants that change nothing that can be observed, by key, each with the reason."""

from collections.abc import Mapping

EQUIVALENT: Mapping[str, str] = {
    "election/permit.py: flip: self._is_draining = False -> self._is_draining = True": (
        "read only together with a window, and the opening of the first one sets it"
    ),
    "election/standing.py: delete: self._is_settled = True  # no older grant is armed or has "
    "writes in flight -> pass  # no older grant is armed or has writes in flight": (
        "set by the first tick, before anything reads it; nothing is asked before a tick"
    ),
    "election/standing.py: delete: self._is_settled = False  # until a tick brings the permit's "
    "word -> pass  # until a tick brings the permit's word": (
        "before the next tick one store is not asked, and of three at most one answers: no "
        "majority becomes takeable until then; the permit asserts it besides"
    ),
    'election/machine.py: delete: self._progress_label = "" -> pass': (
        "read only when a tick has brought progress, and that tick sets the label too"
    ),
    "election/machine.py: flip: self._is_hung = False -> self._is_hung = True": (
        "set by the first tick, before anything reads it; nothing is held before a tick"
    ),
    'election/machine.py: return None: return "" -> return None': (
        "every reader asks only whether there are words"
    ),
    "election/observed.py: off by one: found, most, judged = NOBODY, 0, None -> "
    "found, most, judged = NOBODY, 1, None": (
        "compared only with a vote of the same epoch, and nobody is granted epoch 0"
    ),
    "election/observed.py: delete: judged = vote -> pass": (
        "it only spares work: a vote that is judged again is not later than itself"
    ),
    "election/observed.py: compare: is_later = (vote[2], len(names)) > (found.epoch, most) -> "
    "is_later = (vote[2], len(names)) >= (found.epoch, most)": (
        "two holders of one epoch with as many stores each are never both named: one store alone "
        "names only when it is needed, and of three only one pair can"
    ),
}
