"""``tertulia simulate``: services for other programs."""

from __future__ import annotations

import signal
import socket
import subprocess
from collections.abc import Callable

import pytest

from tertulia_cli.simulate import Fault, parse_fault
from tertulia_simulator import Simulator


def test_another_program_uses_it_through_the_environment(
    start: Callable[..., subprocess.Popen[str]], tertulia_command, monkeypatch: pytest.MonkeyPatch
):
    """
    The printed lines are all that another program needs; faults come as ordered; Ctrl-C is a good end.
    """
    process = start("simulate", "--fault", "openai:quota", "--fail", "gemini=quota:1")
    assert process.stdout is not None
    lines = [process.stdout.readline().rstrip() for _ in range(11)]
    url = lines[0].split()[7]
    for line in lines[1:9]:
        monkeypatch.setenv(*line.removeprefix("export ").split("=", 1))

    ended = tertulia_command("ask", "-p", "openai", "-f", "gemini,xai", "My name is John.")
    process.send_signal(signal.SIGINT)

    assert lines == [
        f"# Simulated OpenAI, Gemini and xAI at {url} until Ctrl-C. In another terminal:",
        f"export AI_OPENAI_BASE_URL={url}/openai/v1",
        "export AI_OPENAI_API_KEY=sim-key",
        "export AI_OPENAI_API=responses",
        f"export AI_GEMINI_BASE_URL={url}/gemini",
        "export AI_GEMINI_API_KEY=sim-key",
        f"export AI_XAI_BASE_URL={url}/xai/v1",
        "export AI_XAI_API_KEY=sim-key",
        "export AI_XAI_API=responses",
        f"# A local server, without a key: {url}/local/v1 with the model llama-sim",
        '# Then, for example: tertulia ask "My name is John."',
    ]
    assert ended == (
        0,
        "Hello John.\n",
        (
            "fallback: openai/gpt-6.1-sol failed (quota exhausted); asking gemini/gemini-3.5-flash\n"
            "fallback: gemini/gemini-3.5-flash failed (quota exhausted); asking xai/grok-4.7\n"
            "xai/grok-4.7, $0.000034, after 2 failed calls\n"
        ),
    )
    assert ("", "stopped\n") == process.communicate(timeout=30)
    assert process.returncode == 0


UNLIKE = "is not like openai:overloaded, openai:overloaded:3 or openai:stall:after=2."


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("openai:auth", Fault("openai", "auth")),
        ("openai:rate_limit:2", Fault("openai", "rate_limit", 2)),
        ("openai=auth", Fault("openai", "auth")),
        ("openai=auth:2", Fault("openai", "auth", 2)),
        ("xai=rate_limit:always:retry_after=0.5", Fault("xai", "rate_limit", None, {"retry_after": 0.5})),
        ("gemini:rate_limit:hint=details", Fault("gemini", "rate_limit", 1, {"hint": "details"})),
        ("gemini=slow:seconds=0.2", Fault("gemini", "slow", 1, {"seconds": 0.2})),
        ("local=stall:after=3:2", Fault("local", "stall", 2, {"after": 3})),
        (
            "openai=cut_stream:after=3:seconds=1:reset",
            Fault("openai", "cut_stream", 1, {"after": 3, "seconds": 1.0, "reset": True}),
        ),
    ],
)
def test_a_fault_is_read_from_the_command_line(text: str, fault: Fault):
    """
    After the kind come, in any order, how often and how.
    """
    assert fault == parse_fault(text)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("openai", f"--fault 'openai' {UNLIKE}"),
        ("openai=auth:0", f"--fault 'openai=auth:0' {UNLIKE}"),
        ("openai=stall:after=few", f"--fault 'openai=stall:after=few' {UNLIKE}"),
        ("openai=slow:speed=1", f"--fault 'openai=slow:speed=1' {UNLIKE}"),
        ("openai=cut_stream:reset=no", f"--fault 'openai=cut_stream:reset=no' {UNLIKE}"),
        ("opnai=auth", "--fault: no service 'opnai'; choose one of openai, gemini, xai, local."),
        ("xai:silense", "--fault: no fault 'silense'; did you mean 'silence'?"),
        ("xai:late_finish", "--fault: the fault 'late_finish' is one of gemini alone."),
        (
            "xai:rate_limit:hint=details",
            "--fault: xai has no 'details' to say when to try again; gemini alone does.",
        ),
        ("xai:rate_limit:hint=", f"--fault 'xai:rate_limit:hint=' {UNLIKE}"),
        ("xai=slow:after=1", "--fault: the fault 'slow' takes no 'after'."),
        ("xai=stall:after=-1", "--fault: 'after' is a number from 0 on, not -1."),
    ],
)
def test_a_fault_that_cannot_be_is_refused(tertulia_command, fault: str, error: str):
    """
    A misspelt fault says what there is, before anything is served.
    """
    ended = tertulia_command("simulate", "--fault", fault)

    assert (2, "", f'error: {error} See "tertulia simulate --help".\n') == ended


def test_every_fault_is_listed(tertulia_command):
    """
    Each on its line: its name, what else can be said about it, and what happens.
    """
    ended = tertulia_command("simulate", "--list-faults")

    lines = ended.out.splitlines()
    assert (0, "") == (ended.code, ended.err)
    assert list(Simulator.faults) == [line.partition(" ")[0].partition(":")[0] for line in lines]
    assert "silence:seconds                Nothing is answered, not even a head." in lines
    assert "error_event:after              After some pieces comes an error. (stream answers only)" in lines


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
