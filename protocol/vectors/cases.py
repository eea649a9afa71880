"""The vectors' contents: what `reference.py make` writes. Good frames come from the encoder or are put together by hand
where an encoder of today would not write them; frames to refuse are put together by hand, with a right checksum unless
that is the fault. `Marked` carries the place of the fault, so that no offset is counted by a person."""

import math
import random
import struct
from dataclasses import dataclass

from reference import (
    EXPANSION_FACTOR_MAX, FRAME_BYTES_MAX, KIND_BY_NAME, KINDS, NAN_F32, NAN_F64, RECORDS_PER_FRAME_MAX,
    STRINGS_PER_DICTIONARY_MAX, STRING_BYTES_MAX, TAGS_PER_RECORD_MAX, TIME_MAX, TIME_MIN, TIME_STORED_MAX, Single,
    encode, encode_all, encode_control, f32, f64, presence_bits, seal, string, varint, zigzag)

NOW = 1_795_377_900_123_456  # 2026-11-22T20:05:00.123456Z
SOURCE, SESSION = 0x53504C57, 0x0123456789ABCDEF
I32_MIN, I32_MAX, I64_MIN, I64_MAX = -(2**31), 2**31 - 1, -(2**63), 2**63 - 1
F32_MAX = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]
F32_TINY, F32_NORMAL = 2.0**-149, 2.0**-126
F64_MAX, F64_TINY, F64_NORMAL = 1.7976931348623157e308, 5e-324, 2.2250738585072014e-308
U64_MAX = 2**64 - 1


@dataclass
class Good:
    name: str
    about: str
    data: bytes
    canonical: bool = True  # an encoder that is given the records in this order writes these bytes
    expected: list | None = None
    keys: dict | None = None
    appended: list | None = None  # places of the records in the order in which an encoder was given them


@dataclass
class Reject:
    name: str
    about: str
    reason: str
    offset: int
    data: bytes


def normal(record):
    """A record as the decoder returns it: fields in order, numbers as wide as they are stored."""
    kind = KIND_BY_NAME[record["kind"]]
    out = {"kind": record["kind"], "time": record["time"]}
    for field in kind["fields"]:
        value = record.get(field["name"])
        if value is not None:
            if field["type"] == "f32":
                value = Single(struct.unpack("<f", struct.pack("<f", value))[0])
            out[field["name"]] = float(value) if field["type"] == "f64" else value
    if "tags" in record:
        out["tags"] = dict(sorted(record["tags"].items(), key=lambda pair: pair[0].encode()))
    if "metadata" in record:
        out["metadata"] = record["metadata"]
    return out


# ---------------------------------------------------------------------------------------------- Good frames

def filled(kind, time=NOW, seed=1):
    """A record with every field, and plain values."""
    record = {"kind": kind["name"], "time": time}
    for place, field in enumerate(kind["fields"]):
        type_ = field["type"]
        if type_ == "text":
            known = field.get("values")
            value = known[seed % len(known)] if known else f"{field['name']} {seed}"
        elif type_ == "bool":
            value = (seed + place) % 2 == 0
        elif type_ in ("i32", "i64"):
            value = (place + 1) * (1_000_003 if type_ == "i32" else 10_000_000_019) * (-1 if place % 3 == 2 else 1)
        else:
            value = 0.1 * (place + seed)
        record[field["name"]] = value
    record["tags"] = {"region": "eu", "host": "node-1"}
    record["metadata"] = '{"a":[1]}'
    return record


def numbers(kind, pick):
    """A record whose numbers are what `pick` gives for each type."""
    record = {"kind": kind["name"], "time": NOW}
    for field in kind["fields"]:
        if field["type"] in pick:
            record[field["name"]] = pick[field["type"]]
    return record


NUMBER_EXTREMES = [
    {"i32": I32_MIN, "i64": I64_MIN, "f32": -F32_MAX, "f64": -F64_MAX, "bool": False},
    {"i32": I32_MAX, "i64": I64_MAX, "f32": F32_MAX, "f64": F64_MAX, "bool": True},
    {"i32": 0, "i64": 0, "f32": 0.0, "f64": 0.0},
    {"i32": -1, "i64": -1, "f32": -0.0, "f64": -0.0},
    {"i32": 63, "i64": 64, "f32": F32_TINY, "f64": F64_TINY},
    {"i32": -64, "i64": -65, "f32": -F32_TINY, "f64": -F64_TINY},
    {"i32": 8191, "i64": 2**62, "f32": F32_NORMAL, "f64": F64_NORMAL},
    {"f32": math.inf, "f64": math.inf},
    {"f32": -math.inf, "f64": -math.inf},
    {"f32": math.nan, "f64": math.nan},
]

# Two, three and four bytes, a letter with a combining accent beside the composed one, right to left, an emoji sequence,
# the first and last code points of each length, and noncharacters, which are text as well.
TEXTS = ["Größe", "größe", "ключ", "検索", "한국어", "🚀", "e\u0301", "\u00e9", "שלום", "👩\u200d👩\u200d👧",
         "\u007f", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\ufeff", "\uffff", "\U00010000", "\U0010ffff",
         "\u0001", "a\tb\nc", '"quoted" \\ back', " ", ""]

METADATA = [
    "{}", '{"":""}', '{"a":[],"b":{},"c":null,"d":true,"e":false}', '{"n":[0,-0,0.0,1e5,1E+05,1e-999,-12.50,1e999]}',
    '{"e":"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\u00e9\\uD83D\\uDE80"}', '{"key with space":" value with space "}',
    '{"größe":"🚀","e\u0301":"\u007f"}', '{"same":1,"same":2}', '{"\\u0061":1}', '{"long":%s}' % ("9" * 256),
]


def nested(depth):
    """Metadata with so many open objects and arrays."""
    return '{"a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"


def routing(index, time=None):
    """What a router writes: identifiers that count up, texts and models that come again."""
    pick = random.Random(index)
    return {
        "kind": "routing", "time": NOW + 1000 * index if time is None else time,
        "query_id": f"query_{index:08d}", "query_text": f"the text of question number {pick.randrange(500):03d}",
        "complexity_score": pick.random(), "confidence_score": pick.random(),
        "model_selected": pick.choice(["phi-mini", "large-20b"]), "routing_time_ms": pick.randrange(20),
        "embedding_time_ms": pick.randrange(10), "threshold_comparison_time_ms": pick.randrange(3),
        "total_routing_time_ms": pick.randrange(40), "tokens_estimated": pick.randrange(2000),
        "context_length": pick.randrange(8192), "user_intent": f"intent_{pick.randrange(10)}",
        "domain_detected": f"domain_{pick.randrange(20)}"}


def ids(*values):
    return [{"kind": "routing", "time": NOW + place} | ({} if value is None else {"query_id": value})
            for place, value in enumerate(values)]


def example():
    """The frame of the worked example."""
    return encode([
        {"kind": "routing", "time": NOW, "query_id": "query_00001234", "complexity_score": 0.75,
         "model_selected": "phi-mini", "routing_time_ms": 12, "tags": {"region": "eu"}},
        {"kind": "routing", "time": NOW + 1000, "query_id": "query_00001235", "model_selected": "phi-mini",
         "routing_time_ms": -1, "metadata": '{"retry":1}'},
        {"kind": "memory", "time": NOW + 500, "agent_id": "ada", "memory_operation": "read",
         "memory_size_bytes": 4096, "cache_hit": True},
    ], source=SOURCE, session=SESSION, sequence=7)


def good():
    yield Good("example", "The frame of the worked example in frame.md.", example())
    for number, kind in enumerate(KINDS, 1):
        records = [filled(kind, NOW + 500 * place, place) for place in range(1, 4)]
        yield made(f"{kind['name']}-filled", "Every field, tags and metadata, three times.", records, sequence=number)
        yield made(f"{kind['name']}-only-time", "Nothing but the time.", [{"kind": kind["name"], "time": NOW}])
        records = [numbers(kind, pick) for pick in NUMBER_EXTREMES]
        yield made(f"{kind['name']}-numbers", "Ends of the numbers' ranges, both zeros, subnormals, infinities, NaN; "
                   "the texts are absent.", records)
    yield made("texts", "Texts of all lengths of UTF-8, with combining and joined characters, control characters, "
               "the empty text; equal on screen is not equal.",
               [{"kind": "point", "time": NOW, "metric_name": text, "value_text": text[::-1]} for text in TEXTS])
    yield made("texts-prefix", "The same in a field with shared prefixes.", ids(*TEXTS))
    yield made("texts-longest", "Texts, a tag and metadata of 65,536 bytes, and a prefix of 65,535.", [
        {"kind": "routing", "time": NOW, "query_id": "x" * STRING_BYTES_MAX, "query_text": "y" * STRING_BYTES_MAX,
         "tags": {"k" * STRING_BYTES_MAX: "y" * STRING_BYTES_MAX},
         "metadata": '{"m":"' + "m" * (STRING_BYTES_MAX - 8) + '"}'},
        {"kind": "routing", "time": NOW, "query_id": "x" * (STRING_BYTES_MAX - 1) + "y"}])
    yield made("times", "Edges of the range of times and of years: the same base time, later and earlier records.", [
        {"kind": "system", "time": time} for time in (
            0, -1, 1, NOW, -62_167_219_200_000_000, -62_167_219_200_000_001, 253_402_300_799_999_999,
            253_402_300_800_000_000, 951_782_400_000_000, TIME_MIN, 0, TIME_MAX)])
    yield made("time-first", "The first time, as base time too.", [{"kind": "system", "time": TIME_MIN}])
    yield made("time-last", "The last time, as base time too.", [{"kind": "system", "time": TIME_MAX}])
    yield made("time-stored-ends", "The first and the last time that every database keeps; an encoder keeps both.", [
        {"kind": "system", "time": TIME_MIN}, {"kind": "system", "time": TIME_STORED_MAX - 2**63 + 1},
        {"kind": "system", "time": TIME_STORED_MAX}])
    yield time_differences()
    yield base_time_appended()
    yield Good("time-base-apart", "The base time is not that of a record: a decoder must not take it for one.",
               encode([{"kind": "system", "time": 5}, {"kind": "system", "time": -5}], base_time=TIME_MAX - 10),
               canonical=False)
    yield made("tags", "No tags, an empty set, one, many in the order of their bytes, shared strings, empty strings.", [
        {"kind": "point", "time": NOW}, {"kind": "point", "time": NOW, "tags": {}},
        {"kind": "point", "time": NOW, "tags": {"b": "b"}},
        {"kind": "point", "time": NOW, "tags": {"Z": "1", "a": "Z", "é": "é", "\uffff": "1", "🚀": "", "": "a"}},
        {"kind": "point", "time": NOW, "tags": {"a": "Z", "ab": "a", "b": "ab"}, "metric_name": "ab"}])
    yield made("tags-most", "256 tags.", [
        {"kind": "system", "time": NOW, "tags": {f"key {n}": f"value {n % 7}" for n in range(TAGS_PER_RECORD_MAX)}}])
    yield made("metadata", "Objects with every escape, numbers at their limits, the same key twice.", [
        {"kind": "point", "time": NOW, "metadata": text} for text in METADATA])
    yield made("metadata-deepest", "64 levels, of arrays and of objects.", [
        {"kind": "point", "time": NOW, "metadata": nested(64)},
        {"kind": "point", "time": NOW, "metadata": '{"a":' * 63 + '{"a":[]}'.replace("[]", "0") + "}" * 63}])
    yield made("prefix", "Identifiers that count up, grow, shrink, repeat, are empty or absent.", ids(
        "query_00001234", "query_00001235", "query_00001299", "query_00001300", "query_00001300", "query_0000",
        "query_00001", "", "", "query", None, None, "query_1", "other", None, "other2"))
    yield made("prefix-inside-character", "The shared prefix ends within a character: é and è, 🚀 and 🚁 share bytes.",
               ids("é", "è", "é1", "🚀", "🚁", "🚁🚀", "🚁🚁", "検", "楜"))
    yield made("prefix-two-fields", "Two fields with prefixes, each with its own older value.", [
        {"kind": "execution", "time": NOW, "execution_id": "run-1", "sandbox_id": "box-1"},
        {"kind": "execution", "time": NOW, "execution_id": "run-2"},
        {"kind": "execution", "time": NOW, "sandbox_id": "box-2"},
        {"kind": "execution", "time": NOW, "execution_id": "box-2", "sandbox_id": "run-2"}])
    yield made("bools", "Absent, false and true are three things.", [
        {"kind": "execution", "time": NOW} | fields for fields in (
            {}, {"success": False}, {"success": True}, {"timeout_occurred": False}, {"timeout_occurred": True},
            {"success": True, "timeout_occurred": True}, {"success": False, "timeout_occurred": True})])
    yield made("all-kinds", "A block of each kind, which share the dictionary.",
               [filled(kind, NOW + 1000 * n, 1) for n, kind in enumerate(KINDS)])
    yield made("reverse-time", "Each record is older than the one before.",
               [{"kind": "memory", "time": NOW - 86_400_000_000 * n, "agent_id": "ada"} for n in range(5)])
    yield made("identity-extremes", "The largest source, session and sequence.", [{"kind": "point", "time": NOW}],
               source=U64_MAX, session=U64_MAX, sequence=U64_MAX)
    yield made("source-0", "Source 0, anonymous, with a session and a sequence: numbered as any other.",
               [{"kind": "point", "time": NOW}], source=0, session=SESSION, sequence=1)
    yield made("values-other", "Texts that `values` of kinds.json does not name: stored as they are.", [
        {"kind": "memory", "time": NOW, "memory_operation": "defragment"},
        {"kind": "compute", "time": NOW, "operation_type": ""}])
    yield record_over_datagram()
    yield made("routing-1000", "A thousand records of a router.", [routing(n) for n in range(1234, 2234)],
               source=SOURCE, session=SESSION, sequence=1)
    yield made("records-most", "16,384 records, which is the most.",
               [{"kind": "point", "time": NOW}] * RECORDS_PER_FRAME_MAX)
    yield expanded("expansion-most", "Texts of exactly 16 times the payload.", 0)

    first, second = [filled(KINDS[0])], [filled(KINDS[7]), filled(KINDS[8])]
    yield Good("datagram-of-three", "Three frames in one datagram: records, a heartbeat, records.",
               encode(first, source=1, session=2, sequence=3) + heartbeat() + encode(second, source=1, session=2,
                                                                                     sequence=4),
               expected=first + second)
    record = {"kind": "point", "time": NOW, "value": 1.5}
    yield Good("header-longer", "A header of 60 bytes: eight that a reader of today skips.",
               encode([record], extra=b"\x01future\x02", sequence=1), canonical=False, expected=[record])
    yield Good("header-longest", "A header of 255 bytes.", encode([record], extra=bytes(range(203))), canonical=False,
               expected=[record])
    yield Good("flags-ignorable", "Flags 4 to 7 are set, which a reader need not know.", encode([record], flags=0xF0),
               canonical=False, expected=[record])
    keys = {7: bytes(range(32)), 0xFFFFFFFF: b"a short key"}
    yield Good("authenticated", "With an authentication code; a reader without keys can read it as well.",
               encode([record], sequence=1, key_id=7, key=keys[7]), canonical=False, expected=[record], keys=keys)
    yield Good("authenticated-longer", "With an authentication code, a longer header and the largest key id.",
               encode([record], sequence=2, key_id=0xFFFFFFFF, key=keys[0xFFFFFFFF], extra=b"future", flags=0xA0),
               canonical=False, expected=[record], keys=keys)
    yield later_version()
    yield later_bitmap()
    yield unknown_kind()

    identity = {"source": SOURCE, "session": SESSION}
    yield Good("heartbeat", "Totals of a client.", heartbeat())
    yield heartbeat_totals()
    yield Good("heartbeat-extremes", "The largest totals, and a name of 255 bytes.", encode_control("heartbeat", {
        "frames_sent": U64_MAX, "records_sent": U64_MAX, "bytes_sent": U64_MAX, "records_dropped": U64_MAX,
        "name": "é" * 127 + "e"}, source=U64_MAX, session=U64_MAX, sequence=U64_MAX))
    yield Good("heartbeat-empty", "Nothing sent yet, no name.", encode_control("heartbeat", {
        "frames_sent": 0, "records_sent": 0, "bytes_sent": 0, "records_dropped": 0, "name": ""}))
    yield Good("welcome", "A session that the collector has a part of.", encode_control("welcome", {
        "frame_bytes_max": FRAME_BYTES_MAX, "records_per_frame_max": RECORDS_PER_FRAME_MAX,
        "ranges": [[1, 41], [43, 1], [50, 100_000]]}, **identity))
    yield Good("welcome-new", "A session that is new to the collector.", encode_control("welcome", {
        "frame_bytes_max": FRAME_BYTES_MAX, "records_per_frame_max": RECORDS_PER_FRAME_MAX, "ranges": []}, **identity))
    yield Good("acknowledgement", "One range.", encode_control("acknowledgement", {"ranges": [[1, 7]]}, **identity))
    yield Good("acknowledgement-extremes", "Up to the last sequence that a range can hold.", encode_control(
        "acknowledgement", {"ranges": [[1, 1], [3, 1], [2**63, 2**63 - 1]]}, **identity))
    yield Good("acknowledgement-most", "1,024 ranges.", encode_control(
        "acknowledgement", {"ranges": [[1 + 2 * n, 1] for n in range(1024)]}, **identity))
    yield Good("refusal", "A frame was refused.", encode_control("refusal", {
        "code": 21, "offset": 57, "explanation": "invalid_utf8 at byte 57"}, sequence=7, **identity))
    yield Good("refusal-of-heartbeat", "A heartbeat was refused: the sequence is 0, whatever the heartbeat's was.",
               encode_control("refusal", {"code": 28, "offset": 65, "explanation": "trailing_bytes at byte 65"},
                              **identity))
    yield Good("refusal-unknown-code", "A reason of the future is no fault.", encode_control("refusal", {
        "code": 999, "offset": 0, "explanation": ""}, sequence=7, **identity))
    yield Good("receipt", "The end of a connection.", encode_control("receipt", {
        "frames_accepted": 10, "records_accepted": 12_345, "frames_refused": 1, "frames_resent": 2}, **identity))


def made(name, about, records, **header):
    """A vector of the encoder, with the records in the order in which blocks have them."""
    return Good(name, about, encode(records, **header), expected=records)


def heartbeat():
    return encode_control("heartbeat", {"frames_sent": 7, "records_sent": 2100, "bytes_sent": 123_456,
                                        "records_dropped": 5, "name": "router-1"},
                          source=SOURCE, session=SESSION, sequence=7)


def time_differences():
    """Frames that end because the next difference has more than 64 bits."""
    far = TIME_MIN + 2**63 - 1
    records = [{"kind": "system", "time": time} for time in (TIME_MIN, far, TIME_MIN, TIME_MAX, TIME_MIN)]
    frames = encode_all(records)
    assert len(frames) == 3
    return Good("time-differences", "Five records that an encoder puts into three frames: the first two differences are "
                "the largest and the smallest of 64 bits but one, the next two do not fit.", b"".join(frames),
                expected=records)


def base_time_appended():
    """Kinds in descending order: the base time and the dictionary's order are those of the appending."""
    records = [{"kind": "routing", "time": NOW + 3, "model_selected": "third"},
               {"kind": "memory", "time": NOW + 70, "agent_id": "second", "memory_type": "first"},
               {"kind": "point", "time": NOW + 500, "metric_name": "first"},
               {"kind": "point", "time": NOW + 600, "metric_name": "third"}]
    appended = [2, 1, 0, 3]
    return Good("base-time-appended", "Appended as point, memory, routing, point: the base time is that of the record "
                "appended first, whatever block it is in, and so is the order of the dictionary's strings.",
                encode([records[place] for place in appended], sequence=1), canonical=False, expected=records,
                appended=appended)


def record_over_datagram():
    """A record that no datagram of the default size holds, between two small ones."""
    records = [{"kind": "point", "time": NOW, "value_text": text} for text in ("small", "x" * 3_000, "small")]
    frames = encode_all(records)
    assert [len(data) > 1_400 for data in frames] == [False, True, False]
    return Good("record-over-datagram", "A record over 1,400 bytes, for which an encoder that fills 1,400 bytes makes a "
                "frame of its own, between two small ones.", b"".join(frames), expected=records)


def heartbeat_totals():
    """Two record frames of a session, and the heartbeat that follows them."""
    identity = {"source": SOURCE, "session": SESSION}
    records = [[routing(1), routing(2)], [{"kind": "point", "time": NOW}]]
    frames = [encode(entries, sequence=place, **identity) for place, entries in enumerate(records, 1)]
    totals = {"frames_sent": 2, "records_sent": 3, "bytes_sent": sum(map(len, frames)), "records_dropped": 0,
              "name": "router-1"}
    return Good("heartbeat-totals", "Two record frames and the heartbeat behind them: it counts record frames, each once "
                "however often it is sent, and their bytes with the headers; no heartbeats.",
                b"".join(frames) + encode_control("heartbeat", totals, sequence=2, **identity),
                expected=records[0] + records[1])


def later_version():
    """Points of a version 2 with two more fields: an i32 and a text, in 9 bits, so in a larger bitmap."""
    bits = 9
    records = (record(bits, 1 << 4 | 1 << 7 | 1 << 8, zigzag(1) + f64(2.5) + zigzag(99) + varint(0))
               + record(bits, 1 << 3, zigzag(1) + varint(1)) + record(bits, 1 << 8, zigzag(1) + varint(2)))
    strings = dictionary("only of the later field", "known", "also only of the later field")
    return Good("later-version", "Points of version 2, with two fields that a reader of today skips; two strings it "
                "sees no use of.", frame(strings + block(9, records, version=2, bits=bits, count=3), 3, base_time=NOW),
                canonical=False, expected=[{"kind": "point", "time": NOW + 1, "value": 2.5},
                                           {"kind": "point", "time": NOW + 2, "metric_name": "known"},
                                           {"kind": "point", "time": NOW + 3}])


def later_bitmap():
    """Points of a version 255 with 64 bits, all the later ones set."""
    body = record(64, (2**64 - 1) & ~0b1111111 | 1 << 4, zigzag(0) + f64(1.0) + b"\xff" * 40)
    return Good("later-version-64-bits", "Points of version 255 with 64 presence bits, and bytes that are no item.",
                frame(dictionary() + block(9, body, version=255, bits=64), 1, base_time=NOW), canonical=False,
                expected=[{"kind": "point", "time": NOW, "value": 1.0}])


def unknown_kind():
    point = record(7, 1 << 3, zigzag(0) + varint(1))
    payload = (dictionary("of the unknown kind", "known") + block(9, point)
               + block(10, b"\xff\xfe whatever \x00", version=3, bits=2, count=2) + block(255, b"", bits=64, count=1))
    return Good("unknown-kind", "Blocks of kinds 10 and 255, which a reader skips by their length and counts.",
                frame(payload, 4, base_time=NOW), canonical=False,
                expected=[{"kind": "point", "time": NOW, "metric_name": "known"}])


def random_frames(seed, count):
    """Random frames of the encoder, for tests that compare implementations."""
    pick, data = random.Random(seed), b""
    pool = [random_text(pick) for _ in range(30)]
    for sequence in range(1, count + 1):
        records = [random_record(pick, pool) for _ in range(pick.choice([1, 2, 10, 100]))]
        records.sort(key=lambda entry: KIND_BY_NAME[entry["kind"]]["id"])
        data += encode(records, source=pick.getrandbits(64), session=pick.getrandbits(64), sequence=sequence)
    return data


def random_text(pick):
    alphabet = pick.choice(["abc_0123", "aäßé", "検索楜", "🚀🚁a", "\"\\\n\u0001 ", "e\u0301\u00e9"])
    return "".join(pick.choice(alphabet) for _ in range(pick.choice([0, 1, 3, 8, 20, 200])))


def random_record(pick, pool):
    kind = pick.choice(KINDS)
    # No two times are further apart than a difference of 64 bits reaches.
    entry = {"kind": kind["name"], "time": pick.choice([NOW + pick.randrange(-10**9, 10**9), 0, -1, 10**18, TIME_MIN])}
    dense = pick.random()
    for field in kind["fields"]:
        if pick.random() > dense:
            continue
        type_ = field["type"]
        if type_ == "text":
            value = pick.choice(pool) if pick.random() < 0.7 else random_text(pick)
            if field["coding"] == "prefix" and pick.random() < 0.8:
                value = f"query_{pick.randrange(10**6):08d}"
        elif type_ == "bool":
            value = pick.random() < 0.5
        elif type_ in ("i32", "i64"):
            width = 32 if type_ == "i32" else 64
            value = pick.choice([pick.getrandbits(width), pick.getrandbits(7), 0]) - 2**(width - 1)
            value = value if pick.random() < 0.5 else pick.randrange(-200, 200)
        elif type_ == "f32":
            value = struct.unpack("<f", struct.pack("<I", pick.getrandbits(32)))[0]
        else:
            value = struct.unpack("<d", struct.pack("<Q", pick.getrandbits(64)))[0]
        entry[field["name"]] = value
    if pick.random() < 0.3:
        entry["tags"] = {pick.choice(pool): pick.choice(pool) for _ in range(pick.choice([0, 1, 5]))}
    if pick.random() < 0.3:
        entry["metadata"] = pick.choice(METADATA)
    return entry


# ---------------------------------------------------------------------------------------------- Frames by hand

class Marked:
    """Bytes with one marked place: where the fault is."""

    def __init__(self, data, mark):
        self.data, self.mark = data, mark

    def __len__(self):
        return len(self.data)

    def __add__(self, other):
        assert not isinstance(other, Marked)
        return Marked(self.data + other, self.mark)

    def __radd__(self, other):
        return Marked(other + self.data, len(other) + self.mark)


def at(data=b""):
    """The fault begins here."""
    return Marked(data, 0)


def dictionary(*strings):
    out = varint(len(strings))
    for text in strings:
        out = out + (text if isinstance(text, Marked) else string(text))
    return out


def record(bits, bitmap, body, length=None):
    """`body` begins with the time; `length` instead of the right one."""
    body = bitmap.to_bytes((bits + 7) // 8, "little") + body if isinstance(bitmap, int) else bitmap + body
    return (varint(len(body)) if length is None else length) + body


def block(kind, records, *, version=1, bits=None, count=1, length=None):
    """`count` and `length` may be bytes, for faults in them; so may kind, version and bits."""
    if bits is None:
        bits = presence_bits(next(entry for entry in KINDS if entry["id"] == kind))
    head = b""
    for item in (kind, version, bits):
        head = head + (bytes([item]) if isinstance(item, int) else item)
    head = head + (varint(count) if isinstance(count, int) else count)
    head = head + (varint(len(records)) if length is None else length)
    return head + records


def frame(payload, count=1, **header):
    """The frame, and the offset of the marked place if there is one."""
    if isinstance(payload, Marked):
        return seal(payload.data, count=count, **header), 52 + payload.mark
    return seal(payload, count=count, **header)


def point(bitmap, body, **options):
    """A frame with one point: bits 2 metric_type, 3 metric_name, 4 value, 5 value_text, 6 level."""
    strings = options.pop("strings", ())
    count = options.pop("header_count", 1)
    return frame(dictionary(*strings) + block(9, record(7, bitmap, body), **options), count, base_time=NOW)


def identifiers(*values):
    """A frame with a routing record for each encoded value of query_id."""
    records = b""
    for value in values:
        records = records + record(15, 1 << 2, zigzag(0) + value)
    return frame(dictionary() + block(1, records, count=len(values)), len(values), base_time=NOW)


def prefixed(shared, rest):
    return varint(shared) + string(rest)


def metadata(before, fault=b"", behind=b""):
    """A point with metadata; the fault begins behind `before`."""
    text = before + at(fault) + behind
    return point(1 << 1, zigzag(0) + varint(len(text)) + text)


def expanded(name, about, excess):
    """Points that share one text; the texts' bytes are 16 times the payload and `excess` more in the last record."""
    for length in range(200, 5000):
        one = record(7, 1 << 3, zigzag(0) + varint(0))
        for count in (17, 18, 19, 20):
            payload = dictionary("x" * length) + block(9, one * count, count=count)
            # A second text, in the first record's place, evens out the rest.
            missing = EXPANSION_FACTOR_MAX * len(payload) - length * count
            if missing == 0:
                if excess == 0:
                    return Good(name, about, frame(payload, count, base_time=NOW))
                break
    raise AssertionError("no such frame")


def overlong(number, length):
    """A varint with zero bits at its end: more bytes than it needs."""
    short = varint(number)
    assert length > len(short)
    return short[:-1] + bytes([short[-1] | 0x80]) + b"\x80" * (length - len(short) - 1) + b"\x00"


GET = int.from_bytes(b"GET ", "little")  # 542,393,671
GET_BIG = int.from_bytes(b"GET ", "big")  # 1,195,725,856


# ---------------------------------------------------------------------------------------------- Frames to refuse

def reject():
    for name, about, reason, made_frame in _reject():
        data, offset = made_frame
        yield Reject(name, about, reason, offset, data)


def patched(offset, value, fault=None, *, reseal=True, base=None):
    """The frame of a plain point with bytes replaced, and the checksum made right again."""
    from reference import crc32c
    data = bytearray(base or encode([{"kind": "point", "time": NOW, "value": 1.5}], sequence=1))
    data[offset:offset + len(value)] = value
    if reseal:
        data[12:16] = bytes(4)
        data[12:16] = struct.pack("<I", crc32c(data))
    return bytes(data), offset if fault is None else fault


def _reject():
    plain = encode([{"kind": "point", "time": NOW, "metric_name": "name", "value": 1.5}], sequence=1)
    u32 = lambda value: struct.pack("<I", value)
    i64 = lambda value: struct.pack("<q", value)

    # Header, 1 to 13
    yield "empty", "No byte at all.", "truncated_header", (b"", 0)
    yield "header-one-byte", "One byte.", "truncated_header", (plain[:1], 1)
    yield "header-51-bytes", "One byte is missing.", "truncated_header", (plain[:51], 51)
    yield "header-http-short", "A short HTTP request.", "truncated_header", (b"GET / HTTP/1.1\r\n\r\n", 18)
    yield ("header-length-unread", "The header says 72 bytes, 60 came.", "truncated_header",
           (seal(b"", count=1, extra=bytes(20))[:60], 60))
    yield "magic-http", "An HTTP request.", "bad_magic", (
        b"GET / HTTP/1.1\r\nHost: localhost:8127\r\nUser-Agent: probe/1.0\r\nAccept: */*\r\n\r\n", 0)
    yield "magic-case", "The magic in small letters.", "bad_magic", patched(0, b"spwy")
    yield "magic-and-all", "Magic, version, type, flags, length are wrong: the magic is first.", "bad_magic", patched(
        0, b"\0\0\0\0\x02\x00\x07\xff\xff\xff\xff\xff", 0)
    yield "version-0", "Version 0.", "unsupported_version", patched(4, b"\0")
    yield "version-2", "Version 2, whose header may be another.", "unsupported_version", patched(4, b"\2\0\xff", 4)
    yield "type-2", "A type between the known ones.", "unknown_type", patched(6, b"\2")
    yield "type-255", "The type comes before the header's length, which is wrong too.", "unknown_type", patched(
        5, b"\0\xff", 6)
    for bit in (1, 2, 3):
        yield f"flag-{bit}", "A flag that a reader has to understand.", "unknown_flag", patched(7, bytes([1 << bit]))
    yield "header-length-51", "Too short for any header.", "bad_header_length", patched(5, b"\x33")
    yield "header-length-0", "No header.", "bad_header_length", patched(5, b"\0")
    yield "header-length-71", "Too short for the authentication that the flags have.", "bad_header_length", patched(
        5, b"\x47\0\1", 5)
    yield "payload-length-get", "\"GET \" as a length: 542,393,671 bytes.", "frame_too_large", patched(8, u32(GET))
    yield "payload-length-get-big", "1,195,725,856 as a payload length.", "frame_too_large", patched(8, u32(GET_BIG))
    yield "payload-length-most", "4 GiB less one.", "frame_too_large", patched(8, u32(2**32 - 1))
    yield ("payload-length-one-over", "A byte over 1 MiB with the header; the bytes are not there.", "frame_too_large",
           patched(8, u32(FRAME_BYTES_MAX - 51)))
    yield ("payload-length-at-limit", "1 MiB with the header is allowed, but the bytes are not there.",
           "truncated_payload", patched(8, u32(FRAME_BYTES_MAX - 52), len(patched(0, b"")[0])))
    yield "payload-cut", "The last byte is missing.", "truncated_payload", (plain[:-1], len(plain) - 1)
    yield "payload-missing", "The header alone.", "truncated_payload", (plain[:52], 52)
    yield "checksum-zero", "No checksum.", "checksum_mismatch", patched(12, bytes(4), reseal=False)
    yield "checksum-payload", "A bit of the payload is turned.", "checksum_mismatch", patched(
        len(plain) - 1, bytes([plain[-1] ^ 1]), 12, reseal=False, base=plain)
    yield "checksum-source", "The source was changed.", "checksum_mismatch", patched(16, b"\1", 12, reseal=False)
    yield "checksum-first", "Wrong base time and record count behind a wrong checksum.", "checksum_mismatch", patched(
        40, i64(I64_MIN) + u32(0), 12, reseal=False)
    yield "base-time-too-early", "A microsecond before TIMESTAMPTZ begins.", "time_out_of_range", patched(
        40, i64(TIME_MIN - 1))
    yield "base-time-first", "The base time comes before the record count.", "time_out_of_range", patched(
        40, i64(I64_MIN) + u32(99_999))
    yield ("base-time-heartbeat", "The base time of a frame without records is checked as well.", "time_out_of_range",
           patched(40, i64(I64_MIN), base=heartbeat()))
    yield "records-none", "A record frame without records.", "empty_frame", (frame(dictionary(), 0), 48)
    yield "records-none-with-block", "Record count 0 and yet a block.", "empty_frame", patched(48, u32(0))
    yield "records-too-many", "16,385 records.", "too_many_records", patched(48, u32(RECORDS_PER_FRAME_MAX + 1))
    yield "records-4g", "2^32 - 1 records.", "too_many_records", patched(48, u32(2**32 - 1))
    yield "records-of-heartbeat", "A heartbeat with a record count.", "record_count_mismatch", patched(
        48, u32(1), base=heartbeat())
    yield "records-of-receipt", "A receipt with a record count over the limit.", "record_count_mismatch", patched(
        48, u32(2**31), base=seal(bytes(4), type=19))

    # The dictionary
    yield "payload-empty", "A payload without bytes.", "truncated", frame(at())
    yield "dictionary-count-cut", "The count does not end.", "truncated", frame(at(b"\x80"))
    yield "dictionary-count-overlong", "Count 0 in two bytes.", "overlong_varint", frame(at(overlong(0, 2)) + b"\0")
    yield "dictionary-count-16385", "16,385 strings.", "too_many_strings", frame(at(varint(16_385)) + b"\0" * 16_385)
    yield "dictionary-count-get", "\"GET \" as a count of strings.", "too_many_strings", frame(at(varint(GET)) + b"\0")
    yield "dictionary-count-most", "2^64 - 1 strings.", "too_many_strings", frame(at(varint(U64_MAX)))
    yield "dictionary-count-no-strings", "16,384 strings are promised, none is there.", "truncated", frame(
        varint(16_384) + at())
    yield "dictionary-string-cut", "A string of 5 with 4 bytes.", "truncated", frame(
        b"\1" + varint(5) + at(b"abcd"))
    yield "dictionary-string-get", "\"GET \" as a string's length.", "string_too_long", frame(
        b"\1" + at(varint(GET_BIG)) + b"abcd")
    yield "dictionary-string-most", "A string of 2^64 - 1 bytes: the sum with the position must not overflow.", (
        "string_too_long"), frame(b"\1" + at(varint(U64_MAX)) + b"abcd")
    yield "dictionary-string-one-over", "A string of 65,537 bytes, all there.", "string_too_long", frame(
        b"\1" + at(varint(65_537)) + b"a" * 65_537)
    yield "dictionary-string-cut-at-limit", "A string of 65,536 bytes, which are not there.", "truncated", frame(
        b"\1" + varint(65_536) + at(b"a"))
    yield "dictionary-length-overlong", "A string's length in ten bytes.", "overlong_varint", frame(
        b"\1" + at(overlong(1, 10)) + b"a")
    yield "dictionary-length-11-bytes", "A varint that goes on behind ten bytes.", "varint_too_large", frame(
        b"\1" + at(b"\x80" * 11 + b"\1"))
    yield "dictionary-length-65-bits", "A varint of ten bytes with a 65th bit.", "varint_too_large", frame(
        b"\1" + at(b"\xff" * 9 + b"\x02"))
    bad = {"continuation": b"\x80", "overlong-2": b"\xc0\x80", "overlong-2-slash": b"\xc1\xaf", "overlong-3":
           b"\xe0\x9f\xbf", "overlong-4": b"\xf0\x8f\xbf\xbf", "surrogate": b"\xed\xa0\x80", "too-high":
           b"\xf4\x90\x80\x80", "lead-f5": b"\xf5\x80\x80\x80", "cut-2": b"\xc3", "cut-3": b"\xe6\xa4",
           "cut-4": b"\xf0\x9f\x9a", "ff": b"\xff"}
    for name, sequence in bad.items():
        behind = b"" if name.startswith("cut") else b" text behind"
        text = b"text before " + at(sequence) + behind
        yield f"utf8-{name}", "Not UTF-8, within a text.", "invalid_utf8", frame(b"\1" + varint(len(text)) + text)
    text = b"ab\xc3" + b"\xa9" + at(b"\xe6\xa4") + b"A"
    yield "utf8-third-byte", "A sequence that breaks off at its third byte.", "invalid_utf8", frame(
        b"\1" + varint(len(text)) + text)
    text = b"ab" + at(b"\0") + b"cd\xff"
    yield "null-first", "U+0000, and bad UTF-8 behind it.", "null_character", frame(b"\1" + varint(len(text)) + text)
    text = b"ab" + at(b"\xff") + b"cd\0"
    yield "null-second", "Bad UTF-8, and U+0000 behind it.", "invalid_utf8", frame(b"\1" + varint(len(text)) + text)
    yield "dictionary-duplicate", "The same string twice.", "duplicate_string", frame(
        b"\3" + string("a") + string("b") + at(string("a")))
    yield "dictionary-duplicate-empty", "The empty string twice.", "duplicate_string", frame(
        b"\2" + string("") + at(string("")))
    yield "dictionary-duplicate-first", "A duplicate, and a fault in the string behind it.", "duplicate_string", frame(
        b"\3" + string("a") + at(string("a")) + string(b"\xff"))
    yield "dictionary-fault-before-duplicate", "A fault in a string, and a duplicate behind it.", "invalid_utf8", frame(
        b"\3" + string("a") + varint(1) + at(b"\xff") + string("a"))
    name_only = record(7, 1 << 3, zigzag(0) + varint(0))
    yield "dictionary-unused", "The second of three strings is not used.", "unused_string", frame(
        b"\3" + string("a") + at(string("b")) + string("c") + block(9, record(7, 0b1001000, zigzag(0) + b"\0\2")))
    yield "dictionary-unused-first", "Two are not used: the first one counts.", "unused_string", frame(
        b"\2" + at(string("a")) + string("") + block(9, record(7, 0, zigzag(0))))
    yield "end-unused-and-count", "An unused string and a wrong record count.", "unused_string", frame(
        b"\1" + at(string("a")) + block(9, record(7, 0, zigzag(0))), 2)
    yield "end-no-block-and-all", "No block, an unused string, a wrong record count.", "no_block", frame(
        b"\1" + string("a") + at(), 5)
    yield "no-block", "A dictionary and nothing else.", "no_block", frame(dictionary() + at())

    # Blocks
    empty = record(7, 0, zigzag(0))
    yield "block-kind-0", "Kind 0.", "block_order", frame(dictionary() + at(b"\0\1\2\1\0"))
    yield "block-order-down", "Kind 8 behind kind 9.", "block_order", frame(
        dictionary() + block(9, empty) + at(block(8, record(13, 0, zigzag(0)))), 2)
    yield "block-order-same", "The same kind twice.", "block_order", frame(
        dictionary() + block(9, empty) + at(block(9, empty)), 2)
    yield "block-order-unknown", "A known kind behind an unknown one.", "block_order", frame(
        dictionary() + block(200, b"?", bits=9) + at(block(9, empty)), 2)
    yield "block-version-0", "Version 0.", "bad_block_version", frame(
        dictionary() + b"\x09" + at(b"\0") + b"\7\1\3\2\0\0")
    yield "block-version-0-unknown-kind", "Version 0 of an unknown kind.", "bad_block_version", frame(
        dictionary() + b"\xc8" + at(b"\0") + b"\7\1\0")
    for name, kind, version, bits in [
            ("fewer", 9, 1, 6), ("more", 9, 1, 8), ("later-fewer", 9, 2, 6), ("later-over-64", 9, 2, 65),
            ("unknown-1", 200, 1, 1), ("unknown-65", 200, 1, 65), ("255", 9, 1, 255), ("0", 1, 1, 0)]:
        yield f"block-bits-{name}", f"Kind {kind}, version {version}, {bits} presence bits.", "bad_bit_count", frame(
            dictionary() + bytes([kind, version]) + at(bytes([bits])) + b"\1" + string(empty))
    yield "block-count-0", "A block without records.", "empty_block", frame(
        dictionary() + b"\x09\1\7" + at(b"\0") + b"\0")
    yield "block-count-0-with-bytes", "Record count 0, and yet a record.", "empty_block", frame(
        dictionary() + block(9, empty, count=at(b"\0")))
    data = frame(dictionary() + block(9, empty * 2, count=2), 1)
    yield "block-count-over-header", "Two records where the header has one.", "record_count_mismatch", (data, 48)
    data = frame(dictionary() + block(8, record(13, 0, zigzag(0))) + block(9, empty * 2, count=2), 2)
    yield "block-count-over-rest", "The second block has more than is left.", "record_count_mismatch", (data, 48)
    data = frame(dictionary() + block(200, b"", bits=2, count=GET), 1)
    yield "block-count-get", "\"GET \" as a record count of an unknown kind.", "record_count_mismatch", (data, 48)
    data = frame(dictionary() + block(9, empty, count=U64_MAX), 1)
    yield "block-count-most", "2^64 - 1 records.", "record_count_mismatch", (data, 48)
    data = frame(dictionary() + block(9, empty), 2)
    yield "block-count-under-header", "One record where the header has two.", "record_count_mismatch", (data, 48)
    yield "block-count-overlong", "A record count in two bytes.", "overlong_varint", frame(
        dictionary() + block(9, empty, count=at(overlong(1, 2))))
    for cut in range(1, 5):
        head = b"\x09\1\7\1\3"
        yield f"block-cut-{cut}", f"A block of {cut} bytes.", "truncated", frame(dictionary() + head[:cut] + at())
    yield "block-length-over", "A byte length one over the payload.", "truncated", frame(
        dictionary() + b"\x09\1\7\1" + varint(len(empty) + 1) + at(empty))
    yield "block-length-get", "\"GET \" as a byte length.", "truncated", frame(
        dictionary() + b"\x09\1\7\1" + varint(GET) + at(empty))
    yield "block-length-most", "A byte length of 2^64 - 1 of an unknown kind.", "truncated", frame(
        dictionary() + b"\xc8\1\7\1" + varint(U64_MAX) + at(empty))
    yield "block-length-short", "A byte length that ends within the record.", "truncated", frame(
        dictionary() + b"\x09\1\7\1" + varint(2) + empty[:1] + at(empty[1:]))
    yield "block-records-missing", "Two records are promised, one is there.", "truncated", frame(
        dictionary() + block(9, empty + at(), count=2), 2)
    yield "block-trailing", "A byte behind the last record.", "trailing_bytes", frame(
        dictionary() + block(9, empty + at(b"\0")))
    yield "block-trailing-record", "A second record, where one is promised.", "trailing_bytes", frame(
        dictionary() + block(9, empty + at(empty)))
    yield "block-later-trailing", "Behind the last record of a later version.", "trailing_bytes", frame(
        dictionary() + block(9, record(8, 0, zigzag(0)) + at(b"\0"), version=2, bits=8))
    yield "block-behind-last", "A byte behind the last block is the kind of the next one.", "block_order", frame(
        dictionary() + block(9, empty) + at(b"\0"))

    # Records
    yield "record-length-0", "A record of no bytes.", "truncated", frame(dictionary() + block(9, b"\0" + at()))
    yield "record-length-over", "A length one over the block.", "truncated", frame(
        dictionary() + block(9, varint(3) + at(b"\0\0")))
    yield "record-length-get", "\"GET \" as a record's length.", "truncated", frame(
        dictionary() + block(9, varint(GET) + at(b"\0\0")))
    yield "record-length-most", "A length of 2^64 - 1.", "truncated", frame(
        dictionary() + block(9, varint(U64_MAX) + at(b"\0\0")))
    yield "record-length-overlong", "A length in three bytes.", "overlong_varint", frame(
        dictionary() + block(9, at(overlong(2, 3)) + b"\0\0"))
    yield "record-without-time", "A bitmap and nothing else.", "truncated", frame(
        dictionary() + block(9, b"\1\0" + at()))
    yield "record-bitmap-cut", "One byte of a bitmap of two.", "truncated", frame(
        dictionary() + block(1, b"\1" + at(b"\0")))
    yield "record-trailing", "A byte behind the last field.", "trailing_bytes", point(0, zigzag(0) + at(b"\0"))
    yield "bits-behind-last", "Bit 7 of a point, which has 7 bits.", "unused_bits", point(at(b"\x80"), zigzag(0))
    yield "bits-behind-last-later", "Bit 9 of a later version with 9 bits.", "unused_bits", frame(
        dictionary() + block(9, record(9, at(b"\0\2"), zigzag(0)), version=2, bits=9))
    yield "bits-value-of-absent", "cache_hit is absent and true.", "unused_bits", frame(
        dictionary() + block(2, record(13, at((1 << 9).to_bytes(2, "little")), zigzag(0))))
    yield "bits-value-of-absent-last", "timeout_occurred is absent and true, in the last bit.", "unused_bits", frame(
        dictionary() + block(5, record(16, at((1 << 15).to_bytes(2, "little")), zigzag(0))))
    yield "bits-before-time", "A wrong bitmap and no time.", "unused_bits", frame(
        dictionary() + block(9, varint(1) + at(b"\x80")))
    yield "time-cut", "The time does not end.", "truncated", point(0, at(b"\x80"))
    yield "time-overlong", "A difference of 0 in two bytes.", "overlong_varint", point(0, at(overlong(0, 2)))
    yield "time-too-large", "A difference of 65 bits.", "varint_too_large", point(0, at(b"\xff" * 9 + b"\2"))
    yield "time-too-early", "Before the range.", "time_out_of_range", point(0, at(zigzag(TIME_MIN - NOW - 1)))
    yield "time-overflow", "A microsecond behind the range: the sum overflows.", "time_out_of_range", point(
        0, at(zigzag(TIME_MAX)))
    yield "time-underflow", "The sum overflows downwards.", "time_out_of_range", frame(
        dictionary() + block(9, record(7, 0, at(zigzag(I64_MIN)))), base_time=TIME_MIN)
    yield "time-second", "The second record's time, from the first one's.", "time_out_of_range", frame(
        dictionary() + block(9, record(7, 0, zigzag(TIME_MAX)) + record(7, 0, at(zigzag(1))), count=2), 2)

    # Fields
    yield "index-dangling", "Index 0 of no strings.", "dangling_index", point(1 << 3, zigzag(0) + at(b"\0"))
    yield "index-one-over", "Index 1 of one string.", "dangling_index", point(
        1 << 3, zigzag(0) + at(b"\1"), strings=["a"])
    yield "index-most", "Index 2^64 - 1.", "dangling_index", point(
        1 << 3, zigzag(0) + at(varint(U64_MAX)), strings=["a"])
    yield "index-overlong", "Index 0 in two bytes.", "overlong_varint", point(
        1 << 3, zigzag(0) + at(overlong(0, 2)), strings=["a"])
    yield "index-missing", "A text that the bitmap has and the record has not.", "truncated", point(
        1 << 3, zigzag(0) + at(), strings=["a"])
    yield "f64-cut", "Seven of eight bytes.", "truncated", point(1 << 4, zigzag(0) + at(bytes(7)))
    yield "f32-cut", "Three of four bytes.", "truncated", frame(
        dictionary() + block(1, record(15, 1 << 4, zigzag(0) + at(bytes(3)))))
    for name, bits in [("sign", NAN_F64 | 1 << 63), ("payload", NAN_F64 | 1), ("signalling", 0x7FF0000000000001)]:
        yield f"f64-nan-{name}", "Another NaN.", "bad_nan", point(1 << 4, zigzag(0) + at(struct.pack("<Q", bits)))
    for name, bits in [("sign", NAN_F32 | 1 << 31), ("payload", NAN_F32 | 1), ("signalling", 0x7F800001)]:
        yield f"f32-nan-{name}", "Another NaN.", "bad_nan", frame(
            dictionary() + block(1, record(15, 1 << 4, zigzag(0) + at(u32(bits)))))
    for name, value in [("over", I32_MAX + 1), ("under", I32_MIN - 1), ("most", I64_MAX), ("least", I64_MIN)]:
        yield f"i32-{name}", f"{value} in a field of 32 bits.", "integer_out_of_range", frame(
            dictionary() + block(1, record(15, 1 << 7, zigzag(0) + at(zigzag(value)))))
    yield "i32-overlong", "A small integer in two bytes.", "overlong_varint", frame(
        dictionary() + block(1, record(15, 1 << 7, zigzag(0) + at(overlong(2, 2)))))
    yield "i64-too-large", "An integer of 65 bits.", "varint_too_large", frame(
        dictionary() + block(2, record(13, 1 << 5, zigzag(0) + at(b"\xff" * 9 + b"\3"))))
    yield "i64-overlong", "Ten bytes whose last is zero.", "overlong_varint", frame(
        dictionary() + block(2, record(13, 1 << 5, zigzag(0) + at(b"\xff" * 9 + b"\0"))))
    yield "field-first", "A NaN in the first field, a dangling index in the next.", "bad_nan", point(
        1 << 4 | 1 << 5, zigzag(0) + at(struct.pack("<Q", NAN_F64 | 1)) + b"\7")

    # Prefixes
    yield "prefix-of-nothing", "The first value shares a byte with nothing.", "bad_prefix", identifiers(
        at(prefixed(1, "a")))
    yield "prefix-too-long", "Three bytes of a value of two.", "bad_prefix", identifiers(
        prefixed(0, "ab"), at(prefixed(3, "c")))
    yield "prefix-most", "A prefix of 2^64 - 1 bytes.", "bad_prefix", identifiers(
        prefixed(0, "ab"), at(prefixed(U64_MAX, "c")))
    yield "prefix-not-longest", "Nothing is shared, though the first byte is the same.", "bad_prefix", identifiers(
        prefixed(0, "ab"), at(prefixed(0, "ac")))
    yield "prefix-not-longest-same", "The same value again, with one byte less shared.", "bad_prefix", identifiers(
        prefixed(0, "ab"), at(prefixed(1, "b")))
    yield "prefix-not-longest-over-absent", "The older value stands two records before.", "bad_prefix", frame(
        dictionary() + block(1, record(15, 1 << 2, zigzag(0) + prefixed(0, "ab")) + record(15, 0, zigzag(0))
                             + record(15, 1 << 2, zigzag(0) + at(prefixed(0, "ab"))), count=3), 3)
    yield "prefix-overlong", "n in two bytes.", "overlong_varint", identifiers(at(overlong(0, 2)) + string("a"))
    yield "prefix-string-missing", "n and nothing behind it.", "truncated", identifiers(varint(0) + at())
    yield "prefix-string-cut", "3 bytes, one is missing.", "truncated", identifiers(varint(0) + varint(3) + at(b"ab"))
    yield "prefix-string-too-long", "A string of 65,537 bytes.", "string_too_long", identifiers(
        varint(0) + at(varint(65_537)) + b"a" * 10)
    yield "prefix-sum-too-long", "A value of 65,537 bytes, one of which is shared.", "string_too_long", identifiers(
        prefixed(0, "a"), at(prefixed(1, "b" * 65_536)))
    yield "prefix-inside-character", "The value ends with the first byte of a character.", "invalid_utf8", identifiers(
        prefixed(0, "é"), at(prefixed(1, "")))
    yield "prefix-breaks-character", "The value goes on with a letter within a character.", "invalid_utf8", identifiers(
        prefixed(0, "aé"), at(prefixed(2, "b")))
    yield "prefix-invalid-rest", "Bad UTF-8 in the bytes behind the prefix: the offset is that of n.", "invalid_utf8", (
        identifiers(at(prefixed(0, b"abc\xff"))))
    yield "prefix-null", "U+0000 behind the prefix: the offset is that of n.", "null_character", identifiers(
        at(prefixed(0, b"abc\0")))

    # Tags
    def tagged(*items, strings=("a", "b"), bitmap=1):
        body = zigzag(0)
        for item in items:
            body = body + item
        return point(bitmap, body, strings=strings)

    yield "tags-count-missing", "A record that ends before its tags.", "truncated", tagged(at())
    yield "tags-257", "257 tags.", "too_many_tags", tagged(at(varint(257)), b"\0\1" * 257)
    yield "tags-get", "\"GET \" as a count.", "too_many_tags", tagged(at(varint(GET)), b"\0\1")
    yield "tags-value-missing", "A key without a value.", "truncated", tagged(b"\1\0", at())
    yield "tags-pair-missing", "Two are promised, one is there.", "truncated", tagged(b"\2\0\1", at())
    yield "tags-order", "b before a.", "tag_order", tagged(b"\2\1\0", at(b"\0\1"))
    yield "tags-same-key", "The same key twice.", "tag_order", tagged(b"\2\0\0", at(b"\0\1"))
    yield "tags-order-bytes", "U+FFFF comes before 🚀 in bytes, though not in UTF-16.", "tag_order", tagged(
        b"\2\0\0", at(b"\1\1"), strings=("🚀", "\uffff"))
    yield "tags-order-prefix", "ab before a.", "tag_order", tagged(b"\2\0\0", at(b"\1\1"), strings=("ab", "a"))
    yield "tags-dangling-key", "A key's index that there is not.", "dangling_index", tagged(b"\1", at(b"\2\0"))
    yield "tags-dangling-value", "A value's index that there is not.", "dangling_index", tagged(b"\1\0", at(b"\2"))
    yield "tags-order-first", "A key out of order, whose value dangles.", "tag_order", tagged(b"\2\1\0", at(b"\0\7"))

    # Metadata
    yield "metadata-missing", "A record that ends before its metadata.", "truncated", point(1 << 1, zigzag(0) + at())
    yield "metadata-cut", "Metadata of 3 with 2 bytes.", "truncated", point(1 << 1, zigzag(0) + varint(3) + at(b"{}"))
    yield "metadata-too-long", "65,537 bytes.", "string_too_long", point(
        1 << 1, zigzag(0) + at(varint(65_537)) + b"{}")
    text = b'{"a":"' + at(b"\xff") + b'"}'
    yield "metadata-utf8", "Bad UTF-8 in a string.", "invalid_utf8", point(
        1 << 1, zigzag(0) + varint(len(text)) + text)
    text = b'{]"' + at(b"\xff") + b'"}'
    yield "metadata-utf8-first", "A fault of JSON before one of UTF-8: a string is checked as one first.", (
        "invalid_utf8"), point(1 << 1, zigzag(0) + varint(len(text)) + text)
    text = b'{"a":"' + at(b"\0") + b'"}'
    yield "metadata-null", "U+0000 as a byte.", "null_character", point(1 << 1, zigzag(0) + varint(len(text)) + text)
    for name, about, parts in [
            ("empty", "No text.", (b"",)),
            ("array", "An array.", (b"", b"[]")),
            ("string", "A string.", (b"", b'"a"')),
            ("number", "A number.", (b"", b"1")),
            ("space-first", "A space before.", (b"", b" {}")),
            ("space-last", "A newline behind.", (b"{}", b"\n")),
            ("space-in-object", "A space in an empty object.", (b"{", b" }")),
            ("space-behind-colon", "A space behind a colon.", (b'{"a":', b" 1}")),
            ("space-behind-comma", "A tab behind a comma.", (b'{"a":1,', b'\t"b":2}')),
            ("byte-order-mark", "A byte order mark.", (b"", b"\xef\xbb\xbf{}")),
            ("two", "Two objects.", (b"{}", b"{}")),
            ("open", "An object that does not end.", (b'{"a":1',)),
            ("open-bracket", "A bracket alone.", (b"{",)),
            ("comma-twice", "Two commas.", (b'{"a":1,', b',"b":2}')),
            ("comma-trailing", "A comma before the end.", (b'{"a":1,', b"}")),
            ("comma-trailing-array", "A comma before the end of an array.", (b'{"a":[1,', b"]}")),
            ("comma-leading-array", "A comma first.", (b'{"a":[', b",1]}")),
            ("bracket-wrong", "An array that ends as an object.", (b'{"a":[1', b"}}")),
            ("colon-missing", "No colon.", (b'{"a"', b"1}")),
            ("key-missing", "A value for a key.", (b"{", b"1:2}")),
            ("value-missing", "No value.", (b'{"a":', b"}")),
            ("literal-case", "True in capitals.", (b'{"a":', b"True}")),
            ("literal-cut", "tru.", (b'{"a":tru', b"}")),
            ("literal-more", "nulls.", (b'{"a":null', b"s}")),
            ("nan", "NaN is no JSON.", (b'{"a":', b"NaN}")),
            ("infinity", "-Infinity is no JSON: a number begins at its sign.", (b'{"a":', b"-Infinity}")),
            ("number-zero-first", "A leading zero.", (b'{"a":', b"01}")),
            ("number-plus", "A plus.", (b'{"a":', b"+1}")),
            ("number-point-first", "A point first.", (b'{"a":', b".5}")),
            ("number-point-last", "A point last.", (b'{"a":', b"1.}")),
            ("number-minus", "A minus alone.", (b'{"a":', b"-}")),
            ("number-exponent", "An exponent without digits.", (b'{"a":', b"1e+}")),
            ("number-exponent-4", "An exponent of four digits.", (b'{"a":', b"1e1000}")),
            ("number-exponent-4-zero", "An exponent of four digits, three of them zeros.", (b'{"a":', b"1e-0001}")),
            ("number-257", "A number of 257 bytes.", (b'{"a":', b"1" * 257 + b"}")),
            ("number-two-points", "A number ends before its second point.", (b'{"a":1.2', b".3}")),
            ("number-hex", "A number ends before an x.", (b'{"a":0', b"x1}")),
            ("escape-null", "U+0000 as an escape.", (b'{"a":"b', b'\\u0000"}')),
            ("escape-null-key", "U+0000 as an escape in a key.", (b'{"', b'\\u0000":1}')),
            ("escape-high", "A high surrogate at the end.", (b'{"a":"', b'\\ud83d"}')),
            ("escape-high-letter", "A high surrogate before a letter.", (b'{"a":"', b'\\ud83dx"}')),
            ("escape-high-twice", "Two high surrogates.", (b'{"a":"', b'\\ud83d\\ud83d"}')),
            ("escape-high-newline", "A high surrogate before another escape.", (b'{"a":"', b'\\ud83d\\n"}')),
            ("escape-low", "A low surrogate alone.", (b'{"a":"', b'\\ude80\\ud83d"}')),
            ("escape-digit", "An escape with a letter for a digit.", (b'{"a":"\\u00', b'g0"}')),
            ("escape-digit-low", "The same in the second half of a pair.", (b'{"a":"\\ud83d\\u', b'xe80"}')),
            ("escape-short", "An escape that the string's end cuts.", (b'{"a":"\\u00e', b'"}')),
            ("escape-unknown", "An escape that there is not.", (b'{"a":"\\', b'x"}')),
            ("escape-last", "A backslash at the end of the text.", (b'{"a":"\\',)),
            ("control", "A newline in a string.", (b'{"a":"', b'\n"}')),
            ("control-1f", "U+001F in a key.", (b'{"', b'\x1f":1}')),
            ("quote-single", "Single quotes.", (b"{", b"'a':1}")),
            ("comment", "A comment.", (b"{", b"/**/}"))]:
        yield f"json-{name}", about, "invalid_json", metadata(*parts)
    yield "json-deep-65", "65 levels.", "json_too_deep", metadata(b'{"a":' + b"[" * 63, b"[" + b"]" * 64 + b"}")
    yield "json-deep-65-objects", "65 levels of objects.", "json_too_deep", metadata(
        b'{"a":' * 64, b'{"a":1}' + b"}" * 64)
    yield "json-deep-unclosed", "65 brackets and nothing else.", "json_too_deep", metadata(b'{"a":' + b"[" * 63, b"[")
    yield "json-deep-many", "60,000 brackets: the depth must not cost memory.", "json_too_deep", metadata(
        b'{"a":' + b"[" * 63, b"[" * 60_000)

    # Expansion
    one = record(7, 1 << 3, zigzag(0) + varint(0))
    for name, about, length, count in [("by-1", "The last record goes over the limit.", 2000, 17),
                                       ("long", "A text of 60,000 bytes in 1,000 records.", 60_000, 1000)]:
        payload = dictionary("x" * length) + block(9, one * count, count=count)
        over = EXPANSION_FACTOR_MAX * len(payload) // length  # so many records are within the limit
        assert over < count
        before = len(payload) - len(one) * (count - over)
        yield f"expansion-{name}", about, "expansion_too_large", (frame(payload, count), 52 + before)
    payload = dictionary("k" * 300, "v") + block(9, record(7, 0b1001001, zigzag(0) + b"\1\0\1" + b"\0\0") + one * 30,
                                                  count=31)
    assert 300 * 33 > EXPANSION_FACTOR_MAX * len(payload) > 300 * 20
    over = (EXPANSION_FACTOR_MAX * len(payload) - 901) // 300 + 1
    yield "expansion-tags", "Tags count as well.", "expansion_too_large", (
        frame(payload, 31), 52 + len(payload) - len(one) * (31 - over))
    long_id = prefixed(0, "i" * 1000)
    rows = record(15, 1 << 2, zigzag(0) + long_id)
    again = record(15, 1 << 2, zigzag(0) + prefixed(1000, ""))
    payload = dictionary() + block(1, rows + again * 60, count=61)
    over = EXPANSION_FACTOR_MAX * len(payload) // 1000
    assert over < 61
    yield "expansion-prefix", "Shared prefixes count as well.", "expansion_too_large", (
        frame(payload, 61), 52 + len(payload) - len(again) * (61 - over))

    # Frames of other types
    yield "heartbeat-empty", "A heartbeat without a payload.", "truncated", frame(at(), 0, type=1)
    yield "heartbeat-cut", "Without a name.", "truncated", frame(b"\1\2\3\4" + at(), 0, type=1)
    yield "heartbeat-name-cut", "A name of 3 with 2 bytes.", "truncated", frame(b"\1\2\3\4\3" + at(b"ab"), 0, type=1)
    yield "heartbeat-name-256", "A name of 256 bytes.", "string_too_long", frame(
        b"\1\2\3\4" + at(varint(256)) + b"n" * 256, 0, type=1)
    yield "heartbeat-name-utf8", "A name that is not UTF-8.", "invalid_utf8", frame(
        b"\1\2\3\4\2a" + at(b"\xff"), 0, type=1)
    yield "heartbeat-name-null", "A name with U+0000.", "null_character", frame(b"\1\2\3\4\2a" + at(b"\0"), 0, type=1)
    yield "heartbeat-trailing", "Behind the name.", "trailing_bytes", frame(b"\1\2\3\4\1a" + at(b"\0"), 0, type=1)
    yield "heartbeat-overlong", "A total in two bytes.", "overlong_varint", frame(
        b"\1" + at(overlong(2, 2)) + b"\3\4\0", 0, type=1)
    yield "receipt-trailing", "A fifth number.", "trailing_bytes", frame(b"\1\2\3\4" + at(b"\5"), 0, type=19)
    yield "receipt-cut", "Three numbers.", "truncated", frame(b"\1\2\3" + at(), 0, type=19)
    yield "refusal-cut", "Without an explanation.", "truncated", frame(b"\1\2" + at(), 0, type=18)
    yield "refusal-text-256", "An explanation of 256 bytes.", "string_too_long", frame(
        b"\1\2" + at(varint(256)) + b"n" * 256, 0, type=18)
    yield "refusal-trailing", "A byte behind the explanation.", "trailing_bytes", frame(
        b"\1\2\0" + at(b"\0"), 0, type=18)
    welcome = varint(FRAME_BYTES_MAX) + varint(RECORDS_PER_FRAME_MAX)
    yield "welcome-ranges-missing", "Limits and nothing else.", "truncated", frame(welcome + at(), 0, type=16)
    yield "welcome-touching", "Ranges 1 to 2 and 3 to 4 are one.", "bad_ranges", frame(
        welcome + b"\2\1\2" + at(b"\0") + b"\2", 0, type=16)
    yield "welcome-trailing", "A byte behind the ranges.", "trailing_bytes", frame(
        welcome + b"\1\1\1" + at(b"\0"), 0, type=16)
    for name, about, payload in [
            ("empty-range", "A range of no sequence.", b"\1\1" + at(b"\0")),
            ("empty-second", "The second range is empty.", b"\2\1\1\1" + at(b"\0")),
            ("touching", "The second range touches the first.", b"\2\1\1" + at(b"\0") + b"\1"),
            ("1025", "1,025 ranges.", at(varint(1025)) + b"\1\1" * 1025),
            ("get", "\"GET \" as a count of ranges.", at(varint(GET)) + b"\1\1"),
            ("overflow-count", "A range behind 2^64.", b"\1" + varint(2**63) + at(varint(2**63))),
            ("overflow-first", "The second range begins behind 2^64.", b"\2" + varint(2**63) + varint(2**62)
             + at(varint(2**63)) + b"\1")]:
        yield f"ranges-{name}", about, "bad_ranges", frame(payload, 0, type=17)
    yield "ranges-cut", "Two ranges are promised, one is there.", "truncated", frame(b"\2\1\1" + at(), 0, type=17)
    yield "ranges-cut-count", "A range without its count.", "truncated", frame(b"\1\1" + at(), 0, type=17)
    yield "ranges-overlong", "A range's count in two bytes.", "overlong_varint", frame(
        b"\1\1" + at(overlong(1, 2)), 0, type=17)
    yield "ranges-none-at-all", "An acknowledgement without a payload.", "truncated", frame(at(), 0, type=17)
