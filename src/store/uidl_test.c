/* What another server called a message by POP3: kept with the message wherever it goes, by one message alone, and brought back with it. */
#include "store/account_fixture_test.h"

static int prove_and_tear_down(void **state)
{
    int failed = account_fsck(account, false, told, NULL) != ERR_OK;
    return failed | tear_down(state);
}

/* A message of one letter, as it comes from a copy; gives how many names were refused. */
static size_t bring_marked(
    char letter, const char *uidl, const struct store_mark *marks, size_t mark_count)
{
    char text[64];
    unsigned char guid[16] = { 1, 2, 3, 4, 5, 6, (unsigned char)letter };
    (void)snprintf(text, sizeof text, "Subject: %c\r\n\r\nbody\r\n", letter);
    struct blob *blob = blob_of(slice_of(text));
    struct store_append item = { .blob = blob,
        .received_s = 1,
        .guid = guid,
        .restored = true,
        .uidl = slice_of(uidl),
        .marks = marks,
        .mark_count = mark_count };
    struct store_append_result result;
    assert_ok(account_append(account, box_named("INBOX").id, &item, 1, &result));
    blob_unref(blob);
    return result.uidls_refused;
}

static size_t bring(char letter, const char *uidl)
{
    return bring_marked(letter, uidl, NULL, 0);
}

/* Names of what device 1 is shown of these mailboxes, in order; "-" for a guid. */
static void assert_uidls(const char *first, const char *second, const char *wanted)
{
    int64_t boxes[2] = { box_named(first).id, second ? box_named(second).id : 0 };
    struct buf uidls, got;
    buf_init(&uidls, 0);
    buf_init(&got, 0);
    struct store_download_view view = {
        .device = 1, .mailboxes = boxes, .mailbox_count = second ? 2 : 1, .uidls = &uidls
    };
    struct store_download *list;
    size_t count;
    bool damaged;
    assert_ok(account_downloads(account, &view, &list, &count, &damaged));
    for (size_t i = 0; i < count; i++) {
        buf_adds(&got, i ? " " : "");
        if (list[i].uidl_len)
            buf_add(&got, slice_sub(buf_slice(&uidls), list[i].uidl_at, list[i].uidl_len));
        else
            buf_addc(&got, '-');
    }
    assert_slice("uidls", buf_slice(&got), slice_of(wanted));
    free(list);
    buf_done(&uidls);
    buf_done(&got);
}

static void put(const char *from, const char *to, const char *uids, bool move)
{
    struct uidset set = set_of(uids);
    struct store_copy_result result = { 0 };
    assert_ok(account_copy(account,
        &(struct store_copy_args){
            .from = box_named(from).id, .to = box_named(to).id, .uids = &set, .move = move },
        &result));
    uidset_done(&result.source);
    uidset_done(&result.target);
    uidset_done(&set);
}

static void expunge(const char *mailbox, const char *uids)
{
    struct uidset set = set_of(uids);
    assert_ok(account_expunge(account,
        &(struct store_expunge_args){ .mailbox = box_named(mailbox).id, .uids = &set }, NULL));
    uidset_done(&set);
}

static void which_may_be(void **state)
{
    (void)state;
    char longest[72];
    memset(longest, 'x', sizeof longest);
    static const struct {
        const char *name, *uidl;
        bool ok;
    } rows[] = {
        { "none", "", false },
        { "one", "!", true },
        { "last", "~", true },
        { "blank", "a b", false },
        { "delete", "a\x7f", false },
        { "eight bits", "a\xc3\xa9", false },
        { "line end", "a\r", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (store_uidl_ok(slice_of(rows[i].uidl)) != rows[i].ok)
            fail_msg("%s", rows[i].name);
    assert_true(store_uidl_ok(slice_from(longest, 70)));
    assert_false(store_uidl_ok(slice_from(longest, 71)));
}

static void one_message_alone_has_a_name(void **state)
{
    (void)state;
    assert_int_equal(bring('a', "UID1-7"), 0);
    assert_int_equal(bring('b', "UID1-7"), 1);
    assert_int_equal(bring('c', "uid1-7"), 0); /* RFC 1939 knows no case */
    assert_int_equal(bring('d', "two words"), 1);
    assert_int_equal(bring('e', ""), 0);
    append("INBOX", message(10), 0);
    assert_uidls("INBOX", NULL, "UID1-7 - uid1-7 - - -");
    assert_uidls("Archive", NULL, "");
}

static void a_name_goes_where_its_message_goes(void **state)
{
    (void)state;
    (void)bring('a', "A");
    (void)bring('b', "B");
    (void)bring('c', "C");
    put("INBOX", "Archive", "1", true);
    put("INBOX", "Archive", "2", false);
    assert_uidls("INBOX", NULL, "B C");
    assert_uidls("INBOX", "Archive", "A B C");
    reopen();
    assert_uidls("INBOX", "Archive", "A B C");
    expunge("INBOX", "2"); /* it lies in Archive too */
    assert_uidls("Archive", NULL, "A B");
    assert_int_equal(bring('d', "B"), 1);
    expunge("Archive", "2"); /* gone: the name is free for the message when it is brought again */
    assert_int_equal(bring('b', "B"), 0);
    assert_uidls("INBOX", "Archive", "A C - B");
    uint64_t changed;
    account_unref(account);
    account = NULL;
    assert_ok(store_rebuild(store, SLICE("a1"), &changed));
    assert_ok(store_account(store, SLICE("a1"), true, &account));
    assert_uidls("INBOX", "Archive", "A C - B");
}

static struct store_restore_result restore_from_a1(void)
{
    struct store_restore_result result;
    assert_ok(store_restore(store, SLICE("b1"),
        &(struct store_restore_args){ .folder = "accounts/a1", .from_id = SLICE("a1") }, &result));
    return result;
}

/* What a copy knows of a message comes with it, in the transaction that files it. The copy is the folder of a1 itself, and b1 what was lost. */
static void a_copy_gives_all_back_at_once(void **state)
{
    (void)state;
    static const struct store_mark marks[] = { { .device = 1, .taken_s = 5, .hidden = true },
        { .device = 2, .taken_s = 7 } };
    (void)bring_marked('a', "A", marks, 2);
    (void)bring_marked('b', "B", &marks[1], 1);
    (void)bring('c', "C");
    (void)bring('d', "");
    /* as a message that has no name of its own is called */
    (void)bring('e', "01020304050664000000000000000000");
    close_all();
    open_all_but_account();
    struct store_restore_result result = restore_from_a1();
    assert_int_equal(result.added, 5);
    assert_int_equal(result.uidls, 3);
    assert_int_equal(result.uidls_lost, 1);
    assert_ok(store_account(store, SLICE("b1"), false, &account));
    assert_uidls("INBOX", NULL, "B C - -"); /* device 1 is not to see the first */
    struct store_taken *taken;
    size_t count;
    assert_ok(account_taken(account, &arena, &taken, &count));
    assert_int_equal(count, 2);
    assert_int_equal(taken[1].device, 2);
    assert_int_equal(taken[1].messages, 2);

    expunge("INBOX", "1:9");
    assert_int_equal(bring('x', "C"), 0);
    unsigned long long commits = store_stats(store).commits;
    result = restore_from_a1();
    assert_int_equal(store_stats(store).commits, commits + 1);
    assert_int_equal(result.added, 5);
    assert_int_equal(result.uidls, 2);
    assert_int_equal(result.uidls_lost, 2);
    assert_uidls("INBOX", NULL, "C B - - -");
    result = restore_from_a1();
    assert_int_equal(result.there, 5);
    assert_int_equal(result.uidls_lost, 0);

    assert_ok(account_fsck(account, false, told, NULL));
    account_unref(account);
    account = NULL;
    assert_ok(store_account_remove(store, SLICE("b1")));
    assert_ok(store_account(store, SLICE("a1"), true, &account));
}

#define PROVED(test) cmocka_unit_test_setup_teardown(test, set_up, prove_and_tear_down)

TEST_MAIN(cmocka_unit_test(which_may_be), PROVED(one_message_alone_has_a_name),
    PROVED(a_name_goes_where_its_message_goes), PROVED(a_copy_gives_all_back_at_once))
