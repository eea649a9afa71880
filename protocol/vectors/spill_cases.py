#!/usr/bin/env python3
"""What spill.json is made of: segments as they are written, and what crashes, disks and strangers make of them.

    spill_cases.py          write spill.json
    spill_cases.py --check  compare spill.json with these cases, and the reader of spill_reference.py with both

What a case expects comes from how it was put together: the places that `Segment` noted, and which of its batches were
left alone. Nothing of it comes from the reader.
"""

import base64
import hashlib
import json
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from cases import NOW, SESSION, SOURCE, block, dictionary, filled, frame, routing
from reference import FOLDER, KIND_BY_NAME, crc32c, encode, json_text
from spill_reference import (
    BATCH_FRAME_BYTES_MAX, BLOCK_BYTES_MAX, PREAMBLE, SEAL, SEGMENT_HEADER, START, STORED, TAIL_BYTES, Segment,
    compressed_block, lz4_frame, lz4_header, scan, xxh32)

EPOCH, SEQUENCE, DIRECTORY = 0xFEDCBA9876543210, 0x2A, 0x0011223344556677
BATCH_EPOCH = 0x1122334455667788
I64_MIN, I64_MAX, U32_MAX, U64_MAX = -(2**63), 2**63 - 1, 2**32 - 1, 2**64 - 1
SHORT_CONTENT = 2048  # up to here the frames of a batch stand in spill.json themselves
UNKNOWN_TYPE = 4


@dataclass
class Case:
    name: str
    why: str
    file: str
    data: bytes
    batches: list
    damage: list
    torn_at: int | None
    sealed: bool


# ---------------------------------------------------------------------------------------------- Segments

def segment(epoch=EPOCH, sequence=SEQUENCE, made=NOW):
    return Segment(epoch, sequence, directory=DIRECTORY, made=made)


def small_frame(number):
    """A frame of a few dozen bytes, which does not compress."""
    record = {"kind": "point", "time": NOW + 1000 * number, "metric_name": f"load {number}", "value": number + 0.5}
    return encode([record], source=SOURCE, session=SESSION, sequence=number)


def large_frame(number):
    """A frame that compresses."""
    records = [filled(KIND_BY_NAME["memory"], NOW + 1000 * number + place) for place in range(3)]
    return encode(records, source=SOURCE, session=SESSION, sequence=number)


def plain(number, **changes):
    """What a batch with one frame of one record says. `number` is the frame's sequence and the batch's."""
    items = {"epoch": BATCH_EPOCH, "sequence": number, "records": 1, "frames": 1, "opened": NOW + 1000 * number,
             "sessions": [(SOURCE, SESSION, [(number, number + 1)])]}
    return items | changes


def three(*, seal=True, content=small_frame, second=None, third=None, batches=3):
    """A segment with three batches. `second` and `third` say what is not as usual in those."""
    out = segment()
    for number, changes in enumerate((None, second, third)[:batches], 1):
        items = {"content": content(number)} | plain(number) | (changes or {})
        items["records"] = struct.unpack_from("<I", items["content"], 48)[0]
        out.batch(**items)
    if seal:
        out.seal()
    return out


def case(name, why, source, data=None, *, keep=None, damage=(), torn_at=None, sealed=False):
    """`keep`: which batches of the segment are intact, counted from 1. `damage`: pairs of start and end."""
    data = bytes(source.data if data is None else data)
    batches = [source.batches[number - 1] for number in keep] if keep is not None else list(source.batches)
    places = [[start, end - start] for start, end in damage]
    return Case(name, why, source.name, data, batches, places, torn_at, sealed)


def flipped(data, at, bit=0):
    out = bytearray(data)
    out[at] ^= 1 << bit
    return out


def replaced(data, start, end, by):
    assert len(by) == end - start
    return data[:start] + by + data[end:]


def whole(source, number):
    """Where a record and its LZ4 frame begin and end. Batches are the records from 1."""
    start, _, end = source.records[number]
    return start, end


def router_frame(number):
    """A frame of more than a sector, which stays larger than one."""
    records = [routing(100 * number + place) for place in range(24)]
    return encode(records, source=SOURCE, session=SESSION, sequence=number)


def noise(label, count):
    """Text that does not compress."""
    out = b""
    while len(out) < count:
        out += base64.b85encode(hashlib.sha256(f"{label} {len(out)}".encode()).digest())
    return out[:count].decode()


# ---------------------------------------------------------------------------------------------- Intact segments

def intact():
    yield case("header-only", "A segment that was begun, and nothing came.", segment())
    out = segment()
    out.seal()
    yield case("header-and-seal", "A segment that was ended before a batch came.", out, sealed=True)
    yield case("one-batch", "The collector is writing it, or was: there is no seal.", three(seal=False, batches=1))
    yield case("three-batches", "Not ended.", three(seal=False))
    yield case("three-batches-sealed", "Ended in order; the frames compress.", three(content=large_frame), sealed=True)
    out = three(seal=False, batches=1)
    out.batch(small_frame(2), **plain(2, sessions=[]))
    out.seal()
    yield case("no-sessions", "The second batch has frames that nobody waits for.", out, sealed=True)
    yield from flags()
    yield vectors_as_batch()
    yield many_ranges()
    yield extreme_numbers()
    out = segment()
    out.batch(small_frame(1), **plain(1, opened=I64_MIN))
    yield case("opened-smallest", "The batch's first frame came at the smallest time: how old that is does not fit "
               "into 64 bits.", out)
    yield case("segment-numbers-smallest", "A segment's epoch may be 0, and its first sequence is 1; it was made "
               "before the Unix epoch.", with_batch(segment(0, 1, -1)))
    out = segment()
    for number, (epoch, sequence) in enumerate([(7, 9), (BATCH_EPOCH, 1), (7, 3), (0, 9)], 1):
        out.batch(small_frame(number), **plain(number, epoch=epoch, sequence=sequence))
    yield case("identities-in-any-order", "Batches keep their identities when they move to another segment, so these "
               "come from several epochs and do not ascend.", out)
    yield several_blocks()
    yield stored_block()
    yield exactly_a_block()
    yield blocks_of_another_writer()
    yield checksum_zero()
    yield record_in_frame()
    out = three(seal=False, second={"sequence": 1})
    yield case("identity-twice", "The second batch has the identity of the first one, which counts.", out, keep=[1, 3])


def flags():
    """Batches that say which of their frames are acknowledged."""
    out = segment()
    out.batch(small_frame(1), **plain(1, acknowledged="1"))
    same = small_frame(2)
    out.batch(same * 3, **plain(2, records=3, frames=3, acknowledged="010"))
    content = b"".join(small_frame(number) for number in range(3, 20))
    out.batch(content, **plain(3, records=17, frames=17, sessions=[(SOURCE, SESSION, [(3, 11), (19, 20)])],
                               acknowledged="11111111" + "0" * 8 + "1"))
    out.batch(small_frame(20), **plain(20, sessions=[]))
    out.seal()
    yield case("acknowledged-frames", "Batches of version 2: a frame that is acknowledged; one among datagrams with the "
               "same identity, of which only the second frame came over a stream; 17 frames, of which eight are "
               "datagrams. The last batch has no session and version 1.", out, sealed=True)
    for name, why, changes in [
        ("flags-short", "The record ends before the flag of its last frame.",
         {"rewrite": lambda content: content[:-1]}),
        ("flags-long", "A byte stands behind the flags.", {"rewrite": lambda content: content + b"\0"}),
        ("flags-past-the-last", "A flag past the last frame.", {"rewrite": lambda content: content[:-1] + b"\3"}),
        ("flags-without-sessions", "Version 2 without a session: no frame can be acknowledged.", {"sessions": []}),
    ]:
        out = three(second={"acknowledged": "1"} | changes)
        yield case(name, why, out, keep=[1, 3], damage=[whole(out, 2)], sealed=True)
    out = three(seal=False)
    out.append(SEAL, struct.pack("<IQ", 3, 3), version=2)
    yield case("seal-of-version-2", "Only a batch's record has a version 2.", out, torn_at=out.records[4][0])


def with_batch(out):
    out.batch(small_frame(1), **plain(1))
    return out


def vectors_as_batch():
    """Frames of good/, one behind the other."""
    content, records, frames, ranges = b"", 0, 0, []
    for name in ("example", "bools", "prefix", "header-longer", "unknown-kind", "flags-ignorable"):
        vector = json.loads((FOLDER / "good" / f"{name}.json").read_text("utf-8"))
        content += bytes.fromhex("".join(vector["bytes"]))
        for frame in vector["frames"]:
            records, frames = records + frame["record_count"], frames + 1
            if frame["sequence"]:
                ranges.append((frame["source"], frame["session"], frame["sequence"]))
    sessions = [(source, session, [(sequence, sequence + 1)]) for source, session, sequence in sorted(ranges)]
    out = segment()
    out.batch(content, epoch=BATCH_EPOCH, sequence=1, records=records, frames=frames, opened=NOW, sessions=sessions)
    out.seal()
    return case("frames-of-the-vectors", "A batch of frames that stand in good/: with shared prefixes, a longer "
                "header, unknown kinds and flags.", out, sealed=True)


def many_ranges():
    """Every second sequence of three sessions; two of them are of one source."""
    names, content, frames = [(1, 2), (1, U64_MAX), (2, 1)], b"", 0
    for source, session in names:
        for sequence in range(1, 42, 2):
            record = {"kind": "point", "time": NOW + sequence}
            content += encode([record], source=source, session=session, sequence=sequence)
            frames += 1
    ranges = [(sequence, sequence + 1) for sequence in range(1, 42, 2)]
    out = segment()
    out.batch(content, **plain(1, records=frames, frames=frames, sessions=[(*name, ranges) for name in names]))
    return case("many-ranges", "Three sessions, two of one source, with 21 ranges each.", out)


def extreme_numbers():
    out = segment(U64_MAX, U32_MAX, I64_MAX)
    sessions = [(0, 0, [(0, U64_MAX)]), (0, 1, [(0, 1), (2, 3)]), (U64_MAX, U64_MAX, [(1, 2), (U64_MAX - 1, U64_MAX)])]
    out.batch(small_frame(1), epoch=I64_MAX, sequence=I64_MAX, records=1, frames=1, opened=I64_MAX, sessions=sessions)
    out.batch(small_frame(2), epoch=0, sequence=1, records=1, frames=1, opened=-1, sessions=[(0, 0, [])])
    out.seal()
    return case("numbers-extreme", "The largest and the smallest epochs, sequences, sources and sessions, the "
                "largest times; a session without ranges.", out, sealed=True)


def several_blocks():
    """Three frames of a router, over and over, without a sequence: about 150 KB."""
    parts = [encode([routing(10 * part + n) for n in range(20)]) for part in range(3)]
    frames = 150_000 // len(b"".join(parts)) * 3
    content = b"".join(parts[number % 3] for number in range(frames))
    assert 2 * BLOCK_BYTES_MAX < len(content) < 3 * BLOCK_BYTES_MAX
    out = segment()
    out.batch(content, **plain(1, records=20 * frames, frames=frames, sessions=[]))
    out.seal()
    return case("several-blocks", "The frames go over three blocks, and each block compresses well on its own.", out,
                sealed=True)


def stored_block():
    repeated = encode([routing(n) for n in range(20)])
    count = BLOCK_BYTES_MAX // len(repeated)
    repeated *= count
    record = {"kind": "point", "time": NOW, "metric_name": noise("stored", 4000)}
    content = repeated + encode([record], source=SOURCE, session=SESSION, sequence=1)
    assert len(repeated) < BLOCK_BYTES_MAX < len(content)
    last = content[BLOCK_BYTES_MAX:-TAIL_BYTES]
    assert len(compressed_block(last)) >= len(last)
    out = segment()
    out.batch(content, **plain(1, records=20 * count + 1, frames=count + 1))
    return case("stored-block", "The first block compresses. The second, which begins within a frame, does not and is "
                "stored.", out)


def exactly_a_block():
    repeated, count = encode([routing(n) for n in range(20)]), 20

    def last(text):
        record = {"kind": "point", "time": NOW, "metric_name": "z" * text}
        return encode([record], source=SOURCE, session=SESSION, sequence=1)

    missing = BLOCK_BYTES_MAX + TAIL_BYTES - len(repeated) * count
    content = repeated * count + last(missing - (len(last(missing)) - missing))
    out = segment()
    out.batch(content, **plain(1, records=20 * count + 1, frames=count + 1))
    assert out.batches[0].bytes == BLOCK_BYTES_MAX + TAIL_BYTES
    return case("exactly-a-block", "All but the tail fills one block of 64 KiB to its last byte.", out)


def lz4_of_blocks(content, *blocks):
    """The LZ4 frame of a content in these blocks, pairs of bytes and flag."""
    out = lz4_header(content, checked=True)
    for part, flag in blocks:
        out += struct.pack("<I", len(part) | flag) + part + struct.pack("<I", xxh32(part))
    return out + struct.pack("<II", 0, xxh32(content))


def blocks_of_another_writer():
    """Other blocks than today's, and a checksum of the content: a writer is free to do so."""
    content = large_frame(1)
    half = len(content) // 2
    out = segment()
    out.batch(content, **plain(1, records=3), frame=lz4_of_blocks(content, (content, STORED)))
    halves = (compressed_block(content[:half]), 0), (compressed_block(content[half:]), 0)
    out.batch(content, **plain(2, records=3, sessions=[]), frame=lz4_of_blocks(content, *halves))
    out.batch(content, **plain(3, records=3), frame=lz4_of_blocks(content, (compressed_block(content), 0)))
    return case("blocks-of-another-writer", "A stored block that would shrink, two short blocks where one would do, and "
                "one block for all; each with a checksum of the content: what earlier writers wrote, and today's does "
                "not.", out)


def checksum_zero():
    """A checksum is linear in the bits of the time at which the batch was opened: 32 of them make it any number."""
    def opened(bits):
        out = segment()
        out.batch(small_frame(1), **plain(1, opened=(NOW >> 32 << 32) + bits))
        return out, out.chain

    rows = []  # (what a set of bits does to the checksum, the set), each with a highest bit of its own
    _, base = opened(0)
    for place in range(32):
        effect, bits = opened(1 << place)[1] ^ base, 1 << place
        for other, others in rows:
            if effect ^ other < effect:
                effect, bits = effect ^ other, bits ^ others
        rows = sorted(rows + [(effect, bits)], reverse=True)
    rest, solution = base, 0
    for effect, bits in rows:
        if rest ^ effect < rest:
            rest, solution = rest ^ effect, solution ^ bits
    out, checksum = opened(solution)
    assert checksum == 0
    out.batch(small_frame(2), **plain(2))
    return case("checksum-zero", "The checksum of the first batch is 0, and so is the chain of the second: zeros "
                "are numbers like others.", out)


def frame_with_record():
    """A frame with a batch of the same segment in it, as a block of an unknown kind: (frame, batch, its bytes)."""
    inner = segment()
    inner.batch(small_frame(9), **plain(9), record={"ordinal": 2})
    start, end = whole(inner, 1)
    inside = bytes(inner.data[start:end])
    payload = dictionary() + block(200, inside, bits=2)
    return frame(payload, 1, base_time=NOW), inner.batches[0], inside


def record_in_frame():
    content, _, _ = frame_with_record()
    out = segment()
    out.batch(content, **plain(1, sessions=[]), frame=lz4_of_blocks(content, (content, STORED)))
    out.batch(small_frame(2), **plain(2))
    return case("record-in-frame", "A frame has a block of an unknown kind with an intact record of this segment in "
                "it: an LZ4 frame that is intact is not searched.", out)


# ---------------------------------------------------------------------------------------------- After a crash

def torn():
    out = three(seal=False)
    (_, header_end), (second, second_frame, second_end) = whole(out, 0), out.records[2]
    data = out.data

    def cut(name, why, at, keep, torn_at):
        return case(name, why, out, data[:at], keep=keep, torn_at=torn_at)

    yield cut("no-bytes", "The file was made, and nothing was written.", 0, [], None)
    yield cut("torn-in-preamble", "Five bytes were written.", 5, [], 0)
    yield cut("torn-behind-preamble", "There is no record, and no byte too many.", len(PREAMBLE), [], None)
    yield cut("torn-in-segment-header", "Half of the first record.", 40, [], len(PREAMBLE))
    yield cut("torn-in-first-batch", "There is a segment header and no intact batch.", header_end + 70, [], header_end)
    yield cut("torn-in-record", "The end lies in the second batch's record.", second + 50, [1], second)
    yield cut("torn-in-record-start", "Of the second batch's record there is one byte.", second + 1, [1], second)
    yield cut("torn-behind-record", "The second batch's record is intact, and nothing of its LZ4 frame is there.",
              second_frame, [1], second)
    yield cut("torn-in-frame", "The second batch's record is intact, and half of its LZ4 frame is there.",
              (second_frame + second_end) // 2, [1], second)
    yield cut("torn-last-byte", "One byte is missing.", second_end - 1, [1], second)
    yield cut("torn-between-batches", "What was written ends where a batch ends: nothing is missing.", second_end,
              [1, 2], None)
    sealed = three()
    seal = sealed.records[4][0]
    yield case("torn-in-seal", "All batches are there, and half of the seal.", sealed, sealed.data[:seal + 26],
               torn_at=seal)
    yield case("tail-of-zeros", "The file's length was synced, its end was not.", out, data + bytes(200),
               torn_at=len(data))
    yield case("tail-of-garbage", "Old bytes of the disk behind the last batch.", out,
               data + noise("tail", 200).encode(), torn_at=len(data))
    yield case("tail-of-record-starts", "Behind the last batch the first bytes of a record, over and over.", out,
               data + data[second:second + START.size] * 4, torn_at=len(data))
    yield case("tail-of-zeros-behind-seal", "A seal is the last record; what stands behind it is cut.", sealed,
               sealed.data + bytes(200), torn_at=len(sealed.data), sealed=True)
    yield case("all-zeros", "As long as it should be, and nothing in it.", sealed, bytes(len(sealed.data)), keep=[],
               torn_at=0)
    yield case("zeros-from-the-second-batch", "The length is right, and from the second batch on there are zeros.", out,
               data[:second] + bytes(len(data) - second), keep=[1], torn_at=second)
    yield case("frame-of-the-last-batch-flipped", "A bit in the last LZ4 frame: no record behind it, so the end is "
               "torn.", out, flipped(data, out.records[3][2] - 12), keep=[1, 2], torn_at=out.records[3][0])
    yield case("two-last-batches-torn", "The second batch's LZ4 frame is damaged, of the third there is half a record.",
               out, flipped(data[:out.records[3][0] + 40], second_end - 12), keep=[1], torn_at=second)


def damaged():
    out = three()
    data = out.data
    start, frame, end = out.records[2]

    def second(name, why, changed, **expected):
        return case(name, why, out, changed, **({"keep": [1, 3], "damage": [(start, end)], "sealed": True} | expected))

    yield second("record-flipped", "A bit in the second batch's record.", flipped(data, start + 41, 3))
    yield second("record-checksum-flipped", "A bit in the checksum of the second batch's record.",
                 flipped(data, frame - 1, 7))
    yield second("record-magic-flipped", "A bit in the first byte of the second batch's record.", flipped(data, start))
    yield second("record-length-flipped", "The second batch's record seems to go on for two gigabytes.",
                 flipped(data, start + 7, 7))
    yield second("frame-flipped-sealed", "A bit in the second batch's LZ4 frame, in a sealed segment: the batch is "
                 "lost when it is read.", flipped(data, end - 12))
    unsealed = three(seal=False)
    yield second("frame-flipped", "A bit in the second batch's LZ4 frame, in a segment without a seal.",
                 flipped(unsealed.data, end - 12), sealed=False)
    yield second("frame-of-zeros", "The second batch's LZ4 frame was never written, the third was.",
                 replaced(unsealed.data, frame, end, bytes(end - frame)), sealed=False)
    last = whole(out, 3)
    yield second("frame-of-the-last-batch-flipped-sealed", "A bit in the last LZ4 frame of a sealed segment: the seal "
                 "is intact behind it, so this is damage and no torn end.", flipped(data, last[1] - 12), keep=[1, 2],
                 damage=[last])
    yield second("segment-header-flipped", "A bit in the first record: the batches are found without it.",
                 flipped(data, 50), keep=[1, 2, 3], damage=[whole(out, 0)])
    yield second("preamble-flipped", "A bit in the LZ4 frame at the beginning.", flipped(data, 5), keep=[1, 2, 3],
                 damage=[(0, len(PREAMBLE))])
    yield second("seal-flipped", "A bit in the seal: a segment without one, and a torn end.",
                 flipped(data, out.records[4][0] + 40), keep=[1, 2, 3], damage=[], torn_at=out.records[4][0],
                 sealed=False)
    yield second("two-places", "The first batch's record and the third batch's LZ4 frame.",
                 flipped(flipped(data, out.records[1][0] + 60), last[1] - 12), keep=[2],
                 damage=[whole(out, 1), last])
    yield second("garbage-tail-behind-damage", "The second batch's record is damaged, and the end is torn too.",
                 flipped(unsealed.data, start + 41, 3) + noise("end", 60).encode(), torn_at=len(unsealed.data),
                 sealed=False)
    yield second("record-inserted-zeros", "A hole of 100 bytes before the second batch, which is intact behind it.",
                 data[:start] + bytes(100) + data[start:], keep=[1, 2, 3], damage=[(start, start + 100)])
    (first, first_end), added = whole(out, 1), out.records[1][2] - out.records[1][0]
    yield second("older-record-behind-damage", "The second batch's record is damaged, and behind it stands the first "
                 "batch again: its ordinal is not higher, so the search goes on.",
                 flipped(data[:end] + data[first:first_end] + data[end:], start + 41), damage=[(start, end + added)])
    yield from sector()
    yield from record_in_damage()


def sector():
    """512 zeros over the end of a batch and the record behind it."""
    for seal in (True, False):
        out = three(content=router_frame, seal=seal)
        (first, _, _), (second, _, _), (third, _, _) = out.records[1:4]
        at = second // 512 * 512
        assert out.records[1][1] < at < second < at + 512 < third
        data = replaced(out.data, at, at + 512, bytes(512))
        if seal:
            yield case("sector-of-zeros-sealed", "A sector was lost: the end of the first LZ4 frame and the second "
                       "record with it. The first record counts, as the segment is sealed; its batch is lost all the "
                       "same.", out, data, keep=[3], damage=[(first, third)], sealed=True)
        else:
            yield case("sector-of-zeros", "The same without a seal: the first record does not count.", out, data,
                       keep=[3], damage=[(first, third)])


def record_in_damage():
    """An LZ4 frame is damaged, and the frames in it, which are stored, hold an intact record."""
    content, _, inside = frame_with_record()
    stored = lz4_of_blocks(content, (content, STORED))
    for seal in (True, False):
        out = three(seal=seal, second={"content": content, "sessions": [], "frame": stored})
        start, behind, end = out.records[2]
        assert inside in out.data[behind:end]
        data = flipped(out.data, behind + 22)
        name = "record-in-damaged-frame-sealed" if seal else "record-in-damaged-frame"
        yield case(name, "The second batch's LZ4 frame is damaged and holds an intact record: nothing is searched "
                   "within a frame, whose bytes come from clients.", out, data, keep=[1, 3], damage=[(start, end)],
                   sealed=seal)


# ---------------------------------------------------------------------------------------------- Strange records

def strange():
    """The second of three batches has a right checksum, and something that keeps it from being one."""
    for name, why, changes in [
        ("epoch-of-another-segment", "A record of a segment of another start of the collector.", {"epoch": EPOCH - 1}),
        ("sequence-of-another-segment", "A record of the segment before this one.", {"sequence": SEQUENCE - 1}),
        ("chain-wrong", "A record whose chain is not the checksum of the record before it.", {"chain": 1}),
        ("chain-zero", "A record whose chain is 0 as if it were the first.", {"chain": 0}),
        ("ordinal-repeated", "A record with the ordinal of the one before it.", {"ordinal": 1}),
        ("ordinal-skipped", "A record whose ordinal is not the next one.", {"ordinal": 3}),
        ("ordinal-zero", "A batch with the ordinal of the segment header.", {"ordinal": 0}),
        ("version-unknown", "A record of a later version.", {"version": 3}),
        ("version-with-flags-without-them", "A record of version 2 that ends behind its sessions.", {"version": 2}),
        ("version-zero", "A record of version 0.", {"version": 0}),
        ("reserved-not-zero", "A record whose item at offset 14 is not 0.", {"reserved": 1}),
    ]:
        out = three(second={"record": changes})
        yield case(name, why, out, keep=[1, 3], damage=[whole(out, 2)], sealed=True)

    out = three(seal=False, second={"record": {"ordinal": U32_MAX}}, third={"record": {"ordinal": 0}})
    yield case("ordinal-largest", "The first batch's record is damaged, the second has the largest ordinal: no ordinal "
               "is the next one, so nothing counts behind it.", out,
               flipped(out.data, out.records[1][0] + 60), keep=[2], damage=[whole(out, 1)], torn_at=out.records[3][0])
    session = (SOURCE, SESSION)
    for name, why, changes in [
        ("batch-sequence-zero", "A batch's sequence counts from 1.", {"edit": {"sequence": 0}}),
        ("batch-sequence-negative", "A batch's sequence counts from 1.", {"edit": {"sequence": -1}}),
        ("batch-epoch-negative", "A batch's epoch is not negative.", {"edit": {"epoch": -1}}),
        ("frame-bytes-over-limit", "The batch's frames would be larger than a batch may be.",
         {"edit": {"bytes": BATCH_FRAME_BYTES_MAX + 1}}),
        ("frame-bytes-wrong", "The LZ4 frame is right, and holds one byte less than the record says.",
         {"edit": {"bytes": len(small_frame(2)) + 1}}),
        ("lz4-bytes-largest", "The LZ4 frame would end behind the largest offset.", {"edit": {"lz4_bytes": U64_MAX}}),
        ("ranges-descend", "The second range is before the first.", {"sessions": [(*session, [(5, 6), (2, 3)])]}),
        ("ranges-overlap", "The second range begins in the first.", {"sessions": [(*session, [(2, 5), (4, 6)])]}),
        ("ranges-touch", "The second range begins where the first ends: it would be one range.",
         {"sessions": [(*session, [(2, 4), (4, 6)])]}),
        ("range-empty", "A range ends where it begins.", {"sessions": [(*session, [(2, 2)])]}),
        ("range-backward", "A range ends before it begins.", {"sessions": [(*session, [(3, 2)])]}),
        ("sessions-descend", "The second session has a smaller number.",
         {"sessions": [(1, 2, [(2, 3)]), (1, 1, [(2, 3)])]}),
        ("sources-descend", "The second session is of a smaller source.",
         {"sessions": [(2, 1, [(2, 3)]), (1, 2, [(2, 3)])]}),
        ("session-twice", "The same session stands twice.", {"sessions": [(1, 1, [(2, 3)]), (1, 1, [(5, 6)])]}),
        ("bytes-behind-sessions", "The record is a byte longer than its sessions.",
         {"rewrite": lambda content: content + b"\0"}),
        ("sessions-too-many", "There are fewer sessions than the record says.",
         {"rewrite": lambda content: content[:52] + struct.pack("<I", U32_MAX) + content[56:]}),
        ("ranges-too-many", "There are fewer ranges than the record says.",
         {"rewrite": lambda content: content[:72] + struct.pack("<I", U32_MAX) + content[76:]}),
        ("batch-record-short", "The record ends before it says how many sessions there are.",
         {"rewrite": lambda content: content[:52]}),
    ]:
        out = three(second=changes)
        yield case(name, why, out, keep=[1, 3], damage=[whole(out, 2)], sealed=True)

    yield from strange_frames()
    yield from strange_types()

    out, other = three(seal=False), segment(EPOCH, SEQUENCE + 1)
    with_batch(other)
    yield case("tail-of-another-segment", "Behind the last batch a whole segment of the same start, in its next "
               "sequence.", out, out.data + other.data, torn_at=len(out.data))
    yield case("segment-under-another-name", "All of the segment is intact, but it is not the one that its name says.",
               Named(other.name, three()), keep=[], torn_at=len(PREAMBLE))
    out = three()
    (second, end), (third, third_end) = whole(out, 2), whole(out, 3)
    data = out.data[:second] + out.data[third:third_end] + out.data[second:end] + out.data[third_end:]
    place = second + third_end - third
    yield case("batches-exchanged", "The third batch stands before the second. The third does not follow the first and "
               "is stepped over; the second counts; the seal does not follow it, and nothing counts behind.", out, data,
               keep=[1, 2], damage=[(second, place)], torn_at=third_end)
    plain_lz4 = lz4_frame(small_frame(1))
    yield case("lz4-without-records", "An LZ4 file that is no segment.", segment(), plain_lz4, torn_at=0)
    yield case("lz4-behind-preamble", "The beginning of a segment, and then an LZ4 frame without a record.", segment(),
               PREAMBLE + plain_lz4, torn_at=len(PREAMBLE))


@dataclass
class Named:
    """A segment under another segment's name."""
    name: str
    segment: Segment

    @property
    def data(self):
        return self.segment.data

    @property
    def batches(self):
        return self.segment.batches


def strange_frames():
    """The LZ4 frame's checksum in the record is right, and the LZ4 frame is not."""
    content = large_frame(2)
    compressed = compressed_block(content)

    def one_block(part):
        return lz4_of_blocks(content, (part, 0))

    plain_good, good = lz4_frame(content), one_block(compressed)
    end = len(good) - 4
    for name, why, bytes_ in [
        ("lz4-magic-wrong", "It has another magic number.", flipped(good, 0)),
        ("lz4-header-checksum-wrong", "Its header's checksum is wrong.", flipped(good, 14)),
        ("lz4-block-checksum-wrong", "The block's checksum is wrong.", flipped(good, end - 8)),
        ("lz4-content-checksum-wrong", "The content's checksum is wrong.", flipped(good, end)),
        ("lz4-frame-short", "It ends before the content's checksum.", good[:end]),
        ("lz4-frame-long", "A byte stands behind it.", good + b"\0"),
        ("lz4-match-before-content", "The block's first match begins before the block does.",
         one_block(bytes([0x10]) + content[:1] + struct.pack("<H", 2) + bytes([0x50]) + content[:5])),
        ("lz4-match-distance-zero", "The block's first match has the distance 0.",
         one_block(bytes([0x10]) + content[:1] + struct.pack("<H", 0) + bytes([0x50]) + content[:5])),
        ("lz4-block-ends-in-literals", "The block's last literals are not all there.", one_block(compressed[:-1])),
        ("lz4-plain-block-checksum-wrong", "The block's checksum is wrong, and the content has none.",
         flipped(plain_good, len(plain_good) - 8)),
        ("lz4-plain-frame-short", "It ends before its end mark.", plain_good[:-4]),
        ("lz4-plain-frame-long", "A byte stands behind its end mark.", plain_good + b"\0"),
        ("lz4-no-bytes", "There is none: it is 0 bytes long.", b""),
    ]:
        out = three(second={"content": content, "frame": bytes(bytes_)})
        yield case(name, f"The record has the right checksum of its LZ4 frame, which is damaged: {lower(why)}", out,
                   keep=[1, 3], damage=[whole(out, 2)], sealed=True)
    out = three(seal=False, third={"content": content, "frame": bytes(flipped(good, end))})
    yield case("lz4-content-checksum-wrong-at-the-end", "The last batch's record counts, so the end is not torn; "
               "the batch is lost when it is read.", out, keep=[1, 2], damage=[whole(out, 3)])


def lower(text):
    return text[0].lower() + text[1:]


def strange_types():
    """Records of other types between batches."""
    for name, why, type_, content in [
        ("type-unknown", "A record of a type that there is not.", UNKNOWN_TYPE, b"later"),
        ("segment-header-twice", "A second segment header, which has another ordinal than 0.", SEGMENT_HEADER,
         struct.pack("<Qq", DIRECTORY, NOW)),
        ("seal-longer", "A seal that is a byte longer than a seal is.", SEAL, struct.pack("<IQ", 1, 1) + b"\0"),
    ]:
        out = three(seal=False, batches=1)
        out.append(type_, content)
        out.batch(small_frame(2), **plain(2))
        out.seal()
        yield case(name, why, out, damage=[whole(out, 2)], sealed=True)
    out = three(batches=1)
    out.batch(small_frame(2), **plain(2))
    yield case("batch-behind-seal", "A batch stands behind a seal, which no writer does: the last record is no seal, "
               "so the segment is not sealed.", out)
    out = three(seal=False, batches=1)
    out.append(SEAL, struct.pack("<IQ", 7, 99))
    yield case("seal-of-other-numbers", "The seal tells of batches that are not there: it is a seal all the same.", out,
               sealed=True)
    out = segment()
    out.records.clear()
    del out.data[len(PREAMBLE):]
    out.append(SEGMENT_HEADER, struct.pack("<Qq", DIRECTORY, NOW) + b"\0", chain=0)
    out.batch(small_frame(1), **plain(1))
    yield case("segment-header-longer", "The first record is a byte longer than a segment header is.", out,
               damage=[whole(out, 0)])


# ---------------------------------------------------------------------------------------------- spill.json

def cases():
    for group in (intact, torn, damaged, strange):
        yield from group()


def hex_lines(data):
    """Bytes as a JSON array of hexadecimal strings, to be joined; a short one stands on one line."""
    text, width = data.hex(), 100
    rows = [f'"{text[at:at + width]}"' for at in range(0, len(text), width)]
    return f"[{rows[0] if rows else ''}]" if len(rows) < 2 else "[\n      " + ",\n      ".join(rows) + "\n    ]"


def batch_text(batch):
    """A batch as JSON: what its record says, a session a line, and its frames if they are short."""
    items = batch.object() | {"crc32c_of_frames": crc32c(batch.content)}
    sessions = items.pop("sessions")
    acknowledged = items.pop("acknowledged")
    lines = ["        " + ", ".join(f'"{name}": {value}' for name, value in list(items.items())[:5]),
             "        " + ", ".join(f'"{name}": {value}' for name, value in list(items.items())[5:])]
    rows = ",\n".join(f"          {json_text(entry)}" for entry in sessions)
    lines.append(f'        "sessions": [\n{rows}\n        ]' if rows else '        "sessions": []')
    lines.append(f'        "acknowledged": {json_text(acknowledged)}')
    if len(batch.content) <= SHORT_CONTENT:
        lines.append(f'        "frames_hex": {hex_lines(batch.content).replace("    ", "        ")}')
    return "      {\n" + ",\n".join(lines) + "\n      }"


def case_text(case):
    rows = ",\n".join(batch_text(batch) for batch in case.batches)
    damage = ", ".join(f'{{"offset": {offset}, "length": {length}}}' for offset, length in case.damage)
    return "  {\n" + ",\n".join([
        f'    "name": {json_text(case.name)}', f'    "why": {json_text(case.why)}',
        f'    "file": {json_text(case.file)}',
        f'    "sealed": {json_text(case.sealed)}', f'    "batches": [\n{rows}\n    ]' if rows else '    "batches": []',
        f'    "damage": [{damage}]', f'    "torn_at": {json_text(case.torn_at)}',
        f'    "hex": {hex_lines(case.data)}']) + "\n  }"


def text():
    found = list(cases())
    assert len({case.name for case in found}) == len(found), "two cases of one name"
    return "[\n" + ",\n".join(case_text(case) for case in found) + "\n]\n"


def check(path):
    """Every case against the reader: (cases, complaints)."""
    complaints, made = [], text()
    if not path.exists() or path.read_text("utf-8") != made:
        complaints.append(f"{path.name} is not what spill_cases.py writes")
    vectors = json.loads(made)
    for vector in vectors:
        found = scan(vector["file"], bytes.fromhex("".join(vector["hex"])))
        contents = [batch.content for batch in found.batches]
        for name, value in found.object().items():
            expected = vector[{"name": "file"}.get(name, name)]
            if name == "batches":
                texts = [batch.pop("frames_hex", None) for batch in expected]
                if any(text and bytes.fromhex("".join(text)) != content for text, content in zip(texts, contents)):
                    complaints.append(f"{vector['name']}: the frames are others")
            if value != expected:
                complaints.append(f"{vector['name']}: {name} is {value}, expected {expected}")
    return len(vectors), complaints


def main(arguments):
    path = Path(__file__).resolve().parent / "spill.json"
    if arguments == ["--check"]:
        count, complaints = check(path)
        print("\n".join(complaints + [f"{count} segments checked, {len(complaints)} complaints"]))
        return 1 if complaints else 0
    if arguments:
        print(__doc__, file=sys.stderr)
        return 64
    path.write_text(text(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
