"""Values that can be installed."""

import copy

import pytest

from support.binaries import MissingError, binary

EVALUATION = {
    "eval_backend": "VLMEvalKit",
    "eval_config": {
        "model": [
            {
                "type": "org/Qwen2.5-VL-3B",
                "name": "CustomAPIModel",
                "api_base": "http://models.example/v1/chat/completions",
                "key": "model-secret",
                "temperature": 0.0,
            }
        ],
        "data": ["MMStar"],
        "judge": "exact_matching",
        "OPENAI_API_KEY": "judge-secret",
    },
}


@pytest.fixture(scope="session", autouse=True)
def _helm():
    try:
        binary("helm")
    except MissingError as error:
        pytest.skip(str(error))


@pytest.fixture
def platform():
    """The platform alone, with the demo store."""
    return {"store": {"demo": {"enabled": True}}}


@pytest.fixture
def evaluation(platform):
    """An evaluation on it."""
    return {**platform, **copy.deepcopy(EVALUATION)}
