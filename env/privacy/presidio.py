"""Microsoft's Presidio as a detector, beside the patterns: names, places, and whatever else its recognisers know.

`pip install presidio-analyzer` and a model of spaCy's for the language; then
`detector: highwayman.env.privacy.presidio:PresidioDetector` under `privacy:`. It takes milliseconds a text.
"""

from collections.abc import Iterator

from highwayman.env.data_class import DataClass
from highwayman.env.privacy.detector import Detection
from highwayman.env.privacy.pattern_detector import PatternDetector

_DATES = frozenset({"DATE_TIME", "NRP", "URL"})  # which are in most texts, and tell of nobody by themselves


class PresidioDetector:
    """What Presidio takes for something of a person's, and all that the patterns know."""

    def __init__(self, *, language: str = "en", model: str = "en_core_web_lg", least_score: float = 0.5) -> None:
        """Load the model. Raises ImportError where Presidio is not installed, OSError where the model is not.

        Args:
            language: of the texts.
            model: of spaCy's.
            least_score: from which on a recogniser is believed, in [0, 1].
        """
        from presidio_analyzer import AnalyzerEngine  # noqa: PLC0415  (an extra)
        from presidio_analyzer.nlp_engine import NlpEngineProvider  # noqa: PLC0415

        models = [{"lang_code": language, "model_name": model}]
        engine = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models}).create_engine()
        self._analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=[language])
        self._patterns = PatternDetector()
        self._language, self._least_score = language, least_score

    def detect(self, text: str) -> Iterator[Detection]:
        """Yield what either of the two detects."""
        yield from self._patterns.detect(text)
        for result in self._analyzer.analyze(text=text, language=self._language, score_threshold=self._least_score):
            if result.entity_type not in _DATES:
                yield Detection(result.entity_type.lower(), DataClass.PERSONAL, result.start, result.end)
