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

/* What the numbers of mailboxes are compared with while NOTIFY begins. */
struct comparing {
    const struct imapc_known *known;
    bool differs;
};

static enum err compare_status(struct imapc_task *task, const struct imap_reply *reply)
{
    struct comparing *comparing = task->owner;
    const struct imap_value *name = reply->values;
    struct imapc_numbers now = { 0 };
    if (!slice_eq_nocase(reply->name, SLICE("STATUS")) || !name || name->kind == IMAP_VALUE_LIST ||
        !name->next ||
        imap_value_u32(imap_value_item(name->next, SLICE("UIDVALIDITY")), &now.uidvalidity) ||
        imap_value_u32(imap_value_item(name->next, SLICE("MESSAGES")), &now.messages))
        return ERR_OK;
    if (imap_value_u32(imap_value_item(name->next, SLICE("UIDNEXT")), &now.uidnext))
        now.uidnext = 0;
    if (imap_value_u64(imap_value_item(name->next, SLICE("HIGHESTMODSEQ")), &now.modseq))
        now.modseq = 0;
    comparing->differs |= imapc_known_differs(comparing->known, name->text, &now);
    return ERR_OK;
}

/* A server that says it can and then refuses is one that cannot. */
static enum err notify_on(struct imapc *imap, const struct imapc_known *known, bool *out_news)
{
    struct comparing comparing = { .known = known };
    struct imapc_task task = { .data = known ? compare_status : NULL, .owner = &comparing };
    imapc_queuef(imap, &task,
        "NOTIFY SET%s (selected (MessageNew MessageExpunge FlagChange))"
        " (personal (MessageNew MessageExpunge FlagChange MailboxName))",
        known ? " STATUS" : "");
    TRY(imapc_run(imap, &task));
    *out_news = comparing.differs;
    return ERR_OK;
}

static enum err notify_off(struct imapc *imap)
{
    enum err e = imapc_command(imap, SLICE("NOTIFY NONE"));
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

static struct imapc_numbers numbers_of(const struct imapc_box *box)
{
    return (struct imapc_numbers){ .uidvalidity = box->uidvalidity,
        .uidnext = box->uidnext,
        .messages = box->exists,
        .modseq = box->modseq };
}

enum err imapc_idle(struct imapc *imap, const struct imapc_known *known, int other_fd,
    int timeout_ms, bool *out_news, bool *out_other)
{
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    struct imapc_box box;
    *out_news = *out_other = false;
    TRY(imapc_select(imap, "INBOX", false, &box));
    imapc_box_done(&box);
    imap->progress_ms = clock_mono_ms();
    struct imapc_numbers inbox = numbers_of(&box);
    if (known && imapc_known_differs(known, SLICE("INBOX"), &inbox)) {
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
    TRY(notify_on(imap, known, out_news));
    if (!*out_news)
        TRY(idle(imap, other_fd, until_ms, out_news, out_other));
    return notify_off(imap);
}
