/* IDLE (RFC 2177). The watch calls conn_wake and nothing else; what changed is read by the session itself. */
#include "server/imap/imapd_int.h"

static void changed(void *watch_arg, const struct store_change *changes, size_t count)
{
    const struct imapd_watch *watch = watch_arg;
    for (size_t i = 0; i < count; i++) {
        if (changes[i].mailbox == watch->mailbox) {
            conn_wake(watch->conn);
            return;
        }
    }
}

void imapd_idle_end(struct imapd_session *s)
{
    if (!s->watch)
        return;
    account_unwatch(s->watch);
    conn_unref(s->watch_arg.conn);
    s->watch = NULL;
}

enum err imapd_idle_woken(struct imapd_session *s)
{
    enum err e = imapd_update(s, true, false, NULL);
    return e == ERR_BUSY ? ERR_OK : e;
}

enum err imapd_cmd_idle(struct imapd_session *s, struct imapd_cmd *cmd)
{
    TRY(imap_parse_nothing(&cmd->parse));
    imapd_keep_tag(s, cmd->tag);
    cmd->answered = true;
    s->mode = IMAPD_MODE_IDLE;
    if (s->state == IMAPD_SELECTED) {
        s->watch_arg =
            (struct imapd_watch){ .conn = conn_ref(s->conn), .mailbox = s->view.mailbox };
        /* First the watch, then the look: no change falls between them. */
        s->watch = account_watch(s->account, changed, &s->watch_arg);
    }
    buf_adds(imapd_out(s), "+ Idling\r\n");
    enum err e = imapd_update(s, true, false, NULL);
    return e == ERR_CLOSED || e == ERR_TIMEOUT || e == ERR_CANCELED ? e : ERR_OK;
}

enum err imapd_idle_line(struct imapd_session *s, struct slice line)
{
    struct imapd_cmd cmd = { .tag = slice_from(s->tag, s->tag_len) };
    imapd_idle_end(s);
    s->mode = IMAPD_MODE_COMMAND;
    if (!slice_eq_nocase(line, SLICE("DONE")))
        return imapd_bad(s, &cmd, "DONE was expected");
    return imapd_ok(s, &cmd, "", "Idled");
}
