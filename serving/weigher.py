"""What a statement is worth when it is accepted."""

from highwayman.env.types import Feedback
from highwayman.serving.caller import Caller


class Weigher:
    """Weighs statements."""

    def weighed(self, said: Feedback, caller: Caller) -> Feedback:
        """Return the statement with its weight, and its quality where a calibration corrects it."""
        return said
