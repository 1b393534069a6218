/* What goes from the server: only what is recorded as fetched, by the rule, and recorded before it is asked for (F-3). */
#include "base/arena.h"
#include "client/pop3/popc_fetch_int.h"

#include <stdlib.h>

#define DAY_S 86400

/* Whole and here. What was deleted before and is listed again is asked for again. */
static bool is_here(const struct popc_plan *plan)
{
    return plan->key && (plan->known == POPC_FETCHED || plan->known == POPC_DELETING ||
                            plan->known == POPC_DELETED);
}

static bool rule_says(const struct popc_run *run, const struct popc_plan *plan)
{
    switch (run->options->keep) {
    case CLIENT_DELETE:
        return true;
    case CLIENT_DELETE_AFTER:
        return plan->known != POPC_FETCHED ||
               plan->at_s + (int64_t)run->options->keep_days * DAY_S <= run->now_s;
    default:
        return false;
    }
}

/* Indexes of plans; the newest are last on the server. */
static size_t choose(const struct popc_run *run, size_t *out_chosen)
{
    size_t count = 0;
    uint64_t newer_bytes = 0, bytes_max = run->options->server_bytes_max;
    for (size_t i = run->result->listed; i-- > 0;) {
        const struct popc_plan *plan = &run->plans[i];
        newer_bytes += plan->message->bytes;
        bool too_old = bytes_max > 0 && newer_bytes > bytes_max;
        if (is_here(plan) && (too_old || rule_says(run, plan)))
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
static enum err record(struct popc_run *run, const size_t *chosen, size_t count, const bool *marked,
    enum popc_known known)
{
    enum err e = ERR_OK;
    for (size_t i = 0; !e && i < count; i++) {
        const struct popc_plan *plan = &run->plans[chosen[i]];
        bool is = !marked || marked[i];
        e = popc_state_set(run->state, popc_key(plan), is ? known : POPC_FETCHED,
            is ? run->now_s : plan->at_s, NULL, POPC_UNKNOWN);
    }
    if (!e)
        e = popc_state_commit(run->state);
    return e ? popc_state_failed(run->failure, run->state, e) : ERR_OK;
}

static enum err delete_chosen(
    struct popc_run *run, const size_t *chosen, size_t count, bool *marked)
{
    const struct popc_message **messages = mem_alloc((count + 1) * sizeof *messages);
    for (size_t i = 0; i < count; i++)
        messages[i] = run->plans[chosen[i]].message;
    enum err e = popc_delete(run->popc, messages, count, marked, run->failure);
    free(messages);
    TRY(e);
    e = popc_quit(run->popc, run->failure);
    if (e) {
        run->result->delete_unsure = true;
        return e;
    }
    for (size_t i = 0; i < count; i++)
        run->result->deleted += marked[i];
    return record(run, chosen, count, marked, POPC_DELETED);
}

enum err popc_clear(struct popc_run *run)
{
    size_t *chosen = mem_alloc((run->result->listed + 1) * sizeof *chosen);
    size_t count = choose(run, chosen);
    enum err e = ERR_OK;
    run->result->to_delete = count;
    if (count == 0 || run->options->dry_run) {
        struct client_failure unused = { .why = CLIENT_WHY_NONE };
        if (popc_quit(run->popc, &unused))
            count = 0; /* nothing depends on its answer */
    } else {
        bool *marked = mem_zalloc(count, sizeof *marked);
        e = record(run, chosen, count, NULL, POPC_DELETING);
        if (!e)
            e = delete_chosen(run, chosen, count, marked);
        free(marked);
    }
    free(chosen);
    return e;
}
