"""Where a model of Amazon Bedrock is called
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html,
read 2026-11), and who signs what it says."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from native_api.dialects.bedrock.models import read_maker
from native_api.exceptions import UnsupportedField
from native_api.types import Target

MODEL_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")


def build_model_url(target: Target, method: str) -> str:
    """The URL of one of the model's methods, such as `converse` or `invoke`.

    The model may be an ARN, which is one segment of the path. A colon is not quoted: the signature
    must match what is sent, and the transport unquotes it.
    """
    if not MODEL_ID.fullmatch(target.model):
        raise UnsupportedField("model", "this provider has no model with such a name")
    return f"{target.provider.base_url}/model/{quote(target.model, safe=':')}/{method}"


def name_issuer(target: Target) -> str:
    """The provider and the model's maker: each maker signs and encrypts by itself."""
    maker = read_maker(target.known_model)
    return f"{target.provider.name}/{maker}" if maker else target.provider.name
