#!/usr/bin/env python3
"""A reference reader and writer of spilled segments, written from ../spill-log.md alone.

It favours plainness over speed and needs nothing but Python 3.11. Section titles are those of spill-log.md.

    spill_reference.py SEGMENT...        what is in each segment, one JSON object a line
    spill_reference.py --cat SEGMENT...  the frames of their intact batches, one behind the other

The name of the file says which segment it is. Bodies are always checked, those of sealed segments too. The exit code
is 65 if something is damaged or torn.
"""

import json
import re
import struct
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from reference import crc32c

# ---------------------------------------------------------------------------------------------- Limits

BATCH_FRAME_BYTES_MAX = 65 * 1_048_576
RECORD_CONTENT_BYTES_MAX = 64 * 1_048_576
BLOCK_BYTES_MAX = 65_536

# ---------------------------------------------------------------------------------------------- xxHash32

_PRIMES = (2_654_435_761, 2_246_822_519, 3_266_489_917, 668_265_263, 374_761_393)
_U32 = 0xFFFFFFFF


def _rotated(value, count):
    return (value << count | value >> (32 - count)) & _U32


def xxh32(data):
    """xxHash of 32 bits with seed 0."""
    first, second, third, fourth, fifth = _PRIMES
    at = 0
    if len(data) >= 16:
        lanes = [(first + second) & _U32, second, 0, -first & _U32]
        whole = len(data) // 16 * 16
        for words in struct.iter_unpack("<4I", data[:whole]):
            lanes = [_rotated((lane + word * second) & _U32, 13) * first & _U32 for lane, word in zip(lanes, words)]
        value = sum(_rotated(lane, count) for lane, count in zip(lanes, (1, 7, 12, 18))) & _U32
        at = whole
    else:
        value = fifth
    value = (value + len(data)) & _U32
    while at + 4 <= len(data):
        word = int.from_bytes(data[at:at + 4], "little")
        value = _rotated((value + word * third) & _U32, 17) * fourth & _U32
        at += 4
    for byte in data[at:]:
        value = _rotated((value + byte * fifth) & _U32, 11) * first & _U32
    value = (value ^ value >> 15) * second & _U32
    value = (value ^ value >> 13) * third & _U32
    return value ^ value >> 16


assert xxh32(b"") == 0x02CC5D05
assert xxh32(b"Nobody inspects the spammish repetition") == 0xE2293B2F

# ---------------------------------------------------------------------------------------------- LZ4 blocks

MATCH_BYTES_MIN = 4
LAST_LITERALS = 5  # a block ends with at least so many literals,
LAST_MATCH_START = 12  # and no match begins closer to its end


class Damaged(Exception):
    """Bytes that are not what the format says."""


def _length(data, at, nibble):
    """A length that begins in a token's half and goes on in the bytes at `at`: (length, behind it)."""
    if nibble == 15:
        while True:
            if at >= len(data):
                raise Damaged("a block ends within a length")
            nibble, at = nibble + data[at], at + 1
            if data[at - 1] != 255:
                break
    return nibble, at


def decompressed_block(data):
    """The content of a compressed block, at most 64 KiB."""
    out, at = bytearray(), 0
    while True:
        if at >= len(data):
            raise Damaged("a block ends without literals")
        token, at = data[at], at + 1
        count, at = _length(data, at, token >> 4)
        if count > len(data) - at:
            raise Damaged("a block ends within literals")
        out += data[at:at + count]
        at += count
        if len(out) > BLOCK_BYTES_MAX:
            raise Damaged("a block is too large")
        if at == len(data):
            if token & 15:
                raise Damaged("a block ends within a match")
            return bytes(out)
        if len(data) - at < 2:
            raise Damaged("a block ends within an offset")
        distance, at = int.from_bytes(data[at:at + 2], "little"), at + 2
        if not 0 < distance <= len(out):
            raise Damaged("a match begins before its block")
        count, at = _length(data, at, token & 15)
        count += MATCH_BYTES_MIN
        if len(out) + count > BLOCK_BYTES_MAX:
            raise Damaged("a block is too large")
        start = len(out) - distance
        period = bytes(out[start:])  # a match may reach into what it writes
        out += (period * (count // distance + 1))[:count]


def _sequence(literals, distance=0, match=0):
    """Literals, and the match behind them; the last sequence of a block has none."""
    tails, token = [], 0
    for count, shift in ((len(literals), 4), (max(match - MATCH_BYTES_MIN, 0), 0)):
        token |= min(count, 15) << shift
        tails.append(b"\xff" * ((count - 15) // 255) + bytes([(count - 15) % 255]) if count >= 15 else b"")
    behind = struct.pack("<H", distance) + tails[1] if match else b""
    return bytes([token]) + tails[0] + literals + behind


def compressed_block(content):
    """A greedy compressor: the latest place with the same four bytes is the match."""
    out, seen, at, anchor = bytearray(), {}, 0, 0
    while at < len(content) - LAST_MATCH_START:
        key = content[at:at + MATCH_BYTES_MIN]
        older, seen[key] = seen.get(key), at
        if older is None:  # a block of 64 KiB has no distance that is too large
            at += 1
            continue
        end = at + MATCH_BYTES_MIN
        while end < len(content) - LAST_LITERALS and content[end] == content[end - at + older]:
            end += 1
        out += _sequence(content[anchor:at], at - older, end - at)
        at = anchor = end
    return bytes(out + _sequence(content[anchor:]))


# ---------------------------------------------------------------------------------------------- LZ4 frames

LZ4_MAGIC = 0x184D2204
# Version 1, independent blocks, checksums of blocks, the content's size; blocks of 64 KiB. Other writers: its checksum too.
DESCRIPTOR = bytes([0b01_1_1_1_0_0_0, 0b0_100_0000])
CHECKED_DESCRIPTOR = bytes([0b01_1_1_1_1_0_0, 0b0_100_0000])
STORED = 0x80000000
TAIL_BYTES = 12
PREAMBLE = bytes.fromhex("04224D1860408200000000")


def lz4_header(content, checked=False):
    descriptor = (CHECKED_DESCRIPTOR if checked else DESCRIPTOR) + struct.pack("<Q", len(content))
    return struct.pack("<I", LZ4_MAGIC) + descriptor + bytes([xxh32(descriptor) >> 8 & 0xFF])


def lz4_frame(content):
    """A batch's LZ4 frame. Blocks that would not shrink are stored, as the last bytes are, which are a block."""
    body = max(len(content) - TAIL_BYTES, 0)
    parts = [content[at:min(at + BLOCK_BYTES_MAX, body)] for at in range(0, body, BLOCK_BYTES_MAX)] + [content[body:]]
    out = bytearray(lz4_header(content))
    for part in parts:
        block, flag = compressed_block(part), 0
        if len(block) >= len(part):
            block, flag = part, STORED
        out += struct.pack("<I", len(block) | flag) + block + struct.pack("<I", xxh32(block))
    return bytes(out + struct.pack("<I", 0))


def lz4_content(frame):
    """What is in the LZ4 frame of a batch, which is all of `frame`."""
    if (len(frame) < 15 or struct.unpack_from("<I", frame)[0] != LZ4_MAGIC
            or frame[4:6] not in (DESCRIPTOR, CHECKED_DESCRIPTOR)):
        raise Damaged("not the header of a batch's LZ4 frame")
    size, check = struct.unpack_from("<QB", frame, 6)
    if check != xxh32(frame[4:14]) >> 8 & 0xFF:
        raise Damaged("checksum of the LZ4 frame's header")
    out, at = bytearray(), 15
    while True:
        length, at = _u32(frame, at)
        if length == 0:
            break
        stored, length = length & STORED, length & ~STORED
        block = frame[at:at + length]
        check, at = _u32(frame, at + length)
        if length > BLOCK_BYTES_MAX or check != xxh32(block):
            raise Damaged("a block's length or checksum")
        out += block if stored else decompressed_block(block)
        if len(out) > size:
            raise Damaged("more content than the LZ4 frame's header says")
    check = None
    if frame[4:6] == CHECKED_DESCRIPTOR:
        check, at = _u32(frame, at)
    if len(out) != size or check not in (None, xxh32(bytes(out))) or at != len(frame):
        raise Damaged("the content's size or checksum")
    return bytes(out)


def _u32(data, at):
    if at + 4 > len(data):
        raise Damaged("the LZ4 frame ends early")
    return struct.unpack_from("<I", data, at)[0], at + 4


# ---------------------------------------------------------------------------------------------- Records

RECORD_MAGIC = 0x184D2A53
RECORD_NAME = b"SPWB"
RECORD_VERSION = 1
FLAGS_VERSION = 2  # of a batch record that says which frames are acknowledged
SEGMENT_HEADER, BATCH, SEAL = 1, 2, 3
START = struct.Struct("<II4sBBHIQII")  # everything before what the type has
BATCH_START = struct.Struct("<qqIIQQIqI")


@dataclass
class Batch:
    """What a batch record says. `content` is what the LZ4 frame behind it holds."""
    epoch: int
    sequence: int
    records: int
    frames: int
    bytes: int
    lz4_bytes: int
    lz4_checksum: int
    opened: int
    sessions: list  # (source, session, [(first, behind), ...])
    content: bytes = b""
    acknowledged: str | None = None  # a digit for each frame, 1 for an acknowledged one; None in version 1

    def encoded(self):
        out = BATCH_START.pack(self.epoch, self.sequence, self.records, self.frames, self.bytes, self.lz4_bytes,
                               self.lz4_checksum, self.opened, len(self.sessions))
        for source, session, ranges in self.sessions:
            out += struct.pack("<QQI", source, session, len(ranges))
            out += b"".join(struct.pack("<QQ", first, behind) for first, behind in ranges)
        if self.acknowledged is not None:
            out += flags_bytes(self.acknowledged)
        return out

    def object(self):
        """The batch as JSON has it."""
        return {
            "epoch": self.epoch, "sequence": self.sequence, "records": self.records, "frames": self.frames,
            "bytes": self.bytes, "crc32c_of_frames": crc32c(self.content), "opened": self.opened,
            "sessions": [{"source": source, "session": session, "ranges": [list(pair) for pair in ranges]}
                         for source, session, ranges in self.sessions],
            "acknowledged": self.acknowledged}


def flags_bytes(digits):
    """A bit for each frame: bit `place % 8` of byte `place // 8`."""
    return int(digits[::-1] or "0", 2).to_bytes((len(digits) + 7) // 8, "little")


def batch_of(content, version):
    """The batch in what a record of type 2 has."""
    if len(content) < BATCH_START.size:
        raise Damaged("a batch record ends early")
    *items, count = BATCH_START.unpack_from(content)
    batch, at = Batch(*items, sessions=[]), BATCH_START.size
    if batch.epoch < 0 or batch.sequence < 1 or batch.bytes > BATCH_FRAME_BYTES_MAX:
        raise Damaged("a batch's identity or size")
    for _ in range(count):
        if len(content) - at < 20:
            raise Damaged("a batch record ends within a session")
        source, session, range_count = struct.unpack_from("<QQI", content, at)
        at += 20
        if batch.sessions and (source, session) <= batch.sessions[-1][:2]:
            raise Damaged("sessions do not ascend")
        if len(content) - at < 16 * range_count:
            raise Damaged("a batch record ends within ranges")
        ranges = list(struct.iter_unpack("<QQ", content[at:at + 16 * range_count]))
        at += 16 * range_count
        end = -1
        for first, behind in ranges:
            if first <= end or behind <= first:
                raise Damaged("ranges do not ascend, touch, or are empty")
            end = behind
        batch.sessions.append((source, session, ranges))
    if version == FLAGS_VERSION:
        if not batch.sessions or len(content) - at < (batch.frames + 7) // 8:
            raise Damaged("a batch record ends within its flags, or has flags and no session")
        bits = int.from_bytes(content[at:at + (batch.frames + 7) // 8], "little")
        at += (batch.frames + 7) // 8
        if bits >> batch.frames:
            raise Damaged("a flag past the last frame")
        batch.acknowledged = format(bits, f"0{batch.frames}b")[::-1] if batch.frames else ""
    if at != len(content):
        raise Damaged("bytes past the end of a batch record's items")
    return batch


@dataclass
class Record:
    """A record whose checksum holds. `behind` is the offset behind it and its LZ4 frame."""
    offset: int
    frame_offset: int
    behind: int
    type: int
    ordinal: int
    chain: int
    checksum: int
    content: object


def record_bytes(type_, ordinal, epoch, sequence, chain, content, *, version=RECORD_VERSION, reserved=0):
    out = START.pack(RECORD_MAGIC, START.size - 8 + len(content) + 4, RECORD_NAME, version, type_, reserved, ordinal,
                     epoch, sequence, chain) + content
    return out + struct.pack("<I", crc32c(out))


def record_at(data, at, epoch, sequence):
    """The record at `at` if it is one of this segment, else None."""
    if at + START.size + 4 > len(data):
        return None
    magic, length, name, version, type_, reserved, ordinal, *segment, chain = START.unpack_from(data, at)
    end = at + 8 + length
    if magic != RECORD_MAGIC or name != RECORD_NAME or reserved != 0:
        return None
    if version != RECORD_VERSION and (version, type_) != (FLAGS_VERSION, BATCH):
        return None
    if segment != [epoch, sequence] or not at + START.size + 4 <= end <= len(data):
        return None
    content, checksum = data[at + START.size:end - 4], struct.unpack_from("<I", data, end - 4)[0]
    if len(content) > RECORD_CONTENT_BYTES_MAX or crc32c(data[at:end - 4]) != checksum:
        return None
    behind = end
    if type_ == SEGMENT_HEADER and len(content) == 16 and ordinal == 0:
        content = struct.unpack("<Qq", content)
    elif type_ == SEAL and len(content) == 12 and ordinal > 0:
        content = struct.unpack("<IQ", content)
    elif type_ == BATCH and ordinal > 0:
        try:
            content = batch_of(content, version)
        except Damaged:
            return None
        behind += content.lz4_bytes
        if behind > len(data):
            return None
    else:
        return None
    return Record(at, end, behind, type_, ordinal, chain, checksum, content)


# ---------------------------------------------------------------------------------------------- A segment, written

class Segment:
    """Writes a segment. `records` are the offsets of its records, their LZ4 frames, and the places behind both."""

    def __init__(self, epoch, sequence, *, directory=0, made=0):
        self.epoch, self.sequence = epoch, sequence
        self.data, self.records, self.batches, self.chain = bytearray(PREAMBLE), [], [], 0
        self.append(SEGMENT_HEADER, struct.pack("<Qq", directory, made))

    @property
    def name(self):
        return f"spill-{self.epoch:016x}-{self.sequence:08x}.lz4"

    def append(self, type_, content, frame=b"", **changes):
        """A record, and the LZ4 frame behind it. `changes` are items that are not what they should be."""
        items = {"ordinal": len(self.records), "epoch": self.epoch, "sequence": self.sequence, "chain": self.chain}
        record = record_bytes(type_, content=content, **(items | changes))
        start = len(self.data)
        self.data += record + frame
        self.chain = int.from_bytes(record[-4:], "little")
        self.records.append((start, start + len(record), len(self.data)))

    def batch(self, content, *, epoch, sequence, records, frames, opened, sessions=(), acknowledged=None, frame=None,
              edit=None, rewrite=lambda content: content, record=None):
        """A batch of these frames, in bytes. What follows `sessions` is for segments that are not what they should be:
        other bytes as LZ4 frame, other items of the batch, a function over its items in bytes, other items of the
        record."""
        frame = lz4_frame(content) if frame is None else frame
        batch = Batch(epoch, sequence, records, frames, len(content), len(frame), crc32c(frame), opened,
                      list(sessions), content, acknowledged)
        batch = replace(batch, **(edit or {}))
        version = RECORD_VERSION if acknowledged is None else FLAGS_VERSION
        self.append(BATCH, rewrite(batch.encoded()), frame, **({"version": version} | (record or {})))
        self.batches.append(batch)

    def seal(self):
        self.append(SEAL, struct.pack("<IQ", len(self.batches), sum(batch.records for batch in self.batches)))


# ---------------------------------------------------------------------------------------------- Reading after a crash

@dataclass
class Scan:
    """What is in a segment."""
    name: str
    sealed: bool = False
    batches: list = field(default_factory=list)
    damage: list = field(default_factory=list)  # (offset, length)
    torn_at: int | None = None

    def object(self):
        return {"name": self.name, "sealed": self.sealed, "batches": [batch.object() for batch in self.batches],
                "damage": [{"offset": offset, "length": length} for offset, length in self.damage],
                "torn_at": self.torn_at}


SEGMENT_NAME = re.compile(r"spill-([0-9a-f]{16})-([0-9a-f]{8})\.lz4")


def _walk(data, epoch, sequence, check_frames):
    """The records that count, the damage between them, and the place behind the last one."""
    magic = struct.pack("<I", RECORD_MAGIC)
    records, damage, last, lost = [], [], None, None
    at = len(PREAMBLE) if data.startswith(PREAMBLE) else 0
    while at < len(data):
        record = record_at(data, at, epoch, sequence)
        follows = record is not None and (
            (record.ordinal, record.chain) == ((last.ordinal + 1, last.checksum) if last else (0, 0))
            or lost is not None and (last is None or record.ordinal > last.ordinal))
        if follows and not (check_frames and record.type == BATCH
                            and crc32c(data[record.frame_offset:record.behind]) != record.content.lz4_checksum):
            if lost is not None:
                damage.append((lost, at - lost))
            records.append(record)
            last, lost, at = record, None, record.behind
            continue
        if lost is None:
            lost = at
        # Never within a frame whose record counts.
        at = data.find(magic, record.behind if follows else at + 1)
        if at < 0:
            break
    return records, damage, len(data) if lost is None else lost


def scan(name, data):
    """What is in a segment of this name. A batch whose frame turns out to be damaged is lost: its record and its LZ4
    frame are damage as well."""
    epoch, sequence = (int(part, 16) for part in SEGMENT_NAME.fullmatch(name).groups())
    found = Scan(name)
    # Whether it is sealed comes before whether the frames of its batches are looked at.
    records, damage, end = _walk(data, epoch, sequence, False)
    found.sealed = bool(records) and records[-1].type == SEAL
    if not found.sealed:
        records, damage, end = _walk(data, epoch, sequence, True)
    found.damage = list(damage)
    found.torn_at = end if end < len(data) else None
    identities = set()
    for record in records:
        if record.type != BATCH:
            continue
        batch, frame = record.content, data[record.frame_offset:record.behind]
        try:
            if crc32c(frame) != batch.lz4_checksum:
                raise Damaged("checksum of the LZ4 frame")
            batch.content = lz4_content(frame)
            if len(batch.content) != batch.bytes:
                raise Damaged("not as many bytes as the record says")
        except Damaged:
            found.damage.append((record.offset, record.behind - record.offset))
            continue
        if (batch.epoch, batch.sequence) not in identities:
            identities.add((batch.epoch, batch.sequence))
            found.batches.append(batch)
    found.damage = _joined(found.damage)
    return found


def _joined(places):
    """Places that touch as one."""
    out = []
    for offset, length in sorted(places):
        if out and sum(out[-1]) == offset:
            offset, length = out[-1][0], out.pop()[1] + length
        out.append((offset, length))
    return out


# ---------------------------------------------------------------------------------------------- The program

def main(arguments):
    cat = arguments[:1] == ["--cat"]
    paths = [Path(argument) for argument in arguments[cat:]]
    if not paths or any(not SEGMENT_NAME.fullmatch(path.name) for path in paths):
        print(__doc__, file=sys.stderr)
        return 64
    intact = True
    for path in paths:
        found = scan(path.name, path.read_bytes())
        intact = intact and not found.damage and found.torn_at is None
        if cat:
            sys.stdout.buffer.write(b"".join(batch.content for batch in found.batches))
        else:
            print(json.dumps(found.object()))
    return 0 if intact else 65


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
