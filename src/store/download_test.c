/* Downloads: what a device is shown, and what becomes of what it took. */
#include "store/account_fixture_test.h"

#include "base/clock.h"
#include "message/summary.h"
#include "store/store_int.h"

/* Every change leaves the account whole. */
static int prove_and_tear_down(void **state)
{
    int failed = account_fsck(account, false, told, NULL) != ERR_OK;
    return failed | tear_down(state);
}

static void file_text(const char *mailbox, const char *text)
{
    append_at(mailbox, slice_of(text), 0, 0);
}

/* Files a message that is named by one letter. */
static void file(const char *mailbox, char name, unsigned flags, int64_t received_s)
{
    char text[64];
    (void)snprintf(text, sizeof text, "Subject: %c\r\n\r\nbody\r\n", name);
    append_at(mailbox, slice_of(text), flags, received_s);
}

static char name_of(int64_t email)
{
    struct store_body *body;
    assert_ok(account_body(account, email, &body));
    char name = store_body_source(body).whole.ptr[9];
    store_body_close(body);
    return name;
}

/* The letters of a mailbox's messages; upper case for those that are read. */
static void assert_box(const char *mailbox, const char *wanted)
{
    char names[32] = "";
    struct store_rows rows;
    assert_ok(account_read(account,
        &(struct store_read_args){ .mailbox = box_named(mailbox).id, .need = STORE_NEED_EMAIL },
        &arena, &rows));
    assert_true(rows.count < sizeof names);
    for (size_t i = 0; i < rows.count; i++) {
        names[i] = name_of(rows.at[i].email);
        if (rows.at[i].flags & STORE_SEEN)
            names[i] = (char)(names[i] - 'a' + 'A');
    }
    assert_string_equal(names, wanted);
}

static int64_t view_boxes[3];

static struct store_download_view view_of(int64_t device, const char *first, const char *second)
{
    view_boxes[0] = box_named(first).id;
    if (second)
        view_boxes[1] = box_named(second).id;
    return (struct store_download_view){
        .device = device, .mailboxes = view_boxes, .mailbox_count = second ? 2 : 1
    };
}

static void assert_view(const struct store_download_view *view, const char *wanted)
{
    struct store_download *list;
    size_t count;
    bool damaged;
    char names[32] = "";
    assert_ok(account_downloads(account, view, &list, &count, &damaged));
    assert_false(damaged);
    assert_true(count < sizeof names);
    for (size_t i = 0; i < count; i++)
        names[i] = name_of(list[i].entry.email);
    free(list);
    assert_string_equal(names, wanted);
}

static void assert_shown(int64_t device, const char *wanted)
{
    struct store_download_view view = view_of(device, "INBOX", NULL);
    assert_view(&view, wanted);
}

static bool seen_when_taken;

/* Ends a session that was shown the view: letters of what was taken, removed, and may go. */
static size_t end(const struct store_download_view *view, struct store_download_end args,
    const char *taken, const char *removed, const char *may_go)
{
    struct store_download *list;
    size_t count, gone;
    bool damaged;
    assert_ok(account_downloads(account, view, &list, &count, &damaged));
    struct store_downloaded *at = calloc(count + 1, sizeof *at);
    assert_non_null(at);
    for (size_t i = 0; i < count; i++) {
        char name = name_of(list[i].entry.email);
        at[i] = (struct store_downloaded){ .mailbox = list[i].mailbox,
            .uid = list[i].entry.uid,
            .email = list[i].entry.email,
            .taken = strchr(taken, name) != NULL,
            .seen = seen_when_taken && strchr(taken, name) != NULL,
            .removed = strchr(removed, name) != NULL,
            .may_go = strchr(may_go, name) != NULL };
    }
    args.device = view->device;
    args.at = at;
    args.count = count;
    assert_ok(account_download_end(account, &args, &gone));
    free(at);
    free(list);
    return gone;
}

static void what_is_shown(void **state)
{
    (void)state;
    assert_shown(0, "");
    for (char name = 'a'; name <= 'e'; name++)
        file("INBOX", name, 0, 1000 * (name - 'a' + 1));
    file("Archive", 'f', 0, 500);
    struct store_download_view view = view_of(0, "INBOX", NULL);
    assert_view(&view, "abcde");
    view.newest = 2;
    assert_view(&view, "de");
    view.newest = 9;
    view.received_from_s = 3000;
    assert_view(&view, "cde");
    view.filed_from_ms = clock_wall_ms() + 1000;
    assert_view(&view, "");
    view.filed_from_ms = 1;
    assert_view(&view, "cde");

    view = view_of(0, "Archive", "INBOX"); /* in the order they came, whatever the mailbox */
    assert_view(&view, "abcdef");
    view.mailboxes = (int64_t[]){ 4711, view_boxes[0] };
    assert_view(&view, "f");

    struct uidset uids; /* a copy is the same message */
    struct store_copy_result copied;
    uidset_init(&uids);
    uidset_add_run(&uids, 1, 2);
    assert_ok(account_copy(account,
        &(struct store_copy_args){
            .from = box_named("INBOX").id, .to = box_named("Archive").id, .uids = &uids },
        &copied));
    uidset_done(&uids);
    uidset_done(&copied.source);
    uidset_done(&copied.target);
    view = view_of(0, "INBOX", "Archive");
    assert_view(&view, "abcdef");
}

/* What a device has taken or removed does not bring older mail into its list. */
static void the_newest_are_the_newest(void **state)
{
    (void)state;
    for (char name = 'a'; name <= 'f'; name++)
        file("INBOX", name, 0, 1000);
    struct store_download_view view = view_of(3, "INBOX", NULL);
    struct store_download_end args = { .removal = STORE_REMOVE_HIDE, .hide_from = 3 };
    view.newest = 3;
    view.without_taken = true;
    assert_view(&view, "def");
    (void)end(&view, args, "de", "", "");
    assert_view(&view, "f");
    (void)end(&view, args, "", "f", "");
    assert_view(&view, "");
    file("INBOX", 'g', 0, 1000);
    assert_view(&view, "g");
    view.device = 4;
    assert_view(&view, "efg");
}

static void what_was_removed_is_not_shown_again(void **state)
{
    (void)state;
    static const struct {
        enum store_download_removal removal;
        const char *inbox, *trash;
    } rows[] = { { STORE_REMOVE_HIDE, "abcd", "" }, { STORE_REMOVE_EXPUNGE, "acd", "" },
        { STORE_REMOVE_MOVE, "acd", "b" } };
    for (size_t i = 0; i < 3; i++) {
        for (char name = 'a'; name <= 'd'; name++)
            file("INBOX", name, 0, 1000);
        struct store_download_view view = view_of(5, "INBOX", NULL);
        struct store_download_end args = {
            .removal = rows[i].removal, .to = box_named("Trash").id, .hide_from = 5
        };
        assert_int_equal(end(&view, args, "a", "b", ""), 1);
        assert_box("INBOX", rows[i].inbox);
        assert_box("Trash", rows[i].trash);
        assert_shown(5, "acd");
        assert_shown(6, rows[i].removal == STORE_REMOVE_HIDE ? "abcd" : "acd");
        close_all();
        open_all();
        assert_shown(5, "acd");
        args.hide_from = STORE_DEVICE_ALL;
        assert_int_equal(end(&view, args, "", "c", ""), 1);
        assert_shown(6, rows[i].removal == STORE_REMOVE_HIDE ? "abd" : "ad");

        struct uidset all; /* moved back, it stays out of sight */
        struct store_copy_result moved;
        uidset_init(&all);
        uidset_add_run(&all, 1, 100);
        assert_ok(account_copy(account,
            &(struct store_copy_args){ .from = box_named("Trash").id,
                .to = box_named("INBOX").id,
                .uids = &all,
                .move = true },
            &moved));
        uidset_done(&moved.source);
        uidset_done(&moved.target);
        assert_shown(5, "ad");
        assert_ok(account_expunge(
            account, &(struct store_expunge_args){ .mailbox = box_named("INBOX").id }, NULL));
        uidset_done(&all);
    }
}

static void each_device_has_its_list(void **state)
{
    (void)state;
    for (char name = 'a'; name <= 'c'; name++)
        file("INBOX", name, 0, 1000);
    struct store_download_view one = view_of(1, "INBOX", NULL), two = one;
    one.without_taken = two.without_taken = true;
    two.device = 2;
    struct store_download_end args = { .removal = STORE_REMOVE_EXPUNGE, .hide_from = 1 };
    assert_int_equal(end(&one, args, "ab", "", ""), 0);
    assert_view(&one, "c");
    assert_view(&two, "abc");
    file("INBOX", 'd', 0, 1000);
    assert_view(&one, "cd");
    args.hide_from = 2;
    assert_int_equal(end(&two, args, "a", "b", ""), 1);
    assert_view(&one, "cd");
    assert_view(&two, "cd");
    one.without_taken = false;
    assert_view(&one, "acd");
}

static void what_was_taken_may_go(void **state)
{
    (void)state;
    file("INBOX", 'a', STORE_SEEN, 1000);
    file("INBOX", 'b', 0, 1000);
    file("INBOX", 'c', 0, 1000);
    struct store_download_view view = view_of(0, "INBOX", NULL);
    struct store_download_end args = { .removal = STORE_REMOVE_MOVE,
        .to = box_named("Trash").id,
        .hide_from = STORE_DEVICE_ALL,
        .unread_stays = true };
    seen_when_taken = true;
    assert_int_equal(end(&view, args, "ab", "", "ab"), 1); /* b was unread when it was judged */
    assert_box("INBOX", "Bc");
    assert_box("Trash", "A");
    args.unread_stays = false;
    assert_int_equal(end(&view, args, "c", "", "bc"), 2);
    assert_box("INBOX", "");
    assert_box("Trash", "ABC");
    struct store_download_view trash = view_of(9, "Trash", NULL);
    trash.filed_from_ms = 1;
    seen_when_taken = false;
    assert_view(&trash, ""); /* hidden from all, also there */
}

static void what_is_due(void **state)
{
    (void)state;
    for (char name = 'a'; name <= 'd'; name++)
        file("INBOX", name, 0, 1000);
    struct store_download_view view = view_of(3, "INBOX", NULL);
    struct store_download_end args = { .removal = STORE_REMOVE_HIDE, .hide_from = 3 };
    (void)end(&view, args, "abc", "b", "");
    struct store_download *list;
    size_t count;
    int64_t now_s = clock_wall_s();
    reopen();
    view = view_of(3, "INBOX", NULL);
    assert_ok(account_downloads_due(account, &view, now_s - 100, &list, &count));
    assert_int_equal(count, 0);
    assert_int_equal(store->entries_kept_bytes, 0); /* no list was made to find that out */
    free(list);
    view.without_taken = true; /* what the device sees does not matter */
    view.received_from_s = now_s + 1000;
    view.filed_from_ms = (now_s + 1000) * 1000;
    view.newest = 1;
    assert_ok(account_downloads_due(account, &view, now_s + 100, &list, &count));
    assert_int_equal(count, 2);
    assert_int_equal(name_of(list[0].entry.email), 'a');
    assert_int_equal(name_of(list[1].entry.email), 'c');
    free(list);
    view.device = 4;
    assert_ok(account_downloads_due(account, &view, now_s + 100, &list, &count));
    assert_int_equal(count, 0);
    free(list);
}

/* What IMAP did meanwhile is passed over, and nothing else is touched. */
static void gone_meanwhile(void **state)
{
    (void)state;
    for (char name = 'a'; name <= 'c'; name++)
        file("INBOX", name, 0, 1000);
    int64_t other;
    assert_ok(mailbox_create(account, SLICE("other"), STORE_USE_NONE, &other));
    file("other", 'd', 0, 1000);
    struct store_download_view view = view_of(0, "INBOX", "other");
    struct store_download *list;
    size_t count, gone;
    bool damaged;
    assert_ok(account_downloads(account, &view, &list, &count, &damaged));
    assert_int_equal(count, 4);
    struct store_downloaded at[4];
    for (size_t i = 0; i < 4; i++)
        at[i] = (struct store_downloaded){ .mailbox = list[i].mailbox,
            .uid = list[i].entry.uid,
            .email = list[i].entry.email,
            .taken = true,
            .seen = true,
            .removed = true };
    free(list);
    struct uidset one;
    uidset_init(&one);
    uidset_add(&one, at[1].uid);
    assert_ok(account_expunge(account,
        &(struct store_expunge_args){ .mailbox = box_named("INBOX").id, .uids = &one }, NULL));
    uidset_done(&one);
    assert_ok(mailbox_delete(account, SLICE("other")));
    file("INBOX", 'e', 0, 1000);
    struct store_download_end args = {
        .hide_from = STORE_DEVICE_ALL, .at = at, .count = 4, .removal = STORE_REMOVE_EXPUNGE
    };
    assert_ok(account_download_end(account, &args, &gone));
    assert_int_equal(gone, 2);
    assert_box("INBOX", "e");
    assert_shown(0, "e");
}

static void what_is_here_of_what_was_taken(void **state)
{
    (void)state;
    struct store_taken *list;
    size_t count;
    assert_ok(account_taken(account, &arena, &list, &count));
    assert_int_equal(count, 0);
    for (char name = 'a'; name <= 'd'; name++)
        file("INBOX", name, 0, 1000);
    struct store_download_view one = view_of(1, "INBOX", NULL), two = one;
    two.device = 2;
    struct store_download_end args = {
        .removal = STORE_REMOVE_MOVE, .to = box_named("Trash").id, .hide_from = 1
    };
    (void)end(&one, args, "abc", "a", ""); /* in Trash it is here still */
    args.hide_from = 2;
    args.removal = STORE_REMOVE_EXPUNGE;
    (void)end(&two, args, "b", "bd", "");
    assert_ok(account_taken(account, &arena, &list, &count));
    assert_int_equal(count, 1); /* a row that only hides is no taking; what is gone has none */
    assert_int_equal(list[0].device, 1);
    assert_int_equal(list[0].messages, 2);
    args.removal = STORE_REMOVE_HIDE;
    (void)end(&two, args, "c", "c", "");
    assert_ok(account_taken(account, &arena, &list, &count));
    assert_int_equal(count, 2);
    assert_int_equal(list[1].device, 2);
    assert_int_equal(list[1].messages, 1);
}

static void assert_utf8(size_t index, bool may_need, uint64_t surrogate_bytes)
{
    struct store_download_view view = view_of(0, "INBOX", "Archive");
    struct store_download *list;
    size_t count;
    bool damaged;
    assert_ok(account_downloads(account, &view, &list, &count, &damaged));
    assert_true(index < count);
    assert_int_equal(list[index].may_need_utf8, may_need);
    assert_true(list[index].surrogate_bytes == surrogate_bytes);
    free(list);
}

/* Whose header is not ASCII is known without a look at it; of a summary of another version it is not known. */
static void headers_in_utf8(void **state)
{
    (void)state;
    static const char *const wide = "Subject: =?utf-8?B?w6k=?=\r\n\r\nbody\r\n";
    file("INBOX", 'a', 0, 0);
    file_text("Archive", "Subject: é\r\n\r\nbody\r\n");
    file_text("INBOX", "Subject: e\r\n\r\nbodé\r\n");
    for (int i = 0; i < 2; i++) {
        assert_utf8(0, false, MSG_SURROGATE_UNKNOWN);
        assert_utf8(1, true, strlen(wide));
        assert_utf8(2, false, MSG_SURROGATE_UNKNOWN);
        close_all();
        open_all();
    }
    struct store_rows rows;
    assert_ok(account_read(account,
        &(struct store_read_args){ .mailbox = box_named("INBOX").id, .need = STORE_NEED_SUMMARY },
        &arena, &rows));
    struct store_derived older = {
        .kind = STORE_DERIVED_SUMMARY, .email = rows.at[0].email, .bytes = SLICE("\002\001")
    };
    assert_ok(account_keep_derived(account, &older, 1));
    assert_utf8(0, true, MSG_SURROGATE_UNKNOWN);
    older.bytes = rows.at[0].summary;
    assert_ok(account_keep_derived(account, &older, 1));
    assert_utf8(0, false, MSG_SURROGATE_UNKNOWN);
}

/* It was moved before its mailbox was deleted: what was removed is hidden wherever it lies. */
static void moved_and_its_mailbox_deleted(void **state)
{
    (void)state;
    int64_t other;
    assert_ok(mailbox_create(account, SLICE("other"), STORE_USE_NONE, &other));
    file("other", 'a', 0, 1000);
    struct store_downloaded one = { .mailbox = other, .uid = 1, .taken = true, .removed = true };
    struct store_download_view view = view_of(0, "other", NULL);
    struct store_download *list;
    size_t count, gone;
    bool damaged;
    assert_ok(account_downloads(account, &view, &list, &count, &damaged));
    one.email = list[0].entry.email;
    free(list);
    struct uidset uids;
    struct store_copy_result moved;
    uidset_init(&uids);
    uidset_add(&uids, 1);
    assert_ok(account_copy(account,
        &(struct store_copy_args){
            .from = other, .to = box_named("INBOX").id, .uids = &uids, .move = true },
        &moved));
    uidset_done(&uids);
    uidset_done(&moved.source);
    uidset_done(&moved.target);
    assert_ok(mailbox_delete(account, SLICE("other")));
    struct store_download_end args = {
        .hide_from = STORE_DEVICE_ALL, .at = &one, .count = 1, .removal = STORE_REMOVE_EXPUNGE
    };
    assert_ok(account_download_end(account, &args, &gone));
    assert_int_equal(gone, 0);
    assert_box("INBOX", "a");
    assert_shown(0, "");
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
            assert_ok(account_expunge(
                account, &(struct store_expunge_args){ .mailbox = inbox.id, .uids = &uids }, NULL));
        else if (what == 5) { /* one goes and one comes between two looks: as many as before */
            assert_ok(account_expunge(
                account, &(struct store_expunge_args){ .mailbox = inbox.id, .uids = &uids }, NULL));
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

#define PROVED(test) cmocka_unit_test_setup_teardown(test, set_up, prove_and_tear_down)
TEST_MAIN(PROVED(downloads_follow), PROVED(what_is_shown),
    PROVED(what_was_removed_is_not_shown_again), PROVED(each_device_has_its_list),
    PROVED(the_newest_are_the_newest), PROVED(what_was_taken_may_go), PROVED(what_is_due),
    PROVED(what_is_here_of_what_was_taken), PROVED(gone_meanwhile), PROVED(headers_in_utf8),
    PROVED(moved_and_its_mailbox_deleted))
