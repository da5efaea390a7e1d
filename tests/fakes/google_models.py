"""The models the fake knows and what each of them refuses."""

from dataclasses import dataclass

CHAT = ("generateContent", "countTokens")
LEVELS = ("minimal", "low", "medium", "high")


@dataclass(frozen=True)
class Model:
    """``budget``: the range of thinkingBudget without its special values 0 (off) and -1 (dynamic).

    ``levels`` empty means thinkingLevel is refused; both empty means no thinking at all.
    """

    name: str
    title: str
    methods: tuple[str, ...] = CHAT
    budget: tuple[int, int] | None = None
    levels: tuple[str, ...] = ()
    can_switch_thinking_off: bool = True
    thinks_by_default: bool = False
    generation: int = 2
    output: str = "text"
    many_candidates: bool = True
    continues_itself: bool = True  # a request may end with the model's turn
    takes_tools: bool = True
    takes_system: bool = True
    image_sizes: tuple[str, ...] = ()
    embeds_media: bool = False
    code_assist: bool = True
    input_limit: int = 1048576
    output_limit: int = 65536

    @property
    def family(self) -> str:
        """Thought signatures of one family are foreign to the others."""
        return f"gemini-{self.generation}" if self.name.startswith("gemini") else "gemma"

    @property
    def thinks(self) -> bool:
        return self.budget is not None or bool(self.levels)

    @property
    def is_third_generation(self) -> bool:
        return self.generation >= 3 and self.name.startswith("gemini")

    def resource(self) -> dict[str, object]:
        """The entry of models.list."""
        shown: dict[str, object] = {
            "name": f"models/{self.name}",
            "version": "001",
            "displayName": self.title,
            "description": f"{self.title}, as the fake serves it",
            "inputTokenLimit": self.input_limit,
            "outputTokenLimit": self.output_limit,
            "supportedGenerationMethods": list(self.methods),
        }
        if "generateContent" in self.methods:
            shown |= {"temperature": 1, "topP": 0.95, "topK": 64, "maxTemperature": 2}
        if self.thinks:
            shown["thinking"] = True
        return shown


def _third(
    name: str, title: str, *levels: str, off: bool = True, continues_itself: bool = True
) -> Model:
    return Model(
        name,
        title,
        budget=(1, 32768),
        levels=levels,
        can_switch_thinking_off=off,
        thinks_by_default=True,
        generation=3,
        many_candidates=False,
        continues_itself=continues_itself,
    )


def _third_image(name: str, title: str) -> Model:
    return Model(
        name,
        title,
        generation=3,
        output="image",
        many_candidates=False,
        image_sizes=("1K", "2K", "4K"),
        code_assist=False,
        output_limit=32768,
    )


_ALL = (
    Model(
        "gemini-2.5-pro",
        "Gemini 2.5 Pro",
        budget=(128, 32768),
        can_switch_thinking_off=False,
        thinks_by_default=True,
    ),
    Model("gemini-2.5-flash", "Gemini 2.5 Flash", budget=(1, 24576), thinks_by_default=True),
    Model("gemini-2.5-flash-lite", "Gemini 2.5 Flash-Lite", budget=(512, 24576)),
    _third("gemini-3-flash-preview", "Gemini 3 Flash Preview", *LEVELS),
    # What Code Assist calls gemini-3.5-flash; the public API does not know the name.
    _third("gemini-3-flash", "Gemini 3 Flash", *LEVELS),
    _third("gemini-3.1-pro-preview", "Gemini 3.1 Pro Preview", "low", "medium", "high", off=False),
    _third("gemini-3.1-flash-lite", "Gemini 3.1 Flash-Lite", *LEVELS),
    _third("gemini-3.5-flash", "Gemini 3.5 Flash", *LEVELS),
    _third("gemini-3.5-flash-lite", "Gemini 3.5 Flash-Lite", *LEVELS, continues_itself=False),
    _third("gemini-3.8-flash", "Gemini 3.8 Flash", *LEVELS, continues_itself=False),
    Model(
        "gemini-2.5-flash-image",
        "Gemini 2.5 Flash Image",
        output="image",
        many_candidates=False,
        takes_tools=False,
        takes_system=False,
        code_assist=False,
        input_limit=32768,
        output_limit=32768,
    ),
    Model(
        "gemini-3.1-flash-image",
        "Gemini 3.1 Flash Image",
        levels=("minimal", "high"),
        budget=(1, 32768),
        generation=3,
        output="image",
        many_candidates=False,
        image_sizes=("512", "1K", "2K", "4K"),
        code_assist=False,
        output_limit=32768,
    ),
    _third_image("gemini-3.1-flash-lite-image", "Gemini 3.1 Flash-Lite Image"),
    _third_image("gemini-3-pro-image", "Gemini 3 Pro Image"),
    _third_image("gemini-3-pro-image-preview", "Gemini 3 Pro Image Preview"),
    Model(
        "gemini-2.5-flash-preview-tts",
        "Gemini 2.5 Flash Preview TTS",
        output="audio",
        many_candidates=False,
        takes_tools=False,
        takes_system=False,
        code_assist=False,
        input_limit=8192,
        output_limit=16384,
    ),
    Model("gemma-4-31b-it", "Gemma 4 31B", generation=4, many_candidates=False, output_limit=32768),
    Model(
        "gemini-embedding-001",
        "Gemini Embedding 001",
        methods=("embedContent", "batchEmbedContents", "countTokens"),
        output="embedding",
        code_assist=False,
        input_limit=2048,
        output_limit=1,
    ),
    Model(
        "gemini-embedding-2",
        "Gemini Embedding 2",
        methods=("embedContent", "batchEmbedContents", "countTokens"),
        output="embedding",
        embeds_media=True,
        code_assist=False,
        input_limit=8192,
        output_limit=1,
    ),
    Model(
        "veo-3.1-generate-preview",
        "Veo 3.1",
        methods=("predictLongRunning",),
        output="video",
        code_assist=False,
        input_limit=480,
        output_limit=8192,
    ),
)

MODELS: dict[str, Model] = {model.name: model for model in _ALL}
CODE_ASSIST_MODELS = {name: model for name, model in MODELS.items() if model.code_assist}
PUBLIC_MODELS = {name: model for name, model in MODELS.items() if name != "gemini-3-flash"}
