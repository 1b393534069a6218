/* The table of workloads, and those that prepare or wait. */
#include "imap.h"
#include <string.h>

static void setup_session(void *arg) /* creates the mailboxes that some workloads need */
{
    struct sess *s = arg;
    struct imap m;
    char trash[64];
    box_name(trash, sizeof trash, "Trash");
    for (int u = s->id; u < cfg.users; u += cfg.conc) {
        if (imap_open(&m, s, cfg.first + u, -1) < 0)
            return;
        uint64_t t0 = now_ns();
        c_putf(m.c, "a%u CREATE \"%s\"\r\n", ++m.tag, trash);
        if (c_flush(m.c) < 0 || imap_tagged(&m, m.tag, "CREATE") < 0)
            return;
        op_done(s->w, 0, t0, 0);
        imap_close(&m);
    }
}

static void wait_session(void *arg) /* waits until the users hold cfg.expect messages in all */
{
    struct sess *s = arg;
    struct imap m;
    uint64_t t0 = now_ns(), total = 0;
    for (int tries = 0; tries < 600; tries++) {
        total = 0;
        for (int u = 0; u < cfg.users; u++) {
            if (imap_open(&m, s, cfg.first + u, -1) < 0 ||
                imap_cmd(&m, "STATUS \"%s\" (MESSAGES)", cfg.mailbox))
                return;
            total += m.st_messages;
            imap_close(&m);
        }
        if (total >= cfg.expect)
            break;
        co_sleep(s->w, 20000000);
    }
    op_done(s->w, 0, t0, 0);
    s->w->extra[0] = total;
    if (total != cfg.expect)
        err(s->w, "%llu messages, expected %llu", (unsigned long long)total,
            (unsigned long long)cfg.expect);
}

const struct work works[] = {
    { "deliver", deliver_session, NULL, { "transaction", "end_of_data" }, "messages",
        "send messages by LMTP or SMTP (--via)" },
    { "append", append_session, NULL, { "append" }, "messages",
        "IMAP APPEND; --messages N fills every user's mailbox" },
    { "fetch-full", fetch_full_session, NULL, { "command", "first" }, "messages",
        "fetch and check every message; --mode all|single" },
    { "fetch-meta", fetch_meta_session, NULL, { "command", "first" }, "commands",
        "--mode sync|thunderbird|webmail|webmail-all|flags" },
    { "select", select_session, NULL, { "total", "connect", "login", "select" }, "rounds",
        "--mode full|reselect|qresync|status|noop|list" },
    { "store", store_session, NULL, { "store" }, "commands", "--mode single|all" },
    { "copy", copy_session, NULL, { "copy" }, "commands", "copy --range messages at a time" },
    { "move", copy_session, NULL, { "move" }, "commands", "move --range messages at a time" },
    { "grow", grow_session, NULL, { "copy" }, "commands",
        "copy the messages of a mailbox, --range at a time, until there are --expect" },
    { "expunge", expunge_session, NULL, { "total", "store", "expunge" }, "rounds",
        "flag and expunge --range messages at a time" },
    { "search", search_session, NULL,
        { "all", "unseen", "subject", "from", "header", "since", "body", "text" }, "searches",
        "--mode all,unseen,subject,from,header,since,body,text" },
    { "sort", sort_session, NULL, { "arrival", "date", "subject", "size" }, "sorts", "UID SORT" },
    { "thread", sort_session, NULL, { "references" }, "threads", "UID THREAD REFERENCES" },
    { "pop3", pop3_session, NULL, { "session", "connect", "login", "stat", "uidl", "retr", "quit" },
        "sessions", "whole POP3 sessions; --dele, --no-retr" },
    { "login", login_session, NULL, { "total", "connect", "login" }, "logins",
        "--proto imap|pop3, --tls, --resume" },
    { "idle", idle_session, idle_finish, { "told", "connect", "ack", "all_told" }, "notices",
        "open -c idle connections, measure memory and notification" },
    { "mix", mix_session, NULL,
        { "login", "list", "status", "select", "flags", "meta", "body", "store", "search", "copy",
            "expunge", "append", "noop", "logout", "deliver" },
        "commands", "a mix of clients and deliveries for -S seconds" },
    { "setup", setup_session, NULL, { "create" }, "users", "create the mailbox Trash for the mix" },
    { "mailboxes", mailboxes_session, NULL, { "create" }, "mailboxes",
        "create --messages mailboxes for every user" },
    { "verify", verify_session, verify_finish, { "fetch" }, "users",
        "read back what --acked FILE lists and compare each byte" },
    { "wait", wait_session, NULL, { "wait" }, "waits",
        "wait until the users hold --expect messages" },
    { 0 },
};
