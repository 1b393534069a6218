/* The run as a whole. */
#include "client/pop3/popc_fetch.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "client/core/remember.h"
#include "client/pop3/popc_fetch_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define DAY_S 86400

/* One run of an account at a time: two would each fetch what the other does. */
static enum err lock_account(struct popc_run *run)
{
    autofree char *path = NULL;
    if (asprintf(&path, "%s/pop3.lock", run->options->state_folder) < 0)
        return client_failed(run->failure, CLIENT_WHY_DISK, ERR_IO);
    run->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (run->lock < 0) {
        (void)err_noted(&run->failure->note, ERR_IO, "%s: %s", path, strerror(errno));
        return client_failed(run->failure, CLIENT_WHY_DISK, err_from_errno(errno));
    }
    if (flock(run->lock, LOCK_EX | LOCK_NB) < 0)
        return client_failed(run->failure, CLIENT_WHY_RUNNING, ERR_BUSY);
    return ERR_OK;
}

static enum err open_local(struct popc_run *run)
{
    const struct client_account *account = run->options->account;
    enum err e = popc_state_open(run->options->state_folder, account->pop3.host, account->user,
        &run->state, &run->failure->note);
    if (e)
        return client_failed(
            run->failure, e == ERR_NO_SPACE ? CLIENT_WHY_DISK : CLIENT_WHY_STATE, e);
    if (run->options->dry_run)
        return ERR_OK;
    return popc_drop_open(
        account, run->options->state_folder, run->state, &run->drop, run->failure);
}

static enum err open_session(struct popc_run *run)
{
    const struct client_account *account = run->options->account;
    struct popc_options session = {
        .account = account,
        .secret = run->options->secret,
        .token = run->options->token,
        .weakest = client_remembered(run->options->state_folder, "pop3", &account->pop3),
        .timeout_ms = run->options->timeout_ms,
    };
    struct err_note note;
    TRY(popc_open(&session, &run->popc, run->failure));
    if (client_remember(
            run->options->state_folder, "pop3", &account->pop3, popc_mechanism(run->popc), &note))
        return ERR_OK; /* a warning less another time; the mail does not wait for it */
    return ERR_OK;
}

static enum err list(struct popc_run *run)
{
    const struct popc_message *messages = NULL;
    size_t count = 0;
    TRY(popc_list(run->popc, &messages, &count, run->failure));
    run->plans = mem_zalloc(count + 1, sizeof *run->plans);
    run->on_way = mem_zalloc(count + 1, sizeof *run->on_way);
    run->result->listed = count;
    for (size_t i = 0; i < count; i++)
        run->plans[i].message = &messages[i];
    return ERR_OK;
}

/* ---- messages come ---- */

static enum err message_begin(void *arg, const struct popc_message *message)
{
    struct popc_run *run = arg;
    (void)message;
    const struct popc_plan *plan = &run->plans[run->on_way[run->next]];
    return popc_drop_begin(run->drop, popc_key(plan), POPC_FETCHED, run->failure);
}

static enum err message_put(void *arg, struct slice piece)
{
    struct popc_run *run = arg;
    return popc_drop_put(run->drop, piece, run->failure);
}

static enum err message_ended(void *arg, const struct popc_message *message, bool ok)
{
    struct popc_run *run = arg;
    struct popc_plan *plan = &run->plans[run->on_way[run->next++]];
    bool refused = false;
    if (!ok) {
        run->result->missing++;
        return ERR_OK;
    }
    TRY(popc_drop_end(run->drop, &refused, run->failure));
    if (refused) {
        run->result->refused++;
    } else {
        plan->known = POPC_FETCHED;
        plan->at_s = run->now_s;
        run->result->fetched++;
        run->result->fetched_bytes += message->bytes;
    }
    if (run->options->progress)
        run->options->progress(run->options->progress_arg, run->next, run->on_way_count);
    return ERR_OK;
}

static enum err retrieve(struct popc_run *run)
{
    const struct popc_sink sink = { message_begin, message_put, message_ended, run };
    const struct popc_message **messages = mem_alloc((run->result->listed + 1) * sizeof *messages);
    run->on_way_count = run->next = 0;
    for (size_t i = 0; i < run->result->listed; i++) {
        if (run->plans[i].action != POPC_FETCH)
            continue;
        messages[run->on_way_count] = run->plans[i].message;
        run->on_way[run->on_way_count++] = i;
        run->result->wanted_bytes += run->plans[i].message->bytes;
    }
    run->result->wanted = run->on_way_count;
    enum err e = ERR_OK;
    if (!run->options->dry_run)
        e = popc_retrieve(run->popc, messages, run->on_way_count, &sink, run->failure);
    free(messages);
    return e;
}

/* Whatever ended the session: what came whole is put in place. */
static enum err settle(struct popc_run *run, enum err e)
{
    struct client_failure second = { .why = CLIENT_WHY_NONE };
    if (!run->drop)
        return e;
    enum err flushed = popc_drop_flush(run->drop, e ? &second : run->failure);
    if (flushed)
        run->result->fetched -= popc_drop_waiting(run->drop);
    else if ((flushed = popc_state_commit(run->state)) != ERR_OK && !e)
        (void)client_failed(run->failure, CLIENT_WHY_STATE, flushed);
    return e ? e : flushed;
}

static enum err work(struct popc_run *run)
{
    TRY(lock_account(run));
    TRY(open_local(run));
    TRY(open_session(run));
    TRY(list(run));
    enum err e = popc_plan(run);
    if (!e)
        e = retrieve(run);
    TRY(settle(run, e));
    TRY(popc_clear(run));
    if (run->options->dry_run)
        return ERR_OK;
    e = popc_state_forget(run->state, run->now_s / DAY_S - POPC_FORGET_DAYS);
    if (!e)
        e = popc_state_commit(run->state);
    return e ? client_failed(run->failure, CLIENT_WHY_STATE, e) : ERR_OK;
}

enum err popc_fetch(const struct popc_fetch_options *options, struct popc_fetch_result *out_result,
    struct client_failure *failure)
{
    struct popc_run run = {
        .options = options,
        .result = out_result,
        .failure = failure,
        .lock = -1,
        .now_s = clock_wall_s(),
    };
    *out_result = (struct popc_fetch_result){ 0 };
    *failure = (struct client_failure){ .why = CLIENT_WHY_NONE };
    buf_init(&run.header, 0);
    map_init(&run.equal);
    enum err e = work(&run);
    for (size_t i = 0; run.plans && i < out_result->listed; i++)
        free(run.plans[i].key);
    free(run.plans);
    free(run.on_way);
    buf_done(&run.header);
    map_done(&run.equal);
    popc_close(run.popc);
    popc_drop_close(run.drop);
    popc_state_close(run.state);
    if (run.lock >= 0)
        close(run.lock);
    return e;
}
