from dataclasses import replace
from typing import Any

import pytest

from highwayman.env.errors import InvalidFeedback, Unauthorized
from highwayman.feedback.intake.submission import FeedbackSubmission, FeedbackTarget
from highwayman.feedback.integrations.adapter import ParsedFeedback, SignatureVerified, WebhookRequest
from highwayman.feedback.integrations.slack import Slack
from tests.feedback.integrations.letters import NOW, SECRET, letter, payload, signed

ROUTE = "POST /slack/events"


def heard(body: Any, **options: Any) -> ParsedFeedback:
    return Slack(SECRET, **options).parse(signed(letter(ROUTE, body)))


def reacted(authorizations: Any = None, **event: Any) -> tuple[FeedbackSubmission, ...]:
    body = payload("slack_reaction_added")
    if authorizations is not None:
        body["authorizations"] = authorizations
    return heard({**body, "event": {**body["event"], **event}}).submissions


def test_a_reaction_is_a_thumb_of_its_person_on_the_message() -> None:
    assert reacted() == (
        FeedbackSubmission(
            FeedbackTarget(request_id="slack:C123ABC456:1360782400.498405"), "thumbs", True, "slack", user="U123ABC456",
            idempotency_key="Ev123ABC456",
        ),
    )  # fmt: skip


def test_a_removed_reaction_takes_back() -> None:
    assert [said.value for said in reacted(type="reaction_removed")] == [None]


@pytest.mark.parametrize(
    ("reaction", "thumb"), [("+1", True), ("+1::skin-tone-3", True), ("white_check_mark", True),
                            ("-1", False), ("thumbsdown::skin-tone-6", False), ("x", False)],
)  # fmt: skip
def test_skin_does_not_matter(reaction: str, thumb: bool) -> None:
    assert [said.value for said in reacted(reaction=reaction)] == [thumb]


@pytest.mark.parametrize(
    "event",
    [{"reaction": "tada"}, {"item": {"type": "file", "file": "F123ABC456"}}, {"type": "message"}],
)  # fmt: skip
def test_what_is_no_thumb_on_a_message_is_answered_and_not_filed(event: dict[str, Any]) -> None:
    assert reacted(**event) == ()


def test_only_other_people_s_reactions_to_the_app_s_own_messages_count_where_the_app_is_known() -> None:
    bot = [{"team_id": "T", "user_id": "UBOT", "is_bot": True}]
    assert len(reacted(bot, item_user="UBOT")) == 1
    assert reacted(bot, item_user="UHUMAN") == ()
    assert reacted(bot, item_user="UBOT", user="UBOT") == ()
    assert len(reacted(bot, item_user=None)) == 1


def test_the_challenge_is_answered_as_it_came() -> None:
    body = payload("slack_url_verification")
    assert heard(body).response == body["challenge"]


def test_the_example_of_slack_s_documentation_fits() -> None:
    raw = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    one = WebhookRequest("POST", ROUTE, headers=headers, raw=raw, at=1531420619.0)
    with pytest.raises(InvalidFeedback):  # it is signed, but no event
        Slack(SECRET).parse(one)
    with pytest.raises(Unauthorized):
        Slack(SECRET).parse(replace(one, raw=raw + b" "))


@pytest.mark.parametrize("late_s", [301.0, -301.0])
def test_an_old_signature_is_refused_and_so_is_one_from_the_future(late_s: float) -> None:
    one = signed(letter(ROUTE, payload("slack_reaction_added")), at=NOW - late_s)
    with pytest.raises(Unauthorized):
        Slack(SECRET).parse(one)


@pytest.mark.parametrize(
    "headers",
    [{}, {"x-slack-signature": "v0="}, {"x-slack-request-timestamp": "now", "x-slack-signature": "v0=é"},
     {"x-slack-request-timestamp": "9" * 5000, "x-slack-signature": ""}],
)  # fmt: skip
def test_headers_that_make_no_sense_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Unauthorized):
        Slack(SECRET).parse(replace(letter(ROUTE, {}), headers=headers))


def test_another_secret_does_not_fit() -> None:
    with pytest.raises(Unauthorized):
        Slack("another").parse(signed(letter(ROUTE, payload("slack_url_verification"))))


def test_a_door_speaks_for_its_tenant() -> None:
    door = Slack(SECRET, tenant="acme", up=["tada"], down=[])
    assert isinstance(door, SignatureVerified)
    assert door.tenant == "acme"


@pytest.mark.parametrize("options", [{"up": "x"}, {"up": ["x"], "down": ["x"]}])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="up and down"):
        Slack(SECRET, **options)
    with pytest.raises(ValueError, match="signing_secret"):
        Slack("")
