/* Bytes as a Subject and as a header of ids. Oracles: the base of a base subject is itself and no reply; each id holds an "@" and no line end,
 * and their number has its limit. */
#include "message/thread.h"

#include "base/limits.h"
#include "base/utf8.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_subject(struct slice raw)
{
    struct buf once, twice;
    bool is_reply;
    buf_init(&once, 0);
    buf_init(&twice, 0);
    msg_base_subject(raw, &once, &is_reply);
    assert(utf8_valid(buf_slice(&once)));
    if (slice_find(buf_slice(&once), SLICE("=?")) == SIZE_MAX) { /* else it is decoded once more */
        msg_base_subject(buf_slice(&once), &twice, &is_reply);
        assert(slice_eq(buf_slice(&once), buf_slice(&twice)));
        assert(!is_reply);
    }
    buf_done(&once);
    buf_done(&twice);
}

static void check_ids(struct slice header)
{
    struct buf out;
    buf_init(&out, 0);
    msg_thread_ids(header, &out);
    struct slice rest = buf_slice(&out);
    size_t count = 0;
    while (rest.len) {
        size_t id_len = slice_index(rest, '\n');
        assert(id_len < rest.len && id_len < THREAD_ID_BYTES_MAX);
        assert((count == 0 && id_len == 0) || memchr(rest.ptr, '@', id_len));
        rest = slice_from_index(rest, id_len + 1);
        count++;
    }
    assert(count >= 1 && count <= 1 + THREAD_IDS_MAX);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct slice text = slice_from(bytes, len);
    check_subject(text);
    check_ids(text);
    return 0;
}
