/* What tests of a store share: a folder of its own for each test, one account "a1" in it, and short ways to fill and read it. */
#ifndef STORE_ACCOUNT_FIXTURE_TEST_H
#define STORE_ACCOUNT_FIXTURE_TEST_H

#include "base/limits.h"
#include "base/test.h"
#include "store/store.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];
static struct store *store;
static struct account *account;
static struct arena arena;

static inline void open_all_but_account(void)
{
    struct err_note note = { "" };
    struct store_options options = {
        .root = folder, .body_row_bytes_max = 4096, .checkpoint_pages = 20
    };
    if (store_open(&options, &store, &note) != ERR_OK)
        fail_msg("%s", note.text);
}

static inline void open_all(void)
{
    open_all_but_account();
    assert_ok(store_account(store, SLICE("a1"), true, &account));
}

static inline void close_all(void)
{
    account_unref(account);
    store_close(store);
    store = NULL;
    account = NULL;
}

static inline void reopen(void)
{
    close_all();
    open_all();
}

static inline int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/barid-account-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    open_all();
    return 0;
}

static inline int tear_down(void **state)
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

static inline struct mailbox box_named(const char *name)
{
    struct mailbox box = { 0 };
    assert_ok(account_mailbox(account, slice_of(name), &arena, &box));
    return box;
}

static inline struct blob *blob_of(struct slice bytes)
{
    struct blob *blob;
    assert_ok(blob_new(store, MESSAGE_BYTES_MAX, &blob));
    assert_ok(blob_write(blob, bytes));
    assert_ok(blob_finish(blob));
    return blob;
}

static inline uint32_t append_at(
    const char *mailbox, struct slice bytes, unsigned flags, int64_t received_s)
{
    struct blob *blob = blob_of(bytes);
    struct store_append item = {
        .blob = blob, .flags = { .system = flags }, .received_s = received_s
    };
    struct store_append_result result;
    assert_ok(account_append(account, box_named(mailbox).id, &item, 1, &result));
    blob_unref(blob);
    return result.uid_first;
}

static inline uint32_t append(const char *mailbox, struct slice bytes, unsigned flags)
{
    return append_at(mailbox, bytes, flags, 1764000000);
}

static inline struct slice message(size_t body_bytes)
{
    char *room = arena_alloc(&arena, body_bytes + 128);
    int len =
        snprintf(room, 128, "Subject: %zu\r\nMessage-ID: <%zu@x>\r\n\r\n", body_bytes, body_bytes);
    memset(room + len, 'x', body_bytes);
    return slice_from(room, (size_t)len + body_bytes);
}

static inline struct store_rows read_box(const char *mailbox, unsigned need)
{
    struct store_rows rows;
    assert_ok(account_read(account,
        &(struct store_read_args){ .mailbox = box_named(mailbox).id, .need = need }, &arena,
        &rows));
    return rows;
}

static inline struct uidset set_of(const char *text)
{
    struct uidset set;
    uidset_init(&set);
    assert_ok(uidset_read(&set, slice_of(text), 100));
    return set;
}

static inline void assert_set(const struct uidset *set, const char *text)
{
    struct buf out;
    buf_init(&out, 0);
    uidset_write(set, &out);
    assert_slice("set", buf_slice(&out), slice_of(text));
    buf_done(&out);
}

static inline void assert_body(const struct store_row *row, struct slice bytes)
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

static inline void told(void *arg, const char *text, bool repaired)
{
    (void)arg;
    fail_msg("finding: %s (%s)", text, repaired ? "repaired" : "not repaired");
}

static inline struct store_flags_result set_flags(const char *uids, enum store_flags_how how,
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

static inline void result_done(struct store_flags_result *result)
{
    uidset_done(&result->done);
    uidset_done(&result->modified);
    uidset_done(&result->news);
}

/* What may be downloaded is what is there, however it came about. */
static inline void assert_downloads(const char *mailbox)
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

#define IN_ACCOUNT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
