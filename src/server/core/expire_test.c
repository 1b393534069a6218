/* What is due goes without its device, and accounts are left alone while nothing is. */
#include "server/core/expire.h"

#include "auth/device.h"
#include "auth/pop_policy.h"
#include "base/clock.h"
#include "store/account_fixture_test.h"

#include <poll.h>

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DAY_S 86400

/* Instead of the library's: the wall clock goes wrong by so much. */
static int64_t clock_wrong_s;
int clock_gettime(clockid_t id, struct timespec *out)
{
    long result = syscall(SYS_clock_gettime, id, out);
    if (result == 0 && id == CLOCK_REALTIME)
        out->tv_sec += clock_wrong_s;
    return (int)result;
}

static struct directory *directory;
static char directory_path[96];
static struct user salma;

static int set_up_directory(void **state)
{
    struct err_note note;
    if (set_up(state) != 0)
        return -1;
    account_unref(account);
    (void)snprintf(directory_path, sizeof directory_path, "%s/directory.db", folder);
    assert_ok(directory_open(directory_path, true, &directory, &note));
    assert_ok(directory_domain_add(directory, SLICE("barid.test"), &note));
    struct user_new wanted = { .address = SLICE("salma@barid.test"),
        .password = SLICE("correct horse 7"),
        .services = USER_IMAP | USER_POP3 };
    assert_ok(directory_users_add(directory, &wanted, 1, &note));
    assert_ok(directory_user(directory, SLICE("salma@barid.test"), &salma));
    assert_ok(store_account(store, slice_of(salma.id), true, &account));
    return 0;
}

static int tear_down_directory(void **state)
{
    directory_close(directory);
    remove_database(directory_path);
    account_unref(account);
    account = NULL;
    assert_ok(store_account_remove(store, slice_of(salma.id)));
    return tear_down(state);
}

static struct user device_of(int64_t device)
{
    struct user user = salma;
    user.device = device;
    return user;
}

static void set_policy(int64_t device, unsigned days, bool unread_stays)
{
    struct user user = device_of(device);
    struct pop_policy policy = { .window = POP_WINDOW_ALL,
        .dele = POP_DELE_TRASH,
        .after = POP_AFTER_DAYS,
        .after_days = days,
        .unread_stays = unread_stays };
    assert_ok(directory_pop_policy_set(directory, &user, &policy));
}

/* A message that the device took so many days ago, as a backup knows of it. */
static void file_taken(char letter, int64_t device, int64_t days_ago, unsigned flags)
{
    char text[64];
    unsigned char guid[16] = { (unsigned char)letter };
    struct store_mark mark = { .device = device, .taken_s = clock_wall_s() - days_ago * DAY_S };
    (void)snprintf(text, sizeof text, "Subject: %c\r\n\r\n", letter);
    struct blob *blob = blob_of(slice_of(text));
    struct store_append item = { .blob = blob,
        .flags = { .system = flags },
        .received_s = 1,
        .guid = guid,
        .restored = true,
        .marks = &mark,
        .mark_count = 1 };
    struct store_append_result result;
    assert_ok(account_append(account, box_named("INBOX").id, &item, 1, &result));
    blob_unref(blob);
}

static size_t messages(const char *mailbox)
{
    return (size_t)box_named(mailbox).messages;
}

static struct expire *expire_of(unsigned pass_ms)
{
    return expire_new(
        &(struct expire_options){ .store = store, .directory = directory, .pass_ms = pass_ms });
}

static size_t passed(struct expire *expire, bool all)
{
    size_t removed;
    assert_ok(expire_pass(expire, all, &removed));
    return removed;
}

static void what_is_due_goes(void **state)
{
    (void)state;
    struct expire *expire = expire_of(0);
    file_taken('a', 0, 8, 0);
    file_taken('b', 0, 6, 0);
    file_taken('c', 5, 9, 0); /* by a device that is not there */
    append("INBOX", message(10), 0);
    assert_int_equal(passed(expire, false), 0); /* nobody has said that anything goes */
    set_policy(0, 7, false);
    assert_int_equal(passed(expire, false), 1);
    assert_int_equal(messages("INBOX"), 3);
    assert_int_equal(messages("Trash"), 1);
    assert_int_equal(passed(expire, true), 0);
    set_policy(0, 5, false); /* another policy is looked at anew */
    assert_int_equal(passed(expire, false), 1);
    assert_int_equal(messages("INBOX"), 2);
    expire_free(expire);
}

static void each_device_as_its_policy_says(void **state)
{
    (void)state;
    char password[APP_PASSWORD_TEXT_BYTES + 1];
    int64_t laptop, telephone;
    struct expire *expire = expire_of(0);
    struct app_password_new wanted = { .name = SLICE("laptop"), .services = USER_SERVICES_ALL };
    assert_ok(directory_app_password_add(directory, &salma, &wanted, password, &laptop));
    wanted = (struct app_password_new){ .name = SLICE("telephone"), .services = USER_IMAP };
    assert_ok(directory_app_password_add(directory, &salma, &wanted, password, &telephone));
    file_taken('a', 0, 10, 0);
    file_taken('b', laptop, 10, 0);
    file_taken('c', telephone, 10, 0);
    set_policy(laptop, 9, false);
    set_policy(telephone, 9, false);
    assert_int_equal(passed(expire, false), 1); /* a device without POP3 takes nothing */
    assert_int_equal(messages("INBOX"), 2);
    salma.services = USER_IMAP;
    assert_ok(directory_user_set(directory, &salma));
    set_policy(0, 9, false);
    assert_int_equal(passed(expire, false), 0); /* POP3 is off */
    salma.services = USER_IMAP | USER_POP3;
    assert_ok(directory_user_set(directory, &salma));
    assert_int_equal(passed(expire, false), 1);
    expire_free(expire);
}

static void unread_stays_until_it_is_read(void **state)
{
    (void)state;
    struct expire *expire = expire_of(0);
    set_policy(0, 7, true);
    file_taken('a', 0, 8, 0);
    assert_int_equal(passed(expire, false), 0);
    struct store_flags_result result = set_flags("1", STORE_FLAGS_ADD, STORE_SEEN, NULL, 0);
    result_done(&result);
    assert_int_equal(passed(expire, false), 0); /* once a day is enough for what had to stay */
    assert_int_equal(passed(expire, true), 1);
    expire_free(expire);
}

/* explain does not call it due either. */
static void an_expired_device_lets_nothing_go(void **state)
{
    (void)state;
    char password[APP_PASSWORD_TEXT_BYTES + 1];
    int64_t laptop;
    struct expire *expire = expire_of(0);
    struct app_password_new wanted = {
        .name = SLICE("laptop"), .services = USER_SERVICES_ALL, .expires_s = clock_wall_s() + DAY_S
    };
    assert_ok(directory_app_password_add(directory, &salma, &wanted, password, &laptop));
    set_policy(laptop, 9, false);
    file_taken('a', laptop, 10, 0);
    clock_wrong_s = 2 * DAY_S;
    assert_int_equal(passed(expire, true), 0);
    clock_wrong_s = 0;
    assert_int_equal(passed(expire, true), 1);
    expire_free(expire);
}

static void a_clock_that_is_set_back_delays_nothing(void **state)
{
    (void)state;
    struct expire *expire = expire_of(0);
    set_policy(0, 7, false);
    clock_wrong_s = 400 * DAY_S;
    assert_int_equal(passed(expire, false), 0); /* nothing is here, and nothing will be due soon */
    clock_wrong_s = 0;
    file_taken('a', 0, 8, 0);
    assert_int_equal(passed(expire, false), 1);
    expire_free(expire);
}

static bool always_busy(void *unused, const char *user_id)
{
    (void)unused;
    assert_string_equal(user_id, salma.id);
    return true;
}

static void an_open_session_keeps_its_list(void **state)
{
    (void)state;
    struct expire *expire = expire_new(
        &(struct expire_options){ .store = store, .directory = directory, .is_busy = always_busy });
    set_policy(0, 7, false);
    file_taken('a', 0, 8, 0);
    assert_int_equal(passed(expire, true), 0);
    expire_free(expire);
    expire = expire_of(0);
    assert_int_equal(passed(expire, false), 1);
    expire_free(expire);
}

/* It is opened to learn when something will be due, and then not before that day. */
static void accounts_are_left_alone(void **state)
{
    (void)state;
    struct expire *expire = expire_of(0);
    set_policy(0, 7, false);
    file_taken('a', 0, 3, 0);
    assert_int_equal(passed(expire, false), 0);
    account_unref(account);
    account = NULL;
    store_close(store);
    open_all_but_account();
    expire_free(expire);
    expire = expire_of(0);
    assert_int_equal(store_stats(store).accounts_open, 0);
    assert_int_equal(passed(expire, false), 0); /* the first time it must look */
    assert_int_equal(store_stats(store).accounts_open, 1);
    store_close(store);
    open_all_but_account();
    expire_free(expire);
    expire = expire_of(0);
    assert_ok(store_account(store, slice_of(salma.id), true, &account));
    assert_int_equal(passed(expire, false), 0);
    unsigned long long requests = store_stats(store).requests;
    file_taken('b', 0, 30, 0); /* by a restore, which the table cannot know of */
    assert_int_equal(passed(expire, false), 0);
    assert_int_equal(store_stats(store).requests, requests + 1);
    assert_int_equal(passed(expire, true), 1);
    expire_free(expire);
}

static void the_thread_does_it(void **state)
{
    (void)state;
    struct expire *expire = expire_of(5);
    set_policy(0, 7, false);
    file_taken('a', 0, 8, 0);
    expire_start(expire);
    for (int ms = 0; messages("Trash") == 0 && ms < HANG_MS; ms += 5)
        (void)poll(NULL, 0, 5);
    expire_stop(expire);
    expire_stop(expire);
    assert_int_equal(messages("Trash"), 1);
    expire_free(expire);
}

#define WITH_USER(test) cmocka_unit_test_setup_teardown(test, set_up_directory, tear_down_directory)
TEST_MAIN(WITH_USER(what_is_due_goes), WITH_USER(each_device_as_its_policy_says),
    WITH_USER(unread_stays_until_it_is_read), WITH_USER(an_open_session_keeps_its_list),
    WITH_USER(an_expired_device_lets_nothing_go),
    WITH_USER(a_clock_that_is_set_back_delays_nothing), WITH_USER(accounts_are_left_alone),
    WITH_USER(the_thread_does_it))
