/* Whom to believe, and what comes first. */
#include "discover/rank.h"

#include "base/test.h"

#include <string.h>

static void foreign(void **state)
{
    static const struct {
        const char *row, *host;
        enum discover_method method;
        bool is_signed, foreign;
    } rows[] = {
        { "own host", "imap.firm.co.uk", DISCOVER_GUESS, false, false },
        { "own domain itself", "firm.co.uk", DISCOVER_AUTOCONFIG, false, false },
        { "own host by unsigned SRV", "x.firm.co.uk", DISCOVER_SRV, false, false },
        { "our table", "imap.hoster.example", DISCOVER_TABLE, false, false },
        { "our table by an unsigned MX", "imap.hoster.example", DISCOVER_MX_TABLE, false, true },
        { "our table by a signed MX", "imap.hoster.example", DISCOVER_MX_TABLE, true, false },
        { "unsigned SRV", "imap.hoster.example", DISCOVER_SRV, false, true },
        { "signed SRV", "imap.hoster.example", DISCOVER_SRV, true, false },
        { "autoconfig", "imap.hoster.example", DISCOVER_AUTOCONFIG, false, true },
        { "autoconfig, even where DNS is signed", "imap.hoster.example", DISCOVER_AUTOCONFIG, true,
            true },
        { "well-known", "imap.hoster.example", DISCOVER_WELL_KNOWN, false, true },
        { "PACC", "imap.hoster.example", DISCOVER_PACC, false, true },
        { "ISPDB", "imap.hoster.example", DISCOVER_ISPDB, false, true },
        { "MX's autoconfig", "imap.hoster.example", DISCOVER_MX_AUTOCONFIG, false, true },
        { "MX's ISPDB", "imap.hoster.example", DISCOVER_MX_ISPDB, false, true },
        { "MX's PACC", "imap.hoster.example", DISCOVER_MX_PACC, false, true },
        { "Autodiscover", "imap.hoster.example", DISCOVER_AUTODISCOVER, false, true },
        { "another firm below co.uk", "imap.other.co.uk", DISCOVER_SRV, false, true },
        { "a look-alike", "imap.firm.co.uk.evil.example", DISCOVER_SRV, false, true },
        { "an end that only looks alike", "imap.evilfirm.co.uk", DISCOVER_SRV, false, true },
    };
    struct arena arena;
    struct name name;
    (void)state;
    arena_init(&arena, 1u << 16);
    assert_ok(name_read(SLICE("salma@mail.firm.co.uk"), &arena, &name));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rank_is_foreign(&name, slice_of(rows[i].host), rows[i].method, rows[i].is_signed) !=
            rows[i].foreign)
            fail_msg("%s", rows[i].row);
    arena_done(&arena);
}

static void order(void **state)
{
    /* best first; each row is better than all below it */
    static const struct discover_server rows[] = {
        { .protocol = DISCOVER_IMAP,
            .settled = true,
            .method = DISCOVER_TABLE,
            .security = DISCOVER_TLS },
        { .protocol = DISCOVER_IMAP,
            .settled = true,
            .method = DISCOVER_TABLE,
            .security = DISCOVER_STARTTLS },
        { .protocol = DISCOVER_IMAP,
            .settled = true,
            .method = DISCOVER_SRV,
            .security = DISCOVER_TLS,
            .foreign = true },
        { .protocol = DISCOVER_IMAP,
            .settled = true,
            .method = DISCOVER_GUESS,
            .security = DISCOVER_TLS },
        { .protocol = DISCOVER_IMAP,
            .settled = false,
            .method = DISCOVER_TABLE,
            .security = DISCOVER_TLS },
        { .protocol = DISCOVER_POP3,
            .settled = true,
            .method = DISCOVER_GUESS,
            .security = DISCOVER_STARTTLS },
        { .protocol = DISCOVER_SMTP,
            .settled = true,
            .method = DISCOVER_TABLE,
            .security = DISCOVER_TLS },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
            int got = rank_compare(&rows[i], &rows[k]);
            if ((got < 0) != (i < k) || (got > 0) != (i > k))
                fail_msg("rows %zu and %zu: %d", i, k, got);
        }
}

/* ---- SRV ---- */

struct dice {
    uint32_t at;
    bool largest;
};

static uint32_t roll(void *arg, uint32_t n)
{
    struct dice *dice = arg;
    return dice->largest ? n - 1 : dice->at % n;
}

static void srv_by_priority(void **state)
{
    struct dns_record records[] = { { .priority = 20, .text = "c" }, { .priority = 5, .text = "a" },
        { .priority = 10, .text = "b" }, { .priority = 65535, .weight = 65535, .text = "d" } };
    struct dice dice = { .at = 0 };
    (void)state;
    rank_srv(records, 4, roll, &dice);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(records[i].text, ((const char *const[]){ "a", "b", "c", "d" })[i]);
    rank_srv(records, 0, roll, &dice);
}

/* Every number of the dice: each record is first as often as its weight says (RFC 2782). */
static void srv_by_weight(void **state)
{
    unsigned first[3] = { 0, 0, 0 };
    (void)state;
    for (uint32_t at = 0; at < 101; at++) {
        struct dns_record records[] = { { .weight = 75, .text = "0" },
            { .weight = 25, .text = "1" }, { .weight = 0, .text = "2" } };
        struct dice dice = { .at = at };
        rank_srv(records, 3, roll, &dice);
        first[records[0].text[0] - '0']++;
        assert_true(strcmp(records[0].text, records[1].text) != 0);
        assert_true(strcmp(records[1].text, records[2].text) != 0);
        assert_true(strcmp(records[0].text, records[2].text) != 0);
    }
    assert_int_equal(first[0], 75);
    assert_int_equal(first[1], 25);
    assert_int_equal(first[2], 1);
}

static void srv_weights_do_not_overflow(void **state)
{
    struct dns_record records[64];
    struct dice dice = { .largest = true };
    (void)state;
    for (size_t i = 0; i < 64; i++)
        records[i] = (struct dns_record){ .weight = 65535, .text = "x" };
    rank_srv(records, 64, roll, &dice);
}

TEST_MAIN(cmocka_unit_test(foreign), cmocka_unit_test(order), cmocka_unit_test(srv_by_priority),
    cmocka_unit_test(srv_by_weight), cmocka_unit_test(srv_weights_do_not_overflow))
