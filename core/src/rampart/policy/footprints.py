"""Which footprint does a call leave? What the rules in force may later ask about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rampart.model import Action, ToolCall
from rampart.policy.candidates import RuleTable
from rampart.policy.compiled import CompiledRule, compile_policy, compile_rule
from rampart.policy.document import After, Policy, Rule
from rampart.policy.glob import TextTest
from rampart.policy.inquiry import Inquiry
from rampart.policy.occasions import counter_of, mark_of
from rampart.policy.past import NO_FOOTPRINT, By, Counter, Footprint, Mark
from rampart.policy.paths import Places
from rampart.policy.texts import compile_text_globs


class Footprints:
    """Everything that the rules in force ask about the past, each question once."""

    def __init__(self, rules: Iterable[Rule], places: Places) -> None:
        self._marks: dict[str, tuple[Mark | None, Mark | None]] = {}
        self._counters: list[tuple[TextTest, Counter]] = []
        found = list(rules)
        asked = [(after, rule) for rule in found for after in rule.when.after]
        self._table = RuleTable(self._compile(asked, places), places)
        self._turns: tuple[By, ...] = tuple(
            sorted({after.by for after, _ in asked if after.calls is not None})
        )
        self._count(found)
        self.asked = bool(asked or self._counters or any(rule.once for rule in found))

    def _compile(self, asked: Sequence[tuple[After, Rule]], places: Places) -> list[CompiledRule]:
        """Return a rule for each condition, named after its mark, and note the readings."""
        owner = compile_policy(Policy("after", ()), 0)
        compiled: list[CompiledRule] = []
        for after, rule in asked:
            loose, strict = mark_of(after, grants=False), mark_of(after, grants=True)
            if loose.key not in self._marks:
                earlier = Rule(loose.key, "deny", after.what)
                compiled.append(compile_rule(earlier, owner, len(compiled), places))
            wanted = self._marks.get(loose.key, (None, None))
            self._marks[loose.key] = (
                wanted[0] if rule.action == "allow" else loose,
                strict if rule.action in ("allow", "watch") else wanted[1],
            )
        return compiled

    def _count(self, rules: Sequence[Rule]) -> None:
        keep: dict[str, tuple[TextTest, Counter]] = {}
        for rule in rules:
            count = rule.when.call_count
            if count is None:
                continue
            counter = counter_of(count)
            known = keep.get(counter.key)
            if known is None or known[1].keep < counter.keep:
                keep[counter.key] = (compile_text_globs(count.tool or ("*",)), counter)
        self._counters = list(keep.values())

    def of(self, call: ToolCall, actions: Sequence[Action]) -> Footprint:
        """Return what ``call`` leaves behind if it is let run. Raises: InputTooLarge."""
        if not self._marks and not self._counters:
            return NO_FOOTPRINT
        marks: dict[str, Mark] = {}
        if self._marks:
            inquiry = Inquiry(call, actions)
            for action in actions:
                self._mark(action, inquiry, marks)
        counters = tuple(counter for concerns, counter in self._counters if concerns(call.tool))
        return Footprint(tuple(marks.values()), counters, self._turns)

    def _mark(self, action: Action, inquiry: Inquiry, marks: dict[str, Mark]) -> None:
        for earlier in self._table.candidates(action, inquiry.budget):
            loose, strict = self._marks[earlier.id]
            if loose is not None and earlier.restricts(action, inquiry):
                marks[loose.key] = loose
            sure = action.grantable and not action.opaque and not action.whole
            if strict is not None and sure and earlier.grants(action, inquiry):
                marks[strict.key] = strict
