/* Any name of a folder has a path that stays in the tree; any message comes out of an mbox as it went in, however it was cut; any state is refused or is read back the same. */
#include "export/mboxrd.h"
#include "export/path.h"
#include "export/state.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len);

#define STATUS "Status: O\n"

static void check_path(struct slice name, bool raw, char delimiter, enum export_format format)
{
    struct buf path;
    struct slice rest, level;
    buf_init(&path, 0);
    export_path(name, raw, delimiter, format, &path);
    rest = buf_slice(&path);
    assert(rest.len || (format == EXPORT_MAILDIR && slice_eq_nocase(name, SLICE("INBOX"))));
    assert(rest.len == 0 || (rest.ptr[0] != '/' && rest.ptr[rest.len - 1] != '/'));
    for (unsigned levels = 1; slice_cut(&rest, '/', &level); levels++) {
        assert(levels <= EXPORT_LEVELS_MAX);
        assert(level.len > 0 && level.len <= EXPORT_LEVEL_BYTES_MAX + 5);
        assert(level.ptr[0] != '.');
        assert(!slice_eq(level, SLICE("cur")) && !slice_eq(level, SLICE("new")) &&
               !slice_eq(level, SLICE("tmp")));
        for (size_t i = 0; i < level.len; i++)
            assert(slice_at(level, i) >= 0x20 && slice_at(level, i) != 0x7f);
    }
    buf_done(&path);
}

static void write_message(struct slice message, size_t piece, struct buf *out)
{
    struct export_mboxrd m;
    export_mboxrd_begin(&m, SLICE(STATUS));
    for (size_t at = 0; at < message.len; at += piece)
        export_mboxrd_piece(&m, slice_sub(message, at, piece), out);
    export_mboxrd_end(&m, out);
    export_mboxrd_done(&m);
}

/* No line of it begins a message, and without quotes, status and the blank line the text is what it was, line by line. */
static void check_message(struct slice message, size_t piece)
{
    struct buf whole, cut;
    struct slice line, rest;
    buf_init(&whole, 0);
    buf_init(&cut, 0);
    write_message(message, message.len + 1, &whole);
    write_message(message, piece, &cut);
    assert(slice_eq(buf_slice(&whole), buf_slice(&cut)));
    rest = buf_slice(&whole);
    assert(rest.len >= 2 && rest.ptr[rest.len - 1] == '\n');
    for (struct slice all = rest; slice_cut(&all, '\n', &line);)
        assert(!slice_starts(line, SLICE("From ")));
    assert(slice_find(rest, SLICE(STATUS)) != SIZE_MAX);
    size_t header = slice_find(message, SLICE("\r\n\r\n"));
    bool plain = memchr(message.ptr, '\r', message.len) == NULL;
    buf_clear(&cut);
    if (header == SIZE_MAX && plain) { /* with LF only: the text behind the header is there */
        size_t text = slice_find(message, SLICE("\n\n"));
        bool starts_with_text = message.len && message.ptr[0] == '\n';
        if (starts_with_text || text != SIZE_MAX) {
            struct slice body = slice_from_index(message, starts_with_text ? 1 : text + 2);
            size_t at = slice_find(rest, SLICE(STATUS "\n"));
            assert(at != SIZE_MAX);
            struct slice written = slice_from_index(rest, at + sizeof STATUS);
            struct slice one;
            while (slice_cut(&body, '\n', &one)) {
                assert(slice_cut(&written, '\n', &line));
                size_t quotes = 0;
                while (quotes < line.len && line.ptr[quotes] == '>')
                    quotes++;
                if (quotes && slice_starts(slice_from_index(line, quotes), SLICE("From ")))
                    line = slice_from_index(line, 1);
                assert(slice_eq(one, line));
            }
        }
    }
    buf_done(&whole);
    buf_done(&cut);
}

static void check_state(struct slice text)
{
    struct export_state state, again;
    struct buf out, back;
    export_state_init(&state);
    export_state_init(&again);
    buf_init(&out, 0);
    buf_init(&back, 0);
    if (export_state_read(text, &state) == ERR_OK) {
        export_state_write(&state, &out);
        enum err e = export_state_read(buf_slice(&out), &again);
        assert(e == ERR_OK);
        export_state_write(&again, &back);
        assert(slice_eq(buf_slice(&out), buf_slice(&back)));
    }
    export_state_done(&state);
    export_state_done(&again);
    buf_done(&out);
    buf_done(&back);
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t len)
{
    static const char delimiters[] = { '/', '.', '\\', '\0' };
    if (len < 2)
        return 0;
    struct slice rest = slice_from(bytes + 1, len - 1);
    check_path(
        rest, bytes[0] & 8, delimiters[bytes[0] & 3], bytes[0] & 4 ? EXPORT_MBOX : EXPORT_MAILDIR);
    check_message(rest, 1 + (bytes[0] & 7));
    check_state(rest);
    return 0;
}
