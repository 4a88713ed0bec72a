"""memoryctl: read the command line, run one verb, print its answer, exit with a code that says how it went."""

import os
import sys
from typing import Any, NoReturn, TextIO, cast

from enhanced_memory.client.cli.commandline import read
from enhanced_memory.client.cli.declare import Answer
from enhanced_memory.client.cli.exits import BROKEN_PIPE, INTERRUPTED, REFUSED, USAGE, Usage, exit_code
from enhanced_memory.client.cli.output import Paper, complain, json_text, visible
from enhanced_memory.client.errors import Error

__all__ = ["main"]


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command line `argv` (the process's own, unless given); leaves by `SystemExit`."""
    raise SystemExit(_run(sys.argv[1:] if argv is None else argv))


def _run(argv: list[str]) -> int:
    plain = argv[: argv.index("--")] if "--" in argv else argv
    as_json = "--json" in plain
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - where the caller closed it, nothing is to be said
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if not _unicode(stream):
            cast(Any, stream).reconfigure(errors="backslashreplace")
    try:
        code = _answer(argv, as_json)
        sys.stdout.flush()
        return code
    except Usage as problem:
        return _failed(as_json, "usage", problem.message, problem.hint, USAGE)
    except Error as problem:
        return _failed(as_json, problem.code, problem.message, problem.hint, exit_code(problem))
    except BrokenPipeError:
        # Whoever read our output has gone. What Python still wants to flush at exit goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return INTERRUPTED
    except OSError as problem:
        what = f"{problem.filename}: " if problem.filename else ""
        return _failed(as_json, "file", f"{what}{problem.strerror or problem}", "", REFUSED)


def _answer(argv: list[str], as_json: bool) -> int:
    call, verb = read(argv)
    try:
        answer = verb.run(call)
        _deliver(answer, as_json)
        return answer.code
    finally:
        call.close()


def _deliver(answer: Answer, as_json: bool) -> None:
    if as_json:
        _print_json(answer.value)
    else:
        answer.tell(Paper(sys.stderr if answer.to_stderr else sys.stdout))


def _print_json(value: Any) -> None:
    sys.stdout.write(json_text(value, ascii_only=not _unicode(sys.stdout)) + "\n")


def _unicode(stream: TextIO) -> bool:
    return (stream.encoding or "").lower() in ("utf-8", "utf8")


def _failed(as_json: bool, code: str, message: str, hint: str, exit_with: int) -> int:
    complain(message, hint)
    if as_json:
        try:
            _print_json({"error": {"code": code, "message": visible(message), "hint": visible(hint)}})
            sys.stdout.flush()
        except OSError:
            pass  # stderr has it; there is nobody left to tell on stdout
    return exit_with


if __name__ == "__main__":
    main()
