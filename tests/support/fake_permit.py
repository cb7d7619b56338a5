"""A permit for tests of the write path: a number of seconds that the test sets."""


class FakePermit:
    """Satisfies `exchange.ports.Permit`; counts what was begun and ended."""

    def __init__(self, *, epoch: int = 7, left_s: float = 5.0) -> None:
        self.epoch = epoch
        self.left_s = left_s
        self.begun: list[float] = []
        self.ended = 0
        self.lingers_s: list[float] = []
        self.is_refusing = False

    def remaining_s(self) -> float:
        return self.left_s

    def begin_write(self, *, epoch: int, needed_s: float) -> bool:
        if self.is_refusing or epoch != self.epoch or needed_s > self.left_s:
            return False
        self.begun.append(needed_s)
        return True

    def end_write(self, *, lingers_s: float = 0.0) -> None:
        self.ended += 1
        self.lingers_s.append(lingers_s)
