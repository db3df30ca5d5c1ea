"""Direct methods: one to call, and what came of the latest calls."""

from host_tools.emulator.errors import ServiceError
from host_tools.emulator.hub.methods import MethodAnswer, MethodCall
from host_tools.emulator.portal.calls import Call
from host_tools.emulator.portal.desk import Desk, Facts, Outcome, Page, Query, url
from host_tools.emulator.portal.forms import Form
from host_tools.emulator.portal.pages.telemetry import device_of, head

_RESPONSE, _CONNECT = 30, 0  # seconds, as the service assumes them


def _facts(desk: Desk, query: Query) -> Facts:
    hub, device = device_of(desk, query)
    return {
        **head(hub, device),
        "calls": [_shown(call) for call in desk.calls.of(hub.name, device.device_id)],
        "response_timeout": _RESPONSE,
        "connect_timeout": _CONNECT,
    }


def _shown(call: Call) -> Facts:
    answer = call.outcome
    return {
        "call": call,
        "answered": isinstance(answer, MethodAnswer),
        "failed": isinstance(answer, ServiceError),
        "status": answer.status if isinstance(answer, MethodAnswer) else 0,
        "payload": answer.payload if isinstance(answer, MethodAnswer) else None,
        "why": f"{answer} ({answer.code})" if isinstance(answer, ServiceError) else "",
        "took": call.ended - call.began if call.ended else 0.0,
    }


def _invoke(desk: Desk, query: Query, form: Form) -> Outcome:
    hub, device = device_of(desk, query)
    payload = form.json("payload")
    asked = MethodCall(
        name=form.needed("method", "The method's name"),
        payload=payload,
        response_timeout=form.number("response_timeout", 5, 300, _RESPONSE),
        connect_timeout=form.number("connect_timeout", 0, 300, _CONNECT),
    )
    limit = asked.response_timeout + asked.connect_timeout
    call = Call(asked.name, form.text("payload"), desk.clock(), limit)

    def done(outcome: MethodAnswer | ServiceError) -> None:
        call.outcome, call.ended = outcome, desk.clock()
        desk.memory.stir()

    desk.calls.add(hub.name, device.device_id, call)
    hub.invoke(device.device_id, asked, desk.tick(), done)
    return Outcome(url("/device/methods", "calls", hub=hub.name, id=device.device_id), "")


PAGE = Page("/device/methods", "methods.html", _facts, actions={"invoke": _invoke})
