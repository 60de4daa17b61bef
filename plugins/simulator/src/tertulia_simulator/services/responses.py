"""The Responses API as OpenAI and xAI both speak it; what differs is left to overridden methods."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator
from itertools import count
from typing import ClassVar

from tertulia_simulator.attachments import read_file
from tertulia_simulator.conversation import Call, Message, Offer, Result, SentFile
from tertulia_simulator.images import read_address
from tertulia_simulator.mind import split_words
from tertulia_simulator.recording import Json, as_list, as_object
from tertulia_simulator.services.api import API, Generation, ModelT
from tertulia_simulator.services.chunks import Chunk, compact
from tertulia_simulator.services.offers import read_offer
from tertulia_simulator.services.service import Bounds, Turn
from tertulia_simulator.services.shapes import RESPONSES, Shape

SYSTEM_ROLES = ("system", "developer")
TEXT_TYPES = ("input_text", "output_text", "text")
DOCUMENT_TYPES = ("input_file", "input_audio")
CONTENT_EVENTS = ("response.output_text.delta", "response.function_call_arguments.delta")


class ResponsesAPI(API[ModelT]):
    """``POST /v1/responses``."""

    endpoint: ClassVar[list[str]] = ["v1", "responses"]
    shape: ClassVar[Shape] = RESPONSES

    echoed: ClassVar[Json]
    """What a response repeats of the request, with the vendor's defaults."""

    def read_conversation(self, body: object) -> list[Message]:
        """Read ``instructions`` and ``input``; items that the model does not read are left out."""
        content = as_object(body)
        items: list[Json] = [{"role": "system", "content": content.get("instructions")}]
        if isinstance(given := content.get("input"), str):
            items.append({"role": "user", "content": given})
        return read_items([*items, *map(as_object, as_list(given))], self.read_file)

    def read_offer(self, body: Json) -> Offer:
        """Read the tools, how to choose among them, and the schema of the answer."""
        return read_offer(body, as_object(as_object(body.get("text")).get("format")))

    def read_file(self, part: Json) -> SentFile:
        """Read a document or a sound."""
        return read_file(part, self.orders.files)

    def read_bounds(self, body: Json) -> Bounds:
        """Read the limit and the effort."""
        return Bounds(body.get("max_output_tokens"), as_object(body.get("reasoning")).get("effort"))

    def stream(self, generation: Generation[ModelT]) -> Iterator[Chunk]:
        """Render the events of an answer, each with its ``event`` and ``data`` line."""
        for event, number in zip(self.render_events(generation), count()):
            event["sequence_number"] = number
            data = f"event: {event['type']}\ndata: {compact(event)}\n\n".encode()
            yield Chunk(data, event["type"] in CONTENT_EVENTS)

    def render_events(self, generation: Generation[ModelT]) -> Iterator[Json]:
        """Render the events of an answer in the order in which both vendors send them."""
        status = end_of(generation)
        begun = self.render_response(generation, "in_progress")
        yield {"type": "response.created", "response": begun}
        yield {"type": "response.in_progress", "response": begun}
        extras = self.render_delta_extras(generation.body)
        for index, item in enumerate(self.render_output(generation, status)):
            for event in self.render_item_events(item):
                padding = extras if str(event["type"]).endswith(".delta") else {}
                yield {**event, "output_index": index, **padding}
        yield {"type": f"response.{status}", "response": self.render_response(generation, status)}

    def render_item_events(self, item: Json) -> Iterator[Json]:
        """Render the events of one item, from its announcement to its end."""
        yield self.begin_item(item)
        yield from render_content_events(item, self.split_arguments)
        yield {"type": "response.output_item.done", "item": item}

    def begin_item(self, item: Json) -> Json:
        """Render the event that announces an item, of which only the outline is there."""
        outline = {name: value for name, value in item.items() if name not in ("encrypted_content", "action")}
        empty: Json = {"content": [], "summary": [], "arguments": "", "status": "in_progress"}
        outline |= {name: value for name, value in empty.items() if name in item}
        return {"type": "response.output_item.added", "item": outline}

    def split_arguments(self, arguments: str) -> list[str]:
        """Cut the arguments of a call into the pieces in which they are streamed."""
        return split_words(arguments) if " " in arguments else re.findall(r".{1,8}", arguments, re.DOTALL)

    def render_whole(self, generation: Generation[ModelT]) -> Json:
        """Render the response object as it stands alone."""
        return self.render_response(generation, end_of(generation))

    def render_response(self, generation: Generation[ModelT], status: str) -> Json:
        """Render the response object; ``in_progress`` it has no output and no usage yet."""
        request, turn = generation.request, generation.turn
        is_done = status != "in_progress"
        return {
            "id": self.render_id("resp", request.number),
            "object": "response",
            "created_at": request.at,
            "status": status,
            "background": False,
            "completed_at": request.at if status == "completed" else None,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "model": generation.model.id,
            "output": self.render_output(generation, status) if is_done else [],
            **{name: generation.body.get(name, default) for name, default in self.echoed.items()},
            "usage": self.render_usage(generation.model, turn) if is_done else None,
        }

    def render_output(self, generation: Generation[ModelT], status: str) -> list[Json]:
        """Render what was thought, searched, said and called, in this order."""
        turn, number = generation.turn, generation.request.number
        output = [self.render_reasoning(generation)] if turn.reasoning else []
        output += [
            self.render_search(self.render_id("ws", number, index), query)
            for index, query in enumerate(turn.searches)
        ]
        if turn.text or not turn.calls:
            output.append(self.render_message(generation, status))
        output += [self.render_call(call, number, index) for index, call in enumerate(turn.calls)]
        return output

    def render_reasoning(self, generation: Generation[ModelT]) -> Json:
        """Render what was thought: in words where they are wanted, sealed where it is to come back."""
        item: Json = {"id": self.render_id("rs", generation.request.number), "type": "reasoning"}
        wants = self.wants_summary(generation.body)
        summary = [{"type": "summary_text", "text": generation.turn.reasoning}] if wants else []
        if self.wants_state(generation):
            item["encrypted_content"] = self.seal_reasoning(generation)
        return {**item, "summary": summary}

    def render_message(self, generation: Generation[ModelT], status: str) -> Json:
        """Render the message."""
        return {
            "id": self.render_id("msg", generation.request.number),
            "type": "message",
            "status": status,
            "content": [render_part(generation.turn.text)],
            "role": "assistant",
        }

    def render_call(self, call: Call, number: int, index: int) -> Json:
        """Render the call of a tool."""
        return {
            "id": self.render_id("fc", number, index),
            "type": "function_call",
            "status": "completed",
            "arguments": call.arguments,
            "call_id": self.render_id("call", number, index),
            "name": call.name,
        }

    def render_search(self, item_id: str, query: str) -> Json:
        """Render a search of the service's own."""
        action = {"type": "search", "queries": [query], "query": query}
        return {"id": item_id, "type": "web_search_call", "status": "completed", "action": action}

    def wants_summary(self, body: Json) -> bool:
        """Whether thoughts are to be told in words."""
        return as_object(body.get("reasoning")).get("summary") is not None

    def wants_state(self, generation: Generation[ModelT]) -> bool:
        """Whether thoughts are to be given away, sealed."""
        return "reasoning.encrypted_content" in as_list(generation.body.get("include"))

    @abstractmethod
    def seal_reasoning(self, generation: Generation[ModelT]) -> str:
        """Seal a thought, to know it again."""

    def render_usage(self, model: ModelT, turn: Turn) -> Json:
        """Render the counts; the reasoning is part of the output, and the total is input and output."""
        return {
            "input_tokens": turn.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": turn.output_tokens,
            "output_tokens_details": {"reasoning_tokens": turn.reasoning_tokens},
            "total_tokens": turn.input_tokens + turn.output_tokens,
        }

    def render_delta_extras(self, body: Json) -> Json:
        """What each text delta carries besides the text."""
        return {}

    @abstractmethod
    def render_id(self, prefix: str, number: int, index: int = 0) -> str:
        """Make the id of a response or an item, of which there may be several of a kind."""


def end_of(generation: Generation[ModelT]) -> str:
    """The status with which an answer ends."""
    return "incomplete" if generation.turn.is_cut else "completed"


def read_items(items: list[Json], read_attachment: Callable[[Json], SentFile]) -> list[Message]:
    """Read input items; calls made at once are one message."""
    messages: list[Message] = []
    names: dict[str, str] = {}
    for item in items:
        if (call := read_call(item)) is not None:
            names[call.id] = call.name
            before = messages.pop().calls if messages and messages[-1].calls else ()
            messages.append(Message("assistant", (), calls=(*before, call)))
        elif item.get("type") == "function_call_output":
            call_id = str(item.get("call_id"))
            result = Result(call_id, names.get(call_id, ""), read_output(item.get("output")))
            messages.append(Message("tool", (), results=(result,)))
        else:
            messages.append(read_item(item, read_attachment))
    return [message for message in messages if not message.is_empty]


def read_call(item: Json) -> Call | None:
    """Read the call of a tool; None for any other item."""
    if item.get("type") != "function_call":
        return None
    return Call(str(item.get("name")), str(item.get("arguments")), str(item.get("call_id")))


def read_output(output: object) -> str:
    """Read what a tool answered: a text, or the texts among parts."""
    if isinstance(output, str):
        return output
    return "".join(str(as_object(part).get("text", "")) for part in as_list(output))


def read_item(item: Json, read_attachment: Callable[[Json], SentFile]) -> Message:
    """Read one message; what is none is empty."""
    content = item.get("content") if "role" in item else None
    role = "system" if item.get("role") in SYSTEM_ROLES else str(item.get("role"))
    if isinstance(content, str) and content:
        return Message(role, (content,))
    parts = [as_object(part) for part in as_list(content)]
    return Message(
        role,
        tuple(str(part.get("text")) for part in parts if part.get("type") in TEXT_TYPES),
        tuple(read_address(part.get("image_url")) for part in parts if part.get("type") == "input_image"),
        tuple(read_attachment(part) for part in parts if part.get("type") in DOCUMENT_TYPES),
    )


def render_content_events(item: Json, split_arguments: Callable[[str], list[str]]) -> Iterator[Json]:
    """Render what comes between the announcement of an item and its end."""
    match item["type"]:
        case "message":
            yield from render_text_events(item["id"], item["content"][0]["text"])
        case "reasoning":
            for index, part in enumerate(item["summary"]):
                yield from render_summary_events(item["id"], index, part["text"])
        case "function_call":
            place = {"item_id": item["id"]}
            for piece in split_arguments(item["arguments"]):
                yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
            arguments = item["arguments"]
            yield {"type": "response.function_call_arguments.done", **place, "arguments": arguments}
        case kind:
            for state in ("in_progress", "searching", "completed"):
                yield {"type": f"response.{kind}.{state}", "item_id": item["id"]}


def render_text_events(item_id: str, text: str) -> Iterator[Json]:
    """Render the events of the one text part, a delta for each word."""
    place = {"content_index": 0, "item_id": item_id}
    yield {"type": "response.content_part.added", **place, "part": render_part("")}
    for word in split_words(text):
        yield {"type": "response.output_text.delta", **place, "delta": word, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "logprobs": [], "text": text}
    yield {"type": "response.content_part.done", **place, "part": render_part(text)}


def render_summary_events(item_id: str, index: int, text: str) -> Iterator[Json]:
    """Render the events of a thought in words, a delta for each word."""
    place = {"item_id": item_id, "summary_index": index}
    name = "response.reasoning_summary"
    yield {"type": f"{name}_part.added", **place, "part": {"type": "summary_text", "text": ""}}
    for word in split_words(text):
        yield {"type": f"{name}_text.delta", **place, "delta": word}
    yield {"type": f"{name}_text.done", **place, "text": text}
    yield {"type": f"{name}_part.done", **place, "part": {"type": "summary_text", "text": text}}


def render_part(text: str) -> Json:
    """Render a text part."""
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
