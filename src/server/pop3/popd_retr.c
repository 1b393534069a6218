/* RETR and TOP: a message with its dots doubled. Messages asked for one after the other are read ahead together. */
#include "server/pop3/popd_int.h"

#include "base/log.h"

#define PIECE_BYTES (64u << 10)
#define AHEAD_BYTES                                                                                \
    (128u                                                                                          \
        << 10) /* they stay in the processor's cache, and their memory in the program (decisions/0006) */
#define AHEAD_ROWS 64
/* TOP of so many lines is how some programs download without marking as read (fetchmail asks for 99,999,999): no preview. */
#define TOP_WHOLE_LINES 1000000u

/* The bytes from the rows read ahead, or ptr NULL. */
static struct slice from_ahead(struct popd_session *s, const struct popd_message *m)
{
    if (s->ahead_mailbox != m->mailbox)
        return (struct slice){ NULL, 0 };
    for (; s->ahead_at < s->ahead_rows.count; s->ahead_at++)
        if (s->ahead_rows.at[s->ahead_at].uid == m->entry.uid)
            return s->ahead_rows.at[s->ahead_at++].body;
    return (struct slice){ NULL, 0 };
}

void popd_ahead(
    const struct popd_message *m, const struct popd_message *end, struct uidset *out_uids)
{
    uint32_t last = 0;
    for (size_t i = 0; i < AHEAD_ROWS && m + i < end; i++) {
        if (m[i].mailbox != m->mailbox || m[i].entry.uid < last)
            break;
        last = m[i].entry.uid;
        uidset_add(out_uids, last);
    }
}

static struct slice read_ahead(struct popd_session *s, const struct popd_message *m)
{
    struct slice got = from_ahead(s, m);
    if (got.ptr)
        return got;
    struct uidset from;
    uidset_init(&from);
    popd_ahead(m, s->messages + s->message_count, &from);
    arena_reset(&s->ahead);
    s->ahead_rows = (struct store_rows){ 0 };
    s->ahead_at = 0;
    s->ahead_mailbox = m->mailbox;
    enum err e = account_read(s->account,
        &(struct store_read_args){ .mailbox = m->mailbox,
            .uids = &from,
            .need = STORE_NEED_BODY,
            .rows_max = AHEAD_ROWS,
            .bytes_max = AHEAD_BYTES },
        &s->ahead, &s->ahead_rows);
    uidset_done(&from);
    if (e != ERR_OK)
        s->ahead_rows = (struct store_rows){ 0 };
    return from_ahead(s, m);
}

/* Where TOP ends: after the header, its blank line and so many lines. Counts over pieces. */
struct top {
    bool active, in_body, done;
    bool whole; /* asked for so that nothing is left out */
    uint32_t lines;
    unsigned matched; /* of CRLF CRLF */
};

static struct slice cut(struct top *top, struct slice piece)
{
    if (!top->active)
        return piece;
    for (size_t i = 0; i < piece.len; i++) {
        char c = piece.ptr[i];
        if (top->in_body) {
            if (top->lines == 0) {
                top->done = true;
                return slice_sub(piece, 0, i);
            }
            top->lines -= c == '\n';
            continue;
        }
        top->matched = c == (top->matched % 2 ? '\n' : '\r') ? top->matched + 1 : c == '\r';
        top->in_body = top->matched == 4;
    }
    return piece;
}

static enum err send_piece(struct popd_session *s, struct wire_dot_out *dots, struct slice piece)
{
    wire_dot_add(dots, piece, conn_out(s->conn));
    s->bytes_sent += piece.len;
    return conn_flush_full(s->conn);
}

/* As it stands, without a copy, where no line begins with a dot. */
static enum err send_whole(struct popd_session *s, struct wire_dot_out *dots, struct slice bytes)
{
    if (!wire_dot_skip(dots, bytes))
        return send_piece(s, dots, bytes);
    s->bytes_sent += bytes.len;
    return conn_send(s->conn, bytes);
}

/* In pieces; downgrade (NULL: none) makes a surrogate of them. */
static enum err send_source(struct popd_session *s, const struct msg_source *source,
    struct msg_downgrade *downgrade, struct top *top, struct wire_dot_out *dots)
{
    struct buf room, surrogate;
    buf_init(&room, 0);
    buf_init(&surrogate, 0);
    enum err e = ERR_OK;
    for (uint64_t at = 0; at < source->size && e == ERR_OK && !top->done; at += PIECE_BYTES) {
        buf_clear(&room);
        buf_clear(&surrogate);
        e = msg_source_read(source, at, PIECE_BYTES, &room);
        struct slice piece = buf_slice(&room);
        if (downgrade && e == ERR_OK) {
            msg_downgrade_feed(downgrade, piece, &surrogate);
            if (source->size - at <= PIECE_BYTES)
                msg_downgrade_end(downgrade, &surrogate);
            piece = buf_slice(&surrogate);
        }
        if (e == ERR_OK)
            e = send_piece(s, dots, cut(top, piece));
        else
            e = ERR_CLOSED; /* half of it is sent: only an end without the dot tells the client */
    }
    buf_done(&room);
    buf_done(&surrogate);
    return e;
}

static enum err send_surrogate(struct popd_session *s, const struct msg_source *source,
    const struct msg_summary *summary, struct top *top, struct wire_dot_out *dots)
{
    struct msg_downgrade downgrade;
    msg_downgrade_init(&downgrade, summary);
    enum err e = send_source(s, source, &downgrade, top, dots);
    msg_downgrade_done(&downgrade);
    return e;
}

/* The answer, whole. */
static enum err send_from(struct popd_session *s, struct popd_message *m,
    const struct msg_source *source, const struct popd_surrogate *surrogate, struct top *top)
{
    struct wire_dot_out dots = { 0 };
    enum err e;
    (void)popd_ok_number(s, POPD_OCTETS, popd_size(s, m));
    if (surrogate->needed)
        e = send_surrogate(s, source, &surrogate->summary, top, &dots);
    else if (source->whole.ptr)
        e = send_whole(s, &dots, cut(top, source->whole));
    else
        e = send_source(s, source, NULL, top, &dots);
    TRY(e);
    wire_dot_end(&dots, conn_out(s->conn));
    m->taken |= !top->active || (top->whole && !top->done);
    m->seen |= !top->active;
    s->retrieved += !top->active;
    return ERR_OK;
}

static enum err unreadable(struct popd_session *s, const struct popd_message *m, enum err e)
{
    if (e != ERR_NOT_FOUND)
        log_error("pop3.body", "conn=%llu user=%s uid=%u err=%s telling the client",
            conn_id(s->conn), LOG_S(slice_of(s->user.address)), (unsigned)m->entry.uid,
            err_name(e));
    return popd_err(s, "[SYS/TEMP]", POPD_MESSAGE_GONE);
}

static enum err send_message(struct popd_session *s, struct popd_message *m, struct top *top)
{
    struct slice bytes = top->active ? (struct slice){ NULL, 0 } : read_ahead(s, m);
    struct store_body *body = NULL;
    struct popd_surrogate surrogate;
    if (!bytes.ptr) {
        enum err e = account_body(s->account, m->entry.email, &body);
        if (e != ERR_OK)
            return unreadable(s, m, e);
    }
    struct msg_source source = body ? store_body_source(body) : msg_source_memory(bytes);
    enum err e = popd_surrogate_open(s, m, &source, &surrogate);
    e = e == ERR_OK ? send_from(s, m, &source, &surrogate, top) : unreadable(s, m, e);
    popd_surrogate_done(&surrogate);
    store_body_close(body);
    return e;
}

enum err popd_cmd_retr(struct popd_session *s, struct slice rest)
{
    struct popd_message *m = popd_message(s, rest);
    struct top all = { 0 };
    return m ? send_message(s, m, &all) : ERR_OK;
}

enum err popd_cmd_top(struct popd_session *s, struct slice rest)
{
    uint32_t number;
    struct top top = { .active = true, .matched = 2 }; /* a message may begin with its blank line */
    if (pop_parse_top(rest, &number, &top.lines) != ERR_OK)
        return popd_bad(s, POPD_TOP_ARGUMENTS);
    top.whole = top.lines >= TOP_WHOLE_LINES;
    struct slice first, left = slice_trim(rest);
    (void)slice_cut(&left, ' ', &first);
    struct popd_message *m = popd_message(s, first);
    return m ? send_message(s, m, &top) : ERR_OK;
}
