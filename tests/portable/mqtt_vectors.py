# The byte-exact packets of a first boot, made by the stock umqtt.simple and by keystead.dps.
import binascii
import hashlib
import json

from umqtt import simple

from keystead import dps

with open("tests/vectors/mqtt.json") as file:
    vectors = json.load(file)
with open("tests/vectors/sas.json") as file:
    token = json.load(file)["tokens"][0]["token"]


class Wire:
    # a socket that keeps what is sent and answers what it is told
    def __init__(self, answers):
        self.sent = b""
        self.answers = answers

    def socket(self):
        return self

    def getaddrinfo(self, *place):
        return ((None,),)

    def connect(self, address):
        pass

    def settimeout(self, seconds):
        pass

    def setblocking(self, flag):
        pass

    def write(self, data, size=None):
        self.sent += bytes(data)[:size] if size else bytes(data)

    def read(self, size):
        data, self.answers = self.answers[:size], self.answers[size:]
        return data

    def take(self):
        sent, self.sent = self.sent, b""
        return sent


expected = vectors["connect"]
suback = binascii.unhexlify(vectors["subscribe"]["suback"])
wire = Wire(b"\x20\x02\x00\x00" + suback + b"\x40\x02\x00\x02")
simple.socket = wire
name = expected["client_id"].encode()
client = simple.MQTTClient(
    name, "", 8883, expected["username"].encode(), token.encode(), expected["keepalive"]
)
client.set_callback(print)
client.connect()
packet = wire.take()
print("connect", len(packet), len(packet) == expected["bytes"])
print("connect begins", binascii.hexlify(packet).decode().startswith(expected["begins"]))
digest = binascii.hexlify(hashlib.sha256(packet).digest()).decode()
print("connect sha256", digest, digest == expected["sha256"])

client.subscribe(dps.RESPONSES.encode(), 1)
packet = binascii.hexlify(wire.take()).decode()
print("subscribe", packet, packet == vectors["subscribe"]["packet"])

topic, body = dps.Registration(vectors["register"]["registration_id"]).request()
client.publish(topic.encode(), body, False, 1)
packet = binascii.hexlify(wire.take()).decode()
print("register", packet, packet == vectors["register"]["packet"])
