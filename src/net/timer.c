/* Deadlines of parked connections: one thread, one binary heap of slots, one entry for each slot at most.
 *
 * Lazy on purpose: a command that moves its deadline *back* (nearly all do) costs one atomic load and no lock. The entry stays
 * where it is; when its time comes the timer looks at the slot's real deadline and moves the entry there.
 *
 *   T-1: a PARKED slot has an entry with heap_at_ms <= deadline_ms, or the thread that parked it is about to make one.
 *   T-2: the timer stores heap_at_ms, then loads word and deadline_ms; the parking thread stores deadline_ms and word, then loads
 *        heap_at_ms. Whatever the order, one of the two sees the other (all of them sequentially consistent).
 *   T-3: an entry of a slot that is FREE is removed when its time comes; before that it does no harm. */
#include "net/conn_int.h"

#include "base/clock.h"

#include <assert.h>
#include <time.h>

#define TIMER_RUNNING_MS 1000 /* when to look again at a slot that is running now */

static int64_t heap_at(const struct net *net, uint32_t pos)
{
    return atomic_load(&net->slots[net->heap[pos]].heap_at_ms);
}

static void heap_place(struct net *net, uint32_t pos, uint32_t slot)
{
    net->heap[pos] = slot;
    net->slots[slot].heap_pos = pos;
}

static void heap_up(struct net *net, uint32_t pos)
{
    uint32_t slot = net->heap[pos];
    int64_t at = heap_at(net, pos);
    while (pos > 1 && heap_at(net, pos / 2) > at) {
        heap_place(net, pos, net->heap[pos / 2]);
        pos /= 2;
    }
    heap_place(net, pos, slot);
}

static void heap_down(struct net *net, uint32_t pos)
{
    uint32_t slot = net->heap[pos];
    int64_t at = heap_at(net, pos);
    for (;;) {
        uint32_t child = pos * 2;
        if (child > net->heap_len)
            break;
        if (child < net->heap_len && heap_at(net, child + 1) < heap_at(net, child))
            child++;
        if (heap_at(net, child) >= at)
            break;
        heap_place(net, pos, net->heap[child]);
        pos = child;
    }
    heap_place(net, pos, slot);
}

static void heap_set(struct net *net, uint32_t slot, int64_t at_ms)
{
    struct slot *s = &net->slots[slot];
    atomic_store(&s->heap_at_ms, at_ms);
    if (s->heap_pos == 0) {
        assert(net->heap_len < net->options.connections_max);
        heap_place(net, ++net->heap_len, slot);
    }
    heap_up(net, s->heap_pos);
    heap_down(net, s->heap_pos);
}

static void heap_remove(struct net *net, uint32_t slot)
{
    struct slot *s = &net->slots[slot];
    uint32_t pos = s->heap_pos;
    if (pos == 0)
        return;
    uint32_t last = net->heap[net->heap_len--];
    s->heap_pos = 0;
    atomic_store(&s->heap_at_ms, INT64_MAX);
    if (last == slot)
        return;
    heap_place(net, pos, last);
    heap_up(net, net->slots[last].heap_pos);
    heap_down(net, net->slots[last].heap_pos);
}

void timer_note(struct net *net, uint32_t slot, int64_t at_ms)
{
    if (atomic_load(&net->slots[slot].heap_at_ms) <= at_ms)
        return;
    pthread_mutex_lock(&net->heap_lock);
    if (atomic_load(&net->slots[slot].heap_at_ms) > at_ms) {
        heap_set(net, slot, at_ms);
        if (net->heap[1] == slot)
            pthread_cond_signal(&net->heap_change);
    }
    pthread_mutex_unlock(&net->heap_lock);
}

void timer_remove(struct net *net, uint32_t slot)
{
    pthread_mutex_lock(&net->heap_lock);
    heap_remove(net, slot);
    pthread_mutex_unlock(&net->heap_lock);
}

void timer_wake(struct net *net)
{
    pthread_mutex_lock(&net->heap_lock);
    pthread_cond_signal(&net->heap_change);
    pthread_mutex_unlock(&net->heap_lock);
}

/* The entry at the top is due. PARKED → QUEUED when its deadline really passed. */
static void timer_claim(struct net *net, uint32_t index, int64_t now_ms)
{
    struct slot *slot = &net->slots[index];
    heap_set(net, index, now_ms + TIMER_RUNNING_MS);
    for (;;) {
        uint64_t word = atomic_load(&slot->word);
        if (word_state(word) == CONN_FREE) {
            heap_remove(net, index);
            return;
        }
        if (word_state(word) != CONN_PARKED)
            return;
        int64_t deadline_ms = atomic_load(&slot->deadline_ms);
        if (deadline_ms > now_ms) {
            heap_set(net, index, deadline_ms);
            if (atomic_load(&slot->deadline_ms) == deadline_ms)
                return;
            continue;
        }
        uint64_t wanted = word_make(word_generation(word), CONN_FLAG_TIMEOUT, CONN_QUEUED);
        if (atomic_compare_exchange_strong(&slot->word, &word, wanted)) {
            atomic_fetch_sub(&net->parked, 1);
            queue_push(net, index);
            return;
        }
    }
}

/* Listeners that were paused for want of descriptors; returns when the next one is due. */
static int64_t listeners_resume(struct net *net, int64_t now_ms)
{
    int64_t next_ms = INT64_MAX;
    unsigned count = atomic_load(&net->listener_count);
    for (unsigned i = 0; i < count;) {
        struct listener *listener = net->listeners[i];
        int64_t at_ms = atomic_load(&listener->resume_at_ms);
        if (at_ms > now_ms) {
            next_ms = at_ms < next_ms ? at_ms : next_ms;
            i++;
            continue;
        }
        atomic_store(&listener->resume_at_ms, INT64_MAX);
        /* The accepting thread takes heap_lock inside the listener's lock. */
        pthread_mutex_unlock(&net->heap_lock);
        listener_resume(listener);
        pthread_mutex_lock(&net->heap_lock);
        /* Any of them may have been paused again meanwhile, and its wake was for nobody. */
        i = 0;
        next_ms = INT64_MAX;
    }
    return next_ms;
}

void *timer_run(void *arg)
{
    struct net *net = arg;
    pthread_mutex_lock(&net->heap_lock);
    while (!atomic_load(&net->quit)) {
        int64_t now_ms = clock_mono_ms();
        int64_t next_ms = listeners_resume(net, now_ms);
        while (net->heap_len > 0 && heap_at(net, 1) <= now_ms)
            timer_claim(net, net->heap[1], now_ms);
        if (net->heap_len > 0 && heap_at(net, 1) < next_ms)
            next_ms = heap_at(net, 1);
        if (atomic_load(&net->quit))
            break;
        if (next_ms == INT64_MAX) {
            pthread_cond_wait(&net->heap_change, &net->heap_lock);
            continue;
        }
        struct timespec until = {
            .tv_sec = (time_t)(next_ms / 1000),
            .tv_nsec = (long)(next_ms % 1000) * 1000000,
        };
        pthread_cond_timedwait(&net->heap_change, &net->heap_lock, &until);
    }
    pthread_mutex_unlock(&net->heap_lock);
    return NULL;
}
