#!/usr/bin/env python3
"""A reference encoder and strict decoder of Spillway's frames, written from ../frame.md alone.

It favours plainness over speed and needs nothing but Python 3.11. Section titles are those of frame.md.

    reference.py make               write good/*.json and reject.json from cases.py
    reference.py check              verify every vector, and the example in frame.md, with the decoder below
    reference.py decode [FILE]      frames in (a file or standard input), records as JSON lines out
    reference.py explain [FILE]     frames in, every item with its offset, bytes and meaning out
    reference.py random SEED COUNT  a vector with COUNT random frames on standard output
    reference.py seeds FOLDER       small vectors as binary files: all good ones, one to refuse for each reason

decode and explain end with exit code 65 and one line on standard error at the first frame that is refused.
"""

import hashlib
import hmac
import json
import math
import re
import struct
import sys
from datetime import datetime, timedelta
from pathlib import Path

sys.modules.setdefault("reference", sys.modules[__name__])  # cases.py imports this file, which may be the program
FOLDER = Path(__file__).resolve().parent
KINDS = json.loads((FOLDER.parent / "kinds.json").read_text("utf-8"))["kinds"]
KIND_BY_ID = {kind["id"]: kind for kind in KINDS}
KIND_BY_NAME = {kind["name"]: kind for kind in KINDS}

# ---------------------------------------------------------------------------------------------- Limits

FRAME_BYTES_MAX = 1_048_576
RECORDS_PER_FRAME_MAX = 16_384
STRINGS_PER_DICTIONARY_MAX = 16_384
STRING_BYTES_MAX = 65_536
TAGS_PER_RECORD_MAX = 256
JSON_DEPTH_MAX = 64
JSON_NUMBER_BYTES_MAX = 256
EXPANSION_FACTOR_MAX = 16
PRESENCE_BITS_MAX = 64
RANGES_MAX = 1_024
CONTROL_STRING_BYTES_MAX = 255

TIME_MIN = -210_866_803_200_000_000
TIME_MAX = 2**63 - 1
TIME_STORED_MAX = 9_223_371_331_199_999_999

HEADER_BYTES = 52
AUTHENTICATED_HEADER_BYTES = 72

TYPES = {0: "records", 1: "heartbeat", 16: "welcome", 17: "acknowledgement", 18: "refusal", 19: "receipt"}
TYPE_NUMBERS = {name: number for number, name in TYPES.items()}

NAN_F32 = 0x7FC00000
NAN_F64 = 0x7FF8000000000000

# ---------------------------------------------------------------------------------------------- Refusals

REASONS = {
    1: "truncated_header", 2: "bad_magic", 3: "unsupported_version", 4: "unknown_type", 5: "unknown_flag",
    6: "bad_header_length", 7: "frame_too_large", 8: "truncated_payload", 9: "checksum_mismatch",
    10: "record_count_mismatch", 11: "time_out_of_range", 12: "too_many_records", 13: "empty_frame",
    14: "truncated", 15: "overlong_varint", 16: "varint_too_large", 17: "too_many_strings", 18: "unused_string",
    19: "duplicate_string", 20: "string_too_long", 21: "invalid_utf8", 22: "null_character", 23: "block_order",
    24: "bad_block_version", 25: "bad_bit_count", 26: "no_block", 27: "empty_block", 28: "trailing_bytes",
    29: "unused_bits", 30: "too_many_tags", 31: "tag_order", 32: "dangling_index", 33: "bad_prefix",
    34: "integer_out_of_range", 35: "bad_nan", 36: "invalid_json", 37: "json_too_deep", 38: "expansion_too_large",
    39: "bad_ranges", 40: "unknown_key", 41: "bad_authentication", 42: "authentication_required",
    43: "truncated_datagram", 44: "sequence_refused",
}
CODES = {name: code for code, name in REASONS.items()}


class Refused(Exception):
    """A frame is not valid: the name of the reason and the offset of the item at fault."""

    def __init__(self, reason, offset):
        super().__init__(f"{reason} ({CODES[reason]}) at offset {offset}")
        self.reason, self.offset = reason, offset


# ---------------------------------------------------------------------------------------------- Checksum

def _crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


_CRC32C = _crc32c_table()


def crc32c(data):
    """CRC32C (Castagnoli), reflected, with all ones before and after."""
    value = 0xFFFFFFFF
    for byte in data:
        value = (value >> 8) ^ _CRC32C[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283

# ---------------------------------------------------------------------------------------------- Items, written


def varint(number):
    """The shortest unsigned LEB128."""
    assert 0 <= number < 2**64
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def zigzag(number):
    assert -(2**63) <= number < 2**63
    return varint(number * 2 if number >= 0 else -number * 2 - 1)


def string(value):
    value = value.encode("utf-8") if isinstance(value, str) else value
    return varint(len(value)) + value


def f32(value):
    return struct.pack("<I", NAN_F32) if math.isnan(value) else struct.pack("<f", value)


def f64(value):
    return struct.pack("<Q", NAN_F64) if math.isnan(value) else struct.pack("<d", value)


def presence_bits(kind):
    """How many bits the presence bitmap of a record of this kind has."""
    return 2 + sum(2 if field["type"] == "bool" else 1 for field in kind["fields"])


# ---------------------------------------------------------------------------------------------- Encoder

def seal(payload, *, type=0, count=0, source=0, session=0, sequence=0, base_time=0, flags=0, extra=b"",
         version=1, key_id=None, key=None):
    """A whole frame: header, checksum, authentication code. `extra` are header fields of the future."""
    if key_id is not None:
        flags |= 1
    code = struct.pack("<I", key_id) + bytes(16) if key_id is not None else b""
    length = HEADER_BYTES + len(code) + len(extra)
    frame = bytearray(struct.pack("<4sBBBBIIQQQqI", b"SPWY", version, length, type, flags, len(payload), 0, source,
                                  session, sequence, base_time, count) + code + extra + payload)
    if key_id is not None:
        frame[56:72] = hmac.new(key, frame, hashlib.sha256).digest()[:16]
    frame[12:16] = struct.pack("<I", crc32c(frame))
    return bytes(frame)


class _Dictionary:
    """The strings of a frame, in the order in which they were first needed."""

    def __init__(self):
        self.index = {}

    def reference(self, text):
        return varint(self.index.setdefault(text.encode("utf-8"), len(self.index)))

    def encoded(self):
        return varint(len(self.index)) + b"".join(string(text) for text in self.index)


def _shared_bytes(older, value):
    count = 0
    while count < len(older) and count < len(value) and older[count] == value[count]:
        count += 1
    return count


def _record(kind, record, time_before, dictionary, older):
    """One record with its length. `older` holds the last present value of each field with coding `prefix`."""
    unknown = set(record) - {"kind", "time", "tags", "metadata"} - {field["name"] for field in kind["fields"]}
    assert not unknown, f"{kind['name']} has no {unknown}"
    bitmap, bit, body = 0, 2, zigzag(record["time"] - time_before)
    if "tags" in record:
        bitmap |= 1
        pairs = sorted(record["tags"].items(), key=lambda pair: pair[0].encode("utf-8"))
        body += varint(len(pairs))
        for key, value in pairs:
            body += dictionary.reference(key) + dictionary.reference(value)
    if "metadata" in record:
        bitmap |= 2
        body += string(record["metadata"])
    for field in kind["fields"]:
        value, type_ = record.get(field["name"]), field["type"]
        if value is not None:
            bitmap |= 1 << bit
            if type_ == "bool":
                bitmap |= (1 << (bit + 1)) if value else 0
            elif type_ in ("i32", "i64"):
                body += zigzag(value)
            elif type_ in ("f32", "f64"):
                body += f32(value) if type_ == "f32" else f64(value)
            elif field["coding"] == "dictionary":
                body += dictionary.reference(value)
            else:
                value = value.encode("utf-8")
                count = _shared_bytes(older.get(field["name"], b""), value)
                older[field["name"]] = value
                body += varint(count) + string(value[count:])
        bit += 2 if type_ == "bool" else 1
    body = bitmap.to_bytes((bit + 7) // 8, "little") + body
    return varint(len(body)) + body


def encode_all(records, *, frame_bytes=1_400, base_time=None, **header):
    """Record frames, as many as it takes: one ends before a record whose time is further from the one before it than 64
    bits reach, and before one that would take it over `frame_bytes`."""
    frames, taken = [], []
    for record in records:
        if taken:
            before = [entry["time"] for entry in taken if entry["kind"] == record["kind"]]
            difference = record["time"] - (before[-1] if before else taken[0]["time"])
            if not -(2**63) <= difference < 2**63 or len(encode(taken + [record])) > frame_bytes:
                frames.append(encode(taken, **header))
                taken = []
        taken.append(record)
    return frames + [encode(taken, **header)]


def encode(records, *, base_time=None, **header):
    """A record frame. The base time is by default that of the first record."""
    base_time = records[0]["time"] if base_time is None else base_time
    dictionary, blocks, state = _Dictionary(), {}, {}
    for record in records:
        kind = KIND_BY_NAME[record["kind"]]
        time_before, older = state.get(kind["id"], (base_time, {}))
        blocks.setdefault(kind["id"], []).append(_record(kind, record, time_before, dictionary, older))
        state[kind["id"]] = (record["time"], older)
    payload = dictionary.encoded()
    for number, block in sorted(blocks.items()):
        kind, body = KIND_BY_ID[number], b"".join(block)
        payload += bytes([number, kind["version"], presence_bits(kind)]) + varint(len(block)) + string(body)
    return seal(payload, count=len(records), base_time=base_time, **header)


def _ranges(ranges):
    out, end = varint(len(ranges)), 0
    for first, count in ranges:
        out += varint(first - end) + varint(count)
        end = first + count
    return out


def encode_control(type, content, **header):
    """A frame of another type; `content` has the names that decode_frame gives."""
    if type == "heartbeat":
        payload = b"".join(varint(content[name]) for name in HEARTBEAT) + string(content["name"])
    elif type == "welcome":
        payload = b"".join(varint(content[name]) for name in WELCOME) + _ranges(content["ranges"])
    elif type == "acknowledgement":
        payload = _ranges(content["ranges"])
    elif type == "refusal":
        payload = varint(content["code"]) + varint(content["offset"]) + string(content["explanation"])
    else:
        payload = b"".join(varint(content[name]) for name in RECEIPT)
    return seal(payload, type=TYPE_NUMBERS[type], **header)


HEARTBEAT = ("frames_sent", "records_sent", "bytes_sent", "records_dropped")
WELCOME = ("frame_bytes_max", "records_per_frame_max")
RECEIPT = ("frames_accepted", "records_accepted", "frames_refused", "frames_resent")

# ---------------------------------------------------------------------------------------------- Items, read


class Reader:
    """Reads items from `position` up to `end`, the end of the innermost container. Offsets are the frame's."""

    def __init__(self, data, position, end, trace):
        self.data, self.position, self.end, self.trace = data, position, end, trace

    def take(self, count, start):
        """`count` bytes of the item that begins at `start`."""
        if count > self.end - self.position:
            raise Refused("truncated", start)
        self.position += count
        return self.data[self.position - count:self.position]

    def note(self, start, label, value=""):
        if self.trace is not None:
            self.trace.append((start, self.data[start:self.position], label, value))

    def fixed(self, count, label):
        start = self.position
        value = int.from_bytes(self.take(count, start), "little")
        self.note(start, label, value)
        return value

    def varint(self, label, quiet=False):
        start, value = self.position, 0
        for place in range(10):
            byte = self.take(1, start)[0]
            value |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                if byte == 0 and place > 0:
                    raise Refused("overlong_varint", start)
                if value >= 2**64:
                    raise Refused("varint_too_large", start)
                if not quiet:
                    self.note(start, label, value)
                return value
        raise Refused("varint_too_large", start)

    def zigzag(self, label):
        start = self.position
        value = self.varint(label, quiet=True)
        value = -(value + 1) // 2 if value & 1 else value // 2
        self.note(start, label, value)
        return value

    def string(self, label, limit=STRING_BYTES_MAX, check_text=True):
        """The bytes of a string."""
        start = self.position
        length = self.varint(label, quiet=True)
        if length > limit:
            raise Refused("string_too_long", start)
        value = self.take(length, self.position)
        if check_text:
            fault = text_fault(value)
            if fault:
                raise Refused(fault[0], self.position - length + fault[1])
        self.note(start, label, json.dumps(value.decode("utf-8", "backslashreplace"), ensure_ascii=False))
        return value

    def finish(self):
        if self.position < self.end:
            raise Refused("trailing_bytes", self.position)


def text_fault(value):
    """The first fault of a text as (reason, index of its byte), or None."""
    null = value.find(0)
    try:
        value.decode("utf-8")
    except UnicodeDecodeError as error:
        if null < 0 or error.start < null:
            return "invalid_utf8", error.start
    return ("null_character", null) if null >= 0 else None


# ---------------------------------------------------------------------------------------------- Metadata

_NUMBER = re.compile(rb"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
_HEX_DIGITS = [bytes([digit]) for digit in b"0123456789abcdefABCDEF"]
_NUMBER_BYTES = re.compile(rb"-?[0-9]*(\.[0-9]*)?([eE][+-]?[0-9]*)?")


class _Metadata:
    """Checks that a text is one JSON object. A fault is raised as Refused with the index of the byte in the text."""

    def __init__(self, text):
        self.text, self.at, self.depth = text, 0, 0

    def fail(self, index=None):
        raise Refused("invalid_json", self.at if index is None else index)

    def peek(self):
        return self.text[self.at:self.at + 1]

    def expect(self, byte):
        if self.peek() != byte:
            self.fail()
        self.at += 1

    def check(self):
        if self.peek() != b"{":
            self.fail()
        self.value()
        if self.at != len(self.text):
            self.fail()

    def value(self):
        first = self.peek()
        if first in (b"{", b"["):
            self.depth += 1
            if self.depth > JSON_DEPTH_MAX:
                raise Refused("json_too_deep", self.at)
            self.at += 1
            self.container(first == b"{", b"}" if first == b"{" else b"]")
            self.depth -= 1
        elif first == b'"':
            self.string()
        elif first in (b"t", b"f", b"n"):
            for byte in {b"t": b"true", b"f": b"false", b"n": b"null"}[first]:
                self.expect(bytes([byte]))
        elif first and first in b"-0123456789":
            number = _NUMBER_BYTES.match(self.text, self.at).group()
            if len(number) > JSON_NUMBER_BYTES_MAX or not _NUMBER.fullmatch(number):
                self.fail()
            self.at += len(number)
        else:
            self.fail()

    def container(self, is_object, closing):
        if self.peek() == closing:
            self.at += 1
            return
        while True:
            if is_object:
                if self.peek() != b'"':
                    self.fail()
                self.string()
                self.expect(b":")
            self.value()
            if self.peek() == closing:
                self.at += 1
                return
            self.expect(b",")

    def string(self):
        self.at += 1
        while self.peek() != b'"':
            if self.peek() == b"" or self.peek() < b" ":
                self.fail()
            if self.peek() == b"\\":
                self.escape()
            else:
                self.at += 1
        self.at += 1

    def escape(self):
        start = self.at
        self.at += 1
        if self.peek() != b"u":
            if self.peek() not in (b'"', b"\\", b"/", b"b", b"f", b"n", b"r", b"t"):
                self.fail()
            self.at += 1
            return
        unit = self.unit()
        if unit == 0 or 0xDC00 <= unit <= 0xDFFF:
            self.fail(start)
        if 0xD800 <= unit <= 0xDBFF:
            if self.text[self.at:self.at + 2] != b"\\u":
                self.fail(start)
            self.at += 1
            if not 0xDC00 <= self.unit() <= 0xDFFF:
                self.fail(start)

    def unit(self):
        """The number behind the u of an escape."""
        self.at += 1
        start = self.at
        while self.at < start + 4:
            if self.peek() not in _HEX_DIGITS:
                self.fail()
            self.at += 1
        return int(self.text[start:self.at], 16)


# ---------------------------------------------------------------------------------------------- Decoder

def decode_frame(data, *, keys=None, trace=None):
    """The frame at the beginning of `data`, as (content, bytes of the frame). `keys`, if given, maps key ids to keys
    and makes authenticated frames be checked."""
    header, end = _admit(data, trace)
    length = header["header_length"]
    if not TIME_MIN <= header["base_time"] <= TIME_MAX:
        raise Refused("time_out_of_range", 40)
    if header["type"] != "records":
        if header["record_count"] != 0:
            raise Refused("record_count_mismatch", 48)
    elif header["record_count"] > RECORDS_PER_FRAME_MAX:
        raise Refused("too_many_records", 48)
    elif header["record_count"] == 0:
        raise Refused("empty_frame", 48)
    if keys is not None and header["flags"] & 1:
        _authenticate(data[:end], keys)
    reader = Reader(data, length, end, trace)
    content = _records(reader, header) if header["type"] == "records" else _control(reader, header)
    return header | content, end


def _admit(data, trace):
    """The checks down to the checksum: the header's fields, and where the frame ends."""
    if len(data) < HEADER_BYTES:
        raise Refused("truncated_header", len(data))
    magic, version, length, type_, flags, payload, checksum, source, session, sequence, base_time, count = (
        struct.unpack_from("<4sBBBBIIQQQqI", data))
    if magic != b"SPWY":
        raise Refused("bad_magic", 0)
    if version != 1:
        raise Refused("unsupported_version", 4)
    if type_ not in TYPES:
        raise Refused("unknown_type", 6)
    if flags & 0b1110:
        raise Refused("unknown_flag", 7)
    if length < (AUTHENTICATED_HEADER_BYTES if flags & 1 else HEADER_BYTES):
        raise Refused("bad_header_length", 5)
    end = length + payload
    if end > FRAME_BYTES_MAX:
        raise Refused("frame_too_large", 8)
    if len(data) < length:
        raise Refused("truncated_header", len(data))
    if len(data) < end:
        raise Refused("truncated_payload", len(data))
    if crc32c(data[:12] + bytes(4) + data[16:end]) != checksum:
        raise Refused("checksum_mismatch", 12)
    if trace is not None:
        _trace_header(data, trace)
    return {
        "type": TYPES[type_], "header_length": length, "flags": flags, "source": source, "session": session,
        "sequence": sequence, "base_time": base_time, "record_count": count,
    }, end


def _trace_header(data, trace):
    length, authenticated = data[5], data[7] & 1
    items = [("magic", 4), ("version", 1), ("header length", 1), ("type", 1), ("flags", 1), ("payload length", 4),
             ("checksum", 4), ("source", 8), ("session", 8), ("sequence", 8), ("base time", 8), ("record count", 4)]
    items += [("key id", 4), ("authentication code", 16)] if authenticated else []
    start = 0
    for label, count in items:
        value = data[start:start + count]
        number = int.from_bytes(value, "little", signed=label == "base time")
        if label == "magic":
            number = '"SPWY"'
        elif label in ("checksum", "source", "session"):
            number = f"{number:X} (hexadecimal)"
        elif label == "type":
            number = f"{number} ({TYPES[number]})"
        elif label == "authentication code":
            number = ""
        trace.append((start, value, label, number))
        start += count
    if start < length:
        trace.append((start, data[start:length], "unknown header fields", ""))


def _authenticate(frame, keys):
    key = keys.get(int.from_bytes(frame[52:56], "little"))
    if key is None:
        raise Refused("unknown_key", 52)
    zeroed = frame[:12] + bytes(4) + frame[16:56] + bytes(16) + frame[72:]
    if not hmac.compare_digest(hmac.new(key, zeroed, hashlib.sha256).digest()[:16], frame[56:72]):
        raise Refused("bad_authentication", 56)


class _Frame:
    """What the records of a frame share while it is read."""

    def __init__(self, reader, header):
        self.strings, self.starts, self.used = [], [], set()
        self.base_time = header["base_time"]
        self.records_left = header["record_count"]
        self.expansion, self.expansion_max = 0, EXPANSION_FACTOR_MAX * (reader.end - reader.position)
        self.complete = True

    def reference(self, reader, label):
        start = reader.position
        index = reader.varint(label, quiet=True)
        if index >= len(self.strings):
            raise Refused("dangling_index", start)
        reader.note(start, label, f"{index} = {json.dumps(self.strings[index].decode(), ensure_ascii=False)}")
        self.used.add(index)
        return self.strings[index]


def _records(reader, header):
    frame = _Frame(reader, header)
    start = reader.position
    count = reader.varint("dictionary: count")
    if count > STRINGS_PER_DICTIONARY_MAX:
        raise Refused("too_many_strings", start)
    seen = set()
    for index in range(count):
        start = reader.position
        value = reader.string(f"dictionary: string {index}")
        if value in seen:
            raise Refused("duplicate_string", start)
        seen.add(value)
        frame.strings.append(value)
        frame.starts.append(start)

    records, skipped, kind_before = [], [], 0
    while reader.position < reader.end:
        kind_before = _block(reader, frame, kind_before, records, skipped)
    if kind_before == 0:
        raise Refused("no_block", reader.end)
    if frame.complete and len(frame.used) < len(frame.strings):
        raise Refused("unused_string", next(s for i, s in enumerate(frame.starts) if i not in frame.used))
    if frame.records_left:
        raise Refused("record_count_mismatch", 48)
    return {"skipped": skipped, "records": records}


def _block(reader, frame, kind_before, records, skipped):
    start = reader.position
    number = reader.fixed(1, "block: kind")
    if number <= kind_before:
        raise Refused("block_order", start)
    kind = KIND_BY_ID.get(number)
    start = reader.position
    version = reader.fixed(1, "block: schema version")
    if version == 0:
        raise Refused("bad_block_version", start)
    later = kind is not None and version > kind["version"]
    start = reader.position
    bits = reader.fixed(1, "block: presence bits")
    needed = presence_bits(kind) if kind else 2
    if bits > PRESENCE_BITS_MAX or bits < needed or (kind and not later and bits != needed):
        raise Refused("bad_bit_count", start)
    start = reader.position
    count = reader.varint("block: record count")
    if count == 0:
        raise Refused("empty_block", start)
    if count > frame.records_left:
        raise Refused("record_count_mismatch", 48)
    frame.records_left -= count
    length = reader.varint("block: byte length")
    payload_end, start = reader.end, reader.position
    reader.take(length, start)
    if kind is None:
        reader.note(start, "skipped", f"{count} records of an unknown kind")
        skipped.append({"kind": number, "records": count})
        frame.complete = False
        return number
    reader.position, reader.end = start, start + length
    frame.complete = frame.complete and not later
    time, older = frame.base_time, {}
    for _ in range(count):
        time = _read_record(reader, frame, kind, bits, later, time, older, records)
    reader.finish()
    reader.end = payload_end
    return number


def _read_record(reader, frame, kind, bits, later, time, older, records):
    record_start = reader.position
    length = reader.varint("record: length")
    block_end, start = reader.end, reader.position
    reader.take(length, start)
    reader.position, reader.end = start, start + length

    start = reader.position
    bitmap = int.from_bytes(reader.take((bits + 7) // 8, start), "little")
    reader.note(start, "record: presence", f"{bitmap:0{bits}b} (binary, bit {bits - 1} first)")
    unused = bitmap >> bits
    bit = 2
    for field in kind["fields"]:
        if field["type"] == "bool":
            unused |= (bitmap >> bit & 0b11) == 0b10
            bit += 1
        bit += 1
    if unused:
        raise Refused("unused_bits", start)

    start = reader.position
    time += reader.zigzag("record: time")
    if not TIME_MIN <= time <= TIME_MAX:
        raise Refused("time_out_of_range", start)
    record, sizes = {"kind": kind["name"], "time": time}, []
    tags = _tags(reader, frame, sizes) if bitmap & 1 else None
    metadata = _metadata(reader, sizes) if bitmap & 2 else None

    bit = 2
    for field in kind["fields"]:
        if bitmap >> bit & 1:
            record[field["name"]] = _field(reader, frame, field, bitmap >> bit + 1 & 1, older, sizes)
        bit += 2 if field["type"] == "bool" else 1
    if tags is not None:
        record["tags"] = tags
    if metadata is not None:
        record["metadata"] = metadata
    if later:
        start, reader.position = reader.position, reader.end
        if start < reader.end:
            reader.note(start, "skipped", "fields of a later version")
    reader.finish()
    frame.expansion += sum(sizes)
    if frame.expansion > frame.expansion_max:
        raise Refused("expansion_too_large", record_start)
    reader.end = block_end
    records.append(record)
    return time


def _tags(reader, frame, sizes):
    start = reader.position
    count = reader.varint("tags: count")
    if count > TAGS_PER_RECORD_MAX:
        raise Refused("too_many_tags", start)
    tags, key_before = {}, None
    for _ in range(count):
        start = reader.position
        key = frame.reference(reader, "tags: key")
        if key_before is not None and key <= key_before:
            raise Refused("tag_order", start)
        value = frame.reference(reader, "tags: value")
        sizes += [len(key), len(value)]
        tags[key.decode()] = value.decode()
        key_before = key
    return tags


def _metadata(reader, sizes):
    value = reader.string("metadata")
    try:
        _Metadata(value).check()
    except Refused as fault:
        raise Refused(fault.reason, reader.position - len(value) + fault.offset) from None
    sizes.append(len(value))
    return value.decode()


def _field(reader, frame, field, value_bit, older, sizes):
    start, name, type_ = reader.position, field["name"], field["type"]
    if type_ == "bool":
        return bool(value_bit)
    if type_ in ("i32", "i64"):
        value = reader.zigzag(name)
        if type_ == "i32" and not -(2**31) <= value < 2**31:
            raise Refused("integer_out_of_range", start)
        return value
    if type_ in ("f32", "f64"):
        width = 4 if type_ == "f32" else 8
        value = struct.unpack("<f" if width == 4 else "<d", reader.take(width, start))[0]
        bits = int.from_bytes(reader.data[start:start + width], "little")
        if math.isnan(value) and bits != (NAN_F32 if width == 4 else NAN_F64):
            raise Refused("bad_nan", start)
        value = Single(value) if width == 4 else value
        reader.note(start, name, number_text(value))
        return value
    if field["coding"] == "dictionary":
        value = frame.reference(reader, name)
    else:
        value = _prefixed(reader, name, older.get(name, b""))
        older[name] = value
    sizes.append(len(value))
    return value.decode()


def _prefixed(reader, name, older):
    start = reader.position
    count = reader.varint(f"{name}: bytes shared with the value before")
    if count > len(older):
        raise Refused("bad_prefix", start)
    rest = reader.string(f"{name}: the bytes behind them", check_text=False)
    value = older[:count] + rest
    if len(value) > STRING_BYTES_MAX:
        raise Refused("string_too_long", start)
    if rest and older[count:count + 1] == rest[:1]:
        raise Refused("bad_prefix", start)
    fault = text_fault(value)
    if fault:
        raise Refused(fault[0], start)
    return value


# ---------------------------------------------------------------------------------------------- Other frames

def _control(reader, header):
    type_ = header["type"]
    if type_ == "heartbeat":
        content = {name: reader.varint(name) for name in HEARTBEAT}
        content["name"] = reader.string("name", CONTROL_STRING_BYTES_MAX).decode()
    elif type_ == "welcome":
        content = {name: reader.varint(name) for name in WELCOME} | {"ranges": _read_ranges(reader)}
    elif type_ == "acknowledgement":
        content = {"ranges": _read_ranges(reader)}
    elif type_ == "refusal":
        content = {"code": reader.varint("code"), "offset": reader.varint("offset")}
        content["explanation"] = reader.string("explanation", CONTROL_STRING_BYTES_MAX).decode()
    else:
        content = {name: reader.varint(name) for name in RECEIPT}
    reader.finish()
    return content


def _read_ranges(reader):
    """Ranges as pairs of first sequence and count."""
    start = reader.position
    count = reader.varint("ranges: count")
    if count > RANGES_MAX:
        raise Refused("bad_ranges", start)
    ranges, end = [], 0
    for index in range(count):
        start = reader.position
        gap = reader.varint("range: first sequence less the end before it")
        first = end + gap
        if (index > 0 and gap == 0) or first >= 2**64:
            raise Refused("bad_ranges", start)
        start = reader.position
        length = reader.varint("range: sequences")
        end = first + length
        if length == 0 or end >= 2**64:
            raise Refused("bad_ranges", start)
        ranges.append([first, length])
    return ranges


# ---------------------------------------------------------------------------------------------- JSON lines

class Single(float):
    """A number of 32 bits, which is written with fewer digits."""


def time_text(time):
    """RFC 3339 in UTC with six decimals; outside of the years 0 to 9999 with a sign and six digits of the year, which
    is astronomical: year 0 is 1 BC."""
    cycle_us = 146_097 * 86_400_000_000  # the Gregorian calendar repeats after 400 years
    cycles, rest = divmod(time, cycle_us)
    moment = datetime(1970, 1, 1) + timedelta(microseconds=rest)
    year = moment.year + 400 * cycles
    year_text = f"{year:04d}" if 0 <= year <= 9999 else f"{year:+07d}"
    return f"{year_text}-{moment:%m-%dT%H:%M:%S}.{moment.microsecond:06d}Z"


def time_from_text(text):
    parts = re.fullmatch(r"([+-]?\d+)-(\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})Z", text)
    cycles, year = divmod(int(parts[1]) - 1970, 400)
    moment = datetime.strptime(f"{year + 1970:04d}-{parts[2]}", "%Y-%m-%dT%H:%M:%S.%f")
    return (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1) + cycles * 146_097 * 86_400_000_000


def number_text(value):
    """The shortest decimal that reads back to the same number; NaN and infinities as JSON strings."""
    if math.isnan(value):
        return '"NaN"'
    if math.isinf(value):
        return '"Infinity"' if value > 0 else '"-Infinity"'
    if isinstance(value, Single):
        for digits in range(1, 10):
            text = f"{float(value):.{digits}g}"
            try:
                if struct.pack("<f", float(text)) == struct.pack("<f", value):
                    return repr(float(text))
            except OverflowError:  # rounded up over the largest number of 32 bits
                continue
    return repr(float(value))


def json_text(value):
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json_text(key)}:{json_text(item)}" for key, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def json_line(record):
    """A record as a JSON line: kind, time, the fields in the kind's order, tags, metadata (its text as it is)."""
    items = []
    for name, value in record.items():
        if name == "time":
            value = json_text(time_text(value))
        else:
            value = value if name == "metadata" else json_text(value)
        items.append(f'"{name}":{value}')
    return "{" + ",".join(items) + "}"


# ---------------------------------------------------------------------------------------------- Vectors

def frame_text(content, indent):
    """A decoded frame as JSON, a record a line."""
    lines = []
    for name, value in content.items():
        if name == "records":
            rows = ",\n".join(f"{indent}    {json_line(record)}" for record in value)
            lines.append(f'{indent}  "records": [\n{rows}\n{indent}  ]' if rows else f'{indent}  "records": []')
        else:
            lines.append(f'{indent}  "{name}": {json_text(value)}')
    return indent + "{\n" + ",\n".join(lines) + "\n" + indent + "}"


def hex_lines(data, indent):
    """Bytes as a JSON array of hexadecimal strings."""
    text = data.hex()
    width = 100
    rows = ",\n".join(f'{indent}  "{text[at:at + width]}"' for at in range(0, len(text), width))
    return f"[\n{rows}\n{indent}]"


def decode_all(data, keys=None):
    frames, at = [], 0
    while at < len(data):
        content, length = decode_frame(data[at:], keys=keys)
        frames.append(content)
        at += length
    return frames


def good_text(name, about, data, *, canonical, keys=None, appended=None):
    """The file of a good vector; what the decoder says of it stands in it."""
    frames = decode_all(data, keys)
    lines = [f'  "name": {json_text(name)}', f'  "about": {json_text(about)}',
             f'  "canonical": {json_text(canonical)}']
    if keys:
        lines.append(f'  "keys": {json_text({str(number): key.hex() for number, key in keys.items()})}')
    if appended:
        lines.append(f'  "appended": {json.dumps(appended)}')
    lines.append(f'  "bytes": {hex_lines(data, "  ")}')
    lines.append('  "frames": [\n' + ",\n".join(frame_text(frame, "    ") for frame in frames) + "\n  ]")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def make():
    import cases
    folder = FOLDER / "good"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    for case in cases.good():
        frames = decode_all(case.data, case.keys)
        expected = case.expected
        if expected is not None:  # what went into the encoder, beside what came out of the decoder
            lines = [json_line(record) for frame in frames for record in frame.get("records", [])]
            assert lines == [json_line(cases.normal(record)) for record in expected], case.name
        text = good_text(case.name, case.about, case.data, canonical=case.canonical, keys=case.keys,
                         appended=case.appended)
        (folder / f"{case.name}.json").write_text(text, "utf-8")
    rows = []
    for case in cases.reject():
        rows.append("  {\n" + ",\n".join([
            f'    "name": {json_text(case.name)}', f'    "about": {json_text(case.about)}',
            f'    "reason": {json_text(case.reason)}', f'    "code": {CODES[case.reason]}',
            f'    "offset": {case.offset}', f'    "bytes": {hex_lines(case.data, "    ")}']) + "\n  }")
    (FOLDER / "reject.json").write_text("[\n" + ",\n".join(rows) + "\n]\n", "utf-8")


def load(path):
    """A vector file, with the numbers as they are written."""
    return json.loads(path.read_text("utf-8"), parse_float=str, parse_int=str)


def check():
    """Every vector against the decoder: (good, rejected, complaints)."""
    complaints, paths = [], sorted((FOLDER / "good").glob("*.json"))
    for path in paths:
        vector = load(path)
        keys = {int(number): bytes.fromhex(key) for number, key in vector.get("keys", {}).items()} or None
        data = bytes.fromhex("".join(vector["bytes"]))
        try:
            frames = decode_all(data, keys)
        except Refused as refusal:
            complaints.append(f"{path.name}: refused: {refusal}")
            continue
        text = "[" + ",".join(frame_text(frame, "") for frame in frames) + "]"
        if json.loads(text, parse_float=str, parse_int=str) != vector["frames"]:
            complaints.append(f"{path.name}: decodes to something else")
        if vector["canonical"] and b"".join(encode_again(frame) for frame in frames) != data:
            complaints.append(f"{path.name}: encodes to something else")
        if "appended" in vector:
            records = [frames[0]["records"][int(place)] for place in vector["appended"]]
            header = {name: frames[0][name] for name in ("source", "session", "sequence")}
            if encode(records, **header) != data:
                complaints.append(f"{path.name}: encodes to something else in the order of `appended`")
    rejected = load(FOLDER / "reject.json")
    for vector in rejected:
        try:
            decode_frame(bytes.fromhex("".join(vector["bytes"])))
            found = "accepted"
        except Refused as refusal:
            found = str(refusal)
        expected = f"{vector['reason']} ({vector['code']}) at offset {vector['offset']}"
        if found != expected:
            complaints.append(f"{vector['name']}: {found}, expected {expected}")
    missing = set(CODES) - {"unknown_key", "bad_authentication", "authentication_required", "truncated_datagram",
                            "sequence_refused"}
    missing -= {vector["reason"] for vector in rejected}
    if missing:
        complaints.append(f"reject.json: nothing for {sorted(missing)}")
    document = (FOLDER.parent / "frame.md").read_text("utf-8")
    if worked_example() not in document:
        complaints.append("frame.md: the worked example is not what `reference.py example` prints")
    return len(paths), len(rejected), complaints


def encode_again(frame):
    """A decoded frame, encoded."""
    header = {name: frame[name] for name in ("source", "session", "sequence", "base_time")}
    if frame["type"] == "records":
        return encode(frame["records"], **header)
    return encode_control(frame["type"], frame, **header)


def write_seeds(folder):
    folder.mkdir(exist_ok=True)
    seeds = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted((FOLDER / "good").glob("*.json"))}
    for vector in json.loads((FOLDER / "reject.json").read_text("utf-8")):
        seeds.setdefault(f"reject-{vector['reason']}", vector)
    for name, vector in seeds.items():
        data = bytes.fromhex("".join(vector["bytes"]))
        if 0 < len(data) <= 4096:
            (folder / name).write_bytes(data)


def worked_example():
    """The worked example of frame.md as a table."""
    import cases
    trace = []
    decode_frame(cases.example(), trace=trace)
    rows = ["| offset | bytes | item | value |", "|---|---|---|---|"]
    for start, data, label, value in trace:
        rows.append(f"| {start} | `{data.hex(' ').upper()}` | {label} | {value} |")
    return "\n".join(rows) + "\n"


def explain(data):
    at = 0
    while at < len(data):
        trace = []
        try:
            _, length = decode_frame(data[at:], trace=trace)
        finally:
            for start, item, label, value in trace:
                print(f"{start:7d}  {item[:12].hex(' '):36s}{'…' if len(item) > 12 else ' '} {label}: {value}")
        at += length


def main(arguments):
    command, rest = arguments[0] if arguments else "", arguments[1:]
    if command == "make":
        make()
    elif command == "check":
        good, rejected, complaints = check()
        print("\n".join(complaints + [f"{good} good and {rejected} must-reject vectors checked, "
                                      f"{len(complaints)} complaints"]))
        return 1 if complaints else 0
    elif command == "example":
        print(worked_example(), end="")
    elif command == "random":
        import cases
        data = cases.random_frames(int(rest[0]), int(rest[1]))
        print(good_text(f"random {rest[0]}", "random frames", data, canonical=True), end="")
    elif command == "seeds":
        write_seeds(Path(rest[0]))
    elif command in ("decode", "explain"):
        data = Path(rest[0]).read_bytes() if rest and rest[0] != "-" else sys.stdin.buffer.read()
        at = 0
        try:
            if command == "explain":
                explain(data)
            while command == "decode" and at < len(data):
                frame, length = decode_frame(data[at:])
                for record in frame.get("records", []):
                    print(json_line(record))
                at += length
        except Refused as refusal:
            print(f"frame at byte {at}: {refusal}", file=sys.stderr)
            return 65
    else:
        print(__doc__, file=sys.stderr)
        return 64
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    sys.exit(main(sys.argv[1:]))
