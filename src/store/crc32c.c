/*
 * The processor's own CRC-32C for LevelDB (Linux, x86-64 and arm64; see checksums.ts).
 *
 * LevelDB checks everything it writes by a CRC-32C, twice: once in its log and once in its table. It has a place for a
 * function that does this by hardware, `leveldb::port::AcceleratedCRC32C`, which answers 0 where there is none; and the
 * binary that comes with the package was built for every processor, so there it answers 0, and tables of 4 KiB are looked
 * up instead, which was a quarter of the processor time of a large file. This is that function. The loader finds it before
 * LevelDB's own, if this file is loaded first and for all to see; LevelDB tries it on a known text and uses it only if
 * what comes out is right.
 *
 * How: the instruction takes eight bytes each cycle, but has its answer after three, and the next one waits for it. So
 * three stretches are summed up side by side and put together. A CRC is linear: that of a stretch which follows another is
 * the other's, moved on over as many zero bytes as the stretch is long, plus its own. Moving on is four look-ups.
 *
 * Road not taken: carry-less multiplication (Gopal et al., 2009), which is faster still where memory is: here the bytes
 * have just been copied and the rest of the way is slower.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#define WITH_INSTRUCTION __attribute__((target("sse4.2")))
#define STEP(sum, word) ((uint32_t)_mm_crc32_u64((sum), (word)))
#define STEP_BYTE(sum, byte) _mm_crc32_u8((sum), (byte))
static int has_instruction(void) { return __builtin_cpu_supports("sse4.2"); }
#elif defined(__aarch64__) && defined(__AARCH64EL__)
#include <arm_acle.h>
#include <sys/auxv.h>
#define WITH_INSTRUCTION __attribute__((target("+crc")))
#define STEP(sum, word) __crc32cd((sum), (word))
#define STEP_BYTE(sum, byte) __crc32cb((sum), (byte))
/* HWCAP_CRC32 of asm/hwcap.h */
static int has_instruction(void) { return (getauxval(AT_HWCAP) & (1 << 7)) != 0; }
#else
#define WITH_INSTRUCTION
#define STEP(sum, word) (sum)
#define STEP_BYTE(sum, byte) (sum)
static int has_instruction(void) { return 0; }
#endif

/* Bytes of a stretch, a multiple of eight: long enough that putting them together does not count, and three of them are
 * less than a record of LevelDB's log (32 KiB). */
#define STRETCH 2048

static int usable;
/* [i][b]: what byte i of a sum becomes when it has the value b and the sum is moved on over STRETCH zero bytes. */
static uint32_t moved[4][256];
static int64_t calls;

static inline uint64_t word_at(const unsigned char *at) {
  uint64_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

static inline uint32_t move_on(uint32_t sum) {
  return moved[0][sum & 0xff] ^ moved[1][(sum >> 8) & 0xff] ^ moved[2][(sum >> 16) & 0xff] ^ moved[3][sum >> 24];
}

WITH_INSTRUCTION static void prepare(void) {
  uint32_t of_bit[32];
  for (int bit = 0; bit < 32; bit++) {
    uint32_t sum = (uint32_t)1 << bit;
    for (int i = 0; i < STRETCH; i += 8) sum = STEP(sum, 0);
    of_bit[bit] = sum;
  }
  for (int byte = 0; byte < 4; byte++)
    for (int value = 0; value < 256; value++) {
      uint32_t sum = 0;
      for (int bit = 0; bit < 8; bit++)
        if (value >> bit & 1) sum ^= of_bit[byte * 8 + bit];
      moved[byte][value] = sum;
    }
}

WITH_INSTRUCTION static uint32_t extend(uint32_t sum, const unsigned char *at, size_t left) {
  for (; left >= 3 * STRETCH; at += 3 * STRETCH, left -= 3 * STRETCH) {
    uint32_t second = 0, third = 0;
    for (int i = 0; i < STRETCH; i += 8) {
      sum = STEP(sum, word_at(at + i));
      second = STEP(second, word_at(at + STRETCH + i));
      third = STEP(third, word_at(at + 2 * STRETCH + i));
    }
    sum = move_on(move_on(sum) ^ second) ^ third;
  }
  for (; left >= 8; at += 8, left -= 8) sum = STEP(sum, word_at(at));
  for (; left > 0; at++, left--) sum = STEP_BYTE(sum, *at);
  return sum;
}

/* By the book (RFC 3720, appendix B.4: the polynomial 0x1edc6f41, lowest bit first), a bit at a time. */
static uint32_t extend_slowly(uint32_t sum, const unsigned char *at, size_t left) {
  for (; left > 0; at++, left--) {
    sum ^= *at;
    for (int bit = 0; bit < 8; bit++) sum = sum & 1 ? sum >> 1 ^ 0x82f63b78 : sum >> 1;
  }
  return sum;
}

/* What LevelDB tries it on has 13 bytes: the stretches are checked here, since a wrong sum would be on the disk for good. */
__attribute__((constructor)) static void begin(void) {
  unsigned char known[3 * STRETCH + 13];
#if defined(__x86_64__)
  __builtin_cpu_init();
#endif
  if (!has_instruction()) return;
  prepare();
  /* No two stretches alike. */
  uint32_t state = 1;
  for (size_t i = 0; i < sizeof known; i++) known[i] = (unsigned char)((state = state * 1664525 + 1013904223) >> 24);
  usable = extend(~0u, known, sizeof known) == extend_slowly(~0u, known, sizeof known);
}

/* uint32_t leveldb::port::AcceleratedCRC32C(uint32_t, const char *, size_t), as C++ compilers on Linux write it. */
uint32_t _ZN7leveldb4port17AcceleratedCRC32CEjPKcm(uint32_t crc, const char *bytes, size_t size);
uint32_t _ZN7leveldb4port17AcceleratedCRC32CEjPKcm(uint32_t crc, const char *bytes, size_t size) {
  if (!usable) return 0;
  __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
  return ~extend(~crc, (const unsigned char *)bytes, size);
}

/* Of Node.js (node_api.h), which is not here when this is compiled. */
typedef void *napi_env;
typedef void *napi_value;
extern int napi_create_int64(napi_env env, int64_t value, napi_value *result);
extern int napi_set_named_property(napi_env env, napi_value object, const char *name, napi_value value);

/* Called each time the file is loaded. Says how often LevelDB has asked, if this can be used at all: whether it is is to
 * be seen. */
napi_value napi_register_module_v1(napi_env env, napi_value exports);
napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  napi_value number;
  if (usable && napi_create_int64(env, __atomic_load_n(&calls, __ATOMIC_RELAXED), &number) == 0) napi_set_named_property(env, exports, "calls", number);
  return exports;
}
