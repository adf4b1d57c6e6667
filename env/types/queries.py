"""What a request asks, whatever it came as."""

from dataclasses import field, replace

from highwayman.env.data_class import Clearance
from highwayman.env.quick_dataclass import quick_dataclass

CEILING_ROOM = 1024  # tokens, of an answer whose limit is a ceiling: enough for most, or to call a tool


@quick_dataclass(frozen=True, slots=True)
class Query:
    """What a request asks, distilled for the encoder and the pool: no wire format, nothing else of the body."""

    text: str  # the newest user message, or the prompt
    prompt_chars: int  # everything the model will read, in characters
    turns: int = 1  # messages in the conversation
    tools: int = 0  # tools offered
    images: int = 0
    json_mode: bool = False
    max_tokens: int | None = None  # the caller's limit on the answer
    # Whether that is only a ceiling, as in protocols that want one always: an arm with less room answers within it.
    limit_is_ceiling: bool = False
    plain_text: bool = True  # False: token ids, to which no profile text can be added
    in_tool_loop: bool = False  # the newest message is a tool's result: the caller is in the middle of something
    prompt_tokens: int | None = None  # of all that the model will read, estimated; None: to be told from the text
    script: str = ""  # most of its tokens are of: arabic, ideograph ... (`env/prompt/text_tokens.py`); empty: Latin
    modalities: frozenset[str] = frozenset()  # what any message holds beside text: image, audio, video, file
    tools_optional: bool = False  # the model may answer without calling one: so it may be asked without them
    tools_tokens: int = 0  # of prompt_tokens, those of the tools
    # Its images in base64, the last ones; an empty text is one of which only the address is known.
    pictures: tuple[str, ...] = field(default=(), repr=False)
    tags: tuple[tuple[str, int], ...] = ()  # declared tags, and the column of the level (`encoder/features/tags.py`)
    answers: int = 1  # that the caller asks for
    clearance: Clearance | None = None  # where the request may go; None: anywhere, as nobody has rules
    allowed: frozenset[str] | None = None  # arms that its tenant may have; None: all of them

    @property
    def answer_room(self) -> int | None:
        """Tokens of answer that an arm's window must have room for; None: nothing is asked for."""
        if self.max_tokens is None or not self.limit_is_ceiling:
            return self.max_tokens
        return min(self.max_tokens, CEILING_ROOM)

    def without_tools(self) -> "Query":
        """Return the query as it is where the tools are left out."""
        tokens = None if self.prompt_tokens is None else max(self.prompt_tokens - self.tools_tokens, 1)
        return replace(self, tools=0, tools_optional=False, tools_tokens=0, prompt_tokens=tokens)
