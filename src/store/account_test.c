/* One account: what goes in comes back, counts hold, views follow, nothing is reused. */
#include "store/store.h"

#include "base/limits.h"
#include "base/test.h"
#include "message/text.h"
#include "store/vfs.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static struct store *store;
static struct account *account;
static struct arena arena;

static void open_all_but_account(void)
{
    struct err_note note = { "" };
    struct store_options options = {
        .root = folder, .body_row_bytes_max = 4096, .checkpoint_pages = 20
    };
    if (store_open(&options, &store, &note) != ERR_OK)
        fail_msg("%s", note.text);
}

static void open_all(void)
{
    open_all_but_account();
    assert_ok(store_account(store, SLICE("a1"), true, &account));
}

static void close_all(void)
{
    account_unref(account);
    store_close(store);
    store = NULL;
    account = NULL;
}

static void reopen(void)
{
    close_all();
    open_all();
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/barid-account-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    open_all();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    account_unref(account);
    account = NULL;
    int failed = store_account_remove(store, SLICE("a1")) != ERR_OK;
    store_close(store);
    arena_done(&arena);
    static const char *const names[] = { "accounts", "removed", "incoming" };
    for (size_t i = 0; i < 3; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        failed |= rmdir(path);
    }
    return failed | rmdir(folder);
}

static struct mailbox box_named(const char *name)
{
    struct mailbox box = { 0 };
    assert_ok(account_mailbox(account, slice_of(name), &arena, &box));
    return box;
}

static struct blob *blob_of(struct slice bytes)
{
    struct blob *blob;
    assert_ok(blob_new(store, MESSAGE_BYTES_MAX, &blob));
    assert_ok(blob_write(blob, bytes));
    assert_ok(blob_finish(blob));
    return blob;
}

static uint32_t append(const char *mailbox, struct slice bytes, unsigned flags)
{
    struct blob *blob = blob_of(bytes);
    struct store_append item = {
        .blob = blob, .flags = { .system = flags }, .received_s = 1764000000
    };
    struct store_append_result result;
    assert_ok(account_append(account, box_named(mailbox).id, &item, 1, &result));
    blob_unref(blob);
    return result.uid_first;
}

static struct slice message(size_t body_bytes)
{
    char *room = arena_alloc(&arena, body_bytes + 128);
    int len =
        snprintf(room, 128, "Subject: %zu\r\nMessage-ID: <%zu@x>\r\n\r\n", body_bytes, body_bytes);
    memset(room + len, 'x', body_bytes);
    return slice_from(room, (size_t)len + body_bytes);
}

static struct store_rows read_box(const char *mailbox, unsigned need)
{
    struct store_rows rows;
    assert_ok(account_read(account,
        &(struct store_read_args){ .mailbox = box_named(mailbox).id, .need = need }, &arena,
        &rows));
    return rows;
}

static struct uidset set_of(const char *text)
{
    struct uidset set;
    uidset_init(&set);
    assert_ok(uidset_read(&set, slice_of(text), 100));
    return set;
}

static void assert_set(const struct uidset *set, const char *text)
{
    struct buf out;
    buf_init(&out, 0);
    uidset_write(set, &out);
    assert_slice("set", buf_slice(&out), slice_of(text));
    buf_done(&out);
}

static void assert_body(const struct store_row *row, struct slice bytes)
{
    struct store_body *body;
    assert_ok(account_body(account, row->email, &body));
    struct msg_source source = store_body_source(body);
    struct buf out;
    buf_init(&out, 0);
    assert_ok(msg_source_read(&source, 0, source.size, &out));
    assert_int_equal(row->size, bytes.len);
    assert_slice("body", buf_slice(&out), bytes);
    buf_done(&out);
    store_body_close(body);
}

static void told(void *arg, const char *text, bool repaired)
{
    (void)arg;
    fail_msg("finding: %s (%s)", text, repaired ? "repaired" : "not repaired");
}

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

static struct store_flags_result set_flags(const char *uids, enum store_flags_how how,
    unsigned system, const char *keyword, uint64_t unchangedsince)
{
    struct uidset set = set_of(uids);
    struct slice name = slice_of(keyword);
    struct store_flags_result result;
    assert_ok(account_flags(account,
        &(struct store_flags_args){ .mailbox = box_named("INBOX").id,
            .uids = &set,
            .how = how,
            .flags = { .system = system, .keywords = &name, .keyword_count = keyword ? 1 : 0 },
            .has_unchangedsince = unchangedsince > 0,
            .unchangedsince = unchangedsince },
        &result));
    uidset_done(&set);
    return result;
}

static void result_done(struct store_flags_result *result)
{
    uidset_done(&result->done);
    uidset_done(&result->modified);
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

/* What may be downloaded is what is there, however it came about. */
static void assert_downloads(const char *mailbox)
{
    int64_t id = box_named(mailbox).id;
    struct store_download_view view = { .mailboxes = &id, .mailbox_count = 1 };
    struct store_download *list;
    size_t count;
    bool damaged;
    assert_ok(account_downloads(account, &view, &list, &count, &damaged));
    struct store_rows rows = read_box(mailbox, STORE_NEED_EMAIL);
    assert_false(damaged);
    assert_int_equal(count, rows.count);
    for (size_t i = 0; i < count; i++) {
        const struct store_entry *entry = &list[i].entry;
        assert_int_equal(list[i].mailbox, id);
        assert_int_equal(entry->uid, rows.at[i].uid);
        assert_int_equal(entry->email, rows.at[i].email);
        assert_int_equal(entry->size, rows.at[i].size);
        assert_int_equal(entry->received_s, rows.at[i].received_s);
        assert_memory_equal(entry->guid, rows.at[i].guid, sizeof entry->guid);
    }
    free(list);
}

static void downloads_follow(void **state)
{
    (void)state;
    unsigned random = 7;
    for (int i = 0; i < 300; i++) {
        random = random * 1103515245 + 12345;
        unsigned what = random >> 16 & 7;
        struct uidset uids;
        uidset_init(&uids);
        struct mailbox inbox = box_named("INBOX");
        for (uint32_t uid = 1; uid < inbox.uidnext; uid++) {
            random = random * 1103515245 + 12345;
            if ((random >> 16) % 5 == 0)
                uidset_add(&uids, uid);
        }
        if (what < 4)
            append("INBOX", message(random >> 16 & 63), 0);
        else if (what == 4 && inbox.messages > 6)
            assert_ok(account_expunge(account,
                &(struct store_expunge_args){ .mailbox = inbox.id, .uids = &uids }, NULL));
        else if (what == 5) { /* one goes and one comes between two looks: as many as before */
            assert_ok(account_expunge(account,
                &(struct store_expunge_args){ .mailbox = inbox.id, .uids = &uids }, NULL));
            for (uint64_t left = box_named("INBOX").messages; left < inbox.messages; left++)
                append("INBOX", message(9), 0);
        }
        uidset_done(&uids);
        if (what == 6) {
            reopen();
        } else if (what == 7 && i % 4 == 0) {
            assert_ok(mailbox_rename(account, SLICE("INBOX"), slice_of("moved")));
            assert_downloads("moved");
            assert_ok(mailbox_delete(account, SLICE("moved")));
        }
        if (random >> 28 & 1)
            assert_downloads("INBOX");
    }
    assert_downloads("INBOX");
}

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

/* Size and time of change of one of the account's files; size -1: it is not there. */
struct file_state {
    int64_t size, changed_s, changed_ns;
};

static struct file_state file_state(const char *name)
{
    char path[128];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/accounts/a1/%s", folder, name);
    if (stat(path, &st) != 0)
        return (struct file_state){ -1, 0, 0 };
    return (struct file_state){ st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec };
}

/* A full disk must not keep anybody from reading. */
static void opening_and_reading_write_nothing(void **state)
{
    (void)state;
    append("INBOX", message(1), 0);
    append("INBOX", message(9000), 0);
    static const char *const names[] = { "mail.db", "mail.db-wal" };
    close_all();
    struct file_state before[2] = { file_state(names[0]), file_state(names[1]) };
    open_all();
    assert_int_equal(read_box("INBOX", STORE_NEED_EMAIL | STORE_NEED_SUMMARY).count, 2);
    for (size_t i = 0; i < 2; i++) {
        struct file_state now = file_state(names[i]);
        assert_memory_equal(&now, &before[i], sizeof now);
    }
    assert_int_equal(file_state("mail.db-shm").size, -1);
}

static int findings;

static void count_finding(void *arg, const char *text, bool repaired)
{
    (void)arg;
    (void)text;
    (void)repaired;
    findings++;
}

/* How many findings; the account is not open. */
static int findings_of(bool repair)
{
    struct err_note note = { "" };
    struct store_options options = { .root = folder };
    assert_ok(store_open(&options, &store, &note));
    findings = 0;
    assert_ok(store_fsck(store, SLICE("a1"), repair, count_finding, NULL));
    store_close(store);
    store = NULL;
    return findings;
}

static char *database_path(void)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/accounts/a1/mail.db", folder);
    return path;
}

/* Another program that writes into the file puts no checksums into its pages: that counts as damage until somebody says it is meant. */
static void what_another_program_wrote_is_taken_by_repair(void **state)
{
    (void)state;
    append("INBOX", message(1), 0);
    struct mailbox before = box_named("INBOX");
    close_all();
    sqlite3 *db;
    assert_int_equal(sqlite3_open(database_path(), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_true(findings_of(false) > 0);
    assert_true(findings_of(true) > 0);
    assert_int_equal(findings_of(false), 0);
    open_all();
    assert_true(box_named("INBOX").uidvalidity >
                before.uidvalidity); /* numbers may have been damaged too */
    assert_true(box_named("INBOX").modseq_max > before.modseq_max);
    append("INBOX", message(1), 0);
    assert_true(file_state("mail.db-wal").size > 0);
    assert_int_equal(box_named("INBOX").messages, 2);
}

static void change_byte(int fd, off_t at)
{
    unsigned char byte;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

/* Into the log alone, whose pages the program's own checkpoint takes over. */
static void alter(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(database_path(), &db), SQLITE_OK);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void rows_that_cannot_be_are_mended(void **state)
{
    (void)state;
    static const char *const damages[] = {
        "UPDATE mailbox SET uidnext=4294967298 WHERE name='INBOX'",
        "UPDATE mailbox SET uidvalidity=4294967303 WHERE name='INBOX'",
        "UPDATE account SET uidvalidity=99999999999",
        "UPDATE account SET modseq=4000000000000000000",
        "UPDATE mailbox SET modseq=-4",
        "UPDATE entry SET uid=4294967297 WHERE email=(SELECT min(id) FROM email)",
        "UPDATE entry SET uid=-5 WHERE email=(SELECT min(id) FROM email)",
        "UPDATE entry SET mailbox=99 WHERE email=(SELECT min(id) FROM email); UPDATE mailbox SET "
        "name='Recovered 99' WHERE "
        "name='Junk'",
        "DELETE FROM keyword WHERE number=0",
        "DELETE FROM mailbox WHERE name='INBOX'",
        "DELETE FROM email WHERE id=(SELECT min(id) FROM email)",
        "DELETE FROM entry WHERE email=(SELECT min(id) FROM email)",
        "UPDATE entry SET flags=flags|0x4000000000000000|0x20",
    };
    static const struct slice keywords[] = { SLICE_CONST("one"), SLICE_CONST("two") };
    for (int i = 0; i < 3; i++)
        append("INBOX", message(3000), 0);
    struct uidset uids = set_of("1:3");
    struct store_flags_result set;
    assert_ok(account_flags(account,
        &(struct store_flags_args){ .mailbox = box_named("INBOX").id,
            .uids = &uids,
            .how = STORE_FLAGS_ADD,
            .flags = { .keywords = keywords, .keyword_count = 2 } },
        &set));
    uidset_done(&uids);
    uidset_done(&set.done);
    uidset_done(&set.modified);
    close_all();
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        alter(damages[i]);
        if (findings_of(false) == 0)
            fail_msg("not found: %s", damages[i]);
        assert_true(findings_of(true) > 0);
        if (findings_of(false) != 0)
            fail_msg("not mended: %s", damages[i]);
        open_all();
        struct account_usage usage;
        assert_ok(account_usage(account, &usage));
        if (usage.messages != 3)
            fail_msg("%llu messages after: %s", (unsigned long long)usage.messages, damages[i]);
        uint32_t uid = append("INBOX", message(100), 0);
        struct uidset one;
        uidset_init(&one);
        uidset_add(&one, uid);
        assert_ok(account_expunge(account,
            &(struct store_expunge_args){ .mailbox = box_named("INBOX").id, .uids = &one }, NULL));
        uidset_done(&one);
        close_all();
    }
    open_all();
}

/* As an older Barid left it: through the VFS, so that all of it is in the file. */
static void make_older(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(
        sqlite3_open_v2(database_path(), &db, SQLITE_OPEN_READWRITE, store_vfs()), SQLITE_OK);
    store_vfs_owner(db, SLICE("a1"));
    assert_int_equal(
        sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void keep_filter(int64_t email, struct slice bytes)
{
    struct store_derived filter = {
        .kind = STORE_DERIVED_FILTER, .email = email, .bytes = bytes
    };
    assert_ok(account_keep_derived(account, &filter, 1));
}

static void older_files_are_read_and_upgraded(void **state)
{
    (void)state;
    append("INBOX", message(100), 0);
    close_all();
    make_older("DROP TABLE text_filter; DROP TABLE download; ALTER TABLE account DROP COLUMN warned;"
               "DROP INDEX summary_utf8; PRAGMA user_version=2");

    struct account *snapshot;
    char parent[80];
    (void)snprintf(parent, sizeof parent, "%s/accounts", folder);
    int parent_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_ok(store_snapshot(parent_fd, "a1", SLICE("a1"), &snapshot));
    struct mailbox inbox;
    assert_ok(account_mailbox(snapshot, SLICE("INBOX"), &arena, &inbox));
    struct store_rows rows;
    assert_ok(account_read(snapshot,
        &(struct store_read_args){ .mailbox = inbox.id, .need = STORE_NEED_FILTER }, &arena,
        &rows));
    assert_int_equal(rows.count, 1);
    assert_true(rows.at[0].summary.len > 0);
    assert_int_equal(rows.at[0].filter.len, 0);
    struct store_download_view view = { .mailboxes = &inbox.id, .mailbox_count = 1 };
    struct store_download *list;
    size_t count;
    bool damaged;
    assert_ok(account_downloads(snapshot, &view, &list, &count, &damaged));
    assert_int_equal(count, 1);
    free(list);
    store_snapshot_close(snapshot);
    close(parent_fd);

    for (int i = 0; i < 2; i++) { /* the second time there is nothing to do */
        open_all();
        rows = read_box("INBOX", STORE_NEED_FILTER);
        keep_filter(rows.at[0].email, SLICE("\x63 of another version"));
        assert_true(read_box("INBOX", STORE_NEED_FILTER).at[0].filter.len > 0);
        close_all();
        assert_int_equal(findings_of(false), 0);
    }
    make_older("DROP TABLE download; ALTER TABLE account DROP COLUMN warned;"
               "DROP INDEX summary_utf8; PRAGMA user_version=3");
    open_all();
    assert_downloads("INBOX");
    close_all();
    static const char *const unknown[] = { "PRAGMA user_version=1", "PRAGMA user_version=99" };
    for (int i = 0; i < 2; i++) {
        make_older(unknown[i]);
        open_all_but_account();
        assert_err(ERR_CORRUPT, store_account(store, SLICE("a1"), true, &account));
        store_close(store);
    }
    make_older("PRAGMA user_version=6");
    open_all();
    assert_int_equal(read_box("INBOX", STORE_NEED_BODY).count, 1);
}

/* A page of summaries that is damaged harms its own rows, and neither the upgrade nor what is read beside it. */
static void a_damaged_summary_keeps_nobody_out(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++)
        append("INBOX", message(10), 0);
    close_all();
    make_older("DROP INDEX summary_utf8; PRAGMA user_version=5");
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open_v2(database_path(), &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db,
                         "SELECT min(pageno) FROM dbstat WHERE name='summary' AND pagetype='leaf'", -1,
                         &statement, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t page = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    assert_true(page > 1);
    int fd = open(database_path(), O_RDWR | O_CLOEXEC);
    change_byte(fd, (page - 1) * 8192 + 4000);
    close(fd);
    open_all();
    int64_t id = box_named("INBOX").id;
    struct store_download_view view = { .mailboxes = &id, .mailbox_count = 1 };
    struct store_download *list;
    size_t count;
    bool damaged;
    assert_ok(account_downloads(account, &view, &list, &count, &damaged));
    assert_int_equal(count, 40);
    free(list);
    append("INBOX", message(10), 0);
    close_all();
    assert_true(findings_of(true) > 0);
    open_all();
}

static void a_filter_lives_and_dies_with_its_message(void **state)
{
    (void)state;
    append("INBOX", message(100), 0);
    uint32_t big = append("INBOX", message(20000), 0);
    struct store_rows rows = read_box("INBOX", STORE_NEED_FILTER | STORE_NEED_SUMMARY);
    for (size_t i = 0; i < rows.count; i++) {
        struct msg_summary summary;
        struct store_body *body;
        struct buf filter;
        bool found;
        buf_init(&filter, 0);
        assert_ok(msg_summary_open(rows.at[i].summary, &summary));
        assert_ok(account_body(account, rows.at[i].email, &body));
        struct msg_source source = store_body_source(body);
        assert_ok(msg_text_contains(&summary, &source, SLICE_EMPTY, true, &filter, &found));
        keep_filter(rows.at[i].email, buf_slice(&filter));
        assert_true(slice_eq(
            read_box("INBOX", STORE_NEED_FILTER).at[i].filter, buf_slice(&filter)));
        store_body_close(body);
        buf_done(&filter);
    }
    keep_filter(4711, SLICE("of a message that has gone meanwhile"));
    close_all();
    assert_int_equal(findings_of(false), 0);

    open_all();
    struct buf wrong;
    buf_init(&wrong, 0);
    buf_add(&wrong, read_box("INBOX", STORE_NEED_FILTER).at[1].filter);
    wrong.mem[20] = (char)~wrong.mem[20];
    keep_filter(rows.at[1].email, buf_slice(&wrong));
    buf_done(&wrong);
    close_all();
    assert_int_equal(findings_of(false), 1);
    assert_int_equal(findings_of(true), 1);
    assert_int_equal(findings_of(false), 0);

    open_all();
    rows = read_box("INBOX", STORE_NEED_FILTER);
    assert_true(rows.at[0].filter.len > 0);
    assert_int_equal(rows.at[1].filter.len, 0);
    keep_filter(rows.at[1].email, SLICE("\x63"));
    struct uidset uids;
    uidset_init(&uids);
    uidset_add(&uids, big);
    assert_ok(account_expunge(account,
        &(struct store_expunge_args){ .mailbox = box_named("INBOX").id, .uids = &uids }, NULL));
    uidset_done(&uids);
    close_all();
    assert_int_equal(findings_of(false), 0); /* no filter without its message */
    open_all();
}

/* Nothing of it is served, neither before nor after somebody has looked. */
static void the_file_of_another_account_stays_shut(void **state)
{
    (void)state;
    struct account *other;
    char command[400];
    append("INBOX", message(3000), 0);
    assert_ok(store_account(store, SLICE("b1"), true, &other));
    struct account *first = account;
    account = other;
    append("INBOX", message(3000), 0);
    append("INBOX", message(4000), 0);
    account = first;
    account_unref(other);
    reopen();
    int from, to;
    (void)snprintf(command, sizeof command, "%s/accounts/b1/mail.db", folder);
    from = open(command, O_RDONLY | O_CLOEXEC);
    to = open(database_path(), O_WRONLY | O_TRUNC | O_CLOEXEC);
    while (copy_file_range(from, NULL, to, NULL, 1 << 20, 0) > 0)
        ;
    close(from);
    close(to);
    findings = 0;
    assert_ok(account_fsck(account, false, count_finding, NULL));
    assert_true(findings > 0);
    assert_ok(account_fsck(account, true, count_finding, NULL));
    struct store_rows rows = { 0 };
    enum err e = account_read(
        account, &(struct store_read_args){ .mailbox = 1, .need = STORE_NEED_BODY }, &arena, &rows);
    for (size_t i = 0; e == ERR_OK && i < rows.count; i++)
        assert_true(rows.at[i].body.ptr == NULL);
    close_all();
    assert_true(findings_of(true) > 0);
    assert_true(findings_of(false) > 0);
    open_all_but_account();
    assert_err(ERR_CORRUPT, store_account(store, SLICE("a1"), false, &account));
    account = NULL;
    assert_ok(store_account_remove(store, SLICE("b1")));
}

static void one_bit_in_any_page_is_found(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++)
        append("INBOX", message(3000), 0);
    close_all();
    assert_int_equal(findings_of(false), 0);
    int fd = open(database_path(), O_RDWR | O_CLOEXEC);
    off_t size = lseek(fd, 0, SEEK_END);
    assert_true(size > 8 * 8192);
    for (off_t at = 0; at < size; at += 8192) {
        off_t byte = at + at * 7 / 3 % 8192;
        change_byte(fd, byte);
        assert_true(findings_of(false) > 0);
        change_byte(fd, byte);
        assert_int_equal(findings_of(false), 0);
    }
    unsigned char pages[2][8192]; /* two pages whole in themselves, in each other's place */
    assert_int_equal(pread(fd, pages, sizeof pages, size - 2 * 8192), (ssize_t)sizeof pages);
    assert_int_equal(pwrite(fd, pages[1], 8192, size - 2 * 8192), 8192);
    assert_int_equal(pwrite(fd, pages[0], 8192, size - 8192), 8192);
    assert_true(findings_of(false) >= 2);
    assert_int_equal(pwrite(fd, pages, sizeof pages, size - 2 * 8192), (ssize_t)sizeof pages);
    close(fd);
    open_all();
    assert_int_equal(read_box("INBOX", STORE_NEED_BODY).count, 6);
}

#define IN_ACCOUNT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
TEST_MAIN(IN_ACCOUNT(a_new_account_has_its_mailboxes), IN_ACCOUNT(bytes_come_back),
    IN_ACCOUNT(expunged_is_gone_and_uids_are_not_used_again),
    IN_ACCOUNT(flags_change_what_they_say), IN_ACCOUNT(copy_and_move),
    IN_ACCOUNT(names_are_created_renamed_deleted), IN_ACCOUNT(a_view_follows),
    IN_ACCOUNT(recent_messages_are_counted),
    IN_ACCOUNT(the_first_unseen_is_known), IN_ACCOUNT(quota_and_repeated_delivery),
    IN_ACCOUNT(a_file_that_a_crash_left_holds_no_delivery_up), IN_ACCOUNT(a_read_goes_in_pieces),
    IN_ACCOUNT(downloads_follow),
    IN_ACCOUNT(ids_of_what_is_gone_mean_nothing), IN_ACCOUNT(opening_and_reading_write_nothing),
    IN_ACCOUNT(what_another_program_wrote_is_taken_by_repair),
    IN_ACCOUNT(rows_that_cannot_be_are_mended), IN_ACCOUNT(the_file_of_another_account_stays_shut),
    IN_ACCOUNT(older_files_are_read_and_upgraded),
    IN_ACCOUNT(a_damaged_summary_keeps_nobody_out),
    IN_ACCOUNT(a_filter_lives_and_dies_with_its_message),
    IN_ACCOUNT(one_bit_in_any_page_is_found), IN_ACCOUNT(writers_are_combined),
    IN_ACCOUNT(idle_accounts_are_closed))
