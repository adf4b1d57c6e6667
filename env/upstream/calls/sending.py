"""A request on its way to a model server: what is sent, and how long that may take."""

from dataclasses import dataclass

from highwayman.env.quick_dataclass import quick_dataclass


@dataclass(frozen=True, slots=True)
class UpstreamTimeouts:
    """Time limits of one attempt, and of all that are made for a request, in seconds."""

    connect_s: float = 2.0
    first_byte_s: float = 120.0  # to the first meaningful event
    silence_s: float = 120.0  # between two chunks of an answer
    least_patience_s: float = 2.0  # with a server that is slower than usual, while another may be asked
    all_attempts_s: float = 300.0  # to the first meaningful event of whoever answers; of a whole answer, to its end


@quick_dataclass(frozen=True, slots=True)
class Sending:
    """What an arm is sent."""

    path: str
    body: bytes
    stream: bool
    until: float  # by the clock: when the request's time is up
    answer_tokens: int = 0  # that the caller allows an answer; 0: as many as there may be
    offers_tools: bool = False
    asks_usage: bool = False  # of a stream, by the router's own wish
    is_probe: bool = False  # whether it finds out if a server is well again, while another can be asked
    is_patient: bool = False  # whether it is waited for as long as the limits allow, since nobody else can be asked
