/* The queue verb: what waits, what was refused, and what to do about it. */
#include "bin/verb_queue.h"

#include "base/clock.h"
#include "bin/json.h"
#include "bin/send_common.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- showing ---- */

static void say_recipient(const struct smtpc_record *record, const struct smtpc_recipient *one)
{
    char when[32];
    struct buf why;
    buf_init(&why, 0);
    send_add_outcome(&one->outcome, &why);
    buf_addc(&why, '\0');
    const char *text = buf_slice(&why).ptr;
    int64_t next_s = record->next_s > clock_wall_s() ? record->next_s : clock_wall_s();
    if (one->outcome.fate == SMTPC_SENT)
        cli_say(MSG_QUEUE_SENT, one->address);
    else if (one->outcome.fate == SMTPC_REFUSED)
        cli_say(MSG_QUEUE_REFUSED, one->address, text);
    else
        cli_say(MSG_QUEUE_WAITS, one->address, cli_time(next_s, when, sizeof when), text);
    buf_done(&why);
}

static void say_entry(const char *account, const char *id, const struct smtpc_record *record)
{
    char when[32];
    struct buf subject;
    buf_init(&subject, 0);
    cli_add_safe(&subject, slice_of(record->subject));
    buf_addc(&subject, '\0');
    cli_say(MSG_QUEUE_ENTRY, id, cli_time(record->created_s, when, sizeof when), account,
        buf_slice(&subject).ptr);
    buf_done(&subject);
    for (size_t i = 0; i < record->count; i++)
        say_recipient(record, &record->recipients[i]);
    if (record->copy == SMTPC_COPY_DUE && smtpc_record_count(record, SMTPC_WAITS) == 0 &&
        smtpc_record_count(record, SMTPC_SENT) > 0)
        cli_say(MSG_QUEUE_COPY_DUE);
}

static void print_entry(
    const char *account, const char *id, const struct smtpc_record *record, bool first)
{
    static const char *const fates[] = { "waits", "sent", "refused" };
    static const char *const copies[] = { "none", "server", "due", "done" };
    printf("%s{\"id\":\"%s\",\"account\":", first ? "" : ",", id);
    json_print(slice_of(account));
    printf(",\"from\":");
    json_print(slice_of(record->from));
    printf(",\"subject\":");
    json_print(slice_of(record->subject));
    printf(",\"message_id\":");
    json_print(slice_of(record->message_id));
    printf(",\"created\":%" PRId64 ",\"next\":%" PRId64 ",\"attempts\":%" PRIu64
           ",\"bytes\":%" PRIu64 ",\"copy\":\"%s\",\"recipients\":[",
        record->created_s, record->next_s, record->attempts, record->bytes, copies[record->copy]);
    for (size_t i = 0; i < record->count; i++) {
        const struct smtpc_recipient *one = &record->recipients[i];
        printf("%s{\"address\":", i ? "," : "");
        json_print(slice_of(one->address));
        printf(
            ",\"state\":\"%s\",\"code\":%d,\"text\":", fates[one->outcome.fate], one->outcome.code);
        json_print(slice_of(one->outcome.text));
        printf("}");
    }
    printf("]}");
}

/* Adds to *count; a record that cannot be read is told on standard error. */
static int show_account(const struct cli *cli, struct client_use *use, size_t *count)
{
    struct smtpc_queue queue;
    struct smtpc_ids ids = { .all = NULL };
    struct err_note note = { "" };
    int code = EX_OK;
    enum err e = smtpc_queue_open(use->state_folder, &queue, &note);
    if (!e) {
        e = smtpc_queue_ids(&queue, &ids, &note);
        for (size_t i = 0; !e && i < ids.count; i++) {
            struct smtpc_record record;
            enum err one = smtpc_queue_read(&queue, ids.all[i], &record, &note);
            if (one == ERR_NOT_FOUND)
                continue;
            if (one) {
                cli_error_text(note.text);
                cli_error_more(MSG_QUEUE_DAMAGED, ids.all[i]);
                code = EX_SOFTWARE;
                continue;
            }
            if (cli->json)
                print_entry(use->account->name, ids.all[i], &record, *count == 0);
            else
                say_entry(use->account->name, ids.all[i], &record);
            ++*count;
            smtpc_record_done(&record);
        }
        free(ids.all);
        smtpc_queue_close(&queue);
    }
    if (e)
        cli_error_text(note.text);
    return e ? EX_IOERR : code;
}

static int show(const struct cli *cli, struct client_use *use, const char *name)
{
    size_t count = 0;
    int first = EX_OK;
    if (name && !client_accounts_find(&use->accounts, name))
        return client_use_choose(use, name);
    if (cli->json)
        printf("[");
    for (size_t i = 0; i < use->accounts.count; i++) {
        const struct client_account *account = &use->accounts.all[i];
        if (name && account != client_accounts_find(&use->accounts, name))
            continue;
        int code = client_use_choose(use, account->name);
        code = code ? code : show_account(cli, use, &count);
        first = first ? first : code;
    }
    if (cli->json)
        printf("]\n");
    else if (count == 0 && !first)
        cli_say(MSG_QUEUE_EMPTY);
    return first;
}

/* ---- changing ---- */

/* Opens the queue that has the id, of whichever account, and locks it. out_record NULL: a damaged one counts too. */
static int find(struct client_use *use, const char *id, struct smtpc_queue *out_queue,
    struct smtpc_record *out_record)
{
    struct smtpc_record first;
    struct err_note note = { "" };
    for (size_t i = 0; smtpc_id_ok(id) && i < use->accounts.count; i++) {
        struct smtpc_queue queue;
        int code = client_use_choose(use, use->accounts.all[i].name);
        if (code)
            return code;
        if (smtpc_queue_open(use->state_folder, &queue, &note))
            continue;
        enum err e = smtpc_queue_read(&queue, id, &first, &note);
        if (!e) /* again under the lock: it may have been sent meanwhile */
            smtpc_record_done(&first);
        if (!e || (!out_record && e != ERR_NOT_FOUND))
            e = smtpc_queue_lock(&queue, SEND_LOCK_WAIT_MS, &note);
        if (!e && out_record)
            e = smtpc_queue_read(&queue, id, out_record, &note);
        if (!e) {
            *out_queue = queue;
            return EX_OK;
        }
        smtpc_queue_close(&queue);
        if (e == ERR_BUSY) {
            cli_error(MSG_QUEUE_BUSY);
            return EX_TEMPFAIL;
        }
        if (e != ERR_NOT_FOUND) {
            cli_error_text(note.text);
            return EX_SOFTWARE;
        }
    }
    cli_error(MSG_QUEUE_UNKNOWN, id);
    return EX_DATAERR;
}

static int remove_one(struct client_use *use, const char *id)
{
    struct smtpc_queue queue;
    struct err_note note = { "" };
    int code = find(use, id, &queue, NULL);
    if (code)
        return code;
    enum err e = smtpc_queue_remove(&queue, id, &note);
    smtpc_queue_close(&queue);
    if (e == ERR_NOT_FOUND) {
        cli_error(MSG_QUEUE_UNKNOWN, id);
        return EX_DATAERR;
    }
    if (e) {
        cli_error_text(note.text);
        return EX_IOERR;
    }
    cli_say(MSG_QUEUE_REMOVED, id);
    return EX_OK;
}

/* Whoever did not get it waits again. */
static void begin_anew(struct smtpc_record *record)
{
    for (size_t i = 0; i < record->count; i++)
        if (record->recipients[i].outcome.fate == SMTPC_REFUSED)
            record->recipients[i].outcome = (struct smtpc_outcome){ .fate = SMTPC_WAITS };
    record->created_s = clock_wall_s();
    record->next_s = 0;
    record->attempts = record->doubts = 0;
}

static int retry_one(struct client_use *use, const char *id)
{
    struct smtpc_queue queue;
    struct smtpc_record record;
    struct smtpc_flush_result result;
    struct err_note note = { "" };
    int code = find(use, id, &queue, &record);
    if (code)
        return code;
    begin_anew(&record);
    enum err e = smtpc_queue_write(&queue, id, &record, &note);
    smtpc_record_done(&record);
    if (e) {
        cli_error_text(note.text);
        code = EX_IOERR;
    } else {
        code = send_flush(use, &queue, id, true, &result);
        cli_say(MSG_SEND_FLUSHED, use->account->name, result.sent, result.waiting, result.refused);
        if (!code && result.refused + result.waiting > 0)
            code = result.refused > 0 ? EX_UNAVAILABLE : EX_TEMPFAIL;
    }
    smtpc_queue_close(&queue);
    return code;
}

int verb_queue(const struct cli *cli, int argc, char **argv)
{
    struct client_use use;
    const char *word = argc > 1 ? argv[1] : NULL;
    bool retry = word && strcmp(word, "retry") == 0, remove = word && strcmp(word, "remove") == 0;
    if ((retry || remove) ? argc < 3 : argc > 2 || (word && word[0] == '-')) {
        fprintf(stderr, "%s\n", tr(MSG_QUEUE_USAGE));
        return EX_USAGE;
    }
    int first = client_use_load(&use);
    if (!first && !retry && !remove)
        first = show(cli, &use, word);
    else if (!first)
        for (int at = 2; at < argc; at++) {
            int code = retry ? retry_one(&use, argv[at]) : remove_one(&use, argv[at]);
            first = first ? first : code;
        }
    client_use_done(&use);
    return first;
}
