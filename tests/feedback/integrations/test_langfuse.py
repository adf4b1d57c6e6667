from typing import Any

import pytest

from highwayman.env.errors import InvalidFeedback
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.integrations.adapter import ParsedFeedback
from highwayman.feedback.integrations.langfuse import Langfuse
from tests.feedback.integrations.letters import letter, payload

SCORES, INGESTION = "POST /api/public/scores", "POST /api/public/ingestion"
TRACE = "0af7651916cd43dd8448eb211c80319c"


def scored(**score: Any) -> FeedbackSubmission:
    body = {"traceId": "t", "name": "user-feedback", "value": 1, **score}
    return Langfuse().parse(letter(SCORES, body)).submissions[0]


def what(heard: ParsedFeedback) -> list[tuple[FeedbackTarget, str, Any]]:
    return [(said.target, said.metric, said.value) for said in heard.submissions]


@pytest.mark.parametrize(
    ("route", "name", "status"),
    [(SCORES, "langfuse_sdk_5_scores", 202), (INGESTION, "langfuse_sdk_4_ingestion", 207),
     (INGESTION, "langfuse_sdk_3_ingestion", 207)],
)  # fmt: skip
def test_a_batch_of_each_sdk_is_heard(route: str, name: str, status: int) -> None:
    heard = Langfuse().parse(letter(route, payload(name)))
    *first, last = what(heard)
    assert first == [
        (FeedbackTarget(request_id=TRACE), "thumbs", True),
        (FeedbackTarget(request_id=TRACE, generation_id="b7ad6b7169203331"), "helpfulness", 0.7),
        (FeedbackTarget(conversation_id="chat-7"), "tone", "polite"),
    ]
    assert (last[1], last[2]) == ("thumbs", False)
    assert (heard.submissions[0].external_id, heard.submissions[0].comment) == ("feedback-1", "good")
    assert heard.status == status


def test_the_answer_to_a_list_is_langfuse_s_own() -> None:
    heard = Langfuse().parse(letter(SCORES, payload("langfuse_sdk_5_scores")))
    assert heard.response == {"message": "Accepted"}


def test_events_succeed_one_by_one() -> None:
    body = payload("langfuse_sdk_4_ingestion")
    heard = Langfuse().parse(letter(INGESTION, body))
    assert heard.response == {
        "successes": [{"id": event["id"], "status": 201} for event in body["batch"]], "errors": []
    }  # fmt: skip


def test_a_trace_succeeds_and_is_not_filed() -> None:
    event = {"id": "e", "type": "trace-create", "timestamp": "2026-11-27T06:02:14Z", "body": {"id": TRACE}}
    heard = Langfuse().parse(letter(INGESTION, {"batch": [event]}))
    assert heard.submissions == ()
    assert heard.response == {"successes": [{"id": "e", "status": 201}], "errors": []}


def test_one_wrong_score_does_not_take_the_others_with_it() -> None:
    good = {"traceId": "t", "name": "user-feedback", "value": 1}
    heard = Langfuse().parse(letter(SCORES, [good, {**good, "value": 0.4}]))
    assert len(heard.submissions) == 1
    assert heard.status == 207
    assert isinstance(heard.response, dict)
    assert (heard.response["accepted"], heard.response["rejected"]) == (1, 1)
    events = [{"id": str(k), "type": "score-create", "body": body} for k, body in enumerate([{}, good])]
    heard = Langfuse().parse(letter(INGESTION, {"batch": events}))
    assert len(heard.submissions) == 1
    assert isinstance(heard.response, dict)
    assert [(one["id"], one["status"]) for one in heard.response["errors"]] == [("0", 400)]


@pytest.mark.parametrize("version", ["3", "4"])
def test_a_single_score_is_answered_with_its_id(version: str) -> None:
    heard = Langfuse().parse(letter(SCORES, payload(f"langfuse_sdk_{version}_score")))
    assert what(heard) == [(FeedbackTarget(request_id="t1"), "thumbs", True)]
    assert heard.response == {"id": heard.submissions[0].external_id}
    assert heard.status == 200


def test_a_score_without_an_id_always_gets_the_same_one() -> None:
    assert scored().external_id == scored(value=0).external_id
    assert len({scored().external_id, scored(traceId="u").external_id, scored(name="other").external_id,
                scored(metadata={"userId": "u1"}).external_id}) == 4  # fmt: skip


def test_librechat_s_thumb_joins_by_its_trace_or_if_that_is_wanted_by_its_message() -> None:
    body = payload("librechat_score")
    said = Langfuse().parse(letter(SCORES, body)).submissions[0]
    assert said == FeedbackSubmission(
        FeedbackTarget(request_id=body["traceId"]), "thumbs", False, "langfuse", user=body["metadata"]["userId"],
        comment=body["comment"], external_id=body["id"],
    )  # fmt: skip
    said = Langfuse(about="messageId").parse(letter(SCORES, body)).submissions[0]
    assert said.target == FeedbackTarget(request_id=body["metadata"]["messageId"])


def test_a_deleted_score_is_taken_back() -> None:
    heard = Langfuse().parse(letter("DELETE /api/public/scores/{scoreId}", scoreId="feedback-1"))
    assert (heard.retractions, heard.submissions, heard.status) == (("feedback-1",), (), 202)


@pytest.mark.parametrize(
    ("value", "thumb"),
    [(1, True), (1.0, True), (True, True), ("thumbsUp", True), ("thumbs_up", True), ("1", True), ("positive", True),
     (0, False), (-1, False), (False, False), ("thumbsDown", False), ("-1", False), ("Thumbs down", False)],
)  # fmt: skip
def test_a_thumb_is_heard_in_all_the_ways_it_is_sent(value: Any, thumb: bool) -> None:
    assert scored(value=value).value is thumb


@pytest.mark.parametrize("value", [0.5, 2, "maybe", None, [], 10**400])
def test_what_is_no_thumb_is_refused(value: Any) -> None:
    with pytest.raises(InvalidFeedback, match="1 or 0"):
        scored(value=value)


def test_the_type_of_a_score_says_what_its_number_means() -> None:
    assert scored(name="solved", dataType="BOOLEAN", value=1.0).value is True
    assert scored(name="solved", dataType="NUMERIC", value=1).value == 1.0
    assert scored(name="solved", value=1).value is not True
    with pytest.raises(InvalidFeedback, match="BOOLEAN"):
        scored(name="solved", dataType="BOOLEAN", value=0.5)


def test_an_observation_within_a_trace_is_preferred_to_the_trace_and_that_to_a_session() -> None:
    both = {"observationId": "o", "sessionId": "s"}
    assert scored(**both).target == FeedbackTarget(request_id="t", generation_id="o")
    assert scored(sessionId="s").target == FeedbackTarget(request_id="t")
    assert scored(**both, traceId=None).target == FeedbackTarget(request_id="o")
    assert scored(sessionId="s", traceId=None).target == FeedbackTarget(conversation_id="s")
    with pytest.raises(InvalidFeedback, match="traceId"):
        scored(traceId=None)


def test_scores_without_ids_on_two_observations_of_a_trace_are_two_statements() -> None:
    ids = {scored(observationId=name).external_id for name in ("o", "p", None)}
    assert len(ids) == 3


def test_names_are_mapped_as_configured() -> None:
    body = {"traceId": "t", "name": "csat", "value": 4}
    assert Langfuse({"csat": "rating"}).parse(letter(SCORES, body)).submissions[0].metric == "rating"


@pytest.mark.parametrize("route", ["POST /api/public/otel/v1/traces", "GET /api/public/health"])
def test_spans_and_questions_of_health_are_answered_and_thrown_away(route: str) -> None:
    heard = Langfuse().parse(letter(route))
    assert (heard.submissions, heard.retractions, heard.status) == ((), (), 200)


def test_an_sdk_finds_a_project_when_it_checks_its_keys() -> None:
    answer = Langfuse().parse(letter("GET /api/public/projects")).response
    assert isinstance(answer, dict)
    assert set(answer["data"][0]) >= {"id", "name", "organization", "metadata"}


def test_a_batch_beyond_all_measure_is_refused() -> None:
    with pytest.raises(InvalidFeedback, match="at most"):
        Langfuse().parse(letter(SCORES, [{}] * 10_001))
