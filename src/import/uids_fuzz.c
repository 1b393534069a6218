/* Whatever the line: a record that was read is the record that is read from what it would be written as; a format that is ok can be written. */
#include "import/uids.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct slice part, struct slice whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void same(const struct import_uid *a, const struct import_uid *b)
{
    assert(slice_eq(a->name, b->name));
    assert(slice_eq(a->uidl, b->uidl));
    assert(slice_eq(a->guid, b->guid));
    assert(a->uid == b->uid);
    assert(a->uidvalidity == b->uidvalidity);
}

static void dovecot(struct slice line)
{
    struct import_uid uid, again;
    struct buf out;
    if (import_dovecot_record(line, 3, 5, &uid) != ERR_OK)
        return;
    assert(inside(uid.name, line));
    assert(inside(uid.uidl, line));
    buf_init(&out, 0);
    buf_addf(&out, "%u", uid.uid);
    if (uid.uidl.len && slice_eq(uid.uidl, uid.name))
        buf_adds(&out, " P");
    else if (uid.uidl.len)
        buf_addf(&out, " P%.*s", SLICE_FMT(uid.uidl));
    if (uid.guid.len)
        buf_addf(&out, " G%.*s", SLICE_FMT(uid.guid));
    buf_addf(&out, " :%.*s", SLICE_FMT(uid.name));
    if (slice_index(line, '\0') == line.len) {
        assert(import_dovecot_record(buf_slice(&out), 3, 5, &again) == ERR_OK);
        same(&uid, &again);
    }
    buf_done(&out);
}

static void courier(struct slice line)
{
    struct import_uid uid, again;
    struct buf out;
    if (import_courier_record(line, &uid) != ERR_OK)
        return;
    assert(inside(uid.name, line));
    buf_init(&out, 0);
    buf_add(&out, uid.name);
    buf_addf(&out, " 1 %u:%u:0", uid.uid, uid.uidvalidity);
    assert(import_courier_record(buf_slice(&out), &again) == ERR_OK);
    same(&uid, &again);
    buf_clear(&out);
    import_courier_uidl(&uid, &out);
    for (size_t i = 0; i < buf_len(&out); i++)
        assert(slice_at(buf_slice(&out), i) >= 0x21 && slice_at(buf_slice(&out), i) <= 0x7e);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice line = slice_from(data, size);
    unsigned version = 0;
    uint32_t uidvalidity = 0;
    if (import_dovecot_head(line, &version, &uidvalidity) == ERR_OK)
        assert((version == 1 || version == 3) && uidvalidity > 0);
    dovecot(line);
    courier(line);
    if (import_format_ok(line)) {
        struct buf out;
        buf_init(&out, 0);
        struct import_uid uid = { .name = SLICE("n"), .uid = 1, .uidvalidity = 2 };
        import_format_write(line, &uid, &out);
        assert(buf_len(&out) > 0);
        buf_done(&out);
    }
    return 0;
}
