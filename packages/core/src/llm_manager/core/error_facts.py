"""How a provider says that it failed or refused, and what it means by it; part of the facts."""

from __future__ import annotations

from collections.abc import Mapping

from llm_manager.core.fact_tables import FactTable, fits


class OurRefusals(FactTable, frozen=True, kw_only=True):
    """Which refusals are of our credential, not of the request. 401 and 402 always are; 403 is where one of these fits.

    Every other 403 (moderation, a region, a model that is not allowed) is the client's to read.

    Args:
        words: codes or types of 403; the defaults are those of OpenAI, whose words many others speak.
        texts: patterns (`*` stands for anything) of messages of 403, in lower case.
        texts_of_400: the same for 400, where a provider refuses keys with it.
    """

    words: tuple[str, ...] = (
        "invalid_api_key", "authentication_error", "invalid_authentication", "insufficient_permissions",
        "missing_scope", "account_deactivated", "ip_not_authorized", "insufficient_balance", "billing_error",
    )  # fmt: skip
    texts: tuple[str, ...] = (
        "*invalid api key*", "*incorrect api key*", "*api key*not valid*", "*api key*expired*", "*api key*disabled*",
        "*api key*revoked*", "*insufficient permissions*", "*missing scopes*", "*invalid token*", "*token*expired*",
    )  # fmt: skip
    texts_of_400: tuple[str, ...] = ()

    def fit(self, *, status: int, words: tuple[str, ...], text: str) -> bool:
        """Return whether a refusal is of our credential."""
        match status:
            case 401 | 402:
                return True
            case 403:
                return any(word in self.words for word in words) or fits(text.lower(), self.texts)
            case 400:
                return fits(text.lower(), self.texts_of_400)
            case _:
                return False


class ErrorPointers(FactTable, frozen=True, kw_only=True):
    """Where an error body keeps its parts; `status` is for errors inside a stream that answered 200.

    Args:
        statuses: type or code to the status that it stands for, where such an error names none itself (Anthropic).
        too_long: patterns (`*` stands for anything) of messages, in lower case, of a prompt that the model cannot hold;
            such a refusal gets OpenAI's code for it, which clients look for: `context_length_exceeded`.
        failed: where a whole answer of 200 keeps a status that means failure unless it is zero (MiniMax `base_resp`).
        ours: which refusals are of our credential.
    """

    message: tuple[str, ...] = ("error.message", "message", "detail", "error")
    code: tuple[str, ...] = ("error.code", "code")
    type: tuple[str, ...] = ("error.type", "type")
    param: tuple[str, ...] = ("error.param", "param")
    status: tuple[str, ...] = ("error.status_code", "error.code", "raw_status_code")
    statuses: Mapping[str, int] = {}
    # vLLM, OpenRouter and Mistral; Anthropic, and with max_tokens; llama.cpp; Gemini (google-gemini/gemini-cli#4231);
    # Cohere (cohere-ai/sandbox-topically#4); xAI and Together as their users quote them
    too_long: tuple[str, ...] = (
        "*maximum context length*", "*prompt is too long*", "*exceed context limit*", "*exceed*context size*",
        "*input token count*exceeds*", "*too many tokens: total number*", "*maximum prompt length*",
        "*`inputs` tokens + `max_new_tokens` must be*", "*context window*exceed*", "*exceed*context window*",
    )  # fmt: skip
    failed: tuple[str, ...] = ()
    ours: OurRefusals = OurRefusals()

    def is_too_long(self, text: str) -> bool:
        """Return whether a message says that the model cannot hold the prompt."""
        return fits(text.lower(), self.too_long)
