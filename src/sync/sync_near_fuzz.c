/* Any name of a far folder: its path stays in the tree, stands as it is in a file system, and is that name again when it is read back. */
#include "sync/near.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len);

static bool is_part_safe(struct slice part)
{
    return part.len > 0 && part.len < 256 && !slice_eq(part, SLICE(".")) &&
           !slice_eq(part, SLICE("..")) && !slice_eq(part, SLICE("cur")) &&
           !slice_eq(part, SLICE("new")) && !slice_eq(part, SLICE("tmp")) &&
           !memchr(part.ptr, '\0', part.len);
}

static void check_path(struct slice path, enum client_layout layout)
{
    struct slice part;
    if (layout == CLIENT_MAILDIR_PLUS) {
        assert(path.len > 0 && path.ptr[0] == '.');
        assert(slice_index(path, '/') == path.len);
        assert(!slice_starts(path, SLICE("..")));
        return;
    }
    assert(path.len > 0 && path.ptr[0] != '/');
    while (slice_cut(&path, '/', &part))
        assert(is_part_safe(part) && part.ptr[0] != '.');
}

/* INBOX in any case is INBOX, and so is what is below it (RFC 9051 §5.1). */
static bool is_same(struct slice name, struct slice again, char delimiter)
{
    size_t first = delimiter ? slice_index(name, delimiter) : name.len;
    if (!slice_eq_nocase(slice_sub(name, 0, first), SLICE("INBOX")))
        return slice_eq(name, again);
    return slice_starts(again, SLICE("INBOX")) &&
           slice_eq(slice_from_index(name, first), slice_from_index(again, first));
}

static void check(struct slice name, bool raw, char delimiter, enum client_layout layout)
{
    struct buf path, again, back;
    buf_init(&path, 0);
    buf_init(&again, 0);
    buf_init(&back, 0);
    if (near_path_of(name, raw, delimiter, layout, &path) == ERR_OK) {
        check_path(buf_slice(&path), layout);
        enum err e = near_name_of(buf_slice(&path), delimiter, layout, &again);
        bool speakable = !memchr(name.ptr, '\0', name.len) && !memchr(name.ptr, '\r', name.len) &&
                         !memchr(name.ptr, '\n', name.len);
        assert((e == ERR_OK) == speakable);
        if (e == ERR_OK) {
            assert(is_same(name, buf_slice(&again), delimiter));
            e = near_path_of(buf_slice(&again), raw, delimiter, layout, &back);
            assert(e == ERR_OK);
            assert(slice_eq(buf_slice(&path), buf_slice(&back)));
        }
    }
    buf_done(&path);
    buf_done(&again);
    buf_done(&back);
}

/* And what is no path of ours is refused or read, without harm. */
static void check_any_path(struct slice path, char delimiter, enum client_layout layout)
{
    struct buf name;
    buf_init(&name, 0);
    if (near_name_of(path, delimiter, layout, &name) == ERR_OK)
        assert(!memchr(buf_slice(&name).ptr, '\r', buf_len(&name)));
    buf_done(&name);
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len)
{
    static const char delimiters[] = { '/', '.', '\\', '\0' };
    if (len < 2)
        return 0;
    char *exact = malloc(len - 1);
    assert(exact);
    memcpy(exact, bytes + 1, len - 1);
    struct slice name = slice_from(exact, len - 1);
    char delimiter = delimiters[bytes[0] & 3u];
    enum client_layout layout = bytes[0] & 4u ? CLIENT_MAILDIR_PLUS : CLIENT_NESTED;
    check(name, bytes[0] & 8u, delimiter, layout);
    check_any_path(name, delimiter, layout);
    free(exact);
    return 0;
}
