"""Feedback: the node /messages/serviceBound/feedback, where senders hear what became of messages.

Owns the batch. Doesn't own the records (hub.py), nor which of them were asked for.
Source: "Understand cloud-to-device messaging from an IoT hub", Message feedback; what C# reads of
a batch: AmqpFeedbackReceiver.cs (content type, user ID, annotation), which no other SDK minds.
"""

import json
from collections.abc import Hashable, Sequence

from host_tools.emulator.amqp.door import FeedbackReader, Guest
from host_tools.emulator.amqp.ends import Parcel
from host_tools.emulator.amqp.message import Message, Properties
from host_tools.emulator.amqp.values import Symbol, Timestamp
from host_tools.emulator.hub.messages import Feedback
from host_tools.emulator.timestamps import timestamp

ADDRESS = "messages/servicebound/feedback"
# attached by SDKs that also ask for these; nothing ever comes, as there are no uploads here
NOTIFICATIONS = "messages/servicebound/filenotifications"
MOST = 64  # records of a batch
_CONTENT_TYPE = "application/vnd.microsoft.iothub.feedback.json"


class FeedbackWell:
    """Batches of feedback for one receiver."""

    def __init__(self, guest: Guest) -> None:
        """Raise LinkRefused for somebody unknown."""
        principal = guest.known()
        self._hub = principal.hub
        self._reader: FeedbackReader = guest.door.feedback(principal)
        self._out: dict[Hashable, Sequence[Feedback]] = {}
        self._number = 0

    def draw(self) -> Parcel | None:
        """Return the next batch."""
        records = self._reader.take(MOST)
        if not records:
            return None
        self._number += 1
        self._out[self._number] = records
        return Parcel(self._number, batch(self._hub, records))

    def done(self, token: Hashable) -> None:
        """Forget a batch that was taken."""
        del self._out[token]

    def back(self, token: Hashable) -> None:
        """Keep a batch that was not taken for whoever asks next."""
        self._reader.back(self._out.pop(token))


class DryWell:
    """Nothing ever comes from here."""

    def draw(self) -> Parcel | None:
        """Return nothing."""
        return None

    def done(self, token: Hashable) -> None:
        """Take no note."""

    def back(self, token: Hashable) -> None:
        """Take no note."""


# [{"originalMessageId": ..., "enqueuedTimeUtc": ..., "statusCode": ..., ...}, ...]
def batch(hub: str, records: Sequence[Feedback]) -> Message:
    """Return the message that holds some records."""
    return Message(
        Properties(user_id=hub.encode(), content_type=_CONTENT_TYPE),
        annotations={
            Symbol("iothub-enqueuedtime"): Timestamp(max(r.time for r in records) * 1000)
        },
        body=json.dumps([_said(record) for record in records]).encode(),
    )


def _said(record: Feedback) -> dict[str, str]:
    return {
        "originalMessageId": record.message_id,
        "deviceId": record.device_id,
        "deviceGenerationId": record.generation_id,
        "enqueuedTimeUtc": timestamp(record.time),
        "statusCode": record.outcome.value,
        "description": record.outcome.value,
    }
