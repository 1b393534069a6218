/* The run as a whole. */
#include "fetch/fetch.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "client/core/remember.h"
#include "fetch/fetch_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define DAY_S 86400

/* One run of an account at a time: two would each fetch what the other does. */
static enum err lock_account(struct fetching *run)
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

static enum err open_local(struct fetching *run)
{
    const struct client_account *account = run->options->account;
    enum err e = fetch_state_open(run->options->state_folder, run->source->server(account)->host,
        account->user, &run->state, &run->failure->note);
    if (e)
        return client_failed(
            run->failure, e == ERR_NO_SPACE ? CLIENT_WHY_DISK : CLIENT_WHY_STATE, e);
    if (run->options->dry_run)
        return ERR_OK;
    return fetch_drop_open(
        account, run->options->state_folder, run->state, &run->drop, run->failure);
}

static enum err open_session(struct fetching *run)
{
    const struct fetch_source *source = run->source;
    const struct client_server *server = source->server(run->options->account);
    const char *folder = run->options->state_folder;
    unsigned mechanism;
    struct err_note note;
    TRY(source->open(run->options, client_remembered(folder, source->protocol, server),
        &run->session, &mechanism, run->failure));
    if (mechanism && client_remember(folder, source->protocol, server, mechanism, &note))
        return ERR_OK; /* a warning less another time; the mail does not wait for it */
    return ERR_OK;
}

static enum err list(struct fetching *run)
{
    const struct client_message *messages = NULL;
    size_t count = 0;
    TRY(run->source->list(run->session, &messages, &count, run->failure));
    run->plans = mem_zalloc(count + 1, sizeof *run->plans);
    run->result->listed = count;
    if (run->source->unlisted)
        run->result->missing += run->source->unlisted(run->session);
    for (size_t i = 0; i < count; i++)
        run->plans[i].message = &messages[i];
    return ERR_OK;
}

/* ---- messages come ---- */

static enum err message_begin(void *arg)
{
    struct fetching *run = arg;
    return fetch_drop_begin(run->drop, FETCH_FETCHED, run->failure);
}

static enum err message_put(void *arg, struct slice piece)
{
    struct fetching *run = arg;
    return fetch_drop_put(run->drop, piece, run->failure);
}

void fetch_refused(struct fetching *run)
{
    if (run->result->refused++ == 0)
        run->result->refusal = run->failure->note;
    run->failure->note.text[0] = '\0';
}

static enum err message_ended(void *arg, const struct client_message *message, bool ok)
{
    struct fetching *run = arg;
    struct fetch_plan *plan = fetch_plan_of(run, message);
    bool refused = false;
    run->ended++;
    if (!ok) {
        run->result->missing++;
        return ERR_OK;
    }
    TRY(fetch_drop_end(run->drop, fetch_key(plan), &refused, run->failure));
    if (refused) {
        fetch_refused(run);
    } else {
        plan->known = FETCH_FETCHED;
        plan->at_s = run->now_s;
        run->result->fetched++;
        run->result->fetched_bytes += message->bytes;
    }
    if (run->options->progress)
        run->options->progress(run->options->progress_arg, run->ended, run->result->wanted);
    return ERR_OK;
}

static enum err retrieve(struct fetching *run)
{
    const struct client_sink sink = { message_begin, message_put, message_ended, run };
    const struct client_message **messages =
        mem_alloc((run->result->listed + 1) * sizeof *messages);
    size_t count = 0;
    for (size_t i = 0; i < run->result->listed; i++) {
        if (run->plans[i].action != FETCH_TAKE)
            continue;
        messages[count++] = run->plans[i].message;
        run->result->wanted_bytes += run->plans[i].message->bytes;
    }
    run->result->wanted = count;
    enum err e = ERR_OK;
    if (!run->options->dry_run)
        e = run->source->retrieve(run->session, messages, count, &sink, run->failure);
    free(messages);
    return e;
}

/* Whatever ended the session: what came whole is put in place. */
static enum err settle(struct fetching *run, enum err e)
{
    struct client_failure second = { .why = CLIENT_WHY_NONE };
    if (!run->drop)
        return e;
    enum err flushed = fetch_drop_flush(run->drop, e ? &second : run->failure);
    if (flushed)
        run->result->fetched -= fetch_drop_waiting(run->drop);
    else if ((flushed = fetch_state_commit(run->state)) != ERR_OK && !e)
        (void)client_failed(run->failure, CLIENT_WHY_STATE, flushed);
    return e ? e : flushed;
}

static enum err work(struct fetching *run)
{
    TRY(lock_account(run));
    TRY(open_local(run));
    TRY(open_session(run));
    TRY(list(run));
    enum err e = fetch_plan(run);
    if (!e)
        e = retrieve(run);
    TRY(settle(run, e));
    TRY(fetch_clear(run));
    if (run->options->dry_run)
        return ERR_OK;
    e = fetch_state_forget(run->state, run->now_s / DAY_S - FETCH_FORGET_DAYS);
    if (!e)
        e = fetch_state_commit(run->state);
    return e ? client_failed(run->failure, CLIENT_WHY_STATE, e) : ERR_OK;
}

enum err fetch_mail(const struct fetch_options *options, struct fetch_result *out_result,
    struct client_failure *failure)
{
    struct fetching run = {
        .options = options,
        .result = out_result,
        .failure = failure,
        .lock = -1,
        .now_s = clock_wall_s(),
        .source = options->imap ? &fetch_source_imap : &fetch_source_pop3,
    };
    *out_result = (struct fetch_result){ 0 };
    *failure = (struct client_failure){ .why = CLIENT_WHY_NONE };
    buf_init(&run.header, 0);
    map_init(&run.equal);
    enum err e = work(&run);
    for (size_t i = 0; run.plans && i < out_result->listed; i++)
        free(run.plans[i].key);
    free(run.plans);
    buf_done(&run.header);
    map_done(&run.equal);
    run.source->close(run.session);
    fetch_drop_close(run.drop);
    fetch_state_close(run.state);
    if (run.lock >= 0)
        close(run.lock);
    return e;
}
