"""Run as a script: posts every case with upstream's CustomAPIModel into a recorder."""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path
from typing import Any


def NORMALISED(name: str) -> str:  # noqa: N802 - stands beside upstream's rule
    """A served name as EvalScope makes upstream's model name of it."""
    return name.rsplit("/", 1)[-1].replace(":", "-").replace(".", "_")


class _Answer:
    status_code = 200
    text = json.dumps({"choices": [{"message": {"content": "x"}}]})


def main(folder: Path) -> None:
    from assay.vlmevalkit import shim  # noqa: PLC0415 - not where this is only imported

    shim.install()
    import requests  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415
    from vlmeval.api import base  # noqa: PLC0415
    from vlmeval.api.gpt import CustomAPIModel  # noqa: PLC0415

    base.time.sleep = lambda _seconds: None
    buffer = io.BytesIO()
    Image.open(folder / "picture.jpg").save(buffer, format="JPEG")
    posted: dict[str, Any] = {}
    for name, case in json.loads((folder / "cases.json").read_text()).items():
        record: dict[str, Any] = {"jpeg": buffer.getvalue().hex()}

        def post(
            url: str, headers: Any, data: str, record: Any = record, **_: Any
        ) -> _Answer:
            record.update(url=url, headers=headers, body=json.loads(data))
            return _Answer()

        requests.post = post  # type: ignore[assignment]
        served = case.get("model", "m")
        kwargs = dict(case.get("kwargs", {}))
        # Upstream's inference passes its own flag to some models by name.
        stray = ("Llama-4", "Qwen2-VL", "Qwen2.5-VL")
        if any(part in NORMALISED(served) for part in stray):
            kwargs["use_vllm"] = False
        settings = {"temperature": 0, "img_size": -1, "img_detail": "high", **kwargs}
        model = CustomAPIModel(
            model=served,
            key="k",
            api_base=case.get("api_base", "http://host/v1/chat/completions"),
            retry=1,
            verbose=False,
            **settings,
        )
        message = [
            {**part, "value": str(folder / "picture.jpg")}
            if part["type"] == "image"
            else part
            for part in case["message"]
        ]
        model.generate(message)
        for url in _picture_urls(record["body"]):
            assert base64.b64decode(url.partition(",")[2]) == buffer.getvalue()
        posted[name] = record
    (folder / "posted.json").write_text(json.dumps(posted))


def _picture_urls(body: dict[str, Any]) -> list[str]:
    content = body["messages"][-1]["content"]
    parts = content if isinstance(content, list) else []
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
