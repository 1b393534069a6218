/* What a session has of a mailbox: views follow, \Recent and the first unseen are known. */
#include "store/account_fixture_test.h"

static void a_view_follows(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        append("INBOX", message((size_t)i), 0);
    int64_t inbox = box_named("INBOX").id;
    struct store_view view, second;
    assert_ok(store_view_open(account, inbox, true, &view));
    assert_set(&view.uids, "1:5");
    assert_set(&view.recent, "1:5");
    assert_ok(store_view_open(account, inbox, true, &second));
    assert_true(uidset_empty(&second.recent));
    struct store_view_changes changes;
    assert_ok(store_view_update(account, &view, true, true, &arena, &changes));
    assert_true(uidset_empty(&changes.added));
    store_view_changes_done(&changes);

    append("INBOX", message(50), 0);
    struct store_flags_result r = set_flags("2,4", STORE_FLAGS_ADD, STORE_DELETED, NULL, 0);
    result_done(&r);
    r = set_flags("3", STORE_FLAGS_ADD, STORE_SEEN, NULL, 0);
    result_done(&r);
    assert_ok(account_expunge(
        account, &(struct store_expunge_args){ .mailbox = inbox, .deleted_only = true }, NULL));
    assert_ok(store_view_update(account, &view, false, true, &arena, &changes));
    assert_set(&changes.added, "6");
    assert_true(uidset_empty(&changes.vanished));
    assert_int_equal(changes.changed_count, 1);
    assert_int_equal(changes.changed[0].uid, 3);
    assert_set(&view.uids, "1:6");
    assert_set(&view.recent, "1:6");
    store_view_changes_done(&changes);
    assert_ok(store_view_update(account, &view, true, true, &arena, &changes));
    assert_set(&changes.vanished, "2,4");
    assert_set(&view.uids, "1,3,5:6");
    store_view_changes_done(&changes);
    /* More flag changes than are remembered: found by a scan. */
    for (int i = 0; i < 100; i++) {
        r = set_flags("5", i % 2 ? STORE_FLAGS_ADD : STORE_FLAGS_REMOVE, STORE_FLAGGED, NULL, 0);
        result_done(&r);
    }
    assert_ok(store_view_update(account, &second, true, true, &arena, &changes));
    assert_int_equal(changes.changed_count, 2); /* 3 and 5 */
    assert_set(&changes.vanished, "2,4");
    assert_set(&changes.added, "6");
    store_view_changes_done(&changes);
    assert_ok(mailbox_create(account, SLICE("t"), STORE_USE_NONE, &inbox));
    struct store_view third;
    assert_ok(store_view_open(account, inbox, true, &third));
    assert_ok(mailbox_delete(account, SLICE("t")));
    assert_ok(store_view_update(account, &third, true, true, &arena, &changes));
    assert_true(changes.mailbox_gone);
    store_view_changes_done(&changes);
    struct uidset there;
    uidset_init(&there);
    assert_ok(account_uids(account, second.mailbox, &there));
    assert_set(&there, "1,3,5:6");
    assert_ok(account_uids(account, inbox, &there)); /* of a mailbox that is gone: none */
    assert_set(&there, "");
    uidset_done(&there);
    store_view_done(&view);
    store_view_done(&second);
    store_view_done(&third);
}

static uint32_t unseen_first(void)
{
    uint32_t uid = 99;
    assert_ok(account_first_unseen(account, box_named("INBOX").id, &uid));
    return uid;
}

static void assert_recent(uint64_t wanted)
{
    uint64_t count;
    assert_ok(account_recent(account, box_named("INBOX").id, &count));
    assert_int_equal(count, wanted);
}

/* Counted in memory where the mailbox was looked at, else in the database: the same. */
static void recent_messages_are_counted(void **state)
{
    (void)state;
    struct store_view view;
    for (int round = 0; round < 2; round++) {
        assert_recent(0);
        for (int i = 0; i < 5; i++)
            append("INBOX", message(10), 0);
        assert_recent(5);
        uint32_t last = box_named("INBOX").uidnext - 1;
        struct uidset one;
        uidset_init(&one);
        uidset_add(&one, last - 2);
        assert_ok(account_expunge(account,
            &(struct store_expunge_args){ .mailbox = box_named("INBOX").id, .uids = &one }, NULL));
        uidset_done(&one);
        assert_recent(4);
        assert_ok(store_view_open(account, box_named("INBOX").id, false, &view)); /* EXAMINE */
        assert_recent(4);
        store_view_done(&view);
        reopen();
        assert_recent(4);
        assert_ok(store_view_open(account, box_named("INBOX").id, true, &view));
        store_view_done(&view);
        assert_recent(0);
        append("INBOX", message(10), 0);
        assert_recent(1);
        reopen();
        assert_recent(1);
        assert_ok(store_view_open(account, box_named("INBOX").id, true, &view));
        store_view_done(&view);
    }
    uint64_t count;
    assert_err(ERR_NOT_FOUND, account_recent(account, 4711, &count));
}

static void the_first_unseen_is_known(void **state)
{
    (void)state;
    assert_int_equal(unseen_first(), 0);
    for (size_t i = 0; i < 5; i++)
        append("INBOX", message(i), i < 2 ? STORE_SEEN : 0);
    assert_int_equal(unseen_first(), 3);
    struct store_flags_result r = set_flags("3:4", STORE_FLAGS_ADD, STORE_SEEN, NULL, 0);
    result_done(&r);
    assert_int_equal(unseen_first(), 5);
    r = set_flags("1", STORE_FLAGS_REMOVE, STORE_SEEN, NULL, 0);
    result_done(&r);
    assert_int_equal(unseen_first(), 1);
    struct uidset one = set_of("1");
    assert_ok(account_expunge(account,
        &(struct store_expunge_args){ .mailbox = box_named("INBOX").id, .uids = &one }, NULL));
    uidset_done(&one);
    assert_int_equal(unseen_first(), 5);
    r = set_flags("5", STORE_FLAGS_ADD, STORE_SEEN, NULL, 0);
    result_done(&r);
    assert_int_equal(unseen_first(), 0);
    append("INBOX", message(9), 0);
    assert_int_equal(unseen_first(), 6);
    reopen();
    assert_int_equal(unseen_first(), 6);
}

TEST_MAIN(IN_ACCOUNT(a_view_follows), IN_ACCOUNT(recent_messages_are_counted),
    IN_ACCOUNT(the_first_unseen_is_known))
