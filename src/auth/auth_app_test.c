/* Logging in with app passwords: by password and by SCRAM, and everything that keeps one out. */
#include "auth/app_password.h"
#include "auth/auth.h"
#include "auth/directory_fixture_test.h"
#include "base/clock.h"

#include <string.h>

static struct directory *directory;
static struct auth *auth;
static struct user salma, omar, got;

static int setup(void **state)
{
    (void)state;
    directory = directory_begin();
    assert_ok(directory_domain_add(directory, SLICE("barid.test"), NULL));
    struct user_new users[] = {
        { .address = SLICE("salma@barid.test"),
            .password = SLICE("salma's"),
            .services = USER_IMAP | USER_SUBMISSION },
        { .address = SLICE("omar@barid.test"),
            .imported_hash = SLICE(WORLD_HASH),
            .services = USER_SERVICES_ALL },
    };
    assert_ok(directory_users_add(directory, users, 2, NULL));
    assert_ok(directory_user(directory, SLICE("salma@barid.test"), &salma));
    assert_ok(directory_user(directory, SLICE("omar@barid.test"), &omar));
    auth = auth_new(directory, &(struct auth_options){ 0 });
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    auth_free(auth);
    return directory_end(directory);
}

struct made {
    char text[APP_PASSWORD_TEXT_BYTES + 1];
    int64_t device;
};

static struct made make(const struct user *user, const struct app_password_new *wanted)
{
    struct made made;
    assert_ok(directory_app_password_add(directory, user, wanted, made.text, &made.device));
    return made;
}

static struct made make_simple(const struct user *user, const char *name)
{
    return make(
        user, &(struct app_password_new){ .name = slice_of(name), .services = USER_SERVICES_ALL });
}

static struct auth_peer peer_of(const char *address, enum user_service service)
{
    /* local: these tests fail often and are not about throttling */
    return (struct auth_peer){ .address = address, .local = true, .service = service };
}

static enum err by_password(
    const char *address, enum user_service service, const char *name, const char *password)
{
    struct auth_peer peer = peer_of(address, service);
    int delay_ms = -1;
    memset(&got, 0, sizeof got);
    enum err e = auth_password(auth, &peer, slice_of(name), slice_of(password), &got, &delay_ms);
    assert_true(delay_ms >= 0);
    return e;
}

struct exchange {
    struct scram_client client;
    struct scram_server server;
    struct auth_peer peer;
    struct buf final;
};

static void exchange_begin(struct exchange *x, const char *address, enum user_service service,
    const char *name, const char *password)
{
    struct buf first, challenge;
    struct scram_secret salted;
    buf_init(&first, 0), buf_init(&challenge, 0), buf_init(&x->final, 0);
    x->peer = peer_of(address, service);
    scram_client_init(&x->client);
    scram_server_init(&x->server, false, false);
    assert_ok(scram_client_first(&x->client, slice_of(name), SLICE_EMPTY, false, "cccc", &first));
    assert_ok(scram_server_first(&x->server, buf_slice(&first), "ssss"));
    assert_ok(auth_scram_begin(auth, &x->peer, slice_of(name), &salted));
    scram_server_challenge(&x->server, &salted, &challenge);
    assert_ok(scram_client_final(
        &x->client, buf_slice(&challenge), slice_of(password), SLICE_EMPTY, &x->final));
    buf_done(&first), buf_done(&challenge);
}

static enum err exchange_end(struct exchange *x)
{
    struct slice name = buf_slice(&x->server.user);
    struct auth_scram scram;
    struct buf verdict;
    size_t which = SIZE_MAX;
    int delay_ms = -1;
    buf_init(&verdict, 0);
    memset(&got, 0, sizeof got);
    assert_ok(auth_scram_keys(auth, &x->peer, name, &scram));
    if (scram_server_final_any(&x->server, scram.keys, AUTH_SCRAM_KEYS, buf_slice(&x->final),
            SLICE_EMPTY, &verdict, &which) == ERR_OK)
        assert_ok(scram_client_verify(&x->client, buf_slice(&verdict)));
    enum err e = auth_scram_end(auth, &x->peer, name, &scram, which, &got, &delay_ms);
    assert_true(delay_ms >= 0);
    scram_client_done(&x->client);
    scram_server_done(&x->server);
    buf_done(&verdict), buf_done(&x->final);
    return e;
}

static enum err by_scram(
    const char *address, enum user_service service, const char *name, const char *password)
{
    struct exchange x;
    exchange_begin(&x, address, service, name, password);
    return exchange_end(&x);
}

typedef enum err way_fn(
    const char *address, enum user_service service, const char *name, const char *password);
static way_fn *const ways[] = { by_password, by_scram };
static const char *const way_names[] = { "password", "SCRAM" };

static void expect(enum err wanted, int64_t device, const char *address, enum user_service service,
    const char *name, const char *password)
{
    for (size_t i = 0; i < 2; i++) {
        enum err e = ways[i](address, service, name, password);
        if (e != wanted || (!e && got.device != device))
            fail_msg("%s, %s from %s: %s, device %lld", way_names[i], name, address, err_name(e),
                (long long)got.device);
    }
}

#define HERE "127.0.0.1"

static void without_dashes(const char *text, char *out)
{
    for (; *text; text++)
        if (*text != '-')
            *out++ = *text;
    *out = '\0';
}

static void test_spellings(void **state)
{
    (void)state;
    struct made phone = make_simple(&salma, "phone"), tablet = make_simple(&salma, "tablet");
    char plain[32], other[64];
    expect(ERR_OK, phone.device, HERE, USER_IMAP, "salma@barid.test", phone.text);
    expect(ERR_OK, tablet.device, HERE, USER_IMAP, "SALMA@barid.test", tablet.text);
    expect(ERR_OK, 0, HERE, USER_IMAP, "salma@barid.test", "salma's");
    assert_int_equal(got.device, 0);
    without_dashes(phone.text, plain);
    expect(ERR_OK, phone.device, HERE, USER_SUBMISSION, "salma", plain);
    /* in capitals, with blanks: where the server sees it */
    snprintf(other, sizeof other, " %s ", plain);
    for (char *c = other; *c; c++)
        *c = ascii_upper(*c);
    assert_ok(by_password(HERE, USER_IMAP, "salma@barid.test", other));
    assert_int_equal(got.device, phone.device);
    assert_err(ERR_AUTH, by_scram(HERE, USER_IMAP, "salma@barid.test", other));
    /* one character is another, or one is missing */
    plain[3] = plain[3] == 'x' ? 'y' : 'x';
    expect(ERR_AUTH, 0, HERE, USER_IMAP, "salma@barid.test", plain);
    phone.text[APP_PASSWORD_TEXT_BYTES - 1] = '\0';
    expect(ERR_AUTH, 0, HERE, USER_IMAP, "salma@barid.test", phone.text);
    expect(ERR_AUTH, 0, HERE, USER_IMAP, "omar@barid.test", tablet.text); /* not his */
    expect(ERR_AUTH, 0, HERE, USER_IMAP, "nobody@barid.test", tablet.text);
    expect(ERR_AUTH, 0, HERE, USER_IMAP, "salma@example.org", tablet.text);
}

static void test_services(void **state)
{
    (void)state;
    struct made pop = make(&omar,
                    &(struct app_password_new){ .name = SLICE("printer"), .services = USER_POP3 }),
                all = make_simple(&omar, "laptop");
    expect(ERR_OK, pop.device, HERE, USER_POP3, "omar@barid.test", pop.text);
    assert_int_equal(got.services, USER_POP3);
    expect(ERR_DENIED, 0, HERE, USER_IMAP, "omar@barid.test", pop.text);
    expect(ERR_DENIED, 0, HERE, USER_SUBMISSION, "omar@barid.test", pop.text);
    expect(ERR_OK, all.device, HERE, USER_IMAP, "omar@barid.test", all.text);
    /* it never has more than the user */
    omar.services = USER_IMAP;
    assert_ok(directory_user_set(directory, &omar));
    expect(ERR_DENIED, 0, HERE, USER_POP3, "omar@barid.test", pop.text);
    expect(ERR_DENIED, 0, HERE, USER_POP3, "omar@barid.test", all.text);
    expect(ERR_OK, all.device, HERE, USER_IMAP, "omar@barid.test", all.text);
    assert_int_equal(got.services, USER_IMAP);
}

static void test_expiry(void **state)
{
    (void)state;
    int64_t now_s = clock_wall_s();
    struct app_password_new wanted = {
        .name = SLICE("later"), .services = USER_SERVICES_ALL, .expires_s = now_s + 86400
    };
    struct made later = make(&salma, &wanted);
    wanted.name = SLICE("over");
    wanted.expires_s = now_s;
    struct made over = make(&salma, &wanted);
    expect(ERR_OK, later.device, HERE, USER_IMAP, "salma@barid.test", later.text);
    expect(ERR_AUTH, 0, HERE, USER_IMAP, "salma@barid.test", over.text);
    expect(ERR_AUTH, 0, HERE, USER_POP3, "salma@barid.test", over.text); /* not ERR_DENIED */
    /* its day comes, right after a login */
    assert_int_equal(sqlite3_exec(directory->writer.sql.db,
                         "UPDATE app_passwords SET expires_s = 1000", NULL, NULL, NULL),
        SQLITE_OK);
    expect(ERR_AUTH, 0, HERE, USER_IMAP, "salma@barid.test", later.text);
}

static void test_networks(void **state)
{
    (void)state;
    struct app_password_new wanted = { .name = SLICE("office"),
        .services = USER_IMAP,
        .networks = SLICE("192.0.2.0/24, 2001:db8::/32") };
    struct made office = make(&salma, &wanted);
    expect(ERR_OK, office.device, "192.0.2.200", USER_IMAP, "salma@barid.test", office.text);
    expect(ERR_OK, office.device, "2001:db8::9", USER_IMAP, "salma@barid.test", office.text);
    expect(ERR_AUTH, 0, "192.0.3.1", USER_IMAP, "salma@barid.test", office.text);
    expect(ERR_AUTH, 0, "192.0.3.1", USER_SUBMISSION, "salma@barid.test", office.text);
    expect(ERR_AUTH, 0, "2001:db9::9", USER_IMAP, "salma@barid.test", office.text);
    expect(ERR_AUTH, 0, "unix", USER_IMAP, "salma@barid.test", office.text);
    expect(ERR_DENIED, 0, "192.0.2.200", USER_SUBMISSION, "salma@barid.test", office.text);
}

static void test_revoking(void **state)
{
    (void)state;
    struct made phone = make_simple(&salma, "phone"), tablet = make_simple(&salma, "tablet");
    int64_t device;
    struct exchange x;
    expect(ERR_OK, phone.device, HERE, USER_IMAP, "salma@barid.test", phone.text);
    exchange_begin(&x, HERE, USER_IMAP, "salma@barid.test", phone.text);
    assert_ok(directory_app_password_revoke(directory, &salma, SLICE("phone"), &device));
    assert_err(ERR_AUTH, exchange_end(&x)); /* between challenge and proof */
    expect(ERR_AUTH, 0, HERE, USER_IMAP, "salma@barid.test", phone.text);
    expect(ERR_OK, tablet.device, HERE, USER_IMAP, "salma@barid.test", tablet.text);
    struct made again = make_simple(&salma, "phone");
    assert_true(again.device != phone.device);
    expect(ERR_AUTH, 0, HERE, USER_IMAP, "salma@barid.test", phone.text);
    /* a disabled user, and one who is there no more */
    salma.disabled = true;
    assert_ok(directory_user_set(directory, &salma));
    expect(ERR_AUTH, 0, HERE, USER_IMAP, "salma@barid.test", tablet.text);
    salma.disabled = false;
    assert_ok(directory_user_set(directory, &salma));
    expect(ERR_OK, tablet.device, HERE, USER_IMAP, "salma@barid.test", tablet.text);
    assert_ok(directory_user_remove(directory, SLICE("salma@barid.test"), &salma));
    expect(ERR_AUTH, 0, HERE, USER_IMAP, "salma@barid.test", tablet.text);
}

/* One challenge serves all passwords of a user, whatever happens to the main one. */
static void test_main_password(void **state)
{
    (void)state;
    struct made phone = make_simple(&omar, "phone");
    struct scram_secret before, after;
    struct auth_peer peer = peer_of(HERE, USER_IMAP);
    assert_ok(auth_scram_begin(auth, &peer, SLICE("omar@barid.test"), &before));
    /* an imported hash is good for no SCRAM, an app password is */
    expect(ERR_OK, phone.device, HERE, USER_IMAP, "omar@barid.test", phone.text);
    assert_err(ERR_AUTH, by_scram(HERE, USER_IMAP, "omar@barid.test", "Hello world!"));
    assert_ok(by_password(HERE, USER_IMAP, "omar@barid.test", "Hello world!"));
    assert_int_equal(got.device, 0);
    expect(ERR_OK, phone.device, HERE, USER_IMAP, "omar@barid.test", phone.text);
    expect(ERR_OK, 0, HERE, USER_IMAP, "omar@barid.test", "Hello world!");
    assert_ok(directory_user_password(directory, SLICE("omar@barid.test"), SLICE("another")));
    expect(ERR_OK, phone.device, HERE, USER_IMAP, "omar@barid.test", phone.text);
    expect(ERR_OK, 0, HERE, USER_IMAP, "omar@barid.test", "another");
    expect(ERR_AUTH, 0, HERE, USER_IMAP, "omar@barid.test", "Hello world!");
    assert_ok(auth_scram_begin(auth, &peer, SLICE("omar@barid.test"), &after));
    assert_memory_equal(before.salt, after.salt, SCRAM_SALT_BYTES);
    /* a main password may look like an app password */
    assert_ok(
        directory_user_password(directory, SLICE("omar@barid.test"), SLICE("abcd-efgh-ijkm-npqr")));
    expect(ERR_OK, 0, HERE, USER_IMAP, "omar@barid.test", "abcd-efgh-ijkm-npqr");
    assert_err(ERR_AUTH, by_password(HERE, USER_IMAP, "omar@barid.test", "abcdefghijkmnpqr"));
    expect(ERR_OK, phone.device, HERE, USER_IMAP, "omar@barid.test", phone.text);
}

/* As many as there may be: the last one fits too. */
static void test_many(void **state)
{
    (void)state;
    struct made last = { 0 };
    char name[32];
    for (unsigned i = 0; i < APP_PASSWORDS_PER_USER_MAX; i++) {
        snprintf(name, sizeof name, "device %u", i);
        last = make_simple(&salma, name);
    }
    expect(ERR_OK, last.device, HERE, USER_IMAP, "salma@barid.test", last.text);
    expect(ERR_OK, 0, HERE, USER_IMAP, "salma@barid.test", "salma's");
    expect(ERR_AUTH, 0, HERE, USER_IMAP, "salma@barid.test", "abcd-efgh-ijkm-npqr");
}

/* Guesses that look like app passwords are counted as any. */
static void test_throttling(void **state)
{
    (void)state;
    struct made phone = make_simple(&salma, "phone");
    struct auth_peer remote = { .address = "192.0.2.7", .service = USER_IMAP };
    struct auth_peer elsewhere = { .address = "192.0.2.8", .service = USER_IMAP };
    enum err e = ERR_AUTH;
    int delay_ms = 0;
    for (int i = 0; i < 100 && e == ERR_AUTH; i++)
        e = auth_password(auth, &remote, SLICE("salma@barid.test"), SLICE("abcd-efgh-ijkm-npqr"),
            &got, &delay_ms);
    assert_err(ERR_BUSY, e);
    assert_err(ERR_BUSY, auth_password(auth, &remote, SLICE("salma@barid.test"),
                             slice_of(phone.text), &got, &delay_ms));
    assert_ok(auth_password(
        auth, &elsewhere, SLICE("salma@barid.test"), slice_of(phone.text), &got, &delay_ms));
}

#define WITH_AUTH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
TEST_MAIN(WITH_AUTH(test_spellings), WITH_AUTH(test_services), WITH_AUTH(test_expiry),
    WITH_AUTH(test_networks), WITH_AUTH(test_revoking), WITH_AUTH(test_main_password),
    WITH_AUTH(test_many), WITH_AUTH(test_throttling))
