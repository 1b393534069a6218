/* THREAD and UID THREAD (RFC 5256 §3): a SEARCH, whose result is put into threads. */
#include "server/imap/imapd_sort_int.h"

#include <stdlib.h>

/* thread-list = "(" (thread-members / thread-nested) ")"  RFC 5256 §5: a blank before a number that follows one, and before a list that does. */
static enum err write_threads(
    struct imapd_session *s, bool uid, const uint32_t *tokens, size_t count)
{
    struct buf *out = imapd_out(s);
    bool after_number = false;
    for (size_t i = 0; i < count; i++) {
        bool is_close = tokens[i] == THREAD_CLOSE, is_open = tokens[i] == THREAD_OPEN;
        if (after_number && !is_close)
            buf_addc(out, ' ');
        after_number = !is_close && !is_open;
        if (after_number)
            buf_addu(out, imapd_number(s, uid, tokens[i]));
        else
            buf_addc(out, is_open ? '(' : ')');
        if (i % 1000 == 0)
            TRY(conn_flush_full(s->conn));
    }
    return ERR_OK;
}

static enum err thread(struct imapd_session *s, struct imapd_cmd *cmd, struct uidset *found)
{
    struct imap_thread_args args;
    uint64_t modseq;
    TRY(imap_parse_thread(&cmd->parse, &args));
    TRY(imapd_search_find(s, cmd, &args.search, found, &modseq));
    if (cmd->answered)
        return ERR_OK;
    struct imapd_table table;
    uint32_t *tokens = NULL;
    size_t count = 0;
    if (!uidset_empty(found)) {
        TRY(imapd_table_open(s, thread_facts_of(args.algorithm), found, &table));
        sort_table_thread(table.table, args.algorithm, found, &tokens, &count);
        imapd_table_close(s, &table);
    }
    buf_adds(imapd_out(s), count ? "* THREAD " : "* THREAD");
    enum err e = write_threads(s, cmd->uid, tokens, count);
    free(tokens);
    TRY(e);
    buf_add(imapd_out(s), SLICE("\r\n"));
    return imapd_ok(s, cmd, "", "Threaded");
}

enum err imapd_cmd_thread(struct imapd_session *s, struct imapd_cmd *cmd)
{
    struct uidset found;
    uidset_init(&found);
    enum err e = thread(s, cmd, &found);
    uidset_done(&found);
    return e;
}
