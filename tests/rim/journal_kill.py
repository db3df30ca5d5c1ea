# A board that is killed: keeps messages and sends some of them, and says so, until it is.
# With "drain" it sends all that is left, and ends.
import random
import sys

from rim.keeping import open_journal

LIMIT = 65536


def payload(number):
    return (b"%d " % number) * (number % 40)


def send():
    oldest = journal.peek()
    if oldest is None:
        return False
    when, properties, data, number = oldest
    assert (when, properties, data) == (number, b"n=%d" % number, payload(number)), oldest
    print("sent", number)
    journal.done(number)
    return True


journal = open_journal(LIMIT, 0)
if sys.argv[1] == "drain":
    while send():
        pass
    print("dropped", journal.dropped)
    sys.exit()
random.seed(int(sys.argv[1]))
while True:
    for _ in range(random.randrange(40)):
        number = journal._next
        journal.append(number, b"n=%d" % number, payload(number))
        print("kept", number)
    for _ in range(random.randrange(40) if journal.count < 100 else 60):
        send()
