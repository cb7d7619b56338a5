"""The exception tree of strategy/, named by what the caller should do.

StrategyError
├── StrategyRefused   a person must change the file or its parameters; `problems` says where
├── DecisionNonsense  skip this candle and tell a person; the decision must not be used
├── AnswerBroken      the text on the worker's pipe is not ours: end that worker, start another
└── WorkerUnusable    the worker did not start; skip this candle, the next one tries again
"""

from collections.abc import Sequence

from strategy.model import Problem


class StrategyError(Exception):
    """Something is wrong with a strategy, its parameters or its worker."""


class StrategyRefused(StrategyError):  # noqa: N818  (named by what the caller does)
    """The file or its parameters cannot be used; every problem is listed at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the problems; the message is one line for each."""
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class DecisionNonsense(StrategyError):  # noqa: N818
    """`decide()` answered something that cannot be wanted."""


class AnswerBroken(StrategyError):  # noqa: N818
    """A line on the pipe does not follow the codec."""


class WorkerUnusable(StrategyError):  # noqa: N818
    """The worker process could not be brought to the point of deciding."""
