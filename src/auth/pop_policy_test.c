/* POP3 policies: their text, and which one holds. */
#include "auth/pop_policy.h"

#include "auth/device.h"
#include "auth/directory_fixture_test.h"
#include "base/clock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void assert_value(
    const struct pop_policy *policy, enum pop_setting setting, const char *wanted)
{
    struct buf text;
    buf_init(&text, 0);
    pop_policy_value(policy, setting, &text);
    assert_slice(pop_setting_name(setting), buf_slice(&text), slice_of(wanted));
    buf_done(&text);
}

static void values(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        enum err e;
    } rows[] = { { "window", "all", ERR_OK }, { "window", "30", ERR_OK },
        { "window", "now", ERR_OK }, { "window", "3650", ERR_OK }, { "window", "3651", ERR_LIMIT },
        { "window", "0", ERR_LIMIT }, { "window", "-1", ERR_SYNTAX },
        { "window", "99999999999", ERR_LIMIT }, { "window", "", ERR_SYNTAX },
        { "window", "quit", ERR_SYNTAX }, { "folders", "all", ERR_OK },
        { "folders", "inbox", ERR_OK }, { "folders", "INBOX,Work/A", ERR_OK },
        { "folders", "a\\,b,\xd8\xb9\xd9\x85\xd9\x84", ERR_OK }, { "folders", "", ERR_SYNTAX },
        { "folders", "a,", ERR_SYNTAX }, { "folders", "a\\,", ERR_OK },
        { "folders", "a\\\\,", ERR_SYNTAX }, { "folders", ",a", ERR_SYNTAX },
        { "folders", "a,,b", ERR_SYNTAX }, { "folders", "a\nb", ERR_SYNTAX },
        { "folders", "\xff", ERR_SYNTAX }, { "sent", "on", ERR_OK }, { "sent", "yes", ERR_SYNTAX },
        { "list", "device", ERR_OK }, { "list", "shared", ERR_OK }, { "dele", "expunge", ERR_OK },
        { "dele", "hide", ERR_OK }, { "dele", "archive", ERR_OK }, { "dele", "trash", ERR_OK },
        { "dele", "Trash", ERR_SYNTAX }, { "after", "quit", ERR_OK }, { "after", "7", ERR_OK },
        { "after", "keep", ERR_OK }, { "after", "7d", ERR_SYNTAX }, { "unread", "stays", ERR_OK },
        { "unread", "goes", ERR_OK }, { "read", "quit", ERR_OK }, { "lock", "exclusive", ERR_OK },
        { "newest", "100", ERR_OK }, { "newest", "all", ERR_OK },
        { "newest", "1000001", ERR_LIMIT } };
    struct pop_policy policy = { 0 };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum pop_setting setting;
        struct pop_policy before = policy;
        assert_ok(pop_setting_find(slice_of(rows[i].name), &setting));
        enum err e = pop_policy_set(&policy, setting, slice_of(rows[i].value));
        if (e != rows[i].e)
            fail_msg("%s=%s: %s", rows[i].name, rows[i].value, err_name(e));
        if (e == ERR_OK)
            assert_value(&policy, setting, rows[i].value);
        else
            assert_memory_equal(&policy, &before, sizeof policy);
    }
    enum pop_setting none;
    assert_err(ERR_NOT_FOUND, pop_setting_find(SLICE("Window"), &none));
    assert_err(ERR_NOT_FOUND, pop_setting_find(SLICE(""), &none));
}

static void defaults(void **state)
{
    (void)state;
    static const char *const wanted[POP_SETTING_COUNT] = { "now", "inbox", "off", "shared", "trash",
        "keep", "goes", "no", "snapshot", "all" };
    struct pop_policy policy = { 0 };
    for (int i = 0; i < POP_SETTING_COUNT; i++)
        assert_value(&policy, (enum pop_setting)i, wanted[i]);
}

static void names_of_folders(void **state)
{
    (void)state;
    struct slice list = SLICE("INBOX,a\\,b\\\\c,d");
    char name[POP_FOLDERS_BYTES_MAX + 1];
    static const char *const wanted[] = { "INBOX", "a,b\\c", "d" };
    for (int i = 0; i < 3; i++) {
        assert_true(pop_folder_next(&list, name));
        assert_string_equal(name, wanted[i]);
    }
    assert_false(pop_folder_next(&list, name));
}

static struct directory *directory;

static int set_up(void **state)
{
    (void)state;
    directory = directory_begin();
    return directory_domain_add(directory, SLICE("example.org"), NULL) != ERR_OK;
}

static int tear_down(void **state)
{
    (void)state;
    return directory_end(directory);
}

static struct user add_user(const char *address, unsigned services)
{
    struct user user;
    struct user_new wanted = {
        .address = slice_of(address), .password = SLICE("secret"), .services = services
    };
    assert_ok(directory_users_add(directory, &wanted, 1, NULL));
    assert_ok(directory_user(directory, slice_of(address), &user));
    return user;
}

static struct pop_policy policy_of(const struct user *user)
{
    struct pop_policy policy;
    assert_ok(directory_pop_policy(directory, user, &policy));
    return policy;
}

static void the_device_goes_before_the_account(void **state)
{
    (void)state;
    struct user user = add_user("ali@example.org", USER_IMAP | USER_POP3), phone = user;
    char text[APP_PASSWORD_TEXT_BYTES + 1];
    struct app_password_new wanted = { .name = SLICE("phone"), .services = USER_POP3 };
    assert_ok(directory_app_password_add(directory, &user, &wanted, text, &phone.device));

    struct pop_policy policy = policy_of(&phone);
    assert_int_equal(policy.dele, POP_DELE_TRASH);
    assert_int_equal(policy.since_ms, 0);
    assert_ok(pop_policy_set(&policy, POP_SETTING_DELE, SLICE("expunge")));
    assert_ok(pop_policy_set(&policy, POP_SETTING_FOLDERS, SLICE("INBOX,Work")));
    assert_ok(directory_pop_policy_set(directory, &user, &policy));
    assert_int_equal(policy_of(&phone).dele, POP_DELE_EXPUNGE);
    assert_false(policy_of(&phone).own);
    assert_value(&policy, POP_SETTING_FOLDERS, "INBOX,Work");

    policy.dele = POP_DELE_HIDE;
    policy.since_ms = 5;
    assert_ok(directory_pop_policy_set(directory, &phone, &policy));
    directory_close(directory);
    assert_ok(directory_open(file, false, &directory, NULL));
    assert_int_equal(policy_of(&phone).dele, POP_DELE_HIDE);
    assert_int_equal(policy_of(&phone).since_ms, 5);
    assert_true(policy_of(&phone).own);
    assert_int_equal(policy_of(&user).dele, POP_DELE_EXPUNGE);

    assert_ok(directory_pop_policy_reset(directory, &phone));
    assert_int_equal(policy_of(&phone).dele, POP_DELE_EXPUNGE);
    assert_ok(directory_pop_policy_reset(directory, &user));
    assert_int_equal(policy_of(&user).dele, POP_DELE_TRASH);

    assert_ok(directory_pop_policy_set(directory, &phone, &policy));
    int64_t device;
    assert_ok(directory_app_password_revoke(directory, &user, SLICE("phone"), &device));
    assert_false(policy_of(&phone).own);
    assert_err(ERR_NOT_FOUND, directory_pop_policy_set(directory, &phone, &policy));
    struct user nobody = { .id = "nobody" };
    assert_err(ERR_NOT_FOUND, directory_pop_policy_set(directory, &nobody, &policy));
}

static void switched_on_is_remembered(void **state)
{
    (void)state;
    struct user user = add_user("ali@example.org", USER_IMAP);
    int64_t before_ms = clock_wall_ms();
    assert_int_equal(policy_of(&user).since_ms, 0);
    user.services |= USER_POP3;
    assert_ok(directory_user_set(directory, &user));
    int64_t since_ms = policy_of(&user).since_ms;
    assert_true(since_ms >= before_ms);
    struct pop_policy policy = policy_of(&user);
    policy.newest = 10;
    assert_ok(directory_pop_policy_set(directory, &user, &policy));
    user.quota_bytes = 1000;
    assert_ok(directory_user_set(directory, &user)); /* was on already */
    assert_int_equal(policy_of(&user).since_ms, since_ms);
    assert_int_equal(policy_of(&user).newest, 10);
    user.services = USER_IMAP;
    assert_ok(directory_user_set(directory, &user));
    while (clock_wall_ms() <= since_ms)
        usleep(1000);
    user.services |= USER_POP3;
    assert_ok(directory_user_set(directory, &user));
    assert_true(policy_of(&user).since_ms > since_ms);
    assert_int_equal(policy_of(&user).newest, 10);
}

static void a_user_is_restored_with_policies(void **state)
{
    (void)state;
    struct user user = add_user("ali@example.org", USER_IMAP | USER_POP3), phone = user;
    char text[APP_PASSWORD_TEXT_BYTES + 1], path[96];
    struct app_password_new wanted = { .name = SLICE("phone"), .services = USER_POP3 };
    assert_ok(directory_app_password_add(directory, &user, &wanted, text, &phone.device));
    struct pop_policy policy = { .dele = POP_DELE_ARCHIVE };
    assert_ok(directory_pop_policy_set(directory, &user, &policy));
    policy.dele = POP_DELE_HIDE;
    assert_ok(directory_pop_policy_set(directory, &phone, &policy));
    (void)snprintf(path, sizeof path, "%s/copy", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/copy/directory.db", folder);
    assert_ok(directory_copy(directory, path));
    struct user gone;
    assert_ok(directory_user_remove(directory, SLICE("ali@example.org"), &gone));
    assert_int_equal(policy_of(&user).dele, POP_DELE_TRASH);

    (void)snprintf(path, sizeof path, "%s/copy", folder);
    int folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct directory *copy;
    assert_ok(directory_open_copy(folder_fd, &copy));
    assert_ok(directory_restore_user(directory, copy, SLICE("ali@example.org"), &user));
    directory_close(copy);
    close(folder_fd);
    assert_int_equal(policy_of(&user).dele, POP_DELE_ARCHIVE);
    assert_int_equal(policy_of(&phone).dele, POP_DELE_HIDE);
    (void)snprintf(path, sizeof path, "%s/copy/directory.db", folder);
    (void)unlink(path);
    (void)snprintf(path, sizeof path, "%s/copy", folder);
    assert_int_equal(rmdir(path), 0);
}

#define IN_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
TEST_MAIN(cmocka_unit_test(values), cmocka_unit_test(defaults), cmocka_unit_test(names_of_folders),
    IN_DIRECTORY(the_device_goes_before_the_account), IN_DIRECTORY(switched_on_is_remembered),
    IN_DIRECTORY(a_user_is_restored_with_policies))
