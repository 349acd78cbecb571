"""``after``, ``call_count`` and ``time``: conditions on what happened before, and on the moment.

INVARIANT: every test here clears ``Inquiry.lasting`` before it looks at the past or at the clock,
so that nobody takes its answer for one that will be the same at the next call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rampart.model import Action
from rampart.policy.document import After, CallCount, Condition
from rampart.policy.inquiry import ActionTest, Inquiry, Pair
from rampart.policy.past import Counter, Mark, identity
from rampart.policy.texts import compile_text_globs
from rampart.policy.times import compile_time
from rampart.policy.upstream import Reaches

CompileCondition = Callable[[Condition], Pair]
_GRANTS = "grants"


def occasion_tests(when: Condition, compile_inner: CompileCondition) -> list[Pair]:
    """Return the tests for what a condition says about the past and the moment."""
    pairs: list[Pair] = []
    if when.time is not None:
        contains = compile_time(when.time)

        def is_time(_action: Action, inquiry: Inquiry) -> bool:
            inquiry.lasting = False
            return contains(inquiry.now)

        pairs.append((is_time, is_time))
    if when.call_count is not None:
        counted = _Counted(when.call_count)
        pairs.append((counted.test, counted.test))
    if when.after:
        found = [_After(after, compile_inner(after.what)) for after in when.after]
        pairs.append(
            (_one_of([each.restricts for each in found]), _one_of([each.grants for each in found]))
        )
    return pairs


def mark_of(after: After, *, grants: bool) -> Mark:
    """Return the mark that an action leaves which ``after`` is about, in one of its readings."""
    decays = after.within_s is not None or after.calls is not None
    said = (after.what, after.by, after.until_approved, decays, _GRANTS if grants else "")
    return Mark(identity(*said), after.by, after.until_approved, decays)


def counter_of(count: CallCount) -> Counter:
    """Return the counter that a condition reads."""
    return Counter(identity(count.tool, count.by), count.by, count.gte)


def _one_of(tests: Sequence[ActionTest]) -> ActionTest:
    fixed = tuple(tests)
    return lambda action, inquiry: any(test(action, inquiry) for test in fixed)


class _After:
    """One block of ``after``: upstream, earlier in the same call, or in an earlier call."""

    def __init__(self, after: After, pair: Pair) -> None:
        self._after = after
        self._test = pair[0]
        self._upstream = Reaches(pair[0]), Reaches(pair[1])
        self._marks = mark_of(after, grants=False), mark_of(after, grants=True)

    def restricts(self, action: Action, inquiry: Inquiry) -> bool:
        if self._upstream[0].test(action, inquiry) or self._earlier_in_call(inquiry):
            return True
        return self._happened(self._marks[0], inquiry)

    def grants(self, action: Action, inquiry: Inquiry) -> bool:
        # WHY not earlier in the same call: it has not run yet, and may fail
        return self._upstream[1].test(action, inquiry) or self._happened(self._marks[1], inquiry)

    def _earlier_in_call(self, inquiry: Inquiry) -> bool:
        """True if an action before this one matches; each is looked at once per call."""
        at, found = inquiry.first.get(id(self), (0, False))
        while not found and at < inquiry.place:
            earlier = inquiry.actions[at]
            # the text as a whole is no step of its own
            if not earlier.whole and self._test(earlier, inquiry):
                found = True
                break
            at += 1
        inquiry.first[id(self)] = (at, found)
        return found and at < inquiry.place

    def _happened(self, mark: Mark, inquiry: Inquiry) -> bool:
        inquiry.lasting = False
        after, past = self._after, inquiry.past
        if past is None:
            return False
        return past.happened(mark, within_s=after.within_s, calls=after.calls)


class _Counted:
    """``call_count``: the calls that were let run in the window, and this one if it is of them."""

    def __init__(self, count: CallCount) -> None:
        self._count = count
        self._counter = counter_of(count)
        self._concerns = compile_text_globs(count.tool or ("*",))

    def test(self, _action: Action, inquiry: Inquiry) -> bool:
        inquiry.lasting = False
        needed = self._count.gte - int(self._concerns(inquiry.call.tool))
        if needed <= 0:
            return True
        if inquiry.past is None:
            return False
        return inquiry.past.reached(self._counter, count=needed, window_s=self._count.window_s)
