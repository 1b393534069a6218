/* Private to net/: what a connection, a slot and the net are made of. The drawing of the states is in pool.c.
 *
 * Who may touch what:
 *   slot.word, slot.deadline_ms, slot.heap_at_ms     any thread, atomically
 *   slot.next                                        under net->queue_lock
 *   slot.conn, slot.next_free                        under net->table_lock, or by the thread that runs the connection
 *   slot.heap_pos, the heap                          under net->heap_lock
 *   everything in struct conn but refs               the one thread that runs the connection
 *
 * Lock order: table_lock, heap_lock, queue_lock. None is held while a session's function runs. */
#ifndef NET_CONN_INT_H
#define NET_CONN_INT_H

#include "net/net.h"
#include "net/tls_int.h"

#include "base/map.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#define NET_THREADS_DEFAULT 64u
#define NET_THREADS_MAX     1024u
#define NET_CONNECTIONS_DEFAULT                                                                    \
    19000u /* 20,000 descriptors are a common hard limit; the rest is for files */
#define NET_PER_ADDRESS_DEFAULT  200u
#define NET_LISTENERS_MAX        64u
#define NET_ACCEPT_BATCH         16  /* per wake: other listeners get their turn */
#define NET_ACCEPT_PAUSE_MS      100 /* after EMFILE: no busy loop, and soon enough to go on */
#define CONN_FILL_BYTES_MAX      (64u << 10) /* one conn_fill */
#define CONN_FILL_FIRST_BYTES    4096u /* most commands fit; more room only for those that fill it */
#define CONN_FLUSH_BYTES         (64u << 10) /* conn_flush_full sends above this */
#define CONN_SEND_COPY_BYTES_MAX 2048u       /* conn_send: a copy is cheaper than a system call */
#define CONN_DRAIN_MS            2000 /* after the last answer: how long the peer may take to close */
#define CONN_DRAIN_BYTES_MAX     (1u << 20) /* and how much it may still send meanwhile */
#define CONN_WRITE_CROWDED_MS                                                                      \
    2000 /* instead of write_ms, while more than half of the threads wait for slow readers */
#define CONN_PEER_SILENT_MS (5 * 60 * 1000) /* a half-open peer is noticed within this */

/* slot.word = generation << 32 | flags | state. */
enum conn_state {
    CONN_FREE,    /* no connection here */
    CONN_QUEUED,  /* claimed, in net's ready queue; a pool thread will take it */
    CONN_RUNNING, /* one thread has it */
    CONN_PARKED,  /* armed in the epoll set */
};
#define CONN_STATE_MASK 0xffull

/* What happened since the runner last looked. A connection with one of these set is never parked. */
#define CONN_FLAG_READY   0x0100ull /* the epoll event came while it was running */
#define CONN_FLAG_WAKE    0x0200ull /* conn_wake */
#define CONN_FLAG_TIMEOUT 0x0400ull
#define CONN_FLAG_END     0x0800ull /* conn_end */
#define CONN_FLAG_STOP    0x1000ull /* net_stop */
#define CONN_FLAGS_MASK   0xffffff00ull

/* Where the connection is in its life; only the runner reads it. */
enum conn_phase {
    PHASE_NEW,       /* accepted, nothing done */
    PHASE_HANDSHAKE, /* TLS is being set up; session may exist already (STARTTLS) */
    PHASE_OPEN,      /* the session has it */
    PHASE_PAUSED,    /* conn_pause: neither input nor output until special_ms */
    PHASE_DRAIN, /* session closed, our side shut; waiting for the peer's end so that it can read the last answer */
    PHASE_DEAD,
};

struct slot {
    _Atomic uint64_t word;
    _Atomic int64_t deadline_ms; /* monotonic; what counts while parked */
    _Atomic int64_t heap_at_ms;  /* when the timer looks at this slot; INT64_MAX: not in the heap */
    struct conn *conn;           /* NULL when free */
    uint32_t heap_pos;           /* 1-based; 0: not there */
    uint32_t next;               /* in the ready queue; slot index + 1, 0 = end */
    uint32_t next_free;          /* slot index + 1, 0 = end */
};

/* Who counts against connections_per_address_max: an IPv4 address or an IPv6 /64. */
struct peer_key {
    unsigned char bytes[8];
    unsigned char len; /* 0: exempt */
};

struct listener {
    struct net *net;            /* borrowed */
    const struct conn_ops *ops; /* borrowed */
    void *arg;                  /* borrowed */
    enum net_tls tls;
    int fd; /* -1 when closed; under lock once the net runs */
    int port;
    unsigned index;               /* in net->listeners */
    char *path;                   /* owned; Unix socket */
    pthread_mutex_t lock;         /* accept against net_stop */
    _Atomic int64_t resume_at_ms; /* accepting is paused until then; INT64_MAX: it is not */
};

struct conn {
    struct net *net; /* shared, ref */
    const struct conn_ops *ops;
    void *session; /* owned by ops */
    void *listener_arg;
    struct tls_conn *tls; /* owned; NULL without TLS */
    struct buf in, out;
    size_t in_limit;
    int64_t deadline_ms;  /* of the session's step */
    int64_t special_ms;   /* of the handshake, the pause or the drain */
    int pause_ms;         /* asked for by conn_pause in this step; 0: not */
    int64_t answered_us;  /* when the last answer left; 0: none yet */
    size_t drained_bytes; /* PHASE_DRAIN */
    unsigned long long id;
    uint32_t slot, generation;
    _Atomic unsigned refs;
    int fd;
    int local_port;
    enum err broken;       /* what every later call on a dead connection returns */
    unsigned char phase;   /* enum conn_phase */
    unsigned char net_tls; /* enum net_tls */
    bool woken;            /* conn_woken has not been asked yet */
    bool in_epoll;
    bool close_after_pause;
    bool want_write; /* TLS wants to write before it can read */
    bool drained;    /* the last read took all there was */
    bool short_read; /* as drained, but the next conn_fill may believe it without a system call */
    bool peer_ended;
    bool local;
    bool quick; /* the last frame came within linger_ms of our answer: worth lingering */
    struct peer_key key;
    char peer[INET6_ADDRSTRLEN];
};

struct net {
    struct net_options options;
    _Atomic unsigned refs; /* one of the owner, one for each connection's memory */
    int epoll_fd;
    int event_fd; /* a write passes the token of the ready queue */
    struct slot *slots;
    uint32_t slots_used; /* under table_lock */
    uint32_t slots_free; /* index + 1 */
    pthread_mutex_t table_lock;
    pthread_cond_t table_change; /* a connection went */
    size_t open;                 /* under table_lock */
    struct map peers;            /* key -> count; under table_lock */

    pthread_mutex_t queue_lock;
    uint32_t queue_head, queue_tail; /* index + 1 */

    pthread_mutex_t heap_lock;
    pthread_cond_t heap_change;
    uint32_t *heap; /* slot indexes, 1-based */
    uint32_t heap_len;

    struct listener *listeners[NET_LISTENERS_MAX]; /* owned */
    _Atomic unsigned listener_count;

    pthread_mutex_t tls_lock;
    struct tls_server *tls; /* shared, ref; under tls_lock */
    struct tls_tickets *
        tickets; /* shared, ref; the same for every certificate, so that resumption outlives a reload */

    pthread_t *threads;
    unsigned thread_count; /* running ones */
    pthread_t timer;
    bool started;
    bool timer_started;
    _Atomic bool stopping; /* no new connections */
    _Atomic bool cut;      /* drain_ms is over: no more waiting for peers */
    _Atomic bool quit;     /* threads end */

    _Atomic unsigned busy;    /* threads that have a connection */
    _Atomic unsigned writing; /* those of them that wait for a peer to take its answer */
    _Atomic unsigned long long next_id;
    _Atomic unsigned long long accepted, refused, tls_failed;
    _Atomic size_t parked;
};

/* net.c */
struct net *net_ref(struct net *net);
void net_unref(struct net *net);
/* Certificate to use for a new handshake; NULL when there is none. The caller unrefs. */
struct tls_server *net_tls_get(struct net *net);

/* pool.c */
void *pool_run(void *net); /* a pool thread's life */
/* Sets flags and, when the connection was parked, queues it. False when that generation is gone. */
bool slot_signal(struct net *net, uint32_t slot, uint32_t generation, uint64_t flags);
/* A connection in state CONN_QUEUED goes to the ready queue. */
void queue_push(struct net *net, uint32_t slot);
/* Wakes one pool thread. */
void queue_token(struct net *net);

/* listen.c */
void listener_ready(struct listener *listener);
enum err MUST_USE listener_arm(struct listener *listener, bool add);
void listener_resume(struct listener *listener);
/* Ends accepting; later calls do nothing. */
void listener_close(struct listener *listener);
void listener_free(struct listener *listener);

/* conn.c */
/* A new connection: checks the limits, and queues it. Takes the descriptor. */
void conn_accepted(struct listener *listener, int fd, const struct sockaddr_storage *peer);
/* Sends what is in conn_out as far as it goes without waiting; the rest is dropped. */
void conn_flush_now(struct conn *conn);
/* Last step of a connection: session, TLS, descriptor and slot go; memory when nobody refers to it. */
void conn_destroy(struct conn *conn);

/* timer.c */
void *timer_run(void *net);
/* After parking: the timer will look at this slot no later than `at_ms`. */
void timer_note(struct net *net, uint32_t slot, int64_t at_ms);
void timer_remove(struct net *net, uint32_t slot);
void timer_wake(struct net *net);

/* peer.c */
/* Text, key and locality of an address. text has INET6_ADDRSTRLEN bytes. */
void peer_describe(
    const struct sockaddr_storage *address, char *text, struct peer_key *out_key, bool *out_local);
/* Both under net->table_lock. False when the address has its share already. */
bool peer_enter(struct map *peers, const struct peer_key *key, size_t limit);
void peer_leave(struct map *peers, const struct peer_key *key);

static inline uint32_t word_generation(uint64_t word)
{
    return (uint32_t)(word >> 32);
}

static inline enum conn_state word_state(uint64_t word)
{
    return (enum conn_state)(word & CONN_STATE_MASK);
}

static inline uint64_t word_make(uint32_t generation, uint64_t flags, enum conn_state state)
{
    return (uint64_t)generation << 32 | flags | (uint64_t)state;
}

#endif
