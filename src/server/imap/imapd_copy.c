/* COPY, MOVE, EXPUNGE and their UID forms (RFC 3501 §6.4.3, §6.4.7; RFC 6851; RFC 4315). */
#include "server/imap/imapd_int.h"

#include <stdio.h>

static void write_copyuid(struct buf *out, const struct store_copy_result *result)
{
    buf_adds(out, "[COPYUID ");
    buf_addu(out, result->uidvalidity);
    buf_addc(out, ' ');
    uidset_write(&result->source, out);
    buf_addc(out, ' ');
    uidset_write(&result->target, out);
    buf_addc(out, ']');
}

static enum err answer(struct imapd_session *s, struct imapd_cmd *cmd, bool move, bool named,
    const struct store_copy_result *result)
{
    if (uidset_empty(&result->source)) {
        if (named && !cmd->uid) /* RFC 2180 §4.4.1 */
            return imapd_no(s, cmd, IMAPD_EXPUNGEISSUED, "Expunged by another session");
        return imapd_ok(s, cmd, "", "Nothing there to copy");
    }
    if (move) { /* before the EXPUNGEs (RFC 6851 §4.3) */
        buf_adds(imapd_out(s), "* OK ");
        write_copyuid(imapd_out(s), result);
        buf_adds(imapd_out(s), " Moved\r\n");
        return imapd_ok(s, cmd, "", "Moved");
    }
    struct buf code;
    buf_init(&code, 0);
    write_copyuid(&code, result);
    buf_addc(&code, 0);
    enum err e = imapd_ok(s, cmd, buf_slice(&code).ptr, "Copied");
    buf_done(&code);
    return e;
}

enum err imapd_cmd_copy(struct imapd_session *s, struct imapd_cmd *cmd)
{
    struct imap_copy_args args;
    TRY(imap_parse_copy(&cmd->parse, &args));
    bool move = slice_eq_nocase(cmd->command->name, SLICE("MOVE"));
    if (move && s->readonly)
        return imapd_no(s, cmd, "", "The mailbox is open for reading only");
    struct uidset uids;
    uidset_init(&uids);
    struct mailbox target;
    enum err e = imapd_resolve(s, &args.set, cmd->uid, &uids);
    enum err found = e == ERR_OK ? imapd_mailbox(s, args.mailbox, &target) : ERR_OK;
    struct store_copy_result result = { 0 };
    if (e == ERR_OK && found == ERR_OK) {
        struct store_copy_args copy = {
            .from = s->view.mailbox, .to = target.id, .uids = &uids, .move = move
        };
        e = account_copy(s->account, &copy, &result);
        found = e == ERR_NOT_FOUND ? ERR_NOT_FOUND : ERR_OK;
    }
    bool named = !uidset_empty(&uids);
    uidset_done(&uids);
    if (found == ERR_NOT_FOUND)
        return imapd_no(s, cmd, "[TRYCREATE]", "No such mailbox");
    TRY(found);
    if (e == ERR_NO_SPACE && result.over_quota)
        return imapd_no(s, cmd, "[OVERQUOTA]", "The quota is used up");
    TRY(e);
    e = answer(s, cmd, move, named, &result);
    uidset_done(&result.source);
    uidset_done(&result.target);
    return e;
}

static enum err expunge(
    struct imapd_session *s, struct imapd_cmd *cmd, struct uidset *uids, struct uidset *gone)
{
    if (cmd->uid) {
        struct imap_set set;
        TRY(imap_parse_set(&cmd->parse, &set));
        TRY(imapd_resolve(s, &set, true, uids));
    } else {
        TRY(imap_parse_nothing(&cmd->parse));
        /* Only what this client was told of: a message that came since is not its to remove. */
        uidset_copy(uids, &s->view.uids);
    }
    if (s->readonly)
        return imapd_no(s, cmd, "", "The mailbox is open for reading only");
    struct store_expunge_args args = {
        .mailbox = s->view.mailbox, .uids = uids, .deleted_only = true
    };
    TRY(account_expunge(s->account, &args, gone));
    if (!s->qresync || uidset_empty(gone))
        return imapd_ok(s, cmd, "", "Expunged");
    enum err e = imapd_update(s, true, cmd->uid, NULL);
    if (e != ERR_OK) /* they are gone all the same */
        return imapd_is_over(e) ? e : imapd_ok(s, cmd, "", "Expunged");
    char code[48]; /* RFC 7162 §3.2.7 */
    snprintf(code, sizeof code, "[HIGHESTMODSEQ %llu]", (unsigned long long)imapd_known_modseq(s));
    return imapd_ok(s, cmd, code, "Expunged");
}

enum err imapd_cmd_expunge(struct imapd_session *s, struct imapd_cmd *cmd)
{
    struct uidset uids, gone;
    uidset_init(&uids);
    uidset_init(&gone);
    enum err e = expunge(s, cmd, &uids, &gone);
    uidset_done(&uids);
    uidset_done(&gone);
    return e;
}
