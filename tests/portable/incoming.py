# What a hub says, read from its topics; and the model that the device names to it.
from keystead import hub
from keystead.incoming import filters, parse, unquote

print(hub.username("h.net:8883", "d", hub.MODEL_ID))
for topic_filter in filters("d"):
    print(topic_filter)


def show(topic):
    kind, name, fields = parse(topic)
    print(kind, repr(name), sorted(fields.items()))  # a dict has no order on MicroPython


MESSAGES = "devices/d/messages/devicebound/"
show(MESSAGES + "%24.mid=m1&%24.to=%2Fdevices%2Fd%2Fmessages%2FdeviceBound&%24.cid=c1"
     "&%24.ct=application%2Fjson&%24.ce=utf-8&iothub-ack=full&prop1&prop2="
     "&prop3=a%20string")  # fmt: skip
show(MESSAGES)
show(MESSAGES + "&&=&=x&a=b=c&%zz=%4&%ff=%41&x=/?$rid=1&a=last")
show("$iothub/methods/POST/keystead*log/?$rid=1a")
show("$iothub/methods/POST/50%25/?$rid=%41&more=1")
show("$iothub/methods/POST/")
show("$iothub/twin/res/204/?$rid=7&$version=3")
show("$iothub/twin/res/?$rid")
show("$iothub/twin/PATCH/properties/desired/?$version=5")
show("$iothub/else/?$rid=1")
show("")
for text in (
    "",
    "%",
    "%%",
    "%4",
    "%41",
    "a%2",
    "%zz%41",
    "%E6%97%A5",
    "%ff",
    "\u65e5%20",
    "100%25",
):
    print(text.encode(), unquote(text).encode())
