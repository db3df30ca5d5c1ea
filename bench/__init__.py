"""What `make bench` runs: what Keystead costs, beside the best there is.

    __main__     the command line: which sections, table or JSON
    figures      one row of the table; what a bar is
    table        rows to a table for people, or to JSON
    workshop     the firmware compiled as for a board, and MicroPython to run scripts with it
    sizes, heap, tokens, publishing, wire, journal           the sections, one module each:
    emulator, scale                                          firmware, cloud,
    derive, nvs, ledger, batch, flash                        the factory line
    server       an MQTT server in a process of its own, that only answers
    tap          a TCP proxy that counts TLS records
    servers      the emulator, mosquitto, bare TLS: started, watched, ended
    cloud        the emulator in a process of its own
    handshakes   TLS alone: a server in a process of its own, and its clients
    load         fifty clients and more in one process, lean
    command      a verb in a process of its own: its time and its memory
    histories    what the line writes into a ledger, without boards
    paced        a TCP line as slow as a UART
    postgresql_server   a real one, in a folder that goes with it
    on_board/    what runs under MicroPython: prints one line of JSON each

Figures are measured, printed and compared; no test asserts a time. How: docs/bench.md.
"""
