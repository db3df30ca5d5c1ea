"""The tap counts what it should: records of application data, turn by turn."""

import socket
import threading

from bench.tap import APPLICATION_DATA, Records, Turn, Turns, tapped

HANDSHAKE = 22


def record(kind, size):
    return bytes((kind, 3, 3)) + size.to_bytes(2, "big") + b"x" * size


def test_records_are_found_in_pieces_of_any_size():
    stream = record(HANDSHAKE, 300) + record(APPLICATION_DATA, 1)
    for step in (1, 4, 5, 7, 1000):
        records = Records()
        found = [
            one for i in range(0, len(stream), step) for one in records.feed(stream[i : i + step])
        ]
        assert found == [(HANDSHAKE, 305), (APPLICATION_DATA, 6)]


def test_an_answer_ends_a_turn():
    turns = Turns()
    turns.from_client(record(APPLICATION_DATA, 10) + record(APPLICATION_DATA, 20))
    assert turns.answered == []
    turns.from_server(record(APPLICATION_DATA, 4))
    turns.from_client(record(APPLICATION_DATA, 1))
    turns.from_server(record(APPLICATION_DATA, 4))
    assert turns.answered == [Turn(2, 40), Turn(1, 6)]


def test_hand_shake_and_unasked_words_do_not_count():
    turns = Turns()
    turns.from_client(record(HANDSHAKE, 200))
    turns.from_server(record(HANDSHAKE, 1000) + record(APPLICATION_DATA, 50))
    turns.from_client(record(APPLICATION_DATA, 10))
    turns.from_server(record(HANDSHAKE, 5))
    assert turns.answered == []
    turns.from_server(record(APPLICATION_DATA, 4))
    assert turns.answered == [Turn(1, 15)]


def test_the_tap_passes_both_directions_through_unchanged():
    sent, answer = record(APPLICATION_DATA, 100), record(APPLICATION_DATA, 4)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection:
                assert connection.recv(len(sent), socket.MSG_WAITALL) == sent
                connection.sendall(answer)

        server = threading.Thread(target=serve)
        server.start()
        with tapped(listener.getsockname()[1]) as (port, turns):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(sent)
                assert client.recv(len(answer), socket.MSG_WAITALL) == answer
            server.join()
    assert turns.answered == [Turn(1, 105)]
