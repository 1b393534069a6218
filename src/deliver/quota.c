/* The message that tells an owner, once, how full the mailbox is. Arabic and English in one: nobody knows which its reader has. */
#include "deliver/quota.h"

#include "base/clock.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/rand.h"
#include "message/address.h"

#include <stdio.h>
#include <stdlib.h>

/* So far below the mark it has to go before filling up again is worth a message. */
#define CALM_8THS 7u
#define DAY_S     86400

/* ---- what it says ---- */

static const char *size_text(uint64_t bytes, char *out, size_t out_bytes)
{
    static const char *const units[] = { "KB", "MB", "GB", "TB" };
    double size = (double)bytes / 1024;
    size_t unit = 0;
    for (; size >= 1023.95 && unit + 1 < sizeof units / sizeof units[0]; unit++)
        size /= 1024;
    (void)snprintf(out, out_bytes, "%.1f %s", size, units[unit]);
    return out;
}

void deliver_write_quota_warning(const struct deliver_quota_warning *w, struct buf *out)
{
    unsigned long long mark[2];
    char date[40], used[32], most[32], trash[32], junk[32], old[32];
    rand_bytes(mark, sizeof mark);
    size_t date_len = msg_date_write(w->now_s, date);
    if (w->in_messages) {
        (void)snprintf(used, sizeof used, "%llu", (unsigned long long)w->used);
        (void)snprintf(most, sizeof most, "%llu", (unsigned long long)w->most);
    } else {
        size_text(w->used, used, sizeof used);
        size_text(w->most, most, sizeof most);
    }
    size_text(w->trash, trash, sizeof trash);
    size_text(w->junk, junk, sizeof junk);
    size_text(w->old_inbox, old, sizeof old);
    buf_addf(out,
        "Return-Path: <>\r\nFrom: Mail server <postmaster@%s>\r\nTo: <%.*s>\r\n"
        "Date: %.*s\r\nMessage-ID: <%016llx%016llx@%s>\r\n"
        "Subject: =?utf-8?B?2LXZhtiv2YjZgiDYqNix2YrYr9mDINmK2YXYqtmE2KY=?= / Your mailbox is "
        "filling up\r\n"
        "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        w->hostname, SLICE_FMT(w->address), (int)date_len, date, mark[0], mark[1], w->hostname);
    buf_addf(out,
        "صندوق بريدك يمتلئ: استُعمل منه %s من أصل %s%s، أي %u%%.\r\n"
        "إذا امتلأ كله فلن تصل إليك رسائل جديدة.\r\n\r\n"
        "ما الذي يوفر مكانًا:\r\n"
        "- إفراغ المهملات: %s\r\n- إفراغ الرسائل المزعجة: %s\r\n"
        "- رسائل في صندوق الوارد مضى عليها %d يومًا أو أكثر: %s. إذا كنت تقرأ بريدك على حاسوب واحد\r\n"
        "  فقط، فبرنامج يستعمل POP3 ينزّلها إليه ويحذفها من هنا، وتصبح نسخة الحاسوب هي الوحيدة.\r\n\r\n"
        "لن تتكرر هذه الرسالة ما لم يتوفر مكان ثم يمتلئ من جديد.\r\n\r\n",
        used, most, w->in_messages ? " رسالة" : "", w->percent, trash, junk, DELIVER_OLD_DAYS, old);
    buf_addf(out,
        "Your mailbox is filling up: %s of %s%s are used, that is %u%%.\r\n"
        "When it is full no new mail reaches you.\r\n\r\n"
        "What makes room:\r\n"
        "- emptying Trash: %s\r\n- emptying Junk: %s\r\n"
        "- messages in the inbox that are %d days old or older: %s. If you read your mail on one computer\r\n"
        "  only, a program that uses POP3 downloads them and removes them here; the computer then has the\r\n"
        "  only copy.\r\n\r\n"
        "This is not said again unless there was room meanwhile.\r\n",
        used, most, w->in_messages ? " messages" : "", w->percent, trash, junk, DELIVER_OLD_DAYS,
        old);
}

/* ---- when ---- */

static enum err find_numbers(struct account *account, struct arena *arena,
    struct deliver_quota_warning *warning, int64_t *out_inbox)
{
    struct mailbox *boxes;
    struct store_download *list;
    size_t count;
    bool damaged;
    TRY(account_mailboxes(account, arena, &boxes, &count));
    for (size_t i = 0; i < count; i++) {
        if (boxes[i].use == STORE_USE_TRASH)
            warning->trash += boxes[i].bytes;
        if (boxes[i].use == STORE_USE_JUNK)
            warning->junk += boxes[i].bytes;
        if (slice_eq(boxes[i].name, SLICE("INBOX")))
            *out_inbox = boxes[i].id;
    }
    struct store_download_view view = { .mailboxes = out_inbox, .mailbox_count = 1 };
    TRY(account_downloads(account, &view, &list, &count, &damaged));
    for (size_t i = 0; i < count; i++)
        if (list[i].entry.received_s <= warning->now_s - DELIVER_OLD_DAYS * DAY_S)
            warning->old_inbox += list[i].entry.size;
    free(list);
    return ERR_OK;
}

static enum err file_warning(const struct deliver_args *args, struct account *account,
    const struct deliver_quota_warning *warning, int64_t inbox)
{
    struct buf text;
    struct blob *blob;
    TRY(blob_new(args->store, MESSAGE_BYTES_MAX, &blob));
    buf_init(&text, 0);
    deliver_write_quota_warning(warning, &text);
    enum err e = blob_write(blob, buf_slice(&text));
    if (e == ERR_OK)
        e = blob_finish(blob);
    struct store_append item = { .blob = blob, .received_s = warning->now_s };
    if (e == ERR_OK)
        e = account_quota_warn(account, inbox, &item);
    blob_unref(blob);
    buf_done(&text);
    return e == ERR_EXISTS ? ERR_OK : e;
}

static enum err warn(const struct deliver_args *args, struct account *account, unsigned percent)
{
    const struct user *user = args->user;
    struct account_usage usage;
    struct arena arena;
    TRY(account_usage(account, &usage));
    struct deliver_quota_warning warning = { .hostname = args->hostname,
        .address = slice_of(user->address),
        .percent = percent,
        .now_s = clock_wall_s() };
    double of_bytes =
        user->quota_bytes ? (double)usage.bytes / (double)user->quota_bytes : 0;
    double of_messages =
        user->quota_messages ? (double)usage.messages / (double)user->quota_messages : 0;
    warning.in_messages = of_messages > of_bytes;
    warning.used = warning.in_messages ? usage.messages : usage.bytes;
    warning.most = warning.in_messages ? user->quota_messages : user->quota_bytes;
    int64_t inbox = 0;
    arena_init(&arena, COMMAND_ARENA_BYTES_MAX);
    enum err e = find_numbers(account, &arena, &warning, &inbox);
    arena_done(&arena);
    return e == ERR_OK ? file_warning(args, account, &warning, inbox) : e;
}

void deliver_watch_quota(const struct deliver_args *args, struct account *account)
{
    unsigned percent;
    bool warned;
    if (!args->warn_percent || (!args->user->quota_bytes && !args->user->quota_messages))
        return;
    enum err e = account_quota_percent(account, &percent, &warned);
    if (e == ERR_OK && !warned && percent >= args->warn_percent)
        e = warn(args, account, percent);
    else if (e == ERR_OK && warned && percent * 8 < args->warn_percent * CALM_8THS)
        e = account_quota_calm(account);
    if (e != ERR_OK) /* the next delivery tries again */
        log_warn("deliver.quota", "user=%s err=%s its owner is not told yet",
            LOG_S(slice_of(args->user->address)), err_name(e));
}
