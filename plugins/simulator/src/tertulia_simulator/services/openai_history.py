"""Conversations that could not have gone like this, and how OpenAI says so."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Iterable
from typing import Any

from tertulia_simulator.models import OpenAIModel
from tertulia_simulator.orders import StoredFile
from tertulia_simulator.recording import Json, RecordedRequest, as_list, as_object, is_list
from tertulia_simulator.seals import seal, unseal
from tertulia_simulator.services.openai_schema import refuse, refuse_missing, refuse_type, render_error
from tertulia_simulator.services.openai_tools import check_name
from tertulia_simulator.services.service import RefusedError

MARK = "gAAAAA"
"""With this begins everything that OpenAI encrypts."""

PREFIXES = {"reasoning": "rs", "function_call": "fc", "message": "msg", "web_search_call": "ws"}
FOLLOWERS = ("function_call", "web_search_call", "custom_tool_call", "reasoning")


def check_items(items: list[Json]) -> None:
    """Refuse items of the wrong shape, calls without an answer, and answers without a call."""
    waiting: list[str] = []
    known: set[str] = set()
    for index, item in enumerate(items):
        place = f"input[{index}]"
        check_id(item, place)
        match kind_of(item):
            case "function_call":
                check_call(item, place)
                waiting.append(str(item["call_id"]))
                known.add(str(item["call_id"]))
            case "function_call_output":
                check_output(item, place, known)
                waiting = [call_id for call_id in waiting if call_id != item["call_id"]]
            case "message" if item.get("role") == "user" and waiting:
                break
            case _:
                pass
    if waiting:
        raise refuse(f"No tool output found for function call {waiting[0]}.", param="input")


def check_id(item: Json, place: str) -> None:
    """Refuse an id of another kind of item."""
    prefix, item_id = PREFIXES.get(kind_of(item)), item.get("id")
    if prefix and item_id is not None and not str(item_id).startswith(prefix):
        message = f"Invalid '{place}.id': '{item_id}'. Expected an ID that begins with '{prefix}'."
        raise refuse(message, param=f"{place}.id", code="invalid_value")


def check_call(item: Json, place: str) -> None:
    """Refuse a call without an id, a name or arguments in JSON's text form."""
    for name in ("call_id", "name", "arguments"):
        if item.get(name) is None:
            raise refuse_missing(f"{place}.{name}")
        if not isinstance(item[name], str):
            raise refuse_type(f"{place}.{name}", "a string", item[name])
    check_name(item["name"], f"{place}.name")


def check_output(item: Json, place: str, known: Collection[str]) -> None:
    """Refuse the answer of a tool that nobody called, and one without a content."""
    for name in ("call_id", "output"):
        if item.get(name) is None:
            raise refuse_missing(f"{place}.{name}")
    if not isinstance(item["call_id"], str):
        raise refuse_type(f"{place}.call_id", "a string", item["call_id"])
    if not isinstance(item["output"], str) and not is_list(item["output"]):
        raise refuse_type(f"{place}.output", "one of an array of objects or string", item["output"])
    if item["call_id"] not in known:
        message = f"No tool call found for function call output with call_id {item['call_id']}."
        raise refuse(message, param="input")


def check_reasoning(items: list[Json]) -> None:
    """Refuse thoughts that are not OpenAI's, were changed, or lead to nothing."""
    for index, item in enumerate(items):
        if kind_of(item) != "reasoning":
            continue
        if "summary" not in item:
            raise refuse_missing(f"input[{index}].summary")
        follower = items[index + 1] if index + 1 < len(items) else {}
        is_followed = kind_of(follower) in FOLLOWERS or follower.get("role") == "assistant"
        if not is_followed:
            message = (
                f"Item '{item.get('id')}' of type 'reasoning' was provided without its required following "
                "item."
            )
            raise refuse(message, param="input")
        check_encrypted(item)


def check_encrypted(item: Json) -> None:
    """Refuse a thought that is not here, or is sealed by somebody else."""
    if (sealed := item.get("encrypted_content")) is None:
        message = (
            f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to "
            "false. Try again with `store` set to true, or remove this item from your input."
        )
        raise RefusedError(render_error(message, status=404, param="input"))
    if read_sealed(sealed) is None:
        message = (
            f"The encrypted content for item {item.get('id')} could not be verified. "
            "Reason: Encrypted content could not be decrypted or parsed."
        )
        raise RefusedError(render_error(message, code="invalid_encrypted_content"))


def seal_thought(request: RecordedRequest, model: OpenAIModel, reasoning: str) -> str:
    """Seal a thought of a model for an organisation."""
    facts = {"model": model.id, "organisation": organisation_of(request), "number": request.number}
    sealed = seal("openai", "", thought=reasoning, **facts)
    return MARK + urlsafe_b64encode(sealed.encode()).decode()


def read_sealed(sealed: object) -> Json | None:
    """Read the facts about a thought; None where the seal is not OpenAI's."""
    if not isinstance(sealed, str) or not sealed.startswith(MARK):
        return None
    try:
        return unseal("openai", "", urlsafe_b64decode(sealed.removeprefix(MARK)).decode())
    except ValueError:
        return None


def find_ignored(request: RecordedRequest, model: OpenAIModel, items: Iterable[Json]) -> list[Json]:
    """Find the thoughts of other models and organisations, which are taken out before the model sees them."""
    ignored: list[Json] = []
    for item in items:
        facts = read_sealed(item.get("encrypted_content")) if kind_of(item) == "reasoning" else None
        if facts is None:
            continue
        if facts["organisation"] != organisation_of(request):
            reason = "organization_mismatch"
        elif facts["model"] != model.id:
            reason = "model_mismatch"
        else:
            continue
        ignored.append({"id": item.get("id"), "action": "removed", "reason": reason})
    return ignored


def organisation_of(request: RecordedRequest) -> str:
    """The organisation that asks."""
    return request.headers.get("openai-organization", "simulator")


def kind_of(item: Json) -> str:
    """What an item is; one without a type is a message."""
    return str(item.get("type", "message" if "role" in item else ""))


def check_chat_history(messages: list[Json]) -> None:
    """Refuse calls without an answer, and answers without a call right before them."""
    waiting: list[str] = []
    for index, message in enumerate(messages):
        place = f"messages[{index}]"
        if message.get("role") == "tool":
            if not waiting or message.get("tool_call_id") not in waiting:
                raise refuse_stray(waiting, message, place)
            waiting.remove(str(message["tool_call_id"]))
            continue
        refuse_waiting(waiting, place)
        calls = as_list(message.get("tool_calls"))
        for number, call in enumerate(map(as_object, calls)):
            check_chat_call(call, f"{place}.tool_calls[{number}]")
        waiting = [str(as_object(call)["id"]) for call in calls]
    refuse_waiting(waiting, f"messages[{len(messages)}]")


def check_chat_call(call: Json, place: str) -> None:
    """Refuse a call without an id, or without a function that has a name and arguments."""
    for name in ("id", "type", "function"):
        if call.get(name) is None:
            raise refuse_missing(f"{place}.{name}")
    function = as_object(call["function"])
    check_name(function.get("name"), f"{place}.function.name")
    arguments: Any = function.get("arguments")
    if not isinstance(arguments, str):
        where = f"{place}.function.arguments"
        raise refuse_missing(where) if arguments is None else refuse_type(where, "a string", arguments)


def refuse_waiting(waiting: list[str], place: str) -> None:
    """Refuse a message before all calls were answered."""
    if waiting:
        message = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. The following tool_call_ids did not have response messages: "
            f"{', '.join(waiting)}"
        )
        raise refuse(message, param=f"{place}.role")


def refuse_stray(waiting: list[str], message: Json, place: str) -> RefusedError:
    """Refuse an answer to no call."""
    if not waiting:
        words = (
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
            "'tool_calls'."
        )
        return refuse(words, param=f"{place}.role")
    words = f"Invalid parameter: 'tool_call_id' of '{message.get('tool_call_id')}' not found in 'tool_calls' "
    return refuse(f"{words}of previous message.", param=f"{place}.tool_call_id")


def check_file_id(file_id: object, files: dict[str, StoredFile], place: str) -> None:
    """Refuse the id of a file that was never uploaded, or is gone."""
    if file_id is not None and str(file_id) not in files:
        # The words are the simulator's own: no such answer was ever recorded.
        message = f"Invalid '{place}': no file found with id '{file_id}'."
        raise refuse(message, param=place, code="invalid_value")
