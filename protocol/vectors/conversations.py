#!/usr/bin/env python3
"""Conversations with a collector: what a client sends, and what must come back.

    conversations.py make            write conversations.json
    conversations.py check           compare conversations.json with the cases below
    conversations.py play --tcp HOST:PORT --udp HOST:PORT --http HOST:PORT [--file FILE] [NAME...]
                                     hold them with a collector that was started for this, and print what differs

README.md in this folder says what the names in conversations.json mean. `play` needs nothing but Python 3.11. It ends with
exit code 1 if a conversation went otherwise.
"""

import argparse
import json
import socket
import struct
import sys
import time
import urllib.request
from pathlib import Path

from cases import NOW, SESSION, SOURCE, block, dictionary, patched, record, zigzag
from reference import (
    FRAME_BYTES_MAX, RECORDS_PER_FRAME_MAX, Refused, decode_frame, encode, encode_control, hex_lines, json_text,
    seal)

FILE = Path(__file__).resolve().parent / "conversations.json"
TIMEOUT_SECONDS = 20
U64_MAX = 2**64 - 1

# ---------------------------------------------------------------------------------------------- Cases


class Client:
    """What one client of a conversation sends: its source and session are its own."""

    def __init__(self, number, source=None):
        self.identity = {"source": SOURCE + number if source is None else source, "session": SESSION + number}

    def records(self, sequence, count=1, **fields):
        points = [{"kind": "point", "time": NOW + place, "metric_name": "m", **fields} for place in range(count)]
        return encode(points, sequence=sequence, **self.identity)

    def heartbeat(self, frames=0, records=None, sequence=0, dropped=0, size=0):
        totals = {"frames_sent": frames, "records_sent": frames if records is None else records, "bytes_sent": size,
                  "records_dropped": dropped, "name": "conversation"}
        return encode_control("heartbeat", totals, sequence=sequence, **self.identity)

    def bad_heartbeat(self, sequence):
        """A heartbeat with a byte behind its name."""
        return seal(b"\1\1\1\0\1n\0", type=1, sequence=sequence, **self.identity)

    def malformed(self, sequence):
        """A record frame whose header is sound, and whose record refers to a string that is not there."""
        payload = dictionary() + block(9, record(7, 1 << 3, zigzag(0) + b"\5"))
        return seal(payload, count=1, base_time=NOW, sequence=sequence, **self.identity)

    def authenticated(self, sequence):
        """A record frame with an authentication code."""
        return encode([{"kind": "point", "time": NOW}], sequence=sequence, key_id=7, key=b"key", **self.identity)

    def changed(self, offset, value, sequence=0, reseal=True):
        """A record frame with bytes of its header replaced."""
        return patched(offset, value, reseal=reseal, base=self.records(sequence))[0]

    # Replies

    def welcome(self, ranges=()):
        return {"receive": {"type": "welcome", **self.identity, "sequence": 0, "frame_bytes_max": FRAME_BYTES_MAX,
                            "records_per_frame_max": RECORDS_PER_FRAME_MAX, "ranges": [list(pair) for pair in ranges]}}

    def durable(self, *ranges):
        return {"durable": {**self.identity, "ranges": [list(pair) for pair in ranges]}}

    def answer(self):
        return {"answer": dict(self.identity)}

    def refusal(self, code, offset, sequence):
        return {"receive": {"type": "refusal", **self.identity, "sequence": sequence, "code": code, "offset": offset}}

    def receipt(self, accepted, records, refused=0, resent=0):
        return {"receive": {"type": "receipt", **self.identity, "sequence": 0, "frames_accepted": accepted,
                            "records_accepted": records, "frames_refused": refused, "frames_resent": resent}}


FINISH, END, CONNECT = {"finish": True}, {"end": True}, {"connect": True}


def send(*frames):
    return {"send": b"".join(frames)}


def tcp(name, about, *steps, **counted):
    return {"name": name, "about": about, "transport": "tcp", "steps": list(steps), **counted}


def udp(name, about, *datagrams, **counted):
    return {"name": name, "about": about, "transport": "udp", "steps": [send(data) for data in datagrams], **counted}


def conversations():
    c = Client(1)
    yield tcp("plain", "A heartbeat, its welcome and its answer; two frames, acknowledged; the receipt.",
              send(c.heartbeat()), c.welcome(), c.answer(), send(c.records(1, 2), c.records(2, 3)), c.durable([1, 2]),
              FINISH, c.receipt(2, 5), END, totals={"frames_received": 2, "records_received": 5})
    c = Client(2)
    yield tcp("nothing-awaited", "All at once: frames may be sent before the welcome, which comes nevertheless.",
              send(c.heartbeat(), c.records(1), c.records(2), c.heartbeat(2, 2, 2)), FINISH, c.welcome(),
              c.durable([1, 2]), c.answer(), c.receipt(2, 2), END)
    c = Client(3)
    yield tcp("without-heartbeat", "A numbered frame begins a session as well, and is welcomed for it.",
              send(c.records(1)), c.welcome(), c.durable([1, 1]), FINISH, c.receipt(1, 1), END)
    c = Client(4)
    yield tcp("welcome-with-ranges", "On the next connection the welcome says what the collector has. Frame 2 is missing, and "
              "may come later.",
              send(c.heartbeat(), c.records(1), c.records(3)), c.welcome(), c.durable([1, 1], [3, 1]), CONNECT,
              send(c.heartbeat()), c.welcome([[1, 1], [3, 1]]), c.answer(), send(c.records(2)), c.durable([1, 3]),
              FINISH, c.receipt(1, 1), END)
    c = Client(5)
    yield tcp("resent", "A frame that comes again is acknowledged again, and counts as resent and nowhere else.",
              send(c.heartbeat(), c.records(1)), c.welcome(), c.durable([1, 1]), CONNECT, send(c.records(1)),
              c.welcome([[1, 1]]), c.durable([1, 1]), send(c.records(2), c.records(2)), c.durable([1, 2]), FINISH,
              c.receipt(1, 1, resent=2), END,
              totals={"frames_received": 2, "records_received": 2, "duplicate_frames": 2})
    c, other = Client(6), Client(7)
    yield tcp("two-sessions", "Two sessions on one connection, each with its welcome, answers and acknowledgements. The receipt "
              "is for the connection, and names the last one.",
              send(c.heartbeat()), c.welcome(), c.answer(), send(other.heartbeat()), other.welcome(), other.answer(),
              send(c.records(1), other.records(1), c.records(2), other.records(2, 4)), c.durable([1, 2]),
              other.durable([1, 2]), FINISH, other.receipt(4, 7), END)
    c = Client(8, source=0)
    yield tcp("source-0", "An anonymous client that numbers its frames: its session is remembered as any other.",
              send(c.heartbeat(), c.records(1)), c.welcome(), c.durable([1, 1]), CONNECT, send(c.records(1)),
              c.welcome([[1, 1]]), c.durable([1, 1]), FINISH, c.receipt(0, 0, resent=1), END)
    c = Client(9)
    yield tcp("sequence-0", "Frames without a number open no session and get no acknowledgement. The receipt counts them.",
              send(c.records(0, 2), c.records(0, 2)), FINISH, c.receipt(2, 4), END,
              totals={"frames_received": 2, "records_received": 4, "duplicate_frames": 0})
    c = Client(10)
    yield tcp("record-over-datagram", "A record over 1,400 bytes.", send(c.records(1, value_text="x" * 3_000)), c.welcome(),
              c.durable([1, 1]), FINISH, c.receipt(1, 1), END)

    # Refusals after which the stream goes on
    c = Client(11)
    yield tcp("heartbeat-refused", "A malformed heartbeat after frame 1, with the sequence 1 that it has to have. The refusal has "
              "sequence 0: frame 1 is not refused, and is acknowledged.",
              send(c.heartbeat()), c.welcome(), c.answer(), send(c.records(1), c.bad_heartbeat(1)),
              c.refusal(28, 58, 0), c.durable([1, 1]), send(c.records(2)), c.durable([1, 2]), FINISH,
              c.receipt(2, 2, refused=1), END, refused={"trailing_bytes": 1})
    c = Client(12)
    yield tcp("heartbeat-time-refused", "The same for a fault in a heartbeat's header: its base time.",
              send(c.records(1)), c.welcome(), send(patched(40, struct.pack("<q", -2**63), base=c.heartbeat(1, 1, 1))[0]),
              c.refusal(11, 40, 0), c.durable([1, 1]), FINISH, c.receipt(1, 1, refused=1), END,
              refused={"time_out_of_range": 1})
    c = Client(13)
    yield tcp("authenticated-refused", "A collector without keys refuses each frame with an authentication code, and names it. "
              "Its sequence is a gap from then on.",
              send(c.heartbeat()), c.welcome(), c.answer(),
              send(c.records(1), c.authenticated(2), c.records(3)), c.refusal(40, 52, 2), c.durable([1, 1], [3, 1]),
              FINISH, c.receipt(2, 2, refused=1), END, refused={"unknown_key": 1}, totals={"sequence_gap_frames": 1})
    c = Client(14)
    yield tcp("malformed-inside", "A frame whose fault is in its records: it is refused when they are read, and is not among the "
              "accepted ones of the receipt.",
              send(c.heartbeat()), c.welcome(), c.answer(), send(c.records(1, 3), c.malformed(2), c.records(3)),
              c.refusal(32, 61, 2), c.durable([1, 1], [3, 1]), FINISH, c.receipt(2, 4, refused=1), END,
              refused={"dangling_index": 1}, totals={"sequence_gap_frames": 0, "records_refused": 1})
    c = Client(15)
    new = Client(16, source=c.identity["source"])
    yield tcp("sequence-refused", "A sequence that no collector can remember: the frame was not stored. Its client goes on in "
              "another session, on the same connection.",
              send(c.heartbeat()), c.welcome(), c.answer(), send(c.records(2**63 - 1, 2)),
              c.refusal(44, 32, 2**63 - 1), send(c.heartbeat(), new.heartbeat()), new.welcome(),
              send(new.records(1, 2)), new.durable([1, 1]), FINISH, new.receipt(1, 2, refused=1), END,
              refused={"sequence_refused": 1}, totals={"records_received": 2})
    c = Client(17)
    yield tcp("unknown-type", "A type of the future, and one that only collectors send: each is refused with sequence 0, whatever "
              "its header has.",
              send(c.records(1)), c.welcome(),
              send(seal(b"future", type=200, sequence=1, **c.identity),
                   encode_control("acknowledgement", {"ranges": [[1, 1]]}, sequence=1, **c.identity), c.records(2)),
              c.refusal(4, 6, 0), c.refusal(4, 6, 0), c.durable([1, 2]), FINISH,
              c.receipt(2, 2, refused=2), END, refused={"unknown_type": 2})
    c = Client(18)
    yield tcp("unknown-flag", "A flag that a reader must understand, on a record frame: its sequence is named.",
              send(c.records(1)), c.welcome(), send(c.changed(7, b"\x02", sequence=2), c.records(3)), c.refusal(5, 7, 2),
              c.durable([1, 1], [3, 1]), FINISH, c.receipt(2, 2, refused=1), END, refused={"unknown_flag": 1})
    c = Client(19)
    yield tcp("header-faults", "Faults of base time and record count, behind a right checksum.",
              send(c.records(1)), c.welcome(),
              send(c.changed(40, struct.pack("<q", -2**63), sequence=2), c.changed(48, struct.pack("<I", 16_385), sequence=3),
                   c.changed(48, bytes(4), sequence=4), c.records(5)),
              c.refusal(11, 40, 2), c.refusal(12, 48, 3), c.refusal(13, 48, 4),
              c.durable([1, 1], [5, 1]), FINISH, c.receipt(2, 2, refused=3), END)

    # Refusals that end the stream
    number = 20
    for name, about, code, offset, data in [
            ("magic", "No frame begins here.", 2, 0, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"\r\n" * 20),
            ("version", "Another version, whose lengths cannot be known.", 3, 4, Client(0).changed(4, b"\x02")),
            ("header-length", "A header that is too short.", 6, 5, Client(0).changed(5, b"\x33")),
            ("frame-length", "A frame over 1 MiB.", 7, 8, Client(0).changed(8, struct.pack("<I", FRAME_BYTES_MAX))),
            ("checksum", "A changed byte: even the lengths may be wrong.", 9, 12,
             Client(0).changed(16, b"\xff", reseal=False)),
            ("type-checksum", "A type of the future with a wrong checksum.", 4, 6,
             Client(0).changed(6, b"\xc8", reseal=False))]:
        c = Client(number)
        number += 1
        yield tcp(f"ends-{name}", about + " What came before is stored and acknowledged; nothing behind it is read.",
                  send(c.heartbeat(), c.records(1)), c.welcome(), c.durable([1, 1]), send(data, c.records(2)),
                  c.refusal(code, offset, 0), END, totals={"frames_received": 1})
    c = Client(number)
    yield tcp("cut-payload", "The client ends its side within a frame: refused at the first missing byte; the rest is as usual.",
              send(c.heartbeat(), c.records(1), c.records(2)[:-3]), FINISH, c.welcome(),
              c.refusal(8, len(c.records(2)) - 3, 0), c.durable([1, 1]), c.receipt(1, 1, refused=1), END,
              refused={"truncated_payload": 1})
    c = Client(number + 1)
    yield tcp("cut-header", "The same within a header that says 72 bytes.",
              send(c.records(1), c.authenticated(2)[:60]), FINISH, c.welcome(), c.refusal(1, 60, 0), c.durable([1, 1]),
              c.receipt(1, 1, refused=1), END, refused={"truncated_header": 1})

    # Datagrams
    c = Client(40)
    yield udp("datagram-goes-on", "A frame behind a refused one whose lengths and checksum are sound is taken.",
              c.records(1) + c.authenticated(2) + seal(b"future", type=200, **c.identity) + c.records(3),
              totals={"frames_received": 2, "sequence_gap_frames": 1}, refused={"unknown_key": 1, "unknown_type": 1})
    c = Client(41)
    yield udp("datagram-ends", "Behind a fault of magic, version, lengths or checksum nothing of the datagram is read; it is "
              "refused once.",
              c.records(1) + c.changed(16, b"\xff", reseal=False) + c.records(2), c.records(3) + b"x" * 60 + c.records(4),
              totals={"frames_received": 2, "sequence_gap_frames": 1}, refused={"checksum_mismatch": 1, "bad_magic": 1})
    c = Client(42)
    yield udp("datagram-cut", "Datagrams that end within a frame: behind 51 bytes of a header, within a header of 72 bytes, within "
              "a payload, and behind a frame.",
              c.records(1)[:51], c.authenticated(2)[:60], c.records(3)[:-1], c.records(4) + b"\0",
              totals={"frames_received": 1}, refused={"truncated_header": 3, "truncated_payload": 1})
    c = Client(43)
    yield udp("datagram-large", "A record over 1,400 bytes in a datagram of its own.", c.records(1, value_text="x" * 3_000),
              totals={"frames_received": 1, "records_received": 1})
    c = Client(44)
    yield udp("sequence-implausible", "The largest sequence between small ones: the frame is taken, and counted as implausible; "
              "gaps are counted as if it had not come.",
              c.records(1), c.records(2), c.records(U64_MAX), c.records(4),
              totals={"frames_received": 4, "sequence_gap_frames": 1, "implausible_sequences": 1})
    c = Client(45)
    yield udp("heartbeat-implausible", "Totals that no client can have reached are left out.", c.records(1),
              c.heartbeat(U64_MAX, U64_MAX, U64_MAX, U64_MAX, U64_MAX), c.heartbeat(1, 1, 1),
              totals={"frames_received": 1, "heartbeats_received": 2, "implausible_sequences": 1})
    c = Client(46)
    yield udp("heartbeat-of-refused", "A heartbeat behind a refused frame: the frame is missing, since no record of it came.",
              c.records(1) + c.authenticated(2) + c.heartbeat(2, 2, 2), totals={"frames_received": 1},
              refused={"unknown_key": 1}, reconciliation={"frames_missing": 1, "records_missing": 1})


def step_text(step):
    if "send" in step:
        return f'{{"send": {hex_lines(step["send"], "      ")}}}'
    return json_text(step)


def text():
    found = list(conversations())
    assert len({case["name"] for case in found}) == len(found), "two conversations of one name"
    out = []
    for case in found:
        lines = []
        for name, value in case.items():
            if name == "steps":
                steps = ",\n".join("      " + step_text(step) for step in value)
                lines.append(f'    "steps": [\n{steps}\n    ]')
            else:
                lines.append(f'    "{name}": {json_text(value)}')
        out.append("  {\n" + ",\n".join(lines) + "\n  }")
    return "[\n" + ",\n".join(out) + "\n]\n"


# ---------------------------------------------------------------------------------------------- Playing


class Differs(Exception):
    """A conversation went otherwise."""


def address(text_):
    host, _, port = text_.rpartition(":")
    return host.strip("[]"), int(port)


class Connection:
    """A TCP connection to the collector, and what was heard on it."""

    def __init__(self, where):
        self.socket = socket.create_connection(address(where), timeout=TIMEOUT_SECONDS)
        self.received, self.replies, self.durable, self.answers = b"", [], {}, {}

    def close(self):
        self.socket.close()

    def next(self):
        """The next frame, or None at the end."""
        while True:
            try:
                reply, length = decode_frame(self.received)
                self.received = self.received[length:]
                return reply
            except Refused as refusal:
                if refusal.reason not in ("truncated_header", "truncated_payload"):
                    raise Differs(f"the collector sent what is no frame: {refusal}") from None
            try:
                more = self.socket.recv(65_536)
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            self.received += more

    def hear(self):
        """Reads a frame and notes what it says of durable frames; gives back any but an acknowledgement."""
        reply = self.next()
        if reply is None:
            raise Differs("the collector closed the connection")
        session = (reply["source"], reply["session"])
        if reply["type"] in ("welcome", "acknowledgement"):
            sequences = self.durable.setdefault(session, set())
            for first, count in reply["ranges"]:
                sequences.update(range(first, first + count))
        if reply["type"] != "acknowledgement":
            self.replies.append(reply)
        elif not reply["ranges"]:
            self.answers[session] = self.answers.get(session, 0) + 1

    def receive(self, expected):
        while not self.replies:
            self.hear()
        reply = self.replies.pop(0)
        different = {name: reply.get(name) for name, value in expected.items() if reply.get(name) != value}
        if different:
            raise Differs(f"expected {expected}, received {reply}")

    def wait(self, holds):
        while not holds():
            if any(reply["type"] == "receipt" for reply in self.replies):
                raise Differs("the receipt came before it")
            self.hear()

    def end(self):
        if self.replies:
            raise Differs(f"received {self.replies[0]} as well")
        while (reply := self.next()) is not None:
            if reply["type"] != "acknowledgement":
                raise Differs(f"received {reply} before the end")


def play_tcp(case, where):
    connection = Connection(where)
    try:
        for step in case["steps"]:
            (name, value), = step.items()
            session = (value["source"], value["session"]) if isinstance(value, dict) else None
            try:
                if name == "send":
                    connection.socket.sendall(bytes.fromhex("".join(value)))
                elif name == "receive":
                    connection.receive(value)
                elif name == "durable":
                    wanted = {n for first, count in value["ranges"] for n in range(first, first + count)}
                    connection.wait(lambda: connection.durable.get(session) == wanted)
                elif name == "answer":
                    connection.wait(lambda: connection.answers.get(session, 0) > 0)
                    connection.answers[session] -= 1
                elif name == "finish":
                    connection.socket.shutdown(socket.SHUT_WR)
                elif name == "connect":
                    connection.close()
                    connection = Connection(where)
                elif name == "end":
                    connection.end()
                else:
                    raise Differs(f"no such step: {name}")
            except TimeoutError:
                raise Differs(f"waited {TIMEOUT_SECONDS} s for {step}") from None
    finally:
        connection.close()


def play_udp(case, where):
    host, port = address(where)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.connect((host, port))
        for step in case["steps"]:
            sender.send(bytes.fromhex("".join(step["send"])))
        # Nothing ever comes in reply to a datagram.
        sender.settimeout(0.1)
        try:
            raise Differs(f"a reply of {len(sender.recv(65_536))} bytes to a datagram")
        except TimeoutError:
            pass


def counted(where):
    """The collector's counters, each group by its name in a conversation."""
    with urllib.request.urlopen(f"http://{where}/stats", timeout=TIMEOUT_SECONDS) as reply:
        stats = json.load(reply)
    return {"totals": stats["totals"], "refused": stats["frames_refused"], "reconciliation": stats["reconciliation"]}


def wait_for_counters(case, before, where):
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        now, different = counted(where), []
        for group in ("totals", "refused", "reconciliation"):
            for name, expected in case.get(group, {}).items():
                found = now[group].get(name, 0) - before[group].get(name, 0)
                if found != expected:
                    different.append(f"{name} grew by {found}, expected {expected}")
        if not different:
            return
        if time.monotonic() > deadline:
            raise Differs("; ".join(different))
        time.sleep(0.02)


def play(options):
    cases = json.loads(Path(options.file).read_text("utf-8"))
    chosen = [case for case in cases if not options.names or case["name"] in options.names]
    complaints = 0
    for case in chosen:
        try:
            before = counted(options.http)
            if case["transport"] == "tcp":
                play_tcp(case, options.tcp)
            else:
                play_udp(case, options.udp)
            wait_for_counters(case, before, options.http)
        except (Differs, OSError) as difference:
            complaints += 1
            print(f"{case['name']}: {difference}")
    print(f"{len(chosen)} conversations held, {complaints} complaints")
    return 1 if complaints or not chosen else 0


def main(arguments):
    parser = argparse.ArgumentParser(prog="conversations.py")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make")
    commands.add_parser("check")
    player = commands.add_parser("play")
    for name in ("--tcp", "--udp", "--http"):
        player.add_argument(name, required=True, metavar="HOST:PORT")
    player.add_argument("--file", default=FILE)
    player.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args(arguments)
    if options.command == "play":
        return play(options)
    if options.command == "make":
        FILE.write_text(text(), "utf-8")
        return 0
    is_same = FILE.exists() and FILE.read_text("utf-8") == text()
    print(f"{len(list(conversations()))} conversations checked, {0 if is_same else 1} complaints")
    return 0 if is_same else 1


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    sys.exit(main(sys.argv[1:]))
