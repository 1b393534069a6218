/* What a server's capabilities say about logging in. */
#include "discover/check.h"

#include "base/test.h"

struct row {
    const char *line;
    unsigned auth;
    bool starttls, no_plain_login;
};

static void check_rows(
    void (*read)(struct slice, struct capabilities *), const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct capabilities got = { .auth = 0 };
        read(slice_of(rows[i].line), &got);
        if (got.auth != rows[i].auth || got.starttls != rows[i].starttls ||
            got.no_plain_login != rows[i].no_plain_login)
            fail_msg("<%s>: %u %d %d", rows[i].line, got.auth, got.starttls, got.no_plain_login);
    }
}

#define BOTH (DISCOVER_PASSWORD | DISCOVER_OAUTH2)

static void imap(void **state)
{
    static const struct row rows[] = {
        { "IMAP4rev1 AUTH=PLAIN", DISCOVER_PASSWORD, false, false },
        { "IMAP4rev1 STARTTLS LOGINDISABLED", 0, true, true },
        { "IMAP4rev1 AUTH=XOAUTH2 auth=scram-sha-256", BOTH, false, false },
        { "IMAP4rev1 AUTH=GSSAPI", 0, false, false },
        { "AUTH=PLAINNESS XSTARTTLS", 0, false, false },
        { "", 0, false, false },
    };
    (void)state;
    check_rows(check_imap_capabilities, rows, sizeof rows / sizeof rows[0]);
}

static void pop3(void **state)
{
    static const struct row rows[] = {
        { "USER", DISCOVER_PASSWORD, false, false },
        { "STLS", 0, true, false },
        { "SASL PLAIN XOAUTH2", BOTH, false, false },
        { "SASL", 0, false, false },
        { "USERS", 0, false, false },
    };
    (void)state;
    check_rows(check_pop3_capability, rows, sizeof rows / sizeof rows[0]);
}

static void smtp(void **state)
{
    static const struct row rows[] = {
        { "STARTTLS", 0, true, false },
        { "AUTH LOGIN OAUTHBEARER", BOTH, false, false },
        { "AUTH=LOGIN", DISCOVER_PASSWORD, false, false }, /* before RFC 2554 */
        { "AUTH", 0, false, false },
        { "AUTHX PLAIN", 0, false, false },
        { "SIZE 1000", 0, false, false },
    };
    (void)state;
    check_rows(check_smtp_keyword, rows, sizeof rows / sizeof rows[0]);
}

TEST_MAIN(cmocka_unit_test(imap), cmocka_unit_test(pop3), cmocka_unit_test(smtp))
