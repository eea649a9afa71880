#include "CChecksum.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define IS_LITTLE_ENDIAN 1
#else
#define IS_LITTLE_ENDIAN 0
#endif

// The polynomial 0x1EDC6F41 with its bits reversed.
#define POLYNOMIAL 0x82F63B78u

static uint32_t tables[8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void make_tables(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ ((crc & 1) ? POLYNOMIAL : 0);
        tables[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int t = 1; t < 8; t++) tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 0xFF];
}

uint32_t spillway_crc32c_tables(uint32_t crc, const void *bytes, size_t length) {
    pthread_once(&tables_once, make_tables);
    const uint8_t *p = bytes;
    crc = ~crc;
#if IS_LITTLE_ENDIAN
    while (length >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        word ^= crc;
        crc = tables[7][word & 0xFF] ^ tables[6][(word >> 8) & 0xFF] ^ tables[5][(word >> 16) & 0xFF] ^
              tables[4][(word >> 24) & 0xFF] ^ tables[3][(word >> 32) & 0xFF] ^ tables[2][(word >> 40) & 0xFF] ^
              tables[1][(word >> 48) & 0xFF] ^ tables[0][word >> 56];
        p += 8;
        length -= 8;
    }
#endif
    while (length--) crc = (crc >> 8) ^ tables[0][(crc ^ *p++) & 0xFF];
    return ~crc;
}

// The processor's instruction, and whether it is there. The checksum is carried in 64 bits: what takes them on one
// processor and 32 on the other needs no move between two steps.
#if defined(__x86_64__)
#include <nmmintrin.h>
#define HAS_INSTRUCTION 1
#define WITH_INSTRUCTION __attribute__((target("sse4.2")))

WITH_INSTRUCTION static inline uint64_t with_word(uint64_t crc, uint64_t word) { return _mm_crc32_u64(crc, word); }
WITH_INSTRUCTION static inline uint64_t with_byte(uint64_t crc, uint8_t byte) {
    return _mm_crc32_u8((uint32_t)crc, byte);
}

// Resolved by the C runtime from CPUID before main; a plain load afterwards.
static inline bool is_instruction_there(void) { return __builtin_cpu_supports("sse4.2"); }

#elif defined(__aarch64__) && defined(__linux__) && IS_LITTLE_ENDIAN
#include <arm_acle.h>
#include <sys/auxv.h>
#define HAS_INSTRUCTION 1
#define WITH_INSTRUCTION __attribute__((target("+crc")))

WITH_INSTRUCTION static inline uint64_t with_word(uint64_t crc, uint64_t word) {
    return __crc32cd((uint32_t)crc, word);
}
WITH_INSTRUCTION static inline uint64_t with_byte(uint64_t crc, uint8_t byte) {
    return __crc32cb((uint32_t)crc, byte);
}

// Optional in ARMv8.0, as on the first 64-bit boards: a build for any ARM must ask the kernel. Asked before main; what
// runs earlier takes the tables.
static bool is_instruction_known;
__attribute__((constructor)) static void ask_for_instruction(void) {
    is_instruction_known = (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}
static inline bool is_instruction_there(void) { return is_instruction_known; }

#else
#define HAS_INSTRUCTION 0
#endif

#if HAS_INSTRUCTION

// The instruction gives its result after two or three cycles and can begin once a cycle: three neighbouring blocks are
// computed side by side, and joined by what a checksum becomes behind so many zero bytes, which is linear (Gopal and
// others, "Fast CRC computation for iSCSI polynomial using CRC32 instruction", Intel, 2011).
#define SHORT_BLOCK 128
#define LONG_BLOCK 2048

static uint32_t behind_short[4][256];
static uint32_t behind_long[4][256];
static pthread_once_t blocks_once = PTHREAD_ONCE_INIT;

static void make_behind(uint32_t behind[4][256], size_t zeros) {
    uint32_t bits[32];
    for (int bit = 0; bit < 32; bit++) {
        uint32_t crc = UINT32_C(1) << bit;
        for (size_t i = 0; i < zeros; i++) crc = (crc >> 8) ^ tables[0][crc & 0xFF];
        bits[bit] = crc;
    }
    for (int byte = 0; byte < 4; byte++) {
        for (int value = 0; value < 256; value++) {
            uint32_t crc = 0;
            for (int bit = 0; bit < 8; bit++) crc ^= (value >> bit) & 1 ? bits[8 * byte + bit] : 0;
            behind[byte][value] = crc;
        }
    }
}

static void make_blocks(void) {
    pthread_once(&tables_once, make_tables);
    make_behind(behind_short, SHORT_BLOCK);
    make_behind(behind_long, LONG_BLOCK);
}

static inline uint32_t moved(uint32_t behind[4][256], uint32_t crc) {
    return behind[0][crc & 0xFF] ^ behind[1][(crc >> 8) & 0xFF] ^ behind[2][(crc >> 16) & 0xFF] ^ behind[3][crc >> 24];
}

WITH_INSTRUCTION static inline uint64_t
three_blocks(uint64_t crc, const uint8_t *p, size_t block, uint32_t behind[4][256]) {
    uint64_t second = 0, third = 0;
    for (size_t i = 0; i < block; i += 8) {
        uint64_t words[3];
        memcpy(&words[0], p + i, 8);
        memcpy(&words[1], p + block + i, 8);
        memcpy(&words[2], p + 2 * block + i, 8);
        crc = with_word(crc, words[0]);
        second = with_word(second, words[1]);
        third = with_word(third, words[2]);
    }
    return moved(behind, moved(behind, (uint32_t)crc) ^ (uint32_t)second) ^ third;
}

WITH_INSTRUCTION static uint32_t crc32c_instruction(uint32_t start, const void *bytes, size_t length) {
    const uint8_t *p = bytes;
    uint64_t crc = (uint32_t)~start;
    if (length >= 3 * SHORT_BLOCK) {
        pthread_once(&blocks_once, make_blocks);
        for (; length >= 3 * LONG_BLOCK; p += 3 * LONG_BLOCK, length -= 3 * LONG_BLOCK)
            crc = three_blocks(crc, p, LONG_BLOCK, behind_long);
        for (; length >= 3 * SHORT_BLOCK; p += 3 * SHORT_BLOCK, length -= 3 * SHORT_BLOCK)
            crc = three_blocks(crc, p, SHORT_BLOCK, behind_short);
    }
    while (length >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        crc = with_word(crc, word);
        p += 8;
        length -= 8;
    }
    while (length--) crc = with_byte(crc, *p++);
    return ~(uint32_t)crc;
}

uint32_t spillway_crc32c(uint32_t crc, const void *bytes, size_t length) {
    return is_instruction_there() ? crc32c_instruction(crc, bytes, length)
                                  : spillway_crc32c_tables(crc, bytes, length);
}

#else

uint32_t spillway_crc32c(uint32_t crc, const void *bytes, size_t length) {
    return spillway_crc32c_tables(crc, bytes, length);
}

#endif
