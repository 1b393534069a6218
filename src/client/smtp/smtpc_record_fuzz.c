/* Records from anywhere. Oracle: what was read, written, reads back the same and is written the same again. */
#include "client/smtp/smtpc_record.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void assert_same(const struct smtpc_record *a, const struct smtpc_record *b)
{
    assert(same_text(a->from, b->from));
    assert(same_text(a->message_id, b->message_id));
    assert(same_text(a->subject, b->subject));
    assert(same_text(a->envid, b->envid));
    assert(same_text(a->ret, b->ret));
    assert(same_text(a->notify, b->notify));
    assert(a->created_s == b->created_s);
    assert(a->next_s == b->next_s);
    assert(a->attempts == b->attempts);
    assert(a->doubts == b->doubts);
    assert(a->bytes == b->bytes);
    assert(a->has_8bit == b->has_8bit);
    assert(a->needs_utf8 == b->needs_utf8);
    assert(a->copy == b->copy);
    assert(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert(same_text(a->recipients[i].address, b->recipients[i].address));
        assert(a->recipients[i].outcome.fate == b->recipients[i].outcome.fate);
        assert(a->recipients[i].outcome.code == b->recipients[i].outcome.code);
        assert(same_text(a->recipients[i].outcome.text, b->recipients[i].outcome.text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct smtpc_record record, again;
    struct err_note note = { "" };
    struct buf text, twice;
    if (smtpc_record_parse(slice_from(data, size), &record, &note)) {
        assert(note.text[0]);
        return 0;
    }
    buf_init(&text, 0), buf_init(&twice, 0);
    smtpc_record_write(&record, &text);
    enum err e = smtpc_record_parse(buf_slice(&text), &again, &note);
    assert(e == ERR_OK);
    assert_same(&record, &again);
    smtpc_record_write(&again, &twice);
    assert(slice_eq(buf_slice(&text), buf_slice(&twice)));
    buf_done(&text), buf_done(&twice);
    smtpc_record_done(&record);
    smtpc_record_done(&again);
    return 0;
}
