/* STORE (RFC 3501 §6.4.6, RFC 7162 §3.1.3). */
#include "server/imap/imapd_int.h"

/* The flags of messages that were named but did not change: they are told too, unless .SILENT. */
static enum err tell_unchanged(
    struct imapd_session *s, struct imapd_cmd *cmd, const struct uidset *unchanged)
{
    struct buf *out = imapd_out(s);
    struct store_read_args read = { .mailbox = s->view.mailbox, .uids = unchanged };
    struct store_rows rows = { 0 };
    do {
        arena_reset(&s->rows);
        TRY(account_read(s->account, &read, &s->rows, &rows));
        for (size_t i = 0; i < rows.count; i++) {
            const struct store_row *row = &rows.at[i];
            uint32_t number = uidset_rank(&s->view.uids, row->uid);
            if (!number)
                continue;
            TRY(imapd_keywords(s, row->flags));
            buf_add(out, SLICE("* "));
            buf_addu(out, number);
            buf_add(out, SLICE(" FETCH ("));
            if (cmd->uid) {
                buf_add(out, SLICE("UID "));
                buf_addu(out, row->uid);
                buf_addc(out, ' ');
            }
            imapd_write_flags(s, row->uid, row->flags);
            if (s->condstore) {
                buf_add(out, SLICE(" MODSEQ ("));
                buf_addu(out, row->modseq);
                buf_addc(out, ')');
            }
            buf_add(out, SLICE(")\r\n"));
            TRY(conn_flush_full(s->conn));
        }
        read.from_uid = rows.next_uid;
    } while (rows.next_uid);
    return ERR_OK;
}

/* "[MODIFIED set]" in the numbers of the command. */
static enum err answer_modified(
    struct imapd_session *s, struct imapd_cmd *cmd, const struct uidset *modified)
{
    struct uidset numbers;
    uidset_init(&numbers);
    for (size_t i = 0; i < modified->count; i++)
        for (uint32_t uid = modified->runs[i].first;; uid++) {
            uidset_add(&numbers, cmd->uid ? uid : uidset_rank(&s->view.uids, uid));
            if (uid == modified->runs[i].last)
                break;
        }
    struct buf code;
    buf_init(&code, 0);
    buf_adds(&code, "[MODIFIED ");
    uidset_write(&numbers, &code);
    buf_addc(&code, ']');
    buf_addc(&code, 0);
    uidset_done(&numbers);
    enum err e = imapd_ok(s, cmd, buf_slice(&code).ptr, "Some had changed before");
    buf_done(&code);
    return e;
}

static enum err tell(struct imapd_session *s, struct imapd_cmd *cmd, bool silent,
    const struct store_flags_result *result)
{
    struct uidset left, told, quiet;
    uidset_init(&told);
    uidset_init(&quiet);
    uidset_copy(&quiet, &result->done);
    /* What others did and this client has not heard of is no secret (RFC 3501 §6.4.6): MODSEQ alone would say that it has. */
    uidset_subtract(&quiet, &result->news);
    struct imapd_own own = {
        .silent = silent ? &quiet : NULL,
        .modseq = result->modseq,
        .told = silent ? NULL : &told,
    };
    enum err e = imapd_update(s, cmd->uid, cmd->uid, &own);
    uidset_init(&left);
    if (e == ERR_OK && !silent) {
        uidset_copy(&left, &result->done);
        uidset_subtract(&left, &told);
        if (!uidset_empty(&left))
            e = tell_unchanged(s, cmd, &left);
    }
    uidset_done(&left);
    uidset_done(&told);
    uidset_done(&quiet);
    return e;
}

static enum err answer(struct imapd_session *s, struct imapd_cmd *cmd,
    const struct imap_store_args *args, uint64_t named, const struct store_flags_result *result)
{
    enum err e = tell(s, cmd, args->silent, result);
    if (imapd_is_over(
            e)) /* any other trouble does not undo what is done; the next command tells what this one could not */
        return e;
    if (!uidset_empty(&result->modified))
        return answer_modified(s, cmd, &result->modified);
    if (result->keywords_full)
        return imapd_no(s, cmd, "[LIMIT]", "Too many different keywords");
    bool all = uidset_members(&result->done) == named;
    return imapd_ok(s, cmd, all ? "" : IMAPD_EXPUNGEISSUED, "Stored");
}

enum err imapd_cmd_store(struct imapd_session *s, struct imapd_cmd *cmd)
{
    static const enum store_flags_how hows[] = {
        [IMAP_STORE_SET] = STORE_FLAGS_SET,
        [IMAP_STORE_ADD] = STORE_FLAGS_ADD,
        [IMAP_STORE_REMOVE] = STORE_FLAGS_REMOVE,
    };
    struct imap_store_args args;
    TRY(imap_parse_store(&cmd->parse, &args));
    if (s->readonly)
        return imapd_no(s, cmd, "", "The mailbox is open for reading only");
    if (args.has_unchangedsince)
        imapd_condstore_on(s);
    struct uidset uids;
    uidset_init(&uids);
    struct store_flags_result result;
    enum err e = imapd_resolve(s, &args.set, cmd->uid, &uids);
    if (e == ERR_OK) {
        struct store_flags_args change = {
            .mailbox = s->view.mailbox,
            .uids = &uids,
            .how = hows[args.how],
            .flags = imapd_store_flags(&args.flags),
            .has_unchangedsince = args.has_unchangedsince,
            .unchangedsince = args.unchangedsince,
            .known_modseq = s->view.modseq,
        };
        e = account_flags(s->account, &change, &result);
    }
    uint64_t named = uidset_members(&uids);
    uidset_done(&uids);
    TRY(e);
    e = answer(s, cmd, &args, named, &result);
    uidset_done(&result.done);
    uidset_done(&result.modified);
    uidset_done(&result.news);
    return e;
}
