/* The message behind a row: its bytes and its summary. */
#include "server/imap/imapd_int.h"

#include "base/log.h"

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

/* LATER: written back in the background, when an upgrade first meets a large mailbox; until then `barid rebuild` does it. */
enum err imapd_summary(struct imapd_session *s, const struct store_row *row,
    struct store_body **body, struct buf *made, struct msg_summary *out_summary)
{
    enum err e = msg_summary_open(row->summary, out_summary);
    if (e != ERR_CORRUPT)
        return e;
    if (!s->summary_told)
        log_warn("imap.summary", "conn=%llu user=%s uid=%u damaged or of another version, made anew for the answer: run barid rebuild",
            conn_id(s->conn), LOG_S(slice_of(s->user.address)), row->uid);
    s->summary_told = true;
    struct msg_source source;
    TRY(imapd_source(s, row, body, &source));
    buf_clear(made);
    TRY(msg_summary_from(&source, made));
    return msg_summary_open(buf_slice(made), out_summary);
}
