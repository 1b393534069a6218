/* Data of records: good, cut, too long, and names that are no hosts. */
#include "net/dns.h"

#include "base/test.h"

#include <string.h>

#define BYTES(text) SLICE_CONST(text)

static void rows_of_records(void **state)
{
    static const struct {
        const char *name;
        enum dns_type type;
        struct slice rdata;
        enum err e;
        struct dns_record record;
    } rows[] = {
        { "an address", DNS_A, BYTES("\xc0\0\2\1"), ERR_OK, { .text = "192.0.2.1" } },
        { "an address cut", DNS_A, BYTES("\xc0\0\2"), ERR_SYNTAX, { .text = NULL } },
        { "an address and more", DNS_A, BYTES("\xc0\0\2\1\1"), ERR_SYNTAX, { .text = NULL } },
        { "IPv6", DNS_AAAA, BYTES("\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), ERR_OK,
            { .text = "2001:db8::1" } },
        { "IPv4 as IPv6", DNS_AAAA, BYTES("\xc0\0\2\1"), ERR_SYNTAX, { .text = NULL } },
        { "MX", DNS_MX, BYTES("\0\12\2Mx\4firm\0"), ERR_OK, { .priority = 10, .text = "mx.firm" } },
        { "null MX", DNS_MX, BYTES("\0\0\0"), ERR_OK, { .text = "" } },
        { "MX without a name", DNS_MX, BYTES("\0\12"), ERR_SYNTAX, { .text = NULL } },
        { "SRV", DNS_SRV, BYTES("\0\1\0\2\3\341\4imap\1x\0"), ERR_OK,
            { .priority = 1, .weight = 2, .port = 993, .text = "imap.x" } },
        { "SRV not offered", DNS_SRV, BYTES("\0\0\0\0\0\0\0"), ERR_OK, { .text = "" } },
        { "SRV cut", DNS_SRV, BYTES("\0\1\0\2\3\341"), ERR_SYNTAX, { .text = NULL } },
        { "no end", DNS_MX, BYTES("\0\12\2mx"), ERR_SYNTAX, { .text = NULL } },
        { "a label past the end", DNS_MX, BYTES("\0\12\5mx\0"), ERR_SYNTAX, { .text = NULL } },
        { "more after the name", DNS_MX, BYTES("\0\12\2mx\0\0"), ERR_SYNTAX, { .text = NULL } },
        { "a compressed name", DNS_MX, BYTES("\0\12\300\14"), ERR_SYNTAX, { .text = NULL } },
        { "dots in a label", DNS_MX, BYTES("\0\12\2..\0"), ERR_SYNTAX, { .text = NULL } },
        { "NUL in a label", DNS_MX, BYTES("\0\12\3a\0b\0"), ERR_SYNTAX, { .text = NULL } },
        { "escape in a label", DNS_MX, BYTES("\0\12\3a\33b\0"), ERR_SYNTAX, { .text = NULL } },
        { "blank in a label", DNS_MX, BYTES("\0\12\3a b\0"), ERR_SYNTAX, { .text = NULL } },
        { "UTF-8 in a label", DNS_MX, BYTES("\0\12\2\xd8\xa8\0"), ERR_SYNTAX, { .text = NULL } },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct dns_record got = { .text = "untouched" };
        struct arena arena;
        arena_init(&arena, 4096);
        enum err e = dns_read_record(rows[i].type, rows[i].rdata, &arena, &got);
        if (e != rows[i].e)
            fail_msg("%s: %s", rows[i].name, err_name(e));
        if (e) {
            assert_string_equal(got.text, "untouched");
        } else {
            assert_string_equal(got.text, rows[i].record.text);
            assert_int_equal(got.priority, rows[i].record.priority);
            assert_int_equal(got.weight, rows[i].record.weight);
            assert_int_equal(got.port, rows[i].record.port);
        }
        arena_done(&arena);
    }
}

/* 255 bytes are a name, 256 are none; a label has 63 at most. */
static void the_longest_name(void **state)
{
    unsigned char rdata[2 + 300] = { 0, 10 };
    struct dns_record got;
    struct arena arena;
    (void)state;
    arena_init(&arena, 4096);
    for (int last = 61; last <= 62; last++) { /* 3 * 64 + 1 + 61 + 1 = 255 */
        size_t at = 2;
        for (int label = 0; label < 4; label++) {
            size_t len = label < 3 ? 63 : (size_t)last;
            rdata[at++] = (unsigned char)len;
            memset(rdata + at, 'a', len);
            at += len;
        }
        rdata[at++] = 0;
        assert_err(last == 61 ? ERR_OK : ERR_SYNTAX,
            dns_read_record(DNS_MX, slice_from(rdata, at), &arena, &got));
    }
    rdata[2] = 64;
    assert_err(ERR_SYNTAX, dns_read_record(DNS_MX, slice_from(rdata, 70), &arena, &got));
    arena_done(&arena);
}

TEST_MAIN(cmocka_unit_test(rows_of_records), cmocka_unit_test(the_longest_name))
