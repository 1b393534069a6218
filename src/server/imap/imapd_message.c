/* The message behind a row: its bytes and its summary. */
#include "server/imap/imapd_int.h"

#include "base/log.h"

#include <stdlib.h>

enum err imapd_source(struct imapd_session *s, const struct store_row *row,
    struct store_body **body, struct msg_source *out_source)
{
    if (row->body.ptr) {
        *out_source = msg_source_memory(row->body);
        return ERR_OK;
    }
    if (!*body)
        TRY(account_body(s->account, row->email, body));
    *out_source = store_body_source(*body);
    return ERR_OK;
}

/* About this many bytes are kept in one write. */
#define KEEP_BYTES (1u << 20)

void imapd_made_init(struct imapd_made *made, enum store_derived_kind kind)
{
    *made = (struct imapd_made){ .kind = kind };
    buf_init(&made->bytes, 0);
}

void imapd_made_done(struct imapd_made *made)
{
    buf_done(&made->bytes);
    free(made->rows);
}

void imapd_made_add(struct imapd_made *made, int64_t email, size_t at)
{
    if (made->count == made->cap) {
        made->cap = made->cap ? made->cap * 2 : 16;
        made->rows = mem_realloc(made->rows, made->cap * sizeof *made->rows);
    }
    made->rows[made->count].email = email;
    made->rows[made->count].at = at;
    made->rows[made->count++].len = buf_len(&made->bytes) - at;
}

void imapd_made_keep(struct imapd_session *s, struct imapd_made *made)
{
    struct store_derived *derived = made->count ? mem_zalloc(made->count, sizeof *derived) : NULL;
    for (size_t i = 0; i < made->count; i++) {
        derived[i].kind = made->kind;
        derived[i].email = made->rows[i].email;
        derived[i].bytes =
            slice_sub(buf_slice(&made->bytes), made->rows[i].at, made->rows[i].len);
    }
    if (made->count) {
        enum err e = account_keep_derived(s->account, derived, made->count);
        log_info("imap.derived", "conn=%llu user=%s %s=%zu made err=%s", conn_id(s->conn),
            LOG_S(slice_of(s->user.address)),
            made->kind == STORE_DERIVED_FILTER ? "filters" : "summaries", made->count,
            err_name(e)); /* not kept: made anew the next time too */
    }
    free(derived);
    made->count = 0;
    buf_clear(&made->bytes);
}

void imapd_made_keep_many(struct imapd_session *s, struct imapd_made *made)
{
    if (buf_len(&made->bytes) >= KEEP_BYTES)
        imapd_made_keep(s, made);
}

enum err imapd_summary(struct imapd_session *s, const struct store_row *row,
    struct store_body **body, struct imapd_made *made, struct msg_summary *out_summary)
{
    enum err e = msg_summary_open(row->summary, out_summary);
    if (e != ERR_CORRUPT)
        return e;
    imapd_made_keep_many(s, made);
    struct msg_source source;
    TRY(imapd_source(s, row, body, &source));
    size_t at = buf_len(&made->bytes);
    e = msg_summary_from(&source, &made->bytes);
    struct slice bytes = slice_from_index(buf_slice(&made->bytes), at);
    if (e == ERR_OK)
        e = msg_summary_open(bytes, out_summary);
    if (e != ERR_OK) {
        buf_truncate(&made->bytes, at);
        return e;
    }
    imapd_made_add(made, row->email, at);
    return ERR_OK;
}
