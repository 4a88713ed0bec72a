"""The verb about curation: what the rules would do, and doing it."""

from typing import get_args

from enhanced_memory.client.cli.declare import Answer, Call, argument, verb
from enhanced_memory.client.cli.exits import OK, PROBLEM
from enhanced_memory.client.cli.output import Paper
from enhanced_memory.client.cli.progress import progress
from enhanced_memory.client.operations.curation import AutonomousCuration, Curated, CurationAct, RuleName

RULES: tuple[RuleName, ...] = get_args(RuleName)


@verb(
    "curate",
    "Tell what curation would do by its rules and why; with --apply, do it.",
    argument("--apply", action="store_true", help="do it, within the cap; `undo --session` takes it back"),
    argument("--rule", dest="rules", action="append", default=[], choices=RULES, help="by this rule alone"),
    argument("--cap", type=float, metavar="SHARE", help="the share of entities it may touch in a day (0.01)"),
    argument("--limit", "-n", type=int, default=20, help="how many acts to show (20)"),
    argument("--message", "-m", default="", help="why; kept with the changes"),
)
def curate(call: Call) -> Answer:
    """It goes on in the daemon if this command is ended with something else than an interrupt, which ends both."""
    given, memory = call.given, call.memory
    limit = max(1, given.limit)
    run = memory.send(
        AutonomousCuration(
            dry_run=not given.apply, rules=given.rules, cap=given.cap, limit=limit, wait_s=1.0, message=given.message
        )
    )
    seen = 0
    with progress("curating", max(1, run.total)) as bar:
        try:
            while run.state == "running":
                bar(run.entities - seen)
                seen = run.entities
                run = memory.autonomous_curation(start=False, limit=limit, wait_s=1.0)
        except KeyboardInterrupt:
            memory.autonomous_curation(stop=True, wait_s=1.0)
            raise
    return Answer(run, lambda paper: _tell(paper, run), OK if run.state == "done" else PROBLEM)


def _tell(paper: Paper, run: Curated) -> None:
    if run.problem:
        paper.line(run.problem, "red")
    for act in run.acts:
        paper.line(_in_words(act))
        paper.line(act.reason, "dim", indent=2)
    many = sum(run.counts.values())
    if many > len(run.acts):
        paper.line(f"and {many - len(run.acts):,} more: --limit {many}", "dim")
    by_rule = ", ".join(f"{rule} {count:,}" for rule, count in run.counts.items())
    paper.head(
        f"{'would be done' if run.dry_run else 'done'}: {many:,} of {run.entities:,} entities looked at"
        + (f" ({by_rule})" if by_rule else "")
    )
    if run.left:
        paper.line(f"{run.left:,} more are left for another day: the cap is {run.cap:,}, see --cap", "dim")
    if run.skipped:
        paper.line(f"{run.skipped:,} were left alone: they changed meanwhile", "dim")
    if run.changes:
        paper.line(f"take it back: memoryctl undo --session {run.session} --yes", "dim")
    elif run.dry_run and many:
        paper.line("nothing was done; --apply does it", "dim")


def _in_words(act: CurationAct) -> str:
    name = f"#{act.entity} {act.name}" if act.entity is not None else act.name
    if act.act == "promote":
        return f"{name}: {act.before} → {act.tier}"
    if act.act == "delete":
        return f"{name}: deleted, softly"
    return f"{name}: new, {act.tier}, from {len(act.sources)} source{'' if len(act.sources) == 1 else 's'}"
