/* Whatever a server says. First byte: as which line it is read. Oracles: what comes back lies inside the line and is in range; what was understood, written out
 * again, is understood the same. */
#include "base/buf.h"
#include "proto/pop3/pop_reply.h"

#include <assert.h>
#include <inttypes.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_in(struct slice part, struct slice whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void try_reply(struct slice line)
{
    struct pop_reply reply, again;
    if (pop_parse_reply(line, &reply))
        return;
    assert(lies_in(reply.text, line));
    assert(reply.code == POP_CODE_NONE || reply.status == POP_STATUS_ERR);
    static const char *const words[] = { "+OK", "-ERR", "+" };
    struct buf text;
    buf_init(&text, 0);
    buf_addf(&text, "%s %s", words[reply.status], reply.code ? "[X/NEW] " : "");
    buf_add(&text, reply.text);
    enum err e = pop_parse_reply(buf_slice(&text), &again);
    assert(e == ERR_OK);
    assert(again.status == reply.status);
    /* text that begins with a bracket would be taken for a code itself */
    if (reply.text.len == 0 || reply.text.ptr[0] != '[' || reply.code)
        assert(slice_eq(again.text, reply.text));
    buf_done(&text);
}

static void try_list(struct slice line)
{
    uint32_t number, number_again;
    uint64_t bytes, bytes_again;
    if (pop_parse_list(line, &number, &bytes))
        return;
    struct buf text;
    buf_init(&text, 0);
    buf_addf(&text, "%" PRIu32 " %" PRIu64, number, bytes);
    enum err e = pop_parse_list(buf_slice(&text), &number_again, &bytes_again);
    assert(e == ERR_OK);
    assert(number > 0);
    assert(number_again == number);
    assert(bytes <= INT64_MAX);
    assert(bytes_again == bytes);
    buf_done(&text);
}

static void try_uidl(struct slice line)
{
    uint32_t number, number_again;
    struct slice uidl, uidl_again;
    if (pop_parse_uidl(line, &number, &uidl))
        return;
    assert(lies_in(uidl, line));
    assert(uidl.len > 0);
    assert(uidl.len <= POP_UIDL_BYTES_MAX);
    struct buf text;
    buf_init(&text, 0);
    buf_addf(&text, "%" PRIu32 " %.*s", number, SLICE_FMT(uidl));
    enum err e = pop_parse_uidl(buf_slice(&text), &number_again, &uidl_again);
    assert(e == ERR_OK);
    assert(number_again == number);
    assert(slice_eq(uidl_again, uidl));
    buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct slice line = slice_from(data + 1, size - 1), rest;
    switch (data[0] % 4) {
    case 0:
        try_reply(line);
        break;
    case 1:
        try_list(line);
        break;
    case 2:
        try_uidl(line);
        break;
    default:
        (void)pop_parse_capability(line, &rest);
        assert(lies_in(rest, line));
    }
    return 0;
}
