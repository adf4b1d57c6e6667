"""The arms that give answers again which another arm has given: no server stands behind them."""

from typing import Final

from highwayman.env.types import Arm

EXACT: Final = "cache"  # the same was asked before
SEMANTIC: Final = "cache-semantic"  # something much like it was

# Nothing is sent anywhere: what is stored fits every window, and costs nothing.
CACHED_ARMS: Final = {
    name: Arm(name, (), name, 0.0, 0.0, context_window_tokens=2**31, wh_per_mtok=0.0) for name in (EXACT, SEMANTIC)
}
