"""Tools, calls and results in the six formats, as plainly as that can be done."""

from __future__ import annotations

import json
from typing import Any

from .dialects import DIALECTS, Dialect


def function(tool_name: str, **properties: Any) -> Any:
    """A tool whose arguments are these properties."""
    return {"name": tool_name, "parameters": {"type": "object", "properties": properties}}


class Toolbox:
    """How one format offers tools, reads calls and hands results back."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.service = dialect.service

    def offer(self, tools: Any, choice: str | None) -> Any:
        """What a request needs besides the conversation."""
        raise NotImplementedError

    def calls(self, answer: Any) -> list[tuple[str, Any]]:
        """The calls in a whole answer."""
        raise NotImplementedError

    def said(self, answer: Any) -> str:
        """The text in a whole answer."""
        raise NotImplementedError

    def is_call(self, answer: Any) -> bool:
        """Whether an answer says that it ends with calls."""
        raise NotImplementedError

    def add_results(self, body: Any, answer: Any, outputs: list[str]) -> None:
        """Put an answer with calls and their results behind the conversation."""
        raise NotImplementedError

    def hear_calls(self, body: str) -> list[tuple[str, Any]]:
        """The calls in a stream."""
        raise NotImplementedError

    def render(self, text: str, *tools: Any, choice: str | None = None, **more: Any) -> Any:
        return self.dialect.render(text, **(self.offer(tools, choice) if tools else {}), **more)

    async def ask(self, caller: Any, text: str, *tools: Any, choice: str | None = None, **more: Any) -> Any:
        status, answer = await caller.post(
            self.dialect.path, self.render(text, *tools, choice=choice, **more)
        )
        assert status == 200, answer
        return answer

    async def stream(self, caller: Any, text: str, *tools: Any, **more: Any) -> str:
        body = self.dialect.render_stream(text, **self.offer(tools, None), **more)
        return (await caller.call("POST", self.dialect.stream_path, body))[2]

    async def hand_back(self, caller: Any, text: str, answer: Any, outputs: list[str], *tools: Any) -> Any:
        body = self.render(text, *tools)
        self.add_results(body, answer, outputs)
        status, answer = await caller.post(self.dialect.path, body)
        assert status == 200, answer
        return answer


class ResponsesTools(Toolbox):
    def offer(self, tools, choice):
        offered = {"tools": [{"type": "function", **tool} for tool in tools]}
        if choice in ("none", "required"):
            offered["tool_choice"] = choice
        elif choice:
            offered["tool_choice"] = {"type": "function", "name": choice}
        return offered

    def items(self, answer, kind):
        return [item for item in answer["output"] if item["type"] == kind]

    def calls(self, answer):
        calls = self.items(answer, "function_call")
        return [(call["name"], json.loads(call["arguments"])) for call in calls]

    def said(self, answer):
        return "".join(item["content"][0]["text"] for item in self.items(answer, "message"))

    def is_call(self, answer):
        return answer["status"] == "completed" and answer["output"][-1]["type"] == "function_call"

    def add_results(self, body, answer, outputs):
        calls = self.items(answer, "function_call")
        body["input"] += calls
        body["input"] += [
            {"type": "function_call_output", "call_id": call["call_id"], "output": output}
            for call, output in zip(calls, outputs, strict=True)
        ]

    def hear_calls(self, body):
        events = [json.loads(line[6:]) for line in body.split("\n") if line.startswith("data: ")]
        names = {
            event["item"]["id"]: event["item"]["name"]
            for event in events
            if event["type"] == "response.output_item.added" and event["item"]["type"] == "function_call"
        }
        arguments = dict.fromkeys(names, "")
        for event in events:
            if event["type"] == "response.function_call_arguments.delta":
                arguments[event["item_id"]] += event["delta"]
        return [(names[item], json.loads(text)) for item, text in arguments.items()]


class ChatTools(Toolbox):
    def offer(self, tools, choice):
        offered = {"tools": [{"type": "function", "function": tool} for tool in tools]}
        if choice in ("none", "required"):
            offered["tool_choice"] = choice
        elif choice:
            offered["tool_choice"] = {"type": "function", "function": {"name": choice}}
        return offered

    def calls(self, answer):
        calls = answer["choices"][0]["message"].get("tool_calls", [])
        return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]

    def said(self, answer):
        return answer["choices"][0]["message"]["content"]

    def is_call(self, answer):
        choice = answer["choices"][0]
        return choice["finish_reason"] == "tool_calls" and choice["message"]["content"] is None

    def add_results(self, body, answer, outputs):
        message = answer["choices"][0]["message"]
        body["messages"].append(message)
        body["messages"] += [
            {"role": "tool", "tool_call_id": call["id"], "content": output}
            for call, output in zip(message["tool_calls"], outputs, strict=True)
        ]

    def hear_calls(self, body):
        events = [json.loads(line[6:]) for line in body.split("\n") if line.startswith("data: {")]
        heard: dict[int, list[str]] = {}
        for event in events:
            for choice in event["choices"]:
                for delta in choice["delta"].get("tool_calls", []):
                    call = heard.setdefault(delta["index"], ["", ""])
                    call[0] += delta["function"].get("name", "")
                    call[1] += delta["function"]["arguments"]
        assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"
        return [(name, json.loads(arguments)) for name, arguments in heard.values()]


class GeminiTools(Toolbox):
    def offer(self, tools, choice):
        modes = {"none": "NONE", "required": "ANY"}
        offered: Any = {"tools": [{"functionDeclarations": list(tools)}]}
        if choice:
            config = {"mode": modes.get(choice, "ANY")}
            if choice not in modes:
                config["allowedFunctionNames"] = [choice]
            offered["toolConfig"] = {"functionCallingConfig": config}
        return offered

    def parts(self, answer):
        return answer["candidates"][0]["content"]["parts"]

    def calls(self, answer):
        calls = [part["functionCall"] for part in self.parts(answer) if "functionCall" in part]
        return [(call["name"], call["args"]) for call in calls]

    def said(self, answer):
        return "".join(part["text"] for part in self.parts(answer))

    def is_call(self, answer):
        return answer["candidates"][0]["finishMessage"] == "Model generated function call(s)."

    def add_results(self, body, answer, outputs):
        body["contents"].append(answer["candidates"][0]["content"])
        calls = [part["functionCall"] for part in self.parts(answer)]
        results = [
            {
                "functionResponse": {
                    "id": call["id"],
                    "name": call["name"],
                    "response": {"output": output},
                }
            }
            for call, output in zip(calls, outputs, strict=True)
        ]
        body["contents"].append({"role": "user", "parts": results})

    def hear_calls(self, body):
        chunks = [json.loads(line[6:]) for line in body.split("\r\n") if line.startswith("data: ")]
        return [call for chunk in chunks for call in self.calls(chunk)]


KINDS = {"openai": ResponsesTools, "xai": ResponsesTools, "gemini": GeminiTools}
TOOLBOXES: dict[str, Toolbox] = {
    name: KINDS.get(name, ChatTools)(dialect) for name, dialect in DIALECTS.items()
}
