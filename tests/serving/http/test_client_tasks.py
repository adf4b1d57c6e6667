"""Calls that chat clients make for themselves are told from what people ask."""

import time
from typing import Any

import pytest

from highwayman.serving.http.client_tasks import client_tasks

TASKS = client_tasks(["x-openwebui-task"], [r"Fasse .* zusammen"])
PERSON = "How do I prune a pear tree?"


def matches(text: Any, *, role: str = "user", **headers: str) -> bool:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return TASKS.matches({"headers": sent}, {"messages": [{"role": role, "content": text}]})


@pytest.mark.parametrize(
    "prompt",
    [
        "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n### Guidelines:",
        "### Task:\nGenerate 1-3 broad tags categorizing the main themes of the chat history, along with 1-3 more",
        "### Task:\nSuggest 3-5 relevant follow-up questions or prompts that the user might naturally ask next",
        "### Task:\nPredict 3-5 useful messages this user might naturally send next to advance their current",
        "### Task:\nSummarize the conversation history that will be compacted out of the active chat context.",
        "### Task:\nAnalyze the chat history to determine the necessity of generating search queries, in the given",
        "### Task:\nGenerate a detailed prompt for am image generation task based on the given language and context.",
        "### Task:\nYou are an autocompletion system. Continue the text in `<text>` based on the **completion type**",
        "Please generate a concise, 5-word-or-less title for the conversation, using its same language",
        "Provide a concise, 5-word-or-less title for the conversation, using title case conventions.",
        "Analyze this conversation and provide:\n1. The detected language of the conversation\n2. A concise title",
        "Please write a 5-10 word title for the following conversation:\n\nUser: hi",
        "Please generate a four to five word title summarizing our conversation without any lead-in",
        "Fasse den Verlauf zusammen.",
    ],
)
def test_prompts_of_chat_clients_and_declared_ones_are_tasks(prompt: str) -> None:
    assert matches(prompt)
    assert matches([{"type": "text", "text": prompt}])
    assert not matches(f"What does this mean? {prompt}")


TOOLS = "Available Tools: [" + '{"name": "f"}, ' * 300 + "]\n\n"
CHOOSE = "Your task is to choose and return the correct tool(s) from the list of available tools based on the query."


@pytest.mark.parametrize(
    ("told", "is_task"),
    [
        ("You are Claude Code, Anthropic's official CLI for Claude.\nAnalyze if this message indicates a new "
         "conversation topic. If it does,", True),
        ("Generate a concise, sentence-case title (3-7 words) that captures the main topic", True),
        (TOOLS + CHOOSE, True),
        (TOOLS + "You are an agent. Use these tools.", False),
        ("You are Claude Code, Anthropic's official CLI for Claude.\nYou are an interactive agent", False),
        ("You are helpful. " + CHOOSE, False),
    ],
)  # fmt: skip
def test_a_task_may_be_told_by_the_system_message(told: str, is_task: bool) -> None:
    messages = [{"role": "system", "content": told}, {"role": "user", "content": f"Query: {PERSON}"}]
    assert TASKS.matches({"headers": []}, {"messages": messages}) is is_task
    assert not TASKS.matches({"headers": []}, {"messages": [{"role": "user", "content": told}]})


def test_a_long_system_message_of_blank_lines_is_looked_through_once() -> None:
    began = time.process_time()
    for blank in ("\n", "\n ", "\n\t"):
        told = [{"role": "system", "content": "Available Tools: " + blank * 20_000 + CHOOSE[:20]}]
        assert not TASKS.matches({"headers": []}, {"messages": told})
    assert time.process_time() - began < 0.5, "not once for each line"


def test_a_header_names_a_task_whatever_the_prompt() -> None:
    assert matches(PERSON, x_openwebui_task="title_generation")


@pytest.mark.parametrize("value", ["", " ", "default", "{{TASK}}"])
def test_a_header_that_names_none_leaves_a_message_a_message(value: str) -> None:
    assert not matches(PERSON, x_openwebui_task=value)


@pytest.mark.parametrize(
    "text",
    [
        PERSON,
        "### Task:\nRespond to the user query using the provided context, incorporating inline citations in the format",
        "### Task: write me a poem",
        None,
        [],
        [{"type": "image_url"}],
    ],
)
def test_what_people_ask_is_no_task_though_it_may_look_like_one(text: Any) -> None:
    assert not matches(text)


def test_an_answer_and_a_body_without_messages_are_no_task() -> None:
    assert not matches("### Task:\nGenerate a concise title", role="assistant")
    assert not TASKS.matches({"headers": []}, {"prompt": "### Task:\nGenerate a concise title"})
    assert not TASKS.matches({"headers": []}, {"messages": []})
