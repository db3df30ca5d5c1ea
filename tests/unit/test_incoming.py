"""What a hub says to a device: whatever comes, it is read; what the emulator says, rightly."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from host_tools.emulator.hub import messages, subscriptions
from host_tools.emulator.hub.messages import CloudMessage
from keystead import hub, percent
from keystead.incoming import filters, parse, unquote

TOPICS = ("", "devices/d/messages/devicebound/", "$iothub/methods/POST/", "$iothub/twin/res/",
          "$iothub/twin/PATCH/properties/desired/")  # fmt: skip
# a name that is the service's own, or ours for one of these, would come back as the other
taken = {*hub.SYSTEM_PROPERTIES, *hub.SYSTEM_PROPERTIES.values()}
names = st.text(min_size=1, max_size=20).filter(lambda name: name not in taken)
properties = st.dictionaries(names | st.sampled_from(sorted(hub.SYSTEM_PROPERTIES)),
                             st.none() | st.text(max_size=20), max_size=5)  # fmt: skip


@given(st.sampled_from(TOPICS), st.text(alphabet="/?$rid=&%41f\u65e5x", max_size=60) | st.text())
@example("$iothub/twin/res/", "%")
def test_any_topic_is_one_of_the_hubs_or_none(prefix: str, rest: str) -> None:
    kind, name, fields = parse(prefix + rest)
    assert kind in range(5)
    assert isinstance(name, str)
    assert all(isinstance(value, str | None) for value in fields.values())


@given(properties)
def test_a_property_bag_is_read_as_it_was_written(properties: dict[str, str | None]) -> None:
    bag = hub.property_bag(properties)
    assert parse("devices/d/messages/devicebound/" + bag) == (0, "", properties)


@given(st.text())
def test_any_text_survives_quoting(text: str) -> None:
    assert unquote(percent.quote(text)) == text


@given(st.dictionaries(names, st.none() | st.text(max_size=9), max_size=4), st.text(min_size=1))
def test_a_message_of_the_emulator_is_read_with_all_its_properties(
    properties: dict[str, str | None], word: str
) -> None:
    message = CloudMessage(b"", word, word, word, word, word, "full", 1, properties)
    kind, _, fields = parse(messages.topic("dev-1", message))
    system = {"message_id": word, "correlation_id": word, "$.uid": word, "content_type": word,
              "content_encoding": word, "iothub-ack": "full",
              "$.to": "/devices/dev-1/messages/deviceBound",
              "$.exp": "1970-01-01T00:00:01.0000000Z"}  # fmt: skip
    assert (kind, fields) == (0, {**system, **properties})


def test_every_filter_is_one_that_the_hub_has_and_there_are_no_more_than_it_allows() -> None:
    found = [subscriptions.find(one, "dev-1") for one in filters("dev-1")]
    assert all(found)
    assert len(set(found)) == 4


def test_the_model_id_can_be_one_and_stands_in_the_user_name_quoted() -> None:
    assert re.fullmatch(r"dtmi(:[A-Za-z](\w*[A-Za-z0-9])?)+;[1-9][0-9]{0,8}", hub.MODEL_ID)
    name = hub.username("h.example", "d", hub.MODEL_ID)
    assert name.endswith("&model-id=dtmi%3Acom%3Akeystead%3ADevice%3B1")
