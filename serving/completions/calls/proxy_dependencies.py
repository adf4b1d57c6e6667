"""What carries out a request once it is decided, the same for all of them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from highwayman.env.load.power import PowerMeter
from highwayman.env.pool.tool_beliefs import ToolBeliefs
from highwayman.env.tasks import BackgroundTasks
from highwayman.env.types import Decision, Outcome
from highwayman.env.upstream.client import Upstream
from highwayman.feedback.log.writing.journal import Journal
from highwayman.serving.completions.calls.observers import CompletionObservers
from highwayman.serving.http.drain import Drain
from highwayman.serving.metrics import Metrics


@dataclass(frozen=True, slots=True)
class ProxyDependencies:
    """What every call needs beside its request."""

    upstream: Upstream
    journal: Journal
    metrics: Metrics
    background: BackgroundTasks
    clock: Callable[[], float]  # seconds since the epoch
    timer: Callable[[], float]  # monotonic seconds
    on_outcome: Callable[[Outcome], None]  # called at once with the outcome of every call
    observers: CompletionObservers
    drain: Drain = field(default_factory=Drain)  # says whether this router has cut its calls
    vote_link: Callable[[Decision], str] | None = None  # the address of a page for one vote on an answer
    power: PowerMeter | None = None  # knows what servers draw; None: no arm says who tells that
    tools: ToolBeliefs | None = None  # is told who called tools, and who has not read them
