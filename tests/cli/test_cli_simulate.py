"""``tertulia simulate``: services for other programs."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable

import pytest


def test_another_program_uses_it_through_the_environment(
    start: Callable[..., subprocess.Popen[str]], tertulia_command, monkeypatch: pytest.MonkeyPatch
):
    """
    The printed lines are all that another program needs; faults come as ordered; Ctrl-C is a good end.
    """
    process = start("simulate", "--fail", "openai=quota", "--fail", "gemini=quota:1")
    assert process.stdout is not None
    lines = [process.stdout.readline().rstrip() for _ in range(8)]
    url = lines[0].split()[7]
    for line in lines[1:7]:
        monkeypatch.setenv(*line.removeprefix("export ").split("=", 1))

    ended = tertulia_command("ask", "-p", "openai", "-f", "gemini,xai", "My name is John.")
    process.send_signal(signal.SIGINT)

    assert lines == [
        f"# Simulated OpenAI, Gemini and xAI at {url} until Ctrl-C. In another terminal:",
        f"export AI_OPENAI_BASE_URL={url}/openai/v1",
        "export AI_OPENAI_API_KEY=sim-key",
        f"export AI_GEMINI_BASE_URL={url}/gemini",
        "export AI_GEMINI_API_KEY=sim-key",
        f"export AI_XAI_BASE_URL={url}/xai/v1",
        "export AI_XAI_API_KEY=sim-key",
        '# Then, for example: tertulia ask "My name is John."',
    ]
    assert ended == (
        0,
        "Hello John.\n",
        (
            "fallback: openai/gpt-6.1-sol failed (quota exhausted); asking gemini/gemini-3.5-flash\n"
            "fallback: gemini/gemini-3.5-flash failed (quota exhausted); asking xai/grok-4.7\n"
            "xai/grok-4.7, $0.000034\n"
        ),
    )
    assert ("", "stopped\n") == process.communicate(timeout=30)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("openai", "--fail 'openai' is not like openai=overloaded or openai=overloaded:3."),
        ("openai=auth:0", "--fail 'openai=auth:0' is not like openai=overloaded or openai=overloaded:3."),
        ("opnai=auth", "--fail: no service 'opnai'; choose one of openai, gemini, xai."),
        ("xai=fire", "--fail: no fault 'fire'; choose one of auth, rate_limit, overloaded, quota."),
    ],
)
def test_a_fault_that_cannot_be_is_refused(tertulia_command, fault: str, error: str):
    """
    A misspelt fault says what there is, before anything is served.
    """
    ended = tertulia_command("simulate", "--fail", fault)

    assert (2, "", f'error: {error} See "tertulia simulate --help".\n') == ended


def test_a_port_in_use_is_an_error_in_one_line(tertulia_command):
    """
    Where somebody listens already, nobody else can.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        ended = tertulia_command("simulate", "--port", str(port))

    assert (1, "") == (ended.code, ended.out)
    assert ended.err.startswith(f"error: cannot listen on port {port}: ")
    assert ended.err.endswith("; choose another --port\n")
