/* Filing for one local user. The quota is set anew with each delivery, so that a change in the directory holds at once. */
#include "deliver/deliver.h"

#include "base/limits.h"
#include "base/rand.h"
#include "base/utf8.h"
#include "deliver/quota.h"
#include "message/address.h"

static enum err open_account(
    struct store *store, const struct user *user, struct account **out_account)
{
    TRY(store_account(store, slice_of(user->id), true, out_account));
    account_quota_set(*out_account, user->quota_bytes, user->quota_messages);
    return ERR_OK;
}

/* The folder that the address asks for, whatever its case; INBOX when there is none. */
static enum err find_mailbox(struct account *account, struct slice detail, int64_t *out_id)
{
    struct arena arena;
    struct mailbox box, *list;
    size_t count;
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    enum err e = account_mailbox(account, SLICE("INBOX"), &arena, &box);
    if (e == ERR_OK)
        *out_id = box.id;
    if (e == ERR_OK && detail.len && account_mailboxes(account, &arena, &list, &count) == ERR_OK)
        for (size_t i = 0; i < count; i++)
            if (list[i].exists && !list[i].noselect && slice_eq_nocase(list[i].name, detail))
                *out_id = list[i].id;
    arena_done(&arena);
    return e;
}

enum err deliver_file(const struct deliver_args *args, bool *out_over_quota)
{
    struct account *account;
    *out_over_quota = false;
    TRY(open_account(args->store, args->user, &account));
    int64_t mailbox = 0;
    enum err e = find_mailbox(account, args->detail, &mailbox);
    if (e == ERR_OK) {
        struct store_append item = {
            .blob = args->blob, .received_s = args->received_s, .guid = args->guid
        };
        struct store_append_result result = { 0 };
        e = account_append(account, mailbox, &item, 1, &result);
        *out_over_quota = e == ERR_NO_SPACE && result.over_quota;
        if (e == ERR_OK)
            deliver_watch_quota(args, account);
    }
    account_unref(account);
    return e == ERR_EXISTS ? ERR_OK : e;
}

bool deliver_full(struct store *store, const struct user *user)
{
    struct account *account;
    struct account_usage usage = { 0 };
    if ((!user->quota_bytes && !user->quota_messages) ||
        open_account(store, user, &account) != ERR_OK)
        return false; /* what is wrong shows when the message is filed */
    enum err e = account_usage(account, &usage);
    account_unref(account);
    return e == ERR_OK && ((user->quota_bytes && usage.bytes >= user->quota_bytes) ||
                              (user->quota_messages && usage.messages >= user->quota_messages));
}

enum deliver_test deliver_test_of(struct slice detail)
{
    if (slice_eq_nocase(detail, SLICE("tempfail")))
        return DELIVER_TEST_TEMPFAIL;
    if (slice_eq_nocase(detail, SLICE("permfail")))
        return DELIVER_TEST_PERMFAIL;
    return slice_eq_nocase(detail, SLICE("slow")) ? DELIVER_TEST_SLOW : DELIVER_TEST_NONE;
}

void deliver_write_bounce(const struct deliver_bounce *b, struct buf *out)
{
    unsigned long long mark[2];
    char date[40];
    rand_bytes(mark, sizeof mark);
    size_t date_len = msg_date_write(b->now_s, date);
    buf_addf(out,
        "Return-Path: <>\r\nFrom: Mail Delivery System <postmaster@%s>\r\nTo: <%.*s>\r\n"
        "Date: %.*s\r\nMessage-ID: <%016llx%016llx@%s>\r\n"
        "Subject: Undelivered mail / =?utf-8?B?2LHYs9in2YTYqSDZhNmFINiq2LXZhA==?=\r\n"
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        "Content-Transfer-Encoding: 8bit\r\n" /* a part has it (RFC 2045 §6.4) */
        "Content-Type: multipart/report; report-type=delivery-status; "
        "boundary=\"b%016llx\"\r\n\r\n",
        b->hostname, SLICE_FMT(b->sender), (int)date_len, date, mark[0], mark[1], b->hostname,
        mark[0]);
    buf_addf(out,
        "--b%016llx\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
        "8bit\r\n\r\n"
        "Your message was not delivered to <%.*s>:\r\n%.*s\r\n\r\n"
        "لم تصل رسالتك إلى <%.*s>. السبب بالإنجليزية في السطر السابق.\r\n\r\n",
        mark[0], SLICE_FMT(b->recipient), SLICE_FMT(b->status), SLICE_FMT(b->recipient));
    /* What is not ASCII has types of its own (RFC 6533 §3, §4, §6). */
    bool ascii = slice_is_ascii(b->recipient);
    buf_addf(out,
        "--b%016llx\r\nContent-Type: message/%s\r\n\r\nReporting-MTA: dns; %s\r\n\r\n"
        "Final-Recipient: %s; %.*s\r\nAction: failed\r\nStatus: 5.0.0\r\n"
        "Diagnostic-Code: x-barid; %.*s\r\n\r\n",
        mark[0],
        ascii ? "delivery-status" : "global-delivery-status\r\nContent-Transfer-Encoding: 8bit",
        b->hostname, ascii ? "rfc822" : "utf-8", SLICE_FMT(b->recipient), SLICE_FMT(b->status));
    buf_addf(out, "--b%016llx\r\nContent-Type: %s\r\n\r\n", mark[0],
        slice_is_ascii(b->header) ? "text/rfc822-headers"
                                  : "message/global-headers\r\nContent-Transfer-Encoding: 8bit");
    buf_add(out, b->header);
    buf_addf(out, "\r\n--b%016llx--\r\n", mark[0]);
}
