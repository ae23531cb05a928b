"""Trains the tiny vision-language model from nothing: a Qwen2-VL that reads one digit.

`python examples/tiny-vlm/train.py` with the interpreter of `make local` writes `weights/` beside this
file, about six minutes on two cores. It learns from the part of scikit-learn's digits that the example
dataset does not hold.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
)
from transformers.models.qwen2_vl.video_processing_qwen2_vl import (
    Qwen2VLVideoProcessor,
)
from wording import exchange

_HERE = Path(__file__).parent
sys.path.append(str(_HERE.parent / "digits"))

from pictures import draw, split  # noqa: E402 - it stands with the other example

_SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' or 'image' in part or 'image_url' in part %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_ASSISTANT = "<|im_start|>assistant\n"
_PIXELS = 56 * 56
_BATCH = 48
_RATE = 1.5e-3
_TURN_DEGREES = 10
_SHIFT_PIXELS = 7


def processor() -> Qwen2VLProcessor:
    """Pictures as 4 x 4 patches, text as bytes with the commonest pairs of these questions merged."""
    dice = np.random.default_rng(1)
    texts = [" ".join(exchange(int(dice.integers(10)), dice)) for _ in range(3000)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=448,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, "user\nassistant\nsystem\n"], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=list(_SPECIAL[1:]),
    )
    fast.padding_side = "right"
    size = {"shortest_edge": _PIXELS, "longest_edge": _PIXELS}
    return Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=size),
        tokenizer=fast,
        video_processor=Qwen2VLVideoProcessor(size=size),
        chat_template=_TEMPLATE,
    )


def untrained(made: Qwen2VLProcessor) -> Qwen2VLForConditionalGeneration:
    """The model before it has seen anything."""
    ids = made.tokenizer.convert_tokens_to_ids(list(_SPECIAL))
    special = dict(zip(_SPECIAL, ids, strict=True))
    config = Qwen2VLConfig(
        image_token_id=special["<|image_pad|>"],
        video_token_id=special["<|video_pad|>"],
        vision_start_token_id=special["<|vision_start|>"],
        vision_end_token_id=special["<|vision_end|>"],
        text_config={
            "vocab_size": len(made.tokenizer),
            "hidden_size": 256,
            "intermediate_size": 512,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "bos_token_id": special["<|endoftext|>"],
            "eos_token_id": special["<|im_end|>"],
            "pad_token_id": special["<|endoftext|>"],
            "tie_word_embeddings": False,
            "rope_parameters": {
                "rope_type": "default",
                "type": "mrope",
                "rope_theta": 1_000_000.0,
                "mrope_section": [8, 12, 12],
            },
        },
        vision_config={
            "depth": 2,
            "embed_dim": 128,
            "hidden_size": 256,
            "num_heads": 2,
            "mlp_ratio": 2,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
    )
    return Qwen2VLForConditionalGeneration(config)


def train(
    model: Qwen2VLForConditionalGeneration, made: Qwen2VLProcessor, steps: int
) -> None:
    """Teaches it for `steps` batches, each digit turned and moved a little every time."""
    learn, _ = split()
    drawn = [draw(scan) for scan in learn.scans]
    dice = np.random.default_rng(2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=_RATE, total_steps=steps, pct_start=0.1
    )
    model.train()
    started = time.monotonic()
    for step in range(steps):
        chosen = dice.integers(len(drawn), size=_BATCH)
        pictures = [_moved(drawn[i], dice) for i in chosen]
        exchanges = [exchange(int(learn.digits[i]), dice) for i in chosen]
        batch = _batch(made, pictures, exchanges)
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 25 == 0 or step == steps - 1:
            passed = time.monotonic() - started
            print(
                f"step {step}: loss {loss.item():.4f} after {passed:.0f} s", flush=True
            )


def _moved(picture: Image.Image, dice: np.random.Generator) -> Image.Image:
    across, down = dice.integers(-_SHIFT_PIXELS, _SHIFT_PIXELS + 1, 2)
    angle = float(dice.uniform(-_TURN_DEGREES, _TURN_DEGREES))
    return picture.rotate(
        angle,
        Image.Resampling.BILINEAR,
        translate=(int(across), int(down)),
        fillcolor=255,
    )


def _batch(
    made: Qwen2VLProcessor,
    pictures: list[Image.Image],
    exchanges: list[tuple[str, str]],
) -> dict[str, torch.Tensor]:
    """What the model is given; the loss is of the answers alone."""
    texts = [
        f"{_asked(made, question)}{answer}<|im_end|>" for question, answer in exchanges
    ]
    rgb = [picture.convert("RGB") for picture in pictures]
    batch = dict(made(text=texts, images=rgb, padding=True, return_tensors="pt"))
    ids = batch["input_ids"]
    marker = made.tokenizer(_ASSISTANT).input_ids
    labels = torch.full_like(ids, -100)
    for row, tokens in enumerate(ids.tolist()):
        begun = len(tokens) - 1 - tokens[::-1].index(marker[0]) + len(marker)
        ended = begun + tokens[begun:].index(made.tokenizer.eos_token_id) + 1
        labels[row, begun:ended] = ids[row, begun:ended]
    return {**batch, "labels": labels}


def _asked(made: Qwen2VLProcessor, question: str) -> str:
    content = [{"type": "image"}, {"type": "text", "text": question}]
    text: str = made.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    return text


def accuracy(
    model: Qwen2VLForConditionalGeneration, made: Qwen2VLProcessor
) -> dict[str, float]:
    """The share of held-out digits answered word for word, by kind of question."""
    _, held_out = split()
    dice = np.random.default_rng(3)
    model.eval()
    right: dict[str, list[bool]] = {}
    for scan, digit in zip(held_out.scans, held_out.digits, strict=True):
        question, answer = exchange(int(digit), dice)
        batch = made(
            text=[_asked(made, question)],
            images=[draw(scan).convert("RGB")],
            return_tensors="pt",
        )
        with torch.no_grad():
            said = model.generate(**batch, max_new_tokens=16, do_sample=False)
        words = made.tokenizer.decode(
            said[0][batch["input_ids"].shape[1] :], skip_special_tokens=True
        )
        kind = "yes or no" if answer.endswith(("Yes.", "No.")) else "which"
        right.setdefault(kind, []).append(words == answer)
    return {kind: float(np.mean(each)) for kind, each in sorted(right.items())}


def main() -> int:
    """Trains, measures on the held-out digits, and writes the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=_HERE / "weights")
    parser.add_argument("--steps", type=int, default=700)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    made = processor()
    model = untrained(made)
    count = sum(each.numel() for each in model.parameters())
    print(f"{count} parameters, {len(made.tokenizer)} tokens", flush=True)
    train(model, made, arguments.steps)
    model = model.to(torch.bfloat16)
    model.generation_config.eos_token_id = made.tokenizer.eos_token_id
    model.generation_config.pad_token_id = made.tokenizer.pad_token_id
    measured = accuracy(model, made)
    print(f"held-out digits answered right: {json.dumps(measured)}", flush=True)
    made.tokenizer.padding_side = "left"
    model.save_pretrained(arguments.output)
    made.save_pretrained(arguments.output)
    # Engines and older transformers look for the pictures' settings in a file of their own.
    made.image_processor.save_pretrained(arguments.output)
    made.video_processor.save_pretrained(arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
