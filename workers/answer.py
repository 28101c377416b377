"""The language model's answer to a conversation as it stands."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from opentalking.llm.base import LLMAdapter, LLMError, Spent
from opentalking.llm.conversation import Conversation
from workers.ahead import HeadStart

log = logging.getLogger(__name__)


async def answer(
    llm: LLMAdapter, conversation: Conversation, ahead: HeadStart | None, spent: Spent
) -> AsyncGenerator[str, None]:
    """Its deltas; `ahead` is the request, if it is under way already. Raises LLMError.

    A conversation that is too long for the model is shortened, for good, and asked again."""
    deltas = llm.chat_stream(conversation.messages(), spent) if ahead is None else ahead.deltas(spent)
    begun = False
    while True:
        try:
            async with aclosing(deltas):
                async for delta in deltas:
                    begun = True
                    yield delta
            return
        except LLMError as error:
            if error.code != "too_long" or begun or not conversation.forget_half():
                raise
            log.warning("the older half is forgotten: %s", error)
        deltas = llm.chat_stream(conversation.messages(), spent)
