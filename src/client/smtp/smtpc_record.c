/* Records of the queue as text. */
#include "client/smtp/smtpc_record.h"

#include "base/arena.h"
#include "base/utf8.h"
#include "client/core/word.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char first_line[] = "barid-queue";
static const char *const copy_names[] = { "none", "server", "due", "done" };
static const char *const fate_names[] = { "waits", "sent", "refused" };

void smtpc_record_done(struct smtpc_record *record)
{
    if (!record)
        return;
    char *texts[] = { record->from, record->message_id, record->subject, record->envid, record->ret,
        record->notify };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    for (size_t i = 0; i < record->count; i++)
        free(record->recipients[i].address);
    free(record->recipients);
    *record = (struct smtpc_record){ 0 };
}

size_t smtpc_record_count(const struct smtpc_record *record, enum smtpc_fate fate)
{
    size_t count = 0;
    for (size_t i = 0; i < record->count; i++)
        count += record->recipients[i].outcome.fate == fate;
    return count;
}

static struct smtpc_recipient *new_recipient(struct smtpc_record *record, struct slice address)
{
    record->recipients =
        mem_realloc(record->recipients, (record->count + 1) * sizeof *record->recipients);
    struct smtpc_recipient *one = &record->recipients[record->count++];
    *one = (struct smtpc_recipient){ .address = mem_strndup(address.ptr, address.len) };
    return one;
}

enum err smtpc_record_add(struct smtpc_record *record, const char *address)
{
    for (size_t i = 0; i < record->count; i++)
        if (strcmp(record->recipients[i].address, address) == 0)
            return ERR_OK;
    if (record->count == SMTPC_RECIPIENTS_MAX)
        return ERR_LIMIT;
    (void)new_recipient(record, slice_of(address));
    return ERR_OK;
}

/* ---- reading ---- */

struct reader {
    struct smtpc_record record;
    struct client_word words[CLIENT_WORDS_MAX];
    size_t count;
};

static bool is_word(const struct reader *r, size_t i, const char *text)
{
    return i < r->count && slice_eq(r->words[i].text, slice_of(text));
}

static enum err take_text(const struct reader *r, size_t at, char **field)
{
    if (at >= r->count || *field)
        return ERR_SYNTAX;
    *field = mem_strndup(r->words[at].text.ptr, r->words[at].text.len);
    return ERR_OK;
}

static enum err take_number(const struct reader *r, size_t at, uint64_t max, uint64_t *out_number)
{
    return at < r->count ? slice_to_u64(r->words[at].text, max, out_number) : ERR_SYNTAX;
}

static enum err take_time(const struct reader *r, int64_t *field)
{
    uint64_t seconds;
    TRY(take_number(r, 1, INT64_MAX, &seconds));
    *field = (int64_t)seconds;
    return ERR_OK;
}

static enum err take_name(
    const struct reader *r, size_t at, const char *const *names, size_t count, unsigned *out_index)
{
    for (unsigned i = 0; i < count; i++)
        if (is_word(r, at, names[i])) {
            *out_index = i;
            return ERR_OK;
        }
    return ERR_SYNTAX;
}

static enum err take_needs(struct reader *r)
{
    for (size_t i = 1; i < r->count; i++) {
        if (is_word(r, i, "8bit"))
            r->record.has_8bit = true;
        else if (is_word(r, i, "utf8"))
            r->record.needs_utf8 = true;
        else
            return ERR_SYNTAX;
    }
    return ERR_OK;
}

/* A word "-" is one that was not asked for. */
static enum err take_dsn(struct reader *r)
{
    char **fields[] = { &r->record.envid, &r->record.ret, &r->record.notify };
    if (r->count != 4)
        return ERR_SYNTAX;
    for (size_t i = 0; i < 3; i++)
        if (!is_word(r, i + 1, "-"))
            TRY(take_text(r, i + 1, fields[i]));
    return ERR_OK;
}

static enum err take_recipient(struct reader *r)
{
    unsigned fate = 0;
    uint64_t code = 0;
    if (r->count != 5 || r->words[1].text.len == 0)
        return ERR_SYNTAX;
    TRY(take_name(r, 2, fate_names, 3, &fate));
    TRY(take_number(r, 3, 599, &code));
    if (r->record.count == SMTPC_RECIPIENTS_MAX || r->words[4].text.len > SMTPC_TEXT_BYTES_MAX)
        return ERR_LIMIT;
    struct smtpc_recipient *one = new_recipient(&r->record, r->words[1].text);
    one->outcome.fate = (enum smtpc_fate)fate;
    one->outcome.code = (int)code;
    memcpy(one->outcome.text, r->words[4].text.ptr, r->words[4].text.len);
    return ERR_OK;
}

static enum err take_line(struct reader *r)
{
    unsigned copy = 0;
    struct smtpc_record *record = &r->record;
    if (is_word(r, 0, "to"))
        return take_recipient(r);
    if (is_word(r, 0, "dsn"))
        return take_dsn(r);
    if (is_word(r, 0, "needs"))
        return take_needs(r);
    if (r->count != 2)
        return ERR_SYNTAX;
    if (is_word(r, 0, "from"))
        return take_text(r, 1, &record->from);
    if (is_word(r, 0, "message-id"))
        return take_text(r, 1, &record->message_id);
    if (is_word(r, 0, "subject"))
        return take_text(r, 1, &record->subject);
    if (is_word(r, 0, "created"))
        return take_time(r, &record->created_s);
    if (is_word(r, 0, "next"))
        return take_time(r, &record->next_s);
    if (is_word(r, 0, "attempts"))
        return take_number(r, 1, UINT32_MAX, &record->attempts);
    if (is_word(r, 0, "doubts"))
        return take_number(r, 1, UINT32_MAX, &record->doubts);
    if (is_word(r, 0, "bytes"))
        return take_number(r, 1, INT64_MAX, &record->bytes);
    if (!is_word(r, 0, "copy"))
        return ERR_SYNTAX;
    TRY(take_name(r, 1, copy_names, 4, &copy));
    record->copy = (enum smtpc_copy)copy;
    return ERR_OK;
}

static enum err check_whole(struct smtpc_record *record)
{
    bool utf8 = false;
    if (!record->from || !record->message_id || !record->subject || record->count == 0)
        return ERR_SYNTAX;
    if (record->from[0] && !smtpc_address_ok(record->from, &utf8))
        return ERR_SYNTAX;
    for (size_t i = 0; i < record->count; i++) /* they are said to a server as they stand here */
        if (!smtpc_address_ok(record->recipients[i].address, &utf8))
            return ERR_SYNTAX;
    return ERR_OK;
}

static enum err read_lines(
    struct reader *r, struct arena *arena, struct slice text, int *line_number)
{
    struct slice line;
    while (slice_cut(&text, '\n', &line)) {
        ++*line_number;
        TRY(client_words(arena, line, r->words, &r->count, NULL));
        if (*line_number == 1) {
            if (r->count != 2 || !is_word(r, 0, first_line) || !is_word(r, 1, "1"))
                return ERR_SYNTAX;
        } else if (r->count > 0) {
            TRY(take_line(r));
        }
        arena_reset(arena);
    }
    return check_whole(&r->record);
}

enum err smtpc_record_parse(
    struct slice text, struct smtpc_record *out_record, struct err_note *note)
{
    struct reader r = { .count = 0 };
    struct arena arena;
    int line_number = 0;
    if (text.len > SMTPC_RECORD_BYTES_MAX)
        return err_noted(note, ERR_LIMIT, "over %u bytes", SMTPC_RECORD_BYTES_MAX);
    arena_init(&arena, 4 * SMTPC_RECORD_BYTES_MAX);
    enum err e = read_lines(&r, &arena, text, &line_number);
    arena_done(&arena);
    if (e) {
        smtpc_record_done(&r.record);
        return err_noted(note, e, "line %d is not as it was written", line_number);
    }
    *out_record = r.record;
    return ERR_OK;
}

/* ---- writing ---- */

/* Words of strangers: what client_words would refuse is replaced. */
static void add_word(struct buf *out, const char *text)
{
    struct slice s = slice_of(text);
    struct buf clean;
    buf_init(&clean, 0);
    for (size_t at = 0, len; at < s.len; at += len) {
        uint32_t c;
        len = utf8_decode(s, at, &c);
        if (len == 0 || (c < 0x20 && c != '\t') || c == 0x7f) {
            buf_addc(&clean, '?');
            len = len ? len : 1;
        } else {
            buf_add(&clean, slice_sub(s, at, len));
        }
    }
    buf_addc(out, ' ');
    client_word_write(buf_slice(&clean), out);
    buf_done(&clean);
}

static void add_line(struct buf *out, const char *name, const char *value)
{
    buf_adds(out, name);
    add_word(out, value);
    buf_addc(out, '\n');
}

static void add_recipient(struct buf *out, const struct smtpc_recipient *one)
{
    buf_adds(out, "to");
    add_word(out, one->address);
    buf_addf(out, " %s %d", fate_names[one->outcome.fate], one->outcome.code);
    add_word(out, one->outcome.text);
    buf_addc(out, '\n');
}

void smtpc_record_write(const struct smtpc_record *record, struct buf *out)
{
    buf_addf(out, "%s 1\n", first_line);
    add_line(out, "from", record->from);
    add_line(out, "message-id", record->message_id);
    add_line(out, "subject", record->subject);
    buf_addf(out, "created %" PRId64 "\nnext %" PRId64 "\n", record->created_s, record->next_s);
    buf_addf(out, "attempts %" PRIu64 "\ndoubts %" PRIu64 "\nbytes %" PRIu64 "\n", record->attempts,
        record->doubts, record->bytes);
    if (record->has_8bit || record->needs_utf8)
        buf_addf(
            out, "needs%s%s\n", record->has_8bit ? " 8bit" : "", record->needs_utf8 ? " utf8" : "");
    buf_addf(out, "copy %s\n", copy_names[record->copy]);
    if (record->envid || record->ret || record->notify) {
        buf_adds(out, "dsn");
        add_word(out, record->envid ? record->envid : "-");
        add_word(out, record->ret ? record->ret : "-");
        add_word(out, record->notify ? record->notify : "-");
        buf_addc(out, '\n');
    }
    for (size_t i = 0; i < record->count; i++)
        add_recipient(out, &record->recipients[i]);
}
