/* Names of folders and paths, keywords and letters, and the bytes of a message on its way in and out. */
#include "sync/near.h"

#include "base/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- names ---- */

static const struct {
    const char *name, *path, *path_plus; /* NULL: none */
    bool raw;
    char delimiter;
} names[] = {
    { "INBOX", "INBOX", ".", false, '/' },
    { "a/b", "a/b", ".a.b", false, '/' },
    { "a.b", "a.b", ".a%2Eb", false, '/' },
    { "a.b", "a/b", ".a.b", false, '.' },
    { "a/b", "a%2Fb", ".a%2Fb", false, '.' },
    { "INBOX/x", "INBOX/x", ".INBOX.x", false, '/' },
    { ".", "%2E", ".%2E", false, '/' },
    { "..", "%2E.", ".%2E%2E", false, '/' },
    { "a/../b", "a/%2E./b", ".a.%2E%2E.b", false, '/' },
    { ".hidden", "%2Ehidden", ".%2Ehidden", false, '/' },
    { "cur", "%63ur", ".%63ur", false, '/' },
    { "new/tmp", "%6Eew/%74mp", ".%6Eew.%74mp", false, '/' },
    { "cure", "cure", ".cure", false, '/' },
    { "100%", "100%25", ".100%25", false, '/' },
    { "%2E", "%252E", ".%252E", false, '/' },
    { "\033[31m", "%1B[31m", ".%1B[31m", false, '/' },
    { "a\177", "a%7F", ".a%7F", false, '/' },
    { "\xd8\xa8\xd8\xb1\xd9\x8a\xd8\xaf", "\xd8\xa8\xd8\xb1\xd9\x8a\xd8\xaf",
        ".\xd8\xa8\xd8\xb1\xd9\x8a\xd8\xaf", false, '/' },
    { "no delimiter/at.all", "no delimiter%2Fat.all", ".no delimiter%2Fat%2Eall", false, '\0' },
    { "", NULL, NULL, false, '/' },
    { "/a", NULL, NULL, false, '/' },
    { "a/", NULL, NULL, false, '/' },
    { "a//b", NULL, NULL, false, '/' },
    { "&bad", "%26bad", ".%26bad", true, '/' },
    { "\xff", "%FF", ".%FF", true, '/' },
};

static void check_name(size_t i, enum client_layout layout, const char *wanted)
{
    struct buf path, name;
    buf_init(&path, 0);
    buf_init(&name, 0);
    enum err e =
        near_path_of(slice_of(names[i].name), names[i].raw, names[i].delimiter, layout, &path);
    assert_int_equal(e, wanted ? ERR_OK : ERR_SYNTAX);
    if (wanted) {
        assert_slice(names[i].name, buf_slice(&path), slice_of(wanted));
        assert_ok(near_name_of(buf_slice(&path), names[i].delimiter, layout, &name));
        assert_slice(names[i].name, buf_slice(&name), slice_of(names[i].name));
    }
    buf_done(&path);
    buf_done(&name);
}

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        check_name(i, CLIENT_NESTED, names[i].path);
        check_name(i, CLIENT_MAILDIR_PLUS, names[i].path_plus);
    }
}

/* A whole tree of names that look alike: no two of one path. */
static void test_no_two_names_of_one_path(void **state)
{
    static const char *const alike[] = { "a.b", "a%2Eb", "a%2eb", "a/b", "a%2Fb", "A/b", ".a.b",
        "%2Ea.b", "cur", "%63ur", "Cur", "a", "a%", "a%25" };
    enum {
        COUNT = sizeof alike / sizeof *alike
    };
    (void)state;
    for (size_t i = 0; i < COUNT * COUNT; i++) {
        struct buf one, two;
        buf_init(&one, 0);
        buf_init(&two, 0);
        assert_ok(near_path_of(slice_of(alike[i / COUNT]), false, '/', CLIENT_MAILDIR_PLUS, &one));
        assert_ok(near_path_of(slice_of(alike[i % COUNT]), false, '/', CLIENT_MAILDIR_PLUS, &two));
        assert_int_equal(slice_eq(buf_slice(&one), buf_slice(&two)), i / COUNT == i % COUNT);
        buf_done(&one);
        buf_done(&two);
    }
}

static void test_long_names(void **state)
{
    char name[512];
    (void)state;
    memset(name, 'x', sizeof name);
    for (size_t len = 239; len <= 242; len++) {
        struct buf path;
        buf_init(&path, 0);
        assert_err(len <= 240 ? ERR_OK : ERR_LIMIT,
            near_path_of(slice_from(name, len), false, '/', CLIENT_NESTED, &path));
        buf_done(&path);
    }
}

static void test_paths_that_are_no_names(void **state)
{
    static const char *const paths[] = { "a%", "a%4", "a%zz", "a%2Fb", "a%00", "a%0D", "a%0Ab",
        "a//b", "a\rb" };
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct buf name;
        buf_init(&name, 0);
        assert_err(ERR_SYNTAX, near_name_of(slice_of(paths[i]), '/', CLIENT_NESTED, &name));
        buf_done(&name);
    }
}

/* ---- keywords ---- */

static void test_keywords(void **state)
{
    struct sync_keywords keywords = { { NULL } };
    bool is_new = false;
    char name[300];
    (void)state;
    static const char *const bad[] = { "", "two words", "a\rb", "a)b", "(", "x{5}", "\\Seen", "a]",
        "caf\xc3\xa9", "\177", "a\"", "*", "%" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(sync_keyword_bit(&keywords, slice_of(bad[i]), &is_new), 0);
    memset(name, 'k', sizeof name);
    assert_int_equal(sync_keyword_bit(&keywords, slice_from(name, 256), &is_new), 0);
    assert_false(is_new);
    for (unsigned i = 0; i < SYNC_KEYWORDS_MAX; i++) {
        snprintf(name, sizeof name, "$Label%u", i);
        is_new = false;
        assert_int_equal(
            sync_keyword_bit(&keywords, slice_of(name), &is_new), (uint32_t)SYNC_KEYWORD << i);
        assert_true(is_new);
    }
    is_new = false;
    assert_int_equal(sync_keyword_bit(&keywords, SLICE("more"), &is_new), 0);
    assert_int_equal(sync_keyword_bit(&keywords, SLICE("$lABEL3"), &is_new), SYNC_KEYWORD << 3);
    assert_false(is_new);
    sync_keywords_done(&keywords);
}

static void test_message_id(void **state)
{
    (void)state;
    uint64_t id = sync_message_id(SLICE("Subject: x\r\nMessage-ID: <a@b>\r\n\r\n"));
    assert_true(id != 0);
    assert_true(id == sync_message_id(SLICE("message-id:\t<a@b> \n\n")));
    assert_true(id != sync_message_id(SLICE("Message-ID: <a@c>\r\n\r\n")));
    assert_true(sync_message_id(SLICE("Message-ID:  \r\n\r\n")) == 0);
    assert_true(sync_message_id(SLICE("X-Message-ID: <a@b>\r\n\r\n")) == 0);
    assert_true(sync_message_id(SLICE("")) == 0);
    assert_true(sync_message_id(SLICE("Subject: x\r\n\r\nMessage-ID: <a@b>\r\n")) == 0);
}

/* ---- a Maildir ---- */

struct tree {
    char root[40];
    int root_fd;
    struct near_folder folder;
    struct arena arena;
    struct sync_keywords keywords;
};

static void tree_open(struct tree *tree)
{
    struct err_note note = { "" };
    *tree = (struct tree){ .root_fd = -1 };
    snprintf(tree->root, sizeof tree->root, "/tmp/barid-near-XXXXXX");
    assert_non_null(mkdtemp(tree->root));
    tree->root_fd = open(tree->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(tree->root_fd >= 0);
    arena_init(&tree->arena, 1u << 20);
    assert_ok(near_open(tree->root_fd, "a", NEAR_MAKE, &tree->folder, &note));
}

static void remove_below(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, entry->d_name, 0) < 0)
            remove_below(fd, entry->d_name);
    }
    closedir(dir);
    assert_int_equal(unlinkat(parent, name, AT_REMOVEDIR), 0);
}

static void tree_close(struct tree *tree)
{
    near_close(&tree->folder);
    sync_keywords_done(&tree->keywords);
    arena_done(&tree->arena);
    close(tree->root_fd);
    remove_below(AT_FDCWD, tree->root);
}

static void tree_scan(struct tree *tree)
{
    struct err_note note = { "" };
    near_close(&tree->folder);
    assert_ok(near_open(tree->root_fd, "a", NEAR_COMPLETE, &tree->folder, &note));
    assert_ok(near_scan(&tree->folder, &tree->arena, &tree->keywords, &note));
}

/* In at two cuts, out in pieces: the same bytes and the same facts. */
static void check_bytes(struct tree *tree, struct slice in, struct slice out, size_t cut)
{
    struct near_draft draft;
    struct sync_facts facts, again;
    int64_t received_s;
    char got[256];
    struct near_reader *reader = malloc(sizeof *reader);
    assert_non_null(reader);
    assert_ok(near_draft_open(&tree->folder, &draft));
    assert_ok(near_draft_add(&draft, slice_sub(in, 0, cut)));
    assert_ok(near_draft_add(&draft, slice_from_index(in, cut)));
    char base[sizeof draft.base];
    memcpy(base, draft.base, sizeof base);
    assert_ok(near_draft_end(&draft, 1790000000, &facts));
    assert_int_equal(facts.bytes, in.len);
    assert_ok(near_file_draft(&tree->folder, base, SYNC_SEEN));
    tree_scan(tree);
    const struct near_file *file = near_find(&tree->folder, slice_of(base));
    assert_non_null(file);
    assert_int_equal(file->flags, SYNC_SEEN);
    struct stat st; /* LF there: every line end of `out` is one byte shorter */
    size_t ends = 0;
    bool as_it_came = slice_find(out, SLICE("\r\r\n")) != SIZE_MAX;
    for (size_t i = 0; i < out.len && !as_it_came; i++)
        ends += out.ptr[i] == '\n';
    assert_int_equal(fstatat(tree->folder.cur_fd, file->name, &st, 0), 0);
    assert_int_equal(st.st_size, out.len - ends);
    assert_ok(near_read_facts(&tree->folder, file, &again, &received_s));
    assert_int_equal(again.bytes, out.len);
    assert_int_equal(received_s, 1790000000);
    assert_ok(near_reader_open(&tree->folder, file, reader));
    size_t first = cut < out.len ? cut : out.len;
    assert_ok(near_reader_fill(reader, got, first));
    assert_ok(near_reader_fill(reader, got + first, out.len - first));
    assert_slice("out", slice_from(got, out.len), out);
    assert_err(ERR_IO, near_reader_fill(reader, got, 1));
    near_reader_close(reader);
    if (slice_eq(in, out)) {
        assert_memory_equal(facts.hash, again.hash, sizeof facts.hash);
        assert_true(facts.message_id == again.message_id);
    }
    assert_int_equal(unlinkat(tree->folder.cur_fd, file->name, 0), 0);
    free(reader);
}

static void test_line_ends(void **state)
{
    static const struct {
        struct slice in, out;
    } rows[] = {
        { SLICE_CONST("Message-ID: <x@y>\r\n\r\na\r\n.b\r\n"),
            SLICE_CONST("Message-ID: <x@y>\r\n\r\na\r\n.b\r\n") },
        { SLICE_CONST(""), SLICE_CONST("") },
        { SLICE_CONST("\r\n\r\n"), SLICE_CONST("\r\n\r\n") },
        { SLICE_CONST("a\rb\r\nc\r"), SLICE_CONST("a\rb\r\nc\r") },
        { SLICE_CONST("no end"), SLICE_CONST("no end") },
        { SLICE_CONST("a\nb\r\n"), SLICE_CONST("a\r\nb\r\n") },
        { SLICE_CONST("nul \0 in it\r\n"), SLICE_CONST("nul \0 in it\r\n") },
        { SLICE_CONST("a\r\n\r\nb\r\r\nc\r\n"), SLICE_CONST("a\r\n\r\nb\r\r\nc\r\n") },
        { SLICE_CONST("\r\r\n\r\r\r\n\rx\r\n\r"), SLICE_CONST("\r\r\n\r\r\r\n\rx\r\n\r") },
        { SLICE_CONST("a\rb\r\nc\r\r\r"), SLICE_CONST("a\rb\r\nc\r\r\r") },
    };
    struct tree tree;
    (void)state;
    tree_open(&tree);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t cut = 0; cut <= rows[i].in.len; cut++)
            check_bytes(&tree, rows[i].in, rows[i].out, cut);
    tree_close(&tree);
}

static void touch(int fd, const char *name, const char *text)
{
    int file = openat(fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
}

static void test_letters(void **state)
{
    struct tree tree;
    (void)state;
    tree_open(&tree);
    touch(tree.folder.fd, "dovecot-keywords", "1 Work\n0 Home\n5 no keyword\n99 Far\nx\n");
    touch(tree.folder.cur_fd, "1.one:2,FSab", "1");
    touch(tree.folder.cur_fd, "2.two:1,S", "2");
    touch(tree.folder.new_fd, "3.three", "3");
    touch(tree.folder.cur_fd, "4.four:2,Sf", "4");
    tree_scan(&tree);
    assert_int_equal(tree.folder.count, 4);
    assert_false(near_lacks_keywords(&tree.folder, &tree.keywords));
    assert_string_equal(tree.keywords.names[0], "Work");
    assert_string_equal(tree.keywords.names[1], "Home");
    assert_null(tree.keywords.names[2]);
    assert_int_equal(near_find(&tree.folder, SLICE("1.one"))->flags,
        SYNC_FLAGGED | SYNC_SEEN | SYNC_KEYWORD | SYNC_KEYWORD << 1);
    assert_int_equal(near_find(&tree.folder, SLICE("2.two"))->flags, 0);
    assert_true(near_find(&tree.folder, SLICE("3.three"))->in_new);
    assert_int_equal(near_find(&tree.folder, SLICE("4.four"))->flags, SYNC_SEEN);
    bool is_new = false;
    uint32_t bit = sync_keyword_bit(&tree.keywords, SLICE("New"), &is_new);
    assert_true(near_lacks_keywords(&tree.folder, &tree.keywords));
    assert_ok(near_write_keywords(&tree.folder, &tree.keywords));
    assert_false(near_lacks_keywords(&tree.folder, &tree.keywords));
    struct near_file *three = near_find(&tree.folder, SLICE("3.three"));
    assert_ok(near_set_flags(&tree.folder, three, bit | SYNC_KEYWORD << 1, &tree.arena));
    tree_scan(&tree);
    three = near_find(&tree.folder, SLICE("3.three"));
    assert_string_equal(three->name, "3.three:2,ac");
    assert_int_equal(three->flags, bit | SYNC_KEYWORD << 1);
    tree_close(&tree);
}

/* Neither a flag nor a move nor the undo store replaces a file. */
static void test_nothing_is_replaced(void **state)
{
    struct tree tree;
    struct near_folder other;
    struct err_note note = { "" };
    (void)state;
    tree_open(&tree);
    assert_ok(near_open(tree.root_fd, "b", NEAR_MAKE, &other, &note));
    touch(tree.folder.cur_fd, "1.one:2,", "mine");
    touch(other.cur_fd, "1.one:2,S", "another");
    tree_scan(&tree);
    struct near_file *one = near_find(&tree.folder, SLICE("1.one"));
    assert_err(ERR_EXISTS, near_move(&tree.folder, one, &other, SYNC_SEEN, &tree.arena, NULL));
    touch(tree.folder.cur_fd, "1.one:2,F", "a third");
    assert_err(ERR_EXISTS, near_set_flags(&tree.folder, one, SYNC_FLAGGED, &tree.arena));
    touch(other.fd, "1.one:2,", "in the undo store");
    assert_ok(near_take_out(&tree.folder, one, other.fd));
    assert_err(ERR_NOT_FOUND, near_take_out(&tree.folder, one, other.fd));
    struct stat st;
    assert_int_equal(fstatat(other.fd, "1.one:2,", &st, 0), 0);
    assert_int_equal(st.st_size, 17);
    near_close(&other);
    tree_close(&tree);
}

static void test_links_are_not_followed(void **state)
{
    struct tree tree;
    struct near_folder other;
    struct err_note note = { "" };
    (void)state;
    tree_open(&tree);
    assert_int_equal(symlinkat("/tmp", tree.root_fd, "out"), 0);
    assert_int_equal(symlinkat("/etc/passwd", tree.folder.cur_fd, "9.link:2,"), 0);
    assert_true(near_open(tree.root_fd, "out/x", NEAR_MAKE, &other, &note) != ERR_OK);
    assert_true(near_open(tree.root_fd, "../x", NEAR_COMPLETE, &other, &note) != ERR_OK);
    tree_scan(&tree);
    assert_int_equal(tree.folder.count, 1);
    struct near_file *link = near_find(&tree.folder, SLICE("9.link"));
    struct sync_facts facts;
    int64_t received_s;
    assert_true(link && link->odd);
    assert_err(ERR_DENIED, near_read_facts(&tree.folder, link, &facts, &received_s));
    touch(tree.folder.new_fd, "9.link", "A: b\n\n"); /* a file of that name is the message */
    tree_scan(&tree);
    assert_int_equal(tree.folder.count, 1);
    assert_false(near_find(&tree.folder, SLICE("9.link"))->odd);
    tree_close(&tree);
}

/* What is no Maildir where one was, and what is nothing at all. */
static void test_doubt(void **state)
{
    struct tree tree;
    (void)state;
    tree_open(&tree);
    int root = tree.root_fd;
    assert_int_equal(symlinkat("/nowhere", root, "link"), 0);
    touch(root, "file", "");
    assert_int_equal(mkdirat(root, "parent", 0700), 0);
    assert_int_equal(mkdirat(root, "mail", 0700), 0);
    assert_int_equal(mkdirat(root, "mail/new", 0700), 0);
    assert_false(near_is_in_doubt(root, "gone"));
    assert_false(near_is_in_doubt(root, "gone/below"));
    assert_false(near_is_in_doubt(root, "parent"));
    assert_false(near_is_in_doubt(root, "mail"));
    assert_true(near_is_in_doubt(root, "link"));
    assert_true(near_is_in_doubt(root, "link/below"));
    assert_true(near_is_in_doubt(root, "file"));
    assert_int_equal(symlinkat("/nowhere", root, "parent/cur"), 0);
    assert_true(near_is_in_doubt(root, "parent"));
    assert_int_equal(mkdirat(root, "mail/new/x", 0700), 0);
    assert_true(near_is_in_doubt(root, "mail"));
    tree_close(&tree);
}

/* Facts of a file as they were before mbsync put its field into it. */
static void test_without_tuid(void **state)
{
    static const struct {
        const char *name, *with, *without;
    } rows[] = {
        { "field", "A: b\nX-TUID: 74NEioyvB7Db\nMessage-ID: <x@y>\n\ntext\n",
            "A: b\nMessage-ID: <x@y>\n\ntext\n" },
        { "first", "X-TUID: 74NEioyvB7Db\nA: b\n\ntext\n", "A: b\n\ntext\n" },
        { "header only", "A: b\nX-TUID: 74NEioyvB7Db\n", "A: b\n" },
        { "none", "A: b\n\ntext\n", "A: b\n\ntext\n" },
        { "in the text", "A: b\n\nX-TUID: 74NEioyvB7Db\n", "A: b\n\nX-TUID: 74NEioyvB7Db\n" },
        { "of another length", "X-TUID: 74NEioyvB7D\n\n", "X-TUID: 74NEioyvB7D\n\n" },
        { "of another name", "X-TUIDS: 4NEioyvB7Db\n\n", "X-TUIDS: 4NEioyvB7Db\n\n" },
        { "nothing", "", "" },
    };
    struct tree tree;
    (void)state;
    tree_open(&tree);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sync_facts whole, pure, wanted;
        int64_t received_s;
        touch(tree.folder.cur_fd, "1.with:2,S", rows[i].with);
        touch(tree.folder.cur_fd, "2.without:2,S", rows[i].without);
        tree_scan(&tree);
        assert_ok(near_read_facts(
            &tree.folder, near_find(&tree.folder, SLICE("2.without")), &wanted, &received_s));
        assert_ok(near_read_both_facts(
            &tree.folder, near_find(&tree.folder, SLICE("1.with")), &whole, &pure, &received_s));
        if (pure.bytes != wanted.bytes || pure.message_id != wanted.message_id ||
            memcmp(pure.hash, wanted.hash, sizeof pure.hash) != 0)
            fail_msg("%s", rows[i].name);
        bool same = strcmp(rows[i].with, rows[i].without) == 0;
        assert_int_equal(whole.bytes - pure.bytes, same ? 0 : NEAR_TUID_BYTES);
        assert_int_equal(unlinkat(tree.folder.cur_fd, "1.with:2,S", 0), 0);
        assert_int_equal(unlinkat(tree.folder.cur_fd, "2.without:2,S", 0), 0);
    }
    tree_close(&tree);
}

TEST_MAIN(cmocka_unit_test(test_names), cmocka_unit_test(test_no_two_names_of_one_path),
    cmocka_unit_test(test_long_names), cmocka_unit_test(test_paths_that_are_no_names),
    cmocka_unit_test(test_keywords), cmocka_unit_test(test_message_id),
    cmocka_unit_test(test_line_ends), cmocka_unit_test(test_without_tuid),
    cmocka_unit_test(test_letters), cmocka_unit_test(test_nothing_is_replaced),
    cmocka_unit_test(test_links_are_not_followed), cmocka_unit_test(test_doubt))
