/* Waiting for news: of all folders where the server can tell of them (NOTIFY, RFC 5465), of INBOX with IDLE (RFC 2177), or only for time to pass. NOTIFY is
 * on while nothing else is asked: what it says would stand between other answers. */
#include "client/imap/imapc_int.h"

#include "base/clock.h"
#include "client/imap/imapc_mail.h"

/* EXISTS, EXPUNGE, FETCH of INBOX; of other folders what NOTIFY tells. */
static bool is_news(const struct imap_reply *reply)
{
    return reply->numbered || slice_eq_nocase(reply->name, SLICE("STATUS")) ||
           slice_eq_nocase(reply->name, SLICE("LIST")) ||
           slice_eq_nocase(reply->name, SLICE("VANISHED"));
}

/* Sends DONE and takes the rest of the answer. */
static enum err end_idle(struct imapc *imap, unsigned tag, bool *out_news)
{
    buf_adds(&imap->out, "DONE\r\n");
    TRY(imapc_flush(imap));
    for (;;) {
        struct imap_reply reply;
        TRY(imapc_read(imap, NULL, &reply));
        *out_news |= is_news(&reply);
        if (!slice_eq(reply.tag, SLICE("*")) && !slice_eq(reply.tag, SLICE("+")))
            return tag == imap->tag ? ERR_OK : imapc_break(imap, ERR_SYNTAX);
    }
}

/* Until there is news, the other descriptor can be read, or the time is over. */
static enum err listen(
    struct imapc *imap, int other_fd, int64_t until_ms, bool *out_news, bool *out_other)
{
    while (!*out_news && !*out_other) {
        struct imap_reply reply;
        int64_t left_ms = until_ms - clock_mono_ms();
        dial_consume(imap->dial, imap->consume);
        imap->consume = 0;
        if (dial_in(imap->dial).len == 0) {
            enum err e = left_ms > 0 ? dial_wait_or(imap->dial, other_fd, (int)left_ms, out_other)
                                     : ERR_TIMEOUT;
            if (e == ERR_TIMEOUT)
                return ERR_OK;
            if (e != ERR_OK)
                return imapc_break(imap, e);
            if (*out_other)
                return ERR_OK;
        }
        imap->progress_ms = clock_mono_ms();
        TRY(imapc_read(imap, NULL, &reply));
        *out_news = is_news(&reply);
        if (!slice_eq(reply.tag, SLICE("*")) && !slice_eq(reply.tag, SLICE("+")))
            return imapc_break(imap, ERR_SYNTAX); /* it ended IDLE by itself */
    }
    return ERR_OK;
}

/* A server that says it can and then refuses is one that cannot. */
static enum err notify(struct imapc *imap, struct slice command)
{
    enum err e = imapc_command(imap, command);
    return e != ERR_OK && imapc_is_broken(imap) ? e : ERR_OK;
}

static enum err idle(
    struct imapc *imap, int other_fd, int64_t until_ms, bool *out_news, bool *out_other)
{
    unsigned tag = ++imap->tag;
    buf_addf(&imap->out, "b%u IDLE\r\n", tag);
    TRY(imapc_flush(imap));
    TRY(listen(imap, other_fd, until_ms, out_news, out_other));
    imap->progress_ms = clock_mono_ms();
    return end_idle(imap, tag, out_news);
}

/* Numbers that one of both does not have tell nothing. */
static bool is_other(const struct imapc_inbox *known, const struct imapc_box *now)
{
    if (!known->uidvalidity || !now->uidvalidity)
        return false;
    return known->uidvalidity != now->uidvalidity || known->messages != now->exists ||
           (known->uidnext && now->uidnext && known->uidnext != now->uidnext) ||
           (known->modseq && now->modseq && known->modseq != now->modseq);
}

enum err imapc_idle(struct imapc *imap, const struct imapc_inbox *known, int other_fd,
    int timeout_ms, bool *out_news, bool *out_other)
{
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    struct imapc_box box;
    *out_news = *out_other = false;
    TRY(imapc_select(imap, "INBOX", false, &box));
    imapc_box_done(&box);
    imap->progress_ms = clock_mono_ms();
    if (known && is_other(known, &box)) {
        *out_news = true;
        return ERR_OK;
    }
    if (!(imap->caps & IMAPC_IDLE)) {
        enum err e = dial_wait_or(imap->dial, other_fd, timeout_ms, out_other);
        *out_news = e == ERR_OK && !*out_other;
        return e == ERR_TIMEOUT || e == ERR_OK ? ERR_OK : imapc_break(imap, e);
    }
    if (!(imap->caps & IMAPC_NOTIFY))
        return idle(imap, other_fd, until_ms, out_news, out_other);
    TRY(notify(imap, SLICE("NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))"
                           " (personal (MessageNew MessageExpunge FlagChange MailboxName))")));
    TRY(idle(imap, other_fd, until_ms, out_news, out_other));
    return notify(imap, SLICE("NOTIFY NONE"));
}
