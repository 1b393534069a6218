/* Bodies on their way in: memory and file give the same bytes and summary, however they are cut; limits; nothing stays behind. */
#include "store/store_int.h"

#include "base/test.h"
#include "message/summary.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROW_BYTES_MAX 200

static char folder[64];
static struct store *store;

static int set_up(void **state)
{
    (void)state;
    struct err_note note;
    (void)snprintf(folder, sizeof folder, "/tmp/barid-blob-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    struct store_options options = { .root = folder, .body_row_bytes_max = ROW_BYTES_MAX };
    return store_open(&options, &store, &note) == ERR_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = { "accounts", "removed", "incoming" };
    store_close(store);
    for (size_t i = 0; i < 3; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (rmdir(path) != 0)
            return -1; /* something stayed behind */
    }
    return rmdir(folder);
}

static int files_coming_in(void)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/incoming", folder);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    int count = 0;
    for (const struct dirent *e; (e = readdir(dir));)
        count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void fill(struct buf *message, size_t body_len)
{
    buf_init(message, 0);
    buf_adds(message, "Subject: barid\r\nFrom: salma@barid.test\r\n\r\n");
    for (size_t i = 0; i < body_len; i++)
        buf_addc(message, (char)('a' + i % 26));
}

static void every_cut_gives_the_same(void **state)
{
    (void)state;
    static const size_t lens[] = { 0, 1, 150, 157, 158, 159, 160, 161, 5000, 200000 };
    static const size_t cuts[] = { 1, 7, 199, 200, 201, 70000, 1000000 };
    for (size_t l = 0; l < sizeof lens / sizeof lens[0]; l++) {
        struct buf message, summary, back;
        fill(&message, lens[l]);
        struct slice whole = buf_slice(&message);
        buf_init(&summary, 0);
        assert_ok(msg_summary_make(whole, &summary));
        for (size_t c = 0; c < sizeof cuts / sizeof cuts[0]; c++) {
            struct blob *blob;
            assert_ok(blob_new(store, 1u << 20, &blob));
            for (size_t at = 0; at < whole.len; at += cuts[c])
                assert_ok(blob_write(blob, slice_sub(whole, at, cuts[c])));
            assert_ok(blob_finish(blob));
            assert_ok(blob_finish(blob));
            assert_int_equal(files_coming_in(), whole.len > ROW_BYTES_MAX);
            assert_int_equal(blob_size(blob), whole.len);
            assert_true(slice_eq(blob_summary(blob), buf_slice(&summary)));
            struct msg_source source = blob_source(blob);
            buf_init(&back, 0);
            assert_ok(msg_source_read(&source, 0, whole.len, &back));
            assert_true(slice_eq(buf_slice(&back), whole));
            buf_clear(&back);
            assert_ok(msg_source_read(&source, 9, 5, &back));
            assert_slice("a range", buf_slice(&back), SLICE("barid"));
            buf_done(&back);
            blob_unref(blob_ref(blob));
            blob_unref(blob);
            assert_int_equal(files_coming_in(), 0);
        }
        buf_done(&summary);
        buf_done(&message);
    }
}

static void one_over_the_limit(void **state)
{
    (void)state;
    for (uint64_t limit = 1; limit <= 1000; limit += 333) {
        struct blob *blob;
        struct buf message;
        fill(&message, 2000);
        assert_ok(blob_new(store, limit, &blob));
        assert_ok(blob_write(blob, slice_sub(buf_slice(&message), 0, limit)));
        assert_err(ERR_LIMIT, blob_write(blob, SLICE("x")));
        assert_err(ERR_LIMIT, blob_write(blob, SLICE_EMPTY)); /* it stays useless */
        assert_err(ERR_LIMIT, blob_finish(blob));
        blob_unref(blob);
        buf_done(&message);
        assert_int_equal(files_coming_in(), 0);
    }
}

/* The folder goes away under it: an error, not a message without bytes. */
static void a_file_that_cannot_be_made(void **state)
{
    (void)state;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/incoming", folder);
    assert_int_equal(rmdir(path), 0);
    struct blob *blob;
    struct buf message;
    fill(&message, 1000);
    assert_ok(blob_new(store, 1u << 20, &blob));
    assert_err(ERR_NOT_FOUND, blob_write(blob, buf_slice(&message)));
    assert_err(ERR_NOT_FOUND, blob_finish(blob));
    blob_unref(blob);
    blob_unref(NULL);
    buf_done(&message);
    assert_int_equal(mkdirat(store->root_fd, "incoming", 0700), 0);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
TEST_MAIN(IN_FOLDER(every_cut_gives_the_same), IN_FOLDER(one_over_the_limit),
    IN_FOLDER(a_file_that_cannot_be_made))
