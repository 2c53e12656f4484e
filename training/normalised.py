"""The service's way from bytes to 28x28, and nothing else of it: what is timed, and weighed in a process of its own."""

import numpy as np
from numpy.typing import NDArray

from service.images import decode
from service.ink import find_ink
from service.preprocessing import normalize


def normalise_as_served(picture: bytes) -> NDArray[np.uint8] | None:
    """uint8 `[28, 28]`, white ink on black; None where there is no ink.

    Raises:
        ServiceError: the bytes are no picture.
    """
    return normalize(find_ink(decode(picture)))
