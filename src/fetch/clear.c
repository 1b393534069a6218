/* What goes from the server: only what is recorded as fetched, by the rule, and recorded before it is asked for (F-3). */
#include "base/arena.h"
#include "fetch/fetch_int.h"

#include <stdlib.h>

#define DAY_S 86400

/* What was deleted before and is listed again is asked for again. */
bool fetch_is_here(const struct fetch_plan *plan)
{
    return plan->key && (plan->known == FETCH_FETCHED || plan->known == FETCH_DELETING ||
                            plan->known == FETCH_DELETED);
}

static bool rule_says(const struct fetching *run, const struct fetch_plan *plan)
{
    switch (run->options->keep) {
    case CLIENT_DELETE:
        return true;
    case CLIENT_DELETE_AFTER:
        return plan->known != FETCH_FETCHED ||
               plan->at_s + (int64_t)run->options->keep_days * DAY_S <= run->now_s;
    default:
        return false;
    }
}

/* Indexes of plans; the newest are last on the server. */
static size_t choose(const struct fetching *run, size_t *out_chosen)
{
    size_t count = 0;
    uint64_t newer_bytes = 0, bytes_max = run->options->server_bytes_max;
    for (size_t i = run->result->listed; i-- > 0;) {
        const struct fetch_plan *plan = &run->plans[i];
        newer_bytes += plan->message->bytes;
        bool too_old = bytes_max > 0 && newer_bytes > bytes_max;
        if (fetch_is_here(plan) && (too_old || rule_says(run, plan)))
            out_chosen[count++] = i;
    }
    for (size_t i = 0; i < count / 2; i++) { /* oldest first */
        size_t other = out_chosen[i];
        out_chosen[i] = out_chosen[count - 1 - i];
        out_chosen[count - 1 - i] = other;
    }
    return count;
}

/* All of the chosen become known; those not marked get back what they were. */
static enum err record(struct fetching *run, const size_t *chosen, size_t count, const bool *marked,
    enum fetch_known known)
{
    enum err e = ERR_OK;
    for (size_t i = 0; !e && i < count; i++) {
        const struct fetch_plan *plan = &run->plans[chosen[i]];
        bool is = !marked || marked[i];
        e = fetch_state_set(run->state, fetch_key(plan), is ? known : FETCH_FETCHED,
            is ? run->now_s : plan->at_s, NULL, FETCH_UNKNOWN);
    }
    if (!e)
        e = fetch_state_commit(run->state);
    return e ? fetch_state_failed(run->failure, run->state, e) : ERR_OK;
}

static enum err delete_chosen(
    struct fetching *run, const size_t *chosen, size_t count, bool *marked)
{
    const struct client_message **messages = mem_alloc((count + 1) * sizeof *messages);
    for (size_t i = 0; i < count; i++)
        messages[i] = run->plans[chosen[i]].message;
    enum err e = run->source->delete (run->session, messages, count, marked, run->failure);
    free(messages);
    TRY(e);
    e = run->source->quit(run->session, run->failure);
    if (e) {
        run->result->delete_unsure = true;
        return e;
    }
    for (size_t i = 0; i < count; i++)
        run->result->deleted += marked[i];
    return record(run, chosen, count, marked, FETCH_DELETED);
}

enum err fetch_clear(struct fetching *run)
{
    size_t *chosen = mem_alloc((run->result->listed + 1) * sizeof *chosen);
    size_t count = choose(run, chosen);
    enum err e = ERR_OK;
    run->result->to_delete = count;
    if (count == 0 || run->options->dry_run) {
        struct client_failure unused = { .why = CLIENT_WHY_NONE };
        if (run->source->quit(run->session, &unused))
            count = 0; /* nothing depends on its answer */
    } else {
        bool *marked = mem_zalloc(count, sizeof *marked);
        e = record(run, chosen, count, NULL, FETCH_DELETING);
        if (!e)
            e = delete_chosen(run, chosen, count, marked);
        free(marked);
    }
    free(chosen);
    return e;
}
