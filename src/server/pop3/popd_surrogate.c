/* What a session without UTF8 is sent of a message with more than ASCII in its headers (RFC 6856 §2.1): its surrogate.
 *
 * Which messages those are, and how long their surrogates, the store knows from their summaries without reading them. Only of summaries that an older
 * version made it is not known before somebody reads the message; the summary is made anew then, and kept. Until then LIST tells the size of the
 * message as it is, as RFC 6858 §4 allows. */
#include "server/pop3/popd_int.h"

#include "base/log.h"

#define KEEP_BYTES (256u << 10) /* of summaries that are made anew, in memory */

uint64_t popd_size(const struct popd_session *s, const struct popd_message *m)
{
    bool as_it_is = s->utf8 || m->surrogate_bytes == MSG_SURROGATE_UNKNOWN;
    return as_it_is ? m->entry.size : m->surrogate_bytes;
}

/* The summary that is stored; ERR_NOT_FOUND, ERR_CORRUPT also when it is an older one. */
static enum err stored(
    struct popd_session *s, const struct popd_message *m, struct popd_surrogate *surrogate)
{
    struct arena arena;
    struct uidset one;
    struct store_rows rows = { 0 };
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    uidset_init(&one);
    uidset_add(&one, m->entry.uid);
    enum err e = account_read(s->account,
        &(struct store_read_args){
            .mailbox = m->mailbox, .uids = &one, .need = STORE_NEED_SUMMARY, .rows_max = 1 },
        &arena, &rows);
    if (e == ERR_OK && (rows.count != 1 || rows.at[0].email != m->entry.email))
        e = ERR_NOT_FOUND;
    if (e == ERR_OK)
        buf_add(&surrogate->bytes, rows.at[0].summary);
    uidset_done(&one);
    arena_done(&arena);
    TRY(e);
    return msg_summary_open(buf_slice(&surrogate->bytes), &surrogate->summary);
}

void popd_made_keep(struct popd_session *s)
{
    struct slice left = buf_slice(&s->made);
    for (size_t i = 0; i < s->made_count; i++) {
        s->made_of[i].bytes = slice_sub(left, 0, s->made_of[i].bytes.len);
        left = slice_from_index(left, s->made_of[i].bytes.len);
    }
    enum err e =
        s->made_count ? account_keep_derived(s->account, s->made_of, s->made_count) : ERR_OK;
    if (e != ERR_OK)
        log_warn("pop3.summary",
            "conn=%llu user=%s count=%zu err=%s making them anew the next time", conn_id(s->conn),
            LOG_S(slice_of(s->user.address)), s->made_count, err_name(e));
    s->made_count = 0;
    buf_clear(&s->made);
}

/* Many together, or at the end of the session: a write for each would wait for the disk each time. */
static void keep_later(struct popd_session *s, int64_t email, struct slice summary)
{
    if (s->made_count == s->made_cap) {
        s->made_cap = s->made_cap ? s->made_cap * 2 : 16;
        s->made_of = mem_realloc(s->made_of, s->made_cap * sizeof *s->made_of);
    }
    s->made_of[s->made_count++] = (struct store_derived){
        .kind = STORE_DERIVED_SUMMARY, .email = email, .bytes = { NULL, summary.len }
    };
    buf_add(&s->made, summary);
    if (buf_len(&s->made) >= KEEP_BYTES)
        popd_made_keep(s);
}

static enum err made(struct popd_session *s, const struct popd_message *m,
    const struct msg_source *source, struct popd_surrogate *surrogate)
{
    buf_clear(&surrogate->bytes);
    TRY(msg_summary_from(source, &surrogate->bytes));
    TRY(msg_summary_open(buf_slice(&surrogate->bytes), &surrogate->summary));
    keep_later(s, m->entry.email, buf_slice(&surrogate->bytes));
    return ERR_OK;
}

enum err popd_surrogate_open(struct popd_session *s, struct popd_message *m,
    const struct msg_source *source, struct popd_surrogate *out_surrogate)
{
    struct msg_facts facts;
    buf_init(&out_surrogate->bytes, 0);
    out_surrogate->needed = false;
    if (s->utf8 || !m->may_need_utf8)
        return ERR_OK;
    if (stored(s, m, out_surrogate) != ERR_OK)
        TRY(made(s, m, source, out_surrogate));
    msg_facts(&out_surrogate->summary, &facts);
    m->may_need_utf8 = out_surrogate->needed = facts.needs_utf8;
    m->surrogate_bytes = facts.surrogate_bytes;
    return ERR_OK;
}

void popd_surrogate_done(struct popd_surrogate *surrogate)
{
    buf_done(&surrogate->bytes);
}
