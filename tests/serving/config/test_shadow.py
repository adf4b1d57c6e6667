import pytest
from pydantic import ValidationError

from highwayman.serving.config.shadow import ShadowConfig


def test_a_bare_no_which_yaml_reads_as_false_is_no() -> None:
    assert ShadowConfig.model_validate({"judged": False}).judged == ShadowConfig().judged == "no"
    with pytest.raises(ValidationError):
        ShadowConfig.model_validate({"judged": True})
