"""Sessions without any adapter: a long talk whose window stays small. Run it: `python examples/sessions.py`."""

from enhanced_memory.client import Memory
from enhanced_memory.client.values import MessageInput


def main() -> None:
    """The window is what a model is sent: a summary of what went before, then the last lines."""
    with Memory() as memory:
        talk = memory.start_session("support 17", user="ada", title="A broken lamp", keep_messages=6)
        memory.append_messages(
            talk.id,
            [
                MessageInput("My lamp is broken: it went dark after the storm of Tuesday."),
                MessageInput("We decided to send you a new one on Friday.", role="assistant"),
                *(MessageInput(f"Is it there yet? I have asked {n} times.") for n in range(1, 200)),
            ],
        )
        window = memory.get_window(talk.id, messages=20, tokens=400, summary_as="system")
        print("first line:", window.messages[0].role)
        print("lines:", len(window.messages), "of", window.total)
        print("still found:", memory.search_messages("storm", 1).hits[0].message.content)
        print("ended:", memory.end_session(talk.id).ended_at is not None)


if __name__ == "__main__":
    main()
