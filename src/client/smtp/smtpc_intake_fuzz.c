/* A message as some program writes it. First byte: with -i and -t or without. Oracles: lines end with CRLF and nothing else; a message that went through once is not
 * changed by going through again; Bcc is gone; every recipient can be said to a server. */
#include "client/smtp/smtpc_intake.h"
#include "message/header.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err take(
    struct slice text, bool dot_ends, bool recipients, struct buf *out, struct smtpc_record *record)
{
    int in = memfd_create("in", MFD_CLOEXEC), to = memfd_create("out", MFD_CLOEXEC);
    struct smtpc_intake intake;
    struct err_note note = { "" };
    assert(in >= 0);
    assert(to >= 0);
    ssize_t wrote = write(in, text.ptr, text.len);
    assert(wrote == (ssize_t)text.len);
    (void)lseek(in, 0, SEEK_SET);
    struct smtpc_intake_options options = {
        .recipients = recipients, .address = "salma@barid.test", .now_s = 1795730029
    };
    smtpc_intake_init(&intake, in, dot_ends);
    enum err e = smtpc_intake_header(&intake, &note);
    if (!e)
        e = smtpc_intake_finish(&intake, &options, to, record, &note);
    smtpc_intake_done(&intake);
    off_t bytes = lseek(to, 0, SEEK_END);
    if (!e) {
        assert((uint64_t)bytes == record->bytes);
        char *room = buf_room(out, (size_t)bytes + 1);
        ssize_t got = pread(to, room, (size_t)bytes, 0);
        assert(got == bytes);
        buf_wrote(out, (size_t)bytes);
    }
    close(in);
    close(to);
    return e;
}

static void check_line_ends(struct slice text)
{
    assert(text.len >= 2);
    assert(text.ptr[text.len - 1] == '\n');
    for (size_t i = 0; i < text.len; i++) {
        assert(text.ptr[i] != '\0');
        if (text.ptr[i] == '\r')
            assert(text.ptr[i + 1] == '\n');
        if (text.ptr[i] == '\n')
            assert(text.ptr[i - 1] == '\r');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct smtpc_record record = { .count = 0 }, again = { .count = 0 };
    struct buf once, twice;
    bool utf8 = false;
    if (size == 0)
        return 0;
    buf_init(&once, 0), buf_init(&twice, 0);
    if (!take(slice_from(data + 1, size - 1), data[0] & 1, data[0] & 2, &once, &record)) {
        struct msg_field field;
        struct slice whole = buf_slice(&once);
        check_line_ends(whole);
        struct slice header = slice_sub(whole, 0, msg_header_len(whole));
        assert(!msg_field_find(header, SLICE("Bcc"), &field));
        assert(msg_field_find(header, SLICE("Message-ID"), &field));
        for (size_t i = 0; i < record.count; i++)
            assert(smtpc_address_ok(record.recipients[i].address, &utf8));
        enum err e = take(whole, false, false, &twice, &again);
        assert(e == ERR_OK);
        assert(slice_eq(whole, buf_slice(&twice)));
        assert(again.has_8bit == record.has_8bit);
    }
    smtpc_record_done(&record);
    smtpc_record_done(&again);
    buf_done(&once), buf_done(&twice);
    return 0;
}
