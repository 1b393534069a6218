/* A filter is a byte that says its version, then 2^k bits, 2^BITS_LOG_MIN to BITS_MAX: what hashes to h stands at h modulo 2^k, so that one of any
 * size is made from the largest by laying its halves over each other, and a needle is hashed once for all sizes.
 *
 * Characters, not bytes, make a sequence: of Arabic in UTF-8 three bytes are half of what three letters tell. Always true: a needle of whole characters
 * is cut into the same ones as inside any text that holds its bytes, also text that is no UTF-8. */
#include "message/filter.h"

#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

#define BITS_LOG_MIN 10u
#define BITS_LOG_MAX 18u
#define BITS_MAX     (1u << BITS_LOG_MAX)
/* A filter is as small as it can be with at most this share of its bits set, in 256ths: a needle of six characters then passes by chance
 * once in two hundred messages. */
#define FULL_256THS 90u

struct msg_filter_maker {
    uint64_t words[BITS_MAX / 64];
};

/* ---- characters ---- */

static bool is_start(char byte)
{
    return ((unsigned char)byte & 0xc0) != 0x80;
}

/* How many bytes the character has that begins so. */
static unsigned char_len(char first)
{
    unsigned char lead = (unsigned char)first;
    return lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* The next character's bytes as a number; text is not empty. */
static uint64_t take_char(const char **at, const char *end)
{
    unsigned more = char_len(**at) - 1;
    uint64_t value = (unsigned char)*(*at)++;
    for (; more && *at < end && !is_start(**at); more--)
        value = value << 8 | (unsigned char)*(*at)++;
    return value;
}

/* The last three characters, and where their sequence stands. */
struct grams {
    uint64_t a, b;
    unsigned seen; /* characters, at most 2 */
};

/* True: *out_bit is that of the sequence which c completes. */
static bool take_gram(struct grams *grams, uint64_t c, uint32_t *out_bit)
{
    uint64_t a = grams->a, b = grams->b;
    grams->a = b;
    grams->b = c;
    if (grams->seen < 2) {
        grams->seen++;
        return false;
    }
    uint64_t mixed = a * 0x9e3779b97f4a7c15u ^ b * 0xc2b2ae3d27d4eb4fu ^ c * 0x165667b19e3779f9u;
    *out_bit = (uint32_t)((mixed * 0xff51afd7ed558ccdu) >> (64 - BITS_LOG_MAX));
    return true;
}

/* ---- asking ---- */

static uint32_t filter_bits(struct slice filter)
{
    if (filter.len < 2 || filter.ptr[0] != MSG_FILTER_VERSION)
        return 0;
    size_t bits = (filter.len - 1) * 8;
    bool is_power = (bits & (bits - 1)) == 0;
    return is_power && bits >= (1u << BITS_LOG_MIN) && bits <= BITS_MAX ? (uint32_t)bits : 0;
}

bool msg_filter_known(struct slice filter)
{
    return filter_bits(filter) != 0;
}

/* Whole characters only: one that is cut at the end may go on in a text. */
static bool is_whole(struct slice needle)
{
    if (!needle.len || !is_start(needle.ptr[0]))
        return false;
    size_t start = needle.len - 1;
    while (start > 0 && !is_start(needle.ptr[start]))
        start--;
    return needle.len - start == char_len(needle.ptr[start]);
}

bool msg_filter_may_hold(struct slice filter, struct slice folded_needle)
{
    uint32_t bits = filter_bits(filter), bit;
    if (!bits || !is_whole(folded_needle))
        return true;
    const unsigned char *set = (const unsigned char *)filter.ptr + 1;
    struct grams grams = { 0 };
    const char *at = folded_needle.ptr, *end = at + folded_needle.len;
    while (at < end) {
        if (!take_gram(&grams, take_char(&at, end), &bit))
            continue;
        bit &= bits - 1;
        if (!(set[bit / 8] >> bit % 8 & 1))
            return false;
    }
    return true;
}

/* ---- making ---- */

struct msg_filter_maker *msg_filter_maker_new(void)
{
    return mem_zalloc(1, sizeof(struct msg_filter_maker));
}

void msg_filter_maker_free(struct msg_filter_maker *maker)
{
    free(maker);
}

void msg_filter_maker_take(struct msg_filter_maker *maker, struct slice folded)
{
    struct grams grams = { 0 };
    uint32_t bit;
    const char *at = folded.ptr, *end = at + folded.len;
    while (at < end)
        if (take_gram(&grams, take_char(&at, end), &bit))
            maker->words[bit / 64] |= (uint64_t)1 << bit % 64;
}

static uint32_t count_set(const uint64_t *words, uint32_t bits)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < bits / 64; i++)
        count += (uint32_t)__builtin_popcountll(words[i]);
    return count;
}

void msg_filter_maker_write(struct msg_filter_maker *maker, struct buf *out)
{
    uint64_t *words = maker->words;
    uint32_t bits = BITS_MAX;
    while (bits > 1u << BITS_LOG_MIN) {
        uint64_t half[BITS_MAX / 128];
        for (uint32_t i = 0; i < bits / 128; i++)
            half[i] = words[i] | words[bits / 128 + i];
        if ((uint64_t)count_set(half, bits / 2) * 256 > (uint64_t)(bits / 2) * FULL_256THS)
            break;
        bits /= 2;
        memcpy(words, half, bits / 8);
    }
    buf_addc(out, MSG_FILTER_VERSION);
    for (uint32_t i = 0; i < bits / 8; i++) /* the same on every machine */
        buf_addc(out, (char)(words[i / 8] >> i % 8 * 8));
}
