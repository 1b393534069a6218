/* The net as a whole: making, starting, stopping. */
#include "net/conn_int.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/limits.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NET_STACK_BYTES (2u << 20) /* sanitizers put red zones into every frame */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define NET_STACK_BYTES (2u << 20)
#endif
#endif
#ifndef NET_STACK_BYTES
#define NET_STACK_BYTES (256u << 10)
#endif

static void set_defaults(struct net_options *o)
{
    if (o->threads == 0)
        o->threads = NET_THREADS_DEFAULT;
    if (o->threads > NET_THREADS_MAX)
        o->threads = NET_THREADS_MAX;
    if (o->connections_max == 0)
        o->connections_max = NET_CONNECTIONS_DEFAULT;
    if (o->connections_max > UINT32_MAX / 4)
        o->connections_max = UINT32_MAX / 4;
    if (o->connections_per_address_max == 0)
        o->connections_per_address_max = NET_PER_ADDRESS_DEFAULT;
    if (o->write_ms == 0)
        o->write_ms = DEADLINE_WRITE_MS;
    if (o->handshake_ms == 0)
        o->handshake_ms = DEADLINE_TLS_MS;
}

enum err net_new(const struct net_options *options, struct net **out_net)
{
    struct net *net = mem_zalloc(1, sizeof *net);
    if (options)
        net->options = *options;
    set_defaults(&net->options);
    net_ignore_sigpipe();
    atomic_store(&net->refs, 1);
    pthread_mutex_init(&net->table_lock, NULL);
    pthread_mutex_init(&net->queue_lock, NULL);
    pthread_mutex_init(&net->heap_lock, NULL);
    pthread_mutex_init(&net->tls_lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&net->table_change, &monotonic);
    pthread_cond_init(&net->heap_change, &monotonic);
    pthread_condattr_destroy(&monotonic);
    map_init(&net->peers);
    net->slots = mem_zalloc(net->options.connections_max, sizeof *net->slots);
    net->heap = mem_zalloc(net->options.connections_max + 1, sizeof *net->heap);
    net->tickets = tls_tickets_new();
    net->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    net->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event token = { .events = EPOLLIN | EPOLLET, .data.u64 = 0 };
    if (net->epoll_fd < 0 || net->event_fd < 0 ||
        epoll_ctl(net->epoll_fd, EPOLL_CTL_ADD, net->event_fd, &token) < 0) {
        enum err e = err_from_errno(errno);
        net_free(net);
        return e;
    }
    *out_net = net;
    return ERR_OK;
}

struct net *net_ref(struct net *net)
{
    atomic_fetch_add(&net->refs, 1);
    return net;
}

/* The memory outlives net_free while somebody still holds a conn_ref: conn_wake then finds a generation that is gone. */
void net_unref(struct net *net)
{
    if (atomic_fetch_sub(&net->refs, 1) != 1)
        return;
    if (net->epoll_fd >= 0)
        close(net->epoll_fd);
    if (net->event_fd >= 0)
        close(net->event_fd);
    map_done(&net->peers);
    tls_server_unref(net->tls);
    tls_tickets_unref(net->tickets);
    pthread_mutex_destroy(&net->table_lock);
    pthread_mutex_destroy(&net->queue_lock);
    pthread_mutex_destroy(&net->heap_lock);
    pthread_mutex_destroy(&net->tls_lock);
    pthread_cond_destroy(&net->table_change);
    pthread_cond_destroy(&net->heap_change);
    free(net->slots);
    free(net->heap);
    free(net);
}

void net_free(struct net *net)
{
    if (!net)
        return;
    net_stop(net, 0);
    unsigned count = atomic_load(&net->listener_count);
    for (unsigned i = 0; i < count; i++)
        listener_free(net->listeners[i]);
    atomic_store(&net->listener_count, 0);
    net_unref(net);
}

void net_set_tls(struct net *net, struct tls_server *tls)
{
    if (tls) {
        tls_server_use_tickets(tls, net->tickets);
        tls_server_ref(tls);
    }
    pthread_mutex_lock(&net->tls_lock);
    struct tls_server *old = net->tls;
    net->tls = tls;
    pthread_mutex_unlock(&net->tls_lock);
    tls_server_unref(old);
}

struct tls_server *net_tls_get(struct net *net)
{
    pthread_mutex_lock(&net->tls_lock);
    struct tls_server *tls = net->tls ? tls_server_ref(net->tls) : NULL;
    pthread_mutex_unlock(&net->tls_lock);
    return tls;
}

/* Signals are for the main thread. */
static enum err start_threads(struct net *net)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, NET_STACK_BYTES);
    net->threads = mem_zalloc(net->options.threads, sizeof *net->threads);
    int e = pthread_create(&net->timer, &small, timer_run, net);
    net->timer_started = e == 0;
    while (e == 0 && net->thread_count < net->options.threads) {
        e = pthread_create(&net->threads[net->thread_count], &small, pool_run, net);
        net->thread_count += e == 0;
    }
    pthread_attr_destroy(&small);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return e ? err_from_errno(e) : ERR_OK;
}

enum err net_start(struct net *net)
{
    assert(!net->started);
    net->started = true;
    enum err e = start_threads(net);
    unsigned count = atomic_load(&net->listener_count);
    for (unsigned i = 0; e == ERR_OK && i < count; i++)
        e = listener_arm(net->listeners[i], true);
    if (e != ERR_OK)
        net_stop(net, 0);
    return e;
}

/* Waits under table_lock until no connection is open, or the time is over (negative: no end). */
static bool wait_empty(struct net *net, int64_t until_ms)
{
    struct timespec until = {
        .tv_sec = (time_t)(until_ms / 1000),
        .tv_nsec = (long)(until_ms % 1000) * 1000000,
    };
    while (net->open > 0) {
        if (until_ms < 0)
            pthread_cond_wait(&net->table_change, &net->table_lock);
        else if (pthread_cond_timedwait(&net->table_change, &net->table_lock, &until) == ETIMEDOUT)
            return net->open == 0;
    }
    return true;
}

void net_stop(struct net *net, int drain_ms)
{
    atomic_store(&net->stopping, true);
    unsigned count = atomic_load(&net->listener_count);
    for (unsigned i = 0; i < count; i++)
        listener_close(net->listeners[i]);
    if (!net->started)
        return;

    int64_t until_ms = clock_mono_ms() + drain_ms;
    pthread_mutex_lock(&net->table_lock);
    for (uint32_t i = 0; i < net->slots_used; i++)
        if (net->slots[i].conn)
            slot_signal(net, i, net->slots[i].conn->generation, CONN_FLAG_STOP | CONN_FLAG_WAKE);
    if (!wait_empty(net, until_ms)) {
        /* The rest waits for peers: for room to send or for their end. Cutting the sockets ends every such wait. What is
         * left then are sessions on the disk or on a lock, and those come back by themselves. */
        atomic_store(&net->cut, true);
        for (uint32_t i = 0; i < net->slots_used; i++)
            if (net->slots[i].conn)
                shutdown(net->slots[i].conn->fd, SHUT_RDWR);
        wait_empty(net, -1);
    }
    pthread_mutex_unlock(&net->table_lock);

    atomic_store(&net->quit, true);
    queue_token(net);
    timer_wake(net);
    for (unsigned i = 0; i < net->thread_count; i++)
        pthread_join(net->threads[i], NULL);
    if (net->timer_started)
        pthread_join(net->timer, NULL);
    free(net->threads);
    net->threads = NULL;
    net->thread_count = 0;
    net->timer_started = false;
    net->started = false;
}

struct net_stats net_stats(const struct net *net)
{
    pthread_mutex_t *lock =
        (pthread_mutex_t *)(uintptr_t)&net->table_lock; /* locking is not a change */
    pthread_mutex_lock(lock);
    size_t open = net->open;
    pthread_mutex_unlock(lock);
    return (struct net_stats){
        .accepted = atomic_load(&net->accepted),
        .refused = atomic_load(&net->refused),
        .tls_failed = atomic_load(&net->tls_failed),
        .open = open,
        .parked = atomic_load(&net->parked),
    };
}
