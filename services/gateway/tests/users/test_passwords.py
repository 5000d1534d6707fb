"""Which passwords people may choose."""

from __future__ import annotations

import pytest

from llm_manager.core.errors import InvalidRequest
from llm_manager.gateway.users.passwords import LONGEST, SHORTEST, check_password


@pytest.mark.parametrize(
    "password",
    ["elevenchars", "y" * (LONGEST + 1), "xxxxxxxxxxxxx", "PASSWORD1234", "Change Me Please", "ann of the sea", ""],
)
def test_what_is_guessed_first_or_is_no_length_is_refused_without_repeating_it(password: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_password(password, name="Ann of the Sea")
    assert refused.value.param == "password"
    assert not password or password not in str(refused.value)


@pytest.mark.parametrize(
    "password", ["x7" * (SHORTEST // 2), "xy" * (LONGEST // 2), "密码密码密码密码密码密码", " a b c d e f "]
)
def test_any_other_sentence_will_do(password: str) -> None:
    check_password(password, name="ann")
