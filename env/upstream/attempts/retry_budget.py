"""How many further attempts a pool may be asked for, so that a pool that is down is not asked ever more."""

_RESERVE = 100.0  # further attempts that may be made at once, whatever came before


class RetryBudget:
    """Each request brings one further attempt along, each further attempt takes one: in the long run twice the load.

    As Finagle's RetryBudget, but with a whole attempt for each request: where one arm of a pool has failed, no request
    that another one could answer shall fail for the budget.
    """

    def __init__(self, reserve: float = _RESERVE) -> None:
        """Take the most that can be saved up, which is there from the start."""
        self._reserve = reserve
        self._left = reserve

    def on_request(self) -> None:
        """Note a first attempt."""
        if self._left < self._reserve:
            self._left = min(self._left + 1.0, self._reserve)

    def take(self) -> bool:
        """Return whether a further attempt may be made, and count it if so."""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
