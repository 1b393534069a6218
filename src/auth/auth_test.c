/* Logging in: right and wrong, all kinds of nobody, throttling, the cache, upgrades, and many threads at once. */
#include "auth/auth.h"
#include "auth/directory_fixture_test.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static struct directory *directory;
static struct auth *auth;
static const struct auth_peer local = {
    .address = "127.0.0.1", .local = true, .service = USER_IMAP
};
static const struct auth_peer remote = { .address = "192.0.2.7", .service = USER_IMAP };

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
            .services = USER_IMAP },
        { .address = SLICE("gone@barid.test"), .password = SLICE("gone's"), .services = USER_IMAP },
    };
    assert_ok(directory_users_add(directory, users, 3, NULL));
    struct user gone;
    assert_ok(directory_user(directory, SLICE("gone@barid.test"), &gone));
    gone.disabled = true;
    assert_ok(directory_user_set(directory, &gone));
    auth = auth_new(directory, &(struct auth_options){ 0 });
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    auth_free(auth);
    return directory_end(directory);
}

static enum err login(const struct auth_peer *peer, const char *name, const char *password)
{
    struct user user;
    int delay_ms = -1;
    enum err e = auth_password(auth, peer, slice_of(name), slice_of(password), &user, &delay_ms);
    assert_true(delay_ms >= 0);
    return e;
}

static enum err scram_login(const struct auth_peer *peer, const char *name, const char *password)
{
    struct scram_secret challenge;
    struct auth_scram scram;
    struct scram_client client;
    struct scram_server server;
    struct buf a, b, c, d;
    buf_init(&a, 0), buf_init(&b, 0), buf_init(&c, 0), buf_init(&d, 0);
    scram_client_init(&client);
    scram_server_init(&server, false, false);
    assert_ok(scram_client_first(&client, slice_of(name), SLICE_EMPTY, false, "cccc", &a));
    assert_ok(scram_server_first(&server, buf_slice(&a), "ssss"));
    enum err e = auth_scram_begin(auth, peer, buf_slice(&server.user), &challenge);
    if (!e) {
        struct user user;
        int delay_ms = -1;
        size_t which = SIZE_MAX;
        scram_server_challenge(&server, &challenge, &b);
        assert_ok(scram_client_final(&client, buf_slice(&b), slice_of(password), SLICE_EMPTY, &c));
        assert_ok(auth_scram_keys(auth, peer, buf_slice(&server.user), &scram));
        bool right = scram_server_final_any(&server, scram.keys, AUTH_SCRAM_KEYS, buf_slice(&c),
                         SLICE_EMPTY, &d, &which) == ERR_OK;
        if (right)
            assert_ok(scram_client_verify(&client, buf_slice(&d)));
        e = auth_scram_end(auth, peer, buf_slice(&server.user), &scram, which, &user, &delay_ms);
        assert_true(delay_ms >= 0);
    }
    scram_client_done(&client);
    scram_server_done(&server);
    buf_done(&a), buf_done(&b), buf_done(&c), buf_done(&d);
    return e;
}

static const struct row {
    const char *what;
    struct slice name, password;
    enum user_service service;
    enum err wanted;
} rows[] = {
    { "right", SLICE_CONST("salma@barid.test"), SLICE_CONST("salma's"), USER_IMAP, ERR_OK },
    { "spelled otherwise", SLICE_CONST("Salma@BARID.test"), SLICE_CONST("salma's"), USER_IMAP,
        ERR_OK },
    { "without a domain", SLICE_CONST("salma"), SLICE_CONST("salma's"), USER_IMAP, ERR_OK },
    { "service off", SLICE_CONST("salma@barid.test"), SLICE_CONST("salma's"), USER_POP3,
        ERR_DENIED },
    { "service off, wrong password", SLICE_CONST("salma@barid.test"), SLICE_CONST("x"), USER_POP3,
        ERR_AUTH },
    { "wrong", SLICE_CONST("salma@barid.test"), SLICE_CONST("Salma's"), USER_IMAP, ERR_AUTH },
    { "empty", SLICE_CONST("salma@barid.test"), SLICE_CONST(""), USER_IMAP, ERR_AUTH },
    { "control in the password", SLICE_CONST("salma@barid.test"), SLICE_CONST("salma's\n"),
        USER_IMAP, ERR_AUTH },
    { "NUL in the password", SLICE_CONST("salma@barid.test"), SLICE_CONST("salma's\0"), USER_IMAP,
        ERR_AUTH },
    { "unknown", SLICE_CONST("nobody@barid.test"), SLICE_CONST("salma's"), USER_IMAP, ERR_AUTH },
    { "foreign", SLICE_CONST("salma@example.org"), SLICE_CONST("salma's"), USER_IMAP, ERR_AUTH },
    { "disabled", SLICE_CONST("gone@barid.test"), SLICE_CONST("gone's"), USER_IMAP, ERR_AUTH },
    { "empty name", SLICE_CONST(""), SLICE_CONST("x"), USER_IMAP, ERR_AUTH },
    { "NUL in the name", SLICE_CONST("salma\0@barid.test"), SLICE_CONST("salma's"), USER_IMAP,
        ERR_AUTH },
    { "NUL in a bare name", SLICE_CONST("salma\0"), SLICE_CONST("salma's"), USER_IMAP, ERR_AUTH },
    { "newline", SLICE_CONST("salma@barid.test\n"), SLICE_CONST("salma's"), USER_IMAP, ERR_AUTH },
    { "format", SLICE_CONST("%u@barid.test"), SLICE_CONST("salma's"), USER_IMAP, ERR_AUTH },
    { "quote", SLICE_CONST("' OR 1=1 --"), SLICE_CONST("salma's"), USER_IMAP, ERR_AUTH },
    { "path", SLICE_CONST("../salma@barid.test"), SLICE_CONST("salma's"), USER_IMAP, ERR_AUTH },
    { "no UTF-8", SLICE_CONST("\xff\xfe"), SLICE_CONST("salma's"), USER_IMAP, ERR_AUTH },
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct auth_peer peer = {
            .address = "127.0.0.1", .local = true, .service = rows[i].service
        };
        struct user user;
        int delay_ms = -1;
        enum err e = auth_password(auth, &peer, rows[i].name, rows[i].password, &user, &delay_ms);
        if (e != rows[i].wanted)
            fail_msg("%s: %s", rows[i].what, err_name(e));
        assert_int_equal(delay_ms, 0);
        if (!e)
            assert_string_equal(user.address, "salma@barid.test");
    }
    static char name[12000];
    memset(name, 'x', sizeof name);
    struct user user;
    int delay_ms;
    assert_err(ERR_AUTH, auth_password(auth, &local, slice_from(name, sizeof name),
                             slice_from(name, sizeof name), &user, &delay_ms));
    assert_err(ERR_AUTH, auth_password(auth, &local, SLICE("salma"), slice_from(name, sizeof name),
                             &user, &delay_ms));
}

/* A name without a domain means somebody only while there is one domain. */
static void test_bare_name(void **state)
{
    (void)state;
    assert_ok(login(&local, "salma", "salma's"));
    assert_ok(directory_domain_add(directory, SLICE("second.test"), NULL));
    assert_err(ERR_AUTH, login(&local, "salma", "salma's"));
    assert_ok(login(&local, "salma@barid.test", "salma's"));
}

static void test_upgrade(void **state)
{
    (void)state;
    struct user user;
    struct password_record before, after;
    assert_ok(directory_secret(directory, SLICE("omar@barid.test"), &user, &before));
    assert_true(before.imported);
    assert_false(before.has_scram);
    assert_err(ERR_AUTH, scram_login(&local, "omar@barid.test", "Hello world!"));
    assert_err(ERR_AUTH, login(&local, "omar@barid.test", "Hello World!"));
    assert_ok(login(&local, "omar@barid.test", "Hello world!"));
    assert_ok(directory_secret(directory, SLICE("omar@barid.test"), &user, &after));
    assert_false(after.imported);
    assert_true(after.has_scram);
    assert_int_equal(strncmp(after.hash, "$argon2id$", 10), 0);
    assert_ok(login(&local, "omar@barid.test", "Hello world!"));
    assert_memory_equal(after.scram.salt, before.scram.salt, SCRAM_SALT_BYTES); /* D-5 */
    assert_ok(scram_login(&local, "omar@barid.test", "Hello world!"));
}

/* The cache ends with the password it knew, with the user, and with the switch. */
static void test_cache(void **state)
{
    (void)state;
    assert_ok(login(&local, "salma@barid.test", "salma's"));
    int64_t start_us = clock_mono_us();
    for (int i = 0; i < 100; i++)
        assert_ok(login(&local, "salma@barid.test", "salma's"));
    print_message("100 logins from the cache: %lld us\n", (long long)(clock_mono_us() - start_us));
    struct user user;
    assert_ok(directory_user(directory, SLICE("salma@barid.test"), &user));
    user.services = USER_POP3;
    assert_ok(directory_user_set(directory, &user));
    assert_err(ERR_DENIED, login(&local, "salma@barid.test", "salma's"));
    user.services = USER_IMAP;
    user.disabled = true;
    assert_ok(directory_user_set(directory, &user));
    assert_err(ERR_AUTH, login(&local, "salma@barid.test", "salma's"));
    user.disabled = false;
    assert_ok(directory_user_set(directory, &user));
    assert_ok(login(&local, "salma@barid.test", "salma's"));
    assert_ok(directory_user_password(directory, SLICE("salma@barid.test"), SLICE("new")));
    assert_err(ERR_AUTH, login(&local, "salma@barid.test", "salma's"));
    assert_ok(login(&local, "salma@barid.test", "new"));
}

/* Guessing from one address: delays, then refusal; the user gets in from elsewhere all the time. */
static void test_throttle(void **state)
{
    (void)state;
    struct user user;
    int delay_ms = 0, last_ms = 0, failures = 0;
    enum err e = ERR_AUTH;
    while (e == ERR_AUTH && failures < 100) {
        e = auth_password(
            auth, &remote, SLICE("salma@barid.test"), SLICE("guess"), &user, &delay_ms);
        if (e == ERR_AUTH) {
            failures++;
            assert_true(failures > 5 ? delay_ms >= 250 : delay_ms == 0);
            assert_true(delay_ms >= last_ms);
            last_ms = delay_ms;
        }
    }
    assert_err(ERR_BUSY, e);
    assert_true(delay_ms > 0);
    assert_int_equal(last_ms, 15000);
    assert_in_range(failures, 20, 30);
    assert_err(ERR_BUSY, login(&remote, "salma@barid.test", "salma's")); /* not looked at */
    struct scram_secret challenge;
    assert_err(ERR_BUSY, auth_scram_begin(auth, &remote, SLICE("salma@barid.test"), &challenge));
    struct auth_peer elsewhere = { .address = "192.0.2.8", .service = USER_IMAP };
    assert_ok(login(&elsewhere, "salma@barid.test", "salma's"));
    assert_ok(login(&local, "salma@barid.test", "salma's"));
    /* others at that address may still log in, until the address has failed with many names */
    for (int i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof name, "user%d@barid.test", i);
        if (login(&remote, name, "guess") == ERR_BUSY)
            break;
        assert_true(i < 60);
    }
    assert_err(ERR_BUSY, login(&remote, "nobody@barid.test", "x"));
    assert_ok(login(&elsewhere, "salma@barid.test", "salma's"));
}

/* One's own right password does not wipe out what one guessed at others. */
static void test_throttle_own_account(void **state)
{
    (void)state;
    enum err e = ERR_OK;
    for (int i = 0; i < 100 && e != ERR_BUSY; i++) {
        char name[32];
        snprintf(name, sizeof name, "user%d@barid.test", i);
        e = login(&remote, name, "guess");
        if (e == ERR_AUTH)
            e = login(&remote, "salma@barid.test", "salma's");
    }
    assert_err(ERR_BUSY, e);
}

/* All of an IPv6 /64 counts as one. */
static void test_throttle_v6(void **state)
{
    (void)state;
    enum err e = ERR_OK;
    for (int i = 0; i < 100 && e != ERR_BUSY; i++) {
        char address[64];
        snprintf(address, sizeof address, "2001:db8:1:2::%x", i + 1);
        struct auth_peer peer = { .address = address, .service = USER_IMAP };
        e = login(&peer, "salma@barid.test", "guess");
    }
    assert_err(ERR_BUSY, e);
    struct auth_peer other = { .address = "2001:db8:1:3::1", .service = USER_IMAP };
    assert_err(ERR_AUTH, login(&other, "salma@barid.test", "guess"));
}

static void test_scram(void **state)
{
    (void)state;
    struct scram_secret one, two, other;
    assert_ok(scram_login(&local, "Salma@barid.test", "salma's"));
    assert_err(ERR_AUTH, scram_login(&local, "salma@barid.test", "x"));
    assert_err(ERR_AUTH, scram_login(&local, "nobody@barid.test", "x"));
    assert_err(ERR_AUTH, scram_login(&local, "gone@barid.test", "gone's"));
    struct auth_peer pop = { .address = "127.0.0.1", .local = true, .service = USER_POP3 };
    assert_err(ERR_DENIED, scram_login(&pop, "salma@barid.test", "salma's"));
    assert_ok(auth_scram_begin(auth, &local, SLICE("nobody@barid.test"), &one));
    assert_ok(auth_scram_begin(auth, &local, SLICE("Nobody@barid.test"), &two));
    assert_ok(auth_scram_begin(auth, &local, SLICE("noone@barid.test"), &other));
    assert_int_equal(one.iterations, SCRAM_ITERATIONS);
    assert_memory_equal(one.salt, two.salt, SCRAM_SALT_BYTES);
    assert_memory_not_equal(one.salt, other.salt, SCRAM_SALT_BYTES);
    enum err e = ERR_AUTH;
    for (int i = 0; i < 100 && e == ERR_AUTH; i++)
        e = scram_login(&remote, "salma@barid.test", "guess");
    assert_err(ERR_BUSY, e);
    /* the challenge stays the same, the keys do not */
    struct auth_scram before, after;
    assert_ok(auth_scram_begin(auth, &local, SLICE("salma@barid.test"), &one));
    assert_ok(auth_scram_keys(auth, &local, SLICE("salma@barid.test"), &before));
    assert_ok(directory_user_password(directory, SLICE("salma@barid.test"), SLICE("new")));
    assert_ok(auth_scram_begin(auth, &local, SLICE("salma@barid.test"), &two));
    assert_ok(auth_scram_keys(auth, &local, SLICE("salma@barid.test"), &after));
    assert_memory_equal(one.salt, two.salt, SCRAM_SALT_BYTES);
    assert_memory_not_equal(&before.keys[0], &after.keys[0], sizeof before.keys[0]);
    assert_err(ERR_AUTH, scram_login(&local, "salma@barid.test", "salma's"));
    assert_ok(scram_login(&local, "salma@barid.test", "new"));
}

#define THREADS 8

static atomic_uint right_count, wrong_count;

static void *log_in_often(void *arg)
{
    size_t n = *(size_t *)arg;
    for (int i = 0; i < 6; i++) {
        bool right = (n + (size_t)i) % 3 != 0;
        enum err e = n % 2 ? login(&local, "salma@barid.test", right ? "salma's" : "x")
                           : scram_login(&local, "salma@barid.test", right ? "salma's" : "x");
        if (e == (right ? ERR_OK : ERR_AUTH))
            atomic_fetch_add(right ? &right_count : &wrong_count, 1);
        if (n == 1 && i == 3)
            (void)login(&local, "omar@barid.test", "Hello world!");
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    size_t numbers[THREADS];
    atomic_store(&right_count, 0);
    atomic_store(&wrong_count, 0);
    for (size_t i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, log_in_often, &numbers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(right_count, THREADS * 4);
    assert_int_equal(wrong_count, THREADS * 2);
}

/* what does not fit in the queue is told so at once. */
static void *flood(void *arg)
{
    enum err e = login(&local, "nobody@barid.test", "x");
    if (e == ERR_BUSY)
        atomic_fetch_add((atomic_uint *)arg, 1);
    else
        assert_err(ERR_AUTH, e);
    return NULL;
}

static void test_queue(void **state)
{
    (void)state;
    auth_free(auth);
    auth = auth_new(directory, &(struct auth_options){ .hash_threads = 1 });
    enum {
        MANY = 100
    };
    static pthread_t threads[MANY];
    atomic_uint busy = 0;
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, flood, &busy), 0);
    for (size_t i = 0; i < MANY; i++)
        pthread_join(threads[i], NULL);
    assert_in_range(busy, 1, MANY - 64);
}

#define WITH_AUTH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
TEST_MAIN(WITH_AUTH(test_rows), WITH_AUTH(test_bare_name), WITH_AUTH(test_upgrade),
    WITH_AUTH(test_cache), WITH_AUTH(test_throttle), WITH_AUTH(test_throttle_own_account),
    WITH_AUTH(test_throttle_v6), WITH_AUTH(test_scram), WITH_AUTH(test_threads),
    WITH_AUTH(test_queue))
