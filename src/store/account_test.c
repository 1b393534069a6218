/* One account: what goes in comes back, counts hold, nothing is reused. */
#include "store/account_fixture_test.h"

#include "store/account.h"

#include <pthread.h>

static void a_new_account_has_its_mailboxes(void **state)
{
    (void)state;
    struct mailbox *list;
    size_t count;
    assert_ok(account_mailboxes(account, &arena, &list, &count));
    assert_int_equal(count, 6);
    assert_slice("first", list[0].name, SLICE("INBOX"));
    for (size_t i = 0; i < count; i++) {
        assert_true(list[i].subscribed);
        assert_true(list[i].exists);
        assert_int_equal(list[i].uidnext, 1);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(list[i].uidvalidity, list[j].uidvalidity);
    }
    struct mailbox sent;
    assert_ok(account_mailbox_by_use(account, STORE_USE_SENT, &arena, &sent));
    assert_slice("sent", sent.name, SLICE("Sent"));
    assert_int_equal(box_named("inbox").id, list[0].id);
    struct account *none;
    assert_err(ERR_NOT_FOUND, store_account(store, SLICE("a2"), false, &none));
}

/* 4,096 bytes are the limit between a row and a file here. */
static void bytes_come_back(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 3000, 4000, 4096, 5000, 300000 };
    size_t count = sizeof sizes / sizeof sizes[0];
    struct slice sent[8];
    for (size_t i = 0; i < count; i++) {
        sent[i] = message(sizes[i]);
        assert_int_equal(append("INBOX", sent[i], i % 2 ? STORE_SEEN : 0), i + 1);
    }
    assert_int_equal(append("INBOX", SLICE(""), 0), count + 1); /* not a byte */
    for (int round = 0; round < 2; round++) {
        struct store_rows rows = read_box("INBOX", STORE_NEED_SUMMARY | STORE_NEED_BODY);
        assert_int_equal(rows.count, count + 1);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(rows.at[i].uid, i + 1);
            assert_int_equal(rows.at[i].flags, i % 2 ? STORE_SEEN : 0);
            assert_body(&rows.at[i], sent[i]);
            assert_true(rows.at[i].summary.len > 0);
            assert_int_equal(rows.at[i].body.ptr != NULL, sent[i].len <= 4096);
        }
        struct mailbox inbox = box_named("INBOX");
        assert_int_equal(inbox.messages, count + 1);
        assert_int_equal(inbox.unseen, count + 1 - count / 2);
        assert_ok(account_fsck(account, false, told, NULL));
        reopen();
    }
}

static void expunged_is_gone_and_uids_are_not_used_again(void **state)
{
    (void)state;
    struct slice big = message(9000);
    append("INBOX", message(10), STORE_DELETED);
    append("INBOX", big, STORE_DELETED);
    append("INBOX", message(20), 0);
    struct store_rows rows = read_box("INBOX", STORE_NEED_EMAIL);
    struct store_body *body;
    assert_ok(account_body(account, rows.at[1].email, &body));
    int64_t inbox = box_named("INBOX").id;
    uint64_t before = box_named("INBOX").modseq_max;
    struct uidset gone;
    uidset_init(&gone);
    assert_ok(account_expunge(
        account, &(struct store_expunge_args){ .mailbox = inbox, .deleted_only = true }, &gone));
    assert_set(&gone, "1:2");
    struct buf out;
    buf_init(&out, 0);
    struct msg_source source = store_body_source(body);
    assert_ok(msg_source_read(&source, 0, source.size, &out)); /* open before, readable after */
    assert_slice("big", buf_slice(&out), big);
    buf_done(&out);
    store_body_close(body);
    assert_err(ERR_NOT_FOUND, account_body(account, rows.at[1].email, &body));
    struct uidset vanished = set_of("9");
    assert_ok(account_vanished(account, inbox, before, &vanished));
    assert_set(&vanished, "1:2");
    uidset_done(&vanished);
    uidset_clear(&gone);
    assert_ok(account_expunge(account, &(struct store_expunge_args){ .mailbox = inbox }, &gone));
    assert_set(&gone, "3");
    uidset_done(&gone);
    reopen();
    assert_int_equal(box_named("INBOX").messages, 0);
    assert_int_equal(append("INBOX", message(1), 0), 4);
    assert_true(box_named("INBOX").modseq_max > before);
    assert_ok(account_fsck(account, false, told, NULL));
}

static void flags_change_what_they_say(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        append("INBOX", message((size_t)i), 0);
    struct store_flags_result r = set_flags("2:9", STORE_FLAGS_ADD, STORE_SEEN, "$Work", 0);
    assert_set(&r.done, "2:5");
    assert_true(r.modseq > 0);
    uint64_t first = r.modseq;
    result_done(&r);
    struct store_rows rows = read_box("INBOX", 0);
    assert_int_equal(rows.at[0].flags, 0);
    assert_int_equal(rows.at[1].flags, STORE_SEEN | 1 << STORE_KEYWORD_BIT_FIRST);
    assert_int_equal(rows.at[1].modseq, first);
    assert_int_equal(box_named("INBOX").unseen, 1);
    r = set_flags("2:5", STORE_FLAGS_ADD, STORE_SEEN, NULL, 0); /* nothing changes */
    assert_int_equal(r.modseq, 0);
    assert_set(&r.done, "2:5");
    result_done(&r);
    r = set_flags("1:2", STORE_FLAGS_SET, STORE_DELETED, NULL, first - 1);
    assert_set(&r.done, "1");
    assert_set(&r.modified, "2");
    result_done(&r);
    r = set_flags("1:5", STORE_FLAGS_REMOVE, STORE_SEEN | STORE_DELETED, "$work", 0);
    result_done(&r);
    rows = read_box("INBOX", 0);
    for (size_t i = 0; i < rows.count; i++)
        assert_int_equal(rows.at[i].flags, 0);
    assert_int_equal(box_named("INBOX").unseen, 5);
    assert_int_equal(box_named("INBOX").deleted, 0);
    reopen();
    struct slice *names;
    size_t count;
    assert_ok(account_keywords(account, &arena, &names, &count));
    assert_int_equal(count, 1);
    assert_slice("keyword", names[0], SLICE("$Work"));
    for (int i = 0; i < (int)KEYWORDS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "k%d", i);
        r = set_flags("1", STORE_FLAGS_ADD, 0, name, 0);
        assert_int_equal(r.keywords_full, i == (int)KEYWORDS_MAX - 1);
        result_done(&r);
    }
    assert_ok(account_fsck(account, false, told, NULL));
}

static void copy_and_move(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        append("INBOX", message(i == 2 ? 9000 : 10), STORE_SEEN);
    int64_t inbox = box_named("INBOX").id, archive = box_named("Archive").id;
    struct uidset set = set_of("2:3");
    struct store_copy_result r;
    assert_ok(account_copy(
        account, &(struct store_copy_args){ .from = inbox, .to = archive, .uids = &set }, &r));
    assert_set(&r.source, "2:3");
    assert_set(&r.target, "1:2");
    uidset_done(&r.source);
    uidset_done(&r.target);
    assert_int_equal(box_named("INBOX").messages, 4);
    assert_int_equal(box_named("Archive").messages, 2);
    assert_ok(account_copy(account,
        &(struct store_copy_args){ .from = inbox, .to = archive, .uids = &set, .move = true }, &r));
    assert_set(&r.target, "3:4");
    uidset_done(&r.source);
    uidset_done(&r.target);
    assert_int_equal(box_named("INBOX").messages, 2);
    struct store_rows rows = read_box("Archive", STORE_NEED_EMAIL);
    assert_int_equal(rows.count, 4);
    assert_memory_equal(rows.at[0].guid, rows.at[2].guid, 16);
    assert_ok(account_expunge(
        account, &(struct store_expunge_args){ .mailbox = archive, .uids = &set }, NULL));
    uidset_done(&set);
    rows = read_box("Archive", STORE_NEED_EMAIL);
    assert_body(&rows.at[0], message(10));
    assert_body(&rows.at[1], message(9000));
    assert_ok(account_fsck(account, false, told, NULL));
}

static void names_are_created_renamed_deleted(void **state)
{
    (void)state;
    int64_t id;
    static const struct {
        const char *name;
        enum err wanted;
    } rows[] = {
        { "a/b/c", ERR_OK },
        { "a/b", ERR_EXISTS },
        { "a/b/c", ERR_EXISTS },
        { "inbox/x", ERR_OK },
        { "/a", ERR_SYNTAX },
        { "a/", ERR_SYNTAX },
        { "a//b", ERR_SYNTAX },
        { "", ERR_SYNTAX },
        { "a\nb", ERR_SYNTAX },
        { "\xff", ERR_SYNTAX },
        { "..", ERR_OK },
        { "../x", ERR_OK },
        { "\xd8\xa8\xd8\xb1\xd9\x8a\xd8\xaf", ERR_OK },
        { "InBoX", ERR_EXISTS },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_err(
            rows[i].wanted, mailbox_create(account, slice_of(rows[i].name), STORE_USE_NONE, &id));
    char long_name[MAILBOX_NAME_BYTES_MAX + 1];
    memset(long_name, 'n', sizeof long_name);
    assert_err(ERR_LIMIT,
        mailbox_create(account, slice_from(long_name, sizeof long_name), STORE_USE_NONE, &id));
    assert_ok(
        mailbox_create(account, slice_from(long_name, sizeof long_name - 1), STORE_USE_NONE, &id));
    append("a/b/c", message(5), 0);
    assert_ok(mailbox_rename(account, SLICE("a/b"), SLICE("z/y")));
    assert_int_equal(box_named("z/y/c").messages, 1);
    assert_err(
        ERR_NOT_FOUND, account_mailbox(account, SLICE("a/b/c"), &arena, &(struct mailbox){ 0 }));
    assert_err(ERR_DENIED, mailbox_rename(account, SLICE("z"), SLICE("z/q")));
    assert_err(ERR_EXISTS, mailbox_rename(account, SLICE("z"), SLICE("Sent")));
    assert_err(ERR_DENIED, mailbox_delete(account, SLICE("inbox")));
    append("z/y", message(6), 0);
    uint32_t old = box_named("z/y").uidvalidity;
    assert_ok(mailbox_delete(account, SLICE("z/y")));
    assert_true(box_named("z/y").noselect);
    assert_int_equal(box_named("z/y").messages, 0);
    assert_err(ERR_DENIED, mailbox_delete(account, SLICE("z/y")));
    assert_ok(mailbox_create(account, SLICE("z/y"), STORE_USE_NONE, &id));
    assert_true(box_named("z/y").uidvalidity > old);
    assert_ok(mailbox_delete(account, SLICE("z/y")));
    assert_true(box_named("z/y").noselect);
    assert_ok(mailbox_delete(account, SLICE("z/y/c")));
    assert_ok(mailbox_delete(account, SLICE("z/y")));
    assert_err(
        ERR_NOT_FOUND, account_mailbox(account, SLICE("z/y"), &arena, &(struct mailbox){ 0 }));
    append("INBOX", message(7), 0);
    append("INBOX", message(8), 0);
    assert_ok(mailbox_rename(account, SLICE("INBOX"), SLICE("old")));
    assert_int_equal(box_named("INBOX").messages, 0);
    assert_int_equal(box_named("old").messages, 2);
    assert_int_equal(box_named("INBOX/x").messages, 0);
    assert_ok(mailbox_subscribe(account, SLICE("nowhere"), true));
    struct mailbox *list;
    size_t count;
    bool seen = false;
    assert_ok(account_mailboxes(account, &arena, &list, &count));
    for (size_t i = 0; i < count; i++)
        if (slice_eq(list[i].name, SLICE("nowhere"))) {
            seen = true;
            assert_false(list[i].exists);
        }
    assert_true(seen);
    assert_ok(account_fsck(account, false, told, NULL));
}

/* Names that are subscribed to need not be there, and LIST shows them all. */
static void subscriptions_have_a_limit(void **state)
{
    (void)state;
    static const char fill[] =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<%u)"
        " INSERT INTO subscription SELECT printf('%%.*c%%05d', 900, 'x', i) FROM n";
    char sql[200];
    (void)snprintf(sql, sizeof sql, fill, MAILBOXES_MAX - 7); /* the first six have theirs */
    assert_int_equal(sqlite3_exec(account->sql.db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_ok(mailbox_subscribe(account, SLICE("the last one"), true));
    assert_err(ERR_LIMIT, mailbox_subscribe(account, SLICE("one more"), true));
    assert_ok(mailbox_subscribe(account, SLICE("the last one"), true));
    struct mailbox *list;
    size_t count;
    assert_ok(account_mailboxes(account, &arena, &list, &count));
    assert_int_equal(count, MAILBOXES_MAX);
    assert_ok(mailbox_subscribe(account, SLICE("the last one"), false));
    assert_ok(mailbox_subscribe(account, SLICE("one more"), true));
}

static void quota_and_repeated_delivery(void **state)
{
    (void)state;
    account_quota_set(account, 1000, 3);
    struct blob *blob = blob_of(message(100));
    struct store_append item = { .blob = blob, .guid = (const unsigned char *)"0123456789abcdef" };
    struct store_append_result result;
    int64_t inbox = box_named("INBOX").id;
    assert_ok(account_append(account, inbox, &item, 1, &result));
    assert_err(ERR_EXISTS, account_append(account, inbox, &item, 1, &result));
    assert_ok(account_expunge(account, &(struct store_expunge_args){ .mailbox = inbox }, NULL));
    assert_err(
        ERR_EXISTS, account_append(account, inbox, &item, 1, &result)); /* also when it is gone */
    struct store_append three[4] = { { .blob = blob }, { .blob = blob }, { .blob = blob },
        { .blob = blob } };
    assert_err(ERR_NO_SPACE, account_append(account, inbox, three, 4, &result));
    assert_true(result.over_quota);
    assert_ok(account_append(account, inbox, three, 3, &result));
    assert_int_equal(result.uid_first, 2);
    assert_err(ERR_NO_SPACE, account_append(account, inbox, three, 1, &result));
    blob_unref(blob);
    struct account_usage usage;
    assert_ok(account_usage(account, &usage));
    assert_int_equal(usage.messages, 3);
}

/* A crash between the link and the commit leaves the file; the delivery comes again under the same guid and must not be taken for made. */
static void a_file_that_a_crash_left_holds_no_delivery_up(void **state)
{
    (void)state;
    static const char guid[] = "0123456789abcdef";
    char path[160];
    (void)snprintf(
        path, sizeof path, "%s/accounts/a1/big/30313233343536373839616263646566", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs("left by a crash", file) >= 0);
    assert_int_equal(fclose(file), 0);
    struct blob *blob = blob_of(message(9000));
    struct store_append item = { .blob = blob, .guid = (const unsigned char *)guid };
    struct store_append_result result;
    assert_ok(account_append(account, box_named("INBOX").id, &item, 1, &result));
    assert_err(ERR_EXISTS, account_append(account, box_named("INBOX").id, &item, 1, &result));
    blob_unref(blob);
    struct store_rows rows = read_box("INBOX", STORE_NEED_EMAIL);
    assert_int_equal(rows.count, 1);
    assert_body(&rows.at[0], message(9000));
    assert_ok(account_fsck(account, false, told, NULL));
}

static void a_read_goes_in_pieces(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        append("INBOX", message(1000), 0);
    struct uidset set = set_of("1:3,6,8:20");
    struct store_read_args args = {
        .mailbox = box_named("INBOX").id, .uids = &set, .need = STORE_NEED_BODY, .rows_max = 2
    };
    struct uidset seen;
    uidset_init(&seen);
    int calls = 0;
    do {
        struct store_rows rows;
        assert_ok(account_read(account, &args, &arena, &rows));
        for (size_t i = 0; i < rows.count; i++)
            uidset_add(&seen, rows.at[i].uid);
        args.from_uid = rows.next_uid;
        args.rows_max = 0;
        args.bytes_max = calls++ ? 2500 : 1;
    } while (args.from_uid);
    assert_set(&seen, "1:3,6,8:10");
    assert_true(calls > 3);
    uidset_done(&seen);
    uidset_done(&set);
}

/* ---- threads ---- */

#define WRITERS 8
#define EACH    40

static unsigned told_adds;

static void count_adds(void *watch_arg, const struct store_change *changes, size_t count)
{
    unsigned *adds = watch_arg;
    for (size_t i = 0; i < count; i++)
        if (changes[i].kind == STORE_CHANGE_ADD)
            *adds += (unsigned)uidset_members(&changes[i].uids);
}

static void *write_much(void *mailbox_arg)
{
    int64_t mailbox = *(int64_t *)mailbox_arg;
    struct blob *blob = NULL;
    if (blob_new(store, 1000, &blob) != ERR_OK ||
        blob_write(blob, SLICE("Subject: x\r\n\r\nx\r\n")) != ERR_OK || blob_finish(blob) != ERR_OK)
        abort();
    for (int i = 0; i < EACH; i++) {
        struct store_append item = { .blob = blob };
        struct store_append_result result;
        if (account_append(account, mailbox, &item, 1, &result) != ERR_OK)
            abort();
        struct uidset uid;
        uidset_init(&uid);
        uidset_add(&uid, result.uid_first);
        struct store_flags_result flags;
        if (account_flags(account,
                &(struct store_flags_args){
                    .mailbox = mailbox, .uids = &uid, .flags = { .system = STORE_SEEN } },
                &flags) != ERR_OK ||
            uidset_members(&flags.done) != 1)
            abort();
        uidset_done(&flags.done);
        uidset_done(&flags.modified);
        uidset_done(&uid);
    }
    blob_unref(blob);
    return NULL;
}

static void writers_are_combined(void **state)
{
    (void)state;
    int64_t inbox = box_named("INBOX").id;
    told_adds = 0;
    struct store_watch *watch = account_watch(account, count_adds, &told_adds);
    struct store_stats before = store_stats(store);
    pthread_t threads[WRITERS];
    for (size_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_much, &inbox), 0);
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    account_unwatch(watch);
    struct store_stats after = store_stats(store);
    assert_int_equal(after.requests - before.requests, WRITERS * EACH * 2);
    assert_true(after.commits - before.commits <= after.requests - before.requests);
    assert_int_equal(told_adds, WRITERS * EACH);
    struct mailbox box = box_named("INBOX");
    assert_int_equal(box.messages, WRITERS * EACH);
    assert_int_equal(box.unseen, 0);
    assert_int_equal(box.uidnext, WRITERS * EACH + 1);
    assert_ok(account_fsck(account, false, told, NULL));
}

/* What a session would expunge under that id is not the one message in the mailbox of that name. */
static void assert_out_of_reach(int64_t id, const char *name)
{
    assert_err(ERR_NOT_FOUND,
        account_expunge(account, &(struct store_expunge_args){ .mailbox = id }, NULL));
    assert_int_equal(box_named(name).messages, 1);
}

/* A session holds ids while others delete: what it holds must never come to mean something else. */
static void ids_of_what_is_gone_mean_nothing(void **state)
{
    (void)state;
    append("INBOX", message(10), 0);
    int64_t email = read_box("INBOX", STORE_NEED_EMAIL).at[0].email;
    int64_t inbox = box_named("INBOX").id, id = 0, again = 0;
    assert_ok(account_expunge(account, &(struct store_expunge_args){ .mailbox = inbox }, NULL));
    append("INBOX", message(20), 0);
    struct store_body *body = NULL;
    assert_err(ERR_NOT_FOUND, account_body(account, email, &body));

    assert_ok(mailbox_create(account, SLICE("last"), STORE_USE_NONE, &id));
    assert_ok(mailbox_delete(account, SLICE("last")));
    assert_ok(mailbox_create(account, SLICE("other"), STORE_USE_NONE, &again));
    append("other", message(30), STORE_DELETED);
    assert_out_of_reach(id, "other");

    /* also when a name lived on without messages and comes back */
    assert_ok(mailbox_create(account, SLICE("up/down"), STORE_USE_NONE, NULL));
    id = box_named("up").id;
    assert_ok(mailbox_delete(account, SLICE("up")));
    assert_ok(mailbox_create(account, SLICE("up"), STORE_USE_NONE, &again));
    append("up", message(40), STORE_DELETED);
    assert_out_of_reach(id, "up");
    assert_true(box_named("up").has_children);
    assert_ok(account_fsck(account, false, told, NULL));

    /* mail on its way out */
    struct blob *blob = blob_of(message(50));
    const struct slice to[] = { SLICE("a@x.test"), SLICE("b@x.test") };
    const struct store_submit submit = {
        .blob = blob, .sender = SLICE("me@x.test"), .recipients = to, .recipient_count = 2
    };
    bool over_quota;
    struct store_outgoing *rows;
    size_t count;
    assert_ok(account_submit(account, &submit, &over_quota));
    assert_ok(account_outgoing(account, INT64_MAX, 10, &arena, &rows, &count));
    assert_int_equal(count, 2);
    int64_t ids[] = { rows[0].id, rows[1].id };
    assert_ok(account_outgoing_done(account, ids, 2, NULL));
    assert_ok(account_submit(account, &submit, &over_quota));
    assert_ok(account_outgoing(account, INT64_MAX, 10, &arena, &rows, &count));
    assert_int_equal(count, 2);
    assert_true(rows[0].id > ids[0] && rows[0].id > ids[1] && rows[1].id > ids[1]);
    ids[0] = rows[0].id;
    ids[1] = rows[1].id;
    assert_ok(account_outgoing_done(account, ids, 2, NULL));
    blob_unref(blob);
    assert_ok(account_fsck(account, false, told, NULL));
}

static void idle_accounts_are_closed(void **state)
{
    (void)state;
    close_all();
    struct err_note note;
    assert_ok(store_open(
        &(struct store_options){ .root = folder, .accounts_open_max = 2 }, &store, &note));
    assert_ok(store_account(store, SLICE("a1"), true, &account));
    append("INBOX", message(1), 0);
    for (int i = 0; i < 6; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "b%d", i % 4);
        struct account *other;
        assert_ok(store_account(store, slice_of(id), true, &other));
        account_unref(other);
        assert_true(store_stats(store).accounts_open <= 2);
    }
    for (int i = 0; i < 4; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "b%d", i);
        assert_ok(store_account_remove(store, slice_of(id)));
    }
    assert_err(ERR_BUSY, store_account_remove(store, SLICE("a1")));
    assert_int_equal(box_named("INBOX").messages, 1);
}

TEST_MAIN(IN_ACCOUNT(a_new_account_has_its_mailboxes), IN_ACCOUNT(bytes_come_back),
    IN_ACCOUNT(expunged_is_gone_and_uids_are_not_used_again),
    IN_ACCOUNT(flags_change_what_they_say), IN_ACCOUNT(copy_and_move),
    IN_ACCOUNT(names_are_created_renamed_deleted), IN_ACCOUNT(subscriptions_have_a_limit),
    IN_ACCOUNT(quota_and_repeated_delivery),
    IN_ACCOUNT(a_file_that_a_crash_left_holds_no_delivery_up), IN_ACCOUNT(a_read_goes_in_pieces),
    IN_ACCOUNT(ids_of_what_is_gone_mean_nothing), IN_ACCOUNT(writers_are_combined),
    IN_ACCOUNT(idle_accounts_are_closed))
