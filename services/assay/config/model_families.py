"""Two tables about VLMEvalKit's model classes that their source does not say in a form that can be read."""

from __future__ import annotations

from dataclasses import dataclass

GENERATION = frozenset(
    {
        *(
            "do_sample",
            "early_stopping",
            "eos_token_id",
            "length_penalty",
            "max_length",
        ),
        *("max_new_tokens", "min_new_tokens", "no_repeat_ngram_size", "num_beams"),
        *("num_return_sequences", "pad_token_id", "repetition_penalty", "temperature"),
        *("top_k", "top_p", "use_cache"),
    }
)
"""What transformers' generation takes: a class with `**kwargs` hands these on."""


@dataclass(frozen=True, slots=True)
class Range:
    """Versions from `low` on, below `high`; None: no bound."""

    low: tuple[int, ...]
    high: tuple[int, ...] | None = None

    def admits(self, version: str) -> bool:
        """Whether a version is in it."""
        numbers = tuple(int(each) for each in version.split(".")[:3] if each.isdigit())
        return self.low <= numbers and (self.high is None or numbers < self.high)

    def __str__(self) -> str:
        low = ">=" + ".".join(map(str, self.low))
        return low if self.high is None else f"{low},<" + ".".join(map(str, self.high))


_OLD = Range((4, 33), (4, 38))
_MIDDLE = Range((4, 37), (4, 45))
_LATER = Range((4, 40), (4, 49))
_RECENT = Range((4, 44), (5,))

TRANSFORMERS: dict[str, Range] = {
    **dict.fromkeys(
        (
            *(
                "QwenVL",
                "QwenVLChat",
                "Monkey",
                "MonkeyChat",
                "XComposer",
                "XComposer2",
            ),
            *("ShareCaptioner", "mPLUG_Owl2", "OpenFlamingo", "IDEFICS", "VisualGLM"),
            *("MMAlaya", "MiniGPT4", "InstructBLIP", "PandaGPT", "VXVERSE"),
        ),
        _OLD,
    ),
    **dict.fromkeys(
        (
            *("LLaVA", "LLaVA_XTuner", "TransCoreM", "CogVlm", "Emu", "Yi_VL"),
            *("MiniCPM_V", "OmniLMM12B", "DeepSeekVL", "Cambrian", "VILA", "Parrot"),
            *("LLama3Mixsense", "PLLaVA", "Mini_Gemini", "Moondream1"),
        ),
        _MIDDLE,
    ),
    **dict.fromkeys(
        (
            *("IDEFICS2", "BunnyLLama3", "MiniCPM_Llama3_V", "QH_360VL", "Phi3Vision"),
            *("WeMM", "XComposer2d5", "XComposer2_4KHD"),
        ),
        _LATER,
    ),
    **dict.fromkeys(("Moondream2", "H2OVLChat", "Aria", "AKI"), _RECENT),
    **dict.fromkeys(("Qwen2VLChat", "Qwen2VLChatAguvis"), Range((4, 45))),
    "Qwen3VLChat": Range((4, 57)),
    "Gemma3": Range((4, 50)),
    "llama4": Range((4, 51)),
}
"""By class, after the notes of VLMEvalKit on which versions its models were tried with. It names one version
for each; the upper bounds are where the code that comes with those weights, or the class, stops working."""
