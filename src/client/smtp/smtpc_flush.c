/* One run over a queue. */
#include "client/smtp/smtpc_flush.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "client/core/remember.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_S 86400

struct run {
    struct smtpc_queue *queue;
    const struct smtpc_flush_options *options;
    struct smtpc_flush_result *result;
    struct client_failure *failure;
    struct smtpc *smtpc; /* owned; NULL before the first that is due */
    int64_t now_s;
    struct err_note damaged; /* a file that cannot be read keeps the others from nothing */
};

static enum err queue_failed(struct run *run, enum err e)
{
    return client_failed(run->failure, CLIENT_WHY_QUEUE, e);
}

/* ---- what is due ---- */

/* No pause is as long as that: the clock was ahead when it was written. */
static bool is_absurd(const struct smtpc_record *record, int64_t now_s)
{
    return record->next_s - SMTPC_PAUSE_S_MAX > now_s;
}

static bool is_due(const struct smtpc_record *record, bool now, int64_t now_s)
{
    return smtpc_record_count(record, SMTPC_WAITS) > 0 &&
           (now || record->next_s <= now_s || is_absurd(record, now_s));
}

enum err smtpc_flush_due(struct smtpc_queue *queue, const char *only_id, bool now, int64_t now_s,
    bool *out_due, struct err_note *out_damaged, struct err_note *note)
{
    struct smtpc_ids ids;
    struct err_note damaged = { "" };
    bool due = false;
    TRY(smtpc_queue_ids(queue, &ids, note));
    for (size_t i = 0; !due && i < ids.count; i++) {
        struct smtpc_record record;
        if (only_id && strcmp(ids.all[i], only_id) != 0)
            continue;
        if (smtpc_queue_read(queue, ids.all[i], &record, &damaged))
            continue;
        due = is_due(&record, now, now_s);
        smtpc_record_done(&record);
    }
    free(ids.all);
    *out_due = due;
    *out_damaged = damaged;
    return ERR_OK;
}

/* ---- what comes of an attempt ---- */

static void give_up(struct smtpc_record *record, enum smtpc_code code)
{
    for (size_t i = 0; i < record->count; i++) {
        struct smtpc_outcome *outcome = &record->recipients[i].outcome;
        if (outcome->fate != SMTPC_WAITS)
            continue;
        outcome->fate = SMTPC_REFUSED;
        outcome->code = (int)code;
    }
}

static void plan_next(struct run *run, struct smtpc_record *record)
{
    uint64_t doublings = record->attempts < 8 ? record->attempts : 8;
    int64_t pause_s = (int64_t)SMTPC_PAUSE_S << doublings;
    record->attempts++;
    record->next_s = run->now_s + (pause_s < SMTPC_PAUSE_S_MAX ? pause_s : SMTPC_PAUSE_S_MAX);
    bool is_old = run->now_s - record->created_s > (int64_t)SMTPC_QUEUE_DAYS * DAY_S;
    if ((is_old && record->attempts >= SMTPC_ATTEMPTS_MIN) ||
        record->attempts >= SMTPC_ATTEMPTS_MAX)
        give_up(record, SMTPC_CODE_EXPIRED);
}

static void count_result(struct run *run, const struct smtpc_record *record, size_t refused_before)
{
    if (smtpc_record_count(record, SMTPC_REFUSED) > refused_before)
        run->result->refused++;
    else if (smtpc_record_count(record, SMTPC_WAITS) > 0)
        run->result->waiting++;
    else
        run->result->sent++;
}

/* Whether anything about it is left to know or to do: a copy that is due is filed by whoever has IMAP too. */
static bool is_over(const struct smtpc_record *record)
{
    return smtpc_record_count(record, SMTPC_SENT) == record->count &&
           record->copy != SMTPC_COPY_DUE;
}

static enum err settle(struct run *run, const char *id, struct smtpc_record *record)
{
    enum err e = is_over(record) ? smtpc_queue_remove(run->queue, id, &run->failure->note)
                                 : smtpc_queue_write(run->queue, id, record, &run->failure->note);
    return e ? queue_failed(run, e) : ERR_OK;
}

/* ---- sending ---- */

static enum err open_session(struct run *run)
{
    const struct smtpc_flush_options *o = run->options;
    struct smtpc_options session = {
        .account = o->account,
        .server = &o->account->smtp,
        .secret = o->secret,
        .token = o->token,
        .weakest = client_remembered(o->state_folder, "smtp", &o->account->smtp),
        .timeout_ms = o->timeout_ms,
    };
    struct err_note note;
    TRY(smtpc_open(&session, &run->smtpc, run->failure));
    if (client_remember(
            o->state_folder, "smtp", &o->account->smtp, smtpc_mechanism(run->smtpc), &note))
        return ERR_OK; /* a warning less another time; the mail does not wait for it */
    return ERR_OK;
}

static enum err transfer(struct run *run, struct smtpc_record *record, int fd,
    struct smtpc_outcome *outcomes, bool *doubt)
{
    const char **addresses = mem_alloc((record->count + 1) * sizeof *addresses);
    size_t count = 0;
    for (size_t i = 0; i < record->count; i++)
        if (record->recipients[i].outcome.fate == SMTPC_WAITS)
            addresses[count++] = record->recipients[i].address;
    struct smtpc_message message = {
        .from = record->from,
        .recipients = addresses,
        .count = count,
        .fd = fd,
        .bytes = record->bytes,
        .has_8bit = record->has_8bit,
        .needs_utf8 = record->needs_utf8,
        .envid = record->envid,
        .ret = record->ret,
        .notify = record->notify,
    };
    enum err e = smtpc_send(run->smtpc, &message, outcomes, doubt, run->failure);
    free(addresses);
    return e;
}

static void take_outcomes(struct smtpc_record *record, const struct smtpc_outcome *outcomes)
{
    for (size_t i = 0; i < record->count; i++) {
        struct smtpc_outcome *outcome = &record->recipients[i].outcome;
        if (outcome->fate != SMTPC_WAITS)
            continue;
        if (outcomes->fate != SMTPC_WAITS ||
            outcomes->code > 0) /* an old answer says more than none */
            *outcome = *outcomes;
        outcomes++;
    }
}

static enum err send_one(struct run *run, const char *id, struct smtpc_record *record, int fd)
{
    bool doubt = false;
    size_t refused_before = smtpc_record_count(record, SMTPC_REFUSED);
    struct smtpc_outcome *outcomes = mem_zalloc(record->count, sizeof *outcomes);
    enum err e = transfer(run, record, fd, outcomes, &doubt);
    take_outcomes(record, outcomes);
    free(outcomes);
    run->result->no_dsn |= (record->notify || record->ret) && !smtpc_has_dsn(run->smtpc);
    record->doubts += doubt;
    if (record->doubts >= SMTPC_DOUBTS_MAX)
        give_up(record, SMTPC_CODE_DOUBT);
    if (smtpc_record_count(record, SMTPC_WAITS) > 0)
        plan_next(run, record);
    count_result(run, record, refused_before);
    struct client_failure kept = *run->failure;
    enum err settled = settle(run, id, record);
    if (e)
        *run->failure = kept; /* why the session ended is what a person can do something about */
    return e ? e : settled;
}

/* Where the record goes when all goes well a full disk is no matter. */
static enum err check_room(struct run *run, const char *id, const struct smtpc_record *record)
{
    if (record->copy != SMTPC_COPY_DUE && smtpc_record_count(record, SMTPC_WAITS) == 1)
        return ERR_OK;
    enum err e = smtpc_queue_write(run->queue, id, record, &run->failure->note);
    return e ? queue_failed(run, e) : ERR_OK;
}

static enum err visit_due(struct run *run, const char *id, struct smtpc_record *record)
{
    autoclose int fd = -1;
    if (smtpc_queue_message(run->queue, id, record->bytes, &fd, &run->damaged))
        return ERR_OK;
    TRY(check_room(run, id, record));
    if (!run->smtpc)
        TRY(open_session(run));
    return send_one(run, id, record, fd);
}

static enum err visit(struct run *run, const char *id)
{
    struct smtpc_record record;
    struct err_note note;
    enum err e = smtpc_queue_read(run->queue, id, &record, &note);
    if (e && e != ERR_NOT_FOUND)
        run->damaged = note;
    if (e)
        return ERR_OK;
    if (is_due(&record, run->options->now, run->now_s))
        e = visit_due(run, id, &record);
    smtpc_record_done(&record);
    return e;
}

enum err smtpc_flush(struct smtpc_queue *queue, const struct smtpc_flush_options *options,
    struct smtpc_flush_result *out_result, struct client_failure *failure)
{
    struct run run = {
        .queue = queue,
        .options = options,
        .result = out_result,
        .failure = failure,
        .now_s = clock_wall_s(),
    };
    struct smtpc_ids ids;
    *out_result = (struct smtpc_flush_result){ 0 };
    *failure = (struct client_failure){ .why = CLIENT_WHY_NONE };
    enum err e = smtpc_queue_ids(queue, &ids, &failure->note);
    if (e)
        return queue_failed(&run, e);
    for (size_t i = 0; !e && i < ids.count; i++)
        if (!options->only_id || strcmp(ids.all[i], options->only_id) == 0)
            e = visit(&run, ids.all[i]);
    free(ids.all);
    if (run.smtpc && !e)
        smtpc_quit(run.smtpc);
    smtpc_close(run.smtpc);
    if (!e && run.damaged.text[0]) {
        failure->note = run.damaged;
        e = client_failed(failure, CLIENT_WHY_STATE, ERR_CORRUPT);
    }
    return e;
}
