#include "CChecksum.h"

#include <pthread.h>
#include <string.h>

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
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
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

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc32c_instruction(uint32_t start, const void *bytes, size_t length) {
    const uint8_t *p = bytes;
    uint64_t crc = (uint32_t)~start;
    while (length >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        crc = _mm_crc32_u64(crc, word);
        p += 8;
        length -= 8;
    }
    while (length--) crc = _mm_crc32_u8((uint32_t)crc, *p++);
    return ~(uint32_t)crc;
}

uint32_t spillway_crc32c(uint32_t crc, const void *bytes, size_t length) {
    // Resolved by the C runtime from CPUID before main; a plain load afterwards.
    return __builtin_cpu_supports("sse4.2") ? crc32c_instruction(crc, bytes, length)
                                            : spillway_crc32c_tables(crc, bytes, length);
}

#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>

uint32_t spillway_crc32c(uint32_t start, const void *bytes, size_t length) {
    const uint8_t *p = bytes;
    uint32_t crc = ~start;
    while (length >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        crc = __crc32cd(crc, word);
        p += 8;
        length -= 8;
    }
    while (length--) crc = __crc32cb(crc, *p++);
    return ~crc;
}

#else

uint32_t spillway_crc32c(uint32_t crc, const void *bytes, size_t length) {
    return spillway_crc32c_tables(crc, bytes, length);
}

#endif
