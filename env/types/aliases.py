"""What arrays and JSON are called everywhere."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
JsonObject = dict[str, Any]
Messages = Sequence[Mapping[str, Any]]
