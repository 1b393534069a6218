/* Bytes as a header section. Oracles: fields lie inside and one behind the other; what was asked for and what was not are together all fields;
 * the fields written one after the other are the same fields; unfolding twice changes nothing. */
#include "message/head.h"
#include "message/header.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_field(struct slice header, const struct msg_field *field)
{
    const char *end = header.ptr + header.len;
    assert(field->whole.ptr >= header.ptr && field->whole.ptr + field->whole.len <= end);
    assert(field->name.ptr == field->whole.ptr && field->name.len > 0);
    assert(field->value.ptr > field->name.ptr);
    assert(field->value.ptr + field->value.len <= field->whole.ptr + field->whole.len);
    assert(!memchr(field->name.ptr, ':', field->name.len) && !memchr(field->name.ptr, '\n', field->name.len));
}

static void check_unfold(struct slice value)
{
    struct buf once, twice;
    buf_init(&once, 0);
    buf_init(&twice, 0);
    msg_unfold(value, &once);
    assert(buf_len(&once) <= value.len);
    msg_unfold(buf_slice(&once), &twice);
    assert(slice_eq(buf_slice(&once), buf_slice(&twice)));
    buf_done(&once);
    buf_done(&twice);
}

static void check_head(struct slice header)
{
    struct arena arena;
    struct head head;
    struct buf kept;
    arena_init(&arena, 16u << 20);
    buf_init(&kept, 0);
    if (head_parse(&arena, header, &kept, &head) == ERR_OK) {
        struct slice rest = buf_slice(&kept);
        struct msg_field field;
        while (msg_field_next(&rest, &field))
            assert(head_keeps(field.name));
    }
    buf_done(&kept);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct slice header = slice_from(bytes, len), rest = header;
    struct slice names[] = { SLICE("From"), SLICE("received"), SLICE("X") };
    struct msg_field field;
    struct buf all, part;
    buf_init(&all, 0);
    buf_init(&part, 0);
    const char *before = header.ptr;
    size_t count = 0;
    while (msg_field_next(&rest, &field)) {
        check_field(header, &field);
        assert(field.whole.ptr >= before);
        before = field.whole.ptr + field.whole.len;
        buf_add(&all, field.whole);
        if (count++ < 50)
            check_unfold(field.value);
    }
    rest = buf_slice(&all);
    size_t again = 0;
    while (msg_field_next(&rest, &field))
        again++;
    assert(again == count && rest.len == 0);
    msg_header_fields(header, names, 3, false, &part);
    size_t wanted = buf_len(&part);
    msg_header_fields(header, names, 3, true, &part);
    assert(buf_len(&part) == buf_len(&all));
    assert(wanted <= buf_len(&all));
    size_t header_len = msg_header_len(header);
    assert(header_len <= len);
    assert(header_len == len || header.ptr[header_len - 1] == '\n');
    check_head(header);
    buf_done(&all);
    buf_done(&part);
    return 0;
}
