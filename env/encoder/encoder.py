"""From a query to the context a policy sees: text projected, its form in numbers, the kinds it is near to, a one."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from highwayman.env.encoder.batching import BacklogFull, Batcher
from highwayman.env.encoder.engine import SHIPPED_PROJECTIONS, Engine, make_engine
from highwayman.env.encoder.features.clusters import Clusters
from highwayman.env.encoder.features.features import NUMERIC_NAMES, NUMERIC_VERSION, numbers_and_tokens, utf8_sample
from highwayman.env.encoder.features.image_features import UNSEEN, ImageFeatures, ImagesSeen
from highwayman.env.encoder.features.projection import Projection
from highwayman.env.encoder.features.row_cache import RowCache, text_digest
from highwayman.env.encoder.features.tags import TagColumns
from highwayman.env.encoder.features.text_map import TextMap
from highwayman.env.errors import EncoderError
from highwayman.env.types import SCRIPT_FLAG, Context, Floats, Query

TIMEOUT: Final = "encoder_timeout"  # the flag of a context whose text part came too late
FAILURE: Final = "encoder_error"  # the flag of a context whose text part could not be computed
TEXT_DIMENSIONS: Final = 32  # p of a projection that nobody fitted
MAX_CHARS: Final = 2_000  # of a text are embedded: its head and tail
BATCH_LIMIT: Final = 32
BACKLOG_LIMIT: Final = 1_024

_NO_FLAGS: Final[frozenset[str]] = frozenset()
_NUMBERS: Final = len(NUMERIC_NAMES)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EncoderStats:
    """What an encoder has done since it was made."""

    hits: int  # answered from the cache
    misses: int  # sent to the engine
    timeouts: int
    errors: int
    batches: int


class Encoder:
    """Encodes queries with one engine, for one process; the same features online and offline.

    Only a digest of each text is kept, never the text. `encode` is for one event loop at a time; `encode_blocking` and
    `encode_many` may be called from anywhere.
    """

    def __init__(
        self,
        engine: Engine,
        projection: Projection,
        *,
        clusters: Clusters | None = None,
        tags: TagColumns | None = None,
        deadline_s: float = 0.25,
        cache_size: int = 4_096,
        max_chars: int = MAX_CHARS,
    ) -> None:
        """Take an engine, and a projection and clusters of its width; see `make_encoder` for the usual ones.

        Raises:
            EncoderError: the projection or the clusters were made for another width.
            ValueError: `deadline_s`, `cache_size` or `max_chars` is out of range.
        """
        if projection.width != engine.width:
            raise EncoderError(
                f"the projection takes {projection.width} dimensions and {engine.fingerprint} makes {engine.width}"
            )
        if clusters is not None and (clusters.text.shape[1], clusters.numbers.shape[1]) != (engine.width, _NUMBERS):
            raise EncoderError(
                f"the clusters take {clusters.text.shape[1]} dimensions and {clusters.numbers.shape[1]} numbers; "
                f"{engine.fingerprint} makes {engine.width}, and there are {_NUMBERS} numbers"
            )
        if not (deadline_s > 0 and cache_size >= 0 and max_chars >= 8):
            raise ValueError(
                f"need deadline_s > 0, cache_size >= 0, max_chars >= 8; got {deadline_s!r}, "
                f"{cache_size!r}, {max_chars!r}"
            )
        self._engine, self.projection, self._clusters = engine, projection, clusters
        self._text_map, self._p = TextMap(projection, clusters), projection.p
        self._images: ImageFeatures | None = None
        self._inline = bool(getattr(engine, "inline", False))
        self._deadline_s, self._max_chars = deadline_s, max_chars
        self._cache = RowCache(cache_size)
        self._batcher = Batcher(self._embed, limit=BATCH_LIMIT, backlog=BACKLOG_LIMIT)
        self._hits = self._misses = self._timeouts = self._errors = 0
        near = clusters.m if clusters is not None else 0
        text, kinds = (f"text_{axis:02d}" for axis in range(projection.p)), (f"near_{kind:02d}" for kind in range(near))
        self._own_names = (*text, *NUMERIC_NAMES, *kinds, "one")
        fingerprints = [engine.fingerprint, projection.fingerprint, *([clusters.fingerprint] if clusters else [])]
        self._base = "/".join([*fingerprints, NUMERIC_VERSION])
        self._declare(tags or TagColumns())

    def _declare(self, columns: TagColumns) -> None:
        self.tags = columns
        self.names = (*columns.names, *self._own_names)
        self._has_columns = columns.width > 0
        self.fingerprint = columns.fingerprint(self._base)

    def look_at(self, images: ImageFeatures) -> None:
        """Give a request's images columns of their own, behind those of the tags; before the first query."""
        self._images = images
        self._declare(replace(self.tags, measured=images.columns))

    def cosine_similarity(self, text: str, other: str) -> float:
        """Return the cosine between two texts' vectors, in [-1, 1]; it blocks while they are computed."""
        vectors = self._engine.embed([utf8_sample(text, self._max_chars), utf8_sample(other, self._max_chars)])
        return float(vectors[0] @ vectors[1])

    @property
    def engine(self) -> Engine:
        """What turns texts into vectors."""
        return self._engine

    async def embedding(self, text: str) -> Floats | None:
        """Return the engine's own vector of a text, (width,), None where it fails, or is not there by the deadline."""
        sample = utf8_sample(text, self._max_chars)
        try:
            if self._inline:
                rows = self._engine.embed([sample])
            else:
                async with asyncio.timeout(self._deadline_s):
                    rows = await asyncio.to_thread(self._engine.embed, [sample])
        except Exception as error:  # whatever an engine may raise, as in `encode`
            _log.warning("%s failed with %s; nothing is compared", self._engine.fingerprint, type(error).__name__)
            return None
        vector: Floats = rows[0]
        return vector

    @property
    def d(self) -> int:
        """The number of features."""
        return len(self.names)

    @property
    def stats(self) -> EncoderStats:
        """What has been done so far."""
        return EncoderStats(self._hits, self._misses, self._timeouts, self._errors, self._batcher.batches)

    async def encode(self, query: Query) -> Context:
        """Return the context of `query` within the deadline.

        A text part that comes too late, or that the engine fails on, is zeros (the average prompt), and the context
        carries the flag `encoder_timeout` or `encoder_error`. An inline engine is never late: nothing waits for it.
        Images that could not all be looked at in time, or at all, are told by the flag `image_unseen`.
        """
        if self._images is None or not query.pictures:
            return await self._encode(query)
        context, look = await asyncio.gather(self._encode(query), self._look(self._images, query))
        return self._with_images(context, look)

    def without_text(self, query: Query, flag: str) -> Context:
        """Return the context of a query whose text the engine may not have: its form alone, and the flag says so."""
        return self._context(query, None, flag)

    async def _encode(self, query: Query) -> Context:
        """Return the context of a query, but for its images."""
        text = utf8_sample(query.text, self._max_chars)
        key = text_digest(text)
        row = self._cache.get(key)
        if row is not None:
            self._hits += 1
            return self._context(query, row)
        self._misses += 1
        try:
            if self._inline:
                row = self._rows([text])[0]
                self._cache.put(key, row)
            else:
                row = await self._from_thread(text)
        except (_DeadlineExpired, BacklogFull):
            self._timeouts += 1
            return self._context(query, None, TIMEOUT)
        except Exception as error:  # whatever an engine may raise: a query must be routed all the same
            self._errors += 1
            # Only the kind of error: its message may quote the prompt.
            _log.warning("%s failed with %s; routing without the text", self._engine.fingerprint, type(error).__name__)
            return self._context(query, None, FAILURE)
        return self._context(query, row)

    def encode_blocking(self, query: Query) -> Context:
        """Return the context of `query`, computed here and now, without deadline; what the engine raises passes."""
        return self.encode_many([query])[0]

    def encode_many(self, queries: Sequence[Query]) -> list[Context]:
        """Return the contexts of many queries, for offline use: the same features as `encode` gives."""
        contexts = []
        for start in range(0, len(queries), BATCH_LIMIT):
            part = queries[start : start + BATCH_LIMIT]
            rows = self._embed([utf8_sample(query.text, self._max_chars) for query in part])
            contexts += [self._context(query, row) for query, row in zip(part, rows, strict=True)]
        if self._images is not None:
            for place, query in enumerate(queries):
                if query.pictures:
                    contexts[place] = self._with_images(contexts[place], self._images.look(query.pictures))
        return contexts

    def close(self) -> None:
        """End the worker thread; whoever waits still gets a context without text part."""
        self._batcher.close()

    async def _look(self, images: ImageFeatures, query: Query) -> ImagesSeen | None:
        """Return what the images look like, None where that takes too long, or fails; beside the event loop."""
        try:
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.to_thread(images.look, query.pictures)
        except Exception as error:  # whatever an engine may raise: a query must be routed all the same
            _log.warning("images were not looked at: %s", type(error).__name__)
            return None

    def _with_images(self, context: Context, look: ImagesSeen | None) -> Context:
        flags = context.flags if look is not None and look.is_whole else context.flags | {UNSEEN}
        context = replace(context, flags=flags)
        return context if look is None else self.tags.with_measured(context, look.row)

    async def _from_thread(self, text: str) -> Floats:
        """Return the row of `text`, of a batch in the worker thread. Raises _DeadlineExpired, BacklogFull."""
        try:
            async with asyncio.timeout(self._deadline_s) as limit:
                return await asyncio.wrap_future(self._batcher.submit(text))
        except TimeoutError as error:
            if limit.expired():
                raise _DeadlineExpired from error
            raise  # the engine's own

    def _embed(self, texts: Sequence[str]) -> list[Floats]:
        """Return the rows of texts; fills the cache."""
        rows = list(self._rows(texts))
        for text, row in zip(texts, rows, strict=True):
            self._cache.put(text_digest(text), row)
        return rows

    def _rows(self, texts: Sequence[str]) -> Floats:
        """Return the part of the features that hangs on the text alone, (n, p + m).

        A row is the projected embedding (p,), then the squared distances to the clusters (m,), if there are any.
        """
        embeddings = self._engine.embed(texts)
        if embeddings.shape != (len(texts), self._engine.width):
            raise EncoderError(f"{self._engine.fingerprint} gave no array of {len(texts)} rows")
        return self._text_map.apply(embeddings)

    def _context(self, query: Query, text_part: Floats | None, flag: str | None = None) -> Context:
        (numbers, tokens), p = numbers_and_tokens(query), self._p
        rounded = np.zeros(len(self._own_names), dtype=np.float32)
        if text_part is not None:
            rounded[:p] = text_part[:p]
            if self._clusters is not None:
                rounded[p + _NUMBERS : -1] = self._clusters.memberships(text_part[p:], numbers)
        rounded[p : p + _NUMBERS] = numbers
        rounded[-1] = 1.0
        features = rounded.astype(np.float64)
        features.setflags(write=False)
        flags = _NO_FLAGS if flag is None else frozenset((flag,))
        if query.script:
            flags |= {SCRIPT_FLAG + query.script}
        context = Context(features, self._base, tokens, flags)
        return self.tags.apply(context, query.tags) if self._has_columns else context


class _DeadlineExpired(Exception):
    """A text part did not come in time."""


def make_encoder(
    name: str = "static",
    *,
    model: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    projection: Path | None = None,
    tags: TagColumns | None = None,
    deadline_s: float = 0.25,
    cache_size: int = 4_096,
) -> Encoder:
    """Return an encoder by name: `static`, `onnx`, `transformers`, or the import path `module:Class` of an engine.

    `model` (an id or a folder), `device` and `dtype` are for `transformers`; an engine of one's own gets those of the
    three that were given, as keywords. Columns of `tags` stand before all others.
    Without a `projection` file, MiniLM and the static table use the ones shipped,
    any other engine a seeded random one.

    Raises:
        EncoderError: the name is unknown, or a library or an asset is missing.
    """
    given = {"model": model, "device": device, "dtype": dtype}
    options = {key: value for key, value in given.items() if value is not None}
    engine = make_engine(name, **options)
    path = projection or (None if model else SHIPPED_PROJECTIONS.get(name))
    chosen = Projection.load(path) if path else Projection.gaussian(engine.width, p=TEXT_DIMENSIONS)
    clusters = Clusters.load(path) if path else None
    return Encoder(engine, chosen, clusters=clusters, tags=tags, deadline_s=deadline_s, cache_size=cache_size)
