/* What devices did: gathered, written on request and at the end, kept when writing fails, bounded. */
#include "auth/directory_fixture_test.h"
#include "base/limits.h"
#include "base/log.h"
#include "server/core/devices.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct directory *directory;
static struct devices *devices;
static struct user salma;
static struct arena arena;

static int setup(void **state)
{
    (void)state;
    directory = directory_begin();
    assert_ok(directory_domain_add(directory, SLICE("barid.test"), NULL));
    struct user_new user = {
        .address = SLICE("salma@barid.test"), .password = SLICE("x"), .services = USER_IMAP
    };
    assert_ok(directory_users_add(directory, &user, 1, NULL));
    assert_ok(directory_user(directory, SLICE("salma@barid.test"), &salma));
    devices = devices_new(directory);
    arena_init(&arena, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_done(&arena);
    devices_free(devices);
    return directory_end(directory);
}

static struct device_news news_of(enum user_service service, int64_t last_s, uint64_t retrieved)
{
    struct device_news news = { .service = service,
        .use = { .last_s = last_s, .address = "192.0.2.7", .retrieved = retrieved } };
    memcpy(news.user_id, salma.id, sizeof news.user_id);
    return news;
}

static void note(enum user_service service, int64_t last_s, uint64_t retrieved)
{
    struct device_news news = news_of(service, last_s, retrieved);
    devices_note(devices, &news);
}

static struct device main_password(void)
{
    struct device *list;
    size_t count;
    assert_ok(directory_devices(directory, &salma, &arena, &list, &count));
    return list[0];
}

static void test_write(void **state)
{
    (void)state;
    note(USER_IMAP, 1000, 0);
    note(USER_POP3, 1001, 2);
    note(USER_POP3, 1003, 3);
    note(USER_POP3, 1002, 4); /* a clock that went back: the counter counts all the same */
    uint64_t version = directory_version(directory);
    assert_int_equal(main_password().uses[0].last_s, 0); /* nothing is written by itself */
    assert_true(directory_version(directory) == version);
    assert_ok(devices_write(devices));
    struct device device = main_password();
    assert_int_equal(device.uses[0].last_s, 1000);
    assert_int_equal(device.uses[1].last_s, 1003);
    assert_int_equal(device.uses[1].retrieved, 9);
    version = directory_version(directory);
    assert_ok(devices_write(devices));
    assert_true(directory_version(directory) == version); /* there was nothing */
    note(USER_POP3, 1004, 1);
    devices_start(devices);
    devices_stop(devices);
    assert_int_equal(main_password().uses[1].retrieved, 10);
    devices_stop(devices);
}

static void test_failure(void **state)
{
    (void)state;
    assert_int_equal(
        sqlite3_exec(directory->writer.sql.db, "PRAGMA query_only = 1", NULL, NULL, NULL),
        SQLITE_OK);
    log_set_level(LOG_ERROR);
    note(USER_POP3, 1000, 2);
    assert_true(devices_write(devices) != ERR_OK);
    note(USER_POP3, 1001, 3);
    assert_true(devices_write(devices) != ERR_OK);
    log_set_level(LOG_WARN);
    assert_int_equal(
        sqlite3_exec(directory->writer.sql.db, "PRAGMA query_only = 0", NULL, NULL, NULL),
        SQLITE_OK);
    assert_ok(devices_write(devices));
    assert_int_equal(main_password().uses[1].retrieved, 5);
    assert_int_equal(main_password().uses[1].last_s, 1001);
}

/* At the limit and one over: what does not fit is forgotten, what is there goes on counting. */
static void test_limit(void **state)
{
    (void)state;
    note(USER_POP3, 1000, 1);
    struct device_news news = news_of(USER_IMAP, 1000, 0);
    for (size_t i = 1; i < DEVICE_USES_MAX; i++) {
        news.device = (int64_t)i; /* revoked, as far as the directory knows */
        devices_note(devices, &news);
    }
    note(USER_IMAP, 1001, 0);
    note(USER_POP3, 1001, 1);
    log_set_level(LOG_ERROR);
    assert_ok(devices_write(devices));
    log_set_level(LOG_WARN);
    assert_int_equal(main_password().uses[0].last_s, 0);
    assert_int_equal(main_password().uses[1].retrieved, 2);
    note(USER_IMAP, 1001, 0);
    assert_ok(devices_write(devices));
    assert_int_equal(main_password().uses[0].last_s, 1001);
}

#define THREADS 4
#define ROUNDS  300

static void *note_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++)
        note(USER_POP3, 1000 + i, 1);
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    devices_start(devices);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, note_often, NULL), 0);
    for (int i = 0; i < 20; i++)
        assert_ok(devices_write(devices));
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    devices_stop(devices);
    assert_int_equal(main_password().uses[1].retrieved, THREADS * ROUNDS);
}

#define WITH_DEVICES(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
TEST_MAIN(WITH_DEVICES(test_write), WITH_DEVICES(test_failure), WITH_DEVICES(test_limit),
    WITH_DEVICES(test_threads))
