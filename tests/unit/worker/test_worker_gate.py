"""Whose failure it is: the gate's decisions, step by step."""

from assay.domain.sample import UnscoredReason
from assay.worker.endpoint import (
    BUSY_SECONDS,
    FIRST_WAVE_SECONDS,
    EndpointGate,
    EndpointState,
)
from assay.worker.engines.outcome import Answer, AttemptFailure, EndpointFailure

ANSWER = Answer(text="A")
REJECTED = AttemptFailure(
    reason=UnscoredReason.REQUEST_REJECTED,
    message="status 400: no",
    kind="status 400",
    permanent=True,
)
BROKEN = AttemptFailure(
    reason=UnscoredReason.SERVER_ERROR, message="status 500: no", kind="status 500"
)
BUSY = AttemptFailure(
    reason=UnscoredReason.RATE_LIMITED, message="429", kind="429", overloaded=True
)
EMPTY = AttemptFailure(
    reason=UnscoredReason.EMPTY_ANSWER, message="empty", kind="empty answer"
)
REFUSED = EndpointFailure(reason="connection_refused", message="m", connected=False)


def probe_wanted(
    gate: EndpointGate,
    in_flight: int = 0,
    limit: int = 4,
    *,
    waiting: bool = True,
    held_back: bool = False,
    now: float = 0.0,
) -> bool:
    return gate.wants_probe(
        in_flight=in_flight,
        limit=limit,
        waiting=waiting,
        held_back=held_back,
        now=now,
    )


def gate_after(*outcomes: object) -> EndpointGate:
    gate = EndpointGate("http://host")
    for outcome in outcomes:
        gate.landed(outcome, 0.0)
    return gate


def test_before_the_first_answer_one_wave_goes_out_and_no_more() -> None:
    gate = gate_after(BROKEN, BROKEN)
    assert gate.may_start(in_flight=1, limit=4)
    assert not gate.may_start(in_flight=2, limit=4)


def test_a_wave_that_fails_as_a_whole_is_the_endpoints_failure() -> None:
    gate = gate_after(*[REJECTED] * 4)
    assert probe_wanted(gate)
    assert gate.state is EndpointState.DOWN
    assert gate.condition is not None
    assert gate.condition.reason == "first_wave_failed"
    assert "status 400: no" in gate.condition.message


def test_a_wave_with_one_answer_vouches_for_the_endpoint() -> None:
    gate = gate_after(BROKEN, BROKEN, ANSWER)
    assert gate.vouched
    assert not probe_wanted(gate)


def test_slow_members_of_the_first_wave_are_not_waited_for() -> None:
    gate = gate_after(*[BROKEN] * 3)
    assert not probe_wanted(gate, in_flight=1)
    assert gate.first_wave_deadline() == FIRST_WAVE_SECONDS
    assert probe_wanted(gate, in_flight=1, now=FIRST_WAVE_SECONDS)


def test_fewer_samples_than_slots_make_a_wave_too() -> None:
    assert probe_wanted(gate_after(BROKEN), waiting=False)


def test_once_it_has_answered_rejections_and_empty_answers_are_the_samples_own() -> (
    None
):
    gate = gate_after(ANSWER, *[REJECTED] * 50, *[EMPTY] * 50)
    assert gate.vouched


def test_once_it_has_answered_a_long_streak_makes_it_suspect_until_probed() -> None:
    gate = gate_after(ANSWER, *[BROKEN] * 8)
    assert probe_wanted(gate, in_flight=3)
    assert gate.state is EndpointState.SUSPECT
    assert not gate.may_start(0, 4)
    gate.probed(BROKEN)
    assert gate.condition is not None
    assert gate.condition.reason == "every_request_fails"


def test_a_suspect_that_answers_the_probe_is_cleared() -> None:
    gate = gate_after(ANSWER, *[BROKEN] * 8)
    assert probe_wanted(gate)
    gate.probed(ANSWER)
    assert gate.vouched


def test_a_probe_that_is_refused_otherwise_than_the_samples_clears_it() -> None:
    gate = gate_after(*[BROKEN] * 4)
    assert probe_wanted(gate)
    gate.probed(REJECTED)
    assert gate.vouched


def test_failures_that_wait_for_nothing_else_are_settled_by_a_probe() -> None:
    gate = gate_after(ANSWER, BROKEN)
    assert not probe_wanted(gate)
    assert probe_wanted(gate, waiting=False, held_back=True)


def test_a_refused_connection_is_down_at_once_and_again_after_answers() -> None:
    for gate in (gate_after(REFUSED), gate_after(ANSWER, REFUSED)):
        assert gate.state is EndpointState.DOWN
        assert not gate.by_request
        assert gate.condition is not None
        assert gate.condition.reason == "connection_refused"


def test_accepting_connections_again_starts_another_first_wave() -> None:
    gate = gate_after(ANSWER, REFUSED)
    gate.connected()
    assert gate.state is EndpointState.UNKNOWN
    assert not gate.vouched
    gate.landed(ANSWER, 1.0)
    assert gate.vouched


def test_a_late_answer_shows_a_dead_endpoint_alive() -> None:
    gate = gate_after(REFUSED, ANSWER)
    assert gate.condition is not None
    assert gate.condition.usable


def test_a_streak_keeps_its_name_until_it_ends() -> None:
    gate = gate_after(ANSWER, BROKEN)
    name = gate.streak_id
    gate.landed(BROKEN, 0.0)
    assert gate.streak_id == name
    gate.landed(ANSWER, 0.0)
    assert gate.streak_id != name


def test_a_busy_server_is_believed_while_long_answers_may_be_on_their_way() -> None:
    for gate in (gate_after(*[BUSY] * 3), gate_after(ANSWER, *[BUSY] * 50)):
        assert not probe_wanted(gate, in_flight=1, now=BUSY_SECONDS - 1)
        assert probe_wanted(gate, in_flight=1, now=BUSY_SECONDS)
