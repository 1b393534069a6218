/* Numbers of a mailbox: counted right, and the same after a way over the control socket. */
#include "server/core/facts.h"

#include "base/clock.h"
#include "store/account_fixture_test.h"

#define DAY_S 86400

static const int64_t devices[] = { 0, 7 };

/* Of 100 bytes. */
static void file(const char *mailbox, unsigned flags, int64_t days_ago)
{
    char text[101];
    (void)snprintf(text, sizeof text, "Subject: x\r\n\r\n%086d", 0);
    append_at(mailbox, slice_of(text), flags, clock_wall_s() - days_ago * DAY_S);
}

static void assert_drop(
    const struct mailbox_facts *facts, enum facts_drop which, uint64_t messages, uint64_t unread)
{
    const struct facts_amount *drop = &facts->drops[which];
    assert_int_equal(drop->messages, messages);
    assert_int_equal(drop->bytes, messages * 100);
    assert_int_equal(drop->unread, unread);
    assert_int_equal(drop->unread_bytes, unread * 100);
}

static void what_pop_would_show(void **state)
{
    (void)state;
    struct mailbox_facts facts;
    struct pop_policy policy = { .since_ms = clock_wall_ms() + 1000 };
    file("INBOX", STORE_SEEN, 90);
    file("INBOX", 0, 50);
    file("INBOX", 0, 3);
    file("Sent", STORE_SEEN, 1);
    file("Archive", STORE_SEEN, 400);

    assert_ok(facts_collect(account, &policy, true, devices, 2, clock_wall_s(), &arena, &facts));
    assert_int_equal(facts.messages, 5);
    assert_int_equal(facts.bytes, 500);
    assert_int_equal(facts.days, FACTS_DAYS_DEFAULT);
    assert_int_equal(facts.folder_count, 6);
    assert_slice("first", facts.folders[0].name, SLICE("INBOX"));
    assert_int_equal(facts.folders[0].messages, 3);
    assert_int_equal(facts.folders[0].unread, 2);
    assert_int_equal(facts.folders[0].bytes, 300);
    assert_drop(&facts, FACTS_SHOWN, 0, 0); /* switched on after all of it */
    assert_drop(&facts, FACTS_ALL, 3, 2);
    assert_drop(&facts, FACTS_ALL_OLD, 2, 1);

    policy.since_ms = 0;
    assert_ok(facts_collect(account, &policy, true, devices, 2, clock_wall_s(), &arena, &facts));
    assert_drop(&facts, FACTS_SHOWN, 3, 2);
    assert_ok(facts_collect(
        account, &policy, false, devices, 2, clock_wall_s(), &arena, &facts)); /* on from now */
    assert_drop(&facts, FACTS_SHOWN, 0, 0);

    policy.window = POP_WINDOW_DAYS;
    policy.window_days = 60;
    policy.folders = POP_FOLDERS_ALL;
    policy.with_sent = true;
    policy.after = POP_AFTER_DAYS;
    policy.after_days = 10;
    assert_ok(facts_collect(account, &policy, false, devices, 2, clock_wall_s(), &arena, &facts));
    assert_int_equal(facts.days, 10);
    assert_drop(&facts, FACTS_SHOWN, 3, 2);
    assert_drop(&facts, FACTS_OLD, 1, 1);
    assert_drop(&facts, FACTS_ALL, 5, 2);
    assert_drop(&facts, FACTS_ALL_OLD, 3, 1);
    policy.newest = 1;
    assert_ok(facts_collect(account, &policy, false, devices, 2, clock_wall_s(), &arena, &facts));
    assert_drop(&facts, FACTS_SHOWN, 1, 0);
    assert_drop(&facts, FACTS_ALL, 5, 2);
}

/* Ends a session of a device that took the first `count` of the inbox. */
static void take(int64_t device, size_t count)
{
    struct store_download *list;
    struct store_downloaded at[8] = { 0 };
    size_t there, removed;
    bool damaged;
    int64_t inbox = box_named("INBOX").id;
    struct store_download_view view = { .device = device, .mailboxes = &inbox, .mailbox_count = 1 };
    assert_ok(account_downloads(account, &view, &list, &there, &damaged));
    for (size_t i = 0; i < count; i++)
        at[i] = (struct store_downloaded){
            .mailbox = inbox, .uid = list[i].entry.uid, .email = list[i].entry.email, .taken = true
        };
    free(list);
    assert_ok(account_download_end(account,
        &(struct store_download_end){
            .device = device, .at = at, .count = count, .removal = STORE_REMOVE_HIDE },
        &removed));
}

static void what_is_due(void **state)
{
    (void)state;
    struct mailbox_facts facts;
    struct pop_policy policy = { 0 };
    for (int i = 0; i < 4; i++)
        file("INBOX", i == 0 ? 0 : STORE_SEEN, 90);
    take(0, 2);
    policy.list_per_device = true; /* a program that comes for the first time sees all of it */
    assert_ok(facts_collect(account, &policy, true, devices, 2, clock_wall_s(), &arena, &facts));
    assert_drop(&facts, FACTS_SHOWN, 4, 1);
    assert_drop(&facts, FACTS_OLD, 4, 1);
    assert_drop(&facts, FACTS_ALL, 4, 1);
    take(7, 3);
    take(9, 4); /* was revoked: it does not come again */
    assert_ok(facts_collect(account, &policy, true, devices, 2, clock_wall_s(), &arena, &facts));
    assert_drop(&facts, FACTS_DUE, 0, 0); /* old mail, but taken today */
    assert_int_equal(facts.taken_count, 3);
    assert_ok(facts_collect(
        account, &policy, true, devices, 2, clock_wall_s() + 31 * DAY_S, &arena, &facts));
    assert_drop(&facts, FACTS_DUE, 3, 1); /* each once */
}

static void more_unread_than_fit_at_a_time(void **state)
{
    (void)state;
    struct mailbox_facts facts;
    struct pop_policy policy = { 0 };
    struct store_append items[500];
    struct store_append_result result;
    struct blob *blob;
    assert_ok(blob_new(store, MESSAGE_BYTES_MAX, &blob));
    assert_ok(blob_write(blob, SLICE("Subject: x\r\n\r\n")));
    assert_ok(blob_finish(blob));
    for (size_t i = 0; i < 500; i++)
        items[i] = (struct store_append){ .blob = blob, .received_s = clock_wall_s() };
    for (size_t i = 0; i < 40; i++)
        assert_ok(account_append(account, box_named("INBOX").id, items, 500, &result));
    blob_unref(blob);
    assert_ok(facts_collect(account, &policy, true, devices, 2, clock_wall_s(), &arena, &facts));
    assert_int_equal(facts.drops[FACTS_SHOWN].messages, 20000);
    assert_int_equal(facts.drops[FACTS_SHOWN].unread, 20000);
}

static enum err read_lines(struct slice text, struct mailbox_facts *facts)
{
    struct slice line;
    *facts = (struct mailbox_facts){ 0 };
    while (slice_cut(&text, '\n', &line))
        TRY(facts_read_line(line, &arena, facts));
    return ERR_OK;
}

static void lines_there_and_back(void **state)
{
    (void)state;
    struct mailbox_facts facts = { .messages = 7,
        .bytes = 1u << 20,
        .days = 30,
        .damaged = true,
        .drops = { { 1, 2, 3, 4 }, { 5, 6, 7, 8 }, { 9, 10, 11, 12 }, { 13, 14, 15, 16 },
            { 17, 18, 19, 20 } } };
    struct facts_folder folders[5];
    struct store_taken taken[3] = { { 0, 5 }, { 2, 6 }, { 9, 7 } };
    for (size_t i = 0; i < 5; i++)
        folders[i] = (struct facts_folder){ .name = SLICE("بيت/two words"),
            .use = (enum store_special_use)(i + 1),
            .messages = i,
            .bytes = 100 * i };
    facts.folders = folders;
    facts.folder_count = 5;
    facts.taken = taken;
    facts.taken_count = 3;

    struct buf one, two;
    struct mailbox_facts back;
    buf_init(&one, 0);
    buf_init(&two, 0);
    facts_write(&facts, &one);
    assert_ok(read_lines(buf_slice(&one), &back));
    facts_write(&back, &two);
    assert_slice("same", buf_slice(&two), buf_slice(&one));
    assert_int_equal(back.folders[4].use, STORE_USE_TRASH);
    assert_int_equal(back.taken[2].messages, 7);

    assert_ok(read_lines(SLICE("later 1 2 3\ndays 8\n"), &back));
    assert_int_equal(back.days, 8);
    static const char *const bad[] = { "usage 1\n", "usage 1 x\n", "folder 1 2 3 none\n", "pop\n",
        "pop shown 1 2 3\n", "taken 1\n", "days -1\n", "folder 1 2\n", "\n" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (read_lines(slice_of(bad[i]), &back) != ERR_SYNTAX)
            fail_msg("taken: %s", bad[i]);
    buf_done(&one);
    buf_done(&two);
}

static void no_folder_is_made(void **state)
{
    (void)state;
    char file_name[96];
    struct directory *directory;
    struct user user;
    struct mailbox_facts facts;
    (void)snprintf(file_name, sizeof file_name, "%s/directory.db", folder);
    assert_ok(directory_open(file_name, true, &directory, NULL));
    assert_ok(directory_domain_add(directory, SLICE("barid.test"), NULL));
    struct user_new row = {
        .address = SLICE("salma@barid.test"), .password = SLICE("x"), .services = USER_IMAP
    };
    assert_ok(directory_users_add(directory, &row, 1, NULL));
    assert_ok(directory_user(directory, row.address, &user));
    assert_ok(facts_of_user(store, directory, slice_of(user.id), &arena, &facts));
    assert_int_equal(facts.folder_count, 0);
    assert_int_equal(facts.days, FACTS_DAYS_DEFAULT);
    struct account *none;
    assert_err(ERR_NOT_FOUND, store_account(store, slice_of(user.id), false, &none));
    assert_err(ERR_NOT_FOUND, facts_of_user(store, directory, SLICE("nobody"), &arena, &facts));
    directory_close(directory);
    remove_database(file_name);
}

TEST_MAIN(IN_ACCOUNT(what_pop_would_show), IN_ACCOUNT(what_is_due),
    IN_ACCOUNT(more_unread_than_fit_at_a_time), IN_ACCOUNT(no_folder_is_made),
    IN_ACCOUNT(lines_there_and_back))
