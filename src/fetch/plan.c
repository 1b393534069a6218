/* What becomes of each message: from what is recorded, and from its header where that decides. */
#include "base/arena.h"
#include "fetch/fetch_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slice fetch_key(const struct fetch_plan *plan)
{
    return slice_of(plan->key);
}

static bool is_large(const struct fetching *run, const struct fetch_plan *plan)
{
    uint64_t bytes_max = run->options->account->message_bytes_max;
    return bytes_max > 0 && plan->message->bytes > bytes_max && !run->options->large;
}

static bool has_filter(const struct fetching *run)
{
    return run->options->account->skip_headers && run->source->has_top(run->session) &&
           !run->options->all;
}

struct fetch_plan *fetch_plan_of(struct fetching *run, const struct client_message *message)
{
    return &run->plans[message - run->plans[0].message]; /* they are in the order of the list */
}

/* Nothing is to be done about it any more. */
static bool is_settled(const struct fetching *run, const struct fetch_plan *plan)
{
    if (plan->known == FETCH_UNKNOWN || run->options->all)
        return false;
    return plan->known != FETCH_NOTED || is_large(run, plan);
}

/* From what is recorded. */
static void decide(struct fetching *run, struct fetch_plan *plan)
{
    plan->action = FETCH_LEAVE;
    /* --all brings once more what is here, and leaves no note for it */
    if (is_settled(run, plan) || (is_large(run, plan) && fetch_is_here(plan)))
        run->result->known++;
    else
        plan->action = is_large(run, plan) || has_filter(run) ? FETCH_LOOK : FETCH_TAKE;
}

static enum err state_failed(struct fetching *run, enum err e)
{
    return fetch_state_failed(run->failure, run->state, e);
}

static enum err recall(struct fetching *run, struct fetch_plan *plan)
{
    struct fetch_record record;
    enum err e = fetch_state_get(run->state, fetch_key(plan), &record);
    if (!e && !run->options->dry_run)
        e = fetch_state_seen(run->state, fetch_key(plan), run->now_s / 86400);
    if (e)
        return state_failed(run, e);
    plan->known = record.known;
    plan->at_s = record.at_s;
    return ERR_OK;
}

/* ---- headers ---- */

static enum err header_begin(void *arg)
{
    struct fetching *run = arg;
    buf_clear(&run->header);
    return ERR_OK;
}

static enum err header_put(void *arg, struct slice piece)
{
    struct fetching *run = arg;
    size_t room = FETCH_HEADER_BYTES_MAX - buf_len(&run->header);
    buf_add(&run->header, slice_sub(piece, 0, room));
    return ERR_OK;
}

/* Messages that are the same to the last byte of the header are counted: of two, the second has another key. */
static char *key_of_header(struct fetching *run, const struct fetch_plan *plan)
{
    struct buf key;
    char *text;
    buf_init(&key, 0);
    fetch_header_key(
        fetch_state_tag(run->state), buf_slice(&run->header), plan->message->bytes, &key);
    uintptr_t before = (uintptr_t)map_get(&run->equal, buf_slice(&key));
    (void)map_put(&run->equal, buf_slice(&key), (void *)(before + 1));
    if (before > 0)
        buf_addf(&key, "/%zu", (size_t)before);
    text = mem_strndup(buf_slice(&key).ptr, buf_len(&key));
    buf_done(&key);
    return text;
}

static enum err record_now(struct fetching *run, struct fetch_plan *plan, enum fetch_known known)
{
    plan->known = known;
    plan->at_s = run->now_s;
    enum err e =
        fetch_state_set(run->state, fetch_key(plan), known, run->now_s, NULL, FETCH_UNKNOWN);
    return e ? state_failed(run, e) : ERR_OK;
}

static enum err leave_note(struct fetching *run, struct fetch_plan *plan, struct slice header)
{
    struct buf note;
    bool refused = false;
    plan->action = FETCH_LEAVE;
    if (plan->known == FETCH_NOTED) /* there is one */
        return ERR_OK;
    if (run->options->dry_run) {
        run->result->notes++;
        return ERR_OK;
    }
    buf_init(&note, 0);
    fetch_note_write(header, plan->message->bytes, run->now_s, run->options->note_text,
        run->options->note_arg, &note);
    enum err e = fetch_drop_begin(run->drop, FETCH_NOTED, run->failure);
    if (!e)
        e = fetch_drop_put(run->drop, buf_slice(&note), run->failure);
    if (!e)
        e = fetch_drop_end(run->drop, fetch_key(plan), &refused, run->failure);
    buf_done(&note);
    if (!e && refused)
        fetch_refused(run);
    if (!e && !refused) {
        plan->known = FETCH_NOTED;
        run->result->notes++;
    }
    return e;
}

static enum err decide_by_header(struct fetching *run, struct fetch_plan *plan, struct slice header)
{
    if (!plan->key) {
        plan->key = key_of_header(run, plan);
        TRY(recall(run, plan));
        decide(run, plan);
        if (plan->action == FETCH_LEAVE)
            return ERR_OK;
    }
    if (has_filter(run) && fetch_header_matches(header, run->options->account->skip_headers)) {
        plan->action = FETCH_LEAVE;
        run->result->skipped++;
        return run->options->dry_run ? ERR_OK : record_now(run, plan, FETCH_SKIPPED);
    }
    if (is_large(run, plan))
        return leave_note(run, plan, header);
    plan->action = FETCH_TAKE;
    return ERR_OK;
}

static enum err header_ended(void *arg, const struct client_message *message, bool ok)
{
    struct fetching *run = arg;
    struct fetch_plan *plan = fetch_plan_of(run, message);
    if (ok)
        return decide_by_header(run, plan, buf_slice(&run->header));
    /* without a header no key and no note, but mail is rather fetched than filtered */
    plan->action = plan->key && !is_large(run, plan) ? FETCH_TAKE : FETCH_LEAVE;
    run->result->missing += plan->action == FETCH_LEAVE;
    return ERR_OK;
}

static enum err look_at_headers(struct fetching *run)
{
    const struct client_sink sink = { header_begin, header_put, header_ended, run };
    const struct client_message **messages =
        mem_alloc((run->result->listed + 1) * sizeof *messages);
    size_t count = 0;
    for (size_t i = 0; i < run->result->listed; i++)
        if (run->plans[i].action == FETCH_LOOK)
            messages[count++] = run->plans[i].message;
    enum err e = run->source->top(run->session, messages, count, &sink, run->failure);
    free(messages);
    return e;
}

/* ---- all of them ---- */

/* Without UIDL and TOP nothing tells a message from another. They can be fetched only by who does not keep them there. */
static enum err plan_without_ids(struct fetching *run, struct fetch_plan *plan, size_t i)
{
    char key[64];
    plan->key = NULL;
    plan->known = FETCH_UNKNOWN;
    if (run->options->keep != CLIENT_DELETE)
        return client_failed(run->failure, CLIENT_WHY_NO_IDS, ERR_NOT_FOUND);
    (void)snprintf(key, sizeof key, "x%lld-%zu", (long long)run->now_s, i);
    plan->key = mem_strdup(key);
    plan->action = FETCH_TAKE;
    return ERR_OK;
}

/* Once two messages had it, an id does not say which of them is here, also when the other one is gone: the header has to. */
static enum err plan_shared(struct fetching *run, struct fetch_plan *plan)
{
    if (plan->known != FETCH_SHARED && !run->options->dry_run) {
        enum err e = fetch_state_set(
            run->state, fetch_key(plan), FETCH_SHARED, run->now_s, NULL, FETCH_UNKNOWN);
        if (e)
            return state_failed(run, e);
    }
    free(plan->key);
    plan->key = NULL;
    plan->known = FETCH_UNKNOWN;
    plan->action = FETCH_LOOK;
    return ERR_OK;
}

static enum err plan_one(struct fetching *run, size_t i)
{
    struct fetch_plan *plan = &run->plans[i];
    bool has_top = run->source->has_top(run->session);
    if ((!plan->message->id || plan->message->shared) && !has_top)
        return plan_without_ids(run, plan, i);
    if (!plan->message->id) {
        plan->action = FETCH_LOOK;
        return ERR_OK;
    }
    if (asprintf(&plan->key, "u%s", plan->message->id) < 0)
        return client_failed(run->failure, CLIENT_WHY_STATE, ERR_IO);
    TRY(recall(run, plan));
    if (plan->known == FETCH_SHARED && !has_top) {
        free(plan->key);
        return plan_without_ids(run, plan, i);
    }
    if (plan->message->shared || plan->known == FETCH_SHARED)
        return plan_shared(run, plan);
    decide(run, plan);
    return ERR_OK;
}

enum err fetch_plan(struct fetching *run)
{
    for (size_t i = 0; i < run->result->listed; i++)
        TRY(plan_one(run, i));
    if (run->source->has_top(run->session))
        TRY(look_at_headers(run));
    else
        for (size_t i = 0; i < run->result->listed; i++)
            if (run->plans[i].action == FETCH_LOOK)
                TRY(leave_note(run, &run->plans[i], SLICE_EMPTY));
    return ERR_OK;
}
