/* Waiting for news (IDLE, RFC 2177), or only for time to pass where the server has no word for it. */
#include "client/imap/imapc_int.h"

#include "base/clock.h"

/* Sends DONE and takes the rest of the answer. */
static enum err end_idle(struct imapc *imap, unsigned tag, bool *out_news)
{
    buf_adds(&imap->out, "DONE\r\n");
    TRY(imapc_flush(imap));
    for (;;) {
        struct imap_reply reply;
        TRY(imapc_read(imap, NULL, &reply));
        if (reply.numbered)
            *out_news = true;
        if (!slice_eq(reply.tag, SLICE("*")) && !slice_eq(reply.tag, SLICE("+")))
            return tag == imap->tag ? ERR_OK : imapc_break(imap, ERR_SYNTAX);
    }
}

/* Until a numbered answer (EXISTS, EXPUNGE, FETCH), the other descriptor, or the time. */
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
        *out_news = reply.numbered;
        if (!slice_eq(reply.tag, SLICE("*")) && !slice_eq(reply.tag, SLICE("+")))
            return imapc_break(imap, ERR_SYNTAX); /* it ended IDLE by itself */
    }
    return ERR_OK;
}

enum err imapc_idle(
    struct imapc *imap, int other_fd, int timeout_ms, bool *out_news, bool *out_other)
{
    int64_t until_ms = clock_mono_ms() + timeout_ms;
    *out_news = *out_other = false;
    TRY(imapc_command(imap, SLICE("SELECT \"INBOX\"")));
    imap->progress_ms = clock_mono_ms();
    if (!(imap->caps & IMAPC_IDLE)) {
        enum err e = dial_wait_or(imap->dial, other_fd, timeout_ms, out_other);
        *out_news = e == ERR_OK && !*out_other;
        return e == ERR_TIMEOUT || e == ERR_OK ? ERR_OK : imapc_break(imap, e);
    }
    unsigned tag = ++imap->tag;
    buf_addf(&imap->out, "b%u IDLE\r\n", tag);
    TRY(imapc_flush(imap));
    TRY(listen(imap, other_fd, until_ms, out_news, out_other));
    imap->progress_ms = clock_mono_ms();
    return end_idle(imap, tag, out_news);
}
