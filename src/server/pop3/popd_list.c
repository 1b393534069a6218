/* The maildrop: one stable list from login to QUIT (RFC 1939 §5). */
#include "server/pop3/popd_int.h"

#include "base/encode.h"
#include "base/log.h"

#include <stdlib.h>

static enum err take_snapshot(struct popd_session *s, struct maildrop *drop)
{
    struct store_download *list;
    size_t count;
    bool damaged;
    drop->view.uidls = &s->uidls;
    TRY(account_downloads(s->account, &drop->view, &list, &count, &damaged));
    if (damaged)
        log_error("pop3.maildrop", "conn=%llu user=%s err=corrupt messages left out",
            conn_id(s->conn), LOG_S(slice_of(s->user.address)));
    s->messages = mem_alloc(count * sizeof *s->messages);
    for (size_t i = 0; i < count; i++)
        s->messages[i] = (struct popd_message){ .entry = list[i].entry,
            .mailbox = list[i].mailbox,
            .may_need_utf8 = list[i].may_need_utf8,
            .surrogate_bytes = list[i].surrogate_bytes,
            .uidl_at = list[i].uidl_at,
            .uidl_len = list[i].uidl_len };
    s->message_count = count;
    free(list);
    return ERR_OK;
}

/* What is due is gone when the list is made, whether or not the hour of expire.h has come. */
static enum err expire(struct popd_session *s, const struct maildrop *drop)
{
    size_t removed = 0;
    enum err e = maildrop_expire(s->account, &s->user, &s->policy, drop, &removed);
    if (removed)
        log_info("pop3.expire", "conn=%llu user=%s removed=%zu taken %u days ago or earlier",
            conn_id(s->conn), LOG_S(slice_of(s->user.address)), removed, s->policy.after_days);
    return e;
}

enum err popd_open_maildrop(struct popd_session *s)
{
    struct maildrop drop;
    enum err e = maildrop_open(s->account, &s->policy, s->user.device, &drop);
    enum err expired = e == ERR_OK ? expire(s, &drop) : ERR_OK;
    if (expired != ERR_OK) /* stays a little longer */
        log_error("pop3.expire", "conn=%llu user=%s err=%s nothing was removed", conn_id(s->conn),
            LOG_S(slice_of(s->user.address)), err_name(expired));
    if (e == ERR_OK)
        e = take_snapshot(s, &drop);
    maildrop_done(&drop);
    return e;
}

enum err popd_cmd_stat(struct popd_session *s)
{
    uint64_t bytes = 0;
    size_t count = 0;
    for (size_t i = 0; i < s->message_count; i++)
        if (!s->messages[i].deleted) {
            bytes += popd_size(s, &s->messages[i]);
            count++;
        }
    buf_addf(conn_out(s->conn), "+OK %zu %llu\r\n", count, (unsigned long long)bytes);
    return ERR_OK;
}

struct popd_message *popd_message(struct popd_session *s, struct slice rest)
{
    uint32_t number;
    enum err e = pop_parse_number(rest, &number);
    if (e != ERR_OK) {
        (void)popd_bad(s, e == ERR_NOT_FOUND ? POPD_NUMBER_MISSING : POPD_NUMBER_BAD);
        return NULL;
    }
    if (number > s->message_count || s->messages[number - 1].deleted) {
        (void)popd_err(s, "", POPD_MESSAGE_NONE);
        return NULL;
    }
    return &s->messages[number - 1];
}

static void line(struct popd_session *s, const struct popd_message *m, bool uidl)
{
    struct buf *out = conn_out(s->conn);
    buf_addu(out, (uint64_t)(m - s->messages) + 1);
    buf_addc(out, ' ');
    if (uidl && m->uidl_len)
        buf_add(out, slice_sub(buf_slice(&s->uidls), m->uidl_at, m->uidl_len));
    else if (uidl)
        hex_encode(out, slice_from(m->entry.guid, sizeof m->entry.guid));
    else
        buf_addu(out, popd_size(s, m));
    buf_add(out, SLICE("\r\n"));
}

enum err popd_cmd_list(struct popd_session *s, struct slice rest, bool uidl)
{
    if (slice_trim(rest).len) {
        const struct popd_message *m = popd_message(s, rest);
        if (m) {
            buf_adds(conn_out(s->conn), "+OK ");
            line(s, m, uidl);
        }
        return ERR_OK;
    }
    (void)popd_ok(s, POPD_LISTING);
    for (size_t i = 0; i < s->message_count; i++) {
        if (!s->messages[i].deleted)
            line(s, &s->messages[i], uidl);
        TRY(conn_flush_full(s->conn));
    }
    buf_adds(conn_out(s->conn), ".\r\n");
    return ERR_OK;
}

enum err popd_cmd_dele(struct popd_session *s, struct slice rest)
{
    struct popd_message *m = popd_message(s, rest);
    if (!m)
        return ERR_OK;
    m->deleted = true;
    return popd_ok(s, POPD_MARKED);
}

enum err popd_cmd_rset(struct popd_session *s)
{
    for (size_t i = 0; i < s->message_count; i++)
        s->messages[i].deleted = false;
    return popd_ok(s, POPD_UNMARKED);
}

static enum err update(struct popd_session *s)
{
    struct store_downloaded *at = mem_alloc(s->message_count * sizeof *at);
    size_t count = 0;
    bool goes = s->policy.after == POP_AFTER_QUIT;
    for (size_t i = 0; i < s->message_count; i++) {
        const struct popd_message *m = &s->messages[i];
        if (m->deleted || m->taken)
            at[count++] = (struct store_downloaded){ .mailbox = m->mailbox,
                .uid = m->entry.uid,
                .email = m->entry.email,
                .taken = m->taken,
                .seen = m->seen && s->policy.mark_read,
                .removed = m->deleted,
                .may_go = m->taken && goes };
    }
    enum err e =
        count ? maildrop_end(s->account, &s->user, &s->policy, at, count, &s->expunged) : ERR_OK;
    free(at);
    return e;
}

enum err popd_cmd_quit(struct popd_session *s)
{
    s->closing = true;
    popd_made_keep(s);
    enum err e = update(s);
    server_session_release(s->server_session);
    if (e == ERR_OK)
        return popd_ok(s, POPD_GOODBYE);
    log_error("pop3.quit", "conn=%llu user=%s err=%s nothing was removed", conn_id(s->conn),
        LOG_S(slice_of(s->user.address)), err_name(e));
    return popd_err(s, "[SYS/TEMP]", POPD_QUIT_FAILED);
}
